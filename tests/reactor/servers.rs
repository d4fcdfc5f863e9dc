//! Whole servers at random: several workers with the site that the binary runs, over scripted sockets and one virtual clock,
//! the mail between them their own. People come, join, speak, watch and go; others lie, stall and break off; workers stand
//! still for a while, the wall clock is set, descriptors and memory run out.
//!
//! Who behaves is answered every command once, hears each room's messages without gap or repetition, sees no version go back and
//! is never closed; at rest everybody sees what is true; memory and calls are bounded; and when all have gone nothing is left.
//! `ROLLCALL_SEED=7 cargo test --test main whole_servers` replays one.

mod client;

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::time::Duration;

use rollcall::internals::http::{Router, RouterSettings, SiteMail};
use rollcall::internals::limits::MessageLimits;
use rollcall::internals::reactor::mail::Mailboxes;
use rollcall::internals::reactor::{Config, Shared, Turned, Worker, WorkerId};
use rollcall::internals::wire::frame::{self, Opcode};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::kit::{config, seconds};
use super::script::{Script, mailboxes};
use super::simulation::Dice;
use crate::bounds;
use client::{Client, Nature};

const SEEDS: u64 = 1_500;
const STEPS: usize = 250;
const MESSAGE_BYTES_MAX: usize = 4_096;
const BACKLOG_BYTES_MAX: usize = 64 << 10;
/// What one connection may hold: half a message or request, what its socket did not take, and what their buffers grew ahead.
const HELD_MAX: usize = 2 * (MESSAGE_BYTES_MAX + BACKLOG_BYTES_MAX) + (32 << 10);
const SUBPROTOCOL: &str = "rollcall.v1";

struct Servers {
    scripts: Vec<Script>,
    workers: Vec<Worker<Script, Router>>,
    mailboxes: Mailboxes<SiteMail>,
    shared: Arc<Shared>,
    still: Vec<bool>,
    dice: Dice,
    clients: Vec<Client>,
}

impl Servers {
    fn new(seed: u64) -> Servers {
        let mut dice = Dice(seed);
        let n = [1, 2, 3][dice.below(3)];
        let messages = MessageLimits {
            max_message_bytes: MESSAGE_BYTES_MAX,
            max_frame_bytes: MESSAGE_BYTES_MAX,
            max_fragments: 16,
        };
        let config = Config {
            workers: n,
            max_connections: 1_000,
            messages,
            max_head_bytes: 4_096,
            max_body_bytes: 4_096,
            max_backlog_bytes: BACKLOG_BYTES_MAX,
            ..config()
        };
        let shared = Arc::new(Shared::new(n, config.max_connections, config.first_tick));
        let mailboxes = mailboxes(n);
        let settings = Arc::new(RouterSettings {
            subprotocols: vec![SUBPROTOCOL.to_owned()],
            ..RouterSettings::default()
        });
        let scripts: Vec<Script> = (0..n).map(|_| Script::new(config.first_tick)).collect();
        let workers = scripts
            .iter()
            .zip(0..)
            .map(|(script, id)| {
                script.tell_at_most(1 + dice.below(20));
                let site = Router::new(settings.clone(), WorkerId(id), &shared);
                script.worker_of(WorkerId(id), &config, &shared, &mailboxes, site)
            })
            .collect();
        Servers { scripts, workers, mailboxes, shared, still: vec![false; n], dice, clients: Vec::new() }
    }

    // Time

    fn advance(&self, time: Duration) {
        self.scripts.iter().for_each(|script| script.advance(time));
    }

    /// Turns all workers that don't stand still until none has anything to do.
    fn settle(&mut self) {
        for _ in 0..20_000 {
            let mut idle = true;
            for (worker, script) in (0..).zip(&self.scripts).filter(|(worker, _)| !self.still[*worker]) {
                self.workers[worker].turn().unwrap();
                idle &= script.is_idle();
            }
            if idle && (0..self.workers.len()).all(|worker| self.still[worker] || !self.is_rung(worker)) {
                return;
            }
        }
        panic!("the workers spin");
    }

    fn is_rung(&self, worker: usize) -> bool {
        let bell = self.mailboxes[worker].waker();
        poll(&mut [PollFd::new(&bell, PollFlags::IN)], Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).unwrap() > 0
    }

    /// Time passes as on an idle machine, and who behaves keeps up.
    fn pass(&mut self, time: Duration) {
        let mut left = time;
        loop {
            self.settle();
            self.relieve();
            self.settle();
            if left.is_zero() {
                return;
            }
            let awake = self.scripts.iter().zip(&self.still).filter(|(_, still)| !**still);
            let wait = awake.filter_map(|(script, _)| script.timeout()).fold(seconds(1), Duration::min);
            let wait = wait.clamp(Duration::from_millis(1), seconds(1)).min(left);
            self.advance(wait);
            left -= wait;
        }
    }

    /// Those who behave read what they are sent and send what they have begun.
    fn relieve(&mut self) {
        for _ in 0..2 {
            for client in
                self.clients.iter_mut().filter(|client| !client.over && client.nature == Nature::Good)
            {
                let script = &self.scripts[client.worker];
                script.peer(client.id, |peer| peer.write_most = usize::MAX);
                script.make_room(client.id, usize::MAX);
                let rest: Vec<u8> = client.outgoing.drain(..).collect();
                if !rest.is_empty() {
                    script.arrive(client.id, &rest);
                }
            }
            self.settle();
            self.listen();
        }
    }

    fn listen(&mut self) {
        for client in &mut self.clients {
            client.incoming.extend(self.scripts[client.worker].written(client.id));
            match client.nature {
                Nature::Good => client.take(),
                Nature::Wild => client.incoming.clear(),
            }
        }
    }

    // Steps

    fn step(&mut self) {
        match self.dice.below(40) {
            0..5 if self.clients.iter().filter(|client| !client.over).count() < 20 => self.connect(),
            0..26 => self.exchange(),
            26 => self.break_off(),
            27 => self.stand_still(),
            28 => self.still.fill(false),
            29 => self.exhaust(),
            30 => {
                let ahead = self.dice.below(1 << 40) as u64;
                self.scripts.iter().for_each(|script| script.set_the_clock(ahead));
            }
            31 => self.rest(),
            32 => {
                let time = Duration::from_millis(self.dice.below(30_000) as u64);
                self.still.fill(false);
                self.pass(time);
            }
            _ => {
                let time = Duration::from_millis(self.dice.below(50) as u64);
                self.advance(time);
            }
        }
        if self.dice.one_in(3) {
            let worker = self.dice.below(self.workers.len());
            if !self.still[worker] {
                self.workers[worker].turn().unwrap();
            }
        } else {
            self.settle();
        }
        self.listen();
        self.memory_is_bounded();
    }

    fn connect(&mut self) {
        let nature = if self.dice.one_in(4) { Nature::Wild } else { Nature::Good };
        let worker = self.dice.below(self.workers.len());
        let id = self.scripts[worker].connect();
        let user = format!("u{}", self.dice.below(6));
        let path = if nature == Nature::Good { format!("/ws?user={user}") } else { "/ws".to_owned() };
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Protocol: {SUBPROTOCOL}\r\n\r\n"
        );
        self.clients.push(Client {
            worker,
            id,
            nature,
            user,
            outgoing: request.into_bytes().into(),
            incoming: Vec::new(),
            upgraded: false,
            over: false,
            seq: 0,
            asked: BTreeMap::new(),
            rooms: BTreeMap::new(),
            watched: BTreeMap::new(),
            heard: 0,
            granted: 0,
        });
    }

    fn exchange(&mut self) {
        if self.clients.is_empty() {
            return;
        }
        let at = self.dice.below(self.clients.len());
        if self.clients[at].over {
            return;
        }
        self.speak(at);
        let client = &mut self.clients[at];
        let script = &self.scripts[client.worker];
        let len = self.dice.below(client.outgoing.len() + 1);
        let part: Vec<u8> = client.outgoing.drain(..len).collect();
        if !part.is_empty() {
            script.arrive(client.id, &part);
        }
        let (room, most) = (self.dice.below(4000), 1 + self.dice.below(2000));
        let [hiccups, interrupts] = [0; 2].map(|_| if self.dice.one_in(8) { self.dice.below(3) } else { 0 });
        script.peer(client.id, |peer| {
            (peer.write_most, peer.hiccups, peer.interrupts) = (most, hiccups, interrupts);
        });
        if self.dice.one_in(2) {
            script.make_room(client.id, room);
        }
    }

    fn speak(&mut self, at: usize) {
        let client = &mut self.clients[at];
        let dice = &mut self.dice;
        if client.nature == Nature::Wild {
            let mut bytes: Vec<u8> = (0..dice.below(60)).map(|i| (i * 41) as u8).collect();
            if dice.one_in(2) {
                bytes.clear();
                let opcode = [Opcode::Text, Opcode::Ping, Opcode::Close][dice.below(3)];
                frame::write(&mut bytes, opcode, &vec![b'{'; dice.below(120)], Some([4; 4]));
            }
            return client.outgoing.extend(bytes);
        }
        let user = dice.below(6);
        match dice.below(8) {
            // The answer to a join does not name the room: a client that is in two would not know which.
            0..2 if !client.asked.values().any(|cmd| *cmd == "join") => {
                client.ask("join", r#"{"room":"r0"}"#);
            }
            2..4 if !client.rooms.is_empty() => {
                let data = "x".repeat(dice.below(600));
                client.ask("say", &format!(r#"{{"room":"r0","data":"{data}"}}"#));
            }
            4 => client.ask("watch", &format!(r#"{{"users":["u{user}","u{}"]}}"#, (user + 1) % 6)),
            5 => client.ask("who", r#"{"room":"r0"}"#),
            6 => client.ask("tell", &format!(r#"{{"user":"u{user}","data":1}}"#)),
            _ => client.ask("status", r#"{"info":{"a":1}}"#),
        }
    }

    fn break_off(&mut self) {
        if self.clients.is_empty() {
            return;
        }
        let at = self.dice.below(self.clients.len());
        let client = &mut self.clients[at];
        client.over = true;
        let script = &self.scripts[client.worker];
        match self.dice.below(3) {
            0 => script.end(client.id),
            1 => script.reset(client.id),
            _ => {
                script.peer(client.id, |peer| peer.reset_on_write = true);
                script.end(client.id);
            }
        }
    }

    fn stand_still(&mut self) {
        let worker = self.dice.below(self.workers.len());
        self.still[worker] = true;
    }

    fn exhaust(&mut self) {
        let script = &self.scripts[self.dice.below(self.scripts.len())];
        match self.dice.below(4) {
            0 => script.refuse_register(),
            which => script.refuse_accept([24, 12, 105][which - 1]),
        }
    }

    // What has to hold

    fn memory_is_bounded(&self) {
        let held: usize = self.workers.iter().map(Worker::held_bytes).sum();
        let bound = HELD_MAX * self.clients.len();
        assert!(held <= bound, "{held} bytes are held for {} connections", self.clients.len());
        let filed: usize = self.workers.iter().map(Worker::filed_deadlines).sum();
        assert!(filed <= 8 * self.clients.len(), "{filed} deadlines for {} connections", self.clients.len());
    }

    /// Everything is delivered and every grace is over: everybody was answered and sees what is true.
    fn rest(&mut self) {
        self.still.fill(false);
        self.pass(seconds(7));
        let is_there = |client: &Client| client.nature == Nature::Good && client.upgraded && !client.over;
        let there: BTreeSet<&str> =
            self.clients.iter().filter(|client| is_there(client)).map(|client| &*client.user).collect();
        for client in self.clients.iter().filter(|client| is_there(client)) {
            assert!(!self.scripts[client.worker].is_closed(client.id), "{} was cut off", client.user);
            assert!(client.asked.is_empty(), "{} waits for {:?}", client.user, client.asked);
            for (user, (_, state)) in &client.watched {
                assert_eq!(state != "offline", there.contains(&**user), "{user} is shown as {state}");
            }
        }
        let offsets: BTreeSet<(u64, u64)> = self
            .clients
            .iter()
            .filter(|client| is_there(client))
            .filter_map(|client| client.rooms.get("r0").copied())
            .collect();
        assert!(offsets.len() <= 1, "members of one room stand at {offsets:?}");
    }

    fn end(&mut self) {
        self.rest();
        let connections = self.clients.len();
        if self.dice.one_in(4) {
            self.shared.begin_drain();
            let mut drained = vec![false; self.workers.len()];
            for _ in 0..2_000 {
                for (worker, drained) in drained.iter_mut().enumerate().filter(|(_, drained)| !**drained) {
                    *drained = self.workers[worker].turn().unwrap() == Turned::Drained;
                }
                self.listen();
                self.advance(Duration::from_millis(10));
            }
            assert!(drained.iter().all(|drained| *drained), "a drain that does not end");
        } else {
            for client in &mut self.clients {
                client.over = true;
                let script = &self.scripts[client.worker];
                // One that takes its last answers byte by byte would be waited for.
                script.peer(client.id, |peer| peer.write_most = usize::MAX);
                script.end(client.id);
            }
            self.pass(seconds(150));
            assert_eq!(self.shared.connections(), 0);
            assert_eq!(self.workers.iter().map(Worker::filed_deadlines).sum::<usize>(), 0);
            for gauge in [
                rollcall::internals::http::router::USERS_GAUGE,
                rollcall::internals::http::router::ROOMS_GAUGE,
            ] {
                assert_eq!(self.shared.sum(|counters| counters.service[gauge].get()), 0, "users and rooms");
            }
            assert_eq!(self.workers.iter().map(Worker::held_bytes).sum::<usize>(), 0);
        }
        self.work_is_linear(connections);
    }

    /// A call for each event and each connection, and a few: nothing is done over and over.
    fn work_is_linear(&self, connections: usize) {
        for script in &self.scripts {
            let [told, waits, reads, writes] = script.calls();
            let bound = 3 * told + waits + 10 * connections;
            assert!(
                reads <= bound && writes <= bound,
                "{reads} reads, {writes} writes: {told} events, {waits} waits"
            );
        }
    }
}

#[test]
fn whole_servers_keep_what_they_promise_whatever_happens() {
    let seeds = bounds::seeds(SEEDS);
    let (mut heard, mut granted) = (0, 0);
    for seed in seeds.clone() {
        let mut run = || {
            let mut servers = Servers::new(seed);
            (0..STEPS).for_each(|_| servers.step());
            servers.end();
            heard += servers.clients.iter().map(|client| client.heard).sum::<usize>();
            granted += servers.clients.iter().map(|client| client.granted).sum::<usize>();
        };
        if let Err(panic) = catch_unwind(AssertUnwindSafe(&mut run)) {
            eprintln!("it was seed {seed}: ROLLCALL_SEED={seed} cargo test --test main whole_servers");
            resume_unwind(panic);
        }
    }
    // Were nobody let in, all the rest would hold as well.
    let enough = 20 * (seeds.end - seeds.start) as usize;
    assert!(
        seeds.end - seeds.start < 10 || (heard > enough && granted > enough),
        "{heard} heard, {granted} granted"
    );
}
