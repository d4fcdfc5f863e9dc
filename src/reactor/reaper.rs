//! Connections that were declared dead and have yet to be cleared away. The service knows of a death at once, so that the news is
//! out in the same turn; to close a socket takes ten times as long, and thousands may die in one tick: of many a share goes in
//! each tick.

use std::collections::VecDeque;

use crate::limits::{DEAD_AT_ONCE_MAX, DEAD_PER_TICK, DEAD_TICKS, DEAD_WAIT_TICKS};
use crate::reactor::ids::ConnId;
use crate::time::Tick;

/// Places of the queue that outlast a burst.
const KEPT: usize = 64;

/// The dead of a worker.
#[derive(Debug)]
pub(crate) struct Reaper {
    to_reap: VecDeque<ConnId>,
    /// When the next share is due, where there are many.
    due: Tick,
}

impl Reaper {
    pub(crate) fn new(now: Tick) -> Reaper {
        Reaper { to_reap: VecDeque::new(), due: now }
    }

    /// One more is dead. Of many the first wait until all workers have had time to tell of theirs.
    pub(crate) fn add(&mut self, id: ConnId, now: Tick) {
        if self.to_reap.is_empty() {
            self.due = now.after(DEAD_WAIT_TICKS);
        }
        self.to_reap.push_back(id);
    }

    /// When the next are cleared away, if any are.
    #[inline]
    pub(crate) fn due(&self) -> Option<Tick> {
        (!self.to_reap.is_empty()).then_some(self.due)
    }

    /// Takes a tick's share of the dead, that of one of so many workers; none where they may wait.
    pub(crate) fn share(&mut self, now: Tick, workers: usize) -> Vec<ConnId> {
        let may_wait = self.to_reap.len() > DEAD_AT_ONCE_MAX && !now.has_reached(self.due);
        if self.to_reap.is_empty() || may_wait {
            return Vec::new();
        }
        // A turn may take many ticks: their shares are not lost, or the dead would wait for longer than their time.
        let late = if now.has_reached(self.due) { now.since(self.due) as usize } else { 0 };
        self.due = now.after(1);
        let least = (DEAD_PER_TICK / workers).max(1);
        let share = (self.to_reap.len() / DEAD_TICKS).max(least) * (1 + late.min(DEAD_TICKS));
        self.to_reap.drain(..share.min(self.to_reap.len())).collect()
    }

    /// Gives back what a burst has left.
    pub(crate) fn shrink(&mut self) {
        self.to_reap.shrink_to(KEPT);
    }

    /// Bytes of memory.
    pub(crate) fn bytes(&self) -> usize {
        self.to_reap.capacity() * size_of::<ConnId>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: ConnId = ConnId { key: 1, generation: 1 };

    #[test]
    fn few_go_at_once_and_many_in_shares_when_all_were_told() {
        let mut reaper = Reaper::new(Tick(0));
        assert!(reaper.due().is_none() && reaper.share(Tick(5), 1).is_empty());
        reaper.add(ID, Tick(5));
        assert_eq!((reaper.share(Tick(5), 1).len(), reaper.due()), (1, None));
        let many = DEAD_AT_ONCE_MAX + 10 * DEAD_PER_TICK;
        (0..many).for_each(|_| reaper.add(ID, Tick(9)));
        let due = Tick(9).after(DEAD_WAIT_TICKS);
        assert_eq!((reaper.share(Tick(9), 1).len(), reaper.due()), (0, Some(due)));
        let first = reaper.share(due, 1).len();
        assert!((DEAD_PER_TICK..many).contains(&first), "{first}");
        assert_eq!(reaper.due(), Some(due.after(1)));
        assert!(reaper.share(due, 1).is_empty(), "one share a tick");
    }

    #[test]
    fn shares_of_ticks_that_a_turn_took_are_not_lost() {
        let clear = |late: u32| {
            let mut reaper = Reaper::new(Tick(0));
            (0..100 * DEAD_PER_TICK).for_each(|_| reaper.add(ID, Tick(0)));
            reaper.share(Tick(DEAD_WAIT_TICKS + late), 1).len()
        };
        assert_eq!(clear(3), 4 * clear(0));
    }
}
