//! Timers of single connections, which their services set. A connection without one costs nothing; one has a place in a wheel of
//! its own, 16 bytes there and some 30 in a table.

use std::collections::HashMap;

use crate::reactor::ids::ConnId;
use crate::time::Tick;
use crate::time::wheel::Wheel;

/// A worker's timers.
#[derive(Debug)]
pub(crate) struct Timers {
    wheel: Wheel,
    /// When each is due, and under which tick its one valid entry stands in the wheel. One that was taken away (`None`) keeps its
    /// place until that entry fires: set again and again, it needs no second one.
    set: HashMap<ConnId, (Option<Tick>, Tick)>,
}

impl Timers {
    pub(crate) fn new(now: Tick) -> Timers {
        Timers { wheel: Wheel::new(now), set: HashMap::new() }
    }

    /// Sets a connection's timer, or takes it away.
    pub(crate) fn set(&mut self, id: ConnId, at: Option<Tick>) {
        match (self.set.get_mut(&id), at) {
            (None, None) => {}
            // It fires earlier than that, and is filed again: a timer that is put off needs no second entry.
            (Some((due, armed)), at) if at.is_none_or(|at| !at.is_before(*armed)) => *due = at,
            (_, at) => {
                let armed = at.map(|at| self.wheel.schedule(at, id.to_bits()));
                self.set.extend(armed.map(|armed| (id, (at, armed))));
            }
        }
    }

    /// When a connection's timer is due.
    pub(crate) fn of(&self, id: ConnId) -> Option<Tick> {
        self.set.get(&id)?.0
    }

    /// The connection is gone.
    pub(crate) fn forget(&mut self, id: ConnId) {
        if !self.set.is_empty() {
            self.set.remove(&id);
            self.set.shrink_to(2 * self.set.len());
        }
    }

    /// A connection whose timer is due, which has none from then on.
    pub(crate) fn pop_due(&mut self, now: Tick) -> Option<ConnId> {
        loop {
            let (tick, key) = self.wheel.pop_due(now)?;
            let id = ConnId::from_bits(key);
            let Some((due, armed)) = self.set.get_mut(&id).filter(|(_, armed)| *armed == tick) else {
                continue;
            };
            match *due {
                Some(due) if !now.has_reached(due) => *armed = self.wheel.schedule(due, key),
                due => {
                    self.forget(id);
                    if due.is_some() {
                        return Some(id);
                    }
                }
            }
        }
    }

    /// When something may be due.
    pub(crate) fn next(&self) -> Option<Tick> {
        if self.set.is_empty() { None } else { self.wheel.next() }
    }

    /// Gives back what a burst has left.
    pub(crate) fn shrink(&mut self) {
        self.wheel.shrink();
    }

    /// Bytes of memory.
    pub(crate) fn bytes(&self) -> usize {
        self.wheel.bytes() + self.set.capacity() * size_of::<(ConnId, (Option<Tick>, Tick))>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timer_that_is_set_and_taken_away_again_and_again_has_one_entry() {
        let mut timers = Timers::new(Tick(0));
        let id = ConnId::from_bits(7);
        for _ in 0..1_000 {
            timers.set(id, Some(Tick(50)));
            timers.set(id, None);
        }
        assert_eq!((timers.wheel.len(), timers.pop_due(Tick(40))), (1, None));
        assert_eq!((timers.pop_due(Tick(50)), timers.next()), (None, None), "it was taken away");
        timers.set(id, Some(Tick(90)));
        timers.set(id, None);
        timers.set(id, Some(Tick(95)));
        assert_eq!((timers.pop_due(Tick(94)), timers.next()), (None, Some(Tick(95))));
        timers.set(id, Some(Tick(95)));
        assert_eq!((timers.pop_due(Tick(95)), timers.pop_due(Tick(200))), (Some(id), None));
    }
}
