//! `loadtest stuck`: what members that read nothing are to the others of a busy room: the same room at the same rate, well
//! below what the server can do, without them and with as many as there are readers, who are closed at the bound or lose
//! the oldest messages. Each measurement has a server of its own; the manners take turns, so that what else the machine does
//! falls on all of them.
//!
//! The stuck ones also watch the sender, whose state changes with each message: of states they are owed the latest alone.
//!
//! | file | subject |
//! |---|---|
//! | [`manner`] | the rooms, and what the server says of each |
//! | [`table`] | the report |

mod manner;
mod table;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use self::manner::{MANNERS, Manner, Room};
use crate::compare::cores::Cores;
use crate::compare::load::ALLOWANCE;
use crate::compare::made_here;
use crate::compare::servers::{Kind, Places};
use crate::comparison::Comparison;
use crate::options::{Failure, stop_flag};
use crate::report::output::Output;
use crate::result::Run;
use crate::{machine, sys, units};

/// `loadtest stuck`
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// A small room and short measurements, with a bound for machines that do other things too
    #[arg(long)]
    quick: bool,
    /// Rounds that the medians are taken of [default: 5; with --quick 2]
    #[arg(long)]
    rounds: Option<usize>,
    /// Members that read, and as many that do not [default: 1000; with --quick 200]
    #[arg(long)]
    members: Option<usize>,
    /// Messages a second, 2 KiB each: half of what keeps a core busy at most
    #[arg(long, default_value_t = 80)]
    rate: u32,
    /// How long each measurement takes, behind the time in which sockets fill: longer than a member may take nothing and still be
    /// one that reads, 5 s [default: 10s; with --quick 7s]
    #[arg(long, value_parser = units::duration)]
    duration: Option<Duration>,
    /// The server's --max-backlog [default: 1MiB; with --quick 256KiB]
    #[arg(long, value_parser = units::bytes)]
    max_backlog: Option<u64>,
    /// How many times the p99 without the stuck may be with them [default: 1.2; with --quick 5]
    #[arg(long)]
    most: Option<f64>,
    /// A built rollcall, instead of building one
    #[arg(long, value_name = "FILE")]
    ours: Option<PathBuf>,
    #[command(flatten)]
    output: Output,
}

/// Measures, prints the table, writes, and says what does not hold.
pub fn run(args: &Args) -> Result<(), Failure> {
    let failed = |error: io::Error| Failure::Failed(error.to_string());
    let rounds = args.rounds.unwrap_or(if args.quick { 2 } else { 5 });
    let room = Room {
        members: args.members.unwrap_or(if args.quick { 200 } else { 1000 }),
        rate: args.rate,
        duration: args.duration.unwrap_or(Duration::from_secs(if args.quick { 7 } else { 10 })),
        max_backlog: args.max_backlog.unwrap_or(if args.quick { 256 << 10 } else { 1 << 20 }),
    };
    if rounds == 0 || room.members == 0 || room.rate == 0 {
        return Err(Failure::Usage("--rounds, --members, --rate: at least one".into()));
    }
    let stop = stop_flag();
    let bench = Bench::new(args, room, Arc::clone(&stop)).map_err(failed)?;
    let comparison = bench.measure(rounds);
    args.output.save(&comparison).map_err(failed)?;
    let verdicts = table::verdicts(&comparison, args.most.unwrap_or(if args.quick { 5.0 } else { 1.2 }));
    let text = table::report(&comparison, &verdicts);
    args.output.tell(&text).map_err(failed)?;
    if stop.load(Ordering::Relaxed) {
        return Err(Failure::Failed("interrupted: what was measured is kept".into()));
    }
    let errors = comparison.rows.iter().flat_map(|row| &row.cells).flat_map(|cell| &cell.errors);
    let short = verdicts.iter().filter(|verdict| !verdict.holds);
    let lines: Vec<String> = errors
        .map(|(kind, count)| format!("{count} × {kind}"))
        .chain(short.map(|verdict| format!("{}: {}", verdict.what, verdict.found)))
        .collect();
    if lines.is_empty() { Ok(()) } else { Err(Failure::Failed(lines.join("\n"))) }
}

/// All that a measurement needs.
struct Bench {
    program: PathBuf,
    cores: Cores,
    room: Room,
    patience: Duration,
    stop: Arc<AtomicBool>,
    scratch: PathBuf,
}

impl Bench {
    fn new(args: &Args, room: Room, stop: Arc<AtomicBool>) -> io::Result<Bench> {
        let places = Places::find(args.ours.clone())?;
        Kind::Ours.build(&places)?;
        // The servers inherit it.
        sys::raise_descriptor_limit();
        Ok(Bench {
            program: places.program(),
            cores: Cores::two()?,
            room,
            patience: room.duration * 2 + ALLOWANCE,
            stop,
            scratch: std::env::temp_dir().join(format!("loadtest-{}.json", std::process::id())),
        })
    }

    fn measure(&self, rounds: usize) -> Comparison {
        let started = machine::utc_now();
        let mut runs: Vec<Run> = Vec::new();
        'all: for round in 0..rounds {
            for turn in 0..MANNERS.len() {
                // Each round begins with another one, so that none always follows the same neighbour.
                let manner = MANNERS[(round + turn) % MANNERS.len()];
                let run = self.one(manner);
                if self.stop.load(Ordering::Relaxed) {
                    break 'all;
                }
                eprintln!("  {} {}", round + 1, table::line(&run));
                runs.push(run);
            }
        }
        // The table's order, whoever was first.
        runs.sort_by_key(|run| MANNERS.iter().position(|manner| manner.name() == run.target));
        made_here(&runs, &started, &self.cores)
    }

    /// One measurement. What goes wrong is an error of the run, so that the others are still made.
    fn one(&self, manner: Manner) -> Run {
        let mut run = manner
            .measure(self)
            .unwrap_or_else(|error| Run { errors: [(error.to_string(), 1)].into(), ..Run::default() });
        run.scenario = "stuck".into();
        run.target = manner.name().into();
        run.parameters = self.room.parameters();
        run.series.clear();
        run
    }
}
