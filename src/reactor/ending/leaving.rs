//! Connections on their way out: those that a write has brought to their end, and those whose clients have ended their streams and
//! are still answered.

use std::mem;

use crate::reactor::counters::Cause;
use crate::reactor::ids::ConnId;

/// Places of a list that outlast a burst.
const KEPT: usize = 64;

/// Both, with what they will have ended by.
#[derive(Debug, Default)]
pub(crate) struct LeavingConns {
    finished: Vec<(ConnId, Cause)>,
    half_closed: Vec<(ConnId, Cause)>,
}

impl LeavingConns {
    /// A write has brought the connection to its end: it is removed when all have been written.
    pub(crate) fn finish(&mut self, id: ConnId, cause: Cause) {
        self.finished.push((id, cause));
    }

    /// Takes one that is to be removed.
    #[inline]
    pub(crate) fn next_finished(&mut self) -> Option<(ConnId, Cause)> {
        self.finished.pop()
    }

    /// An open connection waits for its last answers.
    pub(crate) fn await_answers(&mut self, id: ConnId, cause: Cause) {
        self.half_closed.push((id, cause));
    }

    /// Whether one does.
    #[inline]
    pub(crate) const fn has_half_closed(&self) -> bool {
        !self.half_closed.is_empty()
    }

    /// Takes all that do.
    pub(crate) fn take_half_closed(&mut self) -> Vec<(ConnId, Cause)> {
        mem::take(&mut self.half_closed)
    }

    /// The cause by which a connection that waits for its last answers will have ended.
    pub(crate) fn cause_of(&self, id: ConnId) -> Option<Cause> {
        self.half_closed.iter().find(|(other, _)| *other == id).map(|(_, cause)| *cause)
    }

    /// The connection goes on elsewhere: nobody here waits for its last answers.
    pub(crate) fn forget(&mut self, id: ConnId) {
        self.half_closed.retain(|(other, _)| *other != id);
    }

    /// Gives back what a burst has left.
    pub(crate) fn shrink(&mut self) {
        self.finished.shrink_to(KEPT);
        self.half_closed.shrink_to(KEPT);
    }
}
