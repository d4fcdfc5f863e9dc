//! Users that are offline, in no room and watched by nobody: only their last-seen times are kept, until they make way.
//!
//! Of a million who leave, a tenth is kept. Left where they were, they would hold a piece of every chunk and a name on every
//! page, and nothing could be given back. So a second after they went they are moved here, side by side, names and all; who
//! comes back, or is watched, moves out again.

use std::sync::Arc;

use crate::limits::ARCHIVE_WAIT_TICKS;
use crate::presence::name::Name;
use crate::presence::view::{Reason, State, View};
use crate::slots::Slots;
use crate::time::{Now, Tick};

/// Set in the slots of those that are here.
const HERE: u32 = 1 << 31;
/// Bytes of a name that need no heap.
const SHORT: usize = 22;

/// A user that is away for longer: 56 bytes.
#[derive(Debug)]
pub(super) struct OfflineUser {
    pub(super) name: InlineText,
    pub(super) version: u64,
    pub(super) since_millis: u64,
    pub(super) last_seen_millis: u64,
    pub(super) reason: Option<Reason>,
}

/// A name, most of them without a place of its own on the heap: 24 bytes.
#[derive(Debug)]
pub(super) enum InlineText {
    Short(u8, [u8; SHORT]),
    Long(Box<str>),
}

impl InlineText {
    #[expect(clippy::cast_possible_truncation, reason = "at most SHORT")]
    pub(super) fn of(text: &str) -> InlineText {
        let mut short = [0; SHORT];
        match short.get_mut(..text.len()) {
            Some(place) => {
                place.copy_from_slice(text.as_bytes());
                InlineText::Short(text.len() as u8, short)
            }
            None => InlineText::Long(text.into()),
        }
    }

    pub(super) fn as_str(&self) -> &str {
        match self {
            InlineText::Short(len, text) => {
                std::str::from_utf8(&text[..usize::from(*len)]).unwrap_or_default()
            }
            InlineText::Long(text) => text,
        }
    }

    fn heap_bytes(&self) -> usize {
        match self {
            InlineText::Short(..) => 0,
            InlineText::Long(text) => text.len().next_multiple_of(16),
        }
    }
}

/// The offline users that are kept.
#[derive(Debug, Default)]
pub(super) struct OfflineUsers {
    pub(super) absent: Slots<OfflineUser>,
    /// Bytes of the names that need a heap.
    pub(super) name_bytes: usize,
    /// When the next ones are moved here.
    pub(super) archive_at: Tick,
}

impl OfflineUsers {
    pub(super) fn len(&self) -> usize {
        self.absent.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.absent.bytes() + self.name_bytes
    }

    pub(super) fn shrink(&mut self) {
        self.absent.shrink();
    }

    /// Whether a slot is one of these.
    pub(super) fn holds(slot: u32) -> bool {
        slot & HERE != 0
    }

    pub(super) fn get(&self, slot: u32) -> Option<&OfflineUser> {
        self.absent.get((slot & !HERE) as usize).filter(|_| OfflineUsers::holds(slot))
    }

    pub(super) fn name(&self, slot: u32) -> &str {
        self.get(slot).map_or("", |absent| absent.name.as_str())
    }

    pub(super) fn version(&self, slot: u32) -> Option<u64> {
        self.get(slot).map(|absent| absent.version)
    }

    /// The view of one. `rooms`: the empty set of rooms.
    pub(super) fn view(&self, now: Now, slot: u32, rooms: Option<Arc<[Name]>>) -> View {
        let Some(absent) = self.get(slot) else { return View::default() };
        View {
            state: State::Offline,
            plain: State::Offline,
            version: absent.version,
            since_millis: absent.since_millis.min(now.unix_millis),
            last_seen_millis: absent.last_seen_millis.min(now.unix_millis),
            connections: 0,
            unseen: 0,
            info: None,
            reason: absent.reason,
            rooms,
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "fewer users than 2^31: each takes 56 bytes")]
    pub(super) fn insert(&mut self, absent: OfflineUser) -> u32 {
        self.name_bytes += absent.name.heap_bytes();
        self.absent.insert(absent) as u32 | HERE
    }

    pub(super) fn remove(&mut self, slot: u32) -> Option<OfflineUser> {
        let absent = self.absent.try_remove((slot & !HERE) as usize).filter(|_| OfflineUsers::holds(slot))?;
        self.name_bytes -= absent.name.heap_bytes();
        Some(absent)
    }

    /// Somebody went, and those who went before have all been moved: it has time.
    pub(super) fn wait(&mut self, now: Tick) {
        self.archive_at = now.after(ARCHIVE_WAIT_TICKS);
    }
}

const _: () = assert!(size_of::<Option<OfflineUser>>() <= 56 && size_of::<InlineText>() <= 24);
