//! What leaves: each connection's output in one write, and queues going on where a socket has room again.

use std::io::{ErrorKind, IoSlice};
use std::mem;

use crate::limits::WRITEV_BYTES_MIN;
use crate::reactor::arena::{Arena, Bytes, Dirty, NONE};
use crate::reactor::conn::{Beat, Flag, Life};
use crate::reactor::context::Context;
use crate::reactor::counters::Cause;
use crate::reactor::ids::ConnId;
use crate::reactor::outbox::{Chunk, Outbox};
use crate::reactor::service::Service;
use crate::reactor::transport::Transport;
use crate::reactor::worker::Worker;
use crate::sys::net::Net;

/// Parts that one write takes at most.
pub(crate) const PARTS_MAX: usize = 64;

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
        if conn.outbox.is_some() {
            // It waits for its socket anyway: those that don't are written to first.
            return self.backlogged.push(entry);
        }
        conn.dirty = NONE;
        if self.core.tls_link(id).is_some() {
            return self.seal_entry(arena, entry);
        }
        let Some(transport) = self.transports.get_mut(id.key as usize) else { return };
        match write(transport, arena, entry, dirty.len, &mut self.scratch) {
            Ok(written) => {
                self.core.counters().sent_bytes.add(written as u64);
                if written < dirty.len {
                    self.queue(arena, entry, written);
                }
            }
            Err(_) => return self.doomed.push((id, Cause::Reset)),
        }
        self.after_write(id);
    }

    /// Puts an entry's output behind what is queued for its connection.
    fn queue_entry(&mut self, arena: &mut Arena, entry: usize) {
        let id = arena.dirty()[entry].conn;
        let Some(conn) = self.core.get_mut(id) else { return };
        conn.dirty = NONE;
        self.queue(arena, entry, 0);
        self.after_write(id);
    }

    /// Puts what the socket did not take into the connection's own queue.
    pub(crate) fn queue(&mut self, arena: &mut Arena, entry: usize, written: usize) {
        let Dirty { conn: id, len, ping_end, .. } = arena.dirty()[entry];
        let now = self.core.now.tick;
        let Some(conn) = self.core.get_mut(id) else { return };
        let before = conn.backlog();
        let outbox = conn.outbox.get_or_insert_with(|| Box::new(Outbox::new(now)));
        let ahead = outbox.len();
        enqueue(outbox, arena, entry, written);
        debug_assert_eq!(outbox.len(), ahead + len - written);
        let after = outbox.len();
        if ping_end > written {
            outbox.expect_ping(ahead + ping_end - written);
            conn.set_beat(Beat::Queued);
        }
        self.core.counters().backlog_bytes.add((after - before) as u64);
        self.core.arm(id);
    }

    /// The socket has room again.
    pub(crate) fn on_writable(&mut self, id: ConnId) {
        if self.core.tls_link(id).is_some() {
            return self.write_records(id);
        }
        let now = self.core.now.tick;
        let Some(conn) = self.core.conns.get_mut(id.key as usize) else { return };
        let Some(outbox) = &mut conn.outbox else { return };
        let Some(transport) = self.transports.get_mut(id.key as usize) else { return };
        let before = outbox.len();
        let mut sent = 0;
        let mut pinged = false;
        let result = loop {
            if outbox.is_empty() {
                break Ok(());
            }
            let mut parts = [IoSlice::new(&[]); PARTS_MAX];
            let filled = outbox.parts(&mut parts);
            let offered: usize = parts[..filled].iter().map(|part| part.len()).sum();
            match transport.write_vectored(&parts[..filled]) {
                Ok(written) => {
                    sent += written;
                    pinged |= outbox.advance(written, now);
                    if written < offered {
                        break Ok(());
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        let after = outbox.len();
        if after == 0 {
            conn.outbox = None;
        }
        if pinged && conn.beat() == Beat::Queued {
            conn.set_beat(Beat::Waiting(now));
        }
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
    pub(crate) fn relieve(&mut self, id: ConnId) {
        let (now, timing) = (self.core.now.tick, self.core.timing);
        let Some(conn) = self.core.get_mut(id) else { return };
        match conn.life {
            Life::Open => {
                self.service.relieved(&mut Context { core: &mut self.core }, id);
                self.settle();
            }
            Life::Http if conn.is_answered() => {
                conn.deadline = now.after(timing.keep_alive);
                self.core.arm(id);
            }
            Life::Closing => {
                // Our Close has left: the peer's is waited for from here on.
                conn.deadline = now.after(timing.close);
                self.core.arm(id);
            }
            _ => {}
        }
    }

    /// Ends a connection that has said its last word, and reads on where a backlog had stopped that.
    pub(crate) fn after_write(&mut self, id: ConnId) {
        let lingers = self.core.now.tick.after(self.core.timing.close);
        let Some(conn) = self.core.get_mut(id) else { return };
        let written = conn.outbox.is_none();
        if conn.flags.has(Flag::Cut) || (conn.life == Life::Ending && written && conn.flags.has(Flag::Ended))
        {
            return self.doomed.push((id, Cause::Closed));
        }
        if conn.life == Life::Ending && written {
            if !self.close_records(id) {
                return;
            }
            let Some(conn) = self.core.get_mut(id) else { return };
            conn.life = Life::Lingering;
            conn.deadline = lingers;
            if let Some(transport) = self.transport(id) {
                transport.finish();
            }
            // The stream may have ended, or been told to, before.
            return self.list(id);
        }
        if conn.flags.has(Flag::Paused) && !conn.is_stuffed() {
            self.list(id);
        }
    }

    pub(crate) fn transport(&mut self, id: ConnId) -> Option<&mut Transport<N::Socket>> {
        self.core.get(id)?;
        self.transports.get_mut(id.key as usize)
    }
}

/// Writes an entry's output as far as the socket takes it: one piece from where it lies, several small ones side by side,
/// big ones as a vector.
fn write<T: crate::sys::net::Socket>(
    transport: &mut Transport<T>,
    arena: &Arena,
    entry: usize,
    len: usize,
    scratch: &mut Vec<u8>,
) -> std::io::Result<usize> {
    let mut pieces = arena.pieces(entry);
    let (Some(first), second) = (pieces.next(), pieces.next()) else { return Ok(0) };
    let result = if second.is_none() {
        transport.write(arena.slice(first))
    } else if len <= 4 * WRITEV_BYTES_MIN {
        scratch.clear();
        arena.pieces(entry).for_each(|piece| scratch.extend_from_slice(arena.slice(piece)));
        transport.write(scratch)
    } else {
        return write_parts(transport, arena, entry);
    };
    none_where_full(result)
}

fn write_parts<T: crate::sys::net::Socket>(
    transport: &mut Transport<T>,
    arena: &Arena,
    entry: usize,
) -> std::io::Result<usize> {
    let mut pieces = arena.pieces(entry).map(|piece| IoSlice::new(arena.slice(piece)));
    let mut total = 0;
    loop {
        let mut parts = [IoSlice::new(&[]); PARTS_MAX];
        let mut filled = 0;
        for (part, piece) in parts.iter_mut().zip(&mut pieces) {
            *part = piece;
            filled += 1;
        }
        let offered: usize = parts[..filled].iter().map(|part| part.len()).sum();
        if offered == 0 {
            return Ok(total);
        }
        let written = none_where_full(transport.write_vectored(&parts[..filled]))?;
        total += written;
        if written < offered {
            return Ok(total);
        }
    }
}

fn none_where_full(result: std::io::Result<usize>) -> std::io::Result<usize> {
    match result {
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(0),
        result => result,
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
