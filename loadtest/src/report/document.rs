//! The report's text, in Markdown: what was measured, the drawings and tables, how it was made, and what it does
//! not show.

use super::cells::{figure_text, with_spread};
use super::markdown::Markdown;
use super::measures::{MEASURES, Measure, names, targets};
use super::plots::{self, Plot};
use super::{glance, goals, scale};
use crate::comparison::{BARE, Comparison, OURS, Row};
use crate::numbers;

/// A text and the drawings that it shows.
pub struct Document {
    pub text: String,
    /// To be written beside it.
    pub plots: Vec<Plot>,
}

const QUANTILES: [f64; 5] = [0.5, 0.9, 0.99, 0.999, 0.9999];
/// Said where there are no errors.
const FINE: &str =
    "None: every message that was sent came back, and every connection ended as it was meant to.";

/// A document that is being written.
struct Writer<'a> {
    text: Markdown,
    plots: Vec<Plot>,
    /// Begins the drawings' file names.
    name: &'a str,
}

impl Document {
    /// All of it. `name` begins the drawings' file names.
    pub fn of(comparison: &Comparison, name: &str, title: &str) -> Document {
        let mut writer = Writer { text: Markdown::default(), plots: Vec::new(), name };
        writer.text.line(&format!("# {title}"));
        writer.circumstances(comparison);
        let row_names = names(&comparison.rows);
        let named: Vec<(&Row, &str)> =
            comparison.rows.iter().zip(row_names.iter().map(String::as_str)).collect();
        writer.goals(&named);
        if let Some(lines) = glance::table(&named) {
            writer.text.section("At a glance");
            writer.text.table(&glance::HEADER, &lines);
        }
        for measure in &MEASURES {
            let rows: Vec<_> = named.iter().copied().filter(|(row, _)| measure.holds_for(row)).collect();
            if !rows.is_empty() {
                writer.measure(measure, &rows);
            }
        }
        writer.latencies(&named);
        writer.timelines(&named);
        writer.everything(&named);
        let named = named.iter().map(|(row, name)| (*row, format!("{} {name}, ", row.scenario)));
        errors(&mut writer.text, named, FINE);
        writer.origin(comparison);
        writer.limits(comparison);
        Document { text: writer.text.into_text(), plots: writer.plots }
    }
}

impl Writer<'_> {
    fn show(&mut self, plot: Plot) {
        self.text.picture(&plot.label, &format!("{}-{}.svg", self.name, plot.file));
        self.plots.push(plot);
    }

    fn circumstances(&mut self, comparison: &Comparison) {
        let versions: Vec<String> =
            comparison.versions.iter().map(|(program, version)| format!("{program} {version}")).collect();
        let rounds = |paced: bool| {
            let rows = comparison.rows.iter().filter(|row| row.is_paced() == paced);
            rows.flat_map(|row| &row.cells).map(|cell| cell.rounds).max()
        };
        self.text.paragraph(&made_on(comparison));
        if !versions.is_empty() {
            self.text.paragraph(&versions.join(" · "));
        }
        let (free, paced) = (rounds(false), rounds(true));
        let both = free.or(paced).unwrap_or(0);
        if both.max(paced.unwrap_or(0)) > 1 {
            let other = paced.filter(|paced| *paced != both);
            let other = other.map_or(String::new(), |paced| format!(", at a fixed rate of {paced}"));
            let about = format!("Each figure is the median of {both} rounds{other}");
            self.text.paragraph(&format!("{about}; the targets take turns within a row."));
        }
    }

    /// What a run with all users is judged by, and its memory.
    fn goals(&mut self, rows: &[(&Row, &str)]) {
        for cell in
            rows.iter().filter(|(row, _)| row.scenario == goals::SCENARIO).flat_map(|(row, _)| &row.cells)
        {
            self.text.section("What was asked, and what came of it");
            self.text.table(&["", "measured", "at most", ""], &goals::table(cell));
            if let Some(lines) = goals::receipt(cell) {
                self.text.section("The memory receipt");
                self.text.line(
                    "As the server tells it: each line from the structure's own capacity, and what is in none of them by \
                     itself.",
                );
                self.text.table(&goals::RECEIPT, &lines);
            }
        }
    }

    fn measure(&mut self, measure: &Measure, rows: &[(&Row, &str)]) {
        self.text.section(measure.title);
        match plots::measure(measure, rows) {
            Some(plot) => self.show(plot),
            None => self.text.line(measure.about),
        }
        let only_rows: Vec<&Row> = rows.iter().map(|(row, _)| *row).collect();
        let order = targets(&only_rows);
        let has = |target: &str| order.contains(&target);
        let peers = order.iter().any(|target| *target != OURS && *target != BARE);
        let mut header = [&[""], &order[..]].concat();
        if has(OURS) && has(BARE) {
            header.push("to bare");
        }
        if has(OURS) && peers {
            header.push("to the best peer");
        }
        let line = |(row, name): &(&Row, &str)| {
            let mut line = vec![(*name).to_owned()];
            line.extend(order.iter().map(|target| figure_text(measure, row.cell(target))));
            let none = || "–".to_owned();
            let against = |target: &str| {
                let value = |target| row.figure(target, measure.figure);
                value(OURS).zip(value(target)).map_or_else(none, |(ours, other)| numbers::ratio(ours / other))
            };
            if has(OURS) && has(BARE) {
                line.push(against(BARE));
            }
            if has(OURS) && peers {
                let best = row.best_peer(measure.figure, measure.lower_is_better());
                let best = best.map(|best| format!("{} {}", against(&best.target), best.target));
                line.push(best.unwrap_or_else(none));
            }
            line
        };
        let lines: Vec<_> = rows.iter().map(line).collect();
        self.text.table(&header, &lines);
    }

    /// Percentiles of every histogram; curves of those that were taken under a fixed rate, or else of a few others.
    fn latencies(&mut self, rows: &[(&Row, &str)]) {
        let with: Vec<_> =
            rows.iter().filter(|(row, _)| row.cells.iter().any(|cell| !cell.histograms.is_empty())).collect();
        if with.is_empty() {
            return;
        }
        self.text.section("Latency");
        let paced = with.iter().any(|(row, _)| row.is_paced());
        let drawn =
            with.iter().filter(|(row, _)| !paced || row.is_paced() || plots::is_of_deaths(row)).take(4);
        for (index, (row, row_name)) in drawn.enumerate() {
            if let Some(plot) = plots::latency(row, row_name, format!("latency-{}", index + 1)) {
                self.show(plot);
            }
        }
        let mut lines = Vec::new();
        for (row, row_name) in
            with.iter().filter(|(row, _)| !paced || row.is_paced() || row.scenario != "echo")
        {
            for target in targets(&[row]) {
                let Some(cell) = row.cell(target) else { continue };
                for what in cell.histograms.keys() {
                    let Some(histogram) = cell.histogram(what) else { continue };
                    let mut line = vec![(*row_name).to_owned(), what.clone(), target.to_owned()];
                    line.extend(QUANTILES.map(|quantile| numbers::micros(histogram.micros_at(quantile))));
                    line.push(numbers::micros(histogram.max_micros()));
                    lines.push(line);
                }
            }
        }
        let quantiles = QUANTILES.map(|quantile| format!("p{}", scale::percentile_name(quantile)));
        let header = [&["", "of", "target"][..], &quantiles.each_ref().map(String::as_str), &["highest"]];
        self.text.table(&header.concat(), &lines);
    }

    fn timelines(&mut self, rows: &[(&Row, &str)]) {
        let drawn: Vec<Plot> = rows
            .iter()
            .enumerate()
            .filter_map(|(index, (row, row_name))| {
                let called = format!("{}, {row_name}", row.scenario);
                plots::timeline(row, &called, format!("timeline-{}", index + 1))
            })
            .collect();
        if drawn.is_empty() {
            return;
        }
        self.text.section("Second by second");
        for plot in drawn {
            self.show(plot);
        }
    }

    /// Every figure of every cell with the lowest and the highest round, folded away: a table for each row.
    fn everything(&mut self, rows: &[(&Row, &str)]) {
        self.text.section("All figures");
        self.text.line("<details><summary>Every figure, with the lowest and the highest round where they differ</summary>");
        for (row, row_name) in rows {
            let order = targets(&[row]);
            let mut figures: Vec<&String> = row.cells.iter().flat_map(|cell| cell.figures.keys()).collect();
            figures.sort();
            figures.dedup();
            if figures.is_empty() {
                continue;
            }
            let line = |figure: &&String| {
                let mut line = vec![format!("`{figure}`")];
                line.extend(order.iter().map(|target| with_spread(row.cell(target), figure)));
                line
            };
            let lines: Vec<_> = figures.iter().map(line).collect();
            let name = format!("{}: {row_name}", row.scenario);
            self.text.table(&[&[name.as_str()], &order[..]].concat(), &lines);
        }
        self.text.paragraph("</details>");
    }

    fn origin(&mut self, comparison: &Comparison) {
        self.text.section("How it was made");
        let of_cells = || comparison.rows.iter().flat_map(|row| &row.cells).map(|cell| &cell.command);
        if comparison.command.is_empty() {
            self.text.commands(of_cells().map(|command| without_folders(command)));
        } else {
            self.text.commands([without_folders(&comparison.command)]);
        }
    }

    fn limits(&mut self, comparison: &Comparison) {
        self.text.section("What it does not show");
        let mut notes: Vec<String> = vec![
            "Client and server share one machine and its loopback: no network card, no real network's delay or loss.".into(),
            format!(
                "With {} cores in all, the kernel's work for the client's sockets and the server's own compete for caches \
                 and for the memory bus.",
                comparison.machine.cores
            ),
        ];
        if comparison.rows.iter().all(|row| row.number("workers").is_none()) {
            notes.push("A server on one core says nothing about how it scales over many.".into());
        }
        if comparison.rows.iter().any(|row| row.scenario == "echo" && !row.is_paced()) {
            notes.push(
                "In a closed loop a client sends only after it got its answer: the highest rate, but no latency under a \
                 given load."
                    .into(),
            );
        }
        let of_cells = comparison.rows.iter().flat_map(|row| &row.cells).flat_map(|cell| &cell.notes);
        for note in comparison.notes.iter().chain(of_cells) {
            if !notes.contains(note) {
                notes.push(note.clone());
            }
        }
        for note in notes {
            self.text.line(&format!("- {note}"));
        }
    }
}

/// A command without the folders of the machine that it was typed on, which mean nothing to others.
fn without_folders(command: &str) -> String {
    let last = |word: &str| match word.strip_prefix('/') {
        Some(path) => path.rsplit('/').next().unwrap_or(path).to_owned(),
        None => word.to_owned(),
    };
    command.split(' ').map(last).collect::<Vec<_>>().join(" ")
}

/// Errors by target, of rows with what stands before the target; `fine` where there are none.
pub fn errors<'a>(text: &mut Markdown, rows: impl Iterator<Item = (&'a Row, String)>, fine: &str) {
    text.section("Errors");
    let mut none = true;
    for (row, name) in rows {
        for cell in &row.cells {
            for (kind, count) in cell.errors.iter().filter(|(_, count)| **count > 0) {
                none = false;
                let count = numbers::whole(*count as f64);
                text.line(&format!("- {name}{}: {count} × {kind}", cell.target));
            }
        }
    }
    if none {
        text.line(fine);
    }
}

/// Where and when a comparison was made, in a line.
pub fn made_on(comparison: &Comparison) -> String {
    let machine = &comparison.machine;
    format!(
        "{} · {} core{} · {} of memory · Linux {} · {} descriptors a table · {}",
        machine.cpu,
        machine.cores,
        if machine.cores == 1 { "" } else { "s" },
        numbers::bytes(machine.memory_bytes as f64),
        machine.kernel,
        numbers::whole(machine.descriptors as f64),
        comparison.started,
    )
}

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::*;

    const GOLDEN: &str = "\
# A small one

Example CPU @ 2.00GHz · 2 cores · 24 GiB of memory · Linux 6.18.0 · 20,000 descriptors a table · 2026-01-31T12:00:00Z

loadtest 0.1.0

## Messages per second

![Messages per second](small-throughput.svg)

|  | rollcall | bun | bare | to bare | to the best peer |
|---|--:|--:|--:|--:|--:|
| 20 B, 200 connections | 290 k | 266 k | 300 k | 0.97× | 1.09× bun |
| 1 KiB, 200 connections | ≥ 200 k | ≥ 198 k | ≥ 200 k | 1.00× | 1.01× bun |

## Server CPU per message

![Server CPU per message](small-cpu.svg)

|  | rollcall | bun | bare | to bare | to the best peer |
|---|--:|--:|--:|--:|--:|
| 20 B, 200 connections | 3.40 µs | 3.76 µs | 3.30 µs | 1.03× | 0.90× bun |
| 1 KiB, 200 connections | 3.50 µs | 4.20 µs | 3.30 µs | 1.06× | 0.83× bun |

## All figures
";

    #[test]
    fn a_comparison_reads_as_tables_with_ratios() {
        let document = Document::of(&fixture::small(), "small", "A small one");
        let (text, _) = document.text.split_at(GOLDEN.len().min(document.text.len()));
        assert_eq!(text, GOLDEN);
    }

    #[test]
    fn every_drawing_is_shown_once_and_every_shown_one_is_there() {
        let document = Document::of(&fixture::full(), "full", "full");
        assert!(document.plots.len() >= 8);
        for plot in &document.plots {
            assert_eq!(
                document.text.matches(&format!("(full-{}.svg)", plot.file)).count(),
                1,
                "{}",
                plot.file
            );
        }
        assert_eq!(document.text.matches("![").count(), document.plots.len());
    }

    #[test]
    fn rounds_at_a_fixed_rate_are_told_where_they_are_more() {
        let mut comparison = fixture::small();
        for (index, row) in comparison.rows.iter_mut().enumerate() {
            row.cells.iter_mut().for_each(|cell| cell.rounds = 3 + 2 * index);
        }
        comparison.rows[1].parameters.insert("rate".into(), 1000.into());
        let text = Document::of(&comparison, "small", "small").text;
        assert!(text.contains("the median of 3 rounds, at a fixed rate of 5; the targets"), "{text}");
    }

    #[test]
    fn a_command_names_no_folder_of_its_machine() {
        let command =
            "loadtest echo --url ws://127.0.0.1:1/echo --json /tmp/x/a.json --ours target/release/rollcall";
        let shown = "loadtest echo --url ws://127.0.0.1:1/echo --json a.json --ours target/release/rollcall";
        assert_eq!(without_folders(command), shown);
    }

    #[test]
    fn a_report_says_its_commands_its_limits_and_its_errors() {
        let mut comparison = fixture::small();
        comparison.rows[0].cells[0].errors.insert("lost message".into(), 3);
        comparison.rows[0].cells[0].notes.push("The clock was slow.".into());
        let text = Document::of(&comparison, "small", "small").text;
        assert!(text.contains("loadtest echo ws://127.0.0.1:8080/echo --target bun"));
        assert!(text.contains("- The clock was slow.") && text.contains("no real network"));
        assert!(text.contains("20 B, 200 connections, bare: 3 × lost message"));
    }
}
