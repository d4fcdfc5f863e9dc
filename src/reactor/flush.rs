//! What leaves: each connection's output in one write, and queues going on where a socket has room again.

use std::io::{self, IoSlice};
use std::mem;

use crate::conn::outbox::{Chunk, Outbox};
use crate::conn::{Conn, Written};
use crate::limits::WRITEV_BYTES_MIN;
use crate::reactor::arena::{Arena, Bytes, Dirty};
use crate::reactor::context::Context;
use crate::reactor::counters::Cause;
use crate::reactor::ids::ConnId;
use crate::reactor::service::Service;
use crate::reactor::transport::{Sent, Transport};
use crate::reactor::worker::Worker;
use crate::sys::net::{Net, Socket};
use crate::time::Tick;

/// Parts that one write takes at most.
const PARTS_MAX: usize = 64;

impl<N: Net, S: Service> Worker<N, S> {
    /// Writes everything that was sent in this turn so far.
    pub(crate) fn flush(&mut self) {
        self.core.early = false;
        while !self.core.arena.dirty().is_empty() {
            let mut arena = mem::take(&mut self.core.arena);
            for entry in 0..arena.dirty().len() {
                self.flush_entry(&mut arena, entry);
            }
            let mut backlogged = mem::take(&mut self.backlogged);
            for entry in backlogged.drain(..) {
                self.queue_entry(&mut arena, entry);
            }
            self.backlogged = backlogged;
            arena.clear();
            self.core.arena = arena;
            // The service is told of what ended, and may send to others.
            self.bury();
        }
    }

    /// Removes the connections that writing has brought to their end.
    pub(crate) fn bury(&mut self) {
        while let Some((id, cause)) = self.doomed.pop() {
            self.remove(id, cause);
        }
    }

    fn flush_entry(&mut self, arena: &mut Arena, entry: usize) {
        let dirty = arena.dirty()[entry];
        let id = dirty.conn;
        let Some(conn) = self.core.get_mut(id) else { return };
        if !conn.leaves_at_once() {
            // It waits for its socket anyway: those that don't are written to first.
            return self.backlogged.push(entry);
        }
        let Some(socket) = self.sockets.get_mut(id.key as usize) else { return };
        let mut transport = Transport::new(socket, self.core.tls.as_deref_mut(), id);
        let mut flushed = Flushed::default();
        let result = write(&mut transport, arena, entry, dirty.len, &mut self.scratch, &mut flushed);
        if result.is_err() {
            return self.doomed.push((id, Cause::Reset));
        }
        self.core.counters().sent_bytes.add(flushed.sent as u64);
        if flushed.is_full {
            self.keep_unsent(arena, entry, &flushed);
        }
        self.after_write(id);
    }

    /// Keeps what the socket did not take: records that were made, and the output behind them.
    fn keep_unsent(&mut self, arena: &mut Arena, entry: usize, flushed: &Flushed) {
        let Dirty { conn: id, len, ping_end, .. } = arena.dirty()[entry];
        let records = self.core.hold(id);
        if flushed.taken < len {
            self.queue(arena, entry, flushed.taken);
        }
        if records > 0
            && (flushed.before + 1..=flushed.taken).contains(&ping_end)
            && let Some(conn) = self.core.get_mut(id)
        {
            conn.ping_waits(records);
        }
    }

    /// Puts an entry's output behind what is queued for its connection.
    fn queue_entry(&mut self, arena: &mut Arena, entry: usize) {
        let id = arena.dirty()[entry].conn;
        let Some(conn) = self.core.get_mut(id) else { return };
        conn.joins_backlog();
        self.queue(arena, entry, 0);
        self.after_write(id);
    }

    /// Puts what the socket did not take into the connection's own queue.
    fn queue(&mut self, arena: &mut Arena, entry: usize, written: usize) {
        let Dirty { conn: id, len, ping_end, .. } = arena.dirty()[entry];
        let now = self.core.now.tick;
        let Some(conn) = self.core.get_mut(id) else { return };
        let before = conn.backlog();
        enqueue(conn.begin_backlog(now), arena, entry, written);
        let after = conn.backlog();
        debug_assert_eq!(after, before + len - written);
        if ping_end > written {
            conn.ping_waits(before + ping_end - written);
        }
        self.core.counters().backlog_bytes.add((after - before) as u64);
        self.core.arm(id);
    }

    /// The socket has room again.
    pub(crate) fn on_writable(&mut self, id: ConnId) {
        let now = self.core.now.tick;
        let Some(conn) = self.core.conns.get_mut(id.key as usize) else { return };
        let Some(outbox) = conn.backlog_mut() else { return };
        let Some(socket) = self.sockets.get_mut(id.key as usize) else { return };
        let mut transport = Transport::new(socket, self.core.tls.as_deref_mut(), id);
        let before = outbox.len();
        let (mut sent, mut pinged) = (0, false);
        let result = write_queue(&mut transport, outbox, now, |bytes, was_ping| {
            sent += bytes;
            pinged |= was_ping;
        });
        let after = outbox.len();
        conn.backlog_written(pinged, now);
        let counters = self.core.counters();
        counters.sent_bytes.add(sent as u64);
        counters.backlog_bytes.add(after as u64);
        counters.backlog_bytes.sub(before as u64);
        if result.is_err() {
            return self.remove(id, Cause::Reset);
        }
        self.core.arm(id);
        self.after_write(id);
        self.bury();
        if after == 0 {
            self.relieve(id);
        }
    }

    /// The socket has taken all that was queued: the service is told so, or the time until the next request begins.
    fn relieve(&mut self, id: ConnId) {
        let (now, timing) = (self.core.now.tick, self.core.timing);
        let Some(conn) = self.core.get_mut(id) else { return };
        if conn.is_open() {
            self.service.relieved(&mut Context::new(&mut self.core, &self.mailboxes), id);
            return self.settle();
        }
        conn.relieved(now, &timing);
        self.core.arm(id);
    }

    /// Ends a connection that has said its last word, and reads on where a backlog had stopped that.
    pub(crate) fn after_write(&mut self, id: ConnId) {
        let Some(conn) = self.core.get(id) else { return };
        match conn.written() {
            Written::Nothing => {}
            Written::ReadOn => self.list(id),
            Written::Last => self.say_nothing_follows(id),
            Written::Gone => self.doomed.push((id, Cause::Closed)),
        }
    }

    fn say_nothing_follows(&mut self, id: ConnId) {
        let by = self.core.now.tick.after(self.core.timing.close);
        if self.finish(id)
            && let Some(conn) = self.core.get_mut(id)
        {
            conn.linger(by);
            // The stream may have ended, or been told to, before.
            self.list(id);
        }
    }

    /// Says that nothing follows, and ends our stream. False where what says so has not left yet.
    fn finish(&mut self, id: ConnId) -> bool {
        let Some(mut transport) = self.transport(id) else { return false };
        transport.close();
        self.emit(id);
        if self.core.get(id).is_none_or(Conn::is_blocked) {
            return false;
        }
        if let Some(mut transport) = self.transport(id) {
            transport.finish();
        }
        true
    }

    /// The connection's transport.
    #[inline]
    pub(crate) fn transport(&mut self, id: ConnId) -> Option<Transport<'_, N::Socket>> {
        self.core.get(id)?;
        let socket = self.sockets.get_mut(id.key as usize)?;
        Some(Transport::new(socket, self.core.tls.as_deref_mut(), id))
    }
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
    if second.is_none() {
        return write_bytes(transport, arena.slice(first), flushed);
    }
    if len <= 4 * WRITEV_BYTES_MIN {
        scratch.clear();
        arena.pieces(entry).for_each(|piece| scratch.extend_from_slice(arena.slice(piece)));
        return write_bytes(transport, scratch, flushed);
    }
    write_parts(transport, arena, entry, len, flushed)
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
