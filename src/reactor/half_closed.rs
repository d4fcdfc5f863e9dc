//! Clients that have ended their streams. Such a one may still read: what it said before is served and answered, answers that
//! other workers have a part in included, and what is queued for it leaves as far as it takes it. One that is owed nothing is
//! gone at once, so that a death that shows as the end of a stream is told without delay.

use crate::conn::{AtEnd, Conn};
use crate::reactor::context::Context;
use crate::reactor::counters::Cause;
use crate::reactor::ending;
use crate::reactor::ids::ConnId;
use crate::reactor::pending;
use crate::reactor::respond;
use crate::reactor::secure;
use crate::reactor::service::Service;
use crate::reactor::unserved::StreamEnd;
use crate::reactor::worker::Worker;
use crate::sys::net::Net;

/// The peer's stream ends here: that counts when all that came before it has been served.
pub(crate) fn ends<N: Net, S: Service>(worker: &mut Worker<N, S>, id: ConnId, end: StreamEnd) {
    if has_unserved(worker, id) {
        return worker.shard.unserved.keep_end(id, end);
    }
    match end {
        StreamEnd::Told => on_end(worker, id, Cause::Lost),
        StreamEnd::Broken(failure) => secure::broken(worker, id, &failure),
    }
}

/// The peer has ended its stream, by its word (`Lost`) or not (`Reset`).
pub(crate) fn on_end<N: Net, S: Service>(worker: &mut Worker<N, S>, id: ConnId, cause: Cause) {
    let Some(conn) = worker.shard.get_mut(id) else { return };
    if conn.is_open() {
        return half_close(worker, id, cause);
    }
    match conn.end_of_stream() {
        AtEnd::Answers => respond::http_end(worker, id),
        AtEnd::Writes => {}
        AtEnd::Gone => ending::remove(worker, id, Cause::Closed),
    }
}

/// Whether something that was read waits, for the connection's next share or for its client to read: an end that was read
/// behind it doesn't count yet.
pub(crate) fn has_unserved<N: Net, S: Service>(worker: &Worker<N, S>, id: ConnId) -> bool {
    worker.shard.unserved.has(id) || worker.shard.get(id).is_some_and(Conn::has_unserved_request)
}

/// The client of an open connection has ended its stream, and all that it said was served. `cause` is what the connection
/// has ended by when it has been answered.
fn half_close<N: Net, S: Service>(worker: &mut Worker<N, S>, id: ConnId, cause: Cause) {
    let by = worker.shard.now.tick.after(worker.shard.timing.close);
    if !worker.shard.get_mut(id).is_some_and(Conn::half_end) {
        return;
    }
    if !worker.service.owes(&mut Context::new(&mut worker.shard, &worker.mailboxes), id) {
        return end_answered(worker, id, cause);
    }
    let Some(conn) = worker.shard.get_mut(id) else { return };
    conn.await_answers(by);
    worker.leaving.await_answers(id, cause);
    worker.shard.arm(id);
}

/// Ends those that have been answered by now.
pub(crate) fn end_half_closed<N: Net, S: Service>(worker: &mut Worker<N, S>) {
    if !worker.leaving.has_half_closed() {
        return;
    }
    for (id, cause) in worker.leaving.take_half_closed() {
        if worker.shard.get(id).is_none_or(|conn| !conn.is_open()) {
            continue;
        }
        if worker.service.owes(&mut Context::new(&mut worker.shard, &worker.mailboxes), id) {
            worker.leaving.await_answers(id, cause);
        } else {
            end_answered(worker, id, cause);
        }
    }
}

/// One has been waited for long enough.
pub(crate) fn give_up_answers<N: Net, S: Service>(worker: &mut Worker<N, S>, id: ConnId) {
    let cause = worker.leaving.cause_of(id).unwrap_or(Cause::Lost);
    end_answered(worker, id, cause);
}

/// The connection is gone for the service; what is queued for its client still leaves.
fn end_answered<N: Net, S: Service>(worker: &mut Worker<N, S>, id: ConnId, cause: Cause) {
    let by = worker.shard.now.tick.after(worker.shard.timing.close);
    let Some(conn) = worker.shard.get_mut(id).filter(|conn| conn.is_open()) else { return };
    if !conn.has_output() {
        return ending::remove(worker, id, cause);
    }
    conn.end_by(by);
    ending::tell_gone(worker, id, cause);
    pending::run(worker);
    worker.shard.arm(id);
}
