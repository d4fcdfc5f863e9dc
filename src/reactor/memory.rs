//! A worker's memory: when it is looked at, what a burst has left to give back, and the gauges.

use crate::conn::timing::Round;
use crate::reactor::context::Context;
use crate::reactor::mailbox::Mailbox;
use crate::reactor::service::Service;
use crate::reactor::worker::Worker;
use crate::sys::net::Net;

/// An arena that is not worth waking for.
const IDLE_ARENA_BYTES: usize = 64 << 10;

/// Whether a burst has left something to give back, or many came or went: an idle worker wakes for nothing less.
pub(crate) fn is_worth<N: Net, S: Service>(worker: &Worker<N, S>) -> bool {
    worker.core.arena.held_bytes() > IDLE_ARENA_BYTES
        || worker.inbox.is_large()
        || worker.weighing.has_moved(worker.core.conns.len())
        || worker.core.memory_shortage().is_some()
}

/// Whether what was received since memory was looked at may have brought it past its ceiling.
pub(crate) fn may_have_grown<N: Net, S: Service>(worker: &Worker<N, S>) -> bool {
    worker.core.config.max_memory_bytes.is_some()
        && worker.weighing.has_heard(worker.core.counters().received_bytes.get())
}

/// Gives back what a burst has left, and sets the gauges of memory: once a second, while anything happens, and for a
/// minute behind many who came or went.
pub(crate) fn weigh<N: Net, S: Service>(worker: &mut Worker<N, S>) {
    let count = worker.core.conns.len();
    let received = worker.core.counters().received_bytes.get();
    worker.weighing.done(worker.core.now.tick, count, received, is_worth(worker));
    worker.core.timing.round = Round::of(worker.core.timing.interval, worker.core.id.0, count);
    worker.core.conns.give_back();
    worker.io.give_back();
    worker.core.timers.give_back();
    worker.core.arena.give_back();
    worker.reaper.give_back();
    worker.queue.give_back();
    worker.leaving.give_back();
    let mailbox = &worker.mailboxes[worker.core.id.index()];
    worker.inbox.give_back(mailbox);
    let queues = worker.inbox.bytes(mailbox)
        + worker.reaper.bytes()
        + worker.queue.bytes()
        + worker.core.unserved.bytes();
    let buffers = worker.io.buffer_bytes() + worker.core.arena.held_bytes();
    let connections = worker.core.conns.bytes() + worker.io.bytes();
    let counters = worker.core.counters();
    counters.memory.connections.set(connections as u64);
    counters.memory.wheel.set((worker.core.conns.wheel_bytes() + worker.core.timers.bytes()) as u64);
    counters.memory.buffers.set(buffers as u64);
    counters.memory.queues.set(queues as u64);
    counters.memory.deflate.set(worker.core.deflate.bytes() as u64);
    counters.memory.tls.set(worker.core.tls.as_ref().map_or(0, |side| side.bytes()) as u64);
    worker.service.weigh(&mut Context::new(&mut worker.core, &worker.mailboxes));
    if worker.core.fleet.read_memory(worker.core.now, || worker.net.resident_bytes()) {
        ask_all(worker);
    }
}

/// Memory was just read: where it is short, each worker is woken to say what its heaviest connection holds.
fn ask_all<N: Net, S: Service>(worker: &mut Worker<N, S>) {
    let is_short = worker.core.memory_shortage().is_some();
    worker.core.fleet.rounds.read(is_short);
    if is_short {
        worker.mailboxes.iter().for_each(Mailbox::ring);
    }
}
