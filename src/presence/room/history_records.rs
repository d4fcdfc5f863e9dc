//! The history of rooms as records: handed over to another home, and taken from one.

use crate::limits::{HISTORY_AGE_SECONDS_MAX, PAST_BYTES_MAX};
use crate::presence::data::Data;
use crate::presence::history::{Content, Kept, RoomHistory, Saying};
use crate::presence::name::Name;
use crate::presence::record::{HistoryRecord, PastRecord, Record, number};
use crate::presence::room::{Room, Rooms};
use crate::presence::turn::Turn;
use crate::time::{TICK_MILLIS, Tick};

/// Messages of one record.
const MESSAGES_MAX: usize = 64;
/// The most ticks for which anything is kept.
const TICKS_MAX: u32 = HISTORY_AGE_SECONDS_MAX * (1_000 / TICK_MILLIS as u32);

impl Rooms {
    /// The records of what rooms keep, so many at most. Returns where to go on, if there may be more.
    pub(crate) fn export_histories(
        &self,
        after: Option<(Name, Option<u64>)>,
        most: usize,
        now: Tick,
        records: &mut Vec<Record>,
    ) -> Option<(Name, Option<u64>)> {
        let mut left = most;
        // A room that was begun goes first; of one that has ended nothing is left.
        if let Some((room, Some(from))) = &after {
            let next = self.get(room).and_then(|home| home.export_history(*from, &mut left, now, records));
            if next.is_some() {
                return Some((room.clone(), next));
            }
        }
        let after = after.map(|(room, _)| room);
        let slots = self.name_index.after(after.as_deref(), |slot| &*self.rooms[slot as usize].name);
        let mut last = after.clone();
        for slot in slots {
            if left == 0 {
                return Some((last?, None));
            }
            let home = &self.rooms[slot as usize];
            if let Some(next) = home.export_history(0, &mut left, now, records) {
                return Some((home.name.clone(), Some(next)));
            }
            last = Some(home.name.clone());
        }
        None
    }

    /// Takes a part of what a room keeps over. A room that has begun anew by now goes on as it is, and so does one that keeps nothing here.
    pub(crate) fn import_history(&mut self, record: &HistoryRecord, turn: &mut Turn<'_>) {
        let (epoch, offset, first) = (number(record.epoch), number(record.offset), number(record.first));
        let has_rule = self.keeping.history_of(&record.room, 1).is_some();
        let slot = match self.find(&record.room) {
            Some(slot) if self.rooms[slot as usize].epoch != epoch => return,
            Some(slot) => slot,
            None if !has_rule => return,
            None => {
                let slot = self.restore_at(&record.room, (epoch, offset, number(record.membership)));
                self.stays(slot);
                slot
            }
        };
        let Some(home) = self.rooms.get_mut(slot as usize) else { return };
        let history = home.history.get_or_insert_with(|| Box::new(RoomHistory::new(first, None)));
        if history.is_empty() {
            history.begin_at(first);
        }
        let is_next = history.next() == first && first + record.messages.len() as u64 <= home.offset + 1;
        if is_next && first > 0 {
            for message in &record.messages {
                let tick = turn.now.tick.back(message.ticks.min(TICKS_MAX));
                let content = match &message.data {
                    Some(data) => Content::of(data),
                    // An id alone, where messages are kept from now on: it says nothing.
                    None if message.is_deleted || has_rule => Content::Deleted,
                    None => Content::Bare,
                };
                let saying = Saying { from: message.from.as_deref(), id: message.id.as_deref(), content };
                history.push((tick, message.unix_millis), saying);
            }
        }
        self.count_kept(slot);
        self.give_back();
        self.time_history(slot, turn);
        self.end_over();
    }
}

impl Room {
    /// The records of what is kept from an offset on, while there are any `left`. Returns the offset to go on with, if there may be more.
    fn export_history(
        &self,
        from: u64,
        left: &mut usize,
        now: Tick,
        records: &mut Vec<Record>,
    ) -> Option<u64> {
        let history = self.history.as_ref()?;
        let mut from = from.max(history.first());
        while from < history.next() {
            if *left == 0 {
                return Some(from);
            }
            *left -= 1;
            let (mut messages, mut bytes) = (Vec::new(), 0);
            for (_, message) in history.kept(from).take(MESSAGES_MAX) {
                let record = recorded(&message, now);
                bytes += record.data.as_ref().map_or(0, Data::len);
                messages.push(record);
                if bytes > PAST_BYTES_MAX {
                    break;
                }
            }
            let next = from + messages.len() as u64;
            records.push(Record::History(Box::new(HistoryRecord {
                room: self.name.clone(),
                epoch: self.epoch,
                offset: self.offset,
                membership: self.membership,
                first: from,
                messages,
            })));
            from = next;
        }
        None
    }
}

fn recorded(message: &Kept<'_>, now: Tick) -> PastRecord {
    PastRecord {
        from: message.from.map(Name::from),
        id: message.id.map(Into::into),
        data: message.content.data(),
        is_deleted: message.content == Content::Deleted,
        unix_millis: message.unix_millis,
        ticks: now.since(message.tick),
    }
}
