//! Going away: each connection gets its point of the window.

pub(crate) mod window;

use crate::limits::LISTEN_BACKLOG;
use crate::reactor::accept;
use crate::reactor::context::Context;
use crate::reactor::counters::Cause;
use crate::reactor::ending;
use crate::reactor::ids::ConnId;
use crate::reactor::pending;
use crate::reactor::service::Service;
use crate::reactor::worker::Worker;
use crate::sys::net::Net;
use crate::wire::close::{Close, CloseCode};

/// Goes away: takes in what is queued, closes the listeners, and gives each connection its point in the window.
pub(crate) fn begin<N: Net, S: Service>(worker: &mut Worker<N, S>) {
    let now = worker.shard.now.tick;
    let timing = worker.shard.timing;
    worker.drain.open(now.after(timing.drain + timing.close + 1));
    worker.net.stop_queueing();
    if worker.acceptor.close() {
        accept::accept_at_most(worker, 2 * LISTEN_BACKLOG.unsigned_abs() as usize);
    }
    worker.net.stop_listening();
    worker.service.drain(&mut Context::new(&mut worker.shard, &worker.mailboxes));
    pending::run(worker);
    let ids: Vec<ConnId> = worker.shard.conns.iter().map(|(id, _)| id).collect();
    for id in ids {
        schedule_goodbye(worker, id);
    }
}

/// Gives a connection its point in the window.
pub(crate) fn schedule_goodbye<N: Net, S: Service>(worker: &mut Worker<N, S>, id: ConnId) {
    let at = worker.shard.now.tick.after(worker.shard.random.below(worker.shard.timing.drain));
    let end = worker.shard.now.tick.after(worker.shard.timing.close);
    if worker.shard.get_mut(id).is_some_and(|conn| conn.drain(at, end)) {
        return ending::remove(worker, id, Cause::Drain);
    }
    worker.shard.arm(id);
}

pub(crate) fn say_goodbye<N: Net, S: Service>(worker: &mut Worker<N, S>, id: ConnId) {
    let close = Close::new(CloseCode::GOING_AWAY, "server is going away");
    worker.service.farewell(&mut Context::new(&mut worker.shard, &worker.mailboxes), id, &close);
    worker.shard.close(id, &close, Cause::Drain);
    // With more of them than the window has time for, it ends later: nobody is cut off without a word.
    let answered = worker.shard.now.tick.after(worker.shard.timing.close + 1);
    worker.drain.extend(answered);
    pending::run(worker);
}
