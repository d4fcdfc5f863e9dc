//! Whether a worker has connections to accept, and what the next one is numbered.

use crate::time::Tick;

/// Whether connections wait to be accepted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Accepting {
    /// None that we know of.
    Idle,
    /// Some may.
    Waiting,
    /// Some do, and there was no descriptor or memory for them; to be tried again then, or when a connection ends.
    Blocked(Tick),
    /// Nobody is accepted any more.
    Closed,
}

/// The listeners of a worker.
#[derive(Debug)]
pub(crate) struct AcceptQueue {
    accepting: Accepting,
    next_generation: u32,
}

impl AcceptQueue {
    /// One whose listeners have yet to be looked at.
    pub(crate) const fn new() -> AcceptQueue {
        AcceptQueue { accepting: Accepting::Waiting, next_generation: 0 }
    }

    /// A listener says that connections wait.
    pub(crate) fn wake(&mut self) {
        if self.accepting == Accepting::Idle {
            self.accepting = Accepting::Waiting;
        }
    }

    /// Whether it is time to accept.
    #[inline]
    pub(crate) const fn is_due(&self, now: Tick) -> bool {
        match self.accepting {
            Accepting::Waiting => true,
            Accepting::Blocked(at) => now.has_reached(at),
            Accepting::Idle | Accepting::Closed => false,
        }
    }

    /// Whether connections may wait that could be accepted at once.
    #[inline]
    pub(crate) fn is_waiting(&self) -> bool {
        self.accepting == Accepting::Waiting
    }

    /// When to try again, where there was no room for a connection.
    #[inline]
    pub(crate) const fn retry(&self) -> Option<Tick> {
        match self.accepting {
            Accepting::Blocked(at) => Some(at),
            _ => None,
        }
    }

    /// Notes the outcome of accepting.
    pub(crate) const fn done(&mut self, accepting: Accepting) {
        self.accepting = accepting;
    }

    /// A connection has ended: there may be room for another.
    pub(crate) const fn freed(&mut self, now: Tick) {
        if let Accepting::Blocked(at) = &mut self.accepting {
            *at = now;
        }
    }

    /// Nobody is accepted any more. Says whether somebody was.
    pub(crate) fn close(&mut self) -> bool {
        std::mem::replace(&mut self.accepting, Accepting::Closed) != Accepting::Closed
    }

    /// The number that tells the next connection from earlier ones in its slot.
    pub(crate) const fn generation(&mut self) -> u32 {
        let generation = self.next_generation;
        // The highest bit tells other descriptors from connections, see `Ready::WATCHED`.
        self.next_generation = generation.wrapping_add(1) & (u32::MAX >> 1);
        generation
    }
}
