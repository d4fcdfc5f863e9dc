//! The flush: each connection's output in one write.

use std::io;
use std::io::IoSlice;

use crate::conn::outbox::{Chunk, Outbox};
use crate::conn::{Conn, Written};
use crate::limits::WRITEV_BYTES_MIN;
use crate::reactor::arena::{Arena, Bytes, Dirty};
use crate::reactor::counters::Cause;
use crate::reactor::ending;
use crate::reactor::ids::ConnId;
use crate::reactor::service::Service;
use crate::reactor::shard::Shard;
use crate::reactor::transport::{Sent, Transport};
use crate::reactor::worker::Worker;
use crate::sys::net::{Net, Socket};

/// Parts that one write takes at most.
pub(crate) const PARTS_MAX: usize = 64;

/// Writes everything that was sent in this turn so far.
#[inline]
pub(crate) fn flush<N: Net, S: Service>(worker: &mut Worker<N, S>) {
    while !worker.shard.arena.dirty().is_empty() {
        flush_all(worker);
        // The service is told of what ended, and may send to others.
        bury(worker);
    }
}

/// Writes all entries of the arena. Nothing is sent meanwhile.
fn flush_all<N: Net, S: Service>(worker: &mut Worker<N, S>) {
    let entries = worker.shard.arena.dirty().len();
    for entry in 0..entries {
        flush_entry(worker, entry);
    }
    if worker.io.has_backlogged() {
        let mut backlogged = worker.io.lend_backlogged();
        for entry in backlogged.drain(..) {
            queue_entry(worker, entry);
        }
        worker.io.return_backlogged(backlogged);
    }
    debug_assert_eq!(worker.shard.arena.dirty().len(), entries, "output that nobody writes");
    worker.shard.arena.clear();
}

/// Removes the connections that writing has brought to their end.
pub(crate) fn bury<N: Net, S: Service>(worker: &mut Worker<N, S>) {
    while let Some((id, cause)) = worker.leaving.next_finished() {
        ending::remove(worker, id, cause);
    }
}

fn flush_entry<N: Net, S: Service>(worker: &mut Worker<N, S>, entry: usize) {
    let dirty = worker.shard.arena.dirty()[entry];
    let id = dirty.conn;
    let Some(conn) = worker.shard.get_mut(id) else { return };
    if !conn.leaves_at_once() {
        // It waits for its socket anyway: those that don't are written to first.
        return worker.io.put_behind(entry);
    }
    let Some((socket, scratch)) = worker.io.writer(id) else { return };
    let shard = &mut worker.shard;
    let mut transport = Transport::new(socket, shard.tls.as_deref_mut(), id);
    let mut flushed = Flushed::default();
    let result = write(&mut transport, &shard.arena, entry, dirty.len, scratch, &mut flushed);
    if result.is_err() {
        return worker.leaving.finish(id, Cause::Reset);
    }
    worker.shard.counters().sent_bytes.add(flushed.sent as u64);
    if flushed.is_full {
        keep_unsent(worker, entry, &flushed);
    }
    after_write(worker, id);
}

/// Keeps what the socket did not take: records that were made, and the output behind them.
fn keep_unsent<N: Net, S: Service>(worker: &mut Worker<N, S>, entry: usize, flushed: &Flushed) {
    let Dirty { conn: id, len, ping_end, .. } = worker.shard.arena.dirty()[entry];
    let records = worker.shard.hold(id);
    if flushed.taken < len {
        queue(&mut worker.shard, entry, flushed.taken);
    }
    if records > 0
        && (flushed.before + 1..=flushed.taken).contains(&ping_end)
        && let Some(conn) = worker.shard.get_mut(id)
    {
        conn.ping_waits(records);
    }
}

/// Puts an entry's output behind what is queued for its connection.
fn queue_entry<N: Net, S: Service>(worker: &mut Worker<N, S>, entry: usize) {
    let id = worker.shard.arena.dirty()[entry].conn;
    let Some(conn) = worker.shard.get_mut(id) else { return };
    conn.joins_backlog();
    queue(&mut worker.shard, entry, 0);
    after_write(worker, id);
}

/// Puts what the socket did not take into the connection's own queue.
fn queue(shard: &mut Shard, entry: usize, written: usize) {
    let Dirty { conn: id, len, ping_end, .. } = shard.arena.dirty()[entry];
    let now = shard.now.tick;
    let Some(conn) = shard.conns.get_mut(id) else { return };
    let before = conn.backlog();
    enqueue(conn.begin_backlog(now), &mut shard.arena, entry, written);
    let after = conn.backlog();
    debug_assert_eq!(after, before + len - written);
    if ping_end > written {
        conn.ping_waits(before + ping_end - written);
    }
    shard.counters().backlog_bytes.add((after - before) as u64);
    shard.arm(id);
}

/// Ends a connection that has said its last word, and reads on where a backlog had stopped that.
#[inline]
pub(crate) fn after_write<N: Net, S: Service>(worker: &mut Worker<N, S>, id: ConnId) {
    let Some(conn) = worker.shard.get(id) else { return };
    match conn.written() {
        Written::Nothing => {}
        Written::ReadOn => worker.list(id),
        Written::Last => say_nothing_follows(worker, id),
        Written::Gone => worker.leaving.finish(id, Cause::Closed),
    }
}

fn say_nothing_follows<N: Net, S: Service>(worker: &mut Worker<N, S>, id: ConnId) {
    let by = worker.shard.now.tick.after(worker.shard.timing.close);
    if finish(worker, id)
        && let Some(conn) = worker.shard.get_mut(id)
    {
        conn.linger(by);
        // The stream may have ended, or been told to, before.
        worker.list(id);
    }
}

/// Says that nothing follows, and ends our stream. False where what says so has not left yet.
fn finish<N: Net, S: Service>(worker: &mut Worker<N, S>, id: ConnId) -> bool {
    let Some(mut transport) = worker.transport(id) else { return false };
    transport.close();
    emit(worker, id);
    if worker.shard.get(id).is_none_or(Conn::is_blocked) {
        return false;
    }
    if let Some(mut transport) = worker.transport(id) {
        transport.finish();
    }
    true
}

/// Sends records that TLS has made by itself, at once: handshakes, tickets, alerts.
pub(crate) fn emit<N: Net, S: Service>(worker: &mut Worker<N, S>, id: ConnId) {
    if worker.shard.tls.as_ref().is_none_or(|tls_state| tls_state.left(id).is_empty()) {
        return;
    }
    if !worker.shard.get(id).is_some_and(Conn::has_sealed) {
        let Some(mut transport) = worker.transport(id) else { return };
        let sent = transport.write_own();
        worker.shard.counters().sent_bytes.add(sent as u64);
    }
    worker.shard.hold(id);
}

/// How far an entry's output was written.
#[derive(Debug, Default)]
struct Flushed {
    /// Bytes of it that the transport took.
    taken: usize,
    /// The same before the last write.
    before: usize,
    /// Bytes that the socket took.
    sent: usize,
    /// The socket takes no more for now.
    is_full: bool,
}

impl Flushed {
    #[inline]
    fn note(&mut self, written: Sent) {
        self.before = self.taken;
        self.taken += written.taken;
        self.sent += written.sent;
        self.is_full = written.is_full;
    }
}

/// Writes an entry's output as far as the socket takes it: one piece from where it lies, several small ones side by side,
/// big ones as a vector.
#[inline]
fn write<S: Socket>(
    transport: &mut Transport<'_, S>,
    arena: &Arena,
    entry: usize,
    len: usize,
    scratch: &mut Vec<u8>,
    flushed: &mut Flushed,
) -> io::Result<()> {
    let mut pieces = arena.pieces(entry);
    let (Some(first), second) = (pieces.next(), pieces.next()) else { return Ok(()) };
    let bytes = if second.is_none() {
        arena.slice(first)
    } else if len <= 4 * WRITEV_BYTES_MIN {
        scratch.clear();
        arena.pieces(entry).for_each(|piece| scratch.extend_from_slice(arena.slice(piece)));
        scratch
    } else {
        return write_parts(transport, arena, entry, len, flushed);
    };
    // The one call of it, so that it is compiled into its caller.
    write_bytes(transport, bytes, flushed)
}

#[inline]
fn write_bytes<S: Socket>(
    transport: &mut Transport<'_, S>,
    mut bytes: &[u8],
    flushed: &mut Flushed,
) -> io::Result<()> {
    loop {
        let written = transport.write(bytes)?;
        flushed.note(written);
        bytes = &bytes[written.taken..];
        if written.is_full || bytes.is_empty() {
            return Ok(());
        }
    }
}

fn write_parts<S: Socket>(
    transport: &mut Transport<'_, S>,
    arena: &Arena,
    entry: usize,
    len: usize,
    flushed: &mut Flushed,
) -> io::Result<()> {
    let mut pieces = arena.pieces(entry).map(|piece| IoSlice::new(arena.slice(piece)));
    while !flushed.is_full && flushed.taken < len {
        let mut parts = [IoSlice::new(&[]); PARTS_MAX];
        let mut filled = 0;
        for (part, piece) in parts.iter_mut().zip(&mut pieces) {
            *part = piece;
            filled += 1;
        }
        let mut left = &mut parts[..filled];
        while !flushed.is_full && !left.is_empty() {
            let written = transport.write_vectored(left)?;
            flushed.note(written);
            IoSlice::advance_slices(&mut left, written.taken);
        }
    }
    Ok(())
}

/// Moves an entry's output behind its first `written` bytes into a queue.
fn enqueue(outbox: &mut Outbox, arena: &mut Arena, entry: usize, mut written: usize) {
    let mut next = arena.first_piece(entry);
    while let Some(piece) = arena.next_piece(&mut next) {
        let bytes = arena.slice(piece);
        if written >= bytes.len() && !bytes.is_empty() {
            written -= bytes.len();
            continue;
        }
        match piece {
            Bytes::Frames(_) if written > 0 => outbox.push_cut_frames(bytes, written),
            Bytes::Frames(_) => outbox.push(Chunk::Frames(bytes.into())),
            Bytes::Opaque(_) => outbox.push(Chunk::Opaque(bytes[written..].into())),
            Bytes::Shared(index) if written > 0 => {
                outbox.push_cut_shared(arena.shared(*index).clone(), written);
            }
            Bytes::Shared(index) => outbox.push(Chunk::Shared(arena.shared(*index).clone())),
            Bytes::Own(index) => {
                let index = *index;
                outbox.push_cut_frame(arena.take_own(index), written);
            }
        }
        written = 0;
    }
}
