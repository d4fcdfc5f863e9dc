//! A server of nodes without sockets: what they post is delivered, in order between each pair of them.

use std::collections::VecDeque;

use rollcall::internals::presence::{
    CommandRefusal, Effect, Homes, Message, Name, Node, Reason, Rules, SharedEvent,
};
use rollcall::internals::protocol::rollcall_v1;
use rollcall::internals::time::{Now, Tick};

/// An event as clients get it.
fn written(event: &SharedEvent) -> String {
    event.written::<String>(rollcall_v1::CODEC, rollcall_v1::encode).clone()
}

/// A command, as a client writes it.
pub(super) fn command(node: &mut Node, now: Now, slot: u32, text: &str) {
    node.command(now, slot, rollcall_v1::decode(text), text.len());
}

/// A client, by the link that its index is.
pub(super) struct Seat {
    pub(super) worker: usize,
    pub(super) slot: u32,
    pub(super) open: bool,
    pub(super) closing: bool,
}

pub(super) struct World {
    pub(super) now: Now,
    pub(super) nodes: Vec<Node>,
    pub(super) clients: Vec<Seat>,
    /// What clients were sent, by link.
    pub(super) heard: Vec<(u64, String)>,
    mail: VecDeque<(usize, Message)>,
}

impl World {
    /// It starts just before ticks wrap.
    pub(super) fn new(workers: u16) -> World {
        let now = Now { tick: Tick(u32::MAX - 50), micros: 0, unix_millis: 1_700_000_000_000 };
        let homes = Homes::new(workers, 7);
        World {
            now,
            nodes: (0..workers).map(|worker| Node::new(worker, homes, Rules::default(), now)).collect(),
            clients: Vec::new(),
            heard: Vec::new(),
            mail: VecDeque::new(),
        }
    }

    pub(super) fn open(&mut self, worker: usize, user: Option<&str>) {
        let session = self.clients.len() as u64;
        let slot = self.nodes[worker].open(self.now, session, user.map(Name::from), true);
        self.clients.push(Seat { worker, slot, open: true, closing: false });
        self.settle();
    }

    /// Delivers everything. Returns how many effects that came to.
    pub(super) fn settle(&mut self) -> usize {
        let mut count = 0;
        loop {
            for worker in 0..self.nodes.len() {
                while self.nodes[worker].has_effects() {
                    let effects = self.nodes[worker].effects();
                    count += effects.len();
                    effects.into_iter().for_each(|effect| self.carry_out(worker, effect));
                }
            }
            if let Some((to, message)) = self.mail.pop_front() {
                self.nodes[to].mail(self.now, message);
            } else if !self.nodes.iter_mut().any(|node| node.resume(self.now)) {
                return count;
            }
        }
    }

    fn carry_out(&mut self, worker: usize, effect: Effect) {
        match effect {
            Effect::Send { session, event } => self.heard.push((session, rollcall_v1::encode(&event))),
            Effect::Publish { sessions, event, .. } => {
                self.heard.extend(sessions.into_iter().map(|session| (session, written(&event))));
            }
            Effect::Tell { session, event, reply_to } => {
                self.heard.push((session, written(&event)));
                self.nodes[worker].told(self.now, reply_to, 1, 0);
            }
            Effect::Close { session, .. } => self.clients[session as usize].closing = true,
            Effect::Spread { sessions, event, broadcast } => {
                let to = sessions.len();
                self.heard.extend(sessions.into_iter().map(|session| (session, written(&event))));
                self.nodes[worker].spread(self.now, broadcast, to, 0);
            }
            Effect::Reply { .. } => {}
            Effect::Capacity { slot, session } => {
                self.nodes[worker].capacity(self.now, slot, session, 128 << 10);
            }
            Effect::Verify { slot, seq, .. } => {
                let words = "no token is good here".into();
                let why = CommandRefusal::BadToken { pending: false, words };
                self.nodes[worker].refuse_token(self.now, slot, seq, why);
            }
            Effect::Post { to, message } => self.mail.push_back((usize::from(to), message)),
        }
    }

    /// Time passes, and what is due is done.
    pub(super) fn pass(&mut self, ticks: u32) {
        self.now.tick = self.now.tick.after(ticks);
        self.now.micros += u64::from(ticks) * 10_000;
        self.now.unix_millis += u64::from(ticks) * 10;
        for worker in 0..self.nodes.len() {
            self.nodes[worker].due(self.now);
        }
        self.settle();
    }

    pub(super) fn close(&mut self, client: usize, reason: Reason) {
        let seat = &mut self.clients[client];
        if std::mem::take(&mut seat.open) {
            let (worker, slot) = (seat.worker, seat.slot);
            self.nodes[worker].closed(self.now, slot, reason, self.now.unix_millis);
            self.settle();
        }
    }

    /// Everybody goes, and the grace passes.
    pub(super) fn leave(&mut self, reason: Reason) {
        (0..self.clients.len()).for_each(|client| self.close(client, reason));
        for _ in 0..4 {
            self.pass(600);
        }
    }

    pub(super) fn assert_empty(&self) {
        for (worker, node) in self.nodes.iter().enumerate() {
            let held = (node.edge().len(), node.users().present(), node.rooms().len(), node.next_due());
            assert_eq!(held, (0, 0, 0, None), "worker {worker} holds clients, users, rooms, timers");
            assert_eq!(node.edge().pending_replies(), 0, "worker {worker} gathers answers for nobody");
        }
    }
}
