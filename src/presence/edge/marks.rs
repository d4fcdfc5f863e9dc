//! Marks of a client: each is there or not, all in a byte.

/// Marks of a client.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Marks(u8);

/// One of them.
#[derive(Clone, Copy, Debug)]
pub(super) enum Mark {
    /// A timer watches the page's own heartbeat.
    Timed = 1,
    /// The client takes bytes as they are.
    TakesBytes = 2,
}

impl Marks {
    pub(super) const fn has(self, mark: Mark) -> bool {
        self.0 & mark as u8 != 0
    }

    /// Sets a mark or takes it away; says whether it was there before.
    pub(super) fn set(&mut self, mark: Mark, is: bool) -> bool {
        let was = self.has(mark);
        self.0 = if is { self.0 | mark as u8 } else { self.0 & !(mark as u8) };
        was
    }
}
