//! Output that a socket did not take: a bounded queue of bytes, in order, with Pings and Pongs that overtake it at
//! a frame boundary. A connection has one only while its socket is full.
//!
//! Chunks are whole frames or an opaque run of bytes (an HTTP response), owned or shared. The bound is kept by who pushes.

mod chunks;
mod drain_rate;
pub(super) mod snapshot;

use std::io::IoSlice;

pub use self::chunks::Chunk;
use self::chunks::ChunkQueue;
use self::drain_rate::DrainRate;
use crate::limits::CONTROL_BYTES_MAX;
use crate::time::Tick;
use crate::wire::frame::{self, Opcode};
use crate::wire::shared::SharedFrame;

/// Bytes up to which frames that are queued one after the other become one chunk.
const JOINED_BYTES_MAX: usize = 4096;

/// The queue.
#[derive(Debug)]
pub struct Outbox {
    queue: ChunkQueue,
    /// TLS records that leave before all else, in a run that nothing overtakes. They hold the only copy of it.
    sealed: Vec<u8>,
    /// Bytes of `sealed` that have left: `sealed_sent < sealed.len()` where there are any.
    sealed_sent: usize,
    /// Bytes of the front chunk that have left: `sent < front.len()` where there is a front.
    sent: usize,
    /// Bytes that have not left.
    len: usize,
    /// The latest Pong's payload that has no place in the queue yet; an older one is overwritten.
    pong: Option<Box<[u8]>>,
    /// The Ping's payload that has no place in the queue yet.
    ping: Option<[u8; 8]>,
    /// Bytes that must leave until the last of a Ping has left.
    ping_ends_in: Option<usize>,
    drain_rate: DrainRate,
}

impl Outbox {
    /// An empty queue.
    #[must_use]
    pub fn new(now: Tick) -> Outbox {
        Outbox {
            queue: ChunkQueue::default(),
            sealed: Vec::new(),
            sealed_sent: 0,
            sent: 0,
            len: 0,
            pong: None,
            ping: None,
            ping_ends_in: None,
            drain_rate: DrainRate::new(now),
        }
    }

    /// Bytes that have not left, control frames without a place among them.
    #[must_use]
    pub fn len(&self) -> usize {
        let pong = self.pong.as_ref().map_or(0, |payload| payload.len() + 2);
        self.sealed().len() + self.len + pong + self.ping.map_or(0, |payload| payload.len() + 2)
    }

    /// Whether everything has left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// When the socket last took a byte.
    #[must_use]
    pub const fn progress(&self) -> Tick {
        self.drain_rate.progress()
    }

    /// Bytes that the socket took since the queue came to be.
    #[must_use]
    pub const fn taken(&self) -> u64 {
        self.drain_rate.taken()
    }

    /// When the socket has to have taken half of what was queued.
    #[must_use]
    pub const fn halves_by(&self) -> Tick {
        self.drain_rate.halves_by()
    }

    /// Queues a chunk; an empty one is left out. Small frames join those before them: a chunk each would cost many times
    /// their bytes, and a system call for every 64 of them.
    pub fn push(&mut self, chunk: Chunk) {
        let len = chunk.bytes().len();
        self.len += len;
        match (self.queue.back_mut(), chunk) {
            _ if len == 0 => {}
            (Some(Chunk::Frames(last)), Chunk::Frames(frames)) if last.len() + len <= JOINED_BYTES_MAX => {
                last.extend_from_slice(&frames);
            }
            (_, chunk) => self.queue.push_back(chunk),
        }
    }

    /// Queues frames of which `sent` bytes have left. The chunk begins with the frame that is cut, so that its end is known.
    pub fn push_cut_frames(&mut self, frames: &[u8], sent: usize) {
        debug_assert!(self.queue.is_empty() && sent < frames.len());
        let start = frame_at(frames, sent).0;
        self.push(Chunk::Frames(frames[start..].into()));
        self.mark_sent(sent - start);
    }

    /// Queues one frame in a buffer of its own, of which `sent` bytes have left: none where others are queued before it.
    pub fn push_cut_frame(&mut self, frame: Vec<u8>, sent: usize) {
        debug_assert!((self.queue.is_empty() || sent == 0) && sent < frame.len());
        self.len += frame.len();
        self.queue.push_back(Chunk::Frames(frame));
        if sent > 0 {
            self.mark_sent(sent);
        }
    }

    /// Queues a shared frame of which `sent` bytes have left.
    pub fn push_cut_shared(&mut self, frame: SharedFrame, sent: usize) {
        debug_assert!(self.queue.is_empty() && sent < frame.bytes().len());
        self.push(Chunk::Shared(frame));
        self.mark_sent(sent);
    }

    fn mark_sent(&mut self, sent: usize) {
        self.sent = sent;
        self.len -= sent;
    }

    /// Answers a Ping as soon as a frame ends. Of a flood only the latest is answered (RFC 6455 §5.5.3 allows it).
    pub fn pong(&mut self, payload: &[u8]) {
        debug_assert!(payload.len() <= CONTROL_BYTES_MAX);
        self.pong = Some(payload.into());
    }

    /// Sends a Ping as soon as a frame ends.
    pub fn ping(&mut self, payload: [u8; 8]) {
        self.ping = Some(payload);
    }

    /// Says that the last byte of a Ping leaves with the next `bytes`.
    pub fn expect_ping(&mut self, bytes: usize) {
        self.ping_ends_in = Some(bytes);
    }

    /// Records that leave before any part.
    #[must_use]
    pub fn sealed(&self) -> &[u8] {
        &self.sealed[self.sealed_sent..]
    }

    /// Queues records behind those that wait.
    pub fn seal(&mut self, records: &[u8]) {
        self.sealed.extend_from_slice(records);
        if let Some(bytes) = &mut self.ping_ends_in {
            // It may have left a little before; a Ping's time never runs too early.
            *bytes += records.len();
        }
    }

    /// The records alone.
    #[must_use]
    pub fn into_sealed(self) -> Outbox {
        let mut sealed = Outbox::new(self.progress());
        (sealed.sealed, sealed.sealed_sent) = (self.sealed, self.sealed_sent);
        sealed
    }

    /// The socket took `written` bytes of the records. Says whether the last byte of a Ping was among them.
    pub fn advance_sealed(&mut self, written: usize, now: Tick) -> bool {
        self.sealed_sent += written;
        if self.sealed_sent == self.sealed.len() {
            (self.sealed, self.sealed_sent) = (Vec::new(), 0);
        }
        self.drain_rate.note(written, self.len(), now);
        self.count_down(written)
    }

    /// Fills `parts` with what leaves next, in order; returns how many are filled. Waiting control frames take their place.
    pub fn parts<'a>(&'a mut self, parts: &mut [IoSlice<'a>]) -> usize {
        self.place_controls();
        let mut filled = 0;
        for (part, chunk) in parts.iter_mut().zip(self.queue.iter()) {
            let skip = if filled == 0 { self.sent } else { 0 };
            *part = IoSlice::new(&chunk.bytes()[skip..]);
            filled += 1;
        }
        filled
    }

    /// `taken` bytes of the parts are no longer needed: the socket took them, or they were made records, of which it did not take
    /// `left`. It took `sent` bytes of either. Says whether the last byte of a Ping has left.
    pub fn advance(&mut self, taken: usize, sent: usize, left: &[u8], now: Tick) -> bool {
        let pinged = self.pop(taken);
        if pinged && !left.is_empty() {
            self.ping_ends_in = Some(0);
        }
        self.seal(left);
        self.drain_rate.note(sent, self.len(), now);
        pinged && left.is_empty()
    }

    /// Takes bytes off the front of the parts. Says whether the last byte of a Ping was among them.
    fn pop(&mut self, bytes: usize) -> bool {
        self.len -= bytes;
        let mut left = bytes + self.sent;
        while let Some(front) = self.queue.front() {
            let len = front.bytes().len();
            if left < len {
                break;
            }
            left -= len;
            self.queue.pop_front();
        }
        self.sent = left;
        self.count_down(bytes)
    }

    fn count_down(&mut self, written: usize) -> bool {
        match self.ping_ends_in {
            Some(bytes) if bytes <= written => {
                self.ping_ends_in = None;
                true
            }
            Some(bytes) => {
                self.ping_ends_in = Some(bytes - written);
                false
            }
            None => false,
        }
    }

    /// Gives waiting control frames a place: in front where no frame is cut, else behind the frame that is.
    fn place_controls(&mut self) {
        if self.pong.is_none() && self.ping.is_none() {
            return;
        }
        let place = self.split_at_boundary();
        let ahead: usize =
            self.queue.iter().take(place).map(|chunk| chunk.bytes().len()).sum::<usize>() - self.sent;
        let ahead = ahead + self.sealed().len();
        let mut frames = Vec::new();
        if let Some(payload) = self.pong.take() {
            frame::write(&mut frames, Opcode::Pong, &payload, None);
        }
        if let Some(payload) = self.ping.take() {
            frame::write(&mut frames, Opcode::Ping, &payload, None);
            self.ping_ends_in = Some(ahead + frames.len());
        } else if let Some(bytes) = self.ping_ends_in.as_mut().filter(|bytes| **bytes > ahead) {
            *bytes += frames.len();
        }
        self.len += frames.len();
        self.queue.insert(place, Chunk::Frames(frames));
    }

    /// Makes the end of a cut frame the end of a chunk; returns the index of the first chunk that may be overtaken.
    fn split_at_boundary(&mut self) -> usize {
        // Bytes that aren't frames come before any frame: the answer to an upgrade is not overtaken.
        let opaque = self.queue.iter().take_while(|chunk| matches!(chunk, Chunk::Opaque(_))).count();
        if opaque > 0 || self.sent == 0 {
            return opaque;
        }
        if let Some(Chunk::Frames(frames)) = self.queue.front_mut() {
            let (_, end) = frame_at(frames, self.sent);
            if end < frames.len() {
                let rest = Chunk::Frames(frames[end..].into());
                *frames = frames[..end].into();
                self.queue.insert(1, rest);
            }
        }
        1
    }

    /// Bytes of memory that belong to this connection alone.
    #[must_use]
    pub fn owned_bytes(&self) -> usize {
        size_of::<Outbox>() + self.sealed.capacity() + self.queue.owned_bytes()
    }

    /// Chunks that wait: what it costs to forget them.
    pub(crate) fn chunks(&self) -> usize {
        self.queue.len()
    }
}

/// Start and end of the frame that holds byte `position`. Frames that this crate wrote always parse; should one not, all
/// the rest counts as one frame.
fn frame_at(frames: &[u8], position: usize) -> (usize, usize) {
    let mut start = 0;
    loop {
        let end =
            frame::whole_len(&frames[start..]).map_or(frames.len(), |len| (start + len).min(frames.len()));
        if position < end || end == frames.len() {
            return (start, end);
        }
        start = end;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame_of(opcode: Opcode, payload: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        frame::write(&mut bytes, opcode, payload, None);
        bytes
    }

    fn take(outbox: &mut Outbox, most: usize) -> (Vec<u8>, bool) {
        let mut parts = [IoSlice::new(&[]); 8];
        let filled = outbox.parts(&mut parts);
        let mut bytes: Vec<u8> = parts[..filled].iter().flat_map(|part| part.iter().copied()).collect();
        bytes.truncate(most);
        let pinged = outbox.advance(bytes.len(), bytes.len(), &[], Tick(1));
        (bytes, pinged)
    }

    #[test]
    fn controls_overtake_at_the_next_frame_boundary() {
        let (a, b) = (frame_of(Opcode::Text, b"first"), frame_of(Opcode::Text, b"second"));
        let both = [a.clone(), b.clone()].concat();
        let mut outbox = Outbox::new(Tick(0));
        outbox.push_cut_frames(&both, 3);
        assert_eq!(outbox.len(), both.len() - 3);
        outbox.pong(b"old");
        outbox.pong(b"new");
        outbox.ping([7; 8]);
        let (first, pinged) = take(&mut outbox, 2);
        assert_eq!((first.as_slice(), pinged), (&both[3..5], false));
        outbox.pong(b"newest");
        let (rest, pinged) = take(&mut outbox, usize::MAX);
        let newest = frame_of(Opcode::Pong, b"newest");
        let controls = [frame_of(Opcode::Pong, b"new"), frame_of(Opcode::Ping, &[7; 8])].concat();
        assert_eq!(rest, [a[5..].to_vec(), newest, controls, b].concat());
        assert!(pinged && outbox.is_empty());
    }

    #[test]
    fn a_ping_has_left_with_its_last_byte() {
        let mut outbox = Outbox::new(Tick(0));
        outbox.push(Chunk::Shared(SharedFrame::text("shared")));
        outbox.ping([1; 8]);
        assert_eq!(outbox.len(), 8 + 10);
        assert!(!take(&mut outbox, 9).1);
        assert!(take(&mut outbox, 1).1);
        assert!(!take(&mut outbox, usize::MAX).1);
    }

    #[test]
    fn a_cut_in_any_place_loses_no_byte() {
        let frames: Vec<u8> =
            (0..20).flat_map(|n| frame_of(Opcode::Text, &vec![n; n as usize * 20])).collect();
        for cut in 0..frames.len() {
            let mut outbox = Outbox::new(Tick(0));
            outbox.push_cut_frames(&frames, cut);
            outbox.pong(b"");
            let mut got = Vec::new();
            while !outbox.is_empty() {
                got.extend(take(&mut outbox, 7).0);
            }
            let (start, end) = frame_at(&frames, cut);
            let end = if start == cut { cut } else { end };
            let want = [&frames[cut..end], &frame_of(Opcode::Pong, b""), &frames[end..]];
            assert!(got == want.concat(), "cut at {cut}");
        }
    }

    #[test]
    fn nothing_overtakes_inside_an_opaque_chunk() {
        let mut outbox = Outbox::new(Tick(0));
        outbox.push(Chunk::Opaque(b"HTTP/1.1 101".as_slice().into()));
        assert_eq!(take(&mut outbox, 4).0, b"HTTP");
        outbox.pong(b"");
        assert_eq!(take(&mut outbox, usize::MAX).0, b"/1.1 101\x8a\x00");
    }

    #[test]
    fn nothing_overtakes_what_is_not_frames() {
        let mut outbox = Outbox::new(Tick(0));
        for opaque in [b"200", b"101"] {
            outbox.push(Chunk::Opaque(opaque.as_slice().into()));
        }
        outbox.push(Chunk::Frames(frame_of(Opcode::Text, b"first")));
        assert_eq!(take(&mut outbox, 1).0, b"2");
        outbox.ping([7; 8]);
        let ping = frame_of(Opcode::Ping, &[7; 8]);
        let want = [b"00101".as_slice(), &ping, &frame_of(Opcode::Text, b"first")].concat();
        assert_eq!(take(&mut outbox, want.len() - 7), (want[..want.len() - 7].to_vec(), true));
    }

    #[test]
    fn small_frames_share_a_chunk_and_are_still_overtaken_between_two() {
        let mut outbox = Outbox::new(Tick(0));
        let frame = frame_of(Opcode::Text, b"x");
        for _ in 0..1000 {
            outbox.push(Chunk::Frames(frame.clone()));
        }
        assert!(outbox.owned_bytes() < 2 * 3000 + 512, "{}", outbox.owned_bytes());
        take(&mut outbox, 4);
        outbox.pong(b"");
        assert_eq!(take(&mut outbox, 7).0, b"\x01x\x8a\x00\x81\x01x");
    }

    #[test]
    fn progress_is_when_the_socket_took_a_byte() {
        let mut outbox = Outbox::new(Tick(5));
        outbox.push(Chunk::Opaque(b"xy".as_slice().into()));
        outbox.advance(0, 0, &[], Tick(6));
        assert_eq!(outbox.progress(), Tick(5));
        outbox.advance(1, 1, &[], Tick(7));
        assert_eq!((outbox.progress(), outbox.taken()), (Tick(7), 1));
        // Made into records: what the socket took of those counts.
        assert!(!outbox.advance(1, 0, b"record", Tick(8)));
        assert_eq!((outbox.progress(), outbox.taken()), (Tick(7), 1));
        outbox.advance_sealed(4, Tick(9));
        assert_eq!((outbox.progress(), outbox.taken()), (Tick(9), 5));
    }
}
