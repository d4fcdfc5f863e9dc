//! The output of a connection: its place in the output of a turn, and its backlog, which its socket did not
//! take.

use crate::conn::outbox::Outbox;
use crate::conn::{Conn, NONE};
use crate::limits::BACKLOG_BYTES_PAUSE;
use crate::time::Tick;

impl Conn {
    /// Its entry in the turn's arena, which has none of that number where the connection was sent nothing.
    #[inline]
    pub(crate) const fn entry(&self) -> u32 {
        self.dirty
    }

    /// Its entry in the turn's arena, made by `enter` where it has none.
    #[inline]
    pub(crate) fn entry_or(&mut self, enter: impl FnOnce() -> u32) -> u32 {
        if self.dirty == NONE {
            self.dirty = enter();
        }
        self.dirty
    }

    /// Its entry is about to be written. False where it has a backlog, which the entry has to wait behind.
    #[inline]
    pub(crate) const fn leaves_at_once(&mut self) -> bool {
        if self.outbox.is_some() {
            return false;
        }
        self.dirty = NONE;
        true
    }

    /// Its entry is about to be put behind its backlog.
    pub(crate) const fn joins_backlog(&mut self) {
        self.dirty = NONE;
    }

    /// Whether its socket takes no more for now.
    #[inline]
    pub(crate) const fn is_blocked(&self) -> bool {
        self.outbox.is_some()
    }

    /// Bytes that the socket did not take.
    #[inline]
    pub(crate) fn backlog(&self) -> usize {
        self.outbox.as_ref().map_or(0, |outbox| outbox.len())
    }

    /// Whether something that was sent has not left.
    #[inline]
    pub(crate) const fn has_output(&self) -> bool {
        self.outbox.is_some() || self.dirty != NONE
    }

    /// Whether so much waits for its peer to read that it isn't read itself.
    #[inline]
    pub(crate) fn is_above_high_watermark(&self) -> bool {
        self.backlog() >= BACKLOG_BYTES_PAUSE
    }

    /// Its backlog, to put something behind it: what the socket did not take. It begins at `now` where there is none.
    pub(crate) fn begin_backlog(&mut self, now: Tick) -> &mut Outbox {
        self.outbox.get_or_insert_with(|| Box::new(Outbox::new(now)))
    }

    /// Its backlog, to be written; [`Conn::backlog_written`] follows.
    #[inline]
    pub(crate) fn backlog_mut(&mut self) -> Option<&mut Outbox> {
        self.outbox.as_deref_mut()
    }

    /// The socket took some of the backlog, the end of a Ping among it where `pinged`.
    pub(crate) fn backlog_written(&mut self, pinged: bool, now: Tick) {
        if self.outbox.as_ref().is_some_and(|outbox| outbox.is_empty()) {
            self.outbox = None;
        }
        if pinged {
            self.ping_left(now);
        }
    }

    /// Of a connection with a backlog: when its socket last took a byte, and how many it took since there is one.
    pub(crate) fn drained(&self) -> Option<(Tick, u64)> {
        let outbox = self.outbox.as_ref()?;
        Some((outbox.progress(), outbox.taken()))
    }

    /// Chunks of its backlog: what it costs to forget them.
    pub(crate) fn queued_chunks(&self) -> usize {
        self.outbox.as_ref().map_or(0, |outbox| outbox.chunks())
    }

    /// Answers a Ping ahead of the backlog, the latest of several. Says whether there is one; without, the Pong leaves as all else.
    pub(crate) fn queue_pong(&mut self, payload: &[u8]) -> bool {
        let Some(outbox) = &mut self.outbox else { return false };
        outbox.pong(payload);
        true
    }

    /// Whether records wait at the front of its backlog.
    pub(crate) fn has_sealed(&self) -> bool {
        self.outbox.as_ref().is_some_and(|outbox| !outbox.sealed().is_empty())
    }

    /// Its peer reads nothing behind the records that wait: the rest of its backlog is dropped.
    pub(crate) fn keep_sealed(&mut self) {
        let outbox = self.outbox.take().filter(|outbox| !outbox.sealed().is_empty());
        self.outbox = outbox.map(|outbox| Box::new(outbox.into_sealed()));
    }
}
