//! Sheds load when the server holds more memory than it may: once a second the connection that makes it hold most ends, of all
//! workers, until it fits. Workers that sleep are woken to say what theirs hold, and nobody ends before all have said it, but
//! for a worker that says nothing for two seconds.

use tracing::warn;

use crate::conn::{Conn, Life};
use crate::limits::SHED_BYTES_MIN;
use crate::reactor::context::Context;
use crate::reactor::counters::Cause;
use crate::reactor::ending;
use crate::reactor::half_read;
use crate::reactor::heaviest::ShedRound;
use crate::reactor::ids::ConnId;
use crate::reactor::pending;
use crate::reactor::respond;
use crate::reactor::service::Service;
use crate::reactor::worker::Worker;
use crate::sys::net::Net;
use crate::wire::close::{Close, CloseCode};
use crate::wire::http::Refusal;

const SHORT: &str = "the server is short of memory";

/// When memory is short: says once in a round what the heaviest connection holds, and ends it where it is the heaviest of
/// all workers'.
#[inline]
pub(crate) fn shed<N: Net, S: Service>(worker: &mut Worker<N, S>) {
    let Some(round) = worker.shard.shared.rounds.now() else { return };
    if !worker.state().heaviest.is_of(round) && worker.shard.memory_shortage().is_some() {
        shed_in(worker, round);
    }
}

#[cold]
fn shed_in<N: Net, S: Service>(worker: &mut Worker<N, S>, round: ShedRound) {
    let own = worker.shard.id.index();
    let [(bytes, heaviest), (next, _)] = two_heaviest(worker);
    // Findings of all workers are compared: the first look at a shortage ends nobody.
    let is_first = worker.state().heaviest.bytes(round).is_none();
    worker.state().heaviest.set(round, bytes);
    let others = worker.shard.shared.workers().iter().enumerate().filter(|(other, _)| *other != own);
    // One that has yet to say it may have a heavier one.
    let is_lighter = |(other, theirs): (usize, Option<usize>)| {
        theirs.is_some_and(|theirs| (theirs, own) <= (bytes, other))
    };
    let is_most = others.map(|(other, state)| (other, state.heaviest.bytes(round))).all(is_lighter);
    let Some(id) = heaviest.filter(|_| bytes >= SHED_BYTES_MIN && is_most && !is_first) else { return };
    if worker.shard.shared.rounds.end_one(round) {
        warn!(bytes, "short of memory: the connection that holds most is closed");
        shed_one(worker, id);
        worker.shard.shared.rounds.ended_one();
        worker.state().heaviest.set(round, next);
    }
}

/// The two connections that hold most, and how much.
fn two_heaviest<N: Net, S: Service>(worker: &Worker<N, S>) -> [(usize, Option<ConnId>); 2] {
    // Whoever is on the way out is waited for by a deadline.
    let stays = |conn: &&Conn| matches!(conn.life(), Life::Open | Life::Http);
    let conns = worker.shard.conns.iter().filter(|(_, conn)| stays(conn));
    conns.fold([(0, None); 2], |[most, next], (id, _)| {
        let bytes = half_read::burden(&worker.shard, id);
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
fn shed_one<N: Net, S: Service>(worker: &mut Worker<N, S>, id: ConnId) {
    let Some(conn) = worker.shard.get(id) else { return };
    if conn.backlog() == 0 && conn.is_open() {
        let close = Close::new(CloseCode::TRY_AGAIN, SHORT);
        worker.service.farewell(&mut Context::new(&mut worker.shard, &worker.mailboxes), id, &close);
        if worker.shard.leave_open(id, Life::Ending, &close) {
            ending::tell_gone(worker, id, Cause::Slow);
            half_read::forget(worker, id);
        }
    } else if conn.backlog() == 0 && conn.has_half_request() {
        respond::refuse_half(worker, id, &Refusal { status: 503, reason: SHORT });
        half_read::forget(worker, id);
    } else {
        if conn.is_open() {
            worker.shard.counters().close(CloseCode::TRY_AGAIN.0);
        }
        ending::remove(worker, id, Cause::Slow);
    }
    pending::run(worker);
}
