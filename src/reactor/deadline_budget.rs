//! How much a turn does about deadlines that are due: so many of them, so many connections removed for them, and so much read
//! once more before one is called dead. The rest is overdue, and comes first in the next turn.

use crate::limits::{
    DEADLINE_SHARE_TICKS, DEADLINE_SHARES_MAX, DEADLINES_PER_TURN_MAX, ENTRIES_PER_DEADLINE,
    LATE_UNITS_PER_TURN, REMOVED_PER_TURN_MAX,
};
use crate::reactor::work::parts;
use crate::time::Tick;

/// A worker's budget, and what this turn has spent of it.
#[derive(Debug)]
pub(crate) struct DeadlineBudget {
    /// Deadlines that may still be acted on.
    left: usize,
    /// Connections removed in this deadline pass.
    removals: usize,
    /// Work of reading once more, in parts of a unit.
    late: u64,
    /// Some deadline was due that the last turn had no time for.
    overdue: bool,
    /// When deadlines fired last.
    fired_at: Tick,
}

impl DeadlineBudget {
    pub(crate) fn new(now: Tick) -> DeadlineBudget {
        DeadlineBudget { left: 0, removals: 0, late: 0, overdue: false, fired_at: now }
    }

    /// Deadlines begin to fire: where the last turn left some behind, the more of them the longer it took. Returns how many
    /// entries of the wheel may be looked at.
    pub(crate) fn begin(&mut self, now: Tick) -> usize {
        let took = if self.overdue { now.since(self.fired_at) } else { 0 };
        let shares = (1 + took / DEADLINE_SHARE_TICKS).min(DEADLINE_SHARES_MAX);
        self.left = shares as usize * DEADLINES_PER_TURN_MAX;
        (self.removals, self.late) = (0, 0);
        self.fired_at = now;
        self.left * ENTRIES_PER_DEADLINE
    }

    /// Whether one more may fire.
    #[inline]
    pub(crate) fn has_time(&self) -> bool {
        // A room's slow members all end in the same tick.
        self.left > 0 && self.late < parts(LATE_UNITS_PER_TURN) && self.removals < REMOVED_PER_TURN_MAX
    }

    /// A deadline was acted on.
    #[inline]
    pub(crate) fn acted(&mut self) {
        self.left -= 1;
    }

    /// A connection was removed, which took as much work as so many.
    #[inline]
    pub(crate) fn removed(&mut self, removals: usize) {
        self.removals += removals;
    }

    /// A connection was read once more, which took so many parts of a unit.
    pub(crate) fn read_late(&mut self, parts: u64) {
        self.late += parts;
    }

    /// No more fire in this turn; `overdue` says whether some are still due.
    #[inline]
    pub(crate) fn end(&mut self, overdue: bool) {
        self.overdue = overdue;
    }

    /// Whether some deadline is due that there was no time for.
    #[inline]
    pub(crate) fn is_overdue(&self) -> bool {
        self.overdue
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_ends_at_whichever_bound_comes_first() {
        let mut budget = DeadlineBudget::new(Tick(0));
        assert!(!budget.has_time(), "before it has begun");
        type Spend = fn(&mut DeadlineBudget);
        let spends: [(Spend, usize); 3] = [
            (DeadlineBudget::acted, DEADLINES_PER_TURN_MAX),
            (|budget| budget.removed(1), REMOVED_PER_TURN_MAX),
            (|budget| budget.read_late(parts(1)), LATE_UNITS_PER_TURN as usize),
        ];
        for (spend, most) in spends {
            budget.begin(Tick(1));
            let times = std::iter::from_fn(|| budget.has_time().then(|| spend(&mut budget))).count();
            assert_eq!(times, most);
        }
    }

    #[test]
    fn what_was_left_behind_gets_more_the_longer_the_turn_took() {
        let mut budget = DeadlineBudget::new(Tick(0));
        let once = budget.begin(Tick(0));
        budget.end(false);
        assert_eq!(budget.begin(Tick(100 * DEADLINE_SHARE_TICKS)), once, "nothing was left");
        budget.end(true);
        let later = |shares: u32| Tick(100 * DEADLINE_SHARE_TICKS + shares * DEADLINE_SHARE_TICKS);
        assert_eq!(budget.begin(later(1)), 2 * once);
        assert_eq!(budget.begin(later(1 + 1_000_000)), DEADLINE_SHARES_MAX as usize * once);
    }
}
