//! Connections that their services do not want to be read for a while.

use std::collections::HashSet;

use crate::reactor::ids::ConnId;

/// A worker's.
#[derive(Debug, Default)]
pub(crate) struct Pauses {
    paused: HashSet<ConnId>,
    /// Connections that are to be read again.
    resumed: Vec<ConnId>,
}

impl Pauses {
    pub(crate) fn pause(&mut self, id: ConnId) {
        self.paused.insert(id);
    }

    /// Says whether it was paused.
    pub(crate) fn resume(&mut self, id: ConnId) -> bool {
        let was = self.forget(id);
        if was {
            self.resumed.push(id);
        }
        was
    }

    /// Whether the service does not want the connection to be read.
    #[inline]
    pub(crate) fn has(&self, id: ConnId) -> bool {
        !self.paused.is_empty() && self.paused.contains(&id)
    }

    /// The connection is gone, or is to be read again. Says whether it was paused.
    pub(crate) fn forget(&mut self, id: ConnId) -> bool {
        !self.paused.is_empty() && {
            let was = self.paused.remove(&id);
            self.paused.shrink_to(2 * self.paused.len());
            was
        }
    }

    /// Takes one that is to be read again.
    pub(crate) fn next_resumed(&mut self) -> Option<ConnId> {
        self.resumed.pop()
    }

    pub(crate) fn has_resumed(&self) -> bool {
        !self.resumed.is_empty()
    }
}
