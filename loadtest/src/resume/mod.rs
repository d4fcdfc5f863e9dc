//! `loadtest resume`: rooms that keep what was said. What a recovery costs the server beside an echo, what a kept message takes of
//! memory, and how a herd that missed something comes back, beside the same herd in rooms that keep nothing.
//!
//! It starts the server itself: rooms whose name begins with `kept-` keep what is said there, the others don't.
//!
//! | file | subject |
//! |---|---|
//! | [`client`] | the clients, and what each does in which phase |
//! | [`words`] | what they say and read |

mod client;
mod words;

use std::ffi::OsString;
use std::sync::Mutex;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicU8, AtomicUsize};
use std::time::Duration;

use crate::child::{self, Child, Launch, Ours};
use crate::clock::nanos;
use crate::comparison::OURS;
use crate::measure::Tally;
use crate::numbers::grouped;
use crate::options::{Common, Failure, Need, Setup, usage};
use crate::outcome::{Outcome, Reading, Spent};
use crate::process::Usage;
use crate::progress::{Subject, Watch};
use crate::resume::client::ResumeClient;
use crate::resume::words::DATA_BYTES;
use crate::scenario::{self, Done, Scenario};
use crate::{sys, units};

/// `loadtest resume`
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    ours: Ours,
    /// Clients that go and come back together [default: 20000; with --quick 2000]
    #[arg(long)]
    connections: Option<usize>,
    /// Of them in a room
    #[arg(long, default_value_t = 100)]
    per_room: usize,
    /// Messages that each of them misses
    #[arg(long, default_value_t = 20)]
    missed: usize,
    /// Messages of a recovery whose cost is measured
    #[arg(long, default_value_t = 100)]
    recovered: usize,
    /// Messages that are said and kept so that memory can be measured, in each room [default: 1000; with --quick 200]
    #[arg(long)]
    kept: Option<usize>,
    /// How long echoes, and recoveries, are measured [default: 5s; with --quick 1s]
    #[arg(long, value_parser = units::duration)]
    duration: Option<Duration>,
    /// A small form
    #[arg(long)]
    quick: bool,
    /// A further flag of the server, as in --serve=--workers=4; repeatable
    #[arg(long, value_name = "FLAG")]
    serve: Vec<OsString>,
}

/// Connections that echo, and as many that recover.
const LOOPS: usize = 200;
/// Connections beside those of the plan: requests for figures.
const SPARE_CONNECTIONS: usize = 1_000;
/// How long the server may rest before its memory is read.
const SETTLE: u64 = 1_500_000_000;
/// How long those who went are away before anything is said: the server has noticed by then.
const AWAY: u64 = 1_000_000_000;

/// How many of each kind of client there are, and of messages.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    echoes: usize,
    readers: usize,
    herd: usize,
    /// As many rooms of each kind, and keepers.
    rooms: usize,
    missed: usize,
    recovered: usize,
    kept: usize,
}

impl Plan {
    /// The room of that kind for a client.
    fn room(&self, kind: &str, client: usize) -> String {
        format!("{kind}-{}", client % self.rooms)
    }

    fn stay(&self) -> usize {
        self.echoes + self.readers + self.rooms
    }
}

/// A part of the run: what everybody does now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Phase {
    Open,
    Echo,
    FillCost,
    Recover,
    Fill,
    Rest,
    AwayPlain,
    SayPlain,
    ReturnPlain,
    AwayKept,
    SayKept,
    ReturnKept,
}

impl Phase {
    const ALL: [Phase; 12] = [
        Phase::Open,
        Phase::Echo,
        Phase::FillCost,
        Phase::Recover,
        Phase::Fill,
        Phase::Rest,
        Phase::AwayPlain,
        Phase::SayPlain,
        Phase::ReturnPlain,
        Phase::AwayKept,
        Phase::SayKept,
        Phase::ReturnKept,
    ];

    fn of(number: u8) -> Phase {
        Phase::ALL[usize::from(number)]
    }
}

/// What the thread and the one that conducts it tell each other.
#[derive(Debug, Default)]
pub struct Progress {
    phase: AtomicU8,
    /// Clients that were ready so far, each time it was.
    ready: AtomicUsize,
    /// Keepers that have said all, each time.
    done: AtomicUsize,
}

impl Args {
    fn plan(&self) -> Result<Plan, Failure> {
        let quick = self.quick;
        let herd = self.connections.unwrap_or(if quick { 2_000 } else { 20_000 });
        if herd == 0 || self.per_room == 0 || self.missed == 0 || self.recovered == 0 {
            return usage("--connections, --per-room, --missed and --recovered: at least one each");
        }
        Ok(Plan {
            echoes: LOOPS,
            readers: LOOPS,
            herd,
            rooms: herd.div_ceil(self.per_room),
            missed: self.missed,
            recovered: self.recovered,
            kept: self.kept.unwrap_or(if quick { 200 } else { 1_000 }),
        })
    }

    fn duration(&self) -> Duration {
        self.duration.unwrap_or(Duration::from_secs(if self.quick { 1 } else { 5 }))
    }

    fn server(&self, plan: &Plan) -> Result<Child, Failure> {
        // The server inherits it.
        sys::raise_descriptor_limit();
        let most = (plan.herd + plan.stay() + SPARE_CONNECTIONS).to_string();
        let flags = [
            "--history",
            "kept-*=10000",
            "--max-connections",
            &most,
            // So that who comes back was never gone: what a room is told of joins is none of the measurement.
            "--offline-grace",
            "60s",
            // Nor is what a connection may ask in a second.
            "--max-commands-per-second",
            "1000000",
        ];
        let words = flags.iter().map(OsString::from).chain(self.serve.iter().cloned());
        let launch = Launch::rollcall(&self.ours.program()?, words);
        Ok(Child::start(&launch, std::process::Command::spawn)?)
    }
}

/// Starts the server, and runs the scenario.
pub fn run(args: &Args) -> Result<(), Failure> {
    let plan = args.plan()?;
    args.common.results.prepare()?;
    let server = args.server(&plan)?;
    let mut common = args.common.clone();
    common.url = format!("ws://{}/ws", server.address());
    common.pid = Some(server.pid());
    common.key = Some(server.key().to_owned());
    common.target.get_or_insert_with(|| OURS.to_owned());
    scenario::run(&Resume { args, plan, common, server: Mutex::new(server) })
}

/// The scenario, with the server that was started for it.
struct Resume<'s> {
    args: &'s Args,
    plan: Plan,
    common: Common,
    server: Mutex<Child>,
}

/// What was noted on the way.
#[derive(Default)]
struct Seen {
    /// Of echoes, and of recoveries.
    spent: [(Spent, u64); 2],
    memory: [Option<Usage>; 2],
    /// The server's own figures of what it keeps: messages and bytes, before the fill and behind it.
    kept: [(f64, f64); 2],
    /// Seconds until all of a herd were ready: plain, kept.
    back: [f64; 2],
    finished: bool,
}

impl Resume<'_> {
    /// Has everybody do something else.
    fn enter(&self, progress: &Progress, watch: &mut Watch<'_>, phase: Phase) {
        watch.enter(&format!("{phase:?}"));
        progress.phase.store(phase as u8, Relaxed);
    }

    /// Has all keepers speak, until each has been answered.
    fn say(&self, progress: &Progress, watch: &mut Watch<'_>, phase: Phase) -> bool {
        let goal = progress.done.load(Relaxed) + self.plan.rooms;
        self.enter(progress, watch, phase);
        watch
            .until_count("say", Subject::Steps("ready"), goal as u64, |_| progress.done.load(Relaxed) >= goal)
    }

    /// Has clients go round and round for a while. What the server spent on that, and how many rounds there were.
    fn measure(
        &self,
        setup: &Setup,
        progress: &Progress,
        watch: &mut Watch<'_>,
        phase: Phase,
    ) -> (Spent, u64) {
        self.enter(progress, watch, phase);
        let now = || setup.run_state.clock.now();
        watch.until_moment("warm up", Subject::Messages("rounds"), now() + 500_000_000);
        let (before, counted) = (Reading::now(setup), setup.run_state.counts().messages);
        watch.until_moment("measure", Subject::Messages("rounds"), now() + nanos(self.args.duration()));
        let spent = Reading::now(setup).since(&before);
        let rounds = setup.run_state.counts().messages - counted;
        self.enter(progress, watch, Phase::Rest);
        watch.until_moment("rest", Subject::Messages("rounds"), now() + 300_000_000);
        (spent, rounds)
    }

    /// Has the herd go, miss something, and come back. Seconds until all were ready.
    fn herd(
        &self,
        setup: &Setup,
        progress: &Progress,
        watch: &mut Watch<'_>,
        [away, say, back]: [Phase; 3],
    ) -> Option<f64> {
        let run_state = &setup.run_state;
        run_state.quota.store(self.plan.stay(), Relaxed);
        self.enter(progress, watch, away);
        let stay = self.plan.stay() as u64;
        let left = watch.until_count("leave", Subject::Live, stay, |counts| counts.live <= stay);
        watch.until_moment("away", Subject::Live, run_state.clock.now() + AWAY);
        if !left || !self.say(progress, watch, say) {
            return None;
        }
        let goal = progress.ready.load(Relaxed) + self.plan.herd;
        self.enter(progress, watch, back);
        let begun = run_state.clock.now();
        run_state.quota.store(setup.plan.connections, Relaxed);
        let is_back = watch.until_count("return", Subject::Live, setup.plan.connections as u64, |_| {
            progress.ready.load(Relaxed) >= goal
        });
        let seconds = (run_state.clock.now() - begun) as f64 / 1e9;
        self.enter(progress, watch, Phase::Rest);
        watch.until_moment("settle", Subject::Live, run_state.clock.now() + SETTLE);
        is_back.then_some(seconds)
    }

    /// Messages and bytes that the server keeps.
    fn kept(&self) -> (f64, f64) {
        let metrics = self.server.lock().expect("nobody else has it").metrics();
        let figure = |name: &str| child::figure(&metrics, name);
        (figure("rollcall_history_messages"), figure("rollcall_history_bytes"))
    }
}

impl Scenario for Resume<'_> {
    const NAME: &'static str = "resume";
    type Shared = Progress;
    type Seen = Seen;
    type Client<'a>
        = ResumeClient<'a>
    where
        Self: 'a;

    fn common(&self) -> &Common {
        &self.common
    }

    fn need(&self) -> Result<Need, Failure> {
        let connections = self.plan.stay() + self.plan.herd;
        Ok(Need { reopen: true, threads_max: 1, ..Need::of(connections) })
    }

    fn share(&self, _: &mut Setup) -> Result<Progress, Failure> {
        Ok(Progress::default())
    }

    fn make<'a>(&'a self, setup: &'a Setup, progress: &'a Progress, _: usize) -> ResumeClient<'a> {
        ResumeClient::new(&setup.run_state, self.plan, progress)
    }

    fn conduct(&self, setup: &Setup, progress: &Progress, watch: &mut Watch<'_>, seen: &mut Seen) {
        let run_state = &setup.run_state;
        let all = setup.plan.connections as u64;
        run_state.quota.store(setup.plan.connections, Relaxed);
        let opened = watch.until_count("open", Subject::Live, all, |counts| counts.ready >= all);
        if opened {
            seen.spent[0] = self.measure(setup, progress, watch, Phase::Echo);
        }
        if opened && self.say(progress, watch, Phase::FillCost) {
            seen.spent[1] = self.measure(setup, progress, watch, Phase::Recover);
        }
        watch.until_moment("settle", Subject::Live, run_state.clock.now() + SETTLE);
        (seen.memory[0], seen.kept[0]) = (Reading::now(setup).server, self.kept());
        let filled = opened && self.say(progress, watch, Phase::Fill);
        watch.until_moment("settle", Subject::Live, run_state.clock.now() + SETTLE);
        (seen.memory[1], seen.kept[1]) = (Reading::now(setup).server, self.kept());
        let modes = [
            [Phase::AwayPlain, Phase::SayPlain, Phase::ReturnPlain],
            [Phase::AwayKept, Phase::SayKept, Phase::ReturnKept],
        ];
        seen.finished = filled;
        for (mode, phases) in modes.into_iter().enumerate().filter(|_| filled) {
            match self.herd(setup, progress, watch, phases) {
                Some(seconds) => seen.back[mode] = seconds,
                None => seen.finished = false,
            }
        }
        run_state.stop.store(true, Relaxed);
    }

    fn describe(&self, outcome: &mut Outcome, done: &Done<'_, Self>) -> Result<(), Failure> {
        let Seen { spent, memory, kept, back, finished } = &done.seen;
        let mut own = Tally::default();
        done.clients().for_each(|client| own.merge(&client.errors));
        if !finished {
            return Err(Failure::Failed(format!("it did not come to its end: {}", done.report.why(&own))));
        }
        let plan = self.plan;
        outcome.parameter("missed", plan.missed);
        outcome.parameter("recovered", plan.recovered);
        outcome
            .row("load", format!("{} clients, {} to a room", grouped(plan.herd as u64), self.args.per_room));
        let each = |(spent, count): &(Spent, u64)| spent.server.unwrap_or(0.0) * 1e6 / (*count).max(1) as f64;
        let (echo, recovery) = (each(&spent[0]), each(&spent[1]));
        outcome.figure("echo_cpu_us", echo);
        outcome.figure("recovery_cpu_us", recovery);
        outcome.figure("recovery_in_echoes", recovery / echo);
        outcome.row("echo of 20 B", format!("{echo:.2} µs of the server's CPU"));
        outcome.row(
            &format!("recovery of {} × {DATA_BYTES} B", plan.recovered),
            format!("{recovery:.1} µs, as {:.1} echoes", recovery / echo),
        );
        // All that was said is kept: a server that says otherwise has lost some.
        let messages = (plan.kept * plan.rooms) as f64;
        if kept[1].0 - kept[0].0 < messages {
            own.add("not all that was said is kept", 1);
        }
        let told = (kept[1].1 - kept[0].1) / messages - DATA_BYTES as f64;
        outcome.figure("kept_messages", messages);
        outcome.figure("kept_bytes_beside_data", told);
        outcome.row(
            "kept",
            format!(
                "{} messages, by its own count {told:.1} B each beside their data",
                grouped(messages as u64)
            ),
        );
        if let [Some(before), Some(after)] = memory {
            let grown = after.anonymous_bytes as f64 - before.anonymous_bytes as f64;
            let resident = grown / messages - DATA_BYTES as f64;
            outcome.figure("kept_resident_bytes_beside_data", resident);
            outcome.row("memory", format!("{resident:.1} B of resident memory each beside their data"));
        }
        outcome.figure("back_plain_s", back[0]);
        outcome.figure("back_kept_s", back[1]);
        outcome.figure("back_kept_to_plain", back[1] / back[0]);
        outcome.row(
            "all back",
            format!(
                "after {:.2} s, with {} missed each after {:.2} s: {:.2} times that",
                back[0],
                plan.missed,
                back[1],
                back[1] / back[0]
            ),
        );
        if let Some(client) = done.clients().next() {
            let [plain, kept] = [0, 1].map(|mode| client.others[mode].micros_at(0.99));
            outcome.figure("others_p99_plain_us", plain);
            outcome.figure("others_p99_kept_us", kept);
            outcome.figure("others_p99_kept_to_plain", kept / plain);
            outcome.row(
                "others' p99",
                format!("{:.1} ms, {:.1} ms: {:.2} times that", plain / 1e3, kept / 1e3, kept / plain),
            );
        }
        outcome.errors(&done.report, &own);
        Ok(())
    }
}
