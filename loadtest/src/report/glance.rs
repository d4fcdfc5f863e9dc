//! A comparison in one table: what each row comes to beside the bare loop and the best of the peers.

use super::measures::{MEASURES, Measure};
use crate::comparison::{BARE, OURS, Row};
use crate::numbers;

/// Rows from which on a comparison has so many tables that it wants one more.
const ROWS_MIN: usize = 6;
/// What is compared where the rate is fixed.
const PACED: &str = "p99_us";
/// The parameter that counts workers.
const WORKERS: &str = "workers";

/// The header of the table.
pub const HEADER: [&str; 6] = ["less is better", OURS, BARE, "best peer", "to bare", "to the best peer"];

/// The lines: what a server spends, of which less is better, at a fixed rate how long an answer took, and with several workers
/// how much more is spent than with one. `None` where hardly anything is compared.
pub fn table(rows: &[(&Row, &str)]) -> Option<Vec<Vec<String>>> {
    let spendings = || MEASURES.iter().filter(|measure| measure.lower_is_better());
    let spent = spendings().flat_map(|measure| {
        rows.iter()
            .filter(|(row, _)| measure.holds_for(row))
            .filter_map(|(row, name)| line(row, format!("{}: {name}", measure.title), measure.figure))
    });
    let paced = rows.iter().filter(|(row, _)| row.is_paced());
    let paced = paced.filter_map(|(row, name)| line(row, format!("Latency, p99: {name}"), PACED));
    let scaled = spendings().flat_map(|measure| {
        let several = rows.iter().filter(|(row, _)| measure.holds_for(row));
        several.filter_map(|(row, name)| scaled(row, alone(row, rows)?, name, measure))
    });
    let lines: Vec<_> = spent.chain(paced).chain(scaled).collect();
    (lines.len() >= ROWS_MIN).then_some(lines)
}

fn line(row: &Row, label: String, figure: &str) -> Option<Vec<String>> {
    let text = |value| numbers::compared(figure, value);
    let (ours, bare) = (row.figure(OURS, figure)?, row.figure(BARE, figure));
    let peer = row.best_peer(figure, true)?;
    let best = peer.figures[figure];
    let none = || "–".to_owned();
    Some(vec![
        label,
        text(ours),
        bare.map_or_else(none, text),
        format!("{} {}", text(best), peer.target),
        bare.map_or_else(none, |bare| numbers::ratio(ours / bare)),
        numbers::ratio(ours / best),
    ])
}

/// The same row with one worker, where this one has several.
fn alone<'a>(row: &Row, rows: &[(&'a Row, &str)]) -> Option<&'a Row> {
    let mut parameters = row.parameters.clone();
    parameters.insert(WORKERS.to_owned(), 1.into()).filter(|workers| workers.as_f64() > Some(1.0))?;
    rows.iter()
        .map(|(row, _)| *row)
        .find(|other| other.scenario == row.scenario && other.parameters == parameters)
}

/// What a message costs with several workers, as a multiple of what it costs `alone`.
fn scaled(row: &Row, alone: &Row, name: &str, measure: &Measure) -> Option<Vec<String>> {
    let value =
        |target: &str| Some(row.figure(target, measure.figure)? / alone.figure(target, measure.figure)?);
    let (ours, bare) = (value(OURS)?, value(BARE));
    let none = || "–".to_owned();
    Some(vec![
        format!("{}, against 1 worker: {name}", measure.title),
        numbers::ratio(ours),
        bare.map_or_else(none, numbers::ratio),
        none(),
        bare.map_or_else(none, |bare| numbers::ratio(ours / bare)),
        none(),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::comparison::Cell;

    fn row(rate: f64) -> Row {
        let cell = |target: &str, micros: f64| Cell {
            target: target.into(),
            figures: [("server_cpu_us_per_message".to_owned(), micros), (PACED.to_owned(), 10.0 * micros)]
                .into(),
            ..Cell::default()
        };
        Row {
            scenario: "echo".into(),
            parameters: [("rate".to_owned(), rate.into())].into(),
            cells: vec![cell(OURS, 3.0), cell(BARE, 2.5), cell("slow", 9.0), cell("fast", 4.0)],
        }
    }

    #[test]
    fn each_row_stands_beside_the_limit_and_the_best_peer() {
        let (free, paced) = (row(0.0), row(1000.0));
        let rows: Vec<(&Row, &str)> =
            [(&free, "free")].repeat(4).into_iter().chain([(&paced, "paced")]).collect();
        let lines = table(&rows).expect("six lines");
        assert_eq!(
            lines[0],
            ["Server CPU per message: free", "3.00 µs", "2.50 µs", "4.00 µs fast", "1.20×", "0.75×"]
        );
        assert_eq!(lines[5][0], "Latency, p99: paced");
        assert!(table(&rows[..4]).is_none(), "little is seen at a glance anyhow");
    }

    #[test]
    fn several_workers_stand_beside_one() {
        let with = |workers: u64, ours: f64, bare: f64| {
            let mut row = row(0.0);
            row.parameters.insert(WORKERS.to_owned(), workers.into());
            for (cell, micros) in row.cells.iter_mut().zip([ours, bare]) {
                cell.figures.insert("server_cpu_us_per_message".to_owned(), micros);
            }
            row.cells.truncate(2);
            row
        };
        let (one, two, free) = (with(1, 3.0, 2.0), with(2, 3.6, 2.2), row(0.0));
        let rows: Vec<(&Row, &str)> = [(&free, "free")]
            .repeat(5)
            .into_iter()
            .chain([(&one, "1 worker"), (&two, "2 workers")])
            .collect();
        let lines = table(&rows).expect("six lines");
        assert_eq!(
            lines[5..],
            [["Server CPU per message, against 1 worker: 2 workers", "1.20×", "1.10×", "–", "1.09×", "–"]]
        );
    }
}
