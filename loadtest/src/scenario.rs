//! The one shape of a scenario: its arguments, a client for each thread, a timeline that one thread conducts, and a description of
//! what came of it.

use std::time::Duration;

use crate::checks;
use crate::clock::nanos;
use crate::engine::{Client, Report, fleet};
use crate::options::{Common, Failure, Need, Setup};
use crate::outcome::{Outcome, Reading, Spent};
use crate::progress::{Subject, Watch};
use crate::result::{Phase, Series};
use crate::units;

/// From the start of a run to its load: every thread has looked at the run's state by then.
const RUN_UP: u64 = 30_000_000;
/// The note of a run that was cut short.
pub const INTERRUPTED: &str = "Interrupted: the figures are of the part that ran.";

/// A scenario with its arguments.
pub trait Scenario: Sync + Sized {
    /// Its subcommand, and its name in results.
    const NAME: &'static str;
    /// What the threads know of each other besides the run's state.
    type Shared: Sync;
    /// What is noted while it is conducted.
    type Seen: Default;
    /// A thread's part.
    type Client<'a>: Client + Send
    where
        Self: 'a;

    fn common(&self) -> &Common;

    /// Checks the flags, and says what is needed of the engine.
    fn need(&self) -> Result<Need, Failure>;

    /// What the threads begin with; the last moment to change how they run.
    fn share(&self, setup: &mut Setup) -> Result<Self::Shared, Failure>;

    /// Makes the part of thread `index`, in it.
    fn make<'a>(&'a self, setup: &'a Setup, shared: &'a Self::Shared, index: usize) -> Self::Client<'a>;

    /// Says what happens when; the run is over when this returns and the threads have ended.
    fn conduct(&self, setup: &Setup, shared: &Self::Shared, watch: &mut Watch<'_>, seen: &mut Self::Seen);

    /// Adds parameters, figures, rows, errors and notes. An error where too little happened to speak of.
    fn describe(&self, outcome: &mut Outcome, done: &Done<'_, Self>) -> Result<(), Failure>;
}

/// A scenario that was carried out.
pub struct Done<'a, S: Scenario + 'a> {
    pub setup: &'a Setup,
    pub shared: &'a S::Shared,
    pub seen: S::Seen,
    /// Each thread's client, and what it saw of its connections.
    pub threads: Vec<(S::Client<'a>, Report)>,
    pub report: Report,
    /// Values second by second, and the parts of the run.
    pub series: Vec<Series>,
    pub phases: Vec<Phase>,
}

impl<'a, S: Scenario> Done<'a, S> {
    pub fn clients(&self) -> impl Iterator<Item = &S::Client<'a>> {
        self.threads.iter().map(|(client, _)| client)
    }

    /// Notes that the run was cut short, where it was.
    pub fn note_interruption(&self, outcome: &mut Outcome) {
        if self.setup.run_state.stopped() {
            outcome.note(INTERRUPTED);
        }
    }
}

/// Carries it out and tells what came of it.
pub fn run<S: Scenario>(scenario: &S) -> Result<(), Failure> {
    let common = scenario.common();
    let mut setup = common.prepare(scenario.need()?)?;
    let shared = scenario.share(&mut setup)?;
    let mut done = measure(scenario, &setup, &shared)?;
    let mut outcome = Outcome::new(S::NAME, common.target.as_ref().unwrap_or(&common.url));
    outcome.parameters_of(&setup);
    outcome.run.series = std::mem::take(&mut done.series);
    outcome.run.phases = std::mem::take(&mut done.phases);
    scenario.describe(&mut outcome, &done)?;
    outcome.finish(&common.results)
}

/// The flags of those that put on load for a time.
#[derive(Clone, Debug, clap::Args)]
pub struct Window {
    /// How long to measure
    #[arg(long, default_value = "5s", value_parser = units::duration)]
    duration: Duration,
    /// How long to put on load before that
    #[arg(long, default_value = "1s", value_parser = units::duration)]
    warmup: Duration,
}

impl Window {
    pub fn describe(&self, outcome: &mut Outcome) {
        outcome.parameter("duration_s", self.duration.as_secs_f64());
        outcome.parameter("warmup_s", self.warmup.as_secs_f64());
    }

    /// Puts on load from `start` on. What both sides spent while it was measured; nothing where the run was cut short.
    pub fn measure(&self, setup: &Setup, watch: &mut Watch<'_>, counts: &'static str, start: u64) -> Spent {
        let subject = Subject::Messages(counts);
        let from = start + nanos(self.warmup);
        let until = from + nanos(self.duration);
        setup.run_state.set_window(start, from, until);
        if !watch.until_moment("warm up", subject, from) {
            return Spent::default();
        }
        let before = Reading::now(setup);
        watch.until_moment("measure", subject, until);
        Reading::now(setup).since(&before)
    }

    /// The same by all threads at once, and until the last answers are there.
    pub fn load(&self, setup: &Setup, watch: &mut Watch<'_>, counts: &'static str) -> Spent {
        let spent = self.measure(setup, watch, counts, setup.run_state.clock.now() + RUN_UP);
        watch.until_count("drain", Subject::Messages(counts), 1, |_| false);
        spent
    }
}

/// Carries it out.
pub fn measure<'a, S: Scenario>(
    scenario: &'a S,
    setup: &'a Setup,
    shared: &'a S::Shared,
) -> Result<Done<'a, S>, Failure> {
    let mut watch = Watch::new(&setup.run_state, setup.pid);
    for hint in checks::hints(&setup.plan) {
        watch.say(&format!("hint: {hint}"));
    }
    let mut seen = S::Seen::default();
    let make = |index| scenario.make(setup, shared, index);
    let conduct = || scenario.conduct(setup, shared, &mut watch, &mut seen);
    let threads = fleet::run(&setup.plan, &setup.run_state, make, conduct).map_err(Failure::Failed)?;
    watch.finish();
    let report = fleet::sum(threads.iter().map(|(_, report)| report));
    let (series, phases) = (watch.series(), watch.phases());
    Ok(Done { setup, shared, seen, threads, report, series, phases })
}
