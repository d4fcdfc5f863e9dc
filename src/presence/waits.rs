//! Connections that were handed over by another home and are yet to come: until when each user and each member is waited for.

use std::collections::VecDeque;

use crate::presence::name::Name;
use crate::time::Tick;

/// What an import has brought that is waited for.
#[derive(Clone, Debug)]
pub(crate) enum Awaited {
    /// A user's connections.
    User { slot: u32, serial: u32 },
    /// A member's.
    Member { slot: u32, serial: u32, user: Name },
}

/// Users and members whose connections were handed over, and until when these are waited for.
#[derive(Debug, Default)]
pub(crate) struct Waits {
    /// By their ends, which are few: a turn's records that are waited for equally long share one.
    ends: VecDeque<(Tick, VecDeque<Awaited>)>,
}

impl Waits {
    pub(crate) fn add(&mut self, until: Tick, awaited: Option<Awaited>) {
        let Some(awaited) = awaited else { return };
        // Nothing is waited for longer than half the ticks there are, so that this is an order.
        let at = self.ends.partition_point(|(end, _)| end.is_before(until));
        match self.ends.get_mut(at) {
            Some((end, all)) if *end == until => all.push_back(awaited),
            _ => self.ends.insert(at, (until, VecDeque::from([awaited]))),
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        let all: usize = self.ends.iter().map(|(_, all)| all.capacity()).sum();
        self.ends.capacity() * size_of::<(Tick, VecDeque<Awaited>)>() + all * size_of::<Awaited>()
    }

    #[inline]
    pub(crate) fn due(&self) -> Option<Tick> {
        self.ends.front().map(|(until, _)| *until)
    }

    pub(crate) fn take(&mut self, now: Tick) -> Option<Awaited> {
        let (_, all) = self.ends.front_mut().filter(|(until, _)| now.has_reached(*until))?;
        let awaited = all.pop_front();
        if all.is_empty() {
            self.ends.pop_front();
        }
        if self.ends.is_empty() {
            self.ends = VecDeque::new();
        }
        awaited
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shortest_wait_ends_first_whenever_it_began() {
        let mut waits = Waits::default();
        // Over the wrap of the ticks.
        let first = Tick(u32::MAX - 5);
        for (slot, ticks) in [(1, 9), (2, 3), (3, 20), (4, 3), (5, 9)] {
            waits.add(first.after(ticks), Some(Awaited::User { slot, serial: 0 }));
        }
        let take = |waits: &mut Waits, ticks| match waits.take(first.after(ticks)) {
            Some(Awaited::User { slot, .. }) => slot,
            _ => 0,
        };
        assert_eq!((waits.due(), take(&mut waits, 2)), (Some(first.after(3)), 0));
        assert_eq!([3, 3, 3].map(|ticks| take(&mut waits, ticks)), [2, 4, 0]);
        assert_eq!([9, 9, 19, 20].map(|ticks| take(&mut waits, ticks)), [1, 5, 0, 3]);
        assert_eq!((waits.due(), waits.bytes()), (None, 0));
    }
}
