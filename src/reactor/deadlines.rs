//! Deadlines that are due.

use std::time::Duration;

use crate::conn::deadline::Deadline;
use crate::conn::{Conn, Life};
use crate::limits::{PAUSED_USER_TIMEOUT_MILLIS, TIMERS_PER_TURN_MAX};
use crate::reactor::closing;
use crate::reactor::context::Context;
use crate::reactor::counters::Cause;
use crate::reactor::drain;
use crate::reactor::ending;
use crate::reactor::half_closed;
use crate::reactor::ids::ConnId;
use crate::reactor::input;
use crate::reactor::pending;
use crate::reactor::respond;
use crate::reactor::service::Service;
use crate::reactor::worker::Worker;
use crate::reactor::writable;
use crate::sys::net::{Net, Socket as _};
use crate::time::{TICK_MICROS, Tick};
use crate::wire::close::{Close, CloseCode};

/// Fires what is due, a turn's share of it.
pub(crate) fn deadlines<N: Net, S: Service>(worker: &mut Worker<N, S>) {
    let now = worker.shard.now.tick;
    for _ in 0..worker.budget.begin(now) {
        if !worker.budget.has_time() {
            break;
        }
        let Some((tick, id)) = worker.shard.conns.pop_due(now) else { return worker.budget.end(false) };
        if fire(worker, id, tick) {
            worker.budget.acted();
        }
    }
    worker.budget.end(true);
}

/// Calls the service for connections whose timers are due, a turn's share of them.
pub(crate) fn timers<N: Net, S: Service>(worker: &mut Worker<N, S>) {
    for _ in 0..TIMERS_PER_TURN_MAX {
        let Some(id) = worker.shard.timers.pop_due(worker.shard.now.tick) else { break };
        worker.shard.work.begin();
        worker.service.timer(&mut Context::new(&mut worker.shard, &worker.mailboxes), id);
        pending::run(worker);
        worker.served(id);
    }
}

/// An entry of the wheel fires: it is dropped where it is not the connection's valid one, filed again where the
/// deadline has moved on, and acted on otherwise. Says whether it was.
fn fire<N: Net, S: Service>(worker: &mut Worker<N, S>, id: ConnId, tick: Tick) -> bool {
    let now = worker.shard.now;
    let Some(conn) = worker.shard.get(id).filter(|conn| conn.is_armed(tick)) else { return false };
    let (at, what) = conn.next_deadline(worker.shard.terms.timing(conn.tag(), &worker.shard.timing));
    let due = now.tick.has_reached(at);
    if due {
        let late = u64::from(now.tick.since(at)) * TICK_MICROS + now.micros % TICK_MICROS;
        worker.shard.counters().timer_lateness.record(late);
        act(worker, id, what);
    }
    worker.shard.rearm(id);
    due
}

fn act<N: Net, S: Service>(worker: &mut Worker<N, S>, id: ConnId, what: Deadline) {
    match what {
        Deadline::Request => respond::request_due(worker, id),
        Deadline::Ping => heartbeat(worker, id),
        Deadline::Suspect => suspect(worker, id),
        Deadline::Pong | Deadline::Silence => presume_dead(worker, id),
        Deadline::Progress => remove_slow(worker, id),
        Deadline::Message => give_up_message(worker, id),
        Deadline::Drain => drain::say_goodbye(worker, id),
        Deadline::End => end_due(worker, id),
    }
}

fn heartbeat<N: Net, S: Service>(worker: &mut Worker<N, S>, id: ConnId) {
    worker.shard.deflate.rest(id);
    worker.shard.ping(id);
    worker.service.heartbeat(&mut Context::new(&mut worker.shard, &worker.mailboxes), id);
    pending::run(worker);
}

/// Whether the connection is one that its service does not want to be read: nothing can be heard of it, which is held against
/// nobody.
fn is_excused<N: Net, S: Service>(worker: &mut Worker<N, S>, id: ConnId) -> bool {
    let (now, is_paused) = (worker.shard.now.tick, worker.shard.pauses.has(id));
    if is_paused && worker.io.socket(id).is_some_and(|socket| socket.has_failed()) {
        // It was told of while what came before was being read.
        ending::remove(worker, id, Cause::Reset);
        return true;
    }
    if is_paused && let Some(socket) = worker.io.socket(id) {
        // Its Pongs are not read. That its machine is there yet the kernel tells, by what it acknowledges of our Pings.
        socket.expect_acknowledgement(Duration::from_millis(PAUSED_USER_TIMEOUT_MILLIS));
    }
    if is_paused && worker.shard.get_mut(id).is_some_and(|conn| conn.excuse(now)) {
        worker.service.suspect(&mut Context::new(&mut worker.shard, &worker.mailboxes), id, false);
        pending::run(worker);
    }
    is_paused
}

/// As for death, the socket is looked at first.
fn suspect<N: Net, S: Service>(worker: &mut Worker<N, S>, id: ConnId) {
    if is_excused(worker, id) {
        return;
    }
    if input::read_late(worker, id) {
        return;
    }
    if worker.shard.get_mut(id).is_some_and(Conn::suspect) {
        worker.service.suspect(&mut Context::new(&mut worker.shard, &worker.mailboxes), id, true);
        pending::run(worker);
    }
}

/// The connection's deadline that is still due, now that its socket was looked at.
fn due<N: Net, S: Service>(worker: &Worker<N, S>, id: ConnId) -> Option<Deadline> {
    let conn = worker.shard.get(id)?;
    conn.due(worker.shard.terms.timing(conn.tag(), &worker.shard.timing), worker.shard.now.tick)
}

/// The deadline has passed by our clock; but the server may be what was late, and the answer lie in the socket.
fn presume_dead<N: Net, S: Service>(worker: &mut Worker<N, S>, id: ConnId) {
    if is_excused(worker, id) {
        return;
    }
    if input::read_late(worker, id) {
        return;
    }
    if matches!(due(worker, id), Some(Deadline::Pong | Deadline::Silence)) {
        closing::declare_dead(worker, id);
    }
}

/// The peer takes nothing of what is queued for it, unless the server is what was late and its socket has room by
/// now. A Close would only queue behind.
fn remove_slow<N: Net, S: Service>(worker: &mut Worker<N, S>, id: ConnId) {
    writable::on_writable(worker, id);
    if due(worker, id) != Some(Deadline::Progress) {
        return;
    }
    worker.shard.counters().close(CloseCode::TRY_AGAIN.0);
    ending::remove(worker, id, Cause::Slow);
}

/// A connection has been waited for long enough, unless its socket takes some of its last words by now: the kernel doesn't
/// say so before it can take much.
fn end_due<N: Net, S: Service>(worker: &mut Worker<N, S>, id: ConnId) {
    writable::on_writable(worker, id);
    if due(worker, id) != Some(Deadline::End) {
        return;
    }
    if worker.shard.get(id).is_some_and(Conn::is_open) {
        half_closed::give_up_answers(worker, id);
    } else {
        ending::remove(worker, id, Cause::Closed);
    }
}

/// Half a message has been waited for long enough, however steadily its bytes come; but the rest may lie in the socket.
fn give_up_message<N: Net, S: Service>(worker: &mut Worker<N, S>, id: ConnId) {
    if is_excused(worker, id) {
        return;
    }
    if input::read_late(worker, id) {
        return;
    }
    if due(worker, id) != Some(Deadline::Message) {
        return;
    }
    let close = Close::new(CloseCode::TIMEOUT, "the message took too long");
    if worker.shard.leave_open(id, Life::Ending, &close) {
        ending::tell_gone(worker, id, Cause::Timeout);
        pending::run(worker);
    }
}
