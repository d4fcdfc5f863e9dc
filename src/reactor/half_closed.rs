//! Clients that have ended their streams. Such a one may still read: what it said before is served and answered, answers that
//! other workers have a part in included, and what is queued for it leaves as far as it takes it. One that is owed nothing is
//! gone at once, so that a death that shows as the end of a stream is told without delay.

use crate::conn::Conn;
use crate::reactor::context::Context;
use crate::reactor::counters::Cause;
use crate::reactor::ids::ConnId;
use crate::reactor::service::Service;
use crate::reactor::worker::Worker;
use crate::sys::net::Net;

impl<N: Net, S: Service> Worker<N, S> {
    /// The client of an open connection has ended its stream, and all that it said was served. `cause` is what the connection
    /// has ended by when it has been answered.
    pub(crate) fn half_close(&mut self, id: ConnId, cause: Cause) {
        let by = self.core.now.tick.after(self.core.timing.close);
        if !self.core.get_mut(id).is_some_and(Conn::half_end) {
            return;
        }
        if !self.service.owes(&Context::new(&mut self.core, &self.mailboxes), id) {
            return self.end_answered(id, cause);
        }
        let Some(conn) = self.core.get_mut(id) else { return };
        conn.await_answers(by);
        self.half_closed.push((id, cause));
        self.core.arm(id);
    }

    /// Ends those that have been answered by now.
    pub(crate) fn end_half_closed(&mut self) {
        if self.half_closed.is_empty() {
            return;
        }
        for (id, cause) in std::mem::take(&mut self.half_closed) {
            if self.core.get(id).is_none_or(|conn| !conn.is_open()) {
                continue;
            }
            if self.service.owes(&Context::new(&mut self.core, &self.mailboxes), id) {
                self.half_closed.push((id, cause));
            } else {
                self.end_answered(id, cause);
            }
        }
    }

    /// One has been waited for long enough.
    pub(crate) fn give_up_answers(&mut self, id: ConnId) {
        let cause =
            self.half_closed.iter().find(|(other, _)| *other == id).map_or(Cause::Lost, |(_, cause)| *cause);
        self.end_answered(id, cause);
    }

    /// The connection is gone for the service; what is queued for its client still leaves.
    fn end_answered(&mut self, id: ConnId, cause: Cause) {
        let by = self.core.now.tick.after(self.core.timing.close);
        let Some(conn) = self.core.get_mut(id).filter(|conn| conn.is_open()) else { return };
        if !conn.has_output() {
            return self.remove(id, cause);
        }
        conn.end_by(by);
        self.tell_gone(id, cause);
        self.settle();
        self.core.arm(id);
    }
}
