//! What a run came to: a table for a person, JSON for a report, an exit code for a script.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

use crate::comparison::OURS;
use crate::engine::Report;
use crate::expect::Expectation;
use crate::files;
use crate::machine;
use crate::measure::{Recorder, Tally};
use crate::numbers;
use crate::options::{Failure, Setup};
use crate::process::{self, Usage};
use crate::refusal;
use crate::result::{Run, SCHEMA};

/// Quantiles that a latency is told by, and the ends of their figures' names.
const QUANTILES: [(f64, &str); 5] =
    [(0.5, "p50"), (0.9, "p90"), (0.99, "p99"), (0.999, "p99_9"), (0.9999, "p99_99")];

/// The flags for what becomes of a run.
#[derive(Clone, Debug, clap::Args)]
pub struct Results {
    /// Write the run as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// A condition such as 'p99<2ms', 'errors=0', 'rate>50000'; repeatable. Exit code 1 where one does not hold
    #[arg(long, value_name = "CONDITION")]
    expect: Vec<Expectation>,
}

impl Results {
    /// Makes the folder that the JSON goes to.
    pub fn prepare(&self) -> io::Result<()> {
        self.json.as_deref().map_or(Ok(()), files::prepare)
    }
}

/// A run as it is put together.
#[derive(Debug, Default)]
pub struct Outcome {
    pub run: Run,
    rows: Vec<(String, String)>,
    /// A report of this run alone, named behind the table.
    written: Option<PathBuf>,
}

impl Outcome {
    /// Begins the outcome of a scenario on a target.
    pub fn new(scenario: &str, target: &str) -> Outcome {
        let run = Run {
            schema: SCHEMA,
            scenario: scenario.to_owned(),
            target: target.to_owned(),
            command: command_line(),
            started: machine::utc_now(),
            machine: machine::describe(),
            versions: BTreeMap::from([("loadtest".to_owned(), env!("CARGO_PKG_VERSION").to_owned())]),
            ..Run::default()
        };
        Outcome { run, rows: Vec::new(), written: None }
    }

    /// Adds a parameter by its flag's name.
    pub fn parameter(&mut self, name: &str, value: impl Into<serde_json::Value>) {
        self.run.parameters.insert(name.to_owned(), value.into());
    }

    /// Adds the parameters that every scenario has.
    pub fn parameters_of(&mut self, setup: &Setup) {
        if let Some(version) = setup.version() {
            self.run.versions.insert(OURS.to_owned(), version);
        }
        self.parameter("url", setup.plan.target.url.as_str());
        self.parameter("connections", setup.plan.connections);
        self.parameter("threads", setup.plan.threads);
        self.parameter("source_addresses", setup.plan.sources);
    }

    /// Adds a figure; the unit ends its name.
    pub fn figure(&mut self, name: &str, value: f64) {
        self.run.figures.insert(name.to_owned(), value);
    }

    pub fn row(&mut self, label: &str, value: impl Into<String>) {
        self.rows.push((label.to_owned(), value.into()));
    }

    /// A report of this run was written.
    pub fn written(&mut self, path: PathBuf) {
        self.written = Some(path);
    }

    pub fn note(&mut self, note: impl Into<String>) {
        self.run.notes.push(note.into());
    }

    /// Adds a histogram, and its percentiles as figures: `p99_us` for the run's `latency`, `connect_p99_us` for another.
    pub fn times(&mut self, name: &str, recorder: &Recorder) {
        if recorder.count() == 0 {
            return;
        }
        let prefix = if name == "latency" { String::new() } else { format!("{name}_") };
        let mut cells = Vec::new();
        for (quantile, label) in QUANTILES {
            let value = recorder.micros_at(quantile);
            self.figure(&format!("{prefix}{label}_us"), value);
            cells.push(format!("{} {}", label.replace('_', "."), numbers::micros(value)));
        }
        self.figure(&format!("{prefix}max_us"), recorder.max_micros());
        self.figure(&format!("{prefix}mean_us"), recorder.mean_micros());
        cells.push(format!("max {}", numbers::micros(recorder.max_micros())));
        self.run.histograms.insert(name.to_owned(), recorder.encode());
        self.row(name, cells.join("  "));
    }

    /// Adds what compression came to where it was offered, each way, in bytes of messages for each on the wire.
    pub fn compression(&mut self, report: &Report) {
        if report.sent.payload == 0 {
            return;
        }
        let (up, down) = (report.sent.ratio(), report.received.ratio());
        self.figure("deflate_ratio", down);
        self.figure("deflate_ratio_sent", up);
        self.row(
            "compression",
            format!("{down:.2} bytes of messages for each received, {up:.2} for each sent"),
        );
    }

    /// Adds the server's memory.
    pub fn server_memory(&mut self, usage: Usage) {
        self.figure("server_resident_bytes", usage.resident_bytes as f64);
        self.figure("server_anonymous_bytes", usage.anonymous_bytes as f64);
        self.row("server memory", format!("{} resident", numbers::bytes(usage.resident_bytes as f64)));
    }

    pub fn errors(&mut self, report: &Report, own: &Tally) {
        let mut all = report.errors.clone();
        all.merge(own);
        self.run.errors = all.into_map();
    }

    /// Adds both sides' CPU over a span, and per `unit` of which there were `count`.
    pub fn cpu(&mut self, spent: &Spent, unit: &str, count: u64) {
        for (side, cpu) in [("server", spent.server), ("load", Some(spent.load))] {
            let Some(cpu) = cpu.filter(|_| spent.seconds > 0.0) else { continue };
            let share = 100.0 * cpu / spent.seconds;
            self.figure(&format!("{side}_cpu_percent"), share);
            let mut row = format!("{share:.0} % of a core");
            if count > 0 {
                let each = cpu * 1e6 / count as f64;
                self.figure(&format!("{side}_cpu_us_per_{unit}"), each);
                row.push_str(&format!(", {each:.3} µs per {unit}"));
            }
            self.row(&format!("{side} cpu"), row);
        }
        if spent.server.is_none() && spent.seconds > 0.0 {
            self.note("The server's process is not known, so its CPU and memory are not shown (see --pid).");
        }
    }

    /// Prints the table, writes the JSON, and says whether all went well.
    pub fn finish(mut self, results: &Results) -> Result<(), Failure> {
        let total: u64 = self.run.errors.values().sum();
        self.figure("errors", total as f64);
        self.print();
        if let Some(file) = &results.json {
            files::write_json(file, &self.run)?;
        }
        let mut failures: Vec<String> =
            results.expect.iter().filter_map(|expected| expected.check(&self.run).err()).collect();
        // A run that expects something of its errors has spoken of them; else there may be none.
        if total > 0 && !results.expect.iter().any(Expectation::is_about_errors) {
            let (refusals, others): (Vec<_>, Vec<_>) =
                self.run.errors.iter().partition(|(kind, _)| refusal::is_one(kind));
            failures.extend(refusals.iter().map(|(kind, count)| format!("{count} × {kind}")));
            let others: u64 = others.iter().map(|(_, count)| **count).sum();
            if others > 0 {
                failures.push(format!("{} error(s): see the table", numbers::grouped(others)));
            }
        }
        if failures.is_empty() { Ok(()) } else { Err(Failure::Failed(failures.join("\n"))) }
    }

    fn print(&self) {
        let run = &self.run;
        println!("\n{} on {}", run.scenario, run.target);
        let kinds = run.errors.iter().map(|(kind, count)| ("error".to_owned(), format!("{count} {kind}")));
        let none = run.errors.is_empty().then(|| ("errors".to_owned(), "none".to_owned()));
        let rows: Vec<(String, String)> = self.rows.iter().cloned().chain(kinds).chain(none).collect();
        let width = rows.iter().map(|(label, _)| label.chars().count()).max().unwrap_or(0);
        for (label, value) in rows {
            println!("  {label:<width$}  {value}");
        }
        for note in &run.notes {
            println!("  note: {note}");
        }
        if let Some(path) = &self.written {
            println!("\n{}", path.display());
        }
    }
}

/// CPU seconds of both sides over a span.
#[derive(Clone, Copy, Debug, Default)]
pub struct Spent {
    /// The server's, where its process is known.
    pub server: Option<f64>,
    /// This process's.
    pub load: f64,
    pub seconds: f64,
}

impl Spent {
    /// How many of `count` there were in a second.
    pub fn per_second(&self, count: u64) -> f64 {
        if self.seconds > 0.0 { count as f64 / self.seconds } else { 0.0 }
    }
}

/// Both sides' usage at a moment.
#[derive(Clone, Copy, Debug)]
pub struct Reading {
    /// The server's, where its process is known, and this process's.
    pub server: Option<Usage>,
    pub load: Option<Usage>,
    at: u64,
}

impl Reading {
    pub fn now(setup: &Setup) -> Reading {
        let server = setup.pid.and_then(|pid| process::usage(pid).ok());
        let load = process::usage(std::process::id()).ok();
        Reading { server, load, at: setup.run_state.clock.now() }
    }

    /// What was spent since an earlier reading.
    pub fn since(&self, earlier: &Reading) -> Spent {
        let cpu =
            |new: Option<Usage>, old: Option<Usage>| Some(new?.cpu.saturating_sub(old?.cpu).as_secs_f64());
        Spent {
            server: cpu(self.server, earlier.server),
            load: cpu(self.load, earlier.load).unwrap_or(0.0),
            seconds: (self.at - earlier.at) as f64 / 1e9,
        }
    }
}

/// The command as one would type it.
pub fn command_line() -> String {
    let quoted = |word: String| {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
        if word.chars().all(plain) && !word.is_empty() {
            word
        } else {
            format!("'{}'", word.replace('\'', "'\\''"))
        }
    };
    let words = std::env::args().skip(1).map(quoted);
    std::iter::once("loadtest".to_owned()).chain(words).collect::<Vec<_>>().join(" ")
}
