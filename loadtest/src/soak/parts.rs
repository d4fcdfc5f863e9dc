//! The parts of a soak: scenarios of this program, each in processes of its own, one round after another until the end.

use std::io;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::Ordering::Relaxed;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::bench::load::Load;
use crate::measure::Tally;
use crate::numbers::{grouped, micros};
use crate::options::stop_flag;
use crate::outcome::Outcome;
use crate::result::Run;
use crate::soak::server::Servers;

/// The servers that parts connect to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum At {
    /// The one with all sorts of clients, over `ws://`.
    All,
    /// The one that compresses each message by itself, over `wss://`.
    Shared,
    /// The one that compresses a message with those before it, over `wss://`.
    PerConnection,
}

/// A part: what runs, and how long a round of it takes at most.
struct Plan {
    name: &'static str,
    at: At,
    scenario: &'static str,
    path: &'static str,
    /// Of its rounds, in turn.
    flags: &'static [&'static str],
    /// The flag that says for how long, and seconds of a round that are not in it.
    lasts: (&'static str, u64),
    /// Seconds of a round; 0: one round is all.
    round: u64,
    /// Seconds between two rounds.
    rest: u64,
    /// What it did, by the figure that counts it.
    counts: &'static str,
}

/// Most parts are like this: an endless round of echoes at the server with all sorts of clients.
const USUAL: Plan = Plan {
    name: "echo",
    at: At::All,
    scenario: "echo",
    path: "/echo",
    flags: &["--connections 50 --rate 1000 --size 300 --verify all --warmup 1s"],
    lasts: ("--duration", 4),
    round: 0,
    rest: 0,
    counts: "messages",
};

const PLANS: [Plan; 10] = [
    Plan {
        name: "crowd",
        scenario: "presence",
        path: "/ws",
        // What the server is for: many who are there and say nothing. They stay until memory was looked at for the last time,
        // by as long as they took to come.
        flags: &["--users 15000 --rooms 1500 --names c"],
        lasts: ("--hold", 0),
        counts: "users_held",
        ..USUAL
    },
    USUAL,
    Plan {
        name: "presence",
        scenario: "presence",
        path: "/ws",
        flags: &[
            "--users 1000 --rooms 100 --join-share 0.8 --watch-share 0.2 --watches 20 --say-rate 200 --names p",
        ],
        lasts: ("--hold", 12),
        counts: "deliveries",
        ..USUAL
    },
    Plan {
        name: "deaths",
        scenario: "death",
        path: "/ws",
        flags: &["--users 200 --share 0.3 --timeout 10s --names d"],
        // Beside the time that all are alive: heartbeat, time-out, and what it takes to connect and to tell.
        lasts: ("--hold", 16),
        round: 18,
        counts: "detected",
        ..USUAL
    },
    churn("churn", "/echo", &["--connections 10 --ramp 100 --warmup 1s"]),
    churn("reloads", "/ws?user=reloader", &["--connections 4 --ramp 20 --warmup 1s"]),
    documents("documents_shared", At::Shared),
    documents("documents_per_connection", At::PerConnection),
    bursts("bursts_shared", At::Shared),
    bursts("bursts_per_connection", At::PerConnection),
];

const fn churn(name: &'static str, path: &'static str, flags: &'static [&'static str]) -> Plan {
    Plan { name, scenario: "churn", path, flags, round: 60, counts: "connections_per_second", ..USUAL }
}

/// Large messages, over TLS and compressed: more of each than a turn of the server takes.
const fn documents(name: &'static str, at: At) -> Plan {
    let flags = &[
        "--insecure --deflate --verify all --text --connections 3 --rate 3 --size 300000 --depth 1 --warmup 1s",
        "--insecure --deflate --verify all --text --connections 3 --rate 2 --size 1000000 --depth 1 --warmup 1s",
    ];
    Plan { name, at, flags, round: 14, ..USUAL }
}

/// Many small messages at once, numbered, over TLS and compressed; then a rest, for the others' sake.
const fn bursts(name: &'static str, at: At) -> Plan {
    let flags = &[
        "--insecure --deflate --verify all --text --connections 1 --size 2000 --depth 512 --warmup 100ms",
        "--insecure --deflate --verify all --connections 1 --size 306 --depth 2048 --warmup 100ms",
    ];
    Plan { name, at, flags, round: 6, rest: 8, ..USUAL }
}

/// A part that runs.
#[derive(Debug)]
pub struct Part {
    name: &'static str,
    counts: &'static str,
    thread: JoinHandle<Vec<Result<Run, String>>>,
}

pub fn start(servers: &Servers, until: Instant) -> io::Result<Vec<Part>> {
    let program = std::env::current_exe()?;
    let start = |plan: &'static Plan| {
        let program = program.clone();
        let server = match plan.at {
            At::All => &servers.all,
            At::Shared => &servers.shared,
            At::PerConnection => &servers.per_connection,
        };
        let (url, pid) = (server.url(plan.path), server.pid());
        let thread = thread::Builder::new()
            .name(plan.name.to_owned())
            .spawn(move || plan.rounds(&program, &url, pid, until))?;
        Ok(Part { name: plan.name, counts: plan.counts, thread })
    };
    PLANS.iter().map(start).collect()
}

impl Plan {
    fn rounds(&self, program: &Path, url: &str, pid: u32, until: Instant) -> Vec<Result<Run, String>> {
        let mut runs = Vec::new();
        for (round, flags) in self.flags.iter().cycle().enumerate() {
            if round > 0 {
                rest(Duration::from_secs(self.rest), until);
            }
            let left = until.saturating_duration_since(Instant::now()).as_secs();
            let seconds = if self.round == 0 { left } else { left.min(self.round) };
            let Some(seconds) = seconds.checked_sub(self.lasts.1).filter(|seconds| *seconds > 0) else {
                break;
            };
            if stop_flag().load(Relaxed) || (round > 0 && self.round == 0) {
                break;
            }
            let json =
                std::env::temp_dir().join(format!("loadtest-{}-{}.json", std::process::id(), self.name));
            let mut command = Command::new(program);
            command
                .arg(self.scenario)
                .args(["--url", url, "--pid", &pid.to_string()])
                .args(flags.split(' '))
                .args(["--threads", "1", self.lasts.0, &format!("{seconds}s")]);
            let timeout = Duration::from_secs(seconds + 60);
            let load = Load { cores: None, scratch: &json, timeout, stop: &stop_flag() };
            runs.push(load.run(&mut command).map_err(|error| error.to_string()));
        }
        runs
    }
}

/// Waits, unless an interrupt or the end comes first.
fn rest(time: Duration, until: Instant) {
    let end = until.min(Instant::now() + time);
    while Instant::now() < end && !stop_flag().load(Relaxed) {
        thread::sleep(Duration::from_millis(50));
    }
}

impl Part {
    /// Waits for it, and adds what it did and what went wrong.
    pub fn finish(self, outcome: &mut Outcome, errors: &mut Tally) {
        let runs = self.thread.join().expect("a part of the soak panicked");
        let rounds = runs.len();
        let is_rate = self.counts.ends_with("_per_second");
        let (mut count, mut slowest) = (0.0, 0.0_f64);
        for run in runs {
            match run {
                Ok(run) => {
                    let figure = |name: &str| run.figures.get(name).copied().unwrap_or(0.0);
                    count += figure(self.counts);
                    let latencies = ["p99_us", "lateness_p99_us"].map(&figure);
                    slowest = latencies.into_iter().fold(slowest, f64::max);
                    for (kind, times) in &run.errors {
                        errors.add(&format!("{}: {kind}", self.name), *times);
                    }
                }
                Err(line) => errors.add(&format!("{}: {line}", self.name), 1),
            }
        }
        count /= if is_rate { rounds.max(1) as f64 } else { 1.0 };
        errors.add(&format!("{}: it did not run", self.name), u64::from(rounds == 0));
        outcome.figure(&format!("{}_rounds", self.name), rounds as f64);
        outcome.figure(&format!("{}_{}", self.name, self.counts), count);
        let slowest = if slowest > 0.0 {
            outcome.figure(&format!("{}_p99_us", self.name), slowest);
            format!(", p99 at most {}", micros(slowest))
        } else {
            String::new()
        };
        let what = self.counts.replace('_', " ");
        outcome.row(
            self.name,
            format!(
                "{} {what} in {rounds} round{}{slowest}",
                grouped(count as u64),
                if rounds == 1 { "" } else { "s" }
            ),
        );
    }
}
