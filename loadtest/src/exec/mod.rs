//! `loadtest exec`: a command per connection, beside websocketd: the cost of a line, the throughput of a process that prints, the
//! memory of many processes and the time to their first lines, what short connections leave behind, and what all of that is to
//! connections on the same workers that have nothing to do with it.
//!
//! A server and what it starts have one core, the load has the others. CPU and memory are those of the server's own processes, not of
//! the commands.
//!
//! | file | subject |
//! |---|---|
//! | [`client`] | a client that waits: a command's clients do little |
//! | [`servers`] | both servers, and how each is told what to run |
//! | [`rows`] | what is measured |

mod client;
mod rows;
mod servers;

use std::path::PathBuf;

use self::rows::{Rows, Verdict};
use self::servers::{Peer, Server};
use crate::bench::cores::Cores;
use crate::child::Ours;
use crate::numbers;
use crate::options::Failure;
use crate::report::markdown::Markdown;
use crate::{files, machine, report};

/// `loadtest exec`
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    ours: Ours,
    /// The websocketd to compare with [default: the one in PATH; without one, only ours is measured]
    #[arg(long, value_name = "FILE")]
    peer: Option<PathBuf>,
    /// Small loads: whether all works, and nothing is left behind
    #[arg(long)]
    quick: bool,
    /// Rounds that the medians are taken of [default: 3; with --quick 1]
    #[arg(long)]
    rounds: Option<usize>,
    /// Write a report of this name
    #[arg(long)]
    name: Option<String>,
    /// Where the report goes
    #[arg(long, value_name = "DIR", default_value = report::FOLDER)]
    out: PathBuf,
}

/// Measures, prints the table, writes, and says what does not hold.
pub fn run(args: &Args) -> Result<(), Failure> {
    let cores = Cores::two()?;
    let ours = args.ours.program()?;
    let peer = args.peer.clone().or_else(|| servers::in_path("websocketd"));
    let rounds = args.rounds.unwrap_or(if args.quick { 1 } else { 3 }).max(1);
    let mut servers = vec![Server { peer: Peer::Ours, program: ours }];
    servers.extend(peer.map(|program| Server { peer: Peer::Websocketd, program }));
    let rows = Rows { cores: &cores, servers: &servers, quick: args.quick, rounds };
    let verdicts = rows.measure()?;
    let text = tell(&verdicts, &cores, rounds, args.quick);
    match &args.name {
        Some(name) => {
            let file = args.out.join(format!("{name}.md"));
            files::write(&file, &text)?;
            println!("{}", file.display());
        }
        None => print!("{text}"),
    }
    // In the small form times say nothing: a gate has other things to do beside it.
    let short = verdicts.iter().filter(|verdict| verdict.fails(args.quick));
    let short: Vec<String> = short.map(|verdict| format!("{}: {}", verdict.what, verdict.found)).collect();
    if short.is_empty() { Ok(()) } else { Err(Failure::Failed(short.join("\n"))) }
}

fn tell(verdicts: &[Verdict], cores: &Cores, rounds: usize, quick: bool) -> String {
    let mut text = Markdown::default();
    text.line("# A command per connection, beside websocketd");
    let machine = machine::describe();
    text.paragraph(&format!(
        "Made {} on {}, {} cores. {} A server's commands run on its core. Medians of {rounds} {}{}.",
        machine::utc_now(),
        machine.cpu,
        machine.cores,
        cores.describe(),
        if rounds == 1 { "round" } else { "rounds in turns" },
        if quick { ", with small loads that show whether it works and not how well" } else { "" },
    ));
    let lines: Vec<Vec<String>> = verdicts.iter().map(Verdict::cells).collect();
    text.table(&["", "rollcall", "websocketd", "ratio", "goal", ""], &lines);
    text.section("How it was made");
    text.commands([numbers_of_command()]);
    text.line(
        "Memory and CPU are the server's own, its guard of commands included, without the commands. Resident memory that \
         grew from no connection to all of them; the 1 GiB is read by one client.",
    );
    text.into_text()
}

fn numbers_of_command() -> String {
    std::env::args().collect::<Vec<_>>().join(" ")
}

/// The median of some values; `NAN` of none.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// A ratio as it is shown.
fn ratio(value: f64) -> String {
    if value.is_nan() { "–".to_owned() } else { numbers::ratio(value) }
}
