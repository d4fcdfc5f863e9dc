//! Users who went: into the attic, out of it again, and forgotten.

use crate::limits::{STOW_PER_TICK_MIN, STOW_TICKS};
use crate::presence::device::Devices;
use crate::presence::last_seen::Entry;
use crate::presence::name::{Name, bytes_of};
use crate::presence::timer::next_serial;
use crate::presence::user::attic::{Absent, Attic, Text};
use crate::presence::user::watchers::Watchers;
use crate::presence::user::{Told, User, Users};
use crate::presence::view::View;
use crate::time::{Now, Tick};

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
        if known.kept.is_none() {
            if self.last_seen.unlooked() == 0 {
                self.attic.wait(now);
            }
            known.kept = Some(self.last_seen.keep(slot, known.version));
        }
        true
    }

    /// Forgets the user that is offline for longest where there are too many. Says whether there were.
    pub(super) fn make_way(&mut self) -> bool {
        let (users, attic) = (&self.users, &self.attic);
        let is_kept = |Entry { slot, version, filing }| {
            let is_so = |user: &User| (user.version, user.kept) == (version, Some(filing));
            attic.version(slot) == Some(version) || users.get(slot as usize).is_some_and(is_so)
        };
        let excess = self.last_seen.excess(is_kept);
        match excess {
            Some(slot) if Attic::holds(slot) => self.clear_out(slot),
            Some(slot) => {
                self.users[slot as usize].kept = None;
                self.forget(slot);
            }
            None => {}
        }
        excess.is_some()
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
