//! The small words of a connection's state: its heartbeat, and what may be true of it beside its life.

use serde::{Deserialize, Serialize};

use crate::time::Tick;

/// The heartbeat of an open connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum PingState {
    /// The first Ping goes out at this tick, whatever is heard: a random point, so that connections that came together
    /// are not pinged together.
    First(Tick),
    /// The next Ping goes out when the connection has been silent for the interval.
    Quiet,
    /// A Ping waits for the socket.
    Queued,
    /// A Ping left at this tick, and nothing was heard since.
    Waiting(Tick),
}

/// A [`PingState`] without its tick, which would stand in four bytes of its own beside it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) enum PackedPingState {
    First,
    Quiet,
    Queued,
    Waiting,
}

/// Facts about a connection beside its life.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum Flag {
    /// A Ping with our timestamp has not been answered.
    AwaitsPong = 1 << 0,
    /// It stands in the worker's list of connections with more to read.
    Listed = 1 << 1,
    /// It isn't read until its backlog is gone.
    Paused = 1 << 2,
    /// The peer's stream has ended, or nothing that it might still send matters.
    Ended = 1 << 3,
    /// It ends after the next write, whatever the socket takes of it.
    Cut = 1 << 4,
    /// `deadline` is its turn to go in a drain.
    Drains = 1 << 5,
    /// The service was told that it may be dead.
    Suspect = 1 << 6,
    /// A request of it has been answered.
    Served = 1 << 7,
}

/// The [`Flag`]s that are set.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Flags(u8);

impl Flags {
    pub(super) const fn has(self, flag: Flag) -> bool {
        self.0 & flag as u8 != 0
    }

    pub(super) const fn set(&mut self, flag: Flag) {
        self.0 |= flag as u8;
    }

    pub(super) const fn clear(&mut self, flag: Flag) {
        self.0 &= !(flag as u8);
    }

    /// Clears one; says whether it was set.
    pub(super) const fn take(&mut self, flag: Flag) -> bool {
        let was = self.has(flag);
        self.clear(flag);
        was
    }
}
