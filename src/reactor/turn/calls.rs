//! The state that one turn leaves for the next: when the service is called again, and how many had upgraded.

use std::mem;

use crate::time::Tick;

/// It.
#[derive(Debug)]
pub(crate) struct Calls {
    /// When the service wants to be called.
    due: Option<Tick>,
    /// When it was called last.
    called: Tick,
    /// Upgrades before this turn.
    upgrades: u64,
}

impl Calls {
    pub(crate) const fn new(now: Tick) -> Calls {
        Calls { due: Some(now), called: now, upgrades: 0 }
    }

    /// When the service wants to be called.
    #[inline]
    pub(crate) const fn due(&self) -> Option<Tick> {
        self.due
    }

    /// When it was called last.
    pub(crate) const fn called(&self) -> Tick {
        self.called
    }

    /// The service was called, and wants to be again by `due`.
    #[inline]
    pub(crate) const fn done(&mut self, now: Tick, due: Option<Tick>) {
        (self.due, self.called) = (due, now);
    }

    /// The service has been told of an end: where that comes behind its call of this turn, it may want to be called sooner than it
    /// said there.
    #[inline]
    pub(crate) const fn recall(&mut self, now: Tick) {
        self.due = Some(now);
    }

    /// Upgrades in a turn at whose end there were so many.
    #[inline]
    pub(crate) const fn upgrades(&mut self, all: u64) -> u64 {
        all.wrapping_sub(mem::replace(&mut self.upgrades, all))
    }
}
