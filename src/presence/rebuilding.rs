//! What announcements leave a node to do: homes that have yet to hear its edge out, edges that its own homes have yet to hear, and
//! what these are yet to look through.

use std::collections::VecDeque;

use crate::presence::message::{Message, WorkerRef};
use crate::presence::name::Name;

/// How far a look through all rooms has come.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cursor {
    pub(crate) room: usize,
    /// In it, the last member that was looked at.
    pub(crate) member: Option<Name>,
}

/// A look through what is known of an edge.
#[derive(Debug)]
pub(crate) struct Sweep {
    pub(crate) edge: WorkerRef,
    /// The slot where it goes on; `None`: it is done with these.
    pub(crate) users: Option<usize>,
    pub(crate) rooms: Option<Cursor>,
}

/// What a node has left to do for announcements, and waits for.
#[derive(Debug)]
pub(crate) struct Rebuilding {
    pub(crate) sweeps: VecDeque<Sweep>,
    /// The homes were lost: whether each edge has yet to announce what it knows.
    pub(crate) awaits: Option<Box<[bool]>>,
    /// Workers whose homes have yet to hear this edge out.
    pub(crate) unheard: Box<[bool]>,
    any_unheard: bool,
}

impl Rebuilding {
    pub(crate) fn new(workers: u16) -> Rebuilding {
        let unheard = (0..workers).map(|_| false).collect();
        Rebuilding { sweeps: VecDeque::new(), awaits: None, unheard, any_unheard: false }
    }

    pub(crate) fn set_unheard(&mut self, worker: u16, is_unheard: bool) {
        if let Some(place) = self.unheard.get_mut(usize::from(worker)) {
            *place = is_unheard;
        }
        self.any_unheard = self.unheard.contains(&true);
    }

    /// Whether a message asks for something that a home can't answer yet.
    #[inline]
    pub(crate) fn holds_up(&self, to: u16, message: &Message) -> bool {
        self.any_unheard
            && self.unheard.get(usize::from(to)) == Some(&true)
            && message.reply_to().is_some()
            && !matches!(message, Message::Told { .. })
    }

    /// Whether a turn has something to do for it.
    pub(crate) fn is_due(&self) -> bool {
        !self.sweeps.is_empty() || self.awaits.as_ref().is_some_and(|awaits| !awaits.contains(&true))
    }
}

impl Rebuilding {
    pub(crate) fn await_edge(&mut self, edge: u16, is_awaited: bool) {
        if let Some(place) = self.awaits.as_mut().and_then(|awaits| awaits.get_mut(usize::from(edge))) {
            *place = is_awaited;
        }
    }
}
