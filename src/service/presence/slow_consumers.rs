//! Messages that wait for readers that are too slow: outside of their backlogs, bounded, and not all of it
//! for ever.
//!
//! A state of a user makes every earlier one worthless, so that only the latest waits. Of what is said in a room that would
//! rather lose messages than members, the newest wait. A frame is shared by all who wait for it: it costs each of them a
//! reference.

use std::collections::{HashMap, VecDeque};

use crate::limits::{HELD_MESSAGES_MAX, SLOW_BYTES_MAX, SLOW_MESSAGES_MAX, WATCHES_PER_CONNECTION_MAX};
use crate::presence::Name;
use crate::reactor::{ConnId, SharedFrame};

/// The waiting messages, by connection. A connection that keeps up has no entry.
#[derive(Debug, Default)]
pub(super) struct SlowConsumers(HashMap<ConnId, Backlog>);

/// The waiting messages of one connection.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    states: HashMap<Name, SharedFrame>,
    said: VecDeque<SharedFrame>,
    /// Bytes of `said`.
    bytes: usize,
    /// Some of `said` may not be dropped.
    whole: bool,
}

impl SlowConsumers {
    /// Whether states wait for a connection, or messages: then further ones have to wait behind them.
    pub(super) fn holds(&self, conn: ConnId) -> (bool, bool) {
        let waiting = self.0.get(&conn);
        waiting.map_or((false, false), |waiting| (!waiting.states.is_empty(), !waiting.said.is_empty()))
    }

    /// Keeps a user's state in the place of an older one. Says whether there was one; nothing is kept where more users'
    /// wait than a client can watch.
    pub(super) fn hold_state(&mut self, conn: ConnId, user: Name, frame: SharedFrame) -> Option<bool> {
        let states = &mut self.0.entry(conn).or_default().states;
        if states.len() >= WATCHES_PER_CONNECTION_MAX && !states.contains_key(&user) {
            return None;
        }
        Some(states.insert(user, frame).is_some())
    }

    /// Keeps a message behind the others; returns how many of the oldest it took the place of.
    pub(super) fn hold_message(&mut self, conn: ConnId, frame: SharedFrame) -> u64 {
        let waiting = self.0.entry(conn).or_default();
        waiting.bytes += frame.bytes().len();
        waiting.said.push_back(frame);
        let mut dropped = 0;
        while waiting.said.len() > SLOW_MESSAGES_MAX
            || (waiting.bytes > SLOW_BYTES_MAX && waiting.said.len() > 1)
        {
            waiting.bytes -= waiting.said.pop_front().map_or(0, |oldest| oldest.bytes().len());
            dropped += 1;
        }
        dropped
    }

    /// Keeps a message of a room that loses nothing. False where too many wait already: nothing is kept.
    pub(super) fn hold_whole(&mut self, conn: ConnId, frame: SharedFrame) -> bool {
        let waiting = self.0.entry(conn).or_default();
        let bytes = waiting.bytes + frame.bytes().len();
        if bytes > SLOW_BYTES_MAX || waiting.said.len() >= HELD_MESSAGES_MAX {
            return false;
        }
        waiting.bytes = bytes;
        waiting.whole = true;
        waiting.said.push_back(frame);
        true
    }

    /// Whether messages wait of which none may be dropped.
    pub(super) fn is_whole(&self, conn: ConnId) -> bool {
        self.0.get(&conn).is_some_and(|waiting| waiting.whole)
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes what waits for a connection.
    pub(super) fn take(&mut self, conn: ConnId) -> Option<Backlog> {
        // Most turns, nobody is slow.
        if self.is_empty() { None } else { self.0.remove(&conn) }
    }

    /// Puts back what could not be sent.
    pub(super) fn put_back(&mut self, conn: ConnId, waiting: Backlog) {
        self.0.insert(conn, waiting);
    }
}

impl Backlog {
    /// The frame to send next; it stays until [`Backlog::sent`].
    pub(super) fn next(&self) -> Option<&SharedFrame> {
        self.said.front().or_else(|| self.states.values().next())
    }

    /// All frames, in order.
    pub(super) fn into_frames(mut self) -> Vec<SharedFrame> {
        let mut frames = Vec::new();
        while let Some(frame) = self.next().cloned() {
            frames.push(frame);
            self.sent();
        }
        frames
    }

    /// The frame of [`Backlog::next`] has been sent.
    pub(super) fn sent(&mut self) {
        if let Some(frame) = self.said.pop_front() {
            self.bytes -= frame.bytes().len();
            self.whole &= !self.said.is_empty();
        } else if let Some(user) = self.states.keys().next().cloned() {
            self.states.remove(&user);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conn(key: u32) -> ConnId {
        ConnId::from_bits(u64::from(key))
    }

    fn frame(len: usize) -> SharedFrame {
        SharedFrame::text(&"x".repeat(len))
    }

    fn drained(mut waiting: Backlog) -> usize {
        let mut frames = 0;
        while waiting.next().is_some() {
            waiting.sent();
            frames += 1;
        }
        assert_eq!(waiting.bytes, 0);
        frames
    }

    #[test]
    fn of_a_users_states_the_latest_waits() {
        let mut slow_consumers = SlowConsumers::default();
        assert_eq!(slow_consumers.hold_state(conn(1), "anna".into(), frame(1)), Some(false));
        assert_eq!(slow_consumers.hold_state(conn(1), "ben".into(), frame(1)), Some(false));
        assert_eq!(slow_consumers.hold_state(conn(1), "anna".into(), frame(2)), Some(true));
        assert_eq!(
            (slow_consumers.holds(conn(1)), slow_consumers.holds(conn(2))),
            ((true, false), (false, false))
        );
        for n in 2..WATCHES_PER_CONNECTION_MAX {
            assert_eq!(slow_consumers.hold_state(conn(1), format!("u{n}").into(), frame(1)), Some(false));
        }
        assert_eq!(slow_consumers.hold_state(conn(1), "one-too-many".into(), frame(1)), None);
        assert_eq!(slow_consumers.hold_state(conn(1), "ben".into(), frame(1)), Some(true));
        assert_eq!(drained(slow_consumers.take(conn(1)).unwrap()), WATCHES_PER_CONNECTION_MAX);
        assert!(slow_consumers.0.is_empty());
    }

    #[test]
    fn of_a_rooms_messages_the_newest_wait() {
        let mut slow_consumers = SlowConsumers::default();
        let dropped: u64 =
            (0..SLOW_MESSAGES_MAX + 7).map(|_| slow_consumers.hold_message(conn(1), frame(10))).sum();
        assert_eq!(dropped, 7);
        assert_eq!(drained(slow_consumers.take(conn(1)).unwrap()), SLOW_MESSAGES_MAX);
        let dropped: u64 =
            (0..5).map(|_| slow_consumers.hold_message(conn(1), frame(SLOW_BYTES_MAX / 2))).sum();
        assert_eq!(dropped, 4, "the header counts");
        assert_eq!(
            slow_consumers.hold_message(conn(1), frame(2 * SLOW_BYTES_MAX)),
            1,
            "the newest is kept whatever its size"
        );
    }
}
