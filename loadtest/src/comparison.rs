//! Runs side by side: those with equal parameters make a row, a target's rounds in it make a cell of medians.
//!
//! This is what `loadtest compare` writes, and what `loadtest report` makes of any runs it is given, so that
//! one document writer serves both. Pure: runs in, rows out.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::measure::Recorder;
use crate::result::{Machine, Phase, Run, SCHEMA, Series};

/// The name of the bare loop as a target: the limit that ratios are taken to.
pub const BARE: &str = "bare";
/// Our own name as a target.
pub const OURS: &str = "rollcall";
/// A server whose core was less busy than this was not the limit: its messages per second are a lower bound.
pub const BUSY_PERCENT: f64 = 97.0;

/// Rows of several targets, made on one machine.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    pub schema: u32,
    /// The command line that made it; empty where it was put together from runs.
    pub command: String,
    /// When the first run began, UTC.
    pub started: String,
    pub machine: Machine,
    /// Program to version.
    pub versions: BTreeMap<String, String>,
    /// In the order in which the first run of each came.
    pub rows: Vec<Row>,
    /// What holds for all rows; a sentence each.
    pub notes: Vec<String>,
}

/// One scenario with one set of parameters.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Row {
    pub scenario: String,
    /// What all its cells have in common.
    pub parameters: BTreeMap<String, serde_json::Value>,
    /// One for each target, in the order in which they came.
    pub cells: Vec<Cell>,
}

/// What one target did in one row.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    pub target: String,
    /// How many rounds the medians are of.
    pub rounds: usize,
    /// The command line of the first round.
    pub command: String,
    /// Medians over the rounds.
    pub figures: BTreeMap<String, f64>,
    /// The lowest and the highest round of each figure.
    pub spread: BTreeMap<String, (f64, f64)>,
    /// Errors by kind, of all rounds together.
    pub errors: BTreeMap<String, u64>,
    /// All rounds added up, as in [`Run::histograms`].
    pub histograms: BTreeMap<String, String>,
    /// Of the last round.
    pub series: Vec<Series>,
    /// Of the last round.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub phases: Vec<Phase>,
    /// Of all rounds, without repetitions.
    pub notes: Vec<String>,
}

impl Comparison {
    /// Rows from runs. Where runs differ in machine the first one's is shown, and a note says so.
    pub fn of_runs(runs: &[Run]) -> Comparison {
        let mut comparison = Comparison { schema: SCHEMA, ..Comparison::default() };
        let mut grouped: Vec<(Row, Vec<Vec<&Run>>)> = Vec::new();
        for run in runs {
            comparison.versions.extend(run.versions.clone());
            let parameters = common_parameters(run);
            let same =
                |(row, _): &&mut (Row, _)| row.scenario == run.scenario && row.parameters == parameters;
            match grouped.iter_mut().find(same) {
                Some((_, targets)) => {
                    match targets.iter_mut().find(|rounds| rounds[0].target == run.target) {
                        Some(rounds) => rounds.push(run),
                        None => targets.push(vec![run]),
                    }
                }
                None => {
                    let row = Row { scenario: run.scenario.clone(), parameters, cells: Vec::new() };
                    grouped.push((row, vec![vec![run]]));
                }
            }
        }
        if let Some(first) = runs.first() {
            comparison.machine = first.machine.clone();
            comparison.started = runs.iter().map(|run| run.started.clone()).min().unwrap_or_default();
            if runs.iter().any(|run| run.machine != first.machine) {
                comparison
                    .notes
                    .push("The runs were made on different machines; the first one's is shown.".into());
            }
        }
        comparison.rows = grouped
            .into_iter()
            .map(|(row, targets)| Row {
                cells: targets.iter().map(|rounds| Cell::of(rounds)).collect(),
                ..row
            })
            .collect();
        comparison
    }
}

impl Row {
    pub fn cell(&self, target: &str) -> Option<&Cell> {
        self.cells.iter().find(|cell| cell.target == target)
    }

    pub fn figure(&self, target: &str, name: &str) -> Option<f64> {
        self.cell(target)?.figure(name)
    }

    /// A parameter as a number.
    pub fn number(&self, name: &str) -> Option<f64> {
        self.parameters.get(name)?.as_f64()
    }

    /// Whether messages were sent at a fixed rate: then the latencies speak, not the throughput.
    pub fn is_paced(&self) -> bool {
        self.number("rate").is_some_and(|rate| rate > 0.0)
    }

    /// The cell that beats all other peers in a figure: not ours and not the bare loop.
    pub fn best_peer(&self, figure: &str, lower_is_better: bool) -> Option<&Cell> {
        let value = |cell: &&Cell| cell.figures[figure] * if lower_is_better { -1.0 } else { 1.0 };
        self.cells
            .iter()
            .filter(|cell| cell.target != BARE && cell.target != OURS && cell.figures.contains_key(figure))
            .max_by(|a, b| value(a).total_cmp(&value(b)))
    }
}

impl Cell {
    fn of(rounds: &[&Run]) -> Cell {
        let mut cell = Cell {
            target: rounds[0].target.clone(),
            rounds: rounds.len(),
            command: rounds[0].command.clone(),
            ..Cell::default()
        };
        for name in rounds.iter().flat_map(|run| run.figures.keys()) {
            let mut values: Vec<f64> =
                rounds.iter().filter_map(|run| run.figures.get(name)).copied().collect();
            let middle = median(&mut values);
            cell.figures.insert(name.clone(), middle);
            cell.spread.insert(name.clone(), (values[0], values[values.len() - 1]));
        }
        for run in rounds {
            for (kind, count) in &run.errors {
                *cell.errors.entry(kind.clone()).or_default() += count;
            }
            for note in &run.notes {
                if !cell.notes.contains(note) {
                    cell.notes.push(note.clone());
                }
            }
            cell.series.clone_from(&run.series);
            cell.phases.clone_from(&run.phases);
        }
        for name in rounds.iter().flat_map(|run| run.histograms.keys()) {
            if let Some(sum) = sum_of(rounds.iter().filter_map(|run| run.histograms.get(name))) {
                cell.histograms.insert(name.clone(), sum);
            }
        }
        cell
    }

    /// Whether the server's core was idle enough that the load side was the limit.
    pub fn had_spare_time(&self) -> bool {
        self.figure("server_cpu_percent").is_some_and(|percent| percent < BUSY_PERCENT)
    }

    pub fn figure(&self, name: &str) -> Option<f64> {
        self.figures.get(name).copied()
    }

    /// A histogram of it, if it is there, reads and has values.
    pub fn histogram(&self, name: &str) -> Option<Recorder> {
        Recorder::decode(self.histograms.get(name)?).filter(|recorder| recorder.count() > 0)
    }
}

/// The middle value, or the mean of the two middle ones; sorts its input. It must not be empty.
pub fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let upper = values.len() / 2;
    if values.len() % 2 == 1 { values[upper] } else { f64::midpoint(values[upper - 1], values[upper]) }
}

fn sum_of<'a>(mut histograms: impl Iterator<Item = &'a String>) -> Option<String> {
    let mut sum = Recorder::decode(histograms.next()?)?;
    for text in histograms {
        sum.add(&Recorder::decode(text)?);
    }
    Some(sum.encode())
}

/// The parameters without those that name the target or the place where results go.
fn common_parameters(run: &Run) -> BTreeMap<String, serde_json::Value> {
    const OF_ONE_TARGET: [&str; 6] = ["url", "target", "pid", "json", "expect", "protocol"];
    let common = |(name, _): &(&String, _)| !OF_ONE_TARGET.contains(&name.as_str());
    run.parameters.iter().filter(common).map(|(name, value)| (name.clone(), value.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(target: &str, size: u64, rate: f64) -> Run {
        let run = Run::example("echo", target, &[("messages_per_second", rate)]);
        run.with("size", size).with("url", format!("ws://127.0.0.1/{target}"))
    }

    #[test]
    fn rounds_become_a_median_and_a_spread() {
        let runs =
            [run("a", 20, 3.0), run("b", 20, 9.0), run("a", 20, 1.0), run("a", 20, 2.0), run("a", 125, 7.0)];
        let rows = Comparison::of_runs(&runs).rows;
        assert_eq!(rows.len(), 2, "the URL does not part rows, the size does");
        let cell = rows[0].cell("a").expect("a took part");
        assert_eq!((cell.rounds, cell.figures["messages_per_second"]), (3, 2.0));
        assert_eq!(cell.spread["messages_per_second"], (1.0, 3.0));
        assert_eq!(rows[0].cells[1].target, "b");
    }

    #[test]
    fn an_even_number_of_rounds_has_a_middle_too() {
        assert_eq!(median(&mut [4.0, 1.0, 2.0, 3.0]), 2.5);
        assert_eq!(median(&mut [5.0]), 5.0);
    }

    #[test]
    fn the_best_peer_is_neither_ours_nor_the_limit() {
        let runs = [run(OURS, 20, 5.0), run(BARE, 20, 6.0), run("x", 20, 3.0), run("y", 20, 4.0)];
        let row = &Comparison::of_runs(&runs).rows[0];
        assert_eq!(row.best_peer("messages_per_second", false).expect("two peers").target, "y");
        assert_eq!(row.best_peer("messages_per_second", true).expect("two peers").target, "x");
        assert!(row.best_peer("p99_us", true).is_none());
    }

    #[test]
    fn histograms_of_rounds_add_up() {
        let mut recorder = Recorder::default();
        recorder.record(1_000);
        let text = recorder.encode();
        let mut rounds = [run("a", 20, 1.0), run("a", 20, 2.0)];
        for round in &mut rounds {
            round.histograms.insert("latency".into(), text.clone());
        }
        let cell = &Comparison::of_runs(&rounds).rows[0].cells[0];
        assert_eq!(cell.histogram("latency").expect("decodes").count(), 2);
    }
}
