//! A server without sockets: nodes, a queue of mail for each ordered pair of them, and a clock that a test moves.

use std::collections::{BTreeMap, VecDeque};

use rollcall::internals::limits::REPLIES_PER_CONNECTION_MAX;
use rollcall::internals::presence::admin::AdminReply;
use rollcall::internals::presence::message::{Leaving, ReplyTo, RequestRef};
use rollcall::internals::presence::{
    ClientId, ClientRef, Effect, Event, Homes, Message, Name, Node, Reason, Rules, SharedEvent, State,
};
use rollcall::internals::protocol::{refusal, rollcall_v1};
use rollcall::internals::time::Now;
use rollcall::internals::wire::close::CloseCode;
use serde_json::Value;

use super::ask::Ask;
use super::clock::{FIRST, UNIX_MILLIS};
use super::ears::Ears;
use super::lossy::{Lossy, UnderWay, queues};
use super::model::{Judge, Model};
use super::outside::Outside;
use super::sent_away::Left;
use super::tells::Tells;
use super::veiled::Veiled;

/// An event as clients get it.
pub(super) fn written(event: &SharedEvent) -> &str {
    event.written::<String>(rollcall_v1::CODEC, rollcall_v1::encode)
}

/// A command, as a client writes it.
pub(super) fn command(node: &mut Node, now: Now, slot: u32, text: &str) {
    node.command(now, slot, rollcall_v1::decode(text), text.len());
}

/// The code of an order's answer that is a refusal.
pub(super) fn refusal_code(reply: &AdminReply) -> Option<u16> {
    if let AdminReply::Refused(why) = reply { Some(refusal::code(why)) } else { None }
}

/// A client, by the link that its index is.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) worker: u16,
    pub(super) slot: u32,
    pub(super) user: Option<String>,
    /// How it came: `?state=`.
    pub(super) comes: Option<State>,
    pub(super) open: bool,
    /// The server has closed it: the code.
    pub(super) closing: Option<u16>,
    /// The server has sent it away, for this.
    pub(super) sent_away: Option<Reason>,
    pub(super) suspect: bool,
    /// Its socket takes nothing, and its backlog has no room.
    pub(super) stalled: bool,
    pub(super) ears: Ears,
    pub(super) inbox: Vec<String>,
    /// Commands that wait at the edge for answers to others.
    pub(super) waiting: VecDeque<(i64, Ask)>,
    next_seq: i64,
}

impl Peer {
    pub(super) fn new(worker: u16, user: Option<&str>, comes: Option<State>, ears: Ears) -> Peer {
        Peer {
            worker,
            slot: 0,
            user: user.map(str::to_owned),
            comes,
            open: true,
            closing: None,
            sent_away: None,
            suspect: false,
            stalled: false,
            ears,
            inbox: Vec::new(),
            waiting: VecDeque::new(),
            next_seq: 1,
        }
    }
}

/// A server and its clients.
#[derive(Debug)]
pub(super) struct World {
    pub(super) now: Now,
    pub(super) homes: Homes,
    pub(super) grace: u32,
    pub(super) nodes: Vec<Node>,
    pub(super) clients: Vec<Peer>,
    /// Rooms that clients went out of, and may come back to.
    pub(super) departed: Vec<Left>,
    /// Clients that have to go, since their user was kicked, and the user's home.
    pub(super) kicked: BTreeMap<usize, u16>,
    /// Workers that do nothing.
    pub(super) frozen: Vec<bool>,
    /// Workers whose mailboxes take nothing.
    pub(super) full: Vec<bool>,
    /// By sender and receiver.
    pub(super) queues: Vec<VecDeque<UnderWay>>,
    /// What a mailbox did not take, and what has to stay behind it.
    pub(super) held: Vec<VecDeque<Message>>,
    pub(super) lossy: Option<Lossy>,
    /// What the desks answered, by ticket.
    pub(super) replies: Vec<(u64, AdminReply)>,
    pub(super) outside: Outside,
    pub(super) tells: Tells,
    pub(super) veiled: Veiled,
    pub(super) model: Model,
    pub(super) judge: Judge,
    pub(super) trace: bool,
}

impl World {
    pub(super) fn new(workers: u16, rules: Rules) -> World {
        World::with_secret(workers, rules, 7)
    }

    pub(super) fn with_secret(workers: u16, rules: Rules, secret: u128) -> World {
        let now = Now { tick: FIRST, micros: 0, unix_millis: UNIX_MILLIS };
        let (homes, n) = (Homes::new(workers, secret), usize::from(workers));
        World {
            now,
            homes,
            grace: rules.grace,
            nodes: (0..workers).map(|worker| Node::new(worker, homes, rules.clone(), now)).collect(),
            clients: Vec::new(),
            departed: Vec::new(),
            kicked: BTreeMap::new(),
            frozen: vec![false; n],
            full: vec![false; n],
            queues: queues(n),
            held: vec![VecDeque::new(); n * n],
            lossy: None,
            replies: Vec::new(),
            outside: Outside::default(),
            tells: Tells::default(),
            veiled: Veiled::default(),
            model: Model::new(rules, homes),
            judge: Judge { strict: true, first: None },
            trace: false,
        }
    }

    pub(super) fn note(&self, what: impl FnOnce() -> String) {
        if self.trace {
            let seconds = self.now.micros as f64 / 1e6;
            eprintln!("{seconds:9.2} s  {}", what());
        }
    }

    // Clients

    /// A command. Returns its `seq`.
    pub(super) fn ask(&mut self, c: usize, ask: &Ask) -> i64 {
        self.ask_counted(c, ask);
        self.clients[c].next_seq - 1
    }

    /// A command. Returns the units that its worker spends on it.
    pub(super) fn ask_counted(&mut self, c: usize, ask: &Ask) -> u32 {
        let peer = &mut self.clients[c];
        let (worker, slot, seq) = (peer.worker, peer.slot, peer.next_seq);
        peer.next_seq += 1;
        peer.ears.asks(seq, ask);
        let text = ask.text(seq);
        self.note(|| format!("c{c} asks {text}"));
        let node = &mut self.nodes[usize::from(worker)];
        command(node, self.now, slot, &text);
        let effects = node.effects();
        if self.clients[c].sent_away.is_some() {
            self.judge.holds("nothing_left", effects.is_empty(), || {
                format!("c{c} is heard, and has to go: {text}")
            });
            return 0;
        }
        let units = node.take_cost();
        let pending = node.edge().replies(slot);
        self.judge.holds("work_is_counted", units > 0, || text.clone());
        self.judge.holds("few_answers_in_the_making", pending <= REPLIES_PER_CONNECTION_MAX, || {
            format!("{pending} with {text}")
        });
        if node.edge().waiting(slot) > self.clients[c].waiting.len() {
            self.clients[c].waiting.push_back((seq, ask.clone()));
        } else {
            self.taken_unless_refused(c, seq, ask, &effects);
        }
        self.expired(&effects);
        self.compare(worker);
        self.carry_out(worker, effects);
        self.look_who_is_veiled();
        units
    }

    fn taken_unless_refused(&mut self, c: usize, seq: i64, ask: &Ask, effects: &[Effect]) {
        let refused = effects.iter().any(|effect| {
            matches!(effect, Effect::Send { session, event: Event::Refused { seq: of, why } }
                if *session == c as u64 && *of == seq && refusal::code(why) < 500)
        });
        if !refused || matches!(ask, Ask::Tell { .. }) {
            self.taken(c, seq, ask);
        }
    }

    /// The edge may have taken up commands that waited there.
    fn resumed(&mut self, worker: u16, effects: &[Effect]) {
        for c in 0..self.clients.len() {
            let Peer { slot, open, worker: at, .. } = self.clients[c];
            if at != worker || !open {
                continue;
            }
            let left = self.nodes[usize::from(worker)].edge().waiting(slot);
            while self.clients[c].waiting.len() > left {
                let (seq, ask) = self.clients[c].waiting.pop_front().unwrap();
                self.note(|| format!("    c{c} is heard: {ask:?}"));
                self.taken_unless_refused(c, seq, &ask, effects);
            }
        }
    }

    /// What the command means to a home at the same worker.
    fn taken(&mut self, c: usize, seq: i64, ask: &Ask) {
        let rooms = self.clients[c].ears.rooms.len();
        self.clients[c].ears.taken(seq);
        let Some(user) = self.clients[c].user.clone().map(Name::from) else { return };
        // Homes of its own worker refuse only where they were lost.
        let (worker, can_leave) = (self.clients[c].worker, matches!(ask, Ask::Leave(_)));
        if self.nodes[usize::from(worker)].is_unheard(worker) && !can_leave {
            return;
        }
        match ask.clone() {
            Ask::Join(room) if self.clients[c].ears.rooms.len() > rooms => {
                self.letter_at_home(c, &room, |at, room| {
                    let reply_to = ReplyTo { at, request: RequestRef::Command(seq) };
                    Message::Join {
                        room,
                        user,
                        again: false,
                        visit: 0,
                        hides: false,
                        catchup: None,
                        reply_to,
                    }
                });
            }
            Ask::Leave(room) => self.letter_at_home(c, &room, |at, room| Message::Leave {
                room,
                user,
                at,
                visit: 0,
                hides: false,
                leaving: Leaving::Now,
                reply_to: None,
            }),
            Ask::Status { state, info, ttl } => self.letter_at_home(c, &user.clone(), |at, user| {
                let reply_to = ReplyTo { at, request: RequestRef::Command(seq) };
                let info = info.map(Into::into);
                Message::Status { user, at, state, info, ttl_seconds: ttl, reply_to }
            }),
            _ => {}
        }
    }

    /// A message written by hand.
    pub(super) fn send(&mut self, c: usize, text: &str) {
        let Peer { worker, slot, .. } = self.clients[c];
        command(&mut self.nodes[usize::from(worker)], self.now, slot, text);
        self.after(worker);
    }

    pub(super) fn page_heartbeat(&mut self, c: usize) {
        self.note(|| format!("c{c}'s page beats"));
        let Peer { worker, slot, .. } = self.clients[c];
        self.nodes[usize::from(worker)].page_heartbeat(self.now, slot);
        self.after(worker);
    }

    pub(super) fn suspect(&mut self, c: usize, suspect: bool) {
        self.note(|| format!("c{c} is suspect: {suspect}"));
        self.clients[c].suspect = suspect;
        let Peer { worker, slot, .. } = self.clients[c];
        self.nodes[usize::from(worker)].suspect(self.now, slot, suspect);
        if let Some(user) = self.clients[c].user.clone() {
            self.letter_at_home(c, &user, |at, user| Message::Suspect { user, at, suspect });
        }
        self.after(worker);
    }

    /// A connection is gone.
    pub(super) fn close(&mut self, c: usize, reason: Reason) {
        self.note(|| format!("c{c} is gone: {}", reason.name()));
        let peer = &mut self.clients[c];
        peer.open = false;
        let (worker, slot, gone) = (peer.worker, peer.slot, peer.sent_away.is_some());
        self.nodes[usize::from(worker)].closed(self.now, slot, reason, self.now.unix_millis);
        if !gone {
            self.vacated(c, reason);
        }
        self.after(worker);
    }

    /// What a client was sent since the last look.
    pub(super) fn inbox(&mut self, c: usize) -> Vec<Value> {
        let texts = std::mem::take(&mut self.clients[c].inbox);
        texts.iter().map(|text| serde_json::from_str(text).unwrap()).collect()
    }

    // Mail

    /// The model gets to know of a letter that an edge writes to a home at its own worker.
    pub(super) fn letter_at_home(
        &mut self,
        c: usize,
        name: &str,
        message: impl FnOnce(ClientRef, Name) -> Message,
    ) {
        let Peer { worker, slot, .. } = self.clients[c];
        if self.homes.of(name) == worker {
            let at = ClientRef::here(worker, ClientId { slot, serial: 0 });
            self.arrives(worker, &message(at, name.into()));
        }
    }

    fn compare(&mut self, worker: u16) {
        self.look_who_is_shown();
        // A home that was lost shows nothing before it knows everything.
        if self.nodes[usize::from(worker)].is_rebuilding() {
            return self.model.is_silent(worker);
        }
        self.model.compare(self.now, worker, &self.nodes[usize::from(worker)], &mut self.judge);
    }

    pub(super) fn after(&mut self, worker: u16) {
        let effects = self.nodes[usize::from(worker)].effects();
        self.expired(&effects);
        self.resumed(worker, &effects);
        self.compare(worker);
        self.carry_out(worker, effects);
        self.look_who_is_veiled();
    }

    fn carry_out(&mut self, worker: u16, effects: Vec<Effect>) {
        let mut effects = VecDeque::from(effects);
        while let Some(effect) = effects.pop_front() {
            match effect {
                Effect::Send { session, event } => self.hear(session, &rollcall_v1::encode(&event)),
                Effect::Publish { sessions, event, .. } => {
                    sessions.iter().for_each(|session| self.hear(*session, written(&event)));
                }
                Effect::Tell { session, event, reply_to } => {
                    let (to, without) = self.tell(session, &event);
                    let node = &mut self.nodes[usize::from(worker)];
                    node.told(self.now, reply_to, to, without);
                    effects.extend(node.effects());
                }
                Effect::Close { session, why } => {
                    let (CloseCode(code), _) = rollcall_v1::closing(&why);
                    self.note(|| format!("c{session} is closed with {code}"));
                    self.clients[session as usize].closing.get_or_insert(code);
                }
                Effect::Spread { broadcast, sessions, event } => {
                    let to = self.broadcast(&sessions, &event);
                    let node = &mut self.nodes[usize::from(worker)];
                    node.spread(self.now, broadcast, to, 0);
                    effects.extend(node.effects());
                }
                Effect::Reply { tag, reply } => self.replied(tag, reply),
                Effect::Capacity { slot, session } => {
                    let node = &mut self.nodes[usize::from(worker)];
                    node.capacity(self.now, slot, session, 128 << 10);
                    effects.extend(node.effects());
                }
                Effect::Verify { .. } => unreachable!("nobody here sends a token"),
                Effect::Post { to, message } => {
                    let lane = self.lane(worker, to);
                    if !self.full[usize::from(to)] && self.held[lane].is_empty() {
                        self.send_on(lane, message);
                        continue;
                    }
                    self.undone(&message);
                    let node = &mut self.nodes[usize::from(worker)];
                    self.held[lane].extend(node.refused(self.now, message));
                    effects.extend(node.effects());
                }
            }
        }
    }

    pub(super) fn hear(&mut self, session: u64, text: &str) {
        self.note(|| format!("        c{session} hears {text}"));
        let peer = &mut self.clients[session as usize];
        if !peer.open {
            return self.judge.broken("nothing_left", format!("c{session} is gone, and told {text}"));
        }
        self.tells.answered(&peer.ears, text, &self.model, &mut self.judge);
        if self.lossy.is_none() {
            self.veiled.told(&peer.ears, text, &mut self.judge);
        }
        peer.ears.hear(text, &mut self.model, &mut self.judge);
        peer.inbox.push(text.to_owned());
    }
}
