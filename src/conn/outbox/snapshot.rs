//! A backlog as plain data. What is shared with other connections is written out: its bytes are what leaves.

use serde::{Deserialize, Serialize};

use crate::conn::outbox::Outbox;
use crate::conn::outbox::chunks::{Chunk, ChunkQueue};
use crate::conn::outbox::drain_rate::{DrainRate, PaceSnapshot};
use crate::limits::CONTROL_BYTES_MAX;
use crate::time::Tick;

/// A backlog.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct OutboxSnapshot {
    /// In order.
    queue: Vec<ChunkSnapshot>,
    /// Bytes of the first that have left.
    sent: usize,
    pong: Option<Vec<u8>>,
    ping: Option<[u8; 8]>,
    ping_ends_in: Option<usize>,
    drain_rate: PaceSnapshot,
}

/// Bytes that leave together.
#[derive(Clone, Debug, Serialize, Deserialize)]
enum ChunkSnapshot {
    Frames(Vec<u8>),
    Opaque(Vec<u8>),
}

impl Outbox {
    /// The backlog as plain data; `None` where it holds records, which only their own connection can go on with.
    pub(crate) fn snapshot(&self, now: Tick) -> Option<OutboxSnapshot> {
        let of = |chunk: &Chunk| match chunk {
            Chunk::Frames(bytes) => ChunkSnapshot::Frames(bytes.clone()),
            Chunk::Shared(frame) => ChunkSnapshot::Frames(frame.bytes().to_vec()),
            Chunk::Opaque(bytes) => ChunkSnapshot::Opaque(bytes.to_vec()),
        };
        self.sealed().is_empty().then(|| OutboxSnapshot {
            queue: self.queue.iter().map(of).collect(),
            sent: self.sent,
            pong: self.pong.as_ref().map(|payload| payload.to_vec()),
            ping: self.ping,
            ping_ends_in: self.ping_ends_in,
            drain_rate: self.drain_rate.snapshot(now),
        })
    }

    /// The backlog that goes on from there; `None` where none can.
    pub(crate) fn restore(snapshot: OutboxSnapshot, now: Tick) -> Option<Outbox> {
        let OutboxSnapshot { queue, sent, pong, ping, ping_ends_in, drain_rate } = snapshot;
        let mut outbox = Outbox::new(now);
        let mut chunks = ChunkQueue::default();
        let (mut len, mut first) = (0, None);
        for bytes in queue {
            let chunk = match bytes {
                ChunkSnapshot::Frames(bytes) => Chunk::Frames(bytes),
                ChunkSnapshot::Opaque(bytes) => Chunk::Opaque(bytes.into()),
            };
            let bytes = chunk.bytes().len();
            if bytes == 0 {
                return None;
            }
            first.get_or_insert(bytes);
            len += bytes;
            chunks.push_back(chunk);
        }
        let is_sound = sent < first.unwrap_or(1)
            && pong.as_ref().is_none_or(|payload| payload.len() <= CONTROL_BYTES_MAX)
            && ping_ends_in.is_none_or(|bytes| bytes <= usize::MAX / 4);
        if !is_sound {
            return None;
        }
        (outbox.queue, outbox.sent, outbox.len) = (chunks, sent, len - sent);
        (outbox.pong, outbox.ping, outbox.ping_ends_in) = (pong.map(Into::into), ping, ping_ends_in);
        outbox.drain_rate = DrainRate::restore(drain_rate, now)?;
        (!outbox.is_empty()).then_some(outbox)
    }
}
