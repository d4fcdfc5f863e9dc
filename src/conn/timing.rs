//! The timing that connections of a worker share: how long things are waited for, who proves life, and at which ticks
//! Pings are sent.

use serde::{Deserialize, Serialize};

use crate::limits::{PINGS_PER_ROUND, ROUNDS_PER_INTERVAL_MIN};
use crate::time::Tick;

/// The side that proves that a connection lives.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum HeartbeatMode {
    /// The server pings what has been silent.
    #[default]
    Server,
    /// No Pings: what has been silent for `client_silence` is dead.
    Client,
    /// Pings as in `Server`; the page's own heartbeats decide what a service makes of them.
    Both,
}

/// How long things are waited for, in ticks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timing {
    pub(crate) mode: HeartbeatMode,
    pub(crate) interval: u32,
    pub(crate) round: PingRound,
    pub(crate) timeout: u32,
    pub(crate) suspect: Option<u32>,
    pub(crate) client_silence: u32,
    pub(crate) handshake: u32,
    pub(crate) close: u32,
    pub(crate) drain: u32,
    pub(crate) message: u32,
    pub(crate) keep_alive: u32,
}

/// The ticks at which a worker sends Pings, a power of two apart. A Ping may leave somewhat after the interval, a death may
/// not be told late: so the first wait for company, and the worker, its peers and the system's scheduler wake once for all
/// of them. If many are due in every tick, the round is one tick.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PingRound {
    /// Ticks from one to the next, less one.
    mask: u32,
    /// The offset of this worker's rounds, so that workers take turns.
    phase: u32,
}

impl PingRound {
    /// The rounds of a worker with so many connections, each pinged once in `interval` ticks.
    pub(crate) fn of(interval: u32, worker: u16, connections: usize) -> PingRound {
        let interval = interval.max(1);
        let longest = interval / ROUNDS_PER_INTERVAL_MIN;
        let full = u64::from(interval) * PINGS_PER_ROUND / connections.max(1) as u64;
        let length = 1 << u32::try_from(full).map_or(longest, |full| full.min(longest)).max(1).ilog2();
        PingRound { mask: length - 1, phase: u32::from(worker) % length }
    }

    /// The first round at `at` or later.
    pub(crate) fn from(self, at: Tick) -> Tick {
        at.after(self.phase.wrapping_sub(at.0) & self.mask)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticks_of(interval: u32, connections: usize) -> u32 {
        PingRound::of(interval, 0, connections).mask + 1
    }

    #[test]
    fn rounds_are_as_long_as_company_has_to_be_waited_for() {
        assert_eq!([0, 1, 19_000].map(|few| ticks_of(2_500, few)), [64; 3], "640 ms of 25 s");
        assert_eq!([40_000, 100_000, 500_000, usize::MAX].map(|many| ticks_of(2_500, many)), [32, 8, 2, 1]);
        assert_eq!([0, 1, 63, 64, 400].map(|short| ticks_of(short, 9)), [1, 1, 1, 2, 8]);
    }

    #[test]
    fn a_round_is_never_before_its_time_and_workers_take_turns() {
        for (worker, expected) in [(0, [0, 64, 64]), (5, [5, 5, 69]), (69, [5, 5, 69])] {
            let round = PingRound::of(2_500, worker, 0);
            assert_eq!([0, 3, 6].map(|at| round.from(Tick(at)).0), expected);
            let wraps = round.from(Tick(u32::MAX));
            assert_eq!(wraps.since(Tick(u32::MAX)), u32::from(worker) % 64 + 1);
        }
    }
}
