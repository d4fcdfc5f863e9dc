//! The offline users whose last-seen times are kept: as many as the bound allows, the oldest dropped first.

use std::collections::VecDeque;
use std::num::NonZeroU8;

use crate::limits::LAST_SEEN_MAX;
use crate::presence::name::Homes;

/// Stale entries that are not worth a walk.
const STALE_MIN: usize = 1_024;

/// Free places that are not worth giving back.
const ROOM_MIN: usize = 64;

/// A user's slot, the version with which it went offline, and which of its entries with that version this is: with
/// another one in the user's place the entry is stale. 13 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(C, packed)]
pub(crate) struct LastSeenEntry {
    pub(crate) slot: u32,
    pub(crate) version: u64,
    pub(crate) filing: Filing,
}

/// The number of the one entry of a user that counts. A user is filed anew with the same version when the last one
/// to watch it goes. Numbers come again after 255 filings at a home: an old entry that is taken for the last only
/// has its user make way earlier.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Filing(NonZeroU8);

/// Users that went offline, in that order.
#[derive(Debug)]
pub(crate) struct LastSeen {
    entries: VecDeque<LastSeenEntry>,
    /// How many of them, from the front, were looked at: their users are in the archive, or stay where they are.
    looked: usize,
    /// Entries that are not stale.
    archived: usize,
    /// This home's share of [`LAST_SEEN_MAX`].
    archived_max: usize,
    /// The last one's number.
    filing: Filing,
}

impl LastSeen {
    pub(crate) fn new(homes: Homes) -> LastSeen {
        let archived_max = LAST_SEEN_MAX.div_ceil(usize::from(homes.workers()).max(1));
        LastSeen {
            entries: VecDeque::new(),
            looked: 0,
            archived: 0,
            archived_max,
            filing: Filing(NonZeroU8::MIN),
        }
    }

    /// Files a user. Returns the number of the entry that counts.
    pub(crate) fn keep(&mut self, slot: u32, version: u64) -> Filing {
        self.filing = Filing(self.filing.0.checked_add(1).unwrap_or(NonZeroU8::MIN));
        self.entries.push_back(LastSeenEntry { slot, version, filing: self.filing });
        self.archived += 1;
        self.filing
    }

    /// Some user's entry has become stale.
    pub(crate) fn mark_stale(&mut self) {
        self.archived -= 1;
    }

    /// Takes out whom there is no room for. Walks over all entries where most of them are stale.
    pub(crate) fn excess(&mut self, is_archived: impl Fn(LastSeenEntry) -> bool) -> Option<u32> {
        if self.entries.len() > 2 * self.archived + STALE_MIN {
            let (mut index, mut looked) = (0, 0);
            self.entries.retain(|entry| {
                let stays = is_archived(*entry);
                looked += usize::from(stays && index < self.looked);
                index += 1;
                stays
            });
            self.looked = looked;
            self.entries.shrink_to(2 * self.entries.len());
        }
        while self.archived > self.archived_max {
            let entry = self.entries.pop_front();
            self.looked = self.looked.saturating_sub(1);
            if let Some(entry) = entry.filter(|entry| is_archived(*entry)) {
                self.archived -= 1;
                return Some(entry.slot);
            }
        }
        None
    }

    /// Puts them into the order in which their users went: a home that is handed over comes by name. All are looked at anew.
    pub(crate) fn sort(&mut self) {
        self.entries.make_contiguous().sort_unstable_by_key(|entry| entry.version);
        self.looked = 0;
    }

    /// How many were not yet looked at.
    pub(crate) fn unlooked(&self) -> usize {
        self.entries.len() - self.looked
    }

    /// The first that was not.
    pub(crate) fn look(&self) -> Option<LastSeenEntry> {
        self.entries.get(self.looked).copied()
    }

    /// Marks the entry processed and replaces it by `entry`.
    pub(crate) fn looked(&mut self, entry: LastSeenEntry) {
        if let Some(place) = self.entries.get_mut(self.looked) {
            *place = entry;
            self.looked += 1;
        }
    }

    /// Gives back the room for entries that are gone, and for stale ones where there are no others.
    pub(crate) fn shrink(&mut self) {
        if self.archived == 0 {
            self.entries = VecDeque::new();
            self.looked = 0;
        }
        if self.entries.capacity() > self.entries.len() * 3 / 2 + ROOM_MIN {
            self.entries.shrink_to(self.entries.len() * 5 / 4);
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.entries.capacity() * size_of::<LastSeenEntry>()
    }
}
