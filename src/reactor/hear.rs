//! Connections in a turn: those that are ready, each for its share, and those that want more of it, in turn.

pub(crate) mod queue;

use crate::conn::flags::Flag;
use crate::limits::{
    CONNECTION_UNITS_PER_TURN, CROWD_UNITS, CROWDED_UNITS_PER_TURN, HEARD_PER_FLUSH, HEARD_UNITS_PER_TURN,
    OVERTIME_UNITS_PER_TURN, TLS_HANDSHAKES_PER_TURN_MAX,
};
use crate::reactor::accept;
use crate::reactor::context::Context;
use crate::reactor::counters::{Cause, Deferred};
use crate::reactor::ending;
use crate::reactor::flush;
use crate::reactor::ids::ConnId;
use crate::reactor::input;
use crate::reactor::pending;
use crate::reactor::service::Service;
use crate::reactor::watches;
use crate::reactor::work::parts;
use crate::reactor::worker::Worker;
use crate::reactor::writable;
use crate::sys::net::{Net, Ready};

/// The share of each of the first connections that a turn hears, and what they come to, in parts of a unit.
const FIRST: (u64, u64) = (parts(CONNECTION_UNITS_PER_TURN), parts(CROWD_UNITS));
/// The same for those behind them.
const CROWDED: (u64, u64) = (parts(CROWDED_UNITS_PER_TURN), parts(HEARD_UNITS_PER_TURN));

/// Hears those that are ready, goes on with those that had more to be served than their share, and takes in new ones.
pub(crate) fn connections<N: Net, S: Service>(worker: &mut Worker<N, S>) {
    // A connection that is listed in this turn has had its share of it.
    let waiting = worker.queue.listed();
    while let Some(id) = worker.shard.pauses.next_resumed() {
        worker.list(id);
    }
    writable::refused(worker);
    hear(worker);
    // Connections that asked for much wait until all have been served.
    if !worker.queue.has_ready() {
        go_on(worker, waiting);
    }
    handshakes(worker);
    accept::accept(worker);
}

/// Hears those that are ready, each for its share.
fn hear<N: Net, S: Service>(worker: &mut Worker<N, S>) {
    let (mut taken, mut heard, mut spent) = (0, 0_usize, 0);
    let (mut share, mut limit) = if worker.queue.is_crowded() { CROWDED } else { FIRST };
    while let Some(event) = worker.queue.ready(taken) {
        if spent >= limit {
            if (share, limit) == CROWDED {
                worker.count_deferred(Deferred::Ready);
                break;
            }
            (share, limit) = CROWDED;
        }
        taken += 1;
        if event.token & Ready::WATCHED == 0 {
            worker.shard.work.begin_with(share);
            on_ready(worker, event);
            spent += worker.served(ConnId::from_bits(event.token));
        } else if event.listener().is_some() {
            worker.acceptor.wake();
            continue;
        } else if event.token == Ready::BELL {
            continue;
        } else {
            worker.shard.work.begin_with(share);
            watches::on_ready(worker, event);
            pending::run(worker);
            spent += worker.shard.work.spent();
        }
        heard += 1;
        if heard.is_multiple_of(HEARD_PER_FLUSH) {
            flush_answers(worker, &mut heard);
        }
    }
    worker.queue.heard(taken);
}

/// Goes on with the first `waiting` of those that have more to be served than their share, in turn.
fn go_on<N: Net, S: Service>(worker: &mut Worker<N, S>, waiting: usize) {
    let mut spent = 0;
    for _ in 0..waiting {
        if spent >= parts(OVERTIME_UNITS_PER_TURN) {
            return worker.count_deferred(Deferred::Overtime);
        }
        let Some(id) = worker.queue.next_listed() else { break };
        let Some(conn) = worker.shard.get_mut(id) else { continue };
        conn.unlist();
        if worker.shard.work.makes_up(id) {
            worker.list(id);
            continue;
        }
        worker.shard.work.begin();
        input::resume(worker, id);
        spent += worker.served(id);
    }
}

/// Lets answers leave before the end of the turn, so that of many clients the first need not wait for the last: where no
/// more of them were sent something since the last time than were heard. Broadcasts are batched.
fn flush_answers<N: Net, S: Service>(worker: &mut Worker<N, S>, heard: &mut usize) {
    if worker.shard.arena.dirty().len() <= *heard {
        *heard = 0;
        worker.wake();
        flush::flush(worker);
        pending::run(worker);
    }
}

fn on_ready<N: Net, S: Service>(worker: &mut Worker<N, S>, event: Ready) {
    let id = ConnId::from_bits(event.token);
    // An event for a connection that died earlier in this batch finds another generation in its place.
    let Some(conn) = worker.shard.get(id) else { return };
    // It has more than its share to read, and goes on with it behind all events.
    let listed = conn.has(Flag::Listed);
    // A socket that has always had room says so with all that it says.
    if event.writable && conn.is_blocked() {
        writable::on_writable(worker, id);
    }
    let is_over = event.read_closed || event.failed;
    if is_over && worker.shard.pauses.has(id) {
        return on_paused(worker, event, id);
    }
    if (event.readable || event.read_closed) && !listed {
        input::read(worker, id, event.read_closed);
        // Where it was paused for what has just been read, no other event will say so.
        if is_over && worker.shard.pauses.has(id) {
            on_paused(worker, event, id);
        }
    }
}

/// A connection that is not read has ended or failed: told once, and of no use to a read that does not take place.
#[cold]
fn on_paused<N: Net, S: Service>(worker: &mut Worker<N, S>, event: Ready, id: ConnId) {
    if event.failed {
        return ending::remove(worker, id, Cause::Reset);
    }
    worker.service.left(&mut Context::new(&mut worker.shard, &worker.mailboxes), id);
    pending::run(worker);
}

/// Goes on with a turn's share of handshakes, the longest waiting first.
fn handshakes<N: Net, S: Service>(worker: &mut Worker<N, S>) {
    for _ in 0..TLS_HANDSHAKES_PER_TURN_MAX {
        let Some(id) = worker.shard.tls.as_mut().and_then(|tls_state| tls_state.next_waiting()) else {
            return;
        };
        let Some(conn) = worker.shard.get_mut(id) else { continue };
        conn.unlist();
        worker.shard.work.begin();
        input::read_on(worker, id, true);
        worker.served(id);
    }
}
