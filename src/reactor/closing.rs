//! The closing handshake, and connections that are declared dead.

use crate::conn::{Conn, Life};
use crate::reactor::counters::Cause;
use crate::reactor::ending;
use crate::reactor::ids::ConnId;
use crate::reactor::pending;
use crate::reactor::service::Service;
use crate::reactor::worker::Worker;
use crate::sys::net::Net;
use crate::wire::close::{Close, CloseCode};

/// Declares an open connection dead: the service knows at once, so that the news is out in this turn. The socket gets
/// its Close and is closed a little later: that takes ten times as long, and thousands may die in one tick.
pub(crate) fn declare_dead<N: Net, S: Service>(worker: &mut Worker<N, S>, id: ConnId) {
    let end = worker.shard.now.tick.after(worker.shard.timing.close);
    let Some(conn) = worker.shard.get_mut(id).filter(|conn| conn.is_open()) else { return };
    conn.end_by(end);
    worker.reaper.add(id, worker.shard.now.tick);
    ending::tell_gone(worker, id, Cause::Timeout);
    pending::run(worker);
}

/// Clears away a tick's share of the dead; of many, when all workers have had time to tell of theirs. Each gets a last
/// word: what its socket takes of it at the end of this turn.
pub(crate) fn reap<N: Net, S: Service>(worker: &mut Worker<N, S>) {
    if worker.budget.is_overdue() || worker.reaper.due().is_none() {
        return;
    }
    let dead = worker.reaper.share(worker.shard.now.tick, worker.shard.shared.workers().len());
    let close = Close::new(CloseCode::TIMEOUT, "no heartbeat in time");
    for id in dead {
        let Some(conn) = worker.shard.get_mut(id) else { continue };
        if conn.life() != Life::Ending {
            ending::remove(worker, id, Cause::Timeout);
            continue;
        }
        conn.cut();
        worker.shard.send_close(id, &close);
    }
    pending::run(worker);
}

/// RFC 6455 §5.5.1: a Close is answered with a Close that echoes its code; then the server ends the connection (§7.1.1).
pub(crate) fn closed_by_peer<N: Net, S: Service>(worker: &mut Worker<N, S>, id: ConnId, close: &Close<'_>) {
    let answer = Close { code: close.code, reason: "" };
    let cause = if close.code == Some(CloseCode::GOODBYE) { Cause::Goodbye } else { Cause::Closed };
    if worker.shard.leave_open(id, Life::Ending, &answer) {
        ending::tell_gone(worker, id, cause);
        pending::run(worker);
    }
    // When nothing is left to write, no flush will happen.
    if worker.shard.get_mut(id).is_some_and(Conn::close_received) {
        ending::remove(worker, id, Cause::Closed);
    }
}

/// Reads no more of a connection: says why, and ends it.
pub(crate) fn end<N: Net, S: Service>(
    worker: &mut Worker<N, S>,
    id: ConnId,
    close: &Close<'_>,
    cause: Cause,
) {
    if worker.shard.leave_open(id, Life::Ending, close) {
        ending::tell_gone(worker, id, cause);
        pending::run(worker);
    } else if worker.shard.get_mut(id).is_some_and(Conn::give_up_close) {
        ending::remove(worker, id, cause);
    }
}
