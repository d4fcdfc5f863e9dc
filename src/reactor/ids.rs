//! Names for connections, requests and workers.

/// A connection of one worker: its place in the slab, and the generation that tells it from an earlier connection in
/// the same place.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ConnId {
    pub(crate) key: u32,
    pub(crate) generation: u32,
}

impl ConnId {
    /// Both halves in one word, as an event's token carries them.
    #[must_use]
    pub const fn to_bits(self) -> u64 {
        (self.generation as u64) << 32 | self.key as u64
    }

    /// The inverse of [`ConnId::to_bits`].
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "the two halves of the word")]
    pub const fn from_bits(bits: u64) -> ConnId {
        ConnId { key: bits as u32, generation: (bits >> 32) as u32 }
    }
}

/// An HTTP request that waits for its answer.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct RequestId {
    /// The connection it came in on.
    pub conn: ConnId,
    pub(crate) serial: u32,
}

/// A worker, counted from 0.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct WorkerId(pub u16);

impl WorkerId {
    /// As an index.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

impl std::fmt::Display for WorkerId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)
    }
}
