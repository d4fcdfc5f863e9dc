//! Memory is looked at when it has grown, and all workers say what they hold before any of them ends somebody.

use std::sync::Arc;
use std::time::Duration;

use rollcall::internals::reactor::mail::Mailboxes;
use rollcall::internals::reactor::{Config, Shared, WorkerId};
use rollcall::internals::wire::frame::Opcode;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::kit::{Recorder, SECOND, Stage, config, masked, seconds};
use super::script::{Script, mailboxes};

const CEILING: u64 = 100 << 20;

fn with_ceiling() -> Config {
    Config { max_memory_bytes: Some(CEILING), ..config() }
}

/// All of a message but its last byte.
fn most_of_a_message(length: usize) -> Vec<u8> {
    let mut message = masked(Opcode::Binary, &vec![b'x'; length]);
    message.pop();
    message
}

/// Workers of one server that sleep as on an idle machine: nothing wakes one but its time, its bell and its connections.
struct Crew {
    stages: Vec<Stage>,
    mailboxes: Mailboxes<()>,
    /// For how long each still sleeps.
    sleeps: Vec<Option<Duration>>,
}

impl Crew {
    fn new(workers: u16, config: &Config) -> Crew {
        let shared = Arc::new(Shared::new(usize::from(workers), config.max_connections, config.first_tick));
        let mailboxes = mailboxes(usize::from(workers));
        let stage = |id| {
            let script = Script::new(config.first_tick);
            let worker = script.worker_of(WorkerId(id), config, &shared, &mailboxes, Recorder::default());
            Stage { script, worker, shared: shared.clone() }
        };
        let stages = (0..workers).map(stage).collect();
        let mut crew = Crew { stages, mailboxes, sleeps: vec![Some(Duration::ZERO); usize::from(workers)] };
        crew.pass(Duration::ZERO);
        crew
    }

    fn open(&mut self, worker: usize) -> usize {
        let id = self.stages[worker].open();
        self.sleeps[worker] = self.stages[worker].script.timeout();
        id
    }

    fn send(&mut self, worker: usize, id: usize, bytes: &[u8]) {
        self.stages[worker].send(id, bytes);
        self.sleeps[worker] = self.stages[worker].script.timeout();
        self.answer_bells();
    }

    fn set_resident(&self, bytes: u64) {
        self.stages.iter().for_each(|stage| stage.script.set_resident(bytes));
    }

    /// Whether the connection has been sent anything since it was asked last, or is closed.
    fn is_told(&self, worker: usize, id: usize) -> bool {
        let script = &self.stages[worker].script;
        script.is_closed(id) || !script.written(id).is_empty()
    }

    fn is_rung(&self, worker: usize) -> bool {
        let bell = self.mailboxes[worker].waker();
        let mut bells = [PollFd::new(&bell, PollFlags::IN)];
        poll(&mut bells, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).unwrap() > 0
    }

    fn answer_bells(&mut self) {
        while let Some(worker) = (0..self.stages.len()).find(|worker| self.is_rung(*worker)) {
            self.wake(worker);
        }
    }

    fn wake(&mut self, worker: usize) {
        self.stages[worker].settle();
        self.sleeps[worker] = self.stages[worker].script.timeout();
    }

    /// Lets time pass in which no client does anything.
    fn pass(&mut self, time: Duration) {
        let mut left = time;
        loop {
            self.answer_bells();
            let next = self.sleeps.iter().flatten().min().copied().unwrap_or(Duration::MAX);
            let step = next.min(left);
            for (stage, sleep) in self.stages.iter().zip(&mut self.sleeps) {
                stage.script.advance(step);
                *sleep = sleep.map(|sleep| sleep.saturating_sub(step));
            }
            left -= step;
            for worker in 0..self.stages.len() {
                if self.sleeps[worker] == Some(Duration::ZERO) {
                    self.wake(worker);
                }
            }
            self.answer_bells();
            if left.is_zero() {
                return;
            }
        }
    }
}

#[test]
fn a_worker_that_sleeps_says_what_it_holds_before_another_ends_somebody() {
    let mut crew = Crew::new(3, &with_ceiling());
    let busy = crew.open(0);
    let light: Vec<usize> = (0..8).map(|_| crew.open(0)).collect();
    light.iter().for_each(|id| crew.send(0, *id, &most_of_a_message(50_000)));
    let heavy = crew.open(1);
    crew.send(1, heavy, &most_of_a_message(900_000));
    crew.pass(seconds(5));
    crew.set_resident(CEILING + 1);
    let mut waited = 0;
    while !crew.is_told(1, heavy) {
        waited += 1;
        assert!(waited <= 5, "the one that holds most is still there");
        crew.send(0, busy, &masked(Opcode::Binary, b"is heard"));
        crew.pass(SECOND);
        assert!(!light.iter().any(|id| crew.is_told(0, *id)), "it holds less than the other");
    }
    crew.set_resident(CEILING);
    crew.pass(seconds(5));
    assert!(!light.iter().any(|id| crew.is_told(0, *id)), "there is enough again");
}

#[test]
fn a_worker_that_says_nothing_is_not_waited_for_longer_than_two_rounds() {
    let mut crew = Crew::new(2, &with_ceiling());
    let id = crew.open(0);
    crew.send(0, id, &most_of_a_message(50_000));
    crew.set_resident(CEILING + 1);
    // The other is stuck in a turn.
    let stage = &mut crew.stages[0];
    let ended_after = (1..10).find(|_| {
        stage.pass(SECOND);
        !stage.script.written(id).is_empty()
    });
    assert!(matches!(ended_after, Some(3..=5)), "{ended_after:?} s");
}

#[test]
fn memory_is_read_once_more_behind_a_burst() {
    let mut stage = Stage::new(&with_ceiling());
    let id = stage.open();
    stage.pass(seconds(5));
    // Memory is looked at with the first byte, and then for a second not again: the others come in that.
    let message = most_of_a_message(900_000);
    stage.send(id, &message[..1]);
    stage.send(id, &message[1..]);
    stage.script.set_resident(CEILING + 1);
    stage.pass(seconds(4));
    let written = stage.script.written(id);
    assert!(written.windows(2).any(|bytes| bytes == 1013_u16.to_be_bytes()), "{written:?}");
}

#[test]
fn who_was_heard_keeps_no_idle_worker_awake() {
    let waits = |config: &Config| {
        let mut stage = Stage::new(config);
        stage.script.set_resident(CEILING);
        let id = stage.open();
        stage.pass(seconds(2));
        let [_, before, ..] = stage.script.calls();
        for _ in 0..2 {
            stage.send(id, &masked(Opcode::Pong, b""));
        }
        stage.pass(seconds(20));
        let [_, after, ..] = stage.script.calls();
        assert_eq!(stage.shared.resident_bytes(), CEILING);
        after - before
    };
    // For the second Pong it is looked once more: a turn, and the wait behind it.
    let (without, with) = (waits(&config()), waits(&with_ceiling()));
    assert!((without..=without + 2).contains(&with), "{with} waits, and {without} without a ceiling");
}
