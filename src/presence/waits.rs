//! Connections that were handed over by another home and are yet to come: until when each user and each member is waited for.

use std::collections::VecDeque;

use crate::presence::name::Name;
use crate::time::Tick;

/// What an import has brought that is waited for.
#[derive(Clone, Debug)]
pub(crate) enum Awaited {
    /// A user's connections.
    User { slot: u32, serial: u32 },
    /// A member's.
    Member { slot: u32, serial: u32, user: Name },
}

/// Users and members whose connections were handed over, and until when these are waited for.
#[derive(Debug, Default)]
pub(crate) struct Waits {
    queue: VecDeque<(Tick, Awaited)>,
}

impl Waits {
    pub(crate) fn add(&mut self, until: Tick, awaited: Option<Awaited>) {
        self.queue.extend(awaited.map(|awaited| (until, awaited)));
    }

    pub(crate) fn bytes(&self) -> usize {
        self.queue.capacity() * size_of::<(Tick, Awaited)>()
    }

    #[inline]
    pub(crate) fn due(&self) -> Option<Tick> {
        self.queue.front().map(|(until, _)| *until)
    }

    pub(crate) fn take(&mut self, now: Tick) -> Option<Awaited> {
        let (_, awaited) = self.queue.pop_front_if(|(until, _)| now.has_reached(*until))?;
        if self.queue.is_empty() {
            self.queue = VecDeque::new();
        }
        Some(awaited)
    }
}
