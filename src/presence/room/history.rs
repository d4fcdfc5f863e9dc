//! The history of rooms: given to who has missed it or asks for it, and given back by age and by bytes. A room with
//! history outlives its members until its last message is too old.

use crate::presence::cost;
use crate::presence::history::{Appended, Journal, RoomHistory, Saying, moment, unkept};
use crate::presence::message::{HomeAnswer, Message, ReplyTo, RoomPosition};
use crate::presence::name::bytes_of;
use crate::presence::past::{Catchup, HistoryFrom, HistoryPage, Past, Recovery};
use crate::presence::room::{Room, Rooms};
use crate::presence::timer::Timer;
use crate::presence::turn::Turn;
use crate::time::Tick;

/// Rooms that give messages back at once.
const GIVEN_BACK_AT_ONCE: usize = 1_024;
/// Entries of rooms without members that are not worth looking through.
const EMPTY_KEPT: usize = 64;

impl Room {
    /// Whether it keeps what is said.
    pub(super) fn keeps(&self) -> bool {
        self.history.as_ref().is_some_and(|history| history.has_rule())
    }

    /// The position of a message that was said before with an id, as far as that is remembered.
    pub(super) fn said_before(&self, now: Tick, from: Option<&str>, id: &str) -> Option<RoomPosition> {
        let offset = self.history.as_ref()?.said_before(now, from, id)?;
        Some(RoomPosition { offset, ..self.place() })
    }
}

impl Rooms {
    /// Messages that rooms keep.
    #[must_use]
    pub const fn history_messages(&self) -> u64 {
        self.keeping.shares.messages()
    }

    /// Bytes of them.
    #[must_use]
    pub const fn history_bytes(&self) -> usize {
        self.keeping.shares.bytes()
    }

    /// Rooms without members that are there for their history.
    #[must_use]
    pub const fn kept(&self) -> usize {
        self.keeping.empties
    }

    /// Tells somebody from now on what rooms keep, who keeps it as well.
    pub(crate) fn set_journal(&mut self, journal: Option<Box<dyn Journal>>) {
        self.keeping.journal = journal;
    }

    pub(crate) fn take_journal(&mut self) -> Option<Box<dyn Journal>> {
        self.keeping.journal.take()
    }

    /// Recovers a client that comes in.
    pub(super) fn recovery(
        &mut self,
        room: &str,
        catchup: Option<&Catchup>,
        turn: &mut Turn<'_>,
    ) -> Option<Box<Recovery>> {
        let Catchup { since, bytes } = *catchup?;
        let Some(slot) = self.find(room) else { return Some(Box::default()) };
        let home = &mut self.rooms[slot as usize];
        let place = (home.epoch, home.offset);
        let recovery = match &mut home.history {
            None => unkept(since, place),
            Some(history) => {
                history.expire(turn.now.tick);
                history.recover(since, place, bytes as usize)
            }
        };
        spend(&recovery.messages, turn);
        self.count_kept(slot);
        Some(Box::new(recovery))
    }

    /// A part of what was said.
    pub(crate) fn history(
        &mut self,
        (room, user): (&str, Option<&str>),
        from: HistoryFrom,
        most: (u32, u32),
        reply_to: ReplyTo,
        turn: &mut Turn<'_>,
    ) {
        let answer = match self.find(room) {
            _ if user.is_some_and(|user| self.is_banned(turn.now, room, user)) => {
                HomeAnswer::Barred(room.into(), None)
            }
            None => HomeAnswer::NoRoom,
            Some(slot) => HomeAnswer::History(Some(Box::new(self.page_of(slot, from, most, turn)))),
        };
        turn.out.post(reply_to.at.worker, Message::Answered { reply_to, answer });
    }

    fn page_of(
        &mut self,
        slot: u32,
        from: HistoryFrom,
        most: (u32, u32),
        turn: &mut Turn<'_>,
    ) -> HistoryPage {
        let home = &mut self.rooms[slot as usize];
        let (mut first, mut messages) = (home.offset + 1, Vec::new());
        if let Some(history) = home.history.as_mut().filter(|history| history.has_rule()) {
            history.expire(turn.now.tick);
            (first, messages) = (history.first(), history.page(from, most));
        }
        spend(&messages, turn);
        HistoryPage { room: home.name.clone(), epoch: home.epoch, first, last: home.offset, messages }
    }

    /// Keeps what is said.
    pub(super) fn keep(&mut self, slot: u32, said: Appended<'_>, turn: &mut Turn<'_>) {
        let home = &mut self.rooms[slot as usize];
        let next = home.offset;
        let history = home.history.get_or_insert_with(|| Box::new(RoomHistory::new(next, None)));
        if history.next() != next {
            // A part of what was to be taken over has not come.
            history.begin_at(next);
        }
        let first = history.first();
        turn.out.spend(said.data.len() + said.id.map_or(0, str::len) + 64, cost::DATA_BYTE_NANOS);
        history.push(moment(turn.now), Saying::of(said.from, said.id, said.data));
        if !history.has_rule() {
            if history.is_over() {
                home.history = None;
            }
            return;
        }
        let trimmed = Some(history.first()).filter(|now| *now > first);
        if let Some(journal) = &mut self.keeping.journal {
            journal.appended(&home.name, (home.epoch, home.offset), said);
            if let Some(first) = trimmed {
                journal.trimmed(&home.name, home.epoch, first);
            }
        }
        self.count_kept(slot);
        self.give_back();
        self.time_history(slot, turn);
    }

    /// Counts what a room keeps now.
    pub(super) fn count_kept(&mut self, slot: u32) {
        let Some(home) = self.rooms.get_mut(slot as usize) else { return };
        let Some(history) = home.history.as_mut().filter(|history| history.has_rule()) else { return };
        let now = (history.bytes(), history.messages());
        let (place, moved) = self.keeping.shares.put(slot, history.place, Some(now));
        history.place = place;
        self.set_index(moved);
    }

    fn set_index(&mut self, moved: Option<(u32, u32)>) {
        if let Some((slot, index)) = moved
            && let Some(history) = self.rooms.get_mut(slot as usize).and_then(|home| home.history.as_mut())
            && let Some(place) = &mut history.place
        {
            place.set_index(index);
        }
    }

    /// Drops the oldest messages of a room that keeps the most, as long as rooms keep too much.
    pub(super) fn give_back(&mut self) {
        for _ in 0..GIVEN_BACK_AT_ONCE {
            if !self.keeping.shares.is_full() {
                return;
            }
            let Some(slot) = self.keeping.shares.greatest() else { return };
            let home = &mut self.rooms[slot as usize];
            let Some(history) = home.history.as_mut().filter(|history| !history.is_empty()) else { return };
            history.give_back();
            if let Some(journal) = &mut self.keeping.journal {
                journal.trimmed(&home.name, home.epoch, history.first());
            }
            if home.is_kept && history.is_empty() {
                self.keeping.over.push((slot, home.serial));
            }
            self.count_kept(slot);
        }
    }

    /// Sees to it that there is a timer where messages grow old.
    pub(super) fn time_history(&mut self, slot: u32, turn: &mut Turn<'_>) {
        let Some(home) = self.rooms.get_mut(slot as usize) else { return };
        let Some(history) = home.history.as_mut().filter(|history| !history.timed) else { return };
        if let Some(due) = history.due() {
            history.timed = true;
            let next = turn.now.tick.after(1);
            let due = if due.is_before(next) { next } else { due };
            turn.out.timer(due, Timer::History { slot, serial: home.serial });
        }
    }

    /// The oldest messages of a room may be too old.
    pub(crate) fn history_due(&mut self, slot: u32, serial: u32, turn: &mut Turn<'_>) {
        let is_it = |room: &&mut Room| room.serial == serial;
        let Some(home) = self.rooms.get_mut(slot as usize).filter(is_it) else { return };
        let Some(history) = &mut home.history else { return };
        history.timed = false;
        let first = history.first();
        history.expire(turn.now.tick);
        turn.out.spend(1, cost::LISTED_NANOS);
        if history.first() > first
            && let Some(journal) = &mut self.keeping.journal
        {
            journal.trimmed(&home.name, home.epoch, history.first());
        }
        if home.is_kept && history.is_empty() {
            return self.end_room(slot);
        }
        self.count_kept(slot);
        self.time_history(slot, turn);
    }

    /// A room that may have been there for its history has a member.
    pub(super) fn occupy(&mut self, slot: u32) {
        let home = &mut self.rooms[slot as usize];
        if std::mem::take(&mut home.is_kept) {
            self.keeping.empties -= 1;
        }
    }

    /// The last member of a room is gone: it ends, or stays for its history.
    pub(super) fn emptied(&mut self, slot: u32, turn: &mut Turn<'_>) {
        let home = &mut self.rooms[slot as usize];
        let stays = home.history.as_mut().is_some_and(|history| {
            history.expire(turn.now.tick);
            history.has_rule() && !history.is_empty()
        });
        if !stays {
            return self.end_room(slot);
        }
        self.in_grace -= std::mem::take(&mut home.in_grace).len();
        home.big = None;
        self.stays(slot);
        self.count_kept(slot);
        self.time_history(slot, turn);
        self.end_over();
    }

    /// A room without members is there for its history. Where there are too many, the one that has been so for longest ends.
    pub(super) fn stays(&mut self, slot: u32) {
        let home = &mut self.rooms[slot as usize];
        home.is_kept = true;
        let keeping = &mut self.keeping;
        keeping.empty.push_back((slot, home.serial));
        keeping.empties += 1;
        if keeping.empty.len() > 2 * keeping.empties + EMPTY_KEPT {
            let rooms = &self.rooms;
            keeping.empty.retain(|(slot, serial)| is_kept(rooms.get(*slot as usize), *serial));
        }
        while self.keeping.empties > self.keeping.empties_most {
            let Some((slot, serial)) = self.keeping.empty.pop_front() else { return };
            if is_kept(self.rooms.get(slot as usize), serial) {
                self.end_room(slot);
            }
        }
    }

    /// Ends rooms without members that had to give back all that they kept.
    pub(super) fn end_over(&mut self) {
        while let Some((slot, serial)) = self.keeping.over.pop() {
            let room = self.rooms.get(slot as usize);
            let is_empty = |room: &Room| room.history.as_ref().is_none_or(|history| history.is_empty());
            if is_kept(room, serial) && room.is_some_and(is_empty) {
                self.end_room(slot);
            }
        }
    }

    /// A room is no more.
    pub(super) fn end_room(&mut self, slot: u32) {
        let home = &self.rooms[slot as usize];
        self.name_bytes -= bytes_of(&home.name);
        self.ended = self.ended.max(home.epoch);
        self.members -= home.members.len() + home.unseen.as_ref().map_or(0, |unseen| unseen.len());
        self.keeping.empties -= usize::from(home.is_kept);
        let place = home.history.as_ref().and_then(|history| history.place);
        if let Some(journal) = &mut self.keeping.journal
            && home.keeps()
        {
            journal.ended(&home.name, home.epoch);
        }
        let (_, moved) = self.keeping.shares.put(slot, place, None);
        self.set_index(moved);
        let name_of = |slot: u32| &*self.rooms[slot as usize].name;
        self.by_name.remove(name_of(slot), slot, name_of);
        self.name_index.remove(slot, name_of);
        self.in_grace -= self.rooms.try_remove(slot as usize).map_or(0, |room| room.in_grace.len());
    }
}

fn is_kept(room: Option<&Room>, serial: u32) -> bool {
    room.is_some_and(|room| room.serial == serial && room.is_kept)
}

fn spend(messages: &[Past], turn: &mut Turn<'_>) {
    turn.out.spend(messages.len(), cost::PAST_NANOS);
    turn.out.spend(messages.iter().map(Past::written_bytes).sum(), cost::DATA_BYTE_NANOS);
}
