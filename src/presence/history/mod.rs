//! The history of a room: its last messages, or where no rule says so the ids of those that had one.
//!
//! | file | subject |
//! |---|---|
//! | `block` | some messages in one piece of memory |
//! | `log` | a room's blocks: pushed behind, trimmed in front, read by offset |
//! | `ids` | messages by their ids |
//! | `shares` | the bytes of all rooms of a home, and the room that gives some back |
//! | `journal` | what is told of it to somebody who keeps it elsewhere |
//!
//! A message costs some 8 bytes beyond its author, id and content, a seventh of a block of 1 KiB for its place, and where it has an id
//! some 30 more for five minutes.

mod block;
mod ids;
mod journal;
mod log;
#[cfg(test)]
mod model;
mod shares;

use crate::limits::{
    BACKLOG_BYTES_MAX, BACKLOG_BYTES_PAUSE, CATCHING_UP_BYTES_MAX, DATA_BYTES_MAX, PAGE_DEFAULT,
    PAST_BYTES_MAX, PAST_DEFAULT, PAST_MAX, SAY_ID_TICKS, SAY_IDS_KEPT,
};
use crate::presence::data::Data;
use crate::presence::name::Name;
use crate::presence::past::{HistoryFrom, Past, Recovery, Since, written_bytes};
use crate::presence::rules::HistoryRule;
use crate::time::{Now, Tick};

pub(crate) use block::{Content, Kept};
use ids::Ids;
pub use journal::{Appended, Journal};
use log::Log;
pub(crate) use shares::{Place, Shares};

const _: () = assert!(PAST_DEFAULT <= PAST_MAX && PAST_DEFAULT == PAGE_DEFAULT);
const _: () = assert!(CATCHING_UP_BYTES_MAX < BACKLOG_BYTES_PAUSE / 2);
const _: () = assert!(DATA_BYTES_MAX < PAST_BYTES_MAX && PAST_BYTES_MAX <= BACKLOG_BYTES_MAX);

/// Blocks that are given back at once.
const BLOCKS_AT_ONCE: usize = 64;

/// The history of a room.
#[derive(Debug)]
pub(crate) struct RoomHistory {
    log: Log,
    ids: Ids,
    /// Messages, and ticks for which each is kept; `None`: ids alone.
    rule: Option<(u32, u32)>,
    /// The room's place among those that share the bytes.
    pub(super) place: Option<Place>,
    /// A timer is filed for its oldest messages.
    pub(super) timed: bool,
}

/// A message that is said.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Saying<'a> {
    pub(crate) from: Option<&'a str>,
    pub(crate) id: Option<&'a str>,
    pub(crate) content: Content<'a>,
}

impl RoomHistory {
    /// The history of a room whose next message has that offset.
    pub(crate) fn new(next: u64, rule: Option<&HistoryRule>) -> RoomHistory {
        let rule = rule.map(|rule| (rule.count, rule.age));
        RoomHistory { log: Log::new(next), ids: Ids::default(), rule, place: None, timed: false }
    }

    /// Whether it keeps messages.
    pub(crate) const fn has_rule(&self) -> bool {
        self.rule.is_some()
    }

    /// Whether nothing is kept.
    pub(crate) const fn is_empty(&self) -> bool {
        self.log.is_empty()
    }

    /// The offset that the next message has.
    pub(crate) const fn next(&self) -> u64 {
        self.log.next()
    }

    /// The next message has that offset; nothing is kept yet.
    pub(crate) fn begin_at(&mut self, next: u64) {
        (self.log, self.ids) = (Log::new(next), Ids::default());
    }

    /// The offset of the oldest message that is kept.
    pub(crate) const fn first(&self) -> u64 {
        self.log.first()
    }

    pub(crate) const fn messages(&self) -> u64 {
        self.log.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        size_of::<RoomHistory>() + self.log.bytes() + self.ids.bytes()
    }

    /// The offset of what was said with that id, as far as that is remembered.
    pub(crate) fn said_before(&self, now: Tick, from: Option<&str>, id: &str) -> Option<u64> {
        let offset = self.ids.find(&self.log, from, id)?;
        let message = self.log.get(offset)?;
        (now.since(message.tick) < SAY_ID_TICKS).then_some(offset)
    }

    /// Keeps what is said, and trims by number.
    pub(crate) fn push(&mut self, (tick, unix_millis): (Tick, u64), saying: Saying<'_>) {
        let Saying { from, id, content } = saying;
        let kept = match self.rule {
            Some(_) => Kept { tick, unix_millis, from, id, content },
            None => {
                Kept { tick, unix_millis, from: from.filter(|_| id.is_some()), id, content: Content::Bare }
            }
        };
        let offset = self.log.next();
        self.log.push(&kept);
        if let Some(id) = id {
            self.ids.add(&self.log, offset, from, id);
        }
        let most = self.rule.map_or(SAY_IDS_KEPT, |(count, _)| count.into());
        self.trim_to(self.log.next().saturating_sub(most));
        self.ids.expire(&self.log, tick, SAY_ID_TICKS);
    }

    /// Messages before that one count no more.
    pub(crate) fn trim_to(&mut self, first: u64) {
        if first > self.log.first() {
            self.ids.forget_before(&self.log, first);
            self.log.trim(first, BLOCKS_AT_ONCE);
        }
    }

    /// Messages that are too old count no more. Says whether more of them are yet to be given back.
    pub(crate) fn expire(&mut self, now: Tick) -> bool {
        let Some((_, age)) = self.rule else { return false };
        self.ids.expire(&self.log, now, age);
        let more = self.log.expire(now, age, BLOCKS_AT_ONCE);
        self.ids.forget_gone(&self.log);
        more
    }

    /// The oldest messages go.
    pub(crate) fn give_back(&mut self) {
        self.ids.forget_before(&self.log, self.log.block_end());
        self.log.trim_block();
    }

    /// When the oldest messages go that lie in one block.
    pub(crate) fn due(&self) -> Option<Tick> {
        let (_, age) = self.rule?;
        Some(self.log.oldest_block()?.after(age))
    }

    /// Whether nothing in it is of any use: no message, and no id that counts.
    pub(crate) fn is_over(&self) -> bool {
        self.rule.is_none() && self.ids.is_empty()
    }

    /// Recovers a client that was in the room of that epoch, which stands at an offset now.
    pub(crate) fn recover(&self, since: Since, (epoch, offset): (u64, u64), bytes: usize) -> Recovery {
        let is_same = since.epoch == epoch && since.offset <= offset;
        let heard = if is_same { since.offset } else { 0 };
        if !self.has_rule() {
            return unkept(since, (epoch, offset));
        }
        let first = self.log.start(offset + 1, PAST_MAX as u64, bytes, bytes_of).max(heard + 1);
        let messages: Vec<Past> = self.log.from(first).map(past).collect();
        let gap = (heard + 1 < first).then(|| (heard + 1, first - 1));
        // What is in the gap can be had, and so nothing is lost.
        let recovered = is_same && heard + 1 >= self.log.first();
        Recovery { recovered, messages, gap }
    }

    /// A part of what is kept.
    pub(crate) fn page(&self, from: HistoryFrom, (most, bytes): (u32, u32)) -> Vec<Past> {
        if !self.has_rule() {
            return Vec::new();
        }
        let (most, bytes) = (most as usize, bytes as usize);
        match from {
            HistoryFrom::Before(before) => {
                let before = before.unwrap_or(u64::MAX).min(self.log.next());
                let start = self.log.start(before, most as u64, bytes, bytes_of);
                // One that is too long by itself stands by itself: else it could never be had.
                let start = start.min(before.saturating_sub(u64::from(most > 0))).max(self.log.first());
                self.log.from(start).take_while(|(offset, _)| *offset < before).map(past).collect()
            }
            HistoryFrom::After(after) => {
                let (mut left, mut taken) = (bytes, 0);
                let fits = |(_, message): &(u64, Kept<'_>)| {
                    let rest = left.checked_sub(bytes_of(message));
                    left = rest.unwrap_or(0);
                    taken += 1;
                    rest.is_some() || taken == 1
                };
                self.log.from(after.saturating_add(1)).take(most).take_while(fits).map(past).collect()
            }
        }
    }

    /// Messages from an offset on, as they are kept.
    pub(crate) fn kept(&self, from: u64) -> impl Iterator<Item = (u64, Kept<'_>)> {
        self.log.from(from)
    }

    /// Deletes what an author said: see [`Log::erase`].
    pub(crate) fn erase(&mut self, author: &str, from: u64, bytes: &mut usize) -> (usize, Option<u64>) {
        let (erased, next) = self.log.erase(author, from, bytes);
        if erased > 0 {
            self.ids.forget_deleted(&self.log);
        }
        (erased, next)
    }
}

/// Recovers a client in a room that keeps nothing.
pub(crate) fn unkept(since: Since, (epoch, offset): (u64, u64)) -> Recovery {
    let is_same = since.epoch == epoch && since.offset <= offset;
    let missed = if is_same { since.offset < offset } else { offset > 0 };
    let heard = if is_same { since.offset } else { 0 };
    Recovery {
        recovered: is_same && !missed,
        messages: Vec::new(),
        gap: missed.then_some((heard + 1, offset)),
    }
}

fn bytes_of(message: &Kept<'_>) -> usize {
    let (text, binary) = match message.content {
        Content::Json(text) => (text.len(), 0),
        Content::Binary(bytes) => (0, bytes.len()),
        Content::Deleted | Content::Bare => (0, 0),
    };
    written_bytes(message.from, text, binary)
}

fn past((offset, message): (u64, Kept<'_>)) -> Past {
    let Kept { unix_millis, from, content, .. } = message;
    Past { from: from.map(Name::from), data: content.data(), offset, unix_millis }
}

/// How a rule is found for a room: the first that fits.
pub(crate) fn rule_for<'r>(rules: &'r [HistoryRule], room: &str) -> Option<&'r HistoryRule> {
    rules.iter().find(|rule| rule.pattern.fits(room))
}

/// The time of a message, and its time of day.
pub(crate) const fn moment(now: Now) -> (Tick, u64) {
    (now.tick, now.unix_millis)
}

impl<'a> Saying<'a> {
    pub(crate) const fn of(from: Option<&'a str>, id: Option<&'a str>, data: &'a Data) -> Saying<'a> {
        Saying { from, id, content: Content::of(data) }
    }
}
