//! The output of a turn: one buffer for all connections of a worker, written at the turn's end, so that each connection
//! costs one system call however much it was sent. A turn that only answers also writes now and then in between.
//!
//! A connection that was sent something has an entry in `dirty`, and its pieces are a list through `pieces`.
//! Messages to one connection in a row become one piece.

use std::ops::Range;

use crate::conn::NONE;
use crate::limits::{
    ARENA_BYTES_CALL_MAX, ARENA_BYTES_KEPT, ARENA_BYTES_MAX, ARENA_PIECES_MAX, EARLY_FLUSH_BYTES,
};
use crate::reactor::ids::ConnId;
use crate::wire::shared::SharedFrame;

/// The place of a piece's bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Bytes {
    /// In the arena; whole frames.
    Frames(Range<u32>),
    /// In the arena; not frames.
    Opaque(Range<u32>),
    /// A shared frame: an index into `shared`.
    Shared(u32),
    /// A big frame in a buffer of its own: an index into `own`.
    Own(u32),
}

/// 16 bytes: a turn of a busy room has tens of thousands.
#[derive(Debug)]
struct Piece {
    bytes: Bytes,
    next: u32,
}

/// One connection's output in this turn.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dirty {
    pub(crate) conn: ConnId,
    first: u32,
    last: u32,
    /// Bytes of all its pieces.
    pub(crate) len: usize,
    /// The end of a Ping among them; 0 where there is none.
    pub(crate) ping_end: usize,
}

/// The output of a turn.
#[derive(Debug, Default)]
pub(crate) struct Arena {
    bytes: Vec<u8>,
    shared: Vec<SharedFrame>,
    own: Vec<Vec<u8>>,
    /// Bytes of `own`.
    own_bytes: usize,
    pieces: Vec<Piece>,
    dirty: Vec<Dirty>,
    /// Some output is not to wait for the end of the turn.
    flush_requested: bool,
}

impl Arena {
    /// Entries for connections that were sent something, in the order in which they first were.
    pub(crate) fn dirty(&self) -> &[Dirty] {
        &self.dirty
    }

    /// Makes an entry for a connection that has none.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "fewer entries than sent frames, bounded by ARENA_BYTES_MAX"
    )]
    pub(crate) fn enter(&mut self, conn: ConnId) -> u32 {
        self.dirty.push(Dirty { conn, first: NONE, last: NONE, len: 0, ping_end: 0 });
        self.dirty.len() as u32 - 1
    }

    /// Appends what `write` writes to the entry's output; returns how many bytes that is.
    #[expect(clippy::cast_possible_truncation, reason = "what is sent passes `has_room` first")]
    pub(crate) fn append(&mut self, entry: u32, opaque: bool, write: impl FnOnce(&mut Vec<u8>)) -> usize {
        let start = self.bytes.len();
        write(&mut self.bytes);
        let len = self.bytes.len() - start;
        let range = start as u32..self.bytes.len() as u32;
        self.dirty[entry as usize].len += len;
        if !self.extend_last(entry, opaque, &range) {
            self.push(entry, if opaque { Bytes::Opaque(range) } else { Bytes::Frames(range) });
        }
        self.check_size(entry);
        len
    }

    /// Appends a shared frame to the entry's output.
    #[expect(clippy::cast_possible_truncation, reason = "bounded by ARENA_BYTES_MAX")]
    pub(crate) fn append_shared(&mut self, entry: u32, frame: &SharedFrame) {
        // A room's members get the same frame one after the other: one reference serves them all.
        if !self.shared.last().is_some_and(|last| last.is(frame)) {
            self.shared.push(frame.clone());
        }
        self.dirty[entry as usize].len += frame.bytes().len();
        self.push(entry, Bytes::Shared(self.shared.len() as u32 - 1));
        self.check_size(entry);
    }

    /// Appends a frame that has a buffer of its own.
    #[expect(clippy::cast_possible_truncation, reason = "bounded by ARENA_BYTES_CALL_MAX")]
    pub(crate) fn append_own(&mut self, entry: u32, frame: Vec<u8>) {
        self.dirty[entry as usize].len += frame.len();
        self.own_bytes += frame.len();
        self.own.push(frame);
        self.push(entry, Bytes::Own(self.own.len() as u32 - 1));
        self.check_size(entry);
    }

    /// Takes the buffer behind [`Bytes::Own`] away; nothing is left in its place.
    pub(crate) fn take_own(&mut self, index: u32) -> Vec<u8> {
        std::mem::take(&mut self.own[index as usize])
    }

    /// A Ping was the last thing appended.
    pub(crate) fn mark_ping(&mut self, entry: u32) {
        let dirty = &mut self.dirty[entry as usize];
        dirty.ping_end = dirty.len;
    }

    /// The pieces of an entry, in order.
    pub(crate) fn pieces(&self, entry: usize) -> impl Iterator<Item = &Bytes> {
        let mut next = self.dirty[entry].first;
        std::iter::from_fn(move || self.next_piece(&mut next))
    }

    /// The first piece of an entry, for [`Arena::next_piece`].
    pub(crate) fn first_piece(&self, entry: usize) -> u32 {
        self.dirty[entry].first
    }

    /// The piece at `next`, which becomes the one after it.
    pub(crate) fn next_piece(&self, next: &mut u32) -> Option<&Bytes> {
        let piece = self.pieces.get(*next as usize)?;
        *next = piece.next;
        Some(&piece.bytes)
    }

    /// The bytes of a piece.
    #[inline]
    pub(crate) fn slice(&self, bytes: &Bytes) -> &[u8] {
        match bytes {
            Bytes::Frames(range) | Bytes::Opaque(range) => {
                &self.bytes[range.start as usize..range.end as usize]
            }
            Bytes::Shared(index) => self.shared[*index as usize].bytes(),
            Bytes::Own(index) => &self.own[*index as usize],
        }
    }

    /// The reference behind [`Bytes::Shared`].
    pub(crate) fn shared(&self, index: u32) -> &SharedFrame {
        &self.shared[index as usize]
    }

    /// Forgets everything; a burst's memory is given back.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.shrink_to(ARENA_BYTES_KEPT);
        self.shared.clear();
        self.own.clear();
        self.own_bytes = 0;
        self.pieces.clear();
        self.dirty.clear();
        self.flush_requested = false;
        self.pieces.shrink_to(ARENA_BYTES_KEPT / size_of::<Piece>());
        self.dirty.shrink_to(ARENA_BYTES_KEPT / size_of::<Dirty>());
    }

    /// Gives back what the largest turn of late has taken; the arena is empty between turns.
    pub(crate) fn shrink(&mut self) {
        *self = Arena::default();
    }

    /// Whether it is time to write, though the turn goes on.
    #[inline]
    pub(crate) const fn is_flush_requested(&self) -> bool {
        self.flush_requested
    }

    /// An entry has grown.
    #[inline]
    fn check_size(&mut self, entry: u32) {
        self.flush_requested |= self.dirty[entry as usize].len > EARLY_FLUSH_BYTES
            || self.bytes.len() + self.own_bytes > ARENA_BYTES_MAX
            || self.pieces.len() > ARENA_PIECES_MAX;
    }

    /// Whether `len` bytes more fit, where one call of the service may send at most `most`.
    pub(crate) fn has_spare_capacity(&self, len: usize, most: usize) -> bool {
        let held = self.bytes.len() + self.own_bytes;
        // The first one may be longer: it would have no room in a later turn either.
        let most = if held == 0 { ARENA_BYTES_CALL_MAX } else { most };
        held + len < most && self.pieces.len() < ARENA_BYTES_CALL_MAX / size_of::<Piece>()
    }

    /// Bytes of memory held.
    pub(crate) fn held_bytes(&self) -> usize {
        self.bytes.capacity()
            + self.pieces.capacity() * size_of::<Piece>()
            + self.dirty.capacity() * size_of::<Dirty>()
    }

    /// Lets the entry's last piece grow where `range` follows it directly. Says whether it did.
    fn extend_last(&mut self, entry: u32, opaque: bool, range: &Range<u32>) -> bool {
        let last = self.dirty[entry as usize].last;
        match self.pieces.get_mut(last as usize).map(|piece| &mut piece.bytes) {
            Some(Bytes::Frames(end)) if !opaque && end.end == range.start => end.end = range.end,
            Some(Bytes::Opaque(end)) if opaque && end.end == range.start => end.end = range.end,
            _ => return false,
        }
        true
    }

    #[expect(clippy::cast_possible_truncation, reason = "bounded by ARENA_BYTES_MAX")]
    fn push(&mut self, entry: u32, bytes: Bytes) {
        let index = self.pieces.len() as u32;
        self.pieces.push(Piece { bytes, next: NONE });
        let dirty = &mut self.dirty[entry as usize];
        if dirty.first == NONE {
            dirty.first = index;
        } else {
            self.pieces[dirty.last as usize].next = index;
        }
        dirty.last = index;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(arena: &Arena, entry: u32) -> Vec<u8> {
        arena.pieces(entry as usize).flat_map(|piece| arena.slice(piece).to_vec()).collect()
    }

    #[test]
    fn outputs_that_interleave_stay_apart() {
        let mut arena = Arena::default();
        let (a, b) = (arena.enter(ConnId::from_bits(1)), arena.enter(ConnId::from_bits(2)));
        let frame = SharedFrame::text("shared");
        for part in [b"1", b"2"] {
            arena.append(a, false, |out| out.extend_from_slice(part));
            arena.append_shared(a, &frame);
            arena.append(b, false, |out| out.extend_from_slice(part));
            arena.append_shared(b, &frame);
        }
        assert_eq!(written(&arena, a), b"1\x81\x06shared2\x81\x06shared");
        assert_eq!(written(&arena, b), b"1\x81\x06shared2\x81\x06shared");
        assert_eq!(arena.dirty()[0].len, 18);
    }

    #[test]
    fn what_follows_directly_is_one_piece_unless_it_is_of_another_nature() {
        let mut arena = Arena::default();
        let a = arena.enter(ConnId::from_bits(1));
        arena.append(a, true, |out| out.extend_from_slice(b"101"));
        for _ in 0..16 {
            arena.append(a, false, |out| out.extend_from_slice(b"f"));
        }
        assert_eq!(arena.pieces(a as usize).count(), 2);
    }

    #[test]
    fn a_burst_gives_its_memory_back() {
        let mut arena = Arena::default();
        let a = arena.enter(ConnId::from_bits(1));
        arena.append(a, false, |out| out.resize(8 << 20, 0));
        arena.clear();
        assert!(arena.held_bytes() < 2 * ARENA_BYTES_KEPT && arena.dirty().is_empty());
    }
}
