//! Sessions at random: requests overtake each other between workers, come twice, and lose their answers; clients go over to WebSockets
//! at any moment, or vanish. Whatever happens, each hears all that is said in its room, once and in order, nobody is taken for dead who
//! is there, everybody who is not is, in time, and nothing is left.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Duration;

use rollcall::internals::presence::Rules;
use rollcall::internals::reactor::{Config, Heartbeat};
use rollcall::internals::service::presence::PresenceSettings;

use super::client::{Client, Phase};
use super::house::{House, Line, field};
use crate::bounds;
use crate::reactor::kit::config;
use crate::reactor::simulation::Dice;

const SEEDS: u64 = 60;
const STEPS: usize = 400;
const WORKERS: usize = 3;
const CLIENTS: usize = 6;
const USERS: usize = 40;
/// Milliseconds that a poll waits for at most, and the gap.
pub(super) const WAIT: u64 = 3_000;
pub(super) const GAP: u64 = 5_000;
/// How late a death may be told of, beside those: ticks of the wheel, of mail, and of the steps of this test.
const LATE: u64 = 200;

/// A request on its way.
pub(super) struct Sent {
    /// When it arrives.
    pub(super) at: u64,
    pub(super) line: Line,
    pub(super) bytes: Vec<u8>,
}

pub(super) struct World {
    pub(super) house: House,
    pub(super) dice: Dice,
    /// Milliseconds.
    pub(super) now: u64,
    pub(super) on_the_way: Vec<Sent>,
}

impl World {
    /// A connection to some worker.
    pub(super) fn connect(&mut self) -> Line {
        let worker = self.dice.below(WORKERS);
        (worker, self.house.scripts[worker].connect())
    }

    /// Bytes that arrive in a moment.
    pub(super) fn send(&mut self, line: Line, bytes: Vec<u8>) {
        let at = self.now + self.dice.below(200) as u64;
        self.on_the_way.push(Sent { at, line, bytes });
    }

    fn deliver(&mut self) {
        let now = self.now;
        let due: Vec<Sent> = self.on_the_way.extract_if(.., |sent| sent.at <= now).collect();
        for Sent { line, bytes, .. } in due {
            self.house.arrive(line, &bytes);
        }
    }
}

/// A user that has vanished.
struct Vanished {
    user: String,
    /// Until when others may think that it is there.
    until: u64,
    has_come: bool,
    is_told: bool,
}

struct Simulation {
    world: World,
    clients: Vec<Client>,
    /// Users that have vanished, and until when they may be there.
    vanished: Vec<Vanished>,
    observer: Line,
    users: usize,
    /// What was said in the room, by its offset, and by whom.
    said: Vec<String>,
}

impl Simulation {
    fn new(seed: u64) -> Simulation {
        let hour = Duration::from_secs(3_600);
        let heartbeat = Heartbeat { interval: hour, ..config().heartbeat };
        let rules = Rules { grace: 0, commands_per_second: 10_000, ..Rules::default() };
        let settings = PresenceSettings { rules, ..PresenceSettings::default() };
        let house = House::with(WORKERS, &Config { heartbeat, ..config() }, settings);
        let world = World { house, dice: Dice(seed), now: 0, on_the_way: Vec::new() };
        let mut simulation = Simulation {
            world,
            clients: Vec::new(),
            vanished: Vec::new(),
            observer: (0, 0),
            users: 0,
            said: Vec::new(),
        };
        simulation.observe();
        simulation
    }

    /// One watches all users, and hears the room.
    fn observe(&mut self) {
        let house = &mut self.world.house;
        self.observer = house.upgrade(0, "/ws?user=observer");
        house.settle();
        let users: Vec<String> = (0..USERS).map(|user| format!("\"c{user}\"")).collect();
        let watch = format!(r#"{{"seq":1,"cmd":"watch","params":{{"users":[{}]}}}}"#, users.join(","));
        house.say(self.observer, &watch);
        house.say(self.observer, r#"{"seq":2,"cmd":"join","params":{"room":"r"}}"#);
        house.settle();
        house.texts(self.observer);
    }

    fn step(&mut self) {
        let millis = 10 * (1 + self.world.dice.below(12) as u64);
        match self.world.dice.below(20) {
            0 if self.clients.len() < CLIENTS && self.users < USERS => self.come(),
            1 if self.world.dice.one_in(3) && !self.clients.is_empty() => self.vanish(),
            2..=14 if !self.clients.is_empty() => {
                let at = self.world.dice.below(self.clients.len());
                self.clients[at].act(&mut self.world);
            }
            _ => self.pass(millis),
        }
        if self.world.dice.one_in(3) {
            let worker = self.world.dice.below(WORKERS);
            self.world.house.turn(worker);
        } else {
            self.world.house.settle();
        }
        self.hear();
    }

    fn come(&mut self) {
        let streams = self.world.dice.one_in(3);
        let client = Client::new(&mut self.world, self.users, streams);
        self.users += 1;
        self.clients.push(client);
    }

    /// A client is gone, without a word or with its connections.
    fn vanish(&mut self) {
        let at = self.world.dice.below(self.clients.len());
        let client = self.clients.swap_remove(at);
        let silent = self.world.dice.one_in(2) && client.phase == Phase::Polling;
        let until = self.world.now + LATE + if client.streams { 0 } else { WAIT + GAP };
        if !silent {
            client.lines().into_iter().for_each(|line| self.world.house.reset(line));
        }
        // What it has sent is lost, or it would be there until that has arrived.
        let lines = client.lines();
        self.world.on_the_way.retain(|sent| !lines.contains(&sent.line));
        let has_come = client.has_come();
        self.vanished.push(Vanished { user: client.user, until, has_come, is_told: false });
    }

    fn pass(&mut self, millis: u64) {
        for _ in 0..millis / 10 {
            self.world.now += 10;
            self.world.house.scripts.iter().for_each(|script| script.advance(Duration::from_millis(10)));
            self.world.deliver();
            self.world.house.settle();
        }
    }

    fn hear(&mut self) {
        for client in &mut self.clients {
            client.hear(&mut self.world);
        }
        for text in self.world.house.texts(self.observer) {
            match field(&text, "event") {
                Some("presence") if field(&text, "state") == Some("offline") => {
                    let user = field(&text, "user").unwrap();
                    let known = self.vanished.iter_mut().find(|gone| gone.user == user);
                    let gone = known.unwrap_or_else(|| panic!("{user} is there: {text}"));
                    assert!(!std::mem::replace(&mut gone.is_told, true), "{user} died twice");
                }
                Some("say") => {
                    self.said.push(field(&text, "data").unwrap().to_owned());
                    assert_eq!(field(&text, "offset"), Some(&*self.said.len().to_string()));
                }
                _ => {}
            }
        }
        let now = self.world.now;
        for Vanished { user, until, has_come, is_told } in &self.vanished {
            assert!(
                *is_told || !has_come || now <= *until,
                "{user} should be gone since {until}, it is {now}"
            );
        }
    }

    fn end(&mut self) {
        for round in 0..60 {
            self.pass(500);
            for at in 0..self.clients.len() {
                self.clients[at].act_calmly(&mut self.world, round < 30);
            }
            self.world.house.settle();
            self.hear();
        }
        for client in &self.clients {
            client.has_heard_all(self.said.len() as u64);
            let own: Vec<&String> =
                self.said.iter().filter(|data| data.starts_with(&format!("{}-", client.user))).collect();
            let wanted: Vec<String> = (0..client.said).map(|n| format!("{}-{n}", client.user)).collect();
            assert!(
                own.len() <= wanted.len() && own.iter().zip(&wanted).all(|(own, wanted)| *own == wanted),
                "{own:?}"
            );
            assert!(own.len() + 1 >= wanted.len(), "{} said {own:?} of {}", client.user, wanted.len());
        }
        while !self.clients.is_empty() {
            self.vanish();
        }
        self.pass(WAIT + GAP + LATE + 20);
        self.hear();
        let house = &mut self.world.house;
        let left: Vec<[usize; 3]> =
            house.workers.iter_mut().map(|worker| worker.service().session_counts()).collect();
        assert!(left.iter().flatten().all(|count| *count == 0), "left: {left:?}");
        let clients: usize = house.workers.iter_mut().map(|worker| worker.service().clients()).sum();
        assert_eq!(clients, 1, "but the observer nobody is there");
    }
}

#[test]
fn sessions_lose_nothing_and_end() {
    for seed in bounds::seeds(SEEDS) {
        let run = || {
            let mut simulation = Simulation::new(seed);
            for _ in 0..STEPS {
                simulation.step();
            }
            simulation.end();
        };
        if let Err(panic) = catch_unwind(AssertUnwindSafe(run)) {
            eprintln!("to see it again: ROLLCALL_SEED={seed}");
            resume_unwind(panic);
        }
    }
}
