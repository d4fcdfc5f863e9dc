//! What is handed over to other homes, and taken from them; and the connections that are waited for then.

use crate::limits::GIVEN_UP_PER_TURN_MAX;
use crate::presence::cost;
use crate::presence::node::Node;
use crate::presence::record::{Cursor, Part, Record};
use crate::presence::waits::Awaited;
use crate::time::Now;

impl Node {
    /// The [records](crate::presence::record) of what this worker knows and no session does, from `from` on: of `most` users, members or
    /// bans at most, and at most three of each. Returns how far it has come; `None`: that was all. What is there all the while is in one
    /// of the slices, as it is when that is made: the whole is exact where the worker hears nothing between the first slice and the last.
    pub fn export(&mut self, now: Now, from: Cursor, most: usize) -> (Vec<Record>, Option<Cursor>) {
        let mut records = Vec::new();
        let (users, rooms, most) = (&self.users, &self.rooms, most.max(1));
        let next = match from.0 {
            Part::Users(after) => {
                let last = users.export(after.as_deref(), most, now, &mut records);
                Some(last.map_or(Part::Members(None), |last| Part::Users(Some(last))))
            }
            Part::Members(after) => {
                let last = rooms.export(after, most, now.tick, &mut records);
                Some(last.map_or(Part::Histories(None), |last| Part::Members(Some(last))))
            }
            Part::Histories(after) => {
                let next = rooms.export_histories(after, most, now.tick, &mut records);
                Some(next.map_or(Part::UserBans(None), |next| Part::Histories(Some(next))))
            }
            Part::UserBans(after) => {
                let last = users.export_bans(now, after, most, &mut records);
                Some(last.map_or(Part::RoomBans(None), |last| Part::UserBans(Some(last))))
            }
            Part::RoomBans(after) => {
                let last = rooms.export_bans(now, after, most, &mut records);
                Some(last.map_or(Part::Departed(0), |last| Part::RoomBans(Some(last))))
            }
            Part::Departed(from) => {
                let next = self.edge.export(now.tick, from, most, &mut records);
                Some(next.map_or(Part::Floors, Part::Departed))
            }
            Part::Floors => {
                let (version, epoch, serial) = (users.floor(), rooms.floor(), self.edge.floor());
                records.push(Record::Floors { version, epoch, serial });
                None
            }
        };
        self.out.spend(records.len() + 1, cost::LISTED_NANOS);
        (records, next.map(Cursor))
    }

    /// Takes a record over that another home has [exported](Node::export): before clients come, or are announced. Connections that were
    /// there are waited for until `wait` ticks have passed; then they have broken. A record that comes twice changes nothing. Says
    /// whether it was taken: not where its name has its home at another worker, nor where there are as many bans as there may be.
    pub fn import(&mut self, now: Now, record: Record, wait: u32) -> bool {
        if record.key().is_some_and(|name| self.edge.homes().of(name) != self.worker) {
            return false;
        }
        self.out.spend(1, cost::LISTED_NANOS);
        let until = now.tick.after(wait.min(u32::MAX / 4));
        let turn = turn!(self, now);
        let mut is_taken = true;
        match record {
            Record::User(record) => self.waits.add(until, self.users.import(&record, turn)),
            Record::Given { user, rooms } => self.users.import_given(now.tick, &user, rooms),
            Record::Taken { user, rooms } => self.users.import_taken(now.tick, &user, rooms),
            Record::Ban { user, room: None, micros, words } => {
                is_taken = self.users.import_ban(&user, micros, &words, turn);
            }
            Record::Ban { user, room: Some(room), micros, .. } => {
                is_taken = self.rooms.import_ban(now, (&room, &user), micros);
            }
            Record::Member(record) => self.waits.add(until, self.rooms.import(*record, until, turn)),
            Record::History(record) => self.rooms.import_history(&record, turn),
            Record::Departed { user, rooms } => self.edge.import(now.tick, &user, rooms),
            Record::Floors { version, epoch, serial } => {
                let known = self.floors;
                self.floors = (version.max(known.0), epoch.max(known.1), serial.max(known.2));
            }
        }
        self.dispatch(now);
        is_taken
    }

    /// Everything is taken over: for once, behind the last record. Sorts what is kept of the offline, which takes some milliseconds for
    /// a hundred thousand of them.
    pub fn imported(&mut self, now: Now) {
        let (version, epoch, serial) = std::mem::take(&mut self.floors);
        self.users.import_floor(version);
        self.rooms.import_floor(epoch);
        self.edge.import_floor(serial);
        self.users.imported(now.tick);
        self.dispatch(now);
    }

    /// Waits no more for connections whose time is up, a turn's share of them.
    pub(super) fn give_up(&mut self, now: Now) {
        for _ in 0..GIVEN_UP_PER_TURN_MAX {
            let Some(awaited) = self.waits.take(now.tick) else { return };
            let turn = turn!(self, now);
            match awaited {
                Awaited::User { slot, serial } => self.users.give_up(slot, serial, turn),
                Awaited::Member { slot, serial, user } => self.rooms.give_up((slot, serial), &user, turn),
            }
            self.dispatch(now);
        }
    }
}
