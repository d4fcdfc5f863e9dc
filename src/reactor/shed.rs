//! What is done about those who are in where the server holds more memory than it may: once a second the connection that
//! makes it hold most ends, of all workers, until it fits. Workers that sleep are woken to say what theirs hold, and nobody ends
//! before all have said it, but for a worker that says nothing for two seconds.

use tracing::warn;

use crate::conn::{Conn, Life};
use crate::limits::SHED_BYTES_MIN;
use crate::reactor::context::Context;
use crate::reactor::counters::Cause;
use crate::reactor::heaviest::Round;
use crate::reactor::ids::ConnId;
use crate::reactor::mailbox::Mailbox;
use crate::reactor::service::Service;
use crate::reactor::worker::Worker;
use crate::sys::net::Net;
use crate::wire::close::{Close, CloseCode};
use crate::wire::http::Refusal;

const SHORT: &str = "the server is short of memory";

impl<N: Net, S: Service> Worker<N, S> {
    /// Memory was just read: where it is short, each worker is woken to say what its heaviest connection holds.
    pub(crate) fn ask_all(&mut self) {
        let is_short = self.core.memory_shortage().is_some();
        self.core.fleet.rounds.read(is_short);
        if is_short {
            self.mailboxes.iter().for_each(Mailbox::ring);
        }
    }

    /// Where there is not enough memory: says once in a round what the heaviest connection holds, and ends it where it is the
    /// heaviest of all workers'.
    #[inline]
    pub(crate) fn shed(&mut self) {
        let Some(round) = self.core.fleet.rounds.now() else { return };
        if !self.state().heaviest.is_of(round) && self.core.memory_shortage().is_some() {
            self.shed_in(round);
        }
    }

    #[cold]
    fn shed_in(&mut self, round: Round) {
        let own = self.core.id.index();
        let [(bytes, heaviest), (next, _)] = self.two_heaviest();
        // What is compared is what each worker found: the first look at a shortage ends nobody.
        let is_first = self.state().heaviest.bytes(round).is_none();
        self.state().heaviest.set(round, bytes);
        let others = self.core.fleet.workers().iter().enumerate().filter(|(worker, _)| *worker != own);
        // One that has yet to say it may have a heavier one.
        let is_lighter = |(worker, theirs): (usize, Option<usize>)| {
            theirs.is_some_and(|theirs| (theirs, own) <= (bytes, worker))
        };
        let is_most = others.map(|(worker, state)| (worker, state.heaviest.bytes(round))).all(is_lighter);
        let Some(id) = heaviest.filter(|_| bytes >= SHED_BYTES_MIN && is_most && !is_first) else { return };
        if self.core.fleet.rounds.end_one(round) {
            warn!(bytes, "short of memory: the connection that holds most is closed");
            self.shed_one(id);
            self.core.fleet.rounds.ended_one();
            self.state().heaviest.set(round, next);
        }
    }

    /// The two connections that hold most, and how much.
    fn two_heaviest(&self) -> [(usize, Option<ConnId>); 2] {
        // Whoever is on the way out is waited for by a deadline.
        let stays = |conn: &&Conn| matches!(conn.life(), Life::Open | Life::Http);
        let conns = self.core.conns().filter(|(_, conn)| stays(conn));
        conns.fold([(0, None); 2], |[most, next], (id, _)| {
            let bytes = self.core.burden(id);
            if bytes > most.0 {
                [(bytes, Some(id)), most]
            } else if bytes > next.0 {
                [most, (bytes, Some(id))]
            } else {
                [most, next]
            }
        })
    }

    /// One that reads is told why. To one that does not, a Close would only queue behind.
    fn shed_one(&mut self, id: ConnId) {
        let Some(conn) = self.core.get(id) else { return };
        if conn.backlog() == 0 && conn.is_open() {
            let close = Close::new(CloseCode::TRY_AGAIN, SHORT);
            self.service.farewell(&mut Context::new(&mut self.core, &self.mailboxes), id, &close);
            if self.core.leave_open(id, Life::Ending, &close) {
                self.tell_gone(id, Cause::Slow);
                self.forget_half_read(id);
            }
        } else if conn.backlog() == 0 && conn.has_half_request() {
            self.refuse_half(id, &Refusal { status: 503, reason: SHORT });
            self.forget_half_read(id);
        } else {
            if conn.is_open() {
                self.core.counters().close(CloseCode::TRY_AGAIN.0);
            }
            self.remove(id, Cause::Slow);
        }
        self.settle();
    }
}
