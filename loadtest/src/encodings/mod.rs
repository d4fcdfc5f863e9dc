//! `loadtest encodings`: what TLS and compression cost: the same loads on a server that sends plainly, over TLS, and
//! compressed either way, and on an older binary where one is given. Each measurement has a server of its own, started for
//! it; the servers take turns within a row.
//!
//! | file | subject |
//! |---|---|
//! | [`mod@rows`] | the ways to send, and the loads |
//! | [`table`] | the report |

mod rows;
mod table;

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use self::rows::{Encoding, Plan, rows};
use crate::compare::cores::Cores;
use crate::compare::load::{ALLOWANCE, Load};
use crate::compare::made_here;
use crate::compare::servers::{Kind, Places};
use crate::comparison::Comparison;
use crate::keys::Keys;
use crate::options::{Failure, stop_flag};
use crate::report::output::Output;
use crate::result::Run;
use crate::{machine, report, sys, units};

/// `loadtest encodings`
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Few rows and short ones
    #[arg(long)]
    quick: bool,
    /// Rounds that the medians are taken of [default: 3; with --quick 1]
    #[arg(long)]
    rounds: Option<usize>,
    /// How long each measurement takes [default: 2s; with --quick 500ms]
    #[arg(long, value_parser = units::duration)]
    duration: Option<Duration>,
    /// Only rows whose name holds this text; repeatable
    #[arg(long, value_name = "TEXT")]
    only: Vec<String>,
    /// A built rollcall, instead of building one
    #[arg(long, value_name = "FILE")]
    ours: Option<PathBuf>,
    /// An older rollcall, measured beside it where both send plainly
    #[arg(long, value_name = "FILE")]
    before: Option<PathBuf>,
    /// Earlier results (--json) to report together; nothing is measured. Repeatable
    #[arg(long, value_name = "JSON")]
    from: Vec<PathBuf>,
    #[command(flatten)]
    output: Output,
}

/// Measures, prints the table, writes.
pub fn run(args: &Args) -> Result<(), Failure> {
    let failed = |error: io::Error| Failure::Failed(error.to_string());
    let rounds = args.rounds.unwrap_or(if args.quick { 1 } else { 3 });
    let usual = Duration::from_millis(if args.quick { 500 } else { 2000 });
    let duration = args.duration.unwrap_or(usual);
    let wanted = |plan: &Plan| args.only.is_empty() || args.only.iter().any(|text| plan.name.contains(text));
    let plans: Vec<Plan> = rows(args.quick, duration).into_iter().filter(wanted).collect();
    if rounds == 0 || plans.is_empty() {
        return Err(Failure::Usage("nothing is left to measure (--rounds, --only)".into()));
    }
    let stop = stop_flag();
    let comparison = if args.from.is_empty() {
        Bench::new(args, rounds, duration, Arc::clone(&stop))
            .and_then(|bench| bench.measure(&plans))
            .map_err(failed)?
    } else {
        report::read_files(&args.from).map_err(failed)?
    };
    args.output.save(&comparison).map_err(failed)?;
    let text = table::report(&comparison);
    args.output.tell(&text).map_err(failed)?;
    let errors: u64 =
        comparison.rows.iter().flat_map(|row| &row.cells).flat_map(|cell| cell.errors.values()).sum();
    match (stop.load(Ordering::Relaxed), errors) {
        (true, _) => Err(Failure::Failed("interrupted: the rows that were measured are kept".into())),
        (_, 0) => Ok(()),
        (_, errors) => Err(Failure::Failed(format!("{errors} errors: see the report"))),
    }
}

/// All that a measurement needs.
struct Bench {
    program: PathBuf,
    before: Option<PathBuf>,
    keys: Keys,
    cores: Cores,
    rounds: usize,
    patience: Duration,
    stop: Arc<AtomicBool>,
    scratch: PathBuf,
}

impl Bench {
    fn new(args: &Args, rounds: usize, duration: Duration, stop: Arc<AtomicBool>) -> io::Result<Bench> {
        let places = Places::find(args.ours.clone())?;
        Kind::Ours.build(&places)?;
        // The servers inherit it.
        sys::raise_descriptor_limit();
        Ok(Bench {
            program: places.program(),
            before: args.before.clone(),
            keys: Keys::make(&places.program())?,
            cores: Cores::two()?,
            rounds,
            patience: duration * 2 + ALLOWANCE,
            stop,
            scratch: std::env::temp_dir().join(format!("loadtest-{}.json", std::process::id())),
        })
    }

    /// Who is measured in a row, each with its program.
    fn takers(&self, plan: &Plan) -> Vec<(Encoding, &Path)> {
        const ALL: [Encoding; 5] =
            [Encoding::Plain, Encoding::Before, Encoding::Tls, Encoding::Shared, Encoding::PerConnection];
        let program = |encoding| {
            if encoding == Encoding::Before { self.before.as_deref() } else { Some(&*self.program) }
        };
        let takers = ALL.into_iter().filter(|encoding| plan.holds_for(*encoding));
        takers.filter_map(|encoding| Some((encoding, program(encoding)?))).collect()
    }

    fn measure(&self, plans: &[Plan]) -> io::Result<Comparison> {
        let started = machine::utc_now();
        let mut runs: Vec<Run> = Vec::new();
        'all: for (index, plan) in plans.iter().enumerate() {
            eprintln!("[{}/{}] {}", index + 1, plans.len(), plan.name);
            let takers = self.takers(plan);
            for round in 0..self.rounds {
                for turn in 0..takers.len() {
                    // Each round begins with another one, so that none always follows the same neighbour.
                    let (encoding, program) = takers[(round + turn) % takers.len()];
                    let run = self.one(encoding, program, plan);
                    if self.stop.load(Ordering::Relaxed) {
                        break 'all;
                    }
                    eprintln!("  {} {}", round + 1, table::line(&run));
                    runs.push(run);
                }
            }
        }
        let mut comparison = made_here(&runs, &started, &self.cores);
        comparison.versions.insert("rollcall".to_owned(), env!("CARGO_PKG_VERSION").to_owned());
        Ok(comparison)
    }

    /// One measurement. What goes wrong is an error of the run, so that the others are still made.
    fn one(&self, encoding: Encoding, program: &Path, plan: &Plan) -> Run {
        let mut run = self
            .try_one(encoding, program, plan)
            .unwrap_or_else(|error| Run { errors: [(error.to_string(), 1)].into(), ..Run::default() });
        run.scenario = plan.scenario.into();
        run.target = encoding.name().into();
        run.parameters = [("row".to_owned(), plan.name.into())].into();
        run.series.clear();
        run.histograms.clear();
        run
    }

    fn try_one(&self, encoding: Encoding, program: &Path, plan: &Plan) -> io::Result<Run> {
        let server = rows::start(encoding, program, plan, &self.keys, &self.cores)?;
        let mut command = Command::new(std::env::current_exe()?);
        let url = format!("{}{}{}", encoding.scheme(), server.address(), plan.path);
        command.arg(plan.scenario).args(["--url", &url, "--insecure", "--pid", &server.pid().to_string()]);
        let load = Load {
            cores: Some(&self.cores),
            scratch: &self.scratch,
            patience: self.patience,
            stop: &self.stop,
        };
        load.run(command.args(&plan.flags))
    }
}
