//! A worker among peers of every kind, at random: they come, dribble, stall, break off and lie, events are late, spurious
//! or stale, descriptors run out, and time jumps. Whatever happens, nobody who behaves suffers and nothing is left over.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Duration;

use rollcall::internals::reactor::{Config, Turned};
use rollcall::internals::sys::net::Ready;
use rollcall::internals::wire::frame::{self, Header, Opcode, Parsed};

use super::kit::{Stage, Told, config, masked, seconds, upgrade_request};
use crate::bounds;

const SEEDS: u64 = 1_000;
const STEPS: usize = 400;
/// EMFILE, ENFILE, ENOMEM, ENOBUFS; and one that says nothing of want.
const ERRORS: [i32; 5] = [24, 23, 12, 105, 1];

/// SplitMix64.
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % bound as u64) as usize
    }

    pub(super) fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Nature {
    /// Sends whole messages in any cuts, reads what it gets, answers every Ping.
    Good,
    /// Asks for pages, pipelined, and reads what it gets.
    Browser,
    /// Upgrades, and then does as it likes: bytes of any kind, no reading, no answers.
    Wild,
    /// Never says a word.
    Mute,
}

struct Client {
    id: usize,
    nature: Nature,
    /// What it has yet to send.
    outgoing: VecDeque<u8>,
    /// What it was sent and has not taken in.
    incoming: Vec<u8>,
    upgraded: bool,
    /// Payloads, or the numbers of pages, that it waits for.
    awaited: VecDeque<Vec<u8>>,
    sent: u32,
    over: bool,
}

impl Client {
    fn new(id: usize, nature: Nature) -> Client {
        let request = match nature {
            Nature::Good | Nature::Wild => upgrade_request("/"),
            Nature::Browser | Nature::Mute => Vec::new(),
        };
        let (incoming, awaited) = (Vec::new(), VecDeque::new());
        Client {
            id,
            nature,
            outgoing: request.into(),
            incoming,
            upgraded: false,
            awaited,
            sent: 0,
            over: false,
        }
    }

    /// Thinks of something more to send.
    fn speak(&mut self, dice: &mut Dice) {
        self.sent += 1;
        let number = self.sent.to_string();
        match self.nature {
            Nature::Good if self.upgraded => {
                let mut payload = number.into_bytes();
                let most = if dice.one_in(10) { 60_000 } else { 3000 };
                payload.resize(payload.len() + dice.below(most), b'.');
                self.outgoing.extend(masked(Opcode::Text, &payload));
                self.awaited.push_back(payload);
            }
            Nature::Wild if dice.one_in(3) => {
                let opcode = [Opcode::Text, Opcode::Ping, Opcode::Pong, Opcode::Close, Opcode::Continuation]
                    [dice.below(5)];
                self.outgoing.extend(masked(opcode, &vec![b'w'; dice.below(120)]));
            }
            Nature::Wild if dice.one_in(3) => {
                let word = [b"close me".as_slice(), b"flood", b"bind me"][dice.below(3)];
                self.outgoing.extend(masked(Opcode::Text, word));
            }
            Nature::Wild => self.outgoing.extend((0..dice.below(40)).map(|i| (i * 37) as u8)),
            Nature::Browser => {
                let path = if dice.one_in(5) { "later" } else { number.as_str() };
                self.outgoing.extend(format!("GET /{path} HTTP/1.1\r\nHost: x\r\n\r\n").bytes());
                self.awaited.push_back(path.as_bytes().to_vec());
            }
            Nature::Good | Nature::Mute => {}
        }
    }

    /// Takes in what it was sent, and answers as its nature is.
    fn listen(&mut self, stage: &Stage) {
        self.incoming.extend(stage.script.written(self.id));
        match self.nature {
            Nature::Good => self.take_frames(),
            Nature::Browser => self.take_pages(),
            Nature::Wild | Nature::Mute => self.incoming.clear(),
        }
    }

    fn take_frames(&mut self) {
        if !self.upgraded {
            let Some(end) = self.incoming.windows(4).position(|window| window == b"\r\n\r\n") else { return };
            self.over |= !self.incoming.starts_with(b"HTTP/1.1 101 ");
            self.upgraded = true;
            self.incoming.drain(..end + 4);
        }
        while !self.over {
            let Parsed::Header(header, at) = Header::parse(&self.incoming).expect("frames") else { return };
            let end = at + header.len as usize;
            if self.incoming.len() < end {
                return;
            }
            let payload: Vec<u8> = self.incoming.drain(..end).skip(at).collect();
            match header.opcode {
                Opcode::Ping => frame_to(&mut self.outgoing, Opcode::Pong, &payload),
                Opcode::Text if payload == b"beat" => {}
                Opcode::Text => assert!(self.awaited.pop_front() == Some(payload), "lost or out of order"),
                Opcode::Close => {
                    self.over = true;
                    frame_to(&mut self.outgoing, Opcode::Close, &payload);
                }
                other => panic!("a {other:?}"),
            }
        }
    }

    fn take_pages(&mut self) {
        let line = |from: &[u8]| from.iter().position(|byte| *byte == b'\n');
        while let Some(head) = self.incoming.windows(4).position(|window| window == b"\r\n\r\n") {
            let Some(len) = line(&self.incoming[head + 4..]) else { return };
            let response: Vec<u8> = self.incoming.drain(..=head + 4 + len).collect();
            let body = String::from_utf8_lossy(&response[head + 4..head + 4 + len]);
            let awaited = self.awaited.pop_front().expect("a request to this response");
            // A page that did not come is a 503, and a request that was dribbled a 408.
            let wanted = format!("/{}", String::from_utf8_lossy(&awaited));
            assert!(body == wanted || body.contains("too long"), "{body} for {wanted}");
        }
    }
}

fn frame_to(outgoing: &mut VecDeque<u8>, opcode: Opcode, payload: &[u8]) {
    let mut bytes = Vec::new();
    frame::write(&mut bytes, opcode, payload, Some([9, 8, 7, 6]));
    // Control frames go between two messages: all that is queued ends in one.
    outgoing.extend(bytes);
}

struct Simulation {
    stage: Stage,
    dice: Dice,
    clients: Vec<Client>,
}

impl Simulation {
    fn new(seed: u64) -> Simulation {
        let mut dice = Dice(seed);
        let max_connections = if dice.one_in(4) { 5 } else { 1000 };
        let stage = Stage::new(&Config { max_connections, ..config() });
        stage.script.tell_at_most(1 + dice.below(20));
        Simulation { stage, dice, clients: Vec::new() }
    }

    fn step(&mut self) {
        match self.dice.below(20) {
            0..=2 if self.clients.iter().filter(|client| !client.over).count() < 25 => self.connect(),
            0..=11 => self.exchange(),
            12 => self.break_off(),
            13 => self.lie(),
            14 if self.dice.one_in(4) => self.stage.script.refuse_register(),
            14 => {
                let errno = ERRORS[self.dice.below(ERRORS.len())];
                self.stage.script.refuse_accept(errno);
            }
            15 => self.jump(),
            _ => self.stage.script.advance(Duration::from_millis(self.dice.below(60) as u64)),
        }
        if self.dice.one_in(3) {
            // The rest of what is ready stays for another step.
            self.stage.worker.turn().unwrap();
        } else {
            self.stage.settle();
        }
        self.behave();
        let (filed, connected) = (self.stage.worker.filed_deadlines(), self.clients.len());
        assert!(filed <= 8 * connected, "{filed} deadlines are filed for {connected} connections");
    }

    fn connect(&mut self) {
        let nature =
            [Nature::Good, Nature::Good, Nature::Browser, Nature::Wild, Nature::Mute][self.dice.below(5)];
        let id = self.stage.script.connect();
        if nature == Nature::Wild && self.dice.one_in(2) {
            self.stage.script.peer(id, |peer| peer.room = 200 + 10 * id);
        }
        self.clients.push(Client::new(id, nature));
    }

    /// Some client sends some of what it has to say, and its socket takes some.
    fn exchange(&mut self) {
        if self.clients.is_empty() {
            return;
        }
        let at = self.dice.below(self.clients.len());
        let client = &mut self.clients[at];
        for _ in 0..self.dice.below(4) {
            client.speak(&mut self.dice);
        }
        let len = self.dice.below(client.outgoing.len() + 1);
        let part: Vec<u8> = client.outgoing.drain(..len).collect();
        if !part.is_empty() {
            self.stage.script.arrive(client.id, &part);
        }
        let (room, most) = (self.dice.below(4000), 1 + self.dice.below(2000));
        let [hiccups, interrupts] = [0; 2].map(|_| if self.dice.one_in(8) { self.dice.below(3) } else { 0 });
        self.stage.script.peer(client.id, |peer| {
            (peer.write_most, peer.hiccups, peer.interrupts) = (most, hiccups, interrupts);
        });
        if self.dice.one_in(2) {
            self.stage.script.make_room(client.id, room);
        }
    }

    fn break_off(&mut self) {
        if self.clients.is_empty() {
            return;
        }
        let at = self.dice.below(self.clients.len());
        let client = &mut self.clients[at];
        client.over = true;
        match self.dice.below(3) {
            0 => self.stage.script.end(client.id),
            1 => self.stage.script.reset(client.id),
            _ => self.stage.script.peer(client.id, |peer| peer.reset_on_write = true),
        }
    }

    /// An event that tells of nothing, for a connection that may be long gone.
    fn lie(&mut self) {
        let token = match self.clients.len() {
            0 => return,
            count => self.stage.script.peer(self.dice.below(count), |peer| peer.token),
        };
        let [readable, writable, read_closed] = [0; 3].map(|_| self.dice.one_in(2));
        self.stage.script.tell_token(
            token.unwrap_or(7 << 32 | 3),
            Ready { readable, writable, read_closed, ..Ready::default() },
        );
    }

    /// Time passes, also while the worker does nothing.
    fn jump(&mut self) {
        self.relieve();
        let time = Duration::from_millis(self.dice.below(40_000) as u64);
        // The wall clock is set right meanwhile: nothing waits by it.
        self.stage.script.set_the_clock(self.dice.below(1 << 40) as u64);
        if self.dice.one_in(3) {
            self.stage.script.advance(time);
        } else {
            // In steps within which those who behave keep up.
            for _ in 0..time.as_secs() {
                self.stage.pass(seconds(1));
                self.relieve();
            }
        }
    }

    /// Those who behave read what they are sent, and say what they have begun to say.
    fn relieve(&mut self) {
        for client in self.clients.iter_mut().filter(|client| !client.over) {
            if matches!(client.nature, Nature::Good | Nature::Browser) {
                self.stage.script.peer(client.id, |peer| peer.write_most = usize::MAX);
                self.stage.script.make_room(client.id, usize::MAX);
                let rest: Vec<u8> = client.outgoing.drain(..).collect();
                if !rest.is_empty() {
                    self.stage.script.arrive(client.id, &rest);
                }
            }
        }
        self.behave();
    }

    fn behave(&mut self) {
        for client in &mut self.clients {
            client.listen(&self.stage);
        }
    }

    /// Everybody goes or falls silent, or the server goes away: nothing may be left.
    fn end(&mut self) {
        for _ in 0..30 {
            self.stage.settle();
            self.relieve();
        }
        for client in self.clients.iter().filter(|client| client.nature == Nature::Good && !client.over) {
            let closed = self.stage.script.is_closed(client.id);
            assert!(
                client.awaited.is_empty() || !client.upgraded,
                "{} messages did not come back",
                client.awaited.len()
            );
            assert!(!client.upgraded || !closed, "a good client was closed");
        }
        if self.dice.one_in(4) {
            self.stage.shared.begin_drain();
            assert_eq!(self.stage.script.pass(&mut self.stage.worker, seconds(16)), Turned::Drained);
            return self.each_was_told_of_once();
        }
        for client in &self.clients {
            // One that takes its last answers byte by byte would be waited for.
            self.stage.script.peer(client.id, |peer| peer.write_most = usize::MAX);
            match self.dice.below(3) {
                0 => self.stage.script.end(client.id),
                1 => self.stage.script.peer(client.id, |peer| peer.room = 0),
                _ => {}
            }
        }
        self.stage.pass(seconds(150));
        self.nothing_is_left();
    }

    fn nothing_is_left(&mut self) {
        for client in &self.clients {
            let (accepted, closed) =
                self.stage.script.peer(client.id, |peer| (peer.token.is_some(), peer.closed));
            assert!(closed || !accepted, "connection {} of {:?} is open for ever", client.id, client.nature);
        }
        let shared = self.stage.shared.clone();
        assert_eq!(shared.connections(), 0);
        assert_eq!([shared.sum(|c| c.connections.get()), shared.sum(|c| c.open.get())], [0; 2]);
        assert_eq!(shared.sum(|c| c.backlog_bytes.get()), 0, "the gauge of backlogs");
        assert_eq!(self.stage.worker.held_bytes(), 0);
        assert_eq!(self.stage.worker.filed_deadlines(), 0);
        self.each_was_told_of_once();
    }

    fn each_was_told_of_once(&mut self) {
        let service = self.stage.worker.service();
        let opened = service.told.iter().filter(|told| **told == Told::Open).count();
        let mut gone = service.gone.clone();
        gone.sort_by_key(|conn| conn.to_bits());
        gone.dedup();
        assert_eq!((gone.len(), service.gone.len()), (opened, opened), "told once of each that was opened");
    }
}

#[test]
fn whatever_happens_nobody_who_behaves_suffers_and_nothing_is_left() {
    let seeds = bounds::seeds(SEEDS);
    for seed in seeds {
        let run = || {
            let mut simulation = Simulation::new(seed);
            (0..STEPS).for_each(|_| simulation.step());
            simulation.end();
        };
        if let Err(panic) = catch_unwind(AssertUnwindSafe(run)) {
            eprintln!("it was seed {seed}: ROLLCALL_SEED={seed} cargo test --test main whatever_happens");
            resume_unwind(panic);
        }
    }
}
