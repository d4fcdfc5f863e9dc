//! Scenarios in which the server knows who is there: `presence` holds named users and asks what each costs, `death`
//! lets some of them fall silent and asks how soon the others are told, `million` does all of it with as many as a
//! machine holds. They speak `rollcall.v1`.
//!
//! | file | subject |
//! |---|---|
//! | [`population`] | who plays what: arithmetic, so that every thread knows it of every user |
//! | [`wire_format`] | what is sent, and what is read from what comes |
//! | [`death_log`] | when each user's first unanswered Ping came, and when it was said to be gone |
//! | [`client`] | one thread's part, the same for all scenarios |
//! | [`failure`] | from the silence of the doomed to the last of their deaths |
//! | [`presence`], [`death`], [`million`] | the scenarios: flags, timeline, figures |

mod client;
pub mod death;
mod death_log;
mod failure;
pub mod million;
mod population;
pub mod presence;
mod wire_format;

use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64};

use crate::engine::Report;
use crate::measure::{Recorder, Tally};
use crate::numbers::grouped;
use crate::options::{Failure, Setup};
use crate::outcome::Outcome;
use crate::progress::{Subject, Watch};
use crate::roster::client::{RosterClient, Span};
use crate::roster::death_log::{DeathLog, Verdict};
use crate::roster::population::Population;
use crate::run_state::UNSET;

/// The steps of a run; a thread takes each with all its connections.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u8)]
enum Step {
    /// Open, and be told one's name.
    Open,
    /// Join a room.
    Join,
    /// Watch others.
    Watch,
    /// Close.
    Leave,
    /// Open again, as in the beginning.
    Return,
}

/// What the conductor tells the threads, and they him, besides the run's state.
#[derive(Debug, Default)]
pub struct Orders {
    population: Population,
    death_log: DeathLog,
    /// The [`Step`] that may be taken.
    step: AtomicU8,
    /// When the doomed send one last sign of life, if they shall do it together.
    nudge: AtomicU64,
    /// When the doomed fall silent.
    doom: AtomicU64,
    /// Everybody leaves: who is told of it learns nothing.
    leaving: AtomicBool,
    /// The server was asked to go away.
    draining: AtomicBool,
    /// Set when all is over.
    finish: AtomicBool,
    /// Deliveries that what was said so far has to lead to.
    expected: AtomicU64,
    /// The server's heartbeat in milliseconds, as it says itself.
    interval_ms: AtomicU64,
    timeout_ms: AtomicU64,
}

impl Orders {
    fn new(population: Population) -> Orders {
        Orders {
            death_log: DeathLog::new(population.users),
            population,
            nudge: AtomicU64::new(UNSET),
            doom: AtomicU64::new(UNSET),
            ..Orders::default()
        }
    }

    /// Nanoseconds of the server's interval and time-out; `None` where no welcome told them.
    fn heartbeat(&self) -> Option<(u64, u64)> {
        let nanos = |value: &AtomicU64| Some(value.load(Relaxed) * 1_000_000).filter(|nanos| *nanos > 0);
        Some((nanos(&self.interval_ms)?, nanos(&self.timeout_ms)?))
    }

    /// Steps that are confirmed when all have taken this one.
    fn goal(&self, step: Step) -> u64 {
        let population = &self.population;
        let mut goal = population.connections();
        goal += if step >= Step::Join { population.members() } else { 0 };
        goal += if step >= Step::Watch { population.watch_commands().0 } else { 0 };
        goal as u64
    }

    /// What came of the silence.
    fn verdict(&self) -> Verdict {
        let timeout = self.heartbeat().map_or(0, |(_, timeout)| timeout);
        self.death_log.verdict(timeout, |user| self.population.doomed.holds(user))
    }

    /// Lets all take a step, and waits until `goal` steps in all were confirmed. False where that does not happen.
    fn take(&self, setup: &Setup, watch: &mut Watch<'_>, step: Step, goal: u64) -> bool {
        let (phase, name) = match step {
            Step::Open => ("open", "identified"),
            Step::Join => ("join", "identified and joined"),
            Step::Watch => ("watch", "identified, joined and watching"),
            Step::Leave => ("leave", "left"),
            Step::Return => ("return", "identified"),
        };
        self.step.store(step as u8, Relaxed);
        let run_state = &setup.run_state;
        let mut last = (0, run_state.clock.now());
        watch.until_count(phase, Subject::Steps(name), goal, |counts| {
            let now = run_state.clock.now();
            if counts.ready > last.0 {
                last = (counts.ready, now);
            }
            // Nothing more comes: it will not come at all.
            let refused = counts.failed > 0 && !setup.plan.reopen;
            counts.ready >= goal || refused || now > last.1 + setup.plan.open_timeout
        });
        let done = run_state.counts().ready >= goal;
        if !done {
            run_state.stop.store(true, Relaxed);
        }
        done
    }
}

/// The counts of a thread, or of all of them.
#[derive(Debug, Default)]
pub struct Sums {
    /// From the moment a message was due to each delivery.
    latency: Recorder,
    /// Messages said in rooms, and their deliveries: all of them, and those that were measured.
    said: u64,
    deliveries: u64,
    measured: u64,
    /// Steps that were confirmed.
    ready: u64,
    /// Watched users that were online in the snapshot.
    online: u64,
    /// Closes with 4408 to silent users.
    goodbyes: u64,
    /// Messages to everybody that came.
    heard: Span,
    /// The longest that a turn took once the doomed were silent.
    longest_turn: u64,
    errors: Tally,
}

impl Sums {
    fn of<'c, 'r: 'c>(clients: impl Iterator<Item = &'c RosterClient<'r>>, orders: &Orders) -> Sums {
        let mut all = Sums::default();
        for Sums {
            latency,
            said,
            deliveries,
            measured,
            ready,
            online,
            goodbyes,
            heard,
            longest_turn,
            errors,
        } in clients.map(|client| &client.sums)
        {
            all.latency.add(latency);
            all.said += said;
            all.deliveries += deliveries;
            all.measured += measured;
            all.ready += ready;
            all.online += online;
            all.goodbyes += goodbyes;
            all.heard.add(*heard);
            all.longest_turn = all.longest_turn.max(*longest_turn);
            all.errors.merge(errors);
        }
        // Everybody was there when the snapshots were made.
        let missing = (orders.population.watch_commands().1 as u64).saturating_sub(all.online);
        let watched = orders.step.load(Relaxed) >= Step::Watch as u8;
        all.errors.add("watched user that the snapshot calls offline", if watched { missing } else { 0 });
        all
    }

    /// The messages in rooms, where there were any.
    fn describe_talk(&mut self, outcome: &mut Outcome, orders: &Orders) {
        if self.said == 0 {
            return;
        }
        let lost = orders.expected.load(Relaxed).saturating_sub(self.deliveries);
        self.errors.add("lost: said and not delivered", lost);
        outcome.figure("messages_said", self.said as f64);
        outcome.figure("deliveries", self.deliveries as f64);
        let (said, heard) = (grouped(self.said), grouped(self.deliveries));
        outcome.row("said", format!("{said} messages in rooms, {heard} deliveries, {lost} lost"));
        outcome.times("latency", &self.latency);
        outcome.note("A message's latency counts from the moment it was due, to each delivery.");
    }
}

/// An error of one line where not all took part.
fn complete(setup: &Setup, report: &Report, sums: &Sums, goal: u64) -> Result<(), Failure> {
    let (ready, went_wrong) = (sums.ready, report.errors.total() + sums.errors.total() > 0);
    if report.opened > 0 && !(ready < goal && went_wrong) {
        return Ok(());
    }
    let (url, why) = (&setup.plan.target.url, report.why(&sums.errors));
    Err(Failure::Failed(format!("{url}: {ready} of {goal} steps were confirmed: {why}")))
}
