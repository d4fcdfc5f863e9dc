//! How long a drain takes.

use crate::time::Tick;

/// The time in which the connections of a worker that goes away have their turns; none, until it does.
#[derive(Debug, Default)]
pub(crate) struct DrainWindow {
    by: Option<Tick>,
}

impl DrainWindow {
    /// The worker goes away, by then at the latest.
    pub(crate) const fn open(&mut self, by: Tick) {
        self.by = Some(by);
    }

    /// Whether it goes away.
    #[inline]
    pub(crate) const fn is_open(&self) -> bool {
        self.by.is_some()
    }

    /// With more connections than it has time for, it ends later.
    pub(crate) fn extend(&mut self, to: Tick) {
        self.by = self.by.map(|by| if by.is_before(to) { to } else { by });
    }

    /// When it is over at the latest.
    #[inline]
    pub(crate) const fn end(&self) -> Option<Tick> {
        self.by
    }

    /// Whether it is over.
    #[inline]
    pub(crate) fn is_over(&self, now: Tick, is_empty: bool) -> bool {
        self.by.is_some_and(|by| is_empty || now.has_reached(by))
    }
}
