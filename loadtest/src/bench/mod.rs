//! Measurements side by side: a table declares rows, each a load and the servers that it is put on, and this runs them in turns.
//!
//! Each measurement is a run of this program's own scenario against a server that was started for it: none inherits a warm
//! cache or a grown heap from another. Rounds are interleaved, so what drifts on the machine drifts for all.
//!
//! | file | subject |
//! |---|---|
//! | [`servers`] | rollcall, the bare loop and the peers, declared in a table |
//! | [`cores`] | the server's core, and those of the load |
//! | [`load`] | a scenario of this program as a child |
//! | [`output`] | where results go |

pub mod cores;
pub mod load;
pub mod output;
pub mod servers;

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use self::cores::Cores;
use self::load::{ALLOWANCE, Load};
use self::output::Output;
use crate::child::{Child, Launch, Ours};
use crate::comparison::{Cell, Comparison};
use crate::measure::Tally;
use crate::numbers;
use crate::options::{Failure, stop_flag};
use crate::result::Run;
use crate::{machine, outcome, sys, units};

/// The flags that all have who measure side by side.
#[derive(Clone, Debug, clap::Args)]
pub struct Common {
    /// Few rows and short ones
    #[arg(long)]
    pub quick: bool,
    /// Rounds that the medians are taken of
    #[arg(long)]
    pub rounds: Option<usize>,
    /// How long each measurement takes
    #[arg(long, value_parser = units::duration)]
    pub duration: Option<Duration>,
    /// Only rows whose name holds this text; repeatable
    #[arg(long, value_name = "TEXT")]
    pub only: Vec<String>,
    #[command(flatten)]
    pub ours: Ours,
    #[command(flatten)]
    pub output: Output,
}

impl Common {
    /// Whether `--only` leaves a row of this name.
    pub fn wants(&self, label: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|text| label.contains(text))
    }
}

/// What is said where no row is left.
pub fn nothing_left() -> Failure {
    Failure::Usage("nothing is left to measure (--rounds, --only)".into())
}

/// A server in a row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subject {
    pub launch: Launch,
    /// Where it offers what the row needs.
    pub path: &'static str,
    /// Flags of the load beside the row's.
    pub flags: Vec<String>,
}

/// At which rate messages are sent.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Pace {
    /// As the row's flags say.
    #[default]
    Free,
    /// The same; what the best peer does here is the rate that others take a share of.
    SetsIt,
    Share(f64),
}

/// A load, and the servers that it is put on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Row {
    /// For who watches, and for `--only`.
    pub label: String,
    pub scenario: &'static str,
    /// Its flags, without those for the target and the result.
    pub flags: Vec<String>,
    pub subjects: Vec<Subject>,
    pub rounds: usize,
    pub pace: Pace,
    /// Server and load share all cores, and the server has so many workers; else each has cores of its own.
    pub workers: Option<usize>,
}

/// Figures by name.
pub type Figures = BTreeMap<String, f64>;

/// What is measured, and what becomes of it.
pub trait Table: Sync {
    /// The rows in order; a row that sets the pace comes before those that take a share of it.
    fn rows(&self) -> Vec<Row>;

    /// Names a run as its row has it, and drops what its report does not show.
    fn keep(&self, row: &Row, run: &mut Run);

    /// The figures of a scenario that who watches is shown, with what stands behind each.
    fn shown(&self, scenario: &str) -> &'static [(&'static str, &'static str)];

    /// Looks at the server until the load is over.
    fn look_on(&self, server: &Child, over: &AtomicBool) -> Figures {
        let _ = (server, over);
        Figures::new()
    }

    /// Adds what the report has to say of all of it.
    fn describe(&self, comparison: &mut Comparison) {
        let _ = comparison;
    }

    /// Writes the report. Returns what was asked and does not hold, a line each.
    fn report(&self, comparison: &Comparison, output: &Output) -> io::Result<Vec<String>>;
}

/// Measures, writes, and says what went wrong.
pub fn run(args: &Common, duration: Duration, table: &impl Table) -> Result<(), Failure> {
    args.output.prepare()?;
    let rows: Vec<Row> = table.rows().into_iter().filter(|row| args.wants(&row.label)).collect();
    if rows.iter().all(|row| row.rounds == 0 || row.subjects.is_empty()) {
        return Err(nothing_left());
    }
    let bench = Bench::new(duration)?;
    let runs = bench.measure(&rows, table);
    conclude(&bench.comparison(&runs, table), args, table)
}

/// Writes what was measured, and says what went wrong.
pub fn conclude(comparison: &Comparison, args: &Common, table: &impl Table) -> Result<(), Failure> {
    args.output.save(comparison)?;
    let short = table.report(comparison, &args.output)?;
    if stop_flag().load(Relaxed) {
        return Err(Failure::Failed("interrupted: what was measured is kept".into()));
    }
    let mut errors = Tally::default();
    for (kind, count) in comparison.rows.iter().flat_map(|row| &row.cells).flat_map(|cell| &cell.errors) {
        errors.add(kind, *count);
    }
    let errors = errors.into_map().into_iter().map(|(kind, count)| format!("{count} × {kind}"));
    let lines: Vec<String> = errors.chain(short).collect();
    if lines.is_empty() { Ok(()) } else { Err(Failure::Failed(lines.join("\n"))) }
}

/// All that a measurement needs.
struct Bench {
    cores: Cores,
    timeout: Duration,
    stop: Arc<AtomicBool>,
    scratch: PathBuf,
    started: String,
}

impl Bench {
    fn new(duration: Duration) -> io::Result<Bench> {
        // The servers inherit it.
        sys::raise_descriptor_limit();
        Ok(Bench {
            cores: Cores::two()?,
            timeout: duration * 2 + ALLOWANCE,
            stop: stop_flag(),
            scratch: std::env::temp_dir().join(format!("loadtest-{}.json", std::process::id())),
            started: machine::utc_now(),
        })
    }

    fn measure(&self, rows: &[Row], table: &impl Table) -> Vec<Run> {
        let mut runs: Vec<Run> = Vec::new();
        let mut peak = None;
        for (index, row) in rows.iter().enumerate() {
            let rate = match (row.pace, peak) {
                (Pace::Share(share), Some(peak)) => Some(paced_rate(peak, share)),
                (Pace::Share(_), None) => {
                    eprintln!("loadtest: no peer has set a pace for: {}", row.label);
                    continue;
                }
                _ => None,
            };
            eprintln!("\n[{}/{}] {}", index + 1, rows.len(), row.label);
            let first = runs.len();
            for (round, turn) in turns(row.subjects.len(), row.rounds) {
                let run = self.one(&row.subjects[turn], row, rate, table);
                if self.stop.load(Relaxed) {
                    return runs;
                }
                eprintln!("  {} {}", round + 1, line(&run, table.shown(row.scenario)));
                runs.push(run);
            }
            // The row's order, whoever was first.
            runs[first..]
                .sort_by_key(|run| row.subjects.iter().position(|subject| subject.launch.name == run.target));
            if row.pace == Pace::SetsIt {
                peak = best_peer_rate(&runs[first..]);
            }
        }
        runs
    }

    /// One measurement. What goes wrong is an error of the run, so that the others are still made.
    fn one(&self, subject: &Subject, row: &Row, rate: Option<f64>, table: &impl Table) -> Run {
        let failed = |error: io::Error| Run { errors: [(error.to_string(), 1)].into(), ..Run::default() };
        let mut run = self.try_one(subject, row, rate, table).unwrap_or_else(failed);
        run.scenario = row.scenario.into();
        run.target = subject.launch.name.into();
        table.keep(row, &mut run);
        run
    }

    fn try_one(
        &self,
        subject: &Subject,
        row: &Row,
        rate: Option<f64>,
        table: &impl Table,
    ) -> io::Result<Run> {
        let cores = row.workers.is_none().then_some(&self.cores);
        let launch = &subject.launch;
        let server = Child::start(launch, |command| match cores {
            Some(cores) => cores.on_server(|| command.spawn()),
            None => command.spawn(),
        })?;
        let mut command = Command::new(std::env::current_exe()?);
        let scheme = if launch.secure { "wss" } else { "ws" };
        let url = format!("{scheme}://{}{}", server.address(), subject.path);
        command.arg(row.scenario).args(["--url", &url, "--target", launch.name]);
        command.args(["--pid", &server.pid().to_string()]).args(&subject.flags).args(&row.flags);
        command.args(launch.secure.then_some("--insecure"));
        if let Some(rate) = rate {
            command.args(["--rate", &rate.to_string()]);
        }
        let load = Load { cores, scratch: &self.scratch, timeout: self.timeout, stop: &self.stop };
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            let looks = scope.spawn(|| table.look_on(&server, &over));
            let run = load.run(&mut command);
            over.store(true, Relaxed);
            let seen = looks.join().expect("looking on does not panic");
            let mut run = run?;
            run.figures.extend(seen);
            Ok(run)
        })
    }

    /// The comparison of runs that were just made on this machine.
    fn comparison(&self, runs: &[Run], table: &impl Table) -> Comparison {
        let mut comparison = Comparison::of_runs(runs);
        comparison.machine = machine::describe();
        comparison.command = outcome::command_line();
        comparison.started.clone_from(&self.started);
        comparison.notes.insert(0, self.cores.describe());
        if cfg!(debug_assertions) {
            comparison.notes.push("The load was built without optimization: build it with --release.".into());
        }
        table.describe(&mut comparison);
        if self.stop.load(Relaxed) {
            comparison.notes.push("Interrupted: rows are missing.".into());
        }
        comparison
    }
}

/// Who is measured when: in each round every subject once, each round beginning with another one, so that none always
/// follows the same neighbour or always comes first.
fn turns(subjects: usize, rounds: usize) -> Vec<(usize, usize)> {
    (0..rounds).flat_map(|round| (0..subjects).map(move |turn| (round, (round + turn) % subjects))).collect()
}

/// A share of a rate, to two digits: a round figure is easier to type again.
fn paced_rate(peak: f64, share: f64) -> f64 {
    let wanted = peak * share;
    if wanted < 10.0 {
        return wanted.max(1.0).round();
    }
    let unit = 10f64.powf(wanted.log10().floor() - 1.0);
    (wanted / unit).round() * unit
}

/// The highest median rate of a peer; of anyone, where there is no peer.
fn best_peer_rate(runs: &[Run]) -> Option<f64> {
    const FIGURE: &str = "messages_per_second";
    let comparison = Comparison::of_runs(runs);
    let rate = |cell: &Cell| cell.figure(FIGURE);
    let row = comparison.rows.iter().find(|row| row.cells.iter().any(|cell| rate(cell).is_some()))?;
    let anyone = || row.cells.iter().filter_map(rate).reduce(f64::max);
    row.best_peer(FIGURE, false).and_then(rate).or_else(anyone)
}

/// Words of a line as flags.
pub fn flags(line: &str) -> Vec<String> {
    line.split_ascii_whitespace().map(str::to_owned).collect()
}

/// The flags that say how long a load is measured, after a time to warm up.
pub fn timed(duration: Duration, warmup: Duration) -> Vec<String> {
    flags(&format!("--duration {}ms --warmup {}ms", duration.as_millis(), warmup.as_millis()))
}

/// A measurement in a line: its target, what is shown of it, and what went wrong.
fn line(run: &Run, shown: &[(&str, &str)]) -> String {
    let figures = shown.iter().filter_map(|(figure, what)| {
        Some(format!("{} {what}", numbers::compared(figure, *run.figures.get(*figure)?)))
    });
    let errors = run.errors.iter().map(|(kind, count)| format!("{count} × {kind}"));
    format!("{:<24} {}", run.target, figures.chain(errors).collect::<Vec<_>>().join(" · "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(target: &str, rate: f64) -> Run {
        Run::example("echo", target, &[("messages_per_second", rate), ("server_cpu_percent", 98.7)])
    }

    #[test]
    fn rounds_take_turns_and_begin_with_another_subject_each() {
        assert_eq!(turns(3, 2), [(0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (1, 0)]);
        for subject in 0..4 {
            assert_eq!(turns(4, 5).iter().filter(|(_, turn)| *turn == subject).count(), 5);
        }
        assert!(turns(0, 3).is_empty());
    }

    #[test]
    fn a_pace_is_a_round_number() {
        assert_eq!(paced_rate(278_311.0, 0.5), 140_000.0);
        assert_eq!(paced_rate(278_311.0, 0.8), 220_000.0);
        assert_eq!(paced_rate(100.0, 0.5), 50.0);
        assert_eq!(paced_rate(0.0, 0.5), 1.0);
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
        let shown = [("messages_per_second", "messages/s")];
        assert_eq!(line(&run, &shown), format!("{:<24} 265 k messages/s · 2 × lost", "bun"));
    }
}
