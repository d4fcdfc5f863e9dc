//! Finds the worker with the connection that holds most, where memory is short. Each reading that finds it short begins a
//! round: all workers are woken, and each says once in it what its heaviest connection holds.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

/// Rounds in which a worker that says nothing is waited for, and for which what it has said counts.
const ROUNDS: u32 = 2;

/// A round of a shortage.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct ShedRound {
    /// The first of this shortage.
    first: u32,
    number: u32,
}

/// The rounds of all shortages.
#[derive(Debug, Default)]
pub(crate) struct ShedRounds {
    /// The first round of the shortage, zero where there is none, and the number of the last round of any.
    both: AtomicU64,
    /// The last round in which somebody was ended.
    ended: AtomicU32,
}

impl ShedRounds {
    /// Memory was read: one more round begins where it is short. One worker at a time reads it.
    pub(crate) fn read(&self, is_short: bool) {
        let (first, number) = halves(self.both.load(Relaxed));
        let both = match (is_short, first) {
            (false, _) => joined(0, number),
            (true, 0) => joined(number + 1, number + 1),
            (true, first) => joined(first, number + 1),
        };
        self.both.store(both, Relaxed);
    }

    /// The round of this moment.
    #[inline]
    pub(crate) fn now(&self) -> Option<ShedRound> {
        let (first, number) = halves(self.both.load(Relaxed));
        (first > 0).then_some(ShedRound { first, number })
    }

    /// Whether somebody may be ended in that round: one is, by who asks first.
    pub(crate) fn end_one(&self, round: ShedRound) -> bool {
        self.ended.fetch_max(round.number, Relaxed) < round.number
    }

    /// Somebody was ended: a reading that was made meanwhile may not know it, and ends nobody.
    pub(crate) fn ended_one(&self) {
        let (_, number) = halves(self.both.load(Relaxed));
        self.ended.fetch_max(number, Relaxed);
    }
}

/// How much a worker's heaviest connection held, and in which round it said so.
#[derive(Debug, Default)]
pub(crate) struct Heaviest(AtomicU64);

impl Heaviest {
    pub(crate) fn set(&self, round: ShedRound, bytes: usize) {
        self.0.store(joined(round.number, u32::try_from(bytes).unwrap_or(u32::MAX)), Relaxed);
    }

    /// Whether it was said in that round.
    #[inline]
    pub(crate) fn is_of(&self, round: ShedRound) -> bool {
        halves(self.0.load(Relaxed)).0 == round.number
    }

    /// `None` where the worker has yet to say it in this shortage; zero where it is not waited for, or no longer.
    pub(crate) fn bytes(&self, round: ShedRound) -> Option<usize> {
        let (said, bytes) = halves(self.0.load(Relaxed));
        if said < round.first {
            return (round.number - round.first >= ROUNDS).then_some(0);
        }
        // It may have heard of a later one already.
        let is_new = round.number.saturating_sub(said) <= ROUNDS;
        Some(if is_new { bytes as usize } else { 0 })
    }
}

fn joined(high: u32, low: u32) -> u64 {
    u64::from(high) << 32 | u64::from(low)
}

#[expect(clippy::cast_possible_truncation, reason = "the halves of it")]
fn halves(both: u64) -> (u32, u32) {
    ((both >> 32) as u32, both as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_said_in_an_earlier_shortage_does_not_count() {
        let (rounds, heaviest) = (ShedRounds::default(), Heaviest::default());
        assert_eq!(rounds.now(), None);
        rounds.read(true);
        let round = rounds.now().unwrap();
        assert_eq!((heaviest.is_of(round), heaviest.bytes(round)), (false, None));
        heaviest.set(round, 7);
        assert_eq!((heaviest.is_of(round), heaviest.bytes(round)), (true, Some(7)));
        rounds.read(false);
        assert_eq!(rounds.now(), None);
        rounds.read(true);
        let again = rounds.now().unwrap();
        assert_eq!((heaviest.is_of(again), heaviest.bytes(again)), (false, None));
    }

    #[test]
    fn a_silent_worker_is_waited_for_and_counts_for_two_rounds() {
        let (rounds, silent, hushed) = (ShedRounds::default(), Heaviest::default(), Heaviest::default());
        let mut seen = Vec::new();
        for round in 0..4 {
            rounds.read(true);
            let now = rounds.now().unwrap();
            if round == 0 {
                hushed.set(now, 7);
            }
            seen.push((silent.bytes(now), hushed.bytes(now)));
        }
        let first = (None, Some(7));
        assert_eq!(seen, [first, first, (Some(0), Some(7)), (Some(0), Some(0))]);
    }

    #[test]
    fn one_ends_in_a_round_and_the_next_where_memory_was_read_again() {
        let rounds = ShedRounds::default();
        for _ in 0..3 {
            rounds.read(true);
            let round = rounds.now().unwrap();
            assert_eq!([rounds.end_one(round), rounds.end_one(round)], [true, false]);
        }
        rounds.read(true);
        rounds.ended_one();
        assert!(!rounds.end_one(rounds.now().unwrap()), "it was read before what ended was free");
    }
}
