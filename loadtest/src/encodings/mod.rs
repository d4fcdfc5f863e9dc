//! `loadtest encodings`: what TLS and compression cost: the same loads on a server that sends plainly, over TLS, and
//! compressed either way, and on an older binary where one is given.
//!
//! | file | subject |
//! |---|---|
//! | [`mod@rows`] | the ways to send, and the loads |
//! | [`table`] | the report |

mod rows;
mod table;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use self::rows::{Scope, rows};
use crate::bench::output::Output;
use crate::bench::{self, Row, Table};
use crate::comparison::Comparison;
use crate::keys::Keys;
use crate::options::Failure;
use crate::report;
use crate::result::Run;

/// `loadtest encodings`
#[derive(Clone, Debug, clap::Args)]
#[command(mut_arg("rounds", |arg| arg.help("Rounds that the medians are taken of [default: 3; with --quick 1]")))]
#[command(mut_arg("duration", |arg| arg.help("How long each measurement takes [default: 2s; with --quick 500ms]")))]
pub struct Args {
    #[command(flatten)]
    bench: bench::Common,
    /// An older rollcall, measured beside it where both send plainly
    #[arg(long, value_name = "FILE")]
    before: Option<PathBuf>,
    /// Earlier results (--json) to report together; nothing is measured. Repeatable
    #[arg(long, value_name = "JSON")]
    from: Vec<PathBuf>,
}

/// Measures, prints the table, writes.
pub fn run(args: &Args) -> Result<(), Failure> {
    args.bench.output.prepare()?;
    if !args.from.is_empty() {
        let comparison = report::read_files(&args.from)?;
        return bench::conclude(&comparison, &args.bench, &Encodings(Vec::new()));
    }
    let quick = args.bench.quick;
    let duration = args.bench.duration.unwrap_or(Duration::from_millis(if quick { 500 } else { 2000 }));
    let program = args.bench.ours.program()?;
    let scope = Scope {
        keys: Keys::make(&program)?,
        program,
        before: args.before.clone(),
        quick,
        rounds: args.bench.rounds.unwrap_or(if quick { 1 } else { 3 }),
        duration,
    };
    bench::run(&args.bench, duration, &Encodings(rows(&scope)))
}

struct Encodings(Vec<Row>);

impl Table for Encodings {
    fn rows(&self) -> Vec<Row> {
        self.0.clone()
    }

    fn keep(&self, row: &Row, run: &mut Run) {
        run.parameters = [("row".to_owned(), row.label.as_str().into())].into();
        run.series.clear();
        run.histograms.clear();
    }

    fn shown(&self, scenario: &str) -> &'static [(&'static str, &'static str)] {
        table::shown(scenario)
    }

    fn describe(&self, comparison: &mut Comparison) {
        comparison.versions.insert("rollcall".to_owned(), env!("CARGO_PKG_VERSION").to_owned());
    }

    fn report(&self, comparison: &Comparison, output: &Output) -> io::Result<Vec<String>> {
        output.tell(&table::report(comparison))?;
        Ok(Vec::new())
    }
}
