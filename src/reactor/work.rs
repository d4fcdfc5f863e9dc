//! What a turn's work costs, in units of about a microsecond, so that it can be shared out: whoever asks for much of it is
//! served a share and waits for the next turn, and whoever asks for little does not notice.

/// The work of what is being served.
#[derive(Debug, Default)]
pub(crate) struct Work {
    /// Units since [`Work::begin`].
    spent: u32,
}

impl Work {
    /// Adds to what the one that is being served has cost.
    #[inline]
    pub(crate) fn charge(&mut self, units: u32) {
        self.spent = self.spent.saturating_add(units);
    }
}
