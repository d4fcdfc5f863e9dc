//! A server whose rooms keep what is said, and pages that come back to it wherever they like: each knows what it has heard of each
//! room, over all its connections.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use rollcall::internals::presence::admin::{AdminReply, AdminRequest};
use rollcall::internals::presence::message::RoomPosition;
use rollcall::internals::presence::record::Cursor;
use rollcall::internals::presence::{
    Command, Effect, Event, HistoryFrom, HistoryRule, Homes, Node, Pattern, Reason, Record, Rules, Since,
};
use rollcall::internals::time::Now;

use super::net::Net;
use super::truth::Truth;
use crate::presence::clock::{FIRST, UNIX_MILLIS};
use crate::presence::dice::Dice;

pub(super) const ROOMS: [&str; 4] = ["keep", "few", "old", "none"];

/// A room as a page knows it.
#[derive(Debug, Default)]
pub(super) struct Book {
    pub(super) epoch: u64,
    pub(super) offset: u64,
    /// It has ever been told a position there.
    pub(super) begun: bool,
    /// Messages that it was told, by epoch and offset; `None`: that it is deleted.
    pub(super) got: BTreeMap<(u64, u64), Option<Vec<u8>>>,
    /// Messages that it was told to have missed.
    pub(super) gaps: Vec<(u64, u64, u64)>,
    /// The connection is in.
    pub(super) is_in: bool,
}

impl Book {
    /// The room stands there, and what was said up to there and was not told is missed.
    fn stands(&mut self, room: &str, (epoch, offset): (u64, u64)) {
        let heard = if self.epoch == epoch { self.offset } else { 0 };
        if heard < offset && room != "none" {
            self.gaps.push((epoch, heard + 1, offset));
        }
        (self.epoch, self.offset) = (epoch, offset);
    }
}

/// A page, with one connection at a time.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) user: String,
    pub(super) worker: usize,
    pub(super) slot: u32,
    pub(super) session: u64,
    pub(super) open: bool,
    /// Its socket takes nothing: what asks for capacity waits.
    pub(super) stalled: bool,
    asking: Option<u32>,
    /// Bytes that it has room for, where an answer may come.
    pub(super) granted: Option<u32>,
    /// Commands on their way.
    asked: BTreeMap<i64, Asked>,
    next: i64,
    pub(super) books: BTreeMap<&'static str, Book>,
    /// Messages that are to be said, until they are answered.
    pub(super) outbox: Vec<(&'static str, String)>,
}

#[derive(Debug)]
pub(super) enum Asked {
    Join(&'static str, Option<Since>),
    Leave(&'static str),
    Say(&'static str, String),
    History(&'static str, HistoryFrom, usize),
}

pub(super) struct World {
    pub(super) now: Now,
    pub(super) homes: Homes,
    pub(super) nodes: Vec<Node>,
    rules: Rules,
    pub(super) net: Net,
    pub(super) pages: Vec<Page>,
    pub(super) truth: Truth,
    pub(super) dice: Dice,
    pub(super) replies: Vec<(u64, AdminReply)>,
    sessions: BTreeMap<u64, usize>,
    said: u64,
    trace: bool,
}

fn name_of(room: &str) -> &'static str {
    ROOMS.iter().find(|known| **known == room).expect("a room")
}

fn rule(pattern: &str, count: u32, age: u32) -> HistoryRule {
    HistoryRule { pattern: Pattern::new(pattern).unwrap(), count, age }
}

impl World {
    pub(super) fn new(seed: u64, history_bytes: usize, trace: bool) -> World {
        let mut dice = Dice::new(seed);
        let workers = dice.of(&[1, 2, 3]);
        let is_lossy = workers > 1 && dice.once_in(2);
        let history: Arc<[HistoryRule]> =
            [rule("keep", 500, 1 << 28), rule("few", 4, 1 << 28), rule("o*", 50, 200)].into();
        let rules = Rules {
            grace: dice.of(&[0, 100, 500]),
            commands_per_second: 1_000_000,
            history,
            history_bytes,
            ..Rules::default()
        };
        let now = Now { tick: FIRST, micros: 0, unix_millis: UNIX_MILLIS };
        let mut world = World {
            now,
            homes: Homes::new(workers, seed.into()),
            nodes: Vec::new(),
            rules,
            net: Net::new(workers, is_lossy),
            pages: Vec::new(),
            truth: Truth::default(),
            dice,
            replies: Vec::new(),
            sessions: BTreeMap::new(),
            said: 0,
            trace,
        };
        world.nodes = (0..workers).map(|worker| world.node(worker)).collect();
        world
    }

    /// A worker that knows nothing yet.
    pub(super) fn node(&self, worker: u16) -> Node {
        let mut node = Node::new(worker, self.homes, self.rules.clone(), self.now);
        node.set_journal(Box::new(self.truth.clone()));
        node
    }

    pub(super) fn note(&self, what: impl FnOnce() -> String) {
        if self.trace {
            eprintln!("{:9.2} s  {}", self.now.micros as f64 / 1e6, what());
        }
    }

    pub(super) fn page(&mut self, user: &str) -> usize {
        let books = ROOMS.into_iter().map(|room| (room, Book::default())).collect();
        self.pages.push(Page {
            user: user.to_owned(),
            worker: 0,
            slot: 0,
            session: 0,
            open: false,
            stalled: false,
            asking: None,
            granted: None,
            asked: BTreeMap::new(),
            next: 1,
            books,
            outbox: Vec::new(),
        });
        self.pages.len() - 1
    }

    /// A page connects, to any worker, and comes into the rooms again that it was in.
    pub(super) fn connect(&mut self, p: usize) {
        let worker = self.dice.below(self.nodes.len());
        let session = (self.sessions.len() as u64 + 1) << 8;
        self.sessions.insert(session, p);
        self.note(|| format!("p{p} connects to w{worker} as {session}"));
        let user = self.pages[p].user.as_str().into();
        let slot = self.nodes[worker].open(self.now, session, Some(user), true);
        let page = &mut self.pages[p];
        (page.worker, page.slot, page.session, page.open, page.stalled) =
            (worker, slot, session, true, false);
        (page.asking, page.granted) = (None, None);
        page.asked.clear();
        page.books.values_mut().for_each(|book| book.is_in = false);
        self.act(worker);
        let rooms: Vec<&str> = ROOMS.into_iter().filter(|room| self.pages[p].books[room].begun).collect();
        for room in rooms {
            self.join(p, room);
        }
        // What was not answered is said again.
        for (room, text) in self.pages[p].outbox.clone() {
            self.say_again(p, room, &text);
        }
    }

    pub(super) fn cut(&mut self, p: usize, reason: Reason) {
        self.note(|| format!("p{p} is cut off"));
        let Page { worker, slot, .. } = self.pages[p];
        self.pages[p].open = false;
        self.nodes[worker].closed(self.now, slot, reason, self.now.unix_millis);
        self.act(worker);
    }

    fn command(&mut self, p: usize, command: Command<'_>, asked: Asked) {
        let page = &mut self.pages[p];
        let seq = page.next;
        page.next += 1;
        page.asked.insert(seq, asked);
        let (worker, slot) = (page.worker, page.slot);
        self.note(|| format!("p{p} asks {seq}: {command:?}"));
        self.nodes[worker].command(self.now, slot, Ok((seq, command)), 50);
        self.act(worker);
    }

    pub(super) fn join(&mut self, p: usize, room: &'static str) {
        let book = &self.pages[p].books[room];
        // Who is in, or about to be, and asks for what was missed since then gets it twice.
        let is_joining = |asked: &Asked| matches!(asked, Asked::Join(other, _) if *other == room);
        if book.is_in || self.pages[p].asked.values().any(is_joining) {
            return;
        }
        let since = book.begun.then_some(Since { epoch: book.epoch, offset: book.offset });
        self.command(p, Command::Join { room: room.into(), since }, Asked::Join(room, since));
    }

    pub(super) fn leave(&mut self, p: usize, room: &'static str) {
        self.command(p, Command::Leave { room: room.into() }, Asked::Leave(room));
    }

    pub(super) fn say(&mut self, p: usize, room: &'static str) {
        self.said += 1;
        let text = format!("{} {}", self.said, "x".repeat(self.dice.of(&[0, 10, 100, 3_000])));
        self.pages[p].outbox.push((room, text.clone()));
        self.say_again(p, room, &text);
    }

    fn say_again(&mut self, p: usize, room: &'static str, text: &str) {
        let id = text.split(' ').next().unwrap_or_default().to_owned();
        let json = format!("\"{text}\"");
        let command =
            Command::Say { room: room.into(), data: json.as_str().into(), echo: true, id: Some(id.into()) };
        self.command(p, command, Asked::Say(room, text.to_owned()));
    }

    pub(super) fn history(&mut self, p: usize, room: &'static str, from: HistoryFrom, limit: usize) {
        let command = Command::History { room: room.into(), from, limit };
        self.command(p, command, Asked::History(room, from, limit));
    }

    pub(super) fn order(&mut self, tag: u64, order: AdminRequest) {
        self.note(|| format!("order {tag}: {order:?}"));
        let worker = self.dice.below(self.nodes.len());
        self.nodes[worker].ask(self.now, tag, order);
        self.act(worker);
    }

    /// A page's socket takes everything.
    pub(super) fn drain(&mut self, p: usize) {
        self.pages[p].stalled = false;
        if let Some(slot) = self.pages[p].asking.take() {
            self.grant(p, slot);
        }
    }

    fn grant(&mut self, p: usize, slot: u32) {
        let bytes = self.dice.of(&[128 << 10, 128 << 10, 4_000, 300, 0]);
        let page = &mut self.pages[p];
        assert!(page.granted.replace(bytes).is_none(), "one answer at a time");
        let (worker, session) = (page.worker, page.session);
        self.nodes[worker].capacity(self.now, slot, session, bytes);
        self.act(worker);
    }

    pub(super) fn act(&mut self, worker: usize) {
        let mut effects = VecDeque::from(self.nodes[worker].effects());
        while let Some(effect) = effects.pop_front() {
            match effect {
                Effect::Send { session, event } => self.hear(session, &event),
                Effect::Publish { sessions, event, .. } => {
                    sessions.iter().for_each(|session| self.hear(*session, event.event()));
                }
                Effect::Capacity { slot, session } => {
                    let p = self.sessions[&session];
                    assert!(
                        self.pages[p].open && self.pages[p].session == session && self.pages[p].slot == slot
                    );
                    if self.pages[p].stalled {
                        self.pages[p].asking = Some(slot);
                    } else {
                        self.grant(p, slot);
                    }
                }
                Effect::Close { session, .. } => {
                    let p = self.sessions[&session];
                    if self.pages[p].open && self.pages[p].session == session {
                        self.cut(p, Reason::Kicked);
                    }
                }
                Effect::Post { to, message } => {
                    self.post(worker, to, message);
                    effects.extend(self.nodes[worker].effects());
                }
                Effect::Reply { tag, reply } => self.replies.push((tag, reply)),
                effect => panic!("{effect:?}"),
            }
        }
    }

    pub(super) fn pass(&mut self, ticks: u32) {
        self.now.tick = self.now.tick.after(ticks);
        self.now.micros += u64::from(ticks) * 10_000;
        self.now.unix_millis += u64::from(ticks) * 10;
        for worker in 0..self.nodes.len() {
            for _ in 0..50 {
                self.nodes[worker].due(self.now);
                self.act(worker);
                self.nodes[worker].resume(self.now);
                self.act(worker);
            }
        }
    }

    /// All go, and what homes know goes to those of other workers, by another secret.
    pub(super) fn hand_over(&mut self) {
        // Some of it is kept, and its answer never comes: it is said again afterwards.
        for p in (0..self.pages.len()).cycle().take(100) {
            if self.pages[p].open {
                self.say(p, "keep");
            }
        }
        for p in 0..self.pages.len() {
            if self.pages[p].open {
                self.cut(p, Reason::Lost);
            }
        }
        self.settle();
        let mut records = Vec::new();
        for node in &mut self.nodes {
            let mut cursor = Some(Cursor::default());
            while let Some(from) = cursor {
                let (slice, next) = node.export(self.now, from, 1 + self.dice.below(3));
                records.extend(slice);
                cursor = next;
            }
        }
        let workers = self.dice.of(&[1, 2, 4]);
        let secret = self.dice.below(1_000) as u128;
        self.begin_anew(workers, secret);
        self.note(|| format!("{} records go to {workers} workers", records.len()));
        for record in records {
            let record = Record::from_bytes(&record.to_bytes()).unwrap();
            for _ in 0..1 + self.dice.below(2) {
                for worker in 0..self.nodes.len() {
                    self.nodes[worker].import(self.now, record.clone(), 100);
                    self.act(worker);
                }
            }
        }
        for worker in 0..self.nodes.len() {
            self.nodes[worker].imported(self.now);
            self.act(worker);
        }
        self.settle();
    }

    pub(super) fn home(&self, room: &str) -> &Node {
        &self.nodes[usize::from(self.homes.of(room))]
    }

    fn hear(&mut self, session: u64, event: &Event) {
        let p = self.sessions[&session];
        self.note(|| format!("        p{p} ({session}) hears {event:?}"));
        let page = &self.pages[p];
        assert!(page.open && page.session == session, "told to a connection that is gone: {event:?}");
        let is_lossy = self.net.is_lossy();
        match event {
            Event::Said { room, data, place, .. } => {
                let room = name_of(room);
                let book = self.pages[p].books.get_mut(room).unwrap();
                assert!(book.is_in, "p{p} is not in {room}: {event:?}");
                let next = (book.epoch, book.offset + 1);
                let is_next = next == (place.epoch, place.offset);
                assert!(
                    is_next || is_lossy && next < (place.epoch, place.offset),
                    "p{p} in {room}: {event:?}"
                );
                book.stands(room, (place.epoch, place.offset - 1));
                book.offset = place.offset;
                self.learn(p, room, (place.epoch, place.offset), Some(data.as_bytes()));
            }
            // Of a room that is not big: something may be missing.
            Event::Room { room, change, .. } => {
                let (room, RoomPosition { epoch, offset, .. }) = (name_of(room), change.place);
                let book = self.pages[p].books.get_mut(room).unwrap();
                assert!(is_lossy && book.is_in && (book.epoch, book.offset) <= (epoch, offset), "{event:?}");
                book.stands(room, (epoch, offset));
            }
            Event::Forced { room, joins: false, .. } => {
                self.pages[p].books.get_mut(name_of(room)).unwrap().is_in = false;
            }
            Event::Placed { seq, .. }
            | Event::Spoken { seq, .. }
            | Event::History { seq, .. }
            | Event::Refused { seq, .. } => {
                let asked =
                    self.pages[p].asked.remove(seq).unwrap_or_else(|| panic!("answered again: {event:?}"));
                self.answered(p, &asked, event);
            }
            _ => {}
        }
    }
}
