//! Compressed messages on a worker: its inflaters and compressors, and what connections hold that speak
//! permessage-deflate. A connection that doesn't has no entry here, and neither has one that holds nothing.

use std::collections::HashMap;
use std::mem;

use serde::{Deserialize, Serialize};

use crate::limits::{DEFLATE_CONTEXT_BYTES, READ_BUFFER_BYTES};
use crate::reactor::ids::ConnId;
use crate::reactor::work::Work;
use crate::wire::deflate::{Agreement, Decoder, DeflateContext, Deflater, Inflaters, UnderWay, WINDOW_BITS};
use crate::wire::shared::SharedFrame;

/// A worker's compressors and inflaters.
#[derive(Debug)]
pub(crate) struct DeflateState {
    inflaters: Inflaters,
    /// By the bits of their window, made when first needed.
    deflaters: [Option<Deflater>; DEFLATERS],
    /// By slab key.
    held: HashMap<u32, HeldContexts>,
    /// The buffer that a message is compressed into.
    scratch: Vec<u8>,
}

const DEFLATERS: usize = (*WINDOW_BITS.end() - *WINDOW_BITS.start() + 1) as usize;
/// About what a compressor takes.
const DEFLATER_BYTES: usize = 320 << 10;

/// The state that a connection holds.
#[derive(Debug, Default)]
struct HeldContexts {
    /// A message of which not all has been inflated.
    under_way: Option<UnderWay>,
    /// The context that the client may refer to.
    received: DeflateContext,
    /// The context that we may refer to.
    sent: DeflateContext,
}

/// The state that a connection holds, as plain data: no inflater is at work for it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct DeflateSnapshot {
    collected: Option<Vec<u8>>,
    received: Vec<u8>,
    sent: Vec<u8>,
}

impl HeldContexts {
    fn is_empty(&self) -> bool {
        self.under_way.is_none() && self.bytes() == 0
    }

    fn bytes(&self) -> usize {
        let under_way = self.under_way.as_ref().map_or(0, UnderWay::held_bytes);
        under_way + self.received.held_bytes() + self.sent.held_bytes()
    }
}

impl DeflateState {
    pub(crate) fn new() -> DeflateState {
        DeflateState {
            inflaters: Inflaters::default(),
            deflaters: [const { None }; DEFLATERS],
            held: HashMap::new(),
            scratch: Vec::new(),
        }
    }

    /// The decoder for a session of that connection; `budget` is the bound on its cost in this turn, and what is left of
    /// it.
    pub(crate) fn decoder<'d>(
        &'d mut self,
        id: ConnId,
        agreement: Agreement,
        budget: &'d mut usize,
    ) -> Decoder<'d> {
        let held = self.held.entry(id.key).or_default();
        Decoder {
            inflaters: &mut self.inflaters,
            under_way: &mut held.under_way,
            context: &mut held.received,
            direction: agreement.client,
            budget,
        }
    }

    /// The connection has been read for now: where it holds nothing, its place is let go.
    pub(crate) fn release(&mut self, id: ConnId) {
        if self.held.get(&id.key).is_some_and(HeldContexts::is_empty) {
            self.held.remove(&id.key);
        }
    }

    /// The connection is idle: what only helps is given back. The context that the client may refer to has to
    /// stay.
    pub(crate) fn rest(&mut self, id: ConnId) {
        let Some(held) = self.held.get_mut(&id.key) else { return };
        held.sent.forget();
        if held.is_empty() {
            self.held.remove(&id.key);
        }
        self.held.shrink_to(2 * self.held.len());
    }

    /// The connection is gone.
    pub(crate) fn remove(&mut self, id: ConnId) {
        if let Some(under_way) = self.held.remove(&id.key).and_then(|held| held.under_way) {
            self.inflaters.abandon(under_way);
        }
    }

    /// Whether an inflater is at work for the connection: that has no form but its own.
    pub(crate) fn is_inflating(&self, id: ConnId) -> bool {
        let under_way = self.held.get(&id.key).and_then(|held| held.under_way.as_ref());
        matches!(under_way, Some(UnderWay::Inflating(_)))
    }

    /// The state that the connection holds, but for an inflater.
    pub(crate) fn snapshot(&self, id: ConnId) -> Option<DeflateSnapshot> {
        let held = self.held.get(&id.key)?;
        let collected = match &held.under_way {
            Some(UnderWay::Collecting(data)) => Some(data.clone()),
            Some(UnderWay::Inflating(_)) | None => None,
        };
        let (received, sent) = (held.received.bytes().to_vec(), held.sent.bytes().to_vec());
        Some(DeflateSnapshot { collected, received, sent })
    }

    /// A connection that comes holds this.
    pub(crate) fn restore(&mut self, id: ConnId, snapshot: DeflateSnapshot) {
        let DeflateSnapshot { collected, received, sent } = snapshot;
        let held = self.held.entry(id.key).or_default();
        held.under_way = collected.map(UnderWay::Collecting);
        held.received.push(&received, 1 << WINDOW_BITS.end());
        held.sent.push(&sent, DEFLATE_CONTEXT_BYTES);
        self.release(id);
    }

    /// Bytes of heap that belong to a connection.
    pub(crate) fn bytes_of(&self, id: ConnId) -> usize {
        if self.held.is_empty() { 0 } else { self.held.get(&id.key).map_or(0, HeldContexts::bytes) }
    }

    /// Bytes of its message that are not inflated yet.
    pub(crate) fn half_bytes(&self, id: ConnId) -> usize {
        if self.held.is_empty() {
            return 0;
        }
        let under_way = self.held.get(&id.key).and_then(|held| held.under_way.as_ref());
        under_way.map_or(0, UnderWay::held_bytes)
    }

    /// Bytes of heap that belong to single connections. Walks those that hold any.
    pub(crate) fn held_bytes(&self) -> usize {
        self.held.values().map(HeldContexts::bytes).sum()
    }

    /// Bytes of heap in all.
    pub(crate) fn bytes(&self) -> usize {
        let deflaters = self.deflaters.iter().flatten().count() * DEFLATER_BYTES;
        let places = self.held.capacity() * size_of::<(u32, HeldContexts)>();
        self.held_bytes() + places + deflaters + self.inflaters.held_bytes() + self.scratch.capacity()
    }

    /// Compresses a message, one that may refer to those before it where that was agreed; `None` where that makes it no
    /// shorter. Goes back by [`DeflateState::recycle`].
    pub(crate) fn compress(&mut self, id: ConnId, agreement: Agreement, message: &[u8]) -> Option<Vec<u8>> {
        let deflater = deflater(&mut self.deflaters, agreement.server.window_bits())?;
        let mut data = mem::take(&mut self.scratch);
        let shorter = if agreement.server.takeover() {
            let held = self.held.entry(id.key).or_default();
            let shorter = deflater.deflate(held.sent.bytes(), message, &mut data);
            if shorter {
                // RFC 7692 §7.2.2: only compressed messages pass through the peer's window.
                held.sent.push(message, DEFLATE_CONTEXT_BYTES.min(1 << agreement.server.window_bits()));
            } else if held.is_empty() {
                self.held.remove(&id.key);
            }
            shorter
        } else {
            deflater.deflate(&[], message, &mut data)
        };
        if shorter {
            return Some(data);
        }
        self.recycle(data);
        None
    }

    /// Takes the buffer of a compressed message back, for the next one.
    pub(crate) fn recycle(&mut self, data: Vec<u8>) {
        self.scratch = data;
        self.scratch.shrink_to(READ_BUFFER_BYTES);
    }

    /// The form of a shared frame that is for a connection with this agreement. If it has yet to be made, it is charged.
    pub(crate) fn form<'f>(
        &mut self,
        id: ConnId,
        agreement: Agreement,
        frame: &'f SharedFrame,
        work: &mut Work,
    ) -> &'f SharedFrame {
        let bits = agreement.server.window_bits();
        let compress = |message: &[u8], out: &mut Vec<u8>| {
            work.charge_deflated(message.len());
            deflater(&mut self.deflaters, bits).is_some_and(|deflater| deflater.deflate(&[], message, out))
        };
        let Some(deflated) = frame.deflated(bits, compress) else { return frame };
        // It passes through the peer's window too: what we kept is no longer the end of that. Nothing at all always is.
        if agreement.server.takeover()
            && let Some(held) = self.held.get_mut(&id.key)
        {
            held.sent.forget();
        }
        deflated
    }
}

/// The compressor for a window of `bits`.
fn deflater(deflaters: &mut [Option<Deflater>; DEFLATERS], bits: u8) -> Option<&mut Deflater> {
    let place = deflaters.get_mut(usize::from(bits.checked_sub(*WINDOW_BITS.start())?))?;
    Some(place.get_or_insert_with(|| Deflater::new(bits)))
}
