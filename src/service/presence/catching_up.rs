//! Answers that have much to say, what was said before: a client gets one when it has room for it.

use std::collections::HashMap;

use crate::reactor::ConnId;

/// Clients that want such an answer and have no room for it, and their slots.
#[derive(Debug, Default)]
pub(super) struct CatchingUp {
    /// Their sockets have not taken what was queued: they are heard of when these have.
    pub(super) draining: HashMap<ConnId, u32>,
    /// Looked at in the next turn.
    pub(super) next: Vec<(ConnId, u32)>,
}

impl CatchingUp {
    /// Whether some are to be looked at in the next turn.
    pub(super) const fn is_due(&self) -> bool {
        !self.next.is_empty()
    }

    /// A connection is gone.
    pub(super) fn forget(&mut self, conn: ConnId) {
        if !self.draining.is_empty() {
            self.draining.remove(&conn);
        }
    }
}
