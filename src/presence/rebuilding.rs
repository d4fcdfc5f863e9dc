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
    /// Where sight is restricted: homes that are yet to hear from the rooms here which of these their users are in, and how far that
    /// has come; `None`: it is yet to begin.
    pub(crate) places: VecDeque<(u16, Option<Cursor>)>,
    /// Workers whose rooms have said that, and the user's slot from which on those that they did not name are yet to be dropped.
    pub(crate) place_sweeps: VecDeque<(u16, usize)>,
    /// The homes were lost: whether the rooms of each worker have yet to say it.
    awaits_places: Option<Box<[bool]>>,
}

impl Rebuilding {
    pub(crate) fn new(workers: u16) -> Rebuilding {
        let unheard = (0..workers).map(|_| false).collect();
        Rebuilding {
            sweeps: VecDeque::new(),
            awaits: None,
            unheard,
            any_unheard: false,
            places: VecDeque::new(),
            place_sweeps: VecDeque::new(),
            awaits_places: None,
        }
    }

    /// The homes were lost. `restricted`: it is to be heard from all rooms who is in them, too.
    pub(crate) fn lose_homes(&mut self, workers: u16, restricted: bool) {
        let all = || (0..workers).map(|_| true).collect();
        self.sweeps.clear();
        self.place_sweeps.clear();
        self.places.iter_mut().for_each(|(_, reached)| *reached = None);
        self.awaits = Some(all());
        self.awaits_places = restricted.then(all);
    }

    /// All have spoken. Returns how many.
    pub(crate) fn end_wait(&mut self) -> usize {
        self.awaits_places = None;
        self.awaits.take().map_or(0, |awaits| awaits.len())
    }

    /// The rooms here are yet to say to a home who of its users is in them.
    pub(crate) fn say_places(&mut self, home: u16) {
        self.end_places(home);
        self.places.push_back((home, None));
    }

    /// Nothing is said to a home, nor looked through of what it has said.
    pub(crate) fn end_places(&mut self, home: u16) {
        self.places.retain(|(to, _)| *to != home);
        self.place_sweeps.retain(|(of, _)| *of != home);
    }

    /// Whether it is known who is in the rooms here: they were not lost, or all edges have spoken since.
    pub(crate) fn knows_rooms(&self) -> bool {
        self.awaits.as_ref().is_none_or(|awaits| !awaits.contains(&true))
    }

    /// Whether the homes were lost, and everything that was to be heard for that is.
    pub(crate) fn is_complete(&self) -> bool {
        let awaits_places = self.awaits_places.as_ref().is_some_and(|awaits| awaits.contains(&true));
        self.awaits.is_some() && self.knows_rooms() && !awaits_places
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
        let has_places = !self.places.is_empty() && self.knows_rooms();
        !self.sweeps.is_empty() || !self.place_sweeps.is_empty() || has_places || self.is_complete()
    }

    pub(crate) fn await_places(&mut self, home: u16, is_awaited: bool) {
        let places = self.awaits_places.as_mut();
        if let Some(place) = places.and_then(|awaits| awaits.get_mut(usize::from(home))) {
            *place = is_awaited;
        }
    }

    pub(crate) fn await_edge(&mut self, edge: u16, is_awaited: bool) {
        if let Some(place) = self.awaits.as_mut().and_then(|awaits| awaits.get_mut(usize::from(edge))) {
            *place = is_awaited;
        }
    }
}
