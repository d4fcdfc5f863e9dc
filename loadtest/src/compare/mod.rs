//! `loadtest compare`: the same load on rollcall, its peers and the bare loop, in turns, on cores of their own.
//!
//! Each measurement is a run of this program's own scenario against a server that was started for it: none inherits
//! a warm cache or a grown heap from another. Rounds are interleaved, so what drifts on the machine drifts for all.

pub mod cores;
pub mod load;
mod rows;
pub mod servers;

use std::io;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use self::cores::Cores;
use self::load::Load;
use self::rows::{Extent, Plan, paced_rate, rows, turns};
use self::servers::{Kind, Places, Server};
use crate::comparison::Comparison;
use crate::options::{Failure, stop_flag};
use crate::report::numbers;
use crate::report::output::Output;
use crate::result::Run;
use crate::{machine, outcome, sys, units};

/// `loadtest compare`
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Servers to compare with [default: all; with --quick fastwebsockets]
    #[arg(long, value_enum, value_delimiter = ',')]
    peers: Vec<Kind>,
    /// Few rows and short ones
    #[arg(long)]
    quick: bool,
    /// Rounds that the medians are taken of [default: 3, at a fixed rate 9; with --quick 1]
    #[arg(long)]
    rounds: Option<usize>,
    /// How long each measurement takes, at a fixed rate 3s at least but with --quick [default: 3s; with --quick 1s]
    #[arg(long, value_parser = units::duration)]
    duration: Option<Duration>,
    /// Only rows whose scenario and flags hold this text; repeatable
    #[arg(long, value_name = "TEXT")]
    only: Vec<String>,
    /// A built rollcall, instead of building one
    #[arg(long, value_name = "FILE", conflicts_with = "no_ours")]
    ours: Option<PathBuf>,
    /// Without rollcall itself
    #[arg(long)]
    no_ours: bool,
    #[command(flatten)]
    output: Output,
}

impl Args {
    fn kinds(&self) -> Vec<Kind> {
        let peers = match self.peers.as_slice() {
            [] if self.quick => vec![Kind::Fastwebsockets],
            [] => vec![Kind::Bun, Kind::Ws, Kind::Fastwebsockets, Kind::TokioTungstenite],
            given => given.to_vec(),
        };
        let ours = (!self.no_ours).then_some(Kind::Ours);
        ours.into_iter().chain([Kind::Bare]).chain(peers).collect()
    }

    fn extent(&self) -> Extent {
        let usual = Duration::from_secs(if self.quick { 1 } else { 3 });
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Extent { quick: self.quick, duration: self.duration.unwrap_or(usual), cores }
    }

    fn plans(&self) -> Vec<Plan> {
        let wanted =
            |plan: &Plan| self.only.is_empty() || self.only.iter().any(|text| plan.label().contains(text));
        rows(self.extent()).into_iter().filter(wanted).collect()
    }
}

/// Builds, measures, writes.
pub fn run(args: &Args) -> Result<(), Failure> {
    let failed = |error: io::Error| Failure::Failed(error.to_string());
    let plans = args.plans();
    if args.rounds == Some(0) || plans.is_empty() {
        return Err(Failure::Usage("nothing is left to measure (--rounds, --only)".into()));
    }
    let bench = Bench::new(args).map_err(failed)?;
    let runs = bench.measure(&plans);
    let comparison = bench.compare(&runs);
    args.output.save(&comparison).map_err(failed)?;
    args.output.draw(&comparison).map_err(failed)?;
    let errors: u64 = runs.iter().flat_map(|run| run.errors.values()).sum();
    match (bench.stopped(), errors) {
        (true, _) => Err(Failure::Failed("interrupted: the rows that were measured are kept".into())),
        (_, 0) => Ok(()),
        (_, errors) => Err(Failure::Failed(format!("{errors} errors: see the report"))),
    }
}

/// All that a measurement needs.
struct Bench {
    kinds: Vec<Kind>,
    places: Places,
    cores: Cores,
    /// `None`: as each plan says.
    rounds: Option<usize>,
    extent: Extent,
    stop: std::sync::Arc<AtomicBool>,
    scratch: PathBuf,
    started: String,
}

impl Bench {
    fn new(args: &Args) -> io::Result<Bench> {
        let places = Places::find(args.ours.clone())?;
        let kinds = args.kinds();
        for kind in &kinds {
            kind.build(&places)?;
        }
        // The servers inherit it.
        sys::raise_descriptor_limit();
        let one_core = || io::Error::other("one core alone: the load would measure itself, two are needed");
        Ok(Bench {
            kinds,
            places,
            cores: Cores::part()?.ok_or_else(one_core)?,
            rounds: args.rounds,
            extent: args.extent(),
            stop: stop_flag(),
            scratch: std::env::temp_dir().join(format!("loadtest-{}.json", std::process::id())),
            started: machine::utc_now(),
        })
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn measure(&self, plans: &[Plan]) -> Vec<Run> {
        let mut runs: Vec<Run> = Vec::new();
        let mut peak = None;
        for (index, plan) in plans.iter().enumerate() {
            let rate = plan.pace.and_then(|share| Some(paced_rate(peak?, share)));
            if plan.pace.is_some() && rate.is_none() {
                eprintln!("loadtest: no peer has set a pace for: {}", plan.label());
                continue;
            }
            eprintln!("\n[{}/{}] {}", index + 1, plans.len(), plan.label());
            let first = runs.len();
            let kinds: Vec<Kind> = self.kinds.iter().copied().filter(|kind| plan.holds_for(*kind)).collect();
            let rounds = self.rounds.unwrap_or_else(|| plan.rounds(self.extent.quick));
            for (round, turn) in turns(kinds.len(), rounds) {
                let run = self.one(kinds[turn], plan, rate);
                if self.stopped() {
                    return runs;
                }
                eprintln!("  {} {}", round + 1, line(&run));
                runs.push(run);
            }
            if plan.sets_pace() {
                peak = best_peer_rate(&runs[first..]);
            }
        }
        runs
    }

    /// One measurement. What goes wrong is an error of the run, so that the other targets are still measured.
    fn one(&self, kind: Kind, plan: &Plan, rate: Option<f64>) -> Run {
        match self.try_one(kind, plan, rate) {
            Ok(run) => run,
            Err(error) => Run {
                scenario: plan.scenario.into(),
                target: kind.name().into(),
                errors: [(error.to_string(), 1)].into(),
                ..Run::default()
            },
        }
    }

    fn try_one(&self, kind: Kind, plan: &Plan, rate: Option<f64>) -> io::Result<Run> {
        let server = Server::start(kind, &self.places, &self.cores, plan)?;
        let (path, protocol) = plan.endpoint(kind);
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(plan.scenario).args(["--url", &format!("ws://{}{path}", server.address())]);
        if let Some(protocol) = protocol {
            command.args(["--protocol", protocol]);
        }
        command.args(["--target", kind.name(), "--pid", &server.pid().to_string()]).args(&plan.flags);
        if let Some(rate) = rate {
            command.args(["--rate", &rate.to_string()]);
        }
        let mut run = self.load(plan.workers.is_none()).run(&mut command)?;
        // What a report does not draw would make the result ten times as large.
        if run.scenario != "idle" {
            run.series.clear();
        }
        if let Some(workers) = plan.workers {
            run.parameters.insert("workers".to_owned(), workers.into());
        }
        let drawn = plan.pace.is_some() || run.scenario == "churn";
        run.histograms.retain(|name, _| drawn && name != "send lag");
        Ok(run)
    }

    /// The load is on cores `apart` from the server's, or on all.
    fn load(&self, apart: bool) -> Load<'_> {
        let patience = self.extent.duration * 2 + load::ALLOWANCE;
        Load { cores: apart.then_some(&self.cores), scratch: &self.scratch, patience, stop: &self.stop }
    }

    fn compare(&self, runs: &[Run]) -> Comparison {
        let mut comparison = made_here(runs, &self.started, &self.cores);
        for kind in &self.kinds {
            if let Some(version) = kind.version(&self.places) {
                comparison.versions.insert(kind.name().to_owned(), version);
            }
        }
        let ended = machine::utc_now();
        if comparison.rows.iter().any(|row| row.number("workers").is_some()) {
            let about = "In rows that name workers these and the load share all cores.";
            comparison.notes.insert(1, about.into());
        }
        comparison
            .notes
            .push(format!("Every measurement has a server of its own, started for it. It ended at {ended}."));
        if self.stopped() {
            comparison.notes.push("Interrupted: rows are missing.".into());
        }
        comparison
    }
}

/// The comparison of runs that were just made on this machine.
pub fn made_here(runs: &[Run], started: &str, cores: &Cores) -> Comparison {
    let mut comparison = Comparison::of_runs(runs);
    comparison.machine = machine::describe();
    comparison.command = outcome::command_line();
    comparison.started = started.to_owned();
    comparison.notes.insert(0, cores.describe());
    if cfg!(debug_assertions) {
        comparison.notes.push("The load was built without optimization: build it with --release.".into());
    }
    comparison
}

/// The highest median rate of a peer; of anyone, where there is no peer.
fn best_peer_rate(runs: &[Run]) -> Option<f64> {
    const FIGURE: &str = "messages_per_second";
    let comparison = Comparison::of_runs(runs);
    let row =
        comparison.rows.iter().find(|row| row.cells.iter().any(|cell| cell.figures.contains_key(FIGURE)))?;
    let anyone = || row.cells.iter().filter_map(|cell| cell.figures.get(FIGURE)).copied().reduce(f64::max);
    row.best_peer(FIGURE, false).and_then(|cell| cell.figures.get(FIGURE).copied()).or_else(anyone)
}

/// A figure's name, its unit in words, and how it reads.
type Shown = (&'static str, &'static str, fn(f64) -> String);

/// A measurement in a line, for who watches.
fn line(run: &Run) -> String {
    const SHOWN: [Shown; 10] = [
        ("messages_per_second", "messages/s", numbers::count),
        ("deliveries_per_second", "deliveries/s", numbers::count),
        ("connections_per_second", "connections/s", numbers::count),
        ("anonymous_bytes_per_connection", "a connection", numbers::bytes),
        ("server_cpu_us_per_message", "of server CPU each", numbers::micros),
        ("server_cpu_us_per_delivery", "of server CPU each", numbers::micros),
        ("server_cpu_us_per_connection", "of server CPU each", numbers::micros),
        ("server_cpu_percent", "busy", |value| format!("{value:.0} %")),
        ("p50_us", "p50", numbers::micros),
        ("p99_us", "p99", numbers::micros),
    ];
    let shown = SHOWN.iter().filter_map(|(name, unit, text)| {
        let value = run.figures.get(*name)?;
        Some(format!("{} {unit}", text(*value)))
    });
    let errors = run.errors.iter().map(|(kind, count)| format!("{count} × {kind}"));
    format!("{:<18} {}", run.target, shown.chain(errors).collect::<Vec<_>>().join(" · "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(target: &str, rate: f64) -> Run {
        Run {
            scenario: "echo".into(),
            target: target.into(),
            figures: [("messages_per_second".to_owned(), rate), ("server_cpu_percent".to_owned(), 98.7)]
                .into(),
            ..Run::default()
        }
    }

    #[test]
    fn the_pace_is_the_best_peers_median() {
        let runs = [
            run("rollcall", 900.0),
            run("bun", 10.0),
            run("bun", 500.0),
            run("bun", 400.0),
            run("ws", 300.0),
        ];
        assert_eq!(best_peer_rate(&runs), Some(400.0));
        assert_eq!(best_peer_rate(&runs[..1]), Some(900.0));
        assert_eq!(best_peer_rate(&[]), None);
    }

    #[test]
    fn a_measurement_reads_in_one_line() {
        let mut run = run("bun", 265_000.0);
        run.errors.insert("lost".into(), 2);
        assert_eq!(line(&run), "bun                265 k messages/s · 99 % busy · 2 × lost");
    }

    #[test]
    fn ours_and_the_limit_are_always_there_unless_ours_is_left_out() {
        #[derive(clap::Parser)]
        struct Cli {
            #[command(flatten)]
            args: Args,
        }
        let kinds = |words: &[&str]| <Cli as clap::Parser>::parse_from(words).args.kinds();
        assert_eq!(kinds(&["x", "--quick"]), [Kind::Ours, Kind::Bare, Kind::Fastwebsockets]);
        assert_eq!(kinds(&["x", "--peers", "bun,ws", "--no-ours"]), [Kind::Bare, Kind::Bun, Kind::Ws]);
        assert_eq!(kinds(&["x"]).len(), 6);
    }
}
