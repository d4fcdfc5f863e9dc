//! `loadtest stuck`: what members that read nothing are to the others of a busy room: the same room at the same rate, well
//! below what the server can do, without them and with as many as there are readers, who are closed at the bound or lose
//! the oldest messages.
//!
//! The stuck ones also watch the sender, whose state changes with each message: of states they are owed the latest alone.
//!
//! | file | subject |
//! |---|---|
//! | [`modes`] | the rooms, and what the server says of each |
//! | [`table`] | the report |

mod modes;
mod table;

use std::io;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use self::modes::Room;
use crate::bench::output::Output;
use crate::bench::{self, Figures, Row, Table};
use crate::child::Child;
use crate::comparison::Comparison;
use crate::options::{Failure, usage};
use crate::result::Run;
use crate::units;

/// `loadtest stuck`
#[derive(Clone, Debug, clap::Args)]
#[command(mut_arg("quick", |arg| arg.help(
    "A small room and short measurements, with a bound for machines that do other things too"
)))]
#[command(mut_arg("rounds", |arg| arg.help("Rounds that the medians are taken of [default: 5; with --quick 2]")))]
#[command(mut_arg("duration", |arg| arg.help(
    "How long each measurement takes, behind the time in which sockets fill: longer than a member may take nothing and \
     still be one that reads, 5 s [default: 10s; with --quick 7s]"
)))]
pub struct Args {
    #[command(flatten)]
    bench: bench::Common,
    /// Members that read, and as many that do not [default: 1000; with --quick 200]
    #[arg(long)]
    members: Option<usize>,
    /// Messages a second, 2 KiB each: half of what keeps a core busy at most
    #[arg(long, default_value_t = 80)]
    rate: u32,
    /// The server's --max-backlog [default: 1MiB; with --quick 256KiB]
    #[arg(long, value_parser = units::bytes)]
    max_backlog: Option<u64>,
    /// How many times the p99 without the stuck may be with them [default: 1.2; with --quick 5]
    #[arg(long)]
    most: Option<f64>,
}

/// Measures, prints the table, writes, and says what does not hold.
pub fn run(args: &Args) -> Result<(), Failure> {
    let quick = args.bench.quick;
    let room = Room {
        members: args.members.unwrap_or(if quick { 200 } else { 1000 }),
        rate: args.rate,
        duration: args.bench.duration.unwrap_or(Duration::from_secs(if quick { 7 } else { 10 })),
        max_backlog: args.max_backlog.unwrap_or(if quick { 256 << 10 } else { 1 << 20 }),
    };
    let rounds = args.bench.rounds.unwrap_or(if quick { 2 } else { 5 });
    if rounds == 0 || room.members == 0 || room.rate == 0 {
        return usage("--rounds, --members, --rate: at least one");
    }
    let program = args.bench.ours.program()?;
    let most = args.most.unwrap_or(if quick { 5.0 } else { 1.2 });
    bench::run(&args.bench, room.duration, &Stuck { row: room.row(&program, rounds), room, most })
}

struct Stuck {
    row: Row,
    room: Room,
    /// How many times the p99 without the stuck may be with them.
    most: f64,
}

impl Table for Stuck {
    fn rows(&self) -> Vec<Row> {
        vec![self.row.clone()]
    }

    fn keep(&self, _: &Row, run: &mut Run) {
        run.scenario = "stuck".into();
        run.parameters = self.room.parameters();
        run.series.clear();
    }

    fn shown(&self, _: &str) -> &'static [(&'static str, &'static str)] {
        &table::SHOWN
    }

    fn look_on(&self, server: &Child, over: &AtomicBool) -> Figures {
        modes::look_on(server, over)
    }

    fn report(&self, comparison: &Comparison, output: &Output) -> io::Result<Vec<String>> {
        let verdicts = table::verdicts(comparison, self.most);
        output.tell(&table::report(comparison, &verdicts))?;
        let short = verdicts.iter().filter(|verdict| !verdict.holds);
        Ok(short.map(|verdict| format!("{}: {}", verdict.what, verdict.found)).collect())
    }
}
