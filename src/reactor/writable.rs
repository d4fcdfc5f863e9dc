//! A socket has room again: its connection's queue goes on.

use std::io::{self, IoSlice};

use crate::conn::outbox::Outbox;
use crate::limits::TIMERS_PER_TURN_MAX;
use crate::reactor::context::Context;
use crate::reactor::counters::Cause;
use crate::reactor::ending;
use crate::reactor::flush::{self, PARTS_MAX};
use crate::reactor::ids::ConnId;
use crate::reactor::pending;
use crate::reactor::service::Service;
use crate::reactor::transport::{Sent, Transport};
use crate::reactor::worker::Worker;
use crate::sys::net::{Net, Socket};
use crate::time::Tick;

/// The socket has room again.
pub(crate) fn on_writable<N: Net, S: Service>(worker: &mut Worker<N, S>, id: ConnId) {
    let now = worker.shard.now.tick;
    let Some(conn) = worker.shard.conns.get_mut(id) else { return };
    let Some(outbox) = conn.backlog_mut() else { return };
    let Some(socket) = worker.io.socket(id) else { return };
    let mut transport = Transport::new(socket, worker.shard.tls.as_deref_mut(), id);
    let before = outbox.len();
    let (mut sent, mut pinged) = (0, false);
    let result = write_queue(&mut transport, outbox, now, |bytes, was_ping| {
        sent += bytes;
        pinged |= was_ping;
    });
    let after = outbox.len();
    conn.backlog_written(pinged, now);
    let counters = worker.shard.counters();
    counters.sent_bytes.add(sent as u64);
    counters.backlog_bytes.add(after as u64);
    counters.backlog_bytes.sub(before as u64);
    if result.is_err() {
        return ending::remove(worker, id, Cause::Reset);
    }
    worker.shard.arm(id);
    flush::after_write(worker, id);
    flush::bury(worker);
    if after == 0 {
        relieve(worker, id);
    }
}

/// The socket has taken all that was queued: the service is told so, or the time until the next request begins.
fn relieve<N: Net, S: Service>(worker: &mut Worker<N, S>, id: ConnId) {
    let (now, timing) = (worker.shard.now.tick, worker.shard.timing);
    let Some(conn) = worker.shard.get_mut(id) else { return };
    if conn.is_open() || conn.is_streaming() {
        worker.service.writable(&mut Context::new(&mut worker.shard, &worker.mailboxes), id);
        return pending::run(worker);
    }
    conn.writable(now, &timing);
    worker.shard.arm(id);
}

/// Tells the service of connections whose output of the turn before was too much, and has left: a turn's share of them.
#[inline]
pub(crate) fn refused<N: Net, S: Service>(worker: &mut Worker<N, S>) {
    for _ in 0..worker.shard.refused.len().min(TIMERS_PER_TURN_MAX) {
        let Some(id) = worker.shard.refused.pop() else { break };
        let Some(conn) = worker.shard.get(id) else { continue };
        // A socket that is full says by itself when it has room.
        if conn.is_blocked() {
            continue;
        }
        if conn.has_output() {
            // It was refused in this turn.
            worker.shard.refused.note(id);
            continue;
        }
        worker.shard.work.begin();
        relieve(worker, id);
        worker.served(id);
    }
}

/// Writes what is queued, as far as the socket takes it: first the records that wait. Tells of each write how many bytes the
/// socket took, and whether the last byte of a Ping was among them.
fn write_queue<S: Socket>(
    transport: &mut Transport<'_, S>,
    outbox: &mut Outbox,
    now: Tick,
    mut tell: impl FnMut(usize, bool),
) -> io::Result<()> {
    loop {
        if !outbox.sealed().is_empty() {
            let sent = transport.write_sealed(outbox.sealed())?;
            tell(sent, outbox.advance_sealed(sent, now));
        }
        if !outbox.sealed().is_empty() || outbox.is_empty() {
            return Ok(());
        }
        let mut parts = [IoSlice::new(&[]); PARTS_MAX];
        let filled = outbox.parts(&mut parts);
        let Sent { taken, sent, is_full } = transport.write_vectored(&parts[..filled])?;
        tell(sent, outbox.advance(taken, sent, transport.left(), now));
        if is_full {
            return Ok(());
        }
    }
}
