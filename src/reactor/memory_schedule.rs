//! When a worker's memory is measured and given back: once a second while anything happens, and for a minute behind many
//! connections that came or went, since their graces and deadlines end in that time. If memory has a ceiling, it is
//! measured once more after the last bytes were received, since those may have made it grow.

use crate::slots::CHUNK;
use crate::time::Tick;

/// Ticks between two weighings.
const WEIGH_TICKS: u32 = 100;
/// Ticks for which memory goes on being measured when many have come or gone.
const SETTLE_TICKS: u32 = 6_000;

/// When that is.
#[derive(Debug)]
pub(crate) struct MemorySchedule {
    /// At the earliest.
    at: Tick,
    /// Connections when it was done last.
    connections: usize,
    /// Bytes received until then.
    received: u64,
    /// Until then what many who came or went have left may still shrink.
    settled_at: Tick,
}

impl MemorySchedule {
    pub(crate) fn new(now: Tick) -> MemorySchedule {
        MemorySchedule { at: now, connections: 0, received: 0, settled_at: now }
    }

    /// Whether its time has come.
    #[inline]
    pub(crate) fn is_due(&self, now: Tick) -> bool {
        now.has_reached(self.at)
    }

    /// Whether so many connections are far more or fewer than they were: an idle worker wakes for nothing less.
    pub(crate) fn has_moved(&self, connections: usize) -> bool {
        connections.abs_diff(self.connections) >= CHUNK
    }

    /// Whether anything was received since.
    pub(crate) fn has_heard(&self, received: u64) -> bool {
        received != self.received
    }

    /// When an idle worker has to wake for it; `worth` says whether there is something to look at.
    #[inline]
    pub(crate) fn wakes(&self, now: Tick, worth: impl FnOnce() -> bool) -> Option<Tick> {
        (!now.has_reached(self.settled_at) || worth()).then_some(self.at)
    }

    /// It is done, with so many connections and bytes received; `worth`: there was something to give back.
    pub(crate) fn done(&mut self, now: Tick, connections: usize, received: u64, worth: bool) {
        if worth {
            self.settled_at = now.after(SETTLE_TICKS);
        }
        self.at = now.after(WEIGH_TICKS);
        self.connections = connections;
        self.received = received;
    }
}
