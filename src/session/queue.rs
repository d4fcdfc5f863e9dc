//! Events that wait to be fetched: numbered from 1, in order, within a bound of bytes.
//!
//! An event that was sent stays until it is acknowledged: the answer that carried it may be lost. A number is never given twice; where
//! something was dropped or conflated, the numbers have a gap.

use std::collections::VecDeque;

use crate::limits::{POLL_ANSWER_BYTES, POLL_ANSWER_EVENTS, SLOW_MESSAGES_MAX};

/// The fate of an event whose reader is slow.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Policy<K> {
    /// It is never dropped: at the bound the session ends.
    Whole,
    /// It may make way for newer ones of its kind.
    DropOldest,
    /// Of those with the same key only the latest counts.
    Latest(K),
    /// It is not taken where more than half of the bound is used: its sender is told.
    Spare,
}

/// The outcome of queueing an event.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pushed {
    /// It waits, and so many others don't any more.
    Queued {
        /// Older ones that it has made worthless, or that had to make way.
        dropped: u64,
    },
    /// It does not: there is no room for it.
    Full,
}

#[derive(Debug)]
struct Entry<T, K> {
    number: u64,
    item: T,
    bytes: usize,
    policy: Policy<K>,
}

/// The events of one session.
#[derive(Debug)]
pub struct Outgoing<T, K> {
    entries: VecDeque<Entry<T, K>>,
    /// Bytes of all entries.
    bytes: usize,
    /// The number of the next one.
    next: u64,
    /// All up to this one have arrived. `acked < next`.
    acked: u64,
    /// The highest that was in an answer. `acked <= sent < next`.
    sent: u64,
}

impl<T, K> Default for Outgoing<T, K> {
    fn default() -> Self {
        Outgoing { entries: VecDeque::new(), bytes: 0, next: 1, acked: 0, sent: 0 }
    }
}

impl<T, K: PartialEq> Outgoing<T, K> {
    /// Queues an event of so many bytes, where all together come to no more than `most`. The first may be longer.
    pub fn push(&mut self, item: T, bytes: usize, policy: Policy<K>, most: usize) -> Pushed {
        let mut dropped = 0;
        match &policy {
            Policy::Latest(key) if self.is_slow() => {
                dropped += u64::from(self.take_older(key));
            }
            Policy::DropOldest => {
                while self.droppable() >= SLOW_MESSAGES_MAX || self.is_over(bytes, most / 2) {
                    if !self.drop_oldest() {
                        break;
                    }
                    dropped += 1;
                }
                // Events that may not be dropped fill the room: this one makes way.
                if self.is_over(bytes, most) {
                    return Pushed::Queued { dropped: dropped + 1 };
                }
            }
            Policy::Spare if self.is_over(bytes, most / 2) => return Pushed::Full,
            _ => {}
        }
        while self.is_over(bytes, most) && self.drop_oldest() {
            dropped += 1;
        }
        if self.is_over(bytes, most) {
            return Pushed::Full;
        }
        self.bytes += bytes;
        self.entries.push_back(Entry { number: self.next, item, bytes, policy });
        self.next += 1;
        Pushed::Queued { dropped }
    }

    /// Whether more waits than one answer holds.
    fn is_slow(&self) -> bool {
        self.bytes > POLL_ANSWER_BYTES || self.entries.len() > POLL_ANSWER_EVENTS
    }

    fn is_over(&self, bytes: usize, most: usize) -> bool {
        !self.entries.is_empty() && self.bytes + bytes > most
    }

    fn droppable(&self) -> usize {
        // Counted only where there may be as many.
        if self.entries.len() < SLOW_MESSAGES_MAX {
            return 0;
        }
        self.entries.iter().filter(|entry| entry.policy == Policy::DropOldest).count()
    }

    fn drop_oldest(&mut self) -> bool {
        let at = self.entries.iter().position(|entry| entry.policy == Policy::DropOldest);
        at.is_some_and(|at| self.remove(at))
    }

    fn take_older(&mut self, key: &K) -> bool {
        let is_it = |entry: &Entry<T, K>| matches!(&entry.policy, Policy::Latest(other) if other == key);
        let at = self.entries.iter().position(is_it);
        at.is_some_and(|at| self.remove(at))
    }

    fn remove(&mut self, at: usize) -> bool {
        let removed = self.entries.remove(at);
        self.bytes -= removed.as_ref().map_or(0, |entry| entry.bytes);
        removed.is_some()
    }

    /// The client has all up to that number. False where it can't have: nothing is changed.
    pub fn acknowledge(&mut self, number: u64) -> bool {
        if number > self.sent {
            return false;
        }
        self.acked = self.acked.max(number);
        while self.entries.front().is_some_and(|entry| entry.number <= self.acked) {
            self.remove(0);
        }
        if self.entries.is_empty() {
            self.entries = VecDeque::new();
        }
        true
    }

    /// The number up to which all have arrived.
    #[must_use]
    pub fn acknowledged(&self) -> u64 {
        self.acked
    }

    /// The events of the next answer, with their numbers: as many as one holds, and one at least where any waits.
    pub fn batch(&mut self) -> impl Iterator<Item = (u64, &T)> {
        let mut bytes = 0;
        let fits = |entry: &&Entry<T, K>| {
            let is_first = bytes == 0;
            bytes += entry.bytes;
            is_first || bytes <= POLL_ANSWER_BYTES
        };
        let len = self.entries.iter().take(POLL_ANSWER_EVENTS).take_while(fits).count();
        if let Some(last) = len.checked_sub(1).and_then(|last| self.entries.get(last)) {
            self.sent = self.sent.max(last.number);
        }
        self.entries.iter().take(len).map(|entry| (entry.number, &entry.item))
    }

    /// Takes all out, with their numbers, for what is to carry them from here on.
    pub fn drain(&mut self) -> impl Iterator<Item = (u64, T)> + '_ {
        self.bytes = 0;
        self.entries.drain(..).map(|entry| (entry.number, entry.item))
    }

    /// The highest number that was in an answer; 0: none was.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.sent
    }

    /// The number that the next event gets.
    #[must_use]
    pub fn next(&self) -> u64 {
        self.next
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether something waits that was in no answer yet.
    #[must_use]
    pub fn has_unsent(&self) -> bool {
        self.entries.back().is_some_and(|entry| entry.number > self.sent)
    }

    /// Bytes that wait.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: usize = 1_000;

    fn numbers(queue: &mut Outgoing<u32, &str>) -> Vec<u64> {
        queue.batch().map(|(number, _)| number).collect()
    }

    #[test]
    fn what_was_sent_stays_until_it_has_arrived() {
        let mut queue = Outgoing::default();
        assert!(queue.acknowledge(0) && !queue.acknowledge(1));
        for item in 0..4 {
            assert_eq!(queue.push(item, 100, Policy::Whole, MOST), Pushed::Queued { dropped: 0 });
        }
        assert!(!queue.acknowledge(1) && queue.sent() == 0, "it waits to be fetched");
        assert_eq!(numbers(&mut queue), [1, 2, 3, 4]);
        assert!(!queue.has_unsent() && queue.acknowledge(2));
        assert_eq!(numbers(&mut queue), [3, 4], "again");
        assert!(!queue.acknowledge(5), "nobody has what was never sent");
        assert!(queue.acknowledge(1) && queue.acknowledged() == 2, "an old word changes nothing");
        assert!(queue.acknowledge(4) && queue.is_empty() && queue.bytes() == 0);
        assert_eq!(queue.next(), 5);
    }

    #[test]
    fn at_the_bound_each_event_goes_by_its_policy() {
        let mut queue = Outgoing::default();
        for item in 0..9 {
            queue.push(item, 100, Policy::Whole, MOST);
        }
        assert_eq!(queue.push(9, 200, Policy::Whole, MOST), Pushed::Full);
        assert_eq!(queue.push(9, 10, Policy::Spare, MOST), Pushed::Full, "half is for what was asked for");
        assert_eq!(queue.push(9, 200, Policy::DropOldest, MOST), Pushed::Queued { dropped: 1 });
        assert_eq!(queue.push(9, 100, Policy::Whole, MOST), Pushed::Queued { dropped: 0 });
        assert_eq!(numbers(&mut queue), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
        let mut long = Outgoing::<u32, &str>::default();
        assert_eq!(long.push(0, 5_000, Policy::Whole, MOST), Pushed::Queued { dropped: 0 }, "the first");
    }

    #[test]
    fn the_oldest_that_may_be_dropped_make_way() {
        let mut queue = Outgoing::default();
        queue.push(0, 100, Policy::Whole, MOST);
        for item in 1..8 {
            queue.push(item, 100, Policy::DropOldest, MOST);
        }
        assert_eq!(numbers(&mut queue), [1, 5, 6, 7, 8], "of half of the bound");
        assert_eq!(queue.push(9, 500, Policy::Whole, MOST), Pushed::Queued { dropped: 0 });
        assert_eq!(queue.push(9, 300, Policy::Whole, MOST), Pushed::Queued { dropped: 3 });
        assert_eq!(numbers(&mut queue), [1, 8, 9, 10]);
    }

    #[test]
    fn of_a_users_states_the_latest_waits_where_the_reader_is_slow() {
        let most = 1 << 20;
        let mut queue = Outgoing::default();
        queue.push(0, 10, Policy::Latest("anna"), most);
        queue.push(1, 10, Policy::Latest("anna"), most);
        assert_eq!(numbers(&mut queue), [1, 2], "one that reads gets each");
        queue.push(2, POLL_ANSWER_BYTES, Policy::Whole, most);
        assert_eq!(queue.push(3, 10, Policy::Latest("anna"), most), Pushed::Queued { dropped: 1 });
        assert_eq!(queue.push(4, 10, Policy::Latest("ben"), most), Pushed::Queued { dropped: 0 });
        let all: Vec<u64> = queue.drain().map(|(number, _)| number).collect();
        assert_eq!((all, queue.bytes()), (vec![2, 3, 4, 5], 0));
    }

    #[test]
    fn an_answer_holds_so_many_events_and_bytes_and_one_at_least() {
        let most = usize::MAX / 2;
        let mut queue = Outgoing::<u32, &str>::default();
        queue.push(0, 2 * POLL_ANSWER_BYTES, Policy::Whole, most);
        for item in 0..600 {
            queue.push(item, 1, Policy::Whole, most);
        }
        assert_eq!(numbers(&mut queue), [1]);
        queue.acknowledge(1);
        assert_eq!(numbers(&mut queue).len(), POLL_ANSWER_EVENTS);
    }
}
