//! A server between whose workers letters are lost, doubled and late, whose homes lose what they knew, and whose workers are
//! started anew; and what the model makes of announcements.

use std::collections::VecDeque;

use rollcall::internals::presence::message::WorkerRef;
use rollcall::internals::presence::streams::{Numbered, Received, Streams};
use rollcall::internals::presence::{Message, Name, Node, Rules};

use super::dice::Dice;
use super::rig::World;

/// A letter under way between two workers.
#[derive(Clone, Debug)]
pub(super) enum UnderWay {
    Plain(Message),
    Numbered(Numbered),
}

/// What makes a server lossy.
#[derive(Debug)]
pub(super) struct Lossy {
    rules: Rules,
    streams: Vec<Streams>,
    incarnation: u64,
    dice: Dice,
    /// Letters are lost, doubled and late now.
    pub(super) loses: bool,
}

impl World {
    /// Makes the server lossy from now on.
    pub(super) fn be_lossy(&mut self, rules: Rules, seed: u64) {
        let workers = self.nodes.len() as u16;
        let streams = (0..workers).map(|worker| Streams::new(WorkerRef::here(worker), workers, 1)).collect();
        let dice = Dice::new(seed);
        self.lossy = Some(Lossy { rules, streams, incarnation: 1, dice, loses: true });
    }

    fn ends(&self, lane: usize) -> (u16, u16) {
        ((lane / self.nodes.len()) as u16, (lane % self.nodes.len()) as u16)
    }

    /// A letter goes out.
    pub(super) fn send_on(&mut self, lane: usize, message: Message) {
        let (from, to) = self.ends(lane);
        let Some(lossy) = &mut self.lossy else {
            return self.queues[lane].push_back(UnderWay::Plain(message));
        };
        let numbered = lossy.streams[usize::from(from)].number(to, message);
        self.put(lane, numbered);
    }

    fn put(&mut self, lane: usize, numbered: Numbered) {
        let Some(lossy) = &mut self.lossy else { return };
        let queue = &mut self.queues[lane];
        let chance = if lossy.loses { lossy.dice.below(100) } else { 100 };
        let message = UnderWay::Numbered(numbered);
        match chance {
            0 | 1 => {}
            2 => queue.extend([message.clone(), message]),
            3 => queue.insert(lossy.dice.below(queue.len() + 1), message),
            _ => queue.push_back(message),
        }
    }

    /// Takes the oldest letter of a pair, where the receiver takes it.
    pub(super) fn receive(&mut self, lane: usize) -> Option<Message> {
        let (from, to) = self.ends(lane);
        let numbered = match self.queues[lane].pop_front()? {
            UnderWay::Plain(message) => return Some(message),
            UnderWay::Numbered(numbered) => numbered,
        };
        let (stream, number) = (numbered.stream, numbered.number);
        let Received { message, anew } = self.lossy.as_mut()?.streams[usize::from(to)].receive(numbered);
        if message.is_none() {
            self.note(|| format!("    w{from} -> w{to} {stream:?} {number} is no letter"));
        }
        if anew {
            self.announce(to, from);
        }
        message
    }

    /// A worker announces to another's homes. What waited for a mailbox is of a stream that has ended.
    fn announce(&mut self, worker: u16, home: u16) {
        self.note(|| format!("    w{worker} announces to w{home}"));
        let lane = usize::from(worker) * self.nodes.len() + usize::from(home);
        self.held[lane].clear();
        self.model.announces(worker, home);
        self.nodes[usize::from(worker)].announce(self.now, home);
        self.after(worker);
    }

    /// Workers say which letter was the last.
    pub(super) fn beat(&mut self) {
        for lane in 0..self.queues.len() {
            let (from, to) = self.ends(lane);
            if let Some(lossy) = self.lossy.as_ref().filter(|_| from != to) {
                let beat = lossy.streams[usize::from(from)].beat(to);
                self.put(lane, beat);
            }
        }
    }

    /// Whether something is still announced.
    pub(super) fn is_unheard(&self) -> bool {
        let workers = self.nodes.len() as u16;
        let unheard = |node: &Node| node.is_rebuilding() || (0..workers).any(|home| node.is_unheard(home));
        self.nodes.iter().any(unheard)
    }

    /// One thing of four happens to a worker, two of which are nothing but a beat of all.
    pub(super) fn break_down(&mut self, worker: u16, what: usize) {
        match what {
            0 => self.restart(worker),
            1 => self.lose_homes(worker),
            _ => self.beat(),
        }
    }

    /// The homes of a worker lose what they knew.
    pub(super) fn lose_homes(&mut self, worker: u16) {
        self.note(|| format!("w{worker}'s homes are lost"));
        for other in (0..self.nodes.len() as u16).filter(|other| *other != worker) {
            if let Some(lossy) = &mut self.lossy {
                lossy.streams[usize::from(worker)].begin(other);
            }
            self.announce(worker, other);
        }
        self.lost(worker);
    }

    /// A worker is started anew: its clients are gone.
    pub(super) fn restart(&mut self, worker: u16) {
        self.note(|| format!("w{worker} is started anew"));
        let workers = self.nodes.len() as u16;
        let Some(lossy) = &mut self.lossy else { return };
        lossy.incarnation += 1;
        lossy.streams[usize::from(worker)] =
            Streams::new(WorkerRef::here(worker), workers, lossy.incarnation);
        let mut node = Node::new(worker, self.homes, lossy.rules.clone(), self.now);
        node.set_incarnation(lossy.incarnation);
        self.nodes[usize::from(worker)] = node;
        self.clients.iter_mut().filter(|peer| peer.worker == worker).for_each(|peer| peer.open = false);
        self.departed.retain(|left| left.worker != worker);
        self.outside.restarted(worker);
        self.lost(worker);
        for other in (0..workers).filter(|other| *other != worker) {
            if let Some(lossy) = &mut self.lossy {
                lossy.streams[usize::from(worker)].begin(other);
            }
            self.announce(worker, other);
        }
    }

    /// The homes of a worker are empty, and are told what its own edge knows: at once, as its letters need no time.
    fn lost(&mut self, worker: u16) {
        let at = usize::from(worker);
        self.frozen[at] = false;
        self.kicked.retain(|_, home| *home != worker);
        self.model.lost(worker, self.clients.iter().flat_map(|peer| peer.ears.watches.keys()));
        self.nodes[at].lose_homes(self.now);
        for c in 0..self.clients.len() {
            let peer = &self.clients[c];
            if !peer.open || peer.worker != worker || peer.sent_away.is_some() {
                continue;
            }
            let Some(user) = peer.user.clone().map(Name::from) else { continue };
            let rooms: Vec<String> = peer.ears.rooms.iter().cloned().collect();
            let known = self.nodes[at].edge().announced(peer.slot);
            let homes = self.homes;
            if let Some(known) = known.filter(|_| homes.of(&user) == worker) {
                self.model.announced_here(&user, (worker, peer.slot), &known);
            }
            for room in rooms.into_iter().filter(|room| homes.of(room) == worker) {
                self.model.member_here(&room, &user, (worker, self.clients[c].slot));
            }
        }
        self.after(worker);
        for _ in 0..=self.nodes.len() {
            self.nodes[at].due(self.now);
            self.after(worker);
        }
    }
}

/// Queues of letters under way, for each pair of so many workers.
pub(super) fn queues(workers: usize) -> Vec<VecDeque<UnderWay>> {
    vec![VecDeque::new(); workers * workers]
}
