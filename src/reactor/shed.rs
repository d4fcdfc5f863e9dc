//! What is done about those who are in where the server holds more memory than it may: once a second the connection that
//! makes it hold most ends, of all workers, until it fits.

use tracing::warn;

use crate::conn::{Conn, Life};
use crate::limits::SHED_BYTES_MIN;
use crate::reactor::context::Context;
use crate::reactor::counters::Cause;
use crate::reactor::ids::ConnId;
use crate::reactor::service::Service;
use crate::reactor::worker::Worker;
use crate::sys::net::Net;
use crate::wire::close::{Close, CloseCode};
use crate::wire::http::Refusal;

const SHORT: &str = "the server is short of memory";

impl<N: Net, S: Service> Worker<N, S> {
    /// Ends the heaviest connection where there is not enough memory and it is the heaviest of all workers'.
    pub(crate) fn shed(&mut self) {
        if self.core.memory_shortage().is_none() {
            return;
        }
        let now = self.core.now.tick;
        // Whoever is on the way out is waited for by a deadline.
        let stays = |conn: &&Conn| matches!(conn.life(), Life::Open | Life::Http);
        let conns = self.core.conns.iter().filter(|(_, conn)| stays(conn));
        let ids = conns.filter_map(|(key, conn)| {
            Some(ConnId { key: u32::try_from(key).ok()?, generation: conn.generation })
        });
        let heaviest = ids.map(|id| (self.core.burden(id), id.key, id.generation)).max();
        let Some((bytes, key, generation)) = heaviest else { return };
        // What is compared is what each worker found: the first look at a shortage ends nobody.
        let is_first = self.state().heaviest.bytes(now) == 0;
        self.state().heaviest.set(now, bytes);
        let own = self.core.id.index();
        let others = self.core.fleet.workers().iter().enumerate().filter(|(worker, _)| *worker != own);
        let is_beaten = others
            .map(|(worker, state)| (state.heaviest.bytes(now), worker))
            .any(|(theirs, worker)| (theirs, own) > (bytes, worker));
        if bytes >= SHED_BYTES_MIN && !is_first && !is_beaten {
            warn!(bytes, "short of memory: the connection that holds most is closed");
            self.shed_one(ConnId { key, generation });
        }
    }

    /// One that reads is told why. To one that does not, a Close would only queue behind.
    fn shed_one(&mut self, id: ConnId) {
        let Some(conn) = self.core.get(id) else { return };
        if conn.backlog() == 0 && conn.is_open() {
            let close = Close::new(CloseCode::TRY_AGAIN, SHORT);
            self.service.farewell(&mut Context { core: &mut self.core }, id, &close);
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
