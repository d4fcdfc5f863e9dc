//! What is left of users that are offline, in no room and watched by nobody: their last-seen times, until they make way.
//!
//! Of a million who leave, a tenth is kept. Left where they were, they would hold a piece of every chunk and a name on every
//! page, and nothing could be given back. So a second after they went they are moved here, side by side, names and all; who
//! comes back, or is watched, moves out again.

use std::sync::Arc;

use crate::limits::{STOW_PER_TICK_MIN, STOW_TICKS, STOW_WAIT_TICKS};
use crate::presence::device::Devices;
use crate::presence::last_seen::Entry;
use crate::presence::name::{Name, bytes_of};
use crate::presence::timer::next_serial;
use crate::presence::user::watchers::Watchers;
use crate::presence::user::{Told, User, Users};
use crate::presence::view::{Reason, State, View};
use crate::slots::Slots;
use crate::time::{Now, Tick};

/// Set in the slots of those that are here.
const HERE: u32 = 1 << 31;
/// Bytes of a name that need no heap.
const SHORT: usize = 22;

/// A user that is away for longer: 56 bytes.
#[derive(Debug)]
struct Absent {
    name: Text,
    version: u64,
    since_millis: u64,
    last_seen_millis: u64,
    reason: Option<Reason>,
}

/// A name, most of them without a place of its own on the heap: 24 bytes.
#[derive(Debug)]
enum Text {
    Short(u8, [u8; SHORT]),
    Long(Box<str>),
}

impl Text {
    #[expect(clippy::cast_possible_truncation, reason = "at most SHORT")]
    fn of(text: &str) -> Text {
        let mut short = [0; SHORT];
        match short.get_mut(..text.len()) {
            Some(place) => {
                place.copy_from_slice(text.as_bytes());
                Text::Short(text.len() as u8, short)
            }
            None => Text::Long(text.into()),
        }
    }

    fn as_str(&self) -> &str {
        match self {
            Text::Short(len, text) => std::str::from_utf8(&text[..usize::from(*len)]).unwrap_or_default(),
            Text::Long(text) => text,
        }
    }

    fn heap_bytes(&self) -> usize {
        match self {
            Text::Short(..) => 0,
            Text::Long(text) => text.len().next_multiple_of(16),
        }
    }
}

/// Those that are here.
#[derive(Debug, Default)]
pub(super) struct Attic {
    absent: Slots<Absent>,
    /// Bytes of the names that need a heap.
    name_bytes: usize,
    /// When the next ones are moved here.
    stow_at: Tick,
}

impl Attic {
    pub(super) fn len(&self) -> usize {
        self.absent.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.absent.bytes() + self.name_bytes
    }

    pub(super) fn give_back(&mut self) {
        self.absent.give_back();
    }

    /// Whether a slot is one of these.
    pub(super) fn holds(slot: u32) -> bool {
        slot & HERE != 0
    }

    fn get(&self, slot: u32) -> Option<&Absent> {
        self.absent.get((slot & !HERE) as usize).filter(|_| Attic::holds(slot))
    }

    pub(super) fn name(&self, slot: u32) -> &str {
        self.get(slot).map_or("", |absent| absent.name.as_str())
    }

    pub(super) fn version(&self, slot: u32) -> Option<u64> {
        self.get(slot).map(|absent| absent.version)
    }

    /// What is known of one. `rooms`: those of who is in none.
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
    fn insert(&mut self, absent: Absent) -> u32 {
        self.name_bytes += absent.name.heap_bytes();
        self.absent.insert(absent) as u32 | HERE
    }

    fn remove(&mut self, slot: u32) -> Option<Absent> {
        let absent = self.absent.try_remove((slot & !HERE) as usize).filter(|_| Attic::holds(slot))?;
        self.name_bytes -= absent.name.heap_bytes();
        Some(absent)
    }

    /// Somebody went, and those who went before have all been moved: it has time.
    pub(super) fn wait(&mut self, now: Tick) {
        self.stow_at = now.after(STOW_WAIT_TICKS);
    }
}

impl Users {
    /// When [`Users::stow`] is to be called.
    pub(crate) fn stow_due(&self) -> Option<Tick> {
        (self.last_seen.unlooked() > 0).then_some(self.attic.stow_at)
    }

    /// Moves a tick's share of those who went into the attic, the longest gone first.
    pub(crate) fn stow(&mut self, now: Tick) {
        let waiting = self.last_seen.unlooked();
        if waiting == 0 || !now.has_reached(self.attic.stow_at) {
            return;
        }
        self.attic.stow_at = now.after(1);
        for _ in 0..STOW_PER_TICK_MIN.max(waiting / STOW_TICKS) {
            let Some(entry) = self.last_seen.look() else { return };
            let slot = self.stow_one(entry).unwrap_or(entry.slot);
            self.last_seen.looked(Entry { slot, ..entry });
        }
    }

    fn stow_one(&mut self, Entry { slot, version, filing }: Entry) -> Option<u32> {
        let is_meant =
            |user: &&User| (user.version, user.kept) == (version, Some(filing)) && user.is_forgettable();
        let user = self.users.get(slot as usize).filter(is_meant)?;
        if !self.whereabouts.is_nowhere(slot) {
            return None;
        }
        let here = self.attic.insert(Absent {
            name: Text::of(&user.name),
            version,
            since_millis: user.since_millis,
            last_seen_millis: user.last_seen_millis,
            reason: user.reason,
        });
        self.refile(slot, here);
        let user = self.users.try_remove(slot as usize)?;
        self.name_bytes -= bytes_of(&user.name);
        Some(here)
    }

    /// Files an offline user among those whose last-seen time is kept, and forgets the one that is there for longest
    /// where they are too many: one came, so one goes. One that nobody ever saw here is forgotten at
    /// once, unless rooms were given to them.
    pub(super) fn forget_later(&mut self, now: Tick, slot: u32) {
        let Some(known) = self.users.get_mut(slot as usize).filter(|user| user.devices.is_empty()) else {
            return;
        };
        if known.version == 0 && !self.given.has(&known.name) {
            return self.forget(slot);
        }
        if known.kept.is_none() {
            if self.last_seen.unlooked() == 0 {
                self.attic.wait(now);
            }
            known.kept = Some(self.last_seen.keep(slot, known.version));
        }
        let (users, attic) = (&self.users, &self.attic);
        let is_kept = |Entry { slot, version, filing }| {
            let is_so = |user: &User| (user.version, user.kept) == (version, Some(filing));
            attic.version(slot) == Some(version) || users.get(slot as usize).is_some_and(is_so)
        };
        match self.last_seen.excess(is_kept) {
            Some(slot) if Attic::holds(slot) => self.clear_out(slot),
            Some(slot) => {
                self.users[slot as usize].kept = None;
                self.forget(slot);
            }
            None => {}
        }
    }

    pub(super) fn forget(&mut self, slot: u32) {
        let Some(known) = self.users.get(slot as usize).filter(|user| user.is_forgettable()) else { return };
        // A room's home may be ahead of the edge whose user comes, and behind the one whose user went.
        if !self.whereabouts.is_nowhere(slot) {
            return;
        }
        self.forgotten = self.forgotten.max(known.version);
        self.given.forget(&known.name);
        self.taken.forget(&known.name);
        self.name_bytes -= bytes_of(&known.name);
        let (users, attic) = (&self.users, &self.attic);
        let name_of = |slot: u32| super::name_of(users, attic, slot);
        self.table.remove(&known.name, slot, name_of);
        self.roll.remove(slot, name_of);
        self.users.try_remove(slot as usize);
    }

    /// Moves one out again, offline as it is. It is no longer among those who make way.
    #[expect(clippy::cast_possible_truncation, reason = "fewer users than 2^31: each takes 104 bytes")]
    pub(super) fn fetch(&mut self, here: u32, name: &Name) -> u32 {
        let Some(absent) = self.attic.get(here) else { return here };
        self.next_serial = next_serial(self.next_serial);
        let slot = self.users.insert(User {
            name: name.clone(),
            devices: Devices::None,
            watchers: Watchers::None,
            info: None,
            version: absent.version,
            since_millis: absent.since_millis,
            last_seen_millis: absent.last_seen_millis,
            serial: self.next_serial,
            told: Told::default(),
            own: None,
            reason: absent.reason,
            timed: false,
            kept: None,
        }) as u32;
        self.name_bytes += bytes_of(name);
        self.refile(here, slot);
        self.attic.remove(here);
        self.last_seen.let_go();
        slot
    }

    /// Forgets one.
    pub(super) fn clear_out(&mut self, here: u32) {
        let (users, attic) = (&self.users, &self.attic);
        let name_of = |slot: u32| super::name_of(users, attic, slot);
        self.table.remove(name_of(here), here, name_of);
        self.roll.remove(here, name_of);
        if let Some(absent) = self.attic.remove(here) {
            self.given.forget(absent.name.as_str());
            self.taken.forget(absent.name.as_str());
            self.forgotten = self.forgotten.max(absent.version);
        }
    }

    /// Both slots are of the same name.
    fn refile(&mut self, from: u32, to: u32) {
        let (users, attic) = (&self.users, &self.attic);
        let name_of = |slot: u32| super::name_of(users, attic, slot);
        self.table.replace(name_of(from), from, to);
        self.roll.replace(from, to, name_of);
    }

    /// What is known of the owner of any slot.
    pub(super) fn view_of_any(&self, slot: u32, now: Now) -> View {
        if Attic::holds(slot) {
            self.attic.view(now, slot, self.whereabouts.of(slot))
        } else {
            self.view_of(slot, now)
        }
    }
}

const _: () = assert!(size_of::<Option<Absent>>() <= 56 && size_of::<Text>() <= 24);
