//! How fast a socket takes what is queued for it: whether it takes anything, and whether that is enough.

use serde::{Deserialize, Serialize};

use crate::limits::BACKLOG_HALVES_TICKS;
use crate::time::Tick;

/// The progress of a socket on a queue.
#[derive(Debug)]
pub(super) struct DrainRate {
    /// When it last took a byte, or when the queue came to be.
    progress: Tick,
    /// Bytes that it took since then.
    taken: u64,
    /// When it had last taken half of what was queued.
    halved: Tick,
    /// `taken` when it has taken half of what was queued at `halved`.
    half: u64,
}

/// A pace as plain data, its times in ticks from now.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct PaceSnapshot {
    progress: i32,
    taken: u64,
    halved: i32,
    half: u64,
}

impl DrainRate {
    /// The rate as plain data.
    pub(super) const fn snapshot(&self, now: Tick) -> PaceSnapshot {
        let (progress, halved) = (self.progress.from_now(now), self.halved.from_now(now));
        PaceSnapshot { progress, taken: self.taken, halved, half: self.half }
    }

    /// The pace that goes on from there; `None` where none can.
    pub(super) fn restore(snapshot: PaceSnapshot, now: Tick) -> Option<DrainRate> {
        let PaceSnapshot { progress, taken, halved, half } = snapshot;
        let (progress, halved) = (Tick::at(now, progress), Tick::at(now, halved));
        (taken.max(half) <= u64::MAX / 4).then_some(DrainRate { progress, taken, halved, half })
    }

    /// The pace of a queue that comes to be.
    pub(super) const fn new(now: Tick) -> DrainRate {
        DrainRate { progress: now, taken: 0, halved: now, half: 0 }
    }

    /// When a byte was last taken.
    pub(super) const fn progress(&self) -> Tick {
        self.progress
    }

    /// Bytes that were taken.
    pub(super) const fn taken(&self) -> u64 {
        self.taken
    }

    /// When half of what was queued has to be taken. Bytes queued later don't count, or a client that is sent much would
    /// have to read faster than one that is sent little.
    pub(super) const fn halves_by(&self) -> Tick {
        self.halved.after(BACKLOG_HALVES_TICKS)
    }

    /// So many bytes were taken, which leaves so many.
    pub(super) fn note(&mut self, taken: usize, left: usize, now: Tick) {
        if taken > 0 {
            self.progress = now;
        }
        self.taken += taken as u64;
        if self.taken >= self.half {
            (self.halved, self.half) = (now, self.taken + left.div_ceil(2) as u64);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_half_is_of_what_was_queued_when_the_last_one_was_taken() {
        let mut drain_rate = DrainRate::new(Tick(0));
        drain_rate.note(10, 1_000, Tick(5));
        assert_eq!(drain_rate.halves_by(), Tick(5 + BACKLOG_HALVES_TICKS));
        // However much is queued meanwhile, 500 are the half.
        drain_rate.note(499, 1_000_000, Tick(7));
        assert_eq!(
            (drain_rate.progress(), drain_rate.halves_by()),
            (Tick(7), Tick(5 + BACKLOG_HALVES_TICKS))
        );
        drain_rate.note(1, 1_000_000, Tick(8));
        assert_eq!((drain_rate.taken(), drain_rate.halves_by()), (510, Tick(8 + BACKLOG_HALVES_TICKS)));
        drain_rate.note(499_999, 1, Tick(9));
        assert_eq!(drain_rate.halves_by(), Tick(8 + BACKLOG_HALVES_TICKS));
        drain_rate.note(1, 0, Tick(10));
        assert_eq!(drain_rate.halves_by(), Tick(10 + BACKLOG_HALVES_TICKS));
        drain_rate.note(0, 0, Tick(11));
        assert_eq!(drain_rate.progress(), Tick(10), "nothing was taken");
    }
}
