//! The report: a table of what each way to send costs, its bounds, and an older binary beside this one.

use super::rows::{COLUMNS, Encoding};
use crate::comparison::{Comparison, Row};
use crate::numbers;
use crate::report::cells::with_spread;
use crate::report::document::{errors, made_on};
use crate::report::markdown::Markdown;

/// What an idle connection over TLS may take of user space beyond a plain one.
const TLS_BYTES_MAX: f64 = 3_500.0;

/// The figures that are shown of a scenario, and what they are.
pub fn shown(scenario: &str) -> &'static [(&'static str, &'static str)] {
    match scenario {
        "echo" => &[
            ("server_cpu_us_per_message", "CPU a message"),
            ("deflate_ratio", "ratio from the server"),
            ("deflate_ratio_sent", "ratio from the client"),
        ],
        "fanout" => {
            &[("server_cpu_us_per_delivery", "CPU a delivery"), ("deflate_ratio", "ratio from the server")]
        }
        "churn" => &[("server_cpu_us_per_connection", "CPU a connection")],
        "idle" => &[("anonymous_bytes_per_connection", "memory")],
        _ => &[],
    }
}

/// Each row of a comparison with each figure that is shown of it: its line's name, and the figure's.
fn lines(comparison: &Comparison) -> impl Iterator<Item = (&Row, String, &'static str)> {
    comparison.rows.iter().flat_map(|row| {
        let line =
            move |(figure, what): &(&'static str, &str)| (row, format!("{}: {what}", name(row)), *figure);
        shown(&row.scenario).iter().map(line)
    })
}

pub fn report(comparison: &Comparison) -> String {
    let mut text = Markdown::default();
    text.line("# What encryption and compression cost");
    circumstances(&mut text, comparison);
    costs(&mut text, comparison);
    limit(&mut text, comparison);
    before(&mut text, comparison);
    spreads(&mut text, comparison);
    errors(&mut text, comparison.rows.iter().map(|row| (row, format!("{}, ", name(row)))), "None.");
    origin(&mut text, comparison);
    text.into_text()
}

fn name(row: &Row) -> &str {
    row.parameters.get("row").and_then(|name| name.as_str()).unwrap_or(&row.scenario)
}

fn circumstances(text: &mut Markdown, comparison: &Comparison) {
    text.paragraph(&made_on(comparison));
    let rounds = comparison.rows.iter().flat_map(|row| &row.cells).map(|cell| cell.rounds).max().unwrap_or(0);
    text.paragraph(&format!(
        "Medians of {rounds} rounds in which the servers take turns. One worker. CPU is the server's, kernel included. A line is a \
         line of a chat as JSON, each another one; the clients of all columns offer compression where lines are sent, and send \
         what they may compressed. A ratio is bytes of messages for each byte of frames; TLS's records don't count. Memory is the \
         server's own, anonymous, as a slope from a third of the connections to all."
    ));
}

fn costs(text: &mut Markdown, comparison: &Comparison) {
    text.section("The table");
    let line = |(row, name, figure): (&Row, String, &str)| {
        let values = COLUMNS.map(|encoding| row.figure(encoding.name(), figure));
        let text =
            |value: Option<f64>| value.map_or("–".to_owned(), |value| numbers::compared(figure, value));
        values.iter().any(Option::is_some).then(|| [vec![name], values.map(text).into()].concat())
    };
    let header = [&[""], &COLUMNS.map(Encoding::name)[..]].concat();
    text.table(&header, &lines(comparison).filter_map(line).collect::<Vec<_>>());
}

/// TLS's memory against its bound.
fn limit(text: &mut Markdown, comparison: &Comparison) {
    const FIGURE: &str = "anonymous_bytes_per_connection";
    let idle = comparison.rows.iter().filter(|row| row.scenario == "idle");
    let over = |row: &Row| {
        let over = row.figure(Encoding::Tls.name(), FIGURE)? - row.figure(Encoding::Plain.name(), FIGURE)?;
        let judged = if over <= TLS_BYTES_MAX { "within" } else { "over" };
        let [over, most] = [over, TLS_BYTES_MAX].map(numbers::exact_bytes);
        Some(format!(
            "- {}: TLS takes {over} beyond a plain connection, {judged} the {most} that it may.",
            name(row)
        ))
    };
    let lines: Vec<String> = idle.filter_map(over).collect();
    if !lines.is_empty() {
        text.section("Memory of TLS");
        lines.iter().for_each(|line| text.line(line));
    }
}

/// The older binary beside this one.
fn before(text: &mut Markdown, comparison: &Comparison) {
    let line = |(row, name, figure): (&Row, String, &str)| {
        let value = |encoding: Encoding| row.figure(encoding.name(), figure);
        let (before, now) = (value(Encoding::Before)?, value(Encoding::Plain)?);
        let [old, new] = [before, now].map(|value| numbers::compared(figure, value));
        Some(vec![name, old, new, numbers::ratio(now / before)])
    };
    let lines: Vec<_> = lines(comparison).filter_map(line).collect();
    if !lines.is_empty() {
        text.section("Plain connections before TLS and compression, and now");
        text.table(&["", "before", "now", "now to before"], &lines);
    }
}

/// What the rounds differed by.
fn spreads(text: &mut Markdown, comparison: &Comparison) {
    text.section("The rounds");
    let mut lines = Vec::new();
    for row in &comparison.rows {
        for cell in &row.cells {
            for (figure, what) in shown(&row.scenario) {
                let spread = with_spread(Some(cell), figure);
                if !spread.is_empty() {
                    lines.push(vec![name(row).to_owned(), cell.target.clone(), (*what).to_owned(), spread]);
                }
            }
        }
    }
    text.table(&["", "", "", "median (lowest … highest)"], &lines);
}

fn origin(text: &mut Markdown, comparison: &Comparison) {
    text.section("How it was made, and what it does not show");
    text.commands(["loadtest encodings".to_owned()]);
    text.paragraph(&comparison.notes.first().cloned().unwrap_or_default());
    text.line("Client and server share one machine and its loopback: what compression saves on a real line is not in these times.");
    text.line(
        "The lines are drawn from words as often as people use them and mean nothing; phrases that come back would make them \
         shorter yet.",
    );
    for note in comparison.notes.iter().skip(1) {
        text.line(note);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::Run;

    fn run(scenario: &str, row: &str, encoding: Encoding, figures: &[(&str, f64)]) -> Run {
        Run::example(scenario, encoding.name(), figures).with("row", row)
    }

    #[test]
    fn a_report_has_its_columns_its_bound_and_the_older_binary() {
        let memory =
            |encoding, bytes| run("idle", "idle", encoding, &[("anonymous_bytes_per_connection", bytes)]);
        let echo = |encoding, cpu, ratio| {
            run("echo", "echo", encoding, &[("server_cpu_us_per_message", cpu), ("deflate_ratio", ratio)])
        };
        let runs = [
            echo(Encoding::Plain, 3.5, 1.0),
            echo(Encoding::Before, 3.4, 1.0),
            echo(Encoding::Shared, 14.0, 2.4),
            memory(Encoding::Plain, 100.0),
            memory(Encoding::Tls, 3_550.0),
        ];
        let text = report(&Comparison::of_runs(&runs));
        for part in [
            "|  | plain | TLS | deflate shared | deflate per connection |",
            "| echo: CPU a message | 3.50 µs | – | 14.0 µs | – |",
            "| echo: ratio from the server | 1.00 | – | 2.40 | – |",
            "- idle: TLS takes 3,450 B beyond a plain connection, within the 3,500 B that it may.",
            "| echo: CPU a message | 3.40 µs | 3.50 µs | 1.03× |",
        ] {
            assert!(text.contains(part), "{part} is missing in:\n{text}");
        }
        let over = [memory(Encoding::Plain, 100.0), memory(Encoding::Tls, 3_700.0)];
        assert!(report(&Comparison::of_runs(&over)).contains("3,600 B beyond a plain connection, over the"));
    }
}
