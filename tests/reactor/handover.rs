//! Connections that leave their worker and go on elsewhere: neither their peer nor what the services are told gives it away, and
//! nothing is left over where they were.

mod conversation;
mod sockets;

use std::time::Duration;

use rollcall::internals::reactor::counters::Count;
use rollcall::internals::reactor::{
    AddressLimits, Cause, Config, ConnId, Heartbeat, HeartbeatMode, Snapshot, Stays,
};
use rollcall::internals::wire::frame::Opcode;

use self::conversation::{Conversation, Step};
use super::kit::{FIRST, Stage, Told, config, masked, plain, seconds, upgrade_request};
use super::simulation::Dice;
use crate::bounds;

const SEEDS: u64 = 2_000;

/// One conversation, in a world where its connection may move to and fro between two workers.
struct House {
    stages: [Stage; 2],
    /// The worker that has the connection, and its number in that one's world.
    at: usize,
    id: usize,
    told: Vec<Told>,
    sent: Vec<String>,
    written: Vec<u8>,
    moves: usize,
    /// Bytes that the snapshots had.
    carried: usize,
}

impl House {
    fn new(config: &Config) -> House {
        let mut stages = [Stage::new(config), Stage::new(config)];
        for stage in &mut stages {
            let service = stage.worker.service();
            (service.withholds, service.owes_until) = (true, Some(FIRST.after(300)));
        }
        let id = stages[0].script.connect_from("192.0.2.7");
        let (told, sent, written) = (Vec::new(), Vec::new(), Vec::new());
        House { stages, at: 0, id, told, sent, written, moves: 0, carried: 0 }
    }

    fn conn(&self) -> ConnId {
        ConnId::from_bits(self.stages[self.at].script.peer(self.id, |peer| peer.token).unwrap_or(u64::MAX))
    }

    /// Moves the connection, where it can be. What it is goes through its bytes.
    fn hand_over(&mut self, mutate: impl FnOnce(&mut Vec<u8>)) -> Result<(), Stays> {
        let conn = self.conn();
        let [a, b] = &mut self.stages;
        let (from, to) = if self.at == 0 { (a, b) } else { (b, a) };
        let (socket, snapshot) = from.worker.release(conn)?;
        let mut bytes = snapshot.to_bytes();
        mutate(&mut bytes);
        let Ok(snapshot) = Snapshot::from_bytes(&bytes) else { return Err(Stays::Gone) };
        self.carried += bytes.len();
        self.id = from.script.carry(&socket, &to.script);
        to.worker.adopt(socket, snapshot).unwrap();
        self.at = 1 - self.at;
        self.moves += 1;
        Ok(())
    }

    /// Takes down what the services were told, and what was written.
    fn note(&mut self) {
        for i in [self.at, 1 - self.at] {
            let service = self.stages[i].worker.service();
            self.told.append(&mut service.told);
            self.sent.extend(service.sent.drain(..).map(|result| format!("{result:?}")));
        }
        self.written.extend(self.stages[self.at].script.written(self.id));
    }

    fn settle(&mut self) {
        self.stages.iter_mut().for_each(Stage::settle);
        self.note();
    }

    fn step(&mut self, step: &Step) {
        let Stage { script, worker, .. } = &mut self.stages[self.at];
        match step {
            Step::Arrives(bytes) => script.arrive(self.id, bytes),
            Step::Ends => script.end(self.id),
            Step::HasRoom(room) => script.make_room(self.id, *room),
            Step::Turns => {
                worker.turn().unwrap();
            }
            Step::Settles => self.settle(),
            Step::Passes(time) => self.pass(*time),
            Step::Drains => self.stages.iter().for_each(|stage| stage.shared.begin_drain()),
            // What was told before comes before.
            Step::Moves => self.note(),
        }
    }

    fn pass(&mut self, time: Duration) {
        for _ in 0..time.as_millis() / 500 {
            self.stages.iter().for_each(|stage| stage.script.advance(Duration::from_millis(500)));
            self.settle();
        }
    }

    fn is_over(&self) -> bool {
        self.stages[self.at].script.is_closed(self.id)
    }

    /// The peer goes, and nothing is left.
    fn end(&mut self) {
        let script = &self.stages[self.at].script;
        script.reset(self.id);
        script.make_room(self.id, usize::MAX);
        self.pass(seconds(12));
        for stage in &mut self.stages {
            let counters = &stage.shared.workers()[0].counters;
            let gauges = [&counters.connections, &counters.open, &counters.backlog_bytes];
            assert_eq!(gauges.map(Count::get), [0; 3]);
            assert_eq!((stage.shared.connections(), stage.worker.held_bytes()), (0, 0));
        }
    }
}

/// What is told of them where a test fails, without its bytes.
fn short<T: std::fmt::Debug>(all: &[T]) -> Vec<String> {
    all.iter().map(|one| format!("{one:?}").chars().take(40).collect()).collect()
}

/// Where the first Ping is due is a matter of dice, which two workers throw apart: a connection moves before that only where
/// there are none.
fn config_of(conversation: &Conversation) -> Config {
    let mode = if conversation.has_pings { HeartbeatMode::Server } else { HeartbeatMode::Client };
    let (interval, timeout) = (seconds(6), seconds(9));
    let heartbeat =
        Heartbeat { mode, interval, timeout, client_silence: seconds(30), ..Heartbeat::default() };
    // So is its turn in a drain, unless there is but one.
    let drain = Duration::from_millis(10);
    Config {
        deflate: conversation.deflate,
        heartbeat,
        drain,
        max_backlog_bytes: 300_000,
        message_timeout: seconds(15),
        ..config()
    }
}

#[test]
fn nobody_can_tell_a_connection_that_moved_from_one_that_did_not() {
    let (mut moves, mut carried, mut stayed) = (0, 0, 0);
    let seeds = bounds::seeds(SEEDS);
    let is_whole = seeds.end - seeds.start >= SEEDS;
    for seed in seeds {
        let conversation = Conversation::of(seed);
        let config = config_of(&conversation);
        let (mut still, mut moved) = (House::new(&config), House::new(&config));
        for (number, step) in conversation.steps.iter().enumerate() {
            still.step(step);
            moved.step(step);
            if *step == Step::Moves {
                let is_early = conversation.has_pings
                    && moved.stages.iter_mut().all(|stage| stage.worker.service().conns.is_empty());
                if !is_early && moved.hand_over(|_| {}).is_err() {
                    stayed += 1;
                }
            }
            if matches!(step, Step::Settles | Step::Passes(_)) {
                let at = format!("seed {seed}, step {number} of {:?}", short(&conversation.steps));
                assert!(still.told == moved.told, "{at}: {:?} {:?}", short(&still.told), short(&moved.told));
                assert_eq!(still.sent, moved.sent, "{at}");
                assert!(
                    still.written == moved.written,
                    "{at}: {} {}",
                    still.written.len(),
                    moved.written.len()
                );
                assert_eq!(still.is_over(), moved.is_over(), "{at}");
            }
        }
        still.end();
        moved.end();
        assert!(still.told == moved.told, "seed {seed}: {:?}", short(&conversation.steps));
        (moves, carried) = (moves + moved.moves, carried + moved.carried);
    }
    assert!(
        !is_whole || moves > 2 * SEEDS as usize && carried > 1_000 * moves / 2,
        "{moves} moved with {carried} bytes, {stayed} stayed"
    );
}

#[test]
fn whatever_a_snapshot_says_its_worker_goes_on() {
    let mut adopted = 0;
    for seed in bounds::seeds(SEEDS / 2) {
        let conversation = Conversation::of(seed);
        let config = config_of(&conversation);
        let mut house = House::new(&config);
        house.stages.iter_mut().for_each(|stage| stage.worker.service().renames = true);
        let mut dice = Dice(seed);
        for step in &conversation.steps {
            house.step(step);
            if *step == Step::Moves {
                let moved = house.hand_over(|bytes| {
                    for _ in 0..=dice.below(3) {
                        let at = 1 + dice.below(bytes.len() - 1);
                        bytes[at] = if dice.one_in(2) {
                            dice.below(256) as u8
                        } else {
                            bytes[at] ^ 1 << dice.below(8)
                        };
                    }
                });
                match moved {
                    Ok(()) => adopted += 1,
                    // Its socket is closed.
                    Err(Stays::Gone) => break,
                    Err(_) => {}
                }
            }
        }
        if !house.is_over() {
            house.pass(seconds(2));
        }
    }
    assert!(adopted > 0);
}

/// A house with an open connection.
fn open() -> House {
    open_with(&config())
}

fn open_with(config: &Config) -> House {
    let mut house = House::new(config);
    house.settle();
    house.stages[0].send(house.id, &upgrade_request("/"));
    house.note();
    house.written.clear();
    house
}

#[test]
fn a_connection_that_may_not_leave_stays_as_it_is() {
    let mut house = open();
    house.stages[0].worker.service().keeps = true;
    assert_eq!(house.hand_over(|_| {}), Err(Stays::Kept));
    assert_eq!(house.stages[0].worker.release(ConnId::from_bits(77)).map(|_| ()), Err(Stays::Gone));
    house.stages[0].send(house.id, &masked(Opcode::Text, b"still here"));
    house.note();
    assert_eq!(house.written, plain(Opcode::Text, b"still here"));

    let mut house = House::new(&config());
    house.settle();
    let Stage { script, worker, .. } = &mut house.stages[0];
    script.arrive(house.id, b"GET /later HTTP/1.1\r\nHost: x\r\n\r\n");
    (0..2).for_each(|_| drop(worker.turn()));
    assert_eq!(house.hand_over(|_| {}), Err(Stays::Unanswered));
}

#[test]
fn the_services_hear_of_it_and_what_one_says_reaches_the_other() {
    let mut house = open();
    house.hand_over(|_| {}).unwrap();
    let [from, to] = &mut house.stages;
    assert_eq!((from.worker.service().causes(), &from.worker.service().conns[..]), (vec![], &[][..]));
    assert_eq!(to.worker.service().adopted, [b"recorded".to_vec()]);
    let counters = |stage: &Stage| {
        let counters = &stage.shared.workers()[0].counters;
        [counters.connections.get(), counters.open.get(), counters.accepts.get()]
    };
    assert_eq!([counters(from), counters(to)], [[0, 0, 1], [1, 1, 0]]);
}

#[test]
fn an_address_is_counted_where_its_connection_is() {
    // Each stage has a fleet of its own, in which the address may have two.
    let addresses = AddressLimits { connections: 2, handshakes: 0 };
    let mut house = House::new(&Config { addresses, ..config() });
    house.settle();
    let refused = |stage: &mut Stage| {
        let ids = [(); 2].map(|()| stage.script.connect_from("192.0.2.7"));
        stage.settle();
        ids.iter().for_each(|id| stage.script.arrive(*id, &upgrade_request("/")));
        stage.settle();
        let refused = ids.map(|id| stage.script.written(id).starts_with(b"HTTP/1.1 429 "));
        ids.iter().for_each(|id| stage.script.reset(*id));
        stage.settle();
        refused
    };
    for _ in 0..2 {
        let (at, other) = (house.at, 1 - house.at);
        assert_eq!(refused(&mut house.stages[at]), [false, true]);
        assert_eq!(refused(&mut house.stages[other]), [false, false]);
        house.hand_over(|_| {}).unwrap();
    }
}

#[test]
fn a_ping_that_waits_in_a_backlog_is_waited_for_from_when_it_leaves_elsewhere() {
    let heartbeat = Heartbeat { interval: seconds(6), timeout: seconds(9), ..Heartbeat::default() };
    let mut house = open_with(&Config { heartbeat, ..config() });
    house.stages[0].script.peer(house.id, |peer| peer.room = 100);
    house.stages[0].send(house.id, &masked(Opcode::Binary, &[7; 20_000]));
    house.pass(seconds(6));
    // Some of the message leaves, and the Ping has its place behind it.
    house.stages[0].script.make_room(house.id, 10);
    house.settle();
    house.hand_over(|_| {}).unwrap();
    house.stages[1].script.make_room(house.id, usize::MAX);
    house.settle();
    assert_eq!(house.stages[1].worker.held_bytes(), 0);
    house.pass(seconds(8));
    assert!(!house.told.contains(&Told::Closed(Cause::Timeout)));
    house.pass(seconds(2));
    assert!(house.told.contains(&Told::Closed(Cause::Timeout)));
}
