//! The polls of a session: one at a time is open, the newer wins; while one is, or the last one ended less than the gap ago, the
//! client is there.
//!
//! A poll answers with what is not acknowledged. Where there is nothing new it is held for as long as it asks for. What `R` is,
//! the way back of an answer, is the caller's.

use crate::session::queue::{Outgoing, Policy, Pushed};
use crate::time::Tick;

/// The polls of a session, and what waits for them.
#[derive(Debug)]
pub struct Polls<T, K, R> {
    queue: Outgoing<T, K>,
    open: Option<Open<R>>,
    /// Ticks without a poll after which the client is gone.
    gap: u32,
    /// When the last request was answered or given up.
    ended: Tick,
    /// Most of the gap has passed since then.
    is_suspect: bool,
}

#[derive(Clone, Copy, Debug)]
struct Open<R> {
    reply: R,
    until: Tick,
}

/// The open poll of a session that leaves its polls, and the numbered events that are not acknowledged.
pub type Left<T, R> = (Option<R>, Vec<(u64, T)>);

/// The outcome of a poll.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Polled<R> {
    /// It is open: it is answered by [`Polls::ready`] or [`Polls::due`]. The one that was open before it is answered 409.
    Held(Option<R>),
    /// It is older than another one that has come: it is answered 409 itself.
    Old,
    /// It acknowledges what was never sent.
    Bad,
}

/// The consequence of time that has passed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Due<R> {
    /// Nothing before that tick.
    Nothing(Tick),
    /// The open poll has waited for as long as it asked for, and is open no more.
    Over(R),
    /// Most of the gap has passed without a request: [`Polls::next_due`] says when the client is gone.
    Suspect,
    /// Nobody polls any more.
    Gone,
}

impl<T, K: PartialEq, R: Copy + PartialEq> Polls<T, K, R> {
    /// A session that begins with a request, for a client that is gone after so many ticks without one.
    #[must_use]
    pub fn new(now: Tick, gap: u32) -> Polls<T, K, R> {
        Polls { queue: Outgoing::default(), open: None, gap, ended: now, is_suspect: false }
    }

    /// A poll comes: its client has all up to `ack`, and waits for `wait` ticks. `gap`: from now on that counts.
    pub fn poll(&mut self, now: Tick, reply: R, ack: u64, (wait, gap): (u32, Option<u32>)) -> Polled<R> {
        // Requests overtake one another between workers.
        if ack < self.queue.acknowledged() {
            return Polled::Old;
        }
        if !self.queue.acknowledge(ack) {
            return Polled::Bad;
        }
        self.gap = gap.unwrap_or(self.gap);
        let older = self.open.replace(Open { reply, until: now.after(wait) });
        Polled::Held(older.map(|open| open.reply))
    }

    /// Queues an event of so many bytes.
    pub fn push(&mut self, item: T, bytes: usize, policy: Policy<K>, most: usize) -> Pushed {
        self.queue.push(item, bytes, policy, most)
    }

    /// The open poll, where something waits for it or it has waited for long enough: it is answered now with [`Polls::batch`], and open
    /// no more.
    pub fn ready(&mut self, now: Tick) -> Option<R> {
        let is_over = self.open.is_some_and(|open| now.has_reached(open.until));
        if self.queue.is_empty() && !is_over { None } else { self.close(now) }
    }

    /// Takes the open poll: whatever it is answered, it is open no more.
    pub fn close(&mut self, now: Tick) -> Option<R> {
        let open = self.open.take()?;
        self.ended = now;
        Some(open.reply)
    }

    /// The events of the next answer; see [`Outgoing::batch`].
    pub fn batch(&mut self) -> impl Iterator<Item = (u64, &T)> {
        self.queue.batch()
    }

    /// The events that wait.
    #[must_use]
    pub fn queue(&self) -> &Outgoing<T, K> {
        &self.queue
    }

    /// A client gave up a request. Says whether it was the open poll.
    pub fn abandoned(&mut self, now: Tick, reply: R) -> bool {
        let is_it = self.open.is_some_and(|open| open.reply == reply);
        if is_it {
            self.close(now);
        }
        is_it
    }

    /// The client was heard: says whether it was under suspicion.
    pub fn acquit(&mut self) -> bool {
        std::mem::take(&mut self.is_suspect)
    }

    /// The client was heard by a request that is no poll.
    pub fn heard(&mut self, now: Tick) {
        if self.open.is_none() {
            self.ended = now;
        }
    }

    /// When [`Polls::due`] has something to say at the earliest.
    #[must_use]
    pub fn next_due(&self) -> Tick {
        match &self.open {
            Some(open) => open.until,
            None if self.is_suspect => self.ended.after(self.gap),
            None => self.ended.after(self.gap / 4 * 3),
        }
    }

    /// The consequence of time that has passed.
    pub fn due(&mut self, now: Tick) -> Due<R> {
        let next = self.next_due();
        if now.is_before(next) {
            return Due::Nothing(next);
        }
        match self.close(now) {
            Some(reply) => Due::Over(reply),
            None if now.has_reached(self.ended.after(self.gap)) => Due::Gone,
            None => {
                self.is_suspect = true;
                Due::Suspect
            }
        }
    }

    /// Something else carries the session from here on, and its client has all up to `ack`: the poll that was open, and the events that
    /// are not acknowledged, in order. `None`: that can't be, and nothing is changed.
    pub fn leave(&mut self, now: Tick, ack: u64) -> Option<Left<T, R>> {
        if ack < self.queue.acknowledged() || !self.queue.acknowledge(ack) {
            return None;
        }
        let open = self.close(now);
        Some((open, self.queue.drain().collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Sample = Polls<&'static str, (), u8>;

    fn polled(polls: &mut Sample, now: u32, reply: u8, ack: u64) -> Polled<u8> {
        polls.poll(Tick(now), reply, ack, (2_500, None))
    }

    fn batch(polls: &mut Sample) -> Vec<u64> {
        polls.batch().map(|(number, _)| number).collect()
    }

    #[test]
    fn a_poll_is_held_until_there_is_something_or_its_time_is_over() {
        let mut polls = Sample::new(Tick(0), 1_000);
        assert_eq!(polled(&mut polls, 10, 1, 0), Polled::Held(None));
        assert_eq!(polls.ready(Tick(11)), None);
        assert_eq!(polls.due(Tick(2_509)), Due::Nothing(Tick(2_510)));
        assert_eq!(polls.due(Tick(2_510)), Due::Over(1));
        assert_eq!(polled(&mut polls, 2_600, 2, 0), Polled::Held(None));
        polls.push("a", 1, Policy::Whole, 100);
        assert_eq!((polls.ready(Tick(2_601)), batch(&mut polls)), (Some(2), vec![1]));
        assert_eq!(polls.ready(Tick(2_601)), None, "it is answered once");
    }

    #[test]
    fn the_newer_poll_wins_and_gets_again_what_is_not_acknowledged() {
        let mut polls = Sample::new(Tick(0), 1_000);
        polls.push("a", 1, Policy::Whole, 100);
        assert_eq!(polled(&mut polls, 1, 1, 0), Polled::Held(None));
        assert_eq!(polled(&mut polls, 2, 2, 0), Polled::Held(Some(1)));
        assert_eq!((polls.ready(Tick(2)), batch(&mut polls)), (Some(2), vec![1]));
        assert_eq!(polled(&mut polls, 3, 3, 0), Polled::Held(None));
        assert_eq!((polls.ready(Tick(3)), batch(&mut polls)), (Some(3), vec![1]), "its answer was lost");
        assert_eq!(polled(&mut polls, 4, 4, 2), Polled::Bad);
        assert_eq!(polled(&mut polls, 4, 4, 1), Polled::Held(None));
        assert_eq!(polled(&mut polls, 5, 5, 0), Polled::Old, "it was overtaken");
        assert_eq!((polls.ready(Tick(5)), polls.due(Tick(2_504))), (None, Due::Over(4)));
    }

    #[test]
    fn a_client_is_gone_a_gap_after_its_last_poll_ended() {
        let mut polls = Sample::new(Tick(0), 1_000);
        assert_eq!(polls.due(Tick(749)), Due::Nothing(Tick(750)), "that it began counts as one");
        assert_eq!((polls.due(Tick(750)), polls.due(Tick(999))), (Due::Suspect, Due::Nothing(Tick(1_000))));
        assert!(polls.acquit() && !polls.acquit());
        polled(&mut polls, 999, 1, 0);
        assert!(!polls.abandoned(Tick(1_100), 7) && polls.abandoned(Tick(1_100), 1));
        assert_eq!(
            (polls.due(Tick(2_098)), polls.due(Tick(2_099))),
            (Due::Suspect, Due::Nothing(Tick(2_100)))
        );
        polls.acquit();
        polls.heard(Tick(2_099));
        assert_eq!(polls.due(Tick(3_099)), Due::Gone, "a server that was late");
        assert_eq!(polls.poll(Tick(3_099), 2, 0, (0, Some(9_000))), Polled::Held(None));
        assert_eq!(polls.ready(Tick(3_099)), Some(2), "a poll that waits for nothing");
        assert_eq!(
            (polls.due(Tick(9_849)), polls.due(Tick(12_098))),
            (Due::Suspect, Due::Nothing(Tick(12_099))),
            "its own gap"
        );
    }

    #[test]
    fn what_carries_the_session_next_gets_the_rest_in_order() {
        let mut polls = Sample::new(Tick(0), 1_000);
        for item in ["a", "b", "c"] {
            polls.push(item, 1, Policy::Whole, 100);
        }
        assert_eq!(batch(&mut polls), [1, 2, 3]);
        polled(&mut polls, 1, 1, 1);
        assert_eq!(polls.leave(Tick(2), 4), None);
        assert_eq!(polls.leave(Tick(2), 2), Some((Some(1), vec![(3, "c")])));
    }
}
