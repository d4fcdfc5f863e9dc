//! The history of a home's rooms, taken together: bytes, rooms without members, and users whose messages are looked for.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use crate::limits::HISTORY_ROOMS_MAX;
use crate::presence::history::{Journal, RoomHistory, Shares, rule_for};
use crate::presence::message::ReplyTo;
use crate::presence::name::Name;
use crate::presence::rules::{HistoryRule, Rules};
use crate::time::Tick;

/// The history of one home's rooms, taken together.
pub(super) struct Keeping {
    pub(super) rules: Arc<[HistoryRule]>,
    pub(super) shares: Shares,
    /// Rooms without members, by slot and serial, in the order in which they came to be that; and some that are that no more.
    pub(super) empty: VecDeque<(u32, u32)>,
    /// How many there are, and may be.
    pub(super) empties: usize,
    pub(super) empties_most: usize,
    /// Rooms without members that have nothing left to keep.
    pub(super) over: Vec<(u32, u32)>,
    /// Users whose messages are looked for.
    pub(super) erasures: VecDeque<Erasure>,
    pub(super) journal: Option<Box<dyn Journal>>,
}

impl fmt::Debug for Keeping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keeping").field("shares", &self.shares.bytes()).finish_non_exhaustive()
    }
}

impl Keeping {
    pub(super) fn new(rules: &Rules, workers: u16) -> Keeping {
        let workers = usize::from(workers.max(1));
        Keeping {
            rules: Arc::clone(&rules.history),
            shares: Shares::new(rules.history_bytes / workers),
            empty: VecDeque::new(),
            empties: 0,
            empties_most: (HISTORY_ROOMS_MAX / workers).max(1),
            over: Vec::new(),
            erasures: VecDeque::new(),
            journal: None,
        }
    }

    /// The history of a room of that name whose next message has that offset.
    pub(super) fn history_of(&self, room: &str, next: u64) -> Option<Box<RoomHistory>> {
        rule_for(&self.rules, room).map(|rule| Box::new(RoomHistory::new(next, Some(rule))))
    }
}

/// Messages of a deleted user that are looked for.
#[derive(Debug)]
pub(super) struct Erasure {
    pub(super) user: Name,
    /// Edges from which something that the user has said may still come; and when it is waited for no longer.
    pub(super) left: u16,
    pub(super) until: Tick,
    /// The room that is next, by slot, and which it was, and the offset to go on from.
    pub(super) slot: usize,
    pub(super) serial: u32,
    pub(super) offset: u64,
    /// Messages deleted so far; in the room as well.
    pub(super) messages: usize,
    pub(super) here: usize,
    pub(super) reply_to: Option<ReplyTo>,
}
