//! Users who went: into the archive, out of it again, and forgotten.

use crate::limits::{ARCHIVE_PER_TICK_MIN, ARCHIVE_TICKS};
use crate::presence::device::Devices;
use crate::presence::last_seen::LastSeenEntry;
use crate::presence::name::{Name, bytes_of};
use crate::presence::timer::next_serial;
use crate::presence::user::offline_users::{InlineText, OfflineUser, OfflineUsers};
use crate::presence::user::watchers::Watchers;
use crate::presence::user::{Published, User, Users};
use crate::presence::view::View;
use crate::time::{Now, Tick};

impl Users {
    /// When [`Users::archive`] is to be called.
    pub(crate) fn archive_due(&self) -> Option<Tick> {
        (self.last_seen.unlooked() > 0).then_some(self.offline.archive_at)
    }

    /// Moves a tick's share of those who went into the archive, the longest gone first.
    pub(crate) fn archive(&mut self, now: Tick) {
        let waiting = self.last_seen.unlooked();
        if waiting == 0 || !now.has_reached(self.offline.archive_at) {
            return;
        }
        self.offline.archive_at = now.after(1);
        for _ in 0..ARCHIVE_PER_TICK_MIN.max(waiting / ARCHIVE_TICKS) {
            let Some(entry) = self.last_seen.look() else { return };
            let slot = self.archive_one(entry).unwrap_or(entry.slot);
            self.last_seen.looked(LastSeenEntry { slot, ..entry });
        }
    }

    fn archive_one(&mut self, LastSeenEntry { slot, version, filing }: LastSeenEntry) -> Option<u32> {
        let is_meant =
            |user: &&User| (user.version, user.archived) == (version, Some(filing)) && user.is_forgettable();
        let user = self.users.get(slot as usize).filter(is_meant)?;
        if !self.rooms_by_user.is_nowhere(slot) {
            return None;
        }
        let here = self.offline.insert(OfflineUser {
            name: InlineText::of(&user.name),
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
    /// where they are too many: one came, so one goes.
    pub(super) fn forget_later(&mut self, now: Tick, slot: u32) {
        if self.file(now, slot) {
            self.make_way();
        }
    }

    /// Files an offline user among those whose last-seen time is kept. Says whether it is there: one that nobody ever saw here is
    /// forgotten at once, unless rooms were given to them, or taken.
    pub(super) fn file(&mut self, now: Tick, slot: u32) -> bool {
        let Some(known) = self.users.get_mut(slot as usize).filter(|user| user.devices.is_empty()) else {
            return false;
        };
        if known.version == 0 && !self.given.has(&known.name) && !self.taken.has(&known.name) {
            self.forget(slot);
            return false;
        }
        if known.archived.is_none() {
            if self.last_seen.unlooked() == 0 {
                self.offline.wait(now);
            }
            known.archived = Some(self.last_seen.keep(slot, known.version));
        }
        true
    }

    /// Forgets the user that is offline for longest where there are too many. Says whether there were.
    pub(super) fn make_way(&mut self) -> bool {
        let (users, offline) = (&self.users, &self.offline);
        let is_kept = |LastSeenEntry { slot, version, filing }| {
            let is_so = |user: &User| (user.version, user.archived) == (version, Some(filing));
            offline.version(slot) == Some(version) || users.get(slot as usize).is_some_and(is_so)
        };
        let excess = self.last_seen.excess(is_kept);
        match excess {
            Some(slot) if OfflineUsers::holds(slot) => self.evict(slot),
            Some(slot) => {
                self.users[slot as usize].archived = None;
                self.forget(slot);
            }
            None => {}
        }
        excess.is_some()
    }

    pub(super) fn forget(&mut self, slot: u32) {
        let Some(known) = self.users.get(slot as usize).filter(|user| user.is_forgettable()) else { return };
        // A room's home may be ahead of the edge whose user comes, and behind the one whose user went.
        if !self.rooms_by_user.is_nowhere(slot) {
            return;
        }
        self.forgotten = self.forgotten.max(known.version);
        self.given.forget(&known.name);
        self.taken.forget(&known.name);
        self.name_bytes -= bytes_of(&known.name);
        let (users, offline) = (&self.users, &self.offline);
        let name_of = |slot: u32| super::name_of(users, offline, slot);
        self.table.remove(&known.name, slot, name_of);
        self.name_index.remove(slot, name_of);
        self.users.try_remove(slot as usize);
    }

    /// Moves one out again, offline as it is. It is no longer among those who make way.
    #[expect(clippy::cast_possible_truncation, reason = "fewer users than 2^31: each takes 104 bytes")]
    pub(super) fn restore(&mut self, here: u32, name: &Name) -> u32 {
        let Some(absent) = self.offline.get(here) else { return here };
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
            published: Published::default(),
            own: None,
            reason: absent.reason,
            timed: false,
            archived: None,
        }) as u32;
        self.name_bytes += bytes_of(name);
        self.refile(here, slot);
        self.offline.remove(here);
        self.last_seen.mark_stale();
        slot
    }

    /// Forgets one.
    pub(super) fn evict(&mut self, here: u32) {
        let (users, offline) = (&self.users, &self.offline);
        let name_of = |slot: u32| super::name_of(users, offline, slot);
        self.table.remove(name_of(here), here, name_of);
        self.name_index.remove(here, name_of);
        if let Some(absent) = self.offline.remove(here) {
            self.given.forget(absent.name.as_str());
            self.taken.forget(absent.name.as_str());
            self.forgotten = self.forgotten.max(absent.version);
        }
    }

    /// Both slots are of the same name.
    fn refile(&mut self, from: u32, to: u32) {
        let (users, offline) = (&self.users, &self.offline);
        let name_of = |slot: u32| super::name_of(users, offline, slot);
        self.table.replace(name_of(from), from, to);
        self.name_index.replace(from, to, name_of);
    }

    /// The view of any slot's owner.
    pub(super) fn view_of_any(&self, slot: u32, now: Now) -> View {
        if OfflineUsers::holds(slot) {
            self.offline.view(now, slot, self.rooms_by_user.of(slot))
        } else {
            self.view_of(slot, now)
        }
    }
}
