//! Connections that leave a worker with their sockets, and come to one from another: neither the peer nor the service can tell what
//! it hears from then on from what it would have heard. What is in the kernel's buffers stays there.

use std::io;
use std::os::fd::OwnedFd;

use crate::conn::{Conn, Life};
use crate::reactor::context::Context;
use crate::reactor::drain;
use crate::reactor::ending;
use crate::reactor::flush;
use crate::reactor::half_read;
use crate::reactor::ids::ConnId;
use crate::reactor::pending;
use crate::reactor::service::Service;
use crate::reactor::snapshot::Snapshot;
use crate::reactor::terms::with_terms;
use crate::reactor::unserved::StreamEnd;
use crate::reactor::worker::Worker;
use crate::sys::net::Net;
use crate::time::Tick;

/// Why a connection stays where it is. Most of it passes: it may be asked again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Stays {
    /// It is gone.
    Gone,
    /// It speaks TLS, whose keys can't be taken out.
    Secure,
    /// Its PROXY header has not come whole.
    Preface,
    /// A request of it waits for the service's answer.
    Unanswered,
    /// A compressed message of it is half inflated.
    Inflating,
    /// It is on its way out, with nothing left to write.
    Ending,
    /// The service keeps it.
    Kept,
}

/// As [`Worker::release`].
pub(super) fn release<N: Net, S: Service>(
    worker: &mut Worker<N, S>,
    id: ConnId,
) -> Result<(OwnedFd, Snapshot), Stays> {
    worker.shard.now = worker.net.now();
    write_all(worker);
    let is_open = may_leave(worker, id)?;
    let state = if is_open {
        let cx = &mut Context::new(&mut worker.shard, &worker.mailboxes);
        let state = worker.service.released(cx, id);
        worker.calls.recall(worker.shard.now.tick);
        let state = Some(state.ok_or(Stays::Kept)?);
        write_all(worker);
        // It may have broken at this last write.
        may_leave(worker, id)?;
        state
    } else {
        None
    };
    let snapshot = snapshot_of(worker, id, state).ok_or(Stays::Gone)?;
    let conn = worker.shard.conns.remove(id).ok_or(Stays::Gone)?;
    let socket = worker.io.take(id).ok_or(Stays::Gone)?;
    worker.leaving.forget(id);
    if is_open {
        worker.shard.counters().open.sub(1);
    }
    ending::count_off(worker, id, &conn);
    Ok((worker.net.export(socket), snapshot))
}

/// Writes all that was sent, and tells of what ends by that.
pub(super) fn write_all<N: Net, S: Service>(worker: &mut Worker<N, S>) {
    pending::run(worker);
    flush::flush(worker);
    while !worker.shard.left.is_empty() {
        pending::run(worker);
        flush::flush(worker);
    }
    worker.wake();
}

/// Says whether it is open.
fn may_leave<N: Net, S: Service>(worker: &Worker<N, S>, id: ConnId) -> Result<bool, Stays> {
    let conn = worker.shard.get(id).ok_or(Stays::Gone)?;
    if worker.shard.is_secure(id) {
        return Err(Stays::Secure);
    }
    if conn.awaits_preface() {
        return Err(Stays::Preface);
    }
    if conn.awaits_answer() {
        return Err(Stays::Unanswered);
    }
    if worker.shard.deflate.is_inflating(id) {
        return Err(Stays::Inflating);
    }
    if matches!(conn.life(), Life::Ending | Life::Lingering) && !conn.is_blocked() {
        return Err(Stays::Ending);
    }
    Ok(conn.is_open())
}

fn snapshot_of<N: Net, S: Service>(
    worker: &Worker<N, S>,
    id: ConnId,
    service: Option<Vec<u8>>,
) -> Option<Snapshot> {
    let shard = &worker.shard;
    let conn = shard.get(id)?;
    let (unserved, has_ended) = shard.unserved.snapshot(id);
    Some(Snapshot {
        conn: conn.snapshot(shard.now.tick)?,
        service,
        unserved,
        has_ended,
        deflate: shard.deflate.snapshot(id),
        half_closed: worker.leaving.cause_of(id),
        debt: shard.work.debt(id),
        introduced: shard.introduced.get(id),
        counted_as: conn.counted_at().map(|place| shard.shared.addresses().key(place)),
        timer: shard.timers.of(id).map(|at| at.from_now(shard.now.tick)),
        is_paused: shard.pauses.has(id),
        terms: shard.terms.terms(conn.tag()),
    })
}

/// As [`Worker::adopt`].
pub(super) fn adopt<N: Net, S: Service>(
    worker: &mut Worker<N, S>,
    socket: OwnedFd,
    snapshot: Snapshot,
) -> io::Result<ConnId> {
    worker.shard.now = worker.net.now();
    let now = worker.shard.now.tick;
    let id = worker.shard.conns.next_id(worker.acceptor.generation());
    let id = id.ok_or_else(|| io::Error::other("more connections than can be numbered"))?;
    let Snapshot { conn, service, unserved, has_ended, deflate, half_closed, .. } = snapshot;
    let Snapshot { debt, introduced, counted_as, timer, is_paused, terms, .. } = snapshot;
    let mut conn = Conn::restore(conn, id.generation, now).ok_or(io::ErrorKind::InvalidData)?;
    let terms = worker.shard.terms.number(terms, worker.shard.timing, worker.shard.id);
    let terms = terms.ok_or_else(|| io::Error::other("more terms than a worker has room for"))?;
    conn.rename(with_terms(conn.tag(), terms));
    let socket = worker.net.adopt(socket)?;
    worker.net.register(&socket, id.to_bits())?;
    let shard = &mut worker.shard;
    if let Some(place) = counted_as.and_then(|key| shard.shared.addresses().enter_again(key, now)) {
        conn.count_again(place);
    }
    shard.shared.connection_opened();
    let counters = shard.counters();
    counters.connections.add(1);
    counters.open.add(u64::from(conn.is_open()));
    counters.backlog_bytes.add(conn.backlog() as u64);
    if let Some(deflate) = deflate.filter(|_| conn.agreement().is_some()) {
        shard.deflate.restore(id, deflate);
    }
    shard.conns.insert(conn);
    worker.io.put(id, socket);
    if !unserved.is_empty() {
        shard.unserved.keep(id, unserved);
    }
    if has_ended {
        shard.unserved.keep_end(id, StreamEnd::Told);
    }
    shard.work.owe(id, debt);
    shard.timers.set(id, timer.map(|ticks| Tick::at(now, ticks)));
    if is_paused {
        shard.pauses.pause(id);
    }
    if let Some(client) = introduced {
        shard.introduced.insert(id, client);
    }
    if let Some(cause) = half_closed {
        worker.leaving.await_answers(id, cause);
    }
    worker.shard.rearm(id);
    go_on(worker, id, service.as_deref());
    Ok(id)
}

/// The connection is in: the service hears of it, and what its socket holds is served, or taken, in the next turn.
fn go_on<N: Net, S: Service>(worker: &mut Worker<N, S>, id: ConnId, service: Option<&[u8]>) {
    if let Some(state) = service
        && worker.shard.get(id).is_some_and(Conn::is_open)
    {
        worker.service.adopted(&mut Context::new(&mut worker.shard, &worker.mailboxes), id, state);
        pending::run(worker);
    }
    half_read::measure_memory(worker, id);
    if worker.drain.is_open() {
        drain::schedule_goodbye(worker, id);
    }
    // Its input may wait in the worker or in the socket, and the end of its stream may have been told elsewhere. Room to write is
    // told of here: by its registration where there is some.
    worker.list(id);
}
