//! The end of a connection in a worker: the one place where it leaves the slab, and its service hears of it.

pub(crate) mod leaving;

use std::sync::atomic::Ordering::Relaxed;

use crate::conn::Conn;
use crate::limits::CHUNKS_PER_REMOVAL;
use crate::reactor::context::Context;
use crate::reactor::counters::Cause;
use crate::reactor::ids::{ConnId, RequestId};
use crate::reactor::service::Service;
use crate::reactor::transport::Transport;
use crate::reactor::worker::Worker;
use crate::sys::net::Net;

/// Tells the service that an open connection is gone.
pub(crate) fn tell_gone<N: Net, S: Service>(worker: &mut Worker<N, S>, id: ConnId, cause: Cause) {
    let counters = worker.shard.counters();
    counters.end(cause);
    counters.open.sub(1);
    worker.service.closed(&mut Context::new(&mut worker.shard, &worker.mailboxes), id, cause);
    worker.calls.recall(worker.shard.now.tick);
    // The service has nothing to do with it any more: no timer calls it, and the peer's last words are read.
    worker.shard.timers.forget(id);
    worker.shard.pauses.resume(id);
}

/// Ends a connection at once: its socket is closed, and the service is told where it was open.
pub(crate) fn remove<N: Net, S: Service>(worker: &mut Worker<N, S>, id: ConnId, cause: Cause) {
    let Some(conn) = worker.shard.get_mut(id) else { return };
    if conn.leave() {
        tell_gone(worker, id, cause);
    } else if let Some(cause) = worker.shard.left.take_gone(id) {
        // The service has ended it and is about to be told; of what is no longer there it could make nothing.
        tell_gone(worker, id, cause);
    }
    if let Some(serial) = worker.shard.get(id).and_then(Conn::unanswered) {
        let request = RequestId { conn: id, serial };
        worker.service.abandoned(&mut Context::new(&mut worker.shard, &worker.mailboxes), request);
        worker.calls.recall(worker.shard.now.tick);
    }
    // The service may have been told already and be waiting to hear of others; what it sent goes nowhere.
    let Some(conn) = worker.shard.conns.remove(id) else { return };
    worker.budget.removed(1 + conn.queued_chunks() / CHUNKS_PER_REMOVAL);
    detach(worker, id, !conn.is_blocked() && cause != Cause::Reset);
    worker.io.take(id);
    count_off(worker, id, &conn);
}

/// Settles all that was kept and counted of a connection that has left the slab.
pub(crate) fn count_off<N: Net, S: Service>(worker: &mut Worker<N, S>, id: ConnId, conn: &Conn) {
    if conn.agreement().is_some() {
        worker.shard.deflate.remove(id);
    }
    worker.shard.unserved.forget(id);
    worker.shard.timers.forget(id);
    worker.shard.pauses.forget(id);
    worker.shard.half_read.forget(id, &worker.shard.shared.half_read);
    worker.shard.work.forget(id);
    worker.shard.shared.connection_ended();
    worker.shard.introduced.forget(id);
    forget_origin(worker, conn);
    if worker.state().scarce.load(Relaxed) {
        worker.state().scarce.store(false, Relaxed);
    }
    let counters = worker.shard.counters();
    counters.connections.sub(1);
    counters.backlog_bytes.sub(conn.backlog() as u64);
    worker.acceptor.freed(worker.shard.now.tick);
}

/// Counts the connection off, where it was counted.
pub(crate) fn forget_origin<N: Net, S: Service>(worker: &Worker<N, S>, conn: &Conn) {
    if let Some(place) = conn.counted_at() {
        worker.shard.shared.addresses().leave(place);
    }
}

/// Takes the TLS of a connection that goes, and with it the chance to say so: its socket gets what it takes of that.
pub(crate) fn detach<N: Net, S: Service>(worker: &mut Worker<N, S>, id: ConnId, last_words: bool) {
    let Some(tls_state) = worker.shard.tls.as_mut().filter(|tls_state| tls_state.has(id)) else { return };
    let (has_failed, record) = tls_state.detach(id, last_words);
    if let Some(socket) = worker.io.socket(id) {
        let _ = Transport::new(socket, None, id).write_sealed(&record);
    }
    if has_failed {
        worker.shard.counters().tls_failed.add(1);
    }
}
