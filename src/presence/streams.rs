//! Numbered streams of messages between workers, for where a message may be lost, come twice or come late: between nodes, and
//! between two processes of which one hands over to the other. Mailboxes of one process lose nothing and change no order, so
//! that messages there carry no number.
//!
//! The messages of one worker to another are a stream, counted from 1. What is old or doubled is dropped. Where a number is
//! left out, the receiver takes nothing more of that stream, says so, and begins its own stream to the sender anew. Whoever is told
//! that its stream is not taken any more, or sees a stream that was begun anew after its own one was taken, begins its own anew
//! too. So the two streams of a pair end together, and what was under way in either is void. A message that comes late is one that is
//! lost. A stream that is begun since the other one was says so, and is answered by none: so two that begin at once are done.
//!
//! Whoever begins a stream anew has [`Node::announce`](crate::presence::Node::announce) make good what may be lost, before
//! anything else goes out in it. A stream is named by its sender's incarnation, which grows with every start of the sender,
//! and by a count: so a worker that was started anew is known by its first message.
//!
//! The loss of the last message shows when another one comes: so a worker sends a message without content, a
//! [beat](Streams::beat), to each other one that it has sent nothing for a while. How often it does bounds how long a loss goes
//! unnoticed.
//!
//! A stream costs 80 bytes at either end, whatever it carries.

use serde::{Deserialize, Serialize};

use crate::presence::address::WorkerRef;
use crate::presence::message::Message;

/// The name of a stream: a later one of the same sender is greater.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
pub struct StreamId {
    /// Grows with every start of the sender.
    pub incarnation: u64,
    /// Grows with every stream that it begins; from 1.
    pub round: u32,
}

/// A message with its place in the stream from one worker to another.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Numbered {
    /// The sender.
    pub from: WorkerRef,
    /// Its stream to the receiver.
    pub stream: StreamId,
    /// The message's number in it, from 1; of a beat, that of the last message.
    pub number: u64,
    /// The receiver's stream that the sender took when this one was begun.
    pub after: StreamId,
    /// The sender has lost what it knew: the receiver is to begin its stream to it anew.
    pub asks: bool,
    /// Of the receiver's streams to the sender this one and those before it are taken no more.
    pub refused: StreamId,
    /// The message; `None`: a beat.
    pub message: Option<Message>,
}

/// The outcome of receiving a [`Numbered`].
#[derive(Debug, Default)]
#[must_use]
pub struct Received {
    /// The message, where it is the next one.
    pub message: Option<Message>,
    /// The receiver's own stream to the sender has begun anew: [`Node::announce`](crate::presence::Node::announce) is to be
    /// called for that worker, before it handles `message`.
    pub anew: bool,
}

/// The two streams between a worker and another one.
#[derive(Clone, Copy, Debug)]
struct StreamPair {
    mine: StreamId,
    sent: u64,
    /// The last stream of the other's that was taken, and the number of the last message of it.
    theirs: StreamId,
    heard: u64,
    /// As in [`Numbered`].
    refused: StreamId,
    /// As in [`Numbered`].
    after: StreamId,
    asks: bool,
}

impl StreamPair {
    fn begin(&mut self, after: StreamId) {
        self.mine.round += 1;
        (self.sent, self.after, self.asks) = (0, after, false);
    }

    fn receive(&mut self, numbered: Numbered) -> Received {
        let Numbered { stream, number, after, asks, refused, message, .. } = numbered;
        if stream <= self.refused || stream < self.theirs {
            return Received::default();
        }
        let is_new = stream > self.theirs;
        let heard = if is_new { 0 } else { self.heard };
        let next = heard + u64::from(message.is_some());
        if number < next {
            return Received::default();
        }
        if number > next {
            self.refused = stream;
            self.begin(self.theirs);
            return Received { message: None, anew: true };
        }
        let before = std::mem::replace(&mut self.theirs, stream);
        self.heard = number;
        let is_restarted = before != StreamId::default() && before.incarnation < stream.incarnation;
        let ended = refused >= self.mine || (is_new && (asks || after >= self.mine)) || is_restarted;
        if ended {
            self.begin(before);
        }
        Received { message, anew: ended }
    }
}

/// All streams from and to one worker.
#[derive(Debug)]
pub struct Streams {
    worker: WorkerRef,
    pairs: Vec<StreamPair>,
}

impl Streams {
    /// The streams of a worker with each of so many workers, itself among them. `incarnation` is greater than at any start of
    /// that worker before. Its node [is told](crate::presence::Node::set_incarnation) the same.
    #[must_use]
    pub fn new(worker: WorkerRef, workers: u16, incarnation: u64) -> Streams {
        let (none, mine) = (StreamId::default(), StreamId { incarnation, round: 1 });
        let pair =
            StreamPair { mine, sent: 0, theirs: none, heard: 0, refused: none, after: none, asks: false };
        Streams { worker, pairs: vec![pair; usize::from(workers)] }
    }

    /// Numbers a message to a worker.
    ///
    /// # Panics
    /// There is no such worker.
    pub fn number(&mut self, to: u16, message: Message) -> Numbered {
        self.pairs[usize::from(to)].sent += 1;
        Numbered { message: Some(message), ..self.beat(to) }
    }

    /// Says which message to a worker was the last.
    ///
    /// # Panics
    /// There is no such worker.
    #[must_use]
    pub fn beat(&self, to: u16) -> Numbered {
        let StreamPair { mine, sent, after, asks, refused, .. } = self.pairs[usize::from(to)];
        Numbered { from: self.worker, stream: mine, number: sent, after, asks, refused, message: None }
    }

    /// Something has come from another worker. Where that is none of these, it is dropped.
    pub fn receive(&mut self, numbered: Numbered) -> Received {
        let pair = self.pairs.get_mut(usize::from(numbered.from.worker));
        pair.map_or_else(Received::default, |pair| pair.receive(numbered))
    }

    /// Begins the stream to a worker anew, and has it do the same, since this one's homes were lost, or this one was started while
    /// others went on: what [`Received::anew`] says holds.
    ///
    /// # Panics
    /// There is no such worker.
    pub fn begin(&mut self, to: u16) {
        let pair = &mut self.pairs[usize::from(to)];
        pair.refused = pair.refused.max(pair.theirs);
        pair.begin(pair.theirs);
        pair.asks = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::presence::address::{ClientId, ClientRef, ReplyTo, RequestRef};

    /// Two workers, and what is under way between them.
    struct Two {
        ends: [Streams; 2],
        under_way: [Vec<Numbered>; 2],
        /// The seqs that came, by receiver, and how often it began anew.
        heard: [Vec<i64>; 2],
        anew: [usize; 2],
    }

    fn message(seq: i64) -> Message {
        let at = ClientRef::here(0, ClientId { slot: 0, serial: 0 });
        Message::Look { user: "ann".into(), reply_to: ReplyTo { at, request: RequestRef::Command(seq) } }
    }

    impl Two {
        fn new() -> Two {
            let end = |worker| Streams::new(WorkerRef::here(worker), 2, 1);
            Two {
                ends: [end(0), end(1)],
                under_way: Default::default(),
                heard: Default::default(),
                anew: [0; 2],
            }
        }

        fn send(&mut self, from: usize, seq: i64) {
            let to = 1 - from;
            let numbered = self.ends[from].number(to as u16, message(seq));
            self.under_way[to].push(numbered);
        }

        fn beat(&mut self) {
            for from in 0..2 {
                let numbered = self.ends[from].beat(1 - from as u16);
                self.under_way[1 - from].push(numbered);
            }
        }

        /// Delivers what is under way to one; whoever begins anew says so, with a 0.
        fn deliver(&mut self, to: usize) {
            for numbered in std::mem::take(&mut self.under_way[to]) {
                let Received { message, anew } = self.ends[to].receive(numbered);
                if anew {
                    self.anew[to] += 1;
                    self.send(to, 0);
                }
                if let Some(reply_to) = message.as_ref().and_then(Message::reply_to)
                    && let RequestRef::Command(seq) = reply_to.request
                {
                    self.heard[to].push(seq);
                }
            }
        }

        fn settle(&mut self) {
            (0..8).for_each(|n| self.deliver(n % 2));
            self.beat();
            (0..8).for_each(|n| self.deliver(n % 2));
            assert!(self.under_way.iter().all(Vec::is_empty));
        }
    }

    #[test]
    fn letters_come_once_and_in_order_and_nothing_begins_anew() {
        let mut two = Two::new();
        (1..5).for_each(|seq| two.send(0, seq));
        two.send(1, 7);
        let again = two.under_way[1].clone();
        two.under_way[1].extend(again);
        two.settle();
        assert_eq!((&two.heard[1], &two.heard[0]), (&vec![1, 2, 3, 4], &vec![7]));
        assert_eq!(two.anew, [0, 0]);
    }

    #[test]
    fn a_letter_that_is_lost_ends_both_streams_and_what_comes_behind_it_is_void() {
        for lost in 0..4 {
            let mut two = Two::new();
            two.settle();
            (1..4).for_each(|seq| two.send(0, seq));
            two.send(1, 7);
            two.under_way[1].push(two.ends[0].beat(1));
            two.under_way[1].remove(lost.min(2));
            two.settle();
            assert_eq!(two.anew, [1, 1], "{lost}");
            let behind = two.heard[1].iter().position(|seq| *seq == 0).unwrap();
            assert_eq!(two.heard[1][..behind], [1, 2, 3][..lost.min(2)], "{lost}");
            assert_eq!(two.heard[0].last(), Some(&0), "the other has begun anew too");
            two.send(0, 9);
            two.send(1, 9);
            two.settle();
            assert!(two.heard.iter().all(|heard| heard.last() == Some(&9)) && two.anew == [1, 1]);
        }
    }

    #[test]
    fn two_that_begin_at_once_are_done_with_that() {
        let mut two = Two::new();
        two.settle();
        for from in 0..2 {
            two.ends[from].begin(1 - from as u16);
            two.send(from, 0);
        }
        two.settle();
        assert_eq!((two.heard, two.anew), ([vec![0, 0], vec![0, 0]], [1, 1]));
    }

    #[test]
    fn the_beginning_may_be_lost_too_and_old_letters_come_last() {
        let mut two = Two::new();
        two.settle();
        two.send(0, 1);
        let late = two.under_way[1].clone();
        two.under_way[1].clear();
        two.beat();
        two.deliver(1);
        two.under_way[0].clear();
        two.settle();
        let anew = two.anew;
        two.under_way[1].extend(late);
        two.send(0, 5);
        two.send(1, 6);
        two.settle();
        assert_eq!((two.heard[1].last(), two.heard[0].last(), two.anew), (Some(&5), Some(&6), anew));
        assert!(!two.heard[1].contains(&1));
    }

    #[test]
    fn one_that_is_started_anew_is_known_by_its_first_letter() {
        for by_beat in [false, true] {
            let mut two = Two::new();
            two.send(0, 1);
            two.send(1, 2);
            two.settle();
            two.ends[1] = Streams::new(WorkerRef::here(1), 2, 2);
            if by_beat {
                two.beat();
            } else {
                two.send(1, 0);
            }
            two.settle();
            assert!(two.anew[0] >= 1, "{:?}", two.anew);
            two.send(0, 8);
            two.send(1, 9);
            let anew = two.anew;
            two.settle();
            assert_eq!((two.heard[1].last(), two.heard[0].last()), (Some(&8), Some(&9)));
            assert_eq!(two.anew, anew);
        }
    }

    #[test]
    fn whatever_is_lost_doubled_or_late_the_streams_go_on_afterwards() {
        let mut seed = 7_u64;
        let mut below = |n: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % n
        };
        for _ in 0..300 {
            let mut two = Two::new();
            for seq in 1..60 {
                two.send(below(2) as usize, seq);
                let to = below(2) as usize;
                let len = two.under_way[to].len() as u64;
                match below(5) {
                    0 if len > 0 => drop(two.under_way[to].remove(below(len) as usize)),
                    1 if len > 0 => {
                        let again = two.under_way[to][below(len) as usize].clone();
                        two.under_way[to].push(again);
                    }
                    2 if len > 0 => {
                        let late = two.under_way[to].remove(below(len) as usize);
                        two.under_way[to].push(late);
                    }
                    3 => two.deliver(to),
                    _ => {}
                }
            }
            two.settle();
            two.settle();
            let anew = two.anew;
            two.send(0, 1_000);
            two.send(1, 1_001);
            two.settle();
            assert_eq!((two.heard[1].last(), two.heard[0].last()), (Some(&1_000), Some(&1_001)));
            assert_eq!(two.anew, anew);
            for heard in &two.heard {
                let seqs: Vec<i64> = heard.iter().copied().filter(|seq| *seq > 0).collect();
                assert!(seqs.is_sorted_by(|a, b| a < b), "{seqs:?}");
            }
        }
    }
}
