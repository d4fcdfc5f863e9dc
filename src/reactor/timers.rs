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
    /// When each is due, and under which tick its one valid entry stands in the wheel.
    set: HashMap<ConnId, (Tick, Tick)>,
}

impl Timers {
    pub(crate) fn new(now: Tick) -> Timers {
        Timers { wheel: Wheel::new(now), set: HashMap::new() }
    }

    /// Sets a connection's timer, or takes it away.
    pub(crate) fn set(&mut self, id: ConnId, at: Option<Tick>) {
        let Some(at) = at else { return self.forget(id) };
        match self.set.get_mut(&id) {
            // It fires earlier than that, and is filed again: a timer that is put off needs no second entry.
            Some((due, armed)) if !at.is_before(*armed) => *due = at,
            _ => {
                let armed = self.wheel.schedule(at, id.to_bits());
                self.set.insert(id, (at, armed));
            }
        }
    }

    /// The connection is gone, or wants none any more.
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
            if now.has_reached(*due) {
                self.forget(id);
                return Some(id);
            }
            *armed = self.wheel.schedule(*due, key);
        }
    }

    /// When something may be due.
    pub(crate) fn next(&self) -> Option<Tick> {
        if self.set.is_empty() { None } else { self.wheel.next() }
    }

    /// Gives back what a burst has left.
    pub(crate) fn give_back(&mut self) {
        self.wheel.give_back();
    }

    /// Bytes of memory.
    pub(crate) fn bytes(&self) -> usize {
        self.wheel.bytes() + self.set.capacity() * size_of::<(ConnId, (Tick, Tick))>()
    }
}
