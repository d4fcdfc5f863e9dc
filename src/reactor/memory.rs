//! A worker's memory: when it is looked at, what a burst has left to give back, and the gauges.

use crate::conn::timing::PingRound;
use crate::reactor::context::Context;
use crate::reactor::mailbox::Mailbox;
use crate::reactor::service::Service;
use crate::reactor::worker::Worker;
use crate::sys::net::Net;

/// An arena that is not worth waking for.
const IDLE_ARENA_BYTES: usize = 64 << 10;

/// Whether a burst has left something to give back, or many came or went: an idle worker wakes for nothing less.
pub(crate) fn is_worth<N: Net, S: Service>(worker: &Worker<N, S>) -> bool {
    worker.shard.arena.held_bytes() > IDLE_ARENA_BYTES
        || worker.inbox.is_large()
        || worker.memory_schedule.has_moved(worker.shard.conns.len())
        || worker.shard.memory_shortage().is_some()
}

/// Whether what was received since memory was looked at may have brought it past its ceiling.
pub(crate) fn may_have_grown<N: Net, S: Service>(worker: &Worker<N, S>) -> bool {
    worker.shard.config.max_memory_bytes.is_some()
        && worker.memory_schedule.has_heard(worker.shard.counters().received_bytes.get())
}

/// Gives back what a burst has left, and sets the gauges of memory: once a second, while anything happens, and for a
/// minute behind many who came or went.
pub(crate) fn measure_memory<N: Net, S: Service>(worker: &mut Worker<N, S>) {
    let count = worker.shard.conns.len();
    let received = worker.shard.counters().received_bytes.get();
    worker.memory_schedule.done(worker.shard.now.tick, count, received, is_worth(worker));
    let shard = &mut worker.shard;
    shard.timing.round = PingRound::of(shard.timing.interval, shard.id.0, count);
    shard.terms.follow(shard.timing, shard.id, count);
    worker.shard.conns.shrink();
    worker.io.shrink();
    worker.shard.timers.shrink();
    worker.shard.arena.shrink();
    worker.reaper.shrink();
    worker.queue.shrink();
    worker.leaving.shrink();
    let mailbox = &worker.mailboxes[worker.shard.id.index()];
    worker.inbox.shrink(mailbox);
    let queues = worker.inbox.bytes(mailbox)
        + worker.reaper.bytes()
        + worker.queue.bytes()
        + worker.shard.unserved.bytes();
    let buffers = worker.io.buffer_bytes() + worker.shard.arena.held_bytes();
    let connections = worker.shard.conns.bytes() + worker.io.bytes();
    let counters = worker.shard.counters();
    counters.memory.connections.set(connections as u64);
    counters.memory.wheel.set((worker.shard.conns.wheel_bytes() + worker.shard.timers.bytes()) as u64);
    counters.memory.buffers.set(buffers as u64);
    counters.memory.queues.set(queues as u64);
    counters.memory.deflate.set(worker.shard.deflate.bytes() as u64);
    counters.memory.tls.set(worker.shard.tls.as_ref().map_or(0, |tls_state| tls_state.bytes()) as u64);
    worker.service.measure_memory(&mut Context::new(&mut worker.shard, &worker.mailboxes));
    if worker.shard.shared.read_memory(worker.shard.now, || worker.net.resident_bytes()) {
        ask_all(worker);
    }
}

/// Memory was just read: where it is short, each worker is woken to say what its heaviest connection holds.
fn ask_all<N: Net, S: Service>(worker: &mut Worker<N, S>) {
    let is_short = worker.shard.memory_shortage().is_some();
    worker.shard.shared.rounds.read(is_short);
    if is_short {
        worker.mailboxes.iter().for_each(Mailbox::wake);
    }
}
