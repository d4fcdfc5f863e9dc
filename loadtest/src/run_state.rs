//! What the threads of a run and the one that conducts it tell each other: moments and quotas down, counts up.
//!
//! All of it is atomics that each thread stores once a turn into cache lines of its own; nothing waits for anything.

use std::sync::Arc;
use std::sync::atomic::{
    AtomicBool, AtomicU64, AtomicUsize,
    Ordering::{Relaxed, Release},
};

use crate::clock::Clock;

/// A moment that has not been set.
pub const UNSET: u64 = u64::MAX;

/// The state of one run that all its threads see.
#[derive(Debug)]
pub struct RunState {
    pub clock: Clock,
    /// How many connections all threads together may have tried to open so far.
    pub quota: AtomicUsize,
    /// When load begins; `start <= from <= until`, each [`UNSET`] before it is known.
    pub start: AtomicU64,
    /// When the warm-up ends and measuring begins.
    pub from: AtomicU64,
    /// When measuring ends, and no more load is put on.
    pub until: AtomicU64,
    /// Set by Ctrl-C: end at once, and report.
    pub stop: Arc<AtomicBool>,
    /// Threads that have not ended.
    pub running: AtomicUsize,
    threads: Box<[ThreadCounts]>,
}

/// Counts of one thread as of its last turn, or the sums over all threads.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts<T = u64> {
    /// Connections opened so far, those that could not be, and those open now.
    pub opened: T,
    pub failed: T,
    pub live: T,
    /// Errors of all kinds.
    pub errors: T,
    /// Connections that are more than open: joined, say.
    pub ready: T,
    /// Messages that came back, or were delivered, or whatever the scenario counts.
    pub messages: T,
    pub pings: T,
}

/// One thread's, in cache lines of its own.
#[derive(Debug, Default)]
#[repr(align(128))]
struct ThreadCounts(Counts<AtomicU64>);

impl RunState {
    /// A state for `threads` threads, with nothing allowed yet.
    pub fn new(threads: usize, stop: Arc<AtomicBool>) -> RunState {
        RunState {
            clock: Clock::start(),
            quota: AtomicUsize::new(0),
            start: AtomicU64::new(UNSET),
            from: AtomicU64::new(UNSET),
            until: AtomicU64::new(UNSET),
            stop,
            running: AtomicUsize::new(threads),
            threads: (0..threads).map(|_| ThreadCounts::default()).collect(),
        }
    }

    /// The counts of thread `index`, for it to store.
    pub fn thread(&self, index: usize) -> &Counts<AtomicU64> {
        &self.threads[index].0
    }

    /// The part of the quota that is thread `index`'s: parts differ by at most one.
    pub fn share(&self, index: usize) -> usize {
        share(self.quota.load(Relaxed), index, self.threads.len())
    }

    /// Whether the run has to end now.
    pub fn stopped(&self) -> bool {
        self.stop.load(Relaxed)
    }

    /// Sets when load begins, when measuring begins and when both end.
    pub fn set_window(&self, start: u64, from: u64, until: u64) {
        self.until.store(until, Relaxed);
        self.from.store(from, Relaxed);
        self.start.store(start, Release);
    }

    /// The sums as of each thread's last turn.
    pub fn counts(&self) -> Counts {
        let sum = |get: fn(&Counts<AtomicU64>) -> &AtomicU64| {
            self.threads.iter().map(|thread| get(&thread.0).load(Relaxed)).sum()
        };
        Counts {
            opened: sum(|thread| &thread.opened),
            failed: sum(|thread| &thread.failed),
            live: sum(|thread| &thread.live),
            errors: sum(|thread| &thread.errors),
            ready: sum(|thread| &thread.ready),
            messages: sum(|thread| &thread.messages),
            pings: sum(|thread| &thread.pings),
        }
    }
}

/// Part `index` of `total` split over `parts`.
pub fn share(total: usize, index: usize, parts: usize) -> usize {
    total * (index + 1) / parts - total * index / parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_add_up_and_differ_by_at_most_one() {
        for (total, parts) in [(1_000_000, 52), (7, 3), (2, 5), (0, 4)] {
            let shares: Vec<usize> = (0..parts).map(|index| share(total, index, parts)).collect();
            assert_eq!(shares.iter().sum::<usize>(), total);
            assert!(shares.iter().max().unwrap() - shares.iter().min().unwrap() <= 1);
        }
    }
}
