//! The names of descriptors that services watch, and what is told of them.

use crate::sys::net::Ready;

/// A descriptor that a service watches.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WatchId {
    pub(crate) service: u8,
    /// The number that the service gave it.
    pub number: u64,
}

/// The state of a descriptor.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Readiness {
    /// There is something to read, or the other side is gone.
    pub readable: bool,
    /// There is room to write.
    pub writable: bool,
    /// It can't be watched: the system has no room for it. Nothing else will be told of it.
    pub failed: bool,
}

/// The most that a descriptor's number may be.
pub const WATCH_NUMBER_MAX: u64 = (1 << SERVICE_SHIFT) - 1;
const SERVICE_SHIFT: u32 = 56;

impl WatchId {
    /// The token of its events.
    #[must_use]
    pub const fn token(self) -> u64 {
        Ready::WATCHED | (self.service as u64) << SERVICE_SHIFT | self.number & WATCH_NUMBER_MAX
    }

    /// The inverse of [`WatchId::token`].
    #[must_use]
    pub const fn of_token(token: u64) -> WatchId {
        WatchId { service: (token >> SERVICE_SHIFT) as u8 & 0xf, number: token & WATCH_NUMBER_MAX }
    }
}
