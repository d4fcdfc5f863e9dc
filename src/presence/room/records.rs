//! Rooms as records, one for each member: handed over to another home, and taken from one.

use std::ops::Bound;

use crate::presence::name::Name;
use crate::presence::record::{MemberRecord, Reached, Record, number};
use crate::presence::room::big::{Big, EVENT_TICKS};
use crate::presence::room::member::Member;
use crate::presence::room::{Room, Rooms};
use crate::presence::turn::Turn;
use crate::presence::waits::Awaited;
use crate::time::Tick;

impl Rooms {
    /// The records of members behind one, at most so many. Returns how far that has come, if there may be more.
    pub(crate) fn export(
        &self,
        after: Option<Reached>,
        most: usize,
        now: Tick,
        records: &mut Vec<Record>,
    ) -> Option<Reached> {
        let (mut reached, mut left) = (after, most);
        // A room that was begun goes first; of one that has ended nothing is left.
        if let Some(Reached { room, member: Some(member) }) = &reached {
            let next = self.get(room).and_then(|home| home.export(Some(member), &mut left, now, records));
            reached = Some(Reached { room: room.clone(), member: next });
        }
        if reached.as_ref().is_some_and(|reached| reached.member.is_some()) {
            return reached;
        }
        let after = reached.as_ref().map(|reached| &*reached.room);
        let slots = self.name_index.after(after, |slot| &*self.rooms[slot as usize].name);
        let mut last = None;
        for slot in slots {
            if left == 0 {
                return last;
            }
            let home = &self.rooms[slot as usize];
            let member = home.export(None, &mut left, now, records);
            last = Some(Reached { room: home.name.clone(), member });
        }
        last
    }

    /// Takes a member over, and where its room stands if that is not known. A room that has begun anew by now goes on as it is.
    /// Returns what is waited for.
    pub(crate) fn import(
        &mut self,
        record: MemberRecord,
        until: Tick,
        turn: &mut Turn<'_>,
    ) -> Option<Awaited> {
        let epoch = number(record.epoch);
        if record.places.is_empty() {
            return None;
        }
        let slot = match self.find(&record.room) {
            Some(slot) if self.rooms[slot as usize].epoch != epoch => return None,
            Some(slot) => slot,
            None => self.restore(&record, epoch, turn),
        };
        let home = &mut self.rooms[slot as usize];
        if home.member(&record.user).is_some() {
            return None;
        }
        let mut member = Member::default();
        for place in &record.places {
            let grace = place.ticks.map(|ticks| turn.now.tick.after(ticks.min(turn.rules.grace)));
            member.restore(place.sight, grace.unwrap_or(until));
            if let Some(until) = grace {
                self.in_grace -= home.in_grace.len();
                home.linger_until(until, &record.user);
                self.in_grace += home.in_grace.len();
            }
        }
        self.members += 1;
        self.occupy(slot);
        let home = &mut self.rooms[slot as usize];
        if record.is_seen {
            home.members.insert(record.user.clone(), member);
        } else {
            home.unseen.get_or_insert_default().insert(record.user.clone(), member);
        }
        home.time(slot, turn);
        let awaits = record.places.iter().any(|place| place.ticks.is_none());
        awaits.then_some(Awaited::Member { slot, serial: home.serial, user: record.user })
    }

    /// A room that another home has handed over, as yet without members.
    fn restore(&mut self, record: &MemberRecord, epoch: u64, turn: &mut Turn<'_>) -> u32 {
        let slot = self.restore_at(&record.room, (epoch, number(record.offset), number(record.membership)));
        let home = &mut self.rooms[slot as usize];
        if let Some(told) = record.told.map(number) {
            let mut big = Big::new(told);
            big.is_lost = told != home.membership;
            big.due = big.is_lost.then(|| turn.now.tick.after(EVENT_TICKS));
            home.big = Some(Box::new(big));
            home.time_telling(slot, turn);
        }
        slot
    }

    /// A room that stands there, by epoch, offset and membership.
    pub(super) fn restore_at(&mut self, room: &Name, (epoch, offset, membership): (u64, u64, u64)) -> u32 {
        let slot = self.find_or_add(room);
        let home = &mut self.rooms[slot as usize];
        // One of that name has been here and ended, perhaps, and what was said since is under that epoch.
        if epoch > self.ended {
            home.epoch = epoch;
        }
        self.next_epoch = self.next_epoch.max(epoch);
        (home.offset, home.membership) = (offset, membership);
        home.history = self.keeping.history_of(room, offset + 1);
        slot
    }

    /// No epoch that is given from now on is below that one.
    pub(crate) fn import_floor(&mut self, epoch: u64) {
        self.next_epoch = self.next_epoch.max(number(epoch));
    }

    /// The highest epoch of a room.
    pub(crate) fn floor(&self) -> u64 {
        self.next_epoch
    }

    /// The time is up for a member's connections that were waited for.
    pub(crate) fn give_up(&mut self, (slot, serial): (u32, u32), user: &Name, turn: &mut Turn<'_>) {
        let is_it = |room: &&mut Room| room.serial == serial;
        let Some(home) = self.rooms.get_mut(slot as usize).filter(is_it) else { return };
        let Some(member) = home.member_mut(user) else { return };
        member.expire(turn.now.tick);
        self.look_at(slot, user, false, turn);
    }
}

impl Room {
    /// The records of members behind one, first those that are seen, while there are any `left`. Returns the last one, if there may be
    /// more.
    fn export(
        &self,
        after: Option<&(bool, Name)>,
        left: &mut usize,
        now: Tick,
        records: &mut Vec<Record>,
    ) -> Option<(bool, Name)> {
        for is_seen in [true, false] {
            let members = if is_seen { Some(&self.members) } else { self.unseen.as_deref() };
            let from = match after {
                Some((true, _)) | None if !is_seen => Bound::Unbounded,
                Some((false, _)) if is_seen => continue,
                Some((_, user)) => Bound::Excluded(&**user),
                None => Bound::Unbounded,
            };
            for (user, member) in
                members.into_iter().flat_map(|all| all.range::<str, _>((from, Bound::Unbounded)))
            {
                records.push(Record::Member(Box::new(MemberRecord {
                    room: self.name.clone(),
                    epoch: self.epoch,
                    offset: self.offset,
                    membership: self.membership,
                    told: self.big.as_ref().map(|big| big.since),
                    user: user.clone(),
                    is_seen,
                    places: member.record(now),
                })));
                *left -= 1;
                if *left == 0 {
                    return Some((is_seen, user.clone()));
                }
            }
        }
        None
    }

    /// A member that was handed over is within its grace until then, whatever comes before and behind it.
    fn linger_until(&mut self, until: Tick, user: &Name) {
        let at = self.in_grace.partition_point(|(other, _)| !until.is_before(*other));
        self.in_grace.insert(at, (until, user.clone()));
        if at == 0 {
            // The timer that is filed fires later than this.
            self.timed = false;
        }
    }
}
