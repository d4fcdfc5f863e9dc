//! Big rooms: in place of each `join` and `leave` they are told once a second how many members there are, and who came and went
//! as long as that is cheap. One that becomes small again is told its whole list, once.

use std::collections::BTreeMap;

use crate::limits::BIG_ROOM_BYTES_MAX;
use crate::presence::name::{Name, listed_bytes};
use crate::presence::rules::Rules;
use crate::time::{TICK_MILLIS, Tick};

/// Ticks between two events that tell a big room of changes.
pub(super) const EVENT_TICKS: u32 = (1_000 / TICK_MILLIS) as u32;

/// The changes that a big room is yet to be told.
#[derive(Debug)]
pub(super) struct Big {
    /// It will be told then.
    pub(super) due: Option<Tick>,
    /// `membership` as of the last event.
    pub(super) since: u64,
    /// Users who came or went since then, and whether each is a member now.
    pub(super) touched: BTreeMap<Name, bool>,
    /// Bytes of their names as JSON.
    pub(super) bytes: usize,
    /// There were too many of them: nothing is kept.
    pub(super) is_lost: bool,
}

/// The bounds that make a room big, and those past which its changes are not listed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// A room is big where it has more members, and until it has fewer than four fifths of that.
    pub(super) members: usize,
    /// Names in a second, times members.
    pub(super) names: usize,
    /// The home was lost: rooms from this slot on are told nothing yet.
    pub(super) quiet_from: Option<u32>,
}

impl Bounds {
    pub(super) fn new(rules: &Rules) -> Bounds {
        Bounds { members: rules.big_room, names: rules.big_room_names, quiet_from: None }
    }

    pub(super) fn is_quiet(self, slot: u32) -> bool {
        self.quiet_from.is_some_and(|from| slot >= from)
    }

    pub(super) fn is_small(self, members: usize) -> bool {
        members.saturating_mul(5) < self.members.saturating_mul(4)
    }

    /// Whether so many names, of so many bytes, are too much for so many members.
    pub(super) fn are_passed(self, names: usize, bytes: usize, members: usize) -> bool {
        names.saturating_mul(members) > self.names || bytes > BIG_ROOM_BYTES_MAX
    }
}

impl Big {
    pub(super) fn new(since: u64) -> Big {
        Big { due: None, since, touched: BTreeMap::new(), bytes: 0, is_lost: false }
    }

    pub(super) fn touch(&mut self, (user, is_in): (&Name, bool), members: usize, bounds: Bounds) {
        if self.is_lost {
            return;
        }
        if self.touched.insert(user.clone(), is_in).is_none() {
            self.bytes += listed_bytes(user);
        }
        if bounds.are_passed(self.touched.len(), self.bytes, members) {
            self.is_lost = true;
            self.touched = BTreeMap::new();
        }
    }
}
