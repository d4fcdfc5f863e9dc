//! Messages by who said them and the id that their sender gave them, for as long as that is remembered.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use crate::limits::{SAY_ID_TICKS, SAY_IDS_MAX};
use crate::presence::history::log::Log;
use crate::time::Tick;

/// Messages whose ids are forgotten at once: as many as go with the blocks that do.
const AT_ONCE: usize = 4_096;

/// The offsets of messages by their ids. The ids stand in the log.
#[derive(Debug, Default)]
pub(super) struct Ids {
    offsets: HashMap<u64, u64>,
    hasher: RandomState,
    /// Before that offset no message's id is here.
    from: u64,
}

impl Ids {
    pub(super) fn is_empty(&self) -> bool {
        self.offsets.is_empty()
    }

    pub(super) fn bytes(&self) -> usize {
        self.offsets.capacity() * 8 / 7 * (size_of::<(u64, u64)>() + 1)
    }

    pub(super) fn find(&self, log: &Log, from: Option<&str>, id: &str) -> Option<u64> {
        if self.offsets.is_empty() {
            return None;
        }
        let offset = *self.offsets.get(&self.hasher.hash_one((from, id)))?;
        let message = log.get(offset)?;
        (message.from == from && message.id == Some(id)).then_some(offset)
    }

    /// A message was said with an id.
    pub(super) fn add(&mut self, log: &Log, offset: u64, from: Option<&str>, id: &str) {
        if self.offsets.is_empty() {
            self.from = offset;
        }
        self.offsets.insert(self.hasher.hash_one((from, id)), offset);
        while self.offsets.len() > SAY_IDS_MAX && self.from < log.next() {
            self.forget_before(log, self.from + 1);
        }
    }

    /// Ids of messages that are too old are forgotten, some at a time.
    pub(super) fn expire(&mut self, log: &Log, now: Tick, age: u32) {
        if self.offsets.is_empty() {
            return;
        }
        let is_old = |tick: Tick| now.since(tick) >= age.min(SAY_ID_TICKS);
        let mut before = self.from.max(log.first());
        for (offset, message) in log.from(before).take(AT_ONCE) {
            if !is_old(message.tick) {
                break;
            }
            before = offset + 1;
        }
        self.forget_before(log, before);
    }

    /// Messages before that one are about to go.
    pub(super) fn forget_before(&mut self, log: &Log, before: u64) {
        if self.offsets.is_empty() || before <= self.from {
            return;
        }
        let from = self.from;
        for (_, message) in log.from(from).take_while(|(offset, _)| *offset < before) {
            if let Some(id) = message.id {
                let hash = self.hasher.hash_one((message.from, id));
                // It may be that of a later message by now, where the one before was too old.
                if self.offsets.get(&hash).is_some_and(|offset| *offset < before) {
                    self.offsets.remove(&hash);
                }
            }
        }
        self.from = before;
        self.settle();
    }

    /// Messages are gone: their ids as well.
    pub(super) fn forget_gone(&mut self, log: &Log) {
        if self.offsets.is_empty() || self.from >= log.first() {
            return;
        }
        self.offsets.retain(|_, offset| *offset >= log.first());
        self.from = log.first();
        self.settle();
    }

    /// Messages are deleted: their ids as well.
    pub(super) fn forget_deleted(&mut self, log: &Log) {
        if !self.offsets.is_empty() {
            self.offsets.retain(|_, offset| log.get(*offset).is_some_and(|message| message.id.is_some()));
            self.settle();
        }
    }

    /// Gives back what many have left.
    fn settle(&mut self) {
        if self.offsets.is_empty() {
            self.offsets = HashMap::new();
        } else if self.offsets.capacity() > 8 * self.offsets.len() + 64 {
            self.offsets.shrink_to(2 * self.offsets.len());
        }
    }
}
