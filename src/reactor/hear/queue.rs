//! The connections that a turn serves: those that are ready, and those that have more to be served than their
//! share.

use std::collections::VecDeque;

use crate::reactor::ids::ConnId;
use crate::sys::net::Ready;

/// Places of the list that outlast a burst.
const KEPT: usize = 64;

/// The two lists.
#[derive(Debug)]
pub(crate) struct HearQueue {
    ready: Vec<Ready>,
    /// Some that are ready were left by the turn before.
    is_crowded: bool,
    /// Connections that may have more to read than their share of a turn, or that are no longer paused.
    listed: VecDeque<ConnId>,
}

impl HearQueue {
    pub(crate) const fn new() -> HearQueue {
        HearQueue { ready: Vec::new(), is_crowded: false, listed: VecDeque::new() }
    }

    /// Whether some that are ready have not been heard.
    #[inline]
    pub(crate) const fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// The list where a poll puts ready connections.
    #[inline]
    pub(crate) const fn ready_mut(&mut self) -> &mut Vec<Ready> {
        &mut self.ready
    }

    /// One of those that are ready, in the order they came.
    #[inline]
    pub(crate) fn ready(&self, index: usize) -> Option<Ready> {
        self.ready.get(index).copied()
    }

    /// The first so many have been heard; the others are for the next turn.
    #[inline]
    pub(crate) fn heard(&mut self, count: usize) {
        self.ready.drain(..count);
        self.is_crowded = !self.ready.is_empty();
    }

    /// Whether some were left by the turn before.
    pub(crate) const fn is_crowded(&self) -> bool {
        self.is_crowded
    }

    /// Puts a connection behind those that have more to be served.
    pub(crate) fn list(&mut self, id: ConnId) {
        self.listed.push_back(id);
    }

    /// How many have.
    #[inline]
    pub(crate) fn listed(&self) -> usize {
        self.listed.len()
    }

    /// Takes the first of them.
    pub(crate) fn next_listed(&mut self) -> Option<ConnId> {
        self.listed.pop_front()
    }

    /// Gives back what a burst has left.
    pub(crate) fn shrink(&mut self) {
        self.listed.shrink_to(KEPT);
    }

    /// Bytes of memory.
    pub(crate) fn bytes(&self) -> usize {
        self.listed.capacity() * size_of::<ConnId>()
    }
}
