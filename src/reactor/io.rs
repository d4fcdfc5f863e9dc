//! A worker's sockets, and the memory that bytes pass through on their way from and to them.

use std::mem;

use crate::limits::{READ_BUFFER_BYTES, WRITEV_BYTES_MIN};
use crate::reactor::ids::ConnId;
use crate::slots::SideTable;

/// Places of a list that outlast a burst.
const KEPT: usize = 64;

/// The sockets and buffers.
#[derive(Debug)]
pub(crate) struct Io<S> {
    /// By the keys of the connections.
    sockets: SideTable<S>,
    /// One buffer for every read.
    buffer: Box<[u8]>,
    /// The buffer where small pieces of one connection's output are put side by side.
    scratch: Vec<u8>,
    /// Entries of the arena that is written whose connections have a backlog.
    backlogged: Vec<usize>,
}

impl<S> Io<S> {
    pub(crate) fn new() -> Io<S> {
        Io {
            sockets: SideTable::default(),
            buffer: vec![0; READ_BUFFER_BYTES].into(),
            scratch: Vec::new(),
            backlogged: Vec::new(),
        }
    }

    /// The connection's socket.
    #[inline]
    pub(crate) fn socket(&mut self, id: ConnId) -> Option<&mut S> {
        self.sockets.get_mut(id.key as usize)
    }

    /// The connection's socket, and where small pieces may be put side by side.
    #[inline]
    pub(crate) fn writer(&mut self, id: ConnId) -> Option<(&mut S, &mut Vec<u8>)> {
        Some((self.sockets.get_mut(id.key as usize)?, &mut self.scratch))
    }

    /// Takes the socket of a fresh connection in.
    pub(crate) fn put(&mut self, id: ConnId, socket: S) {
        self.sockets.put(id.key as usize, socket);
    }

    /// Takes a connection's socket out.
    pub(crate) fn take(&mut self, id: ConnId) -> Option<S> {
        self.sockets.take(id.key as usize)
    }

    /// Lends the buffer for reads, which comes back by [`Io::return_buffer`].
    #[inline]
    pub(crate) fn lend_buffer(&mut self) -> Box<[u8]> {
        mem::take(&mut self.buffer)
    }

    #[inline]
    pub(crate) fn return_buffer(&mut self, buffer: Box<[u8]>) {
        self.buffer = buffer;
    }

    /// An entry of the arena waits behind its connection's backlog.
    pub(crate) fn put_behind(&mut self, entry: usize) {
        self.backlogged.push(entry);
    }

    /// Whether entries do.
    #[inline]
    pub(crate) const fn has_backlogged(&self) -> bool {
        !self.backlogged.is_empty()
    }

    /// Takes them; the list comes back by [`Io::return_backlogged`].
    pub(crate) fn lend_backlogged(&mut self) -> Vec<usize> {
        mem::take(&mut self.backlogged)
    }

    pub(crate) fn return_backlogged(&mut self, backlogged: Vec<usize>) {
        self.backlogged = backlogged;
    }

    /// Gives back what a burst has left.
    pub(crate) fn shrink(&mut self) {
        self.sockets.shrink();
        self.backlogged.shrink_to(KEPT);
        self.scratch.shrink_to(WRITEV_BYTES_MIN);
    }

    /// Bytes of the buffers.
    pub(crate) fn buffer_bytes(&self) -> usize {
        self.buffer.len() + self.scratch.capacity()
    }

    /// Bytes of the table of sockets.
    pub(crate) fn bytes(&self) -> usize {
        self.sockets.bytes()
    }
}
