//! The letters between the workers of a [`World`]. Workers freeze, and mailboxes refuse; in a lossy world letters are also lost,
//! doubled and late, homes lose what they knew, and workers are started anew. What a page then misses it is told of, by a jump of
//! the offset or by the event `room`.

use std::collections::VecDeque;

use rollcall::internals::presence::message::WorkerRef;
use rollcall::internals::presence::streams::{Received, Streams};
use rollcall::internals::presence::{Homes, Message, Node};

use super::world::World;
use crate::presence::dice::Dice;
use crate::presence::lossy::UnderWay;

/// Rounds in which workers that can hear each other have said everything.
const ROUNDS: usize = 1_000;

pub(super) struct Net {
    workers: usize,
    lanes: Vec<VecDeque<UnderWay>>,
    /// What a mailbox did not take, and what has to stay behind it.
    held: Vec<VecDeque<Message>>,
    frozen: Vec<bool>,
    full: Vec<bool>,
    /// Where letters may be lost.
    streams: Option<Vec<Streams>>,
    incarnation: u64,
    loses: bool,
}

impl Net {
    pub(super) fn new(workers: u16, is_lossy: bool) -> Net {
        let n = usize::from(workers);
        let of = |worker| Streams::new(WorkerRef::here(worker), workers, 1);
        Net {
            workers: n,
            lanes: vec![VecDeque::new(); n * n],
            held: vec![VecDeque::new(); n * n],
            frozen: vec![false; n],
            full: vec![false; n],
            streams: is_lossy.then(|| (0..workers).map(of).collect()),
            incarnation: 1,
            loses: false,
        }
    }

    pub(super) fn is_lossy(&self) -> bool {
        self.streams.is_some()
    }

    fn is_quiet(&self) -> bool {
        self.lanes.iter().all(VecDeque::is_empty) && self.held.iter().all(VecDeque::is_empty)
    }

    /// A message goes out. Gives it back where the mailbox takes nothing.
    fn post(&mut self, lane: usize, message: Message, dice: &mut Dice) -> Option<Message> {
        if self.full[lane % self.workers] || !self.held[lane].is_empty() {
            return Some(message);
        }
        self.send_on(lane, message, dice);
        None
    }

    fn send_on(&mut self, lane: usize, message: Message, dice: &mut Dice) {
        let (from, to) = (lane / self.workers, lane % self.workers);
        let under_way = match &mut self.streams {
            Some(streams) => UnderWay::Numbered(streams[from].number(to as u16, message)),
            None => UnderWay::Plain(message),
        };
        self.put(lane, under_way, dice);
    }

    fn put(&mut self, lane: usize, under_way: UnderWay, dice: &mut Dice) {
        let queue = &mut self.lanes[lane];
        match if self.loses { dice.below(100) } else { 100 } {
            0 => {}
            1 => queue.extend([under_way.clone(), under_way]),
            2 => queue.insert(dice.below(queue.len() + 1), under_way),
            _ => queue.push_back(under_way),
        }
    }

    fn post_held(&mut self, dice: &mut Dice) {
        for lane in 0..self.held.len() {
            if !self.full[lane % self.workers] {
                let held = std::mem::take(&mut self.held[lane]);
                held.into_iter().for_each(|message| self.send_on(lane, message, dice));
            }
        }
    }
}

impl World {
    /// Letters are lost from now on, where they may be.
    pub(super) fn be_lossy(&mut self) {
        self.net.loses = self.net.is_lossy();
    }

    pub(super) fn post(&mut self, worker: usize, to: u16, message: Message) {
        let lane = worker * self.nodes.len() + usize::from(to);
        if let Some(message) = self.net.post(lane, message, &mut self.dice) {
            let held = self.nodes[worker].refused(self.now, message);
            self.net.held[lane].extend(held);
        }
    }

    /// Delivers the oldest message of some pair of workers. Says whether there was one.
    pub(super) fn deliver(&mut self) -> bool {
        let net = &self.net;
        let can = |lane: &usize| !net.lanes[*lane].is_empty() && !net.frozen[*lane % net.workers];
        let lanes: Vec<usize> = (0..net.lanes.len()).filter(can).collect();
        if lanes.is_empty() {
            return false;
        }
        let lane = self.dice.of(&lanes);
        let (from, to) = (lane / self.nodes.len(), lane % self.nodes.len());
        let message = match self.net.lanes[lane].pop_front().unwrap() {
            UnderWay::Plain(message) => Some(message),
            UnderWay::Numbered(numbered) => {
                let streams = self.net.streams.as_mut().unwrap();
                let Received { message, anew } = streams[to].receive(numbered);
                if anew {
                    self.announce(to, from as u16);
                }
                message
            }
        };
        if let Some(message) = message {
            self.note(|| format!("    w{from} -> w{to} {message:?}"));
            self.nodes[to].mail(self.now, message);
            self.act(to);
        }
        true
    }

    /// What waited for a mailbox is of a stream that has ended.
    fn announce(&mut self, worker: usize, home: u16) {
        self.note(|| format!("    w{worker} announces to w{home}"));
        self.net.held[worker * self.nodes.len() + usize::from(home)].clear();
        self.nodes[worker].announce(self.now, home);
        self.act(worker);
    }

    /// Workers say which letter was the last.
    pub(super) fn beat(&mut self) {
        for lane in 0..self.net.lanes.len() {
            let (from, to) = (lane / self.net.workers, lane % self.net.workers);
            if let Some(streams) = self.net.streams.as_ref().filter(|_| from != to) {
                let beat = UnderWay::Numbered(streams[from].beat(to as u16));
                self.net.put(lane, beat, &mut self.dice);
            }
        }
    }

    /// Something happens to a worker.
    pub(super) fn break_down(&mut self) {
        let worker = self.dice.below(self.nodes.len());
        match self.dice.below(8) {
            0 | 1 => self.net.frozen[worker] = true,
            2 => self.net.full[worker] = true,
            3 | 4 => self.mend(),
            5 if self.net.is_lossy() => self.lose_homes(worker, false),
            6 if self.net.is_lossy() => self.lose_homes(worker, true),
            _ => self.beat(),
        }
    }

    fn mend(&mut self) {
        self.net.frozen.fill(false);
        self.net.full.fill(false);
        self.net.post_held(&mut self.dice);
    }

    /// The homes of a worker lose what they knew; or all of the worker is started anew, and its clients are gone.
    fn lose_homes(&mut self, worker: usize, all: bool) {
        self.note(|| format!("w{worker} loses its homes{}", if all { ", and is started anew" } else { "" }));
        // No epoch is given twice: that of a start is its time.
        self.now.unix_millis += 1;
        let workers = self.nodes.len() as u16;
        if all {
            self.net.incarnation += 1;
            let (incarnation, at) = (self.net.incarnation, WorkerRef::here(worker as u16));
            let mut node = self.node(worker as u16);
            node.set_incarnation(incarnation);
            self.nodes[worker] = node;
            self.net.streams.as_mut().unwrap()[worker] = Streams::new(at, workers, incarnation);
            self.pages.iter_mut().filter(|page| page.worker == worker).for_each(|page| page.open = false);
            (0..workers).for_each(|to| self.net.held[worker * self.net.workers + usize::from(to)].clear());
            // What was under way from it to itself is gone with it.
            self.net.lanes[worker * self.net.workers + worker].clear();
        }
        self.net.frozen[worker] = false;
        let homes = self.homes;
        for ((room, _), life) in &mut self.truth.get().lives {
            life.is_over |= usize::from(homes.of(room)) == worker;
        }
        self.nodes[worker].lose_homes(self.now);
        self.act(worker);
        for other in (0..workers).filter(|other| usize::from(*other) != worker) {
            self.net.streams.as_mut().unwrap()[worker].begin(other);
            self.announce(worker, other);
        }
    }

    /// All is delivered: nothing is lost any more, nobody is frozen, and every home has heard every edge.
    pub(super) fn settle(&mut self) {
        self.net.loses = false;
        for _ in 0..ROUNDS {
            self.mend();
            while self.deliver() {}
            let mut resumed = false;
            for worker in 0..self.nodes.len() {
                resumed |= self.nodes[worker].resume(self.now);
                self.act(worker);
            }
            if resumed || !self.net.is_quiet() {
                continue;
            }
            // What was lost shows by that.
            self.beat();
            while self.deliver() {}
            if !self.is_unheard() {
                return;
            }
            self.now.tick = self.now.tick.after(1);
            for worker in 0..self.nodes.len() {
                self.nodes[worker].due(self.now);
                self.act(worker);
            }
        }
        panic!("workers don't come to an end with what they announce");
    }

    /// Whether something is still announced.
    fn is_unheard(&self) -> bool {
        let workers = self.nodes.len() as u16;
        let unheard = |node: &Node| node.is_rebuilding() || (0..workers).any(|home| node.is_unheard(home));
        self.nodes.iter().any(unheard)
    }

    /// Other workers, with homes by another secret, between whom nothing is lost.
    pub(super) fn begin_anew(&mut self, workers: u16, secret: u128) {
        self.homes = Homes::new(workers, secret);
        self.nodes = (0..workers).map(|worker| self.node(worker)).collect();
        self.net = Net::new(workers, false);
    }
}
