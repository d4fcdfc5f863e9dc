//! Users as records: handed over to another home, and taken from one.

use crate::limits::ROOMS_PER_CONNECTION_MAX;
use crate::presence::device::{Device, Lingering};
use crate::presence::name::Name;
use crate::presence::record::{ConnectionRecord, Record, UserRecord, WordRecord, number};
use crate::presence::turn::Turn;
use crate::presence::user::change::Change;
use crate::presence::user::info::{Info, InfoClaim};
use crate::presence::user::{User, Users, name_of};
use crate::presence::view::{Reason, State};
use crate::presence::waits::Awaited;
use crate::time::{Now, Tick};

/// No record is believed that a time is further ahead.
const TICKS_MAX: u32 = u32::MAX / 4;

impl Users {
    /// The records of users behind a name, of so many of them. Returns the last one's name, if there may be more.
    pub(crate) fn export(
        &self,
        after: Option<&str>,
        most: usize,
        now: Now,
        records: &mut Vec<Record>,
    ) -> Option<Name> {
        let slots = self.name_index.after(after, |slot| name_of(&self.users, &self.offline, slot));
        let slots: Vec<u32> = slots.take(most).collect();
        for slot in &slots {
            let name = self.name(*slot);
            let is_known = self.users.get(*slot as usize);
            let is_here = is_known.is_none_or(|user| user.version > 0 || !user.devices.is_empty());
            // A room's home may wait for a user of whom nothing else is known.
            if is_here || self.rooms_by_user.rooms(*slot) > 0 {
                records.push(Record::User(Box::new(self.record(*slot, name.clone(), now))));
            }
            if let Some(rooms) = self.given.by_user.get(&name) {
                records.push(Record::Given { user: name.clone(), rooms: rooms.clone() });
            }
            let rooms = self.taken.record(now.tick, &name);
            if !rooms.is_empty() {
                records.push(Record::Taken { user: name, rooms });
            }
        }
        slots.last().map(|slot| self.name(*slot))
    }

    fn name(&self, slot: u32) -> Name {
        match self.users.get(slot as usize) {
            Some(user) => user.name.clone(),
            None => self.offline.name(slot).into(),
        }
    }

    fn record(&self, slot: u32, user: Name, now: Now) -> UserRecord {
        if let Some(known) = self.users.get(slot as usize) {
            let (rooms, left) = self.rooms_by_user.record(slot);
            return UserRecord { rooms, left, ..known.record(now) };
        }
        let absent = self.offline.get(slot);
        UserRecord {
            user,
            version: absent.map_or(0, |absent| absent.version),
            since_millis: absent.map_or(0, |absent| absent.since_millis),
            last_seen_millis: absent.map_or(0, |absent| absent.last_seen_millis),
            reason: absent.and_then(|absent| absent.reason),
            own: None,
            connections: Vec::new(),
            words: Vec::new(),
            rooms: Vec::new(),
            left: Vec::new(),
        }
    }

    /// Takes a user over. One that is known by a version that is no older goes on as it is: what it was handed over as is past. Returns
    /// what is waited for.
    pub(crate) fn import(&mut self, record: &UserRecord, turn: &mut Turn<'_>) -> Option<Awaited> {
        let version = number(record.version);
        let is_past = |slot: u32| match self.users.get(slot as usize) {
            Some(known) => known.version >= version && (known.version > 0 || known.published.is_here()),
            None => self.offline.version(slot).is_some_and(|known| known >= version),
        };
        if self.seek(&record.user).is_some_and(is_past) {
            return None;
        }
        let slot = self.find_or_add(&record.user);
        // A user of that name was here and is forgotten, perhaps: its version may have been any of these.
        let least = if version > 0 { self.forgotten } else { 0 };
        for room in &record.rooms {
            self.rooms_by_user.restore(slot, room, record.left.contains(room));
        }
        let known = &mut self.users[slot as usize];
        let before = known.published;
        if known.archived.take().is_some() {
            self.last_seen.mark_stale();
        }
        // With connections that came before it the user is not quite as others were told.
        known.version = version.max(least) + u64::from(before.is_here());
        known.restore(record, turn);
        known.time(slot, turn);
        known.is_informed();
        known.time_info(slot, turn);
        known.published = known.published();
        let awaits = known.devices.as_slice().iter().any(Device::is_awaited);
        let awaited = awaits.then_some(Awaited::User { slot, serial: known.serial });
        self.present += usize::from(known.published.is_here() && !before.is_here());
        if !known.watchers.is_empty() {
            self.tell_watchers(slot, (before, true), Change::default(), turn);
        }
        if before.is_here() {
            self.veil(slot, before, turn);
        }
        self.file(turn.now.tick, slot);
        awaited
    }

    /// Takes over that a user was given rooms.
    pub(crate) fn import_given(&mut self, now: Tick, user: &Name, rooms: Vec<Name>) {
        let slot = self.find_or_add(user);
        rooms.into_iter().take(ROOMS_PER_CONNECTION_MAX).for_each(|room| self.given.restore(user, room));
        self.file(now, slot);
    }

    /// Takes over that rooms were taken from a user.
    pub(crate) fn import_taken(&mut self, now: Tick, user: &Name, rooms: Vec<(Name, Option<u32>)>) {
        let slot = self.find_or_add(user);
        for (room, ticks) in rooms.into_iter().take(ROOMS_PER_CONNECTION_MAX) {
            self.taken.restore(now, user, &room, ticks);
        }
        self.file(now, slot);
    }

    /// No version that is given from now on is below that one.
    pub(crate) fn import_floor(&mut self, version: u64) {
        self.forgotten = self.forgotten.max(number(version));
    }

    /// The highest version of a user that was forgotten.
    pub(crate) fn floor(&self) -> u64 {
        self.forgotten
    }

    /// Everything is handed over: whoever went last stays longest.
    pub(crate) fn imported(&mut self, now: Tick) {
        self.last_seen.sort();
        self.offline.wait(now);
        while self.make_way() {}
    }

    /// The time is up for connections of a user that were waited for.
    pub(crate) fn give_up(&mut self, slot: u32, serial: u32, turn: &mut Turn<'_>) {
        let Some(known) = self.users.get_mut(slot as usize).filter(|user| user.serial == serial) else {
            return;
        };
        let mut gone = false;
        while known.devices.remove(Device::is_awaited).is_some() {
            gone = true;
        }
        if gone {
            self.refresh(slot, Some(Reason::Lost), Change::default(), turn);
        }
    }
}

impl User {
    fn record(&self, now: Now) -> UserRecord {
        let devices = self.devices.as_slice();
        let connections = devices.iter().map(|device| ConnectionRecord {
            at: device.address(),
            away: device.away,
            silent: device.silent,
            suspect: device.suspect,
            has_token: device.has_token,
            gone: device.lingers().map(|lingers| (lingers.reason, left(now.tick, lingers.until))),
        });
        let said = self.info.iter().flat_map(|info| &info.said);
        let words = said.filter_map(|said| {
            let connection = devices.iter().position(|device| device.address() == said.at)?;
            Some(WordRecord {
                connection: u16::try_from(connection).ok()?,
                text: said.text.clone(),
                is_claim: said.is_claim,
                ticks: said.until.map(|until| left(now.tick, until)),
            })
        });
        let is_heard = self.published.unseen == 0 && self.devices.live().next().is_some();
        UserRecord {
            user: self.name.clone(),
            version: self.version,
            since_millis: self.since_millis,
            last_seen_millis: if is_heard { now.unix_millis } else { self.last_seen_millis },
            reason: self.reason,
            own: self.own,
            connections: connections.collect(),
            words: words.collect(),
            rooms: Vec::new(),
            left: Vec::new(),
        }
    }

    /// Becomes as a record says; connections that came before it stay.
    fn restore(&mut self, record: &UserRecord, turn: &mut Turn<'_>) {
        self.since_millis = record.since_millis;
        self.last_seen_millis = record.last_seen_millis;
        self.reason = record.reason;
        self.own = record.own.filter(|own| matches!(own, State::Busy | State::Invisible));
        let here = std::mem::take(&mut self.devices);
        let is_new =
            |record: &&ConnectionRecord| here.as_slice().iter().all(|device| device.address() != record.at);
        let restored = record.connections.iter().filter(is_new);
        restored.for_each(|connection| self.devices.push(device(connection, turn)));
        here.as_slice().iter().for_each(|device| self.devices.push(*device));
        let said = record.words.iter().filter_map(|word| {
            let at = record.connections.get(usize::from(word.connection)).filter(is_new)?.at;
            let until = word.ticks.map(|ticks| turn.now.tick.after(ticks.min(TICKS_MAX)));
            Some(InfoClaim { at, text: word.text.clone(), is_claim: word.is_claim, until })
        });
        let said: Vec<InfoClaim> = said.collect();
        if !said.is_empty() {
            let info = self.info.get_or_insert_with(|| Box::new(Info::default()));
            info.said.splice(0..0, said);
        }
    }
}

fn device(record: &ConnectionRecord, turn: &Turn<'_>) -> Device {
    let mut device = Device::new(record.at);
    device.away = record.away;
    device.silent = record.silent;
    device.suspect = record.suspect;
    device.has_token = record.has_token;
    match record.gone {
        None => device.wait(),
        Some((reason, ticks)) => {
            let until = turn.now.tick.after(ticks.min(turn.rules.grace));
            device.linger(Lingering { until, reason });
        }
    }
    device
}

/// Ticks that are left until then.
fn left(now: Tick, until: Tick) -> u32 {
    if now.is_before(until) { until.since(now) } else { 0 }
}
