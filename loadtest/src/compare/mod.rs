//! `loadtest compare`: the same load on rollcall, its peers and the bare loop, in turns, on cores of their own.

mod rows;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::PossibleValuesParser;

use self::rows::{Scope, rows};
use crate::bench::output::Output;
use crate::bench::servers::{self, Places, Server};
use crate::bench::{self, Row, Table};
use crate::comparison::{BARE, Comparison, OURS};
use crate::machine;
use crate::options::Failure;
use crate::result::Run;

/// `loadtest compare`
#[derive(Clone, Debug, clap::Args)]
#[command(mut_arg("rounds", |arg| arg.help("Rounds that the medians are taken of [default: 3, at a fixed rate 9; with --quick 1]")))]
#[command(mut_arg("duration", |arg| arg.help(
    "How long each measurement takes, at a fixed rate 3s at least but with --quick [default: 3s; with --quick 1s]"
)))]
pub struct Args {
    /// Servers to compare with [default: all; with --quick fastwebsockets]
    #[arg(long, value_delimiter = ',', value_parser = PossibleValuesParser::new(servers::peers()))]
    peers: Vec<String>,
    /// Without rollcall itself
    #[arg(long, conflicts_with = "ours")]
    no_ours: bool,
    #[command(flatten)]
    bench: bench::Common,
}

impl Args {
    /// Ours, the limit, and the peers in the order in which they were asked for.
    fn servers(&self) -> Vec<&'static Server> {
        let peers: Vec<&str> = match self.peers.as_slice() {
            [] if self.bench.quick => vec!["fastwebsockets"],
            [] => servers::peers().collect(),
            given => given.iter().map(String::as_str).collect(),
        };
        let ours = (!self.no_ours).then_some(OURS);
        ours.into_iter().chain([BARE]).chain(peers).filter_map(servers::named).collect()
    }

    fn scope(&self) -> Scope {
        let usual = Duration::from_secs(if self.bench.quick { 1 } else { 3 });
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let (quick, rounds) = (self.bench.quick, self.bench.rounds);
        Scope { quick, rounds, duration: self.bench.duration.unwrap_or(usual), cores }
    }
}

/// Builds, measures, writes.
pub fn run(args: &Args) -> Result<(), Failure> {
    // Said before anything is built for it.
    if args.bench.rounds == Some(0) || !rows::labels(args.scope()).any(|label| args.bench.wants(&label)) {
        return Err(bench::nothing_left());
    }
    args.bench.output.prepare()?;
    bench::run(&args.bench, args.scope().duration, &Comparing::new(args)?)
}

struct Comparing {
    rows: Vec<Row>,
    places: Places,
    servers: Vec<&'static Server>,
}

impl Comparing {
    fn new(args: &Args) -> io::Result<Comparing> {
        let ours = if args.no_ours { PathBuf::new() } else { args.bench.ours.program()? };
        let (places, servers) = (Places::find(ours)?, args.servers());
        for server in &servers {
            server.build(&places)?;
        }
        Ok(Comparing { rows: rows(args.scope(), &servers, &places)?, places, servers })
    }
}

const SHOWN: [(&str, &str); 10] = [
    ("messages_per_second", "messages/s"),
    ("deliveries_per_second", "deliveries/s"),
    ("connections_per_second", "connections/s"),
    ("anonymous_bytes_per_connection", "a connection"),
    ("server_cpu_us_per_message", "of server CPU each"),
    ("server_cpu_us_per_delivery", "of server CPU each"),
    ("server_cpu_us_per_connection", "of server CPU each"),
    ("server_cpu_percent", "busy"),
    ("p50_us", "p50"),
    ("p99_us", "p99"),
];

impl Table for Comparing {
    fn rows(&self) -> Vec<Row> {
        self.rows.clone()
    }

    /// What a report does not draw would make the result ten times as large.
    fn keep(&self, row: &Row, run: &mut Run) {
        if run.scenario != "idle" {
            run.series.clear();
        }
        if let Some(workers) = row.workers {
            run.parameters.insert("workers".to_owned(), workers.into());
        }
        let drawn = matches!(row.pace, bench::Pace::Share(_)) || run.scenario == "churn";
        run.histograms.retain(|name, _| drawn && name != "send lag");
    }

    fn shown(&self, _: &str) -> &'static [(&'static str, &'static str)] {
        &SHOWN
    }

    fn describe(&self, comparison: &mut Comparison) {
        for server in &self.servers {
            if let Some(version) = server.version(&self.places) {
                comparison.versions.insert(server.name.to_owned(), version);
            }
        }
        if comparison.rows.iter().any(|row| row.number("workers").is_some()) {
            let about = "In rows that name workers these and the load share all cores.";
            comparison.notes.insert(1, about.into());
        }
        let ended = machine::utc_now();
        let about =
            format!("Every measurement has a server of its own, started for it. It ended at {ended}.");
        comparison.notes.push(about);
    }

    fn report(&self, comparison: &Comparison, output: &Output) -> io::Result<Vec<String>> {
        output.draw(comparison)?;
        Ok(Vec::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ours_and_the_limit_are_always_there_unless_ours_is_left_out() {
        let names = |words: &[&str]| {
            let args: Args = crate::options::parsed(words);
            args.servers().into_iter().map(|server| server.name).collect::<Vec<_>>()
        };
        assert_eq!(names(&["x", "--quick"]), [OURS, BARE, "fastwebsockets"]);
        assert_eq!(names(&["x", "--peers", "bun,ws", "--no-ours"]), [BARE, "bun", "ws"]);
        assert_eq!(names(&["x"]).len(), servers::SERVERS.len());
    }
}
