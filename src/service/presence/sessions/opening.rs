//! An event stream that begins: who comes in by it, and what it missed of the rooms that it comes back to.

use crate::presence::{Entry, Name, State};
use crate::protocol::event_stream::Position;

/// A stream whose head is sent in this turn: its client comes in behind that.
#[derive(Debug)]
pub(super) struct Opening {
    pub(super) entry: Entry,
    pub(super) state: Option<State>,
    /// Commands, as text.
    pub(super) commands: Vec<String>,
    /// Its place among what is counted for its client's address.
    pub(super) counted: Option<u32>,
    pub(super) missed: Option<Box<Missed>>,
}

/// The rooms of a stream that are yet to be answered.
#[derive(Debug)]
pub(super) struct Missed {
    pub(super) last: Position,
    /// By the number of the command that joins them.
    pub(super) rooms: Vec<Option<Name>>,
}

impl Missed {
    pub(super) fn new(last: Position, rooms: &[String]) -> Missed {
        Missed { last, rooms: rooms.iter().map(|room| Some(room.as_str().into())).collect() }
    }

    /// The room that a command has joined, once.
    pub(super) fn take(&mut self, seq: i64) -> Option<Name> {
        self.rooms.get_mut(usize::try_from(seq).ok()?)?.take()
    }
}
