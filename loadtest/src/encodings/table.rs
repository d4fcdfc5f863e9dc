//! The report: a table of what each way to send costs, its bounds, and an older binary beside this one.

use super::rows::{COLUMNS, Encoding};
use crate::bench::Shown;
use crate::comparison::{Comparison, Row};
use crate::report::cells::with_spread;
use crate::report::document::{errors, made_on};
use crate::report::markdown::Markdown;
use crate::report::numbers;

/// What an idle connection over TLS may take of user space beyond a plain one.
const TLS_BYTES_MAX: f64 = 3_500.0;

/// The figures that are shown of each scenario.
const SHOWN: [(&str, &[Shown]); 4] = [
    (
        "echo",
        &[
            Shown { figure: "server_cpu_us_per_message", what: "CPU a message", text: numbers::micros },
            Shown { figure: "deflate_ratio", what: "ratio from the server", text: ratio },
            Shown { figure: "deflate_ratio_sent", what: "ratio from the client", text: ratio },
        ],
    ),
    (
        "fanout",
        &[
            Shown { figure: "server_cpu_us_per_delivery", what: "CPU a delivery", text: numbers::micros },
            Shown { figure: "deflate_ratio", what: "ratio from the server", text: ratio },
        ],
    ),
    (
        "churn",
        &[Shown { figure: "server_cpu_us_per_connection", what: "CPU a connection", text: numbers::micros }],
    ),
    ("idle", &[Shown { figure: "anonymous_bytes_per_connection", what: "memory", text: bytes }]),
];

/// Those of one scenario.
pub fn shown(scenario: &str) -> impl Iterator<Item = &'static Shown> {
    SHOWN.iter().filter(move |(name, _)| *name == scenario).flat_map(|(_, shown)| shown.iter())
}

fn ratio(value: f64) -> String {
    format!("{value:.2}")
}

fn bytes(value: f64) -> String {
    format!("{} B", numbers::whole(value))
}

/// All of it, as Markdown.
pub fn report(comparison: &Comparison) -> String {
    let mut text = Markdown::default();
    text.line("# What encryption and compression cost");
    circumstances(&mut text, comparison);
    costs(&mut text, comparison);
    limit(&mut text, comparison);
    before(&mut text, comparison);
    spreads(&mut text, comparison);
    errors(&mut text, comparison, name);
    origin(&mut text, comparison);
    text.into_text()
}

fn name(row: &Row) -> &str {
    row.parameters.get("row").and_then(|name| name.as_str()).unwrap_or(&row.scenario)
}

fn value(row: &Row, encoding: Encoding, figure: &str) -> Option<f64> {
    row.cell(encoding.name())?.figures.get(figure).copied()
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
    let mut header = vec![String::new()];
    header.extend(COLUMNS.map(|encoding| encoding.name().to_owned()));
    let mut lines = Vec::new();
    for row in &comparison.rows {
        for shown in shown(&row.scenario) {
            let values = COLUMNS.map(|encoding| value(row, encoding, shown.figure));
            if values.iter().any(Option::is_some) {
                let mut line = vec![format!("{}: {}", name(row), shown.what)];
                line.extend(values.map(|value| value.map_or("–".to_owned(), shown.text)));
                lines.push(line);
            }
        }
    }
    text.table(&header, &lines);
}

/// TLS's memory against its bound.
fn limit(text: &mut Markdown, comparison: &Comparison) {
    const FIGURE: &str = "anonymous_bytes_per_connection";
    let idle = comparison.rows.iter().filter(|row| row.scenario == "idle");
    let over = |row: &Row| {
        let over = value(row, Encoding::Tls, FIGURE)? - value(row, Encoding::Plain, FIGURE)?;
        let judged = if over <= TLS_BYTES_MAX { "within" } else { "over" };
        let (over, most) = (bytes(over), bytes(TLS_BYTES_MAX));
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
    let mut lines = Vec::new();
    for row in &comparison.rows {
        for shown in shown(&row.scenario) {
            let (before, now) =
                (value(row, Encoding::Before, shown.figure), value(row, Encoding::Plain, shown.figure));
            if let (Some(before), Some(now)) = (before, now) {
                let (old, new) = ((shown.text)(before), (shown.text)(now));
                lines.push(vec![
                    format!("{}: {}", name(row), shown.what),
                    old,
                    new,
                    numbers::ratio(now / before),
                ]);
            }
        }
    }
    if !lines.is_empty() {
        text.section("Plain connections before TLS and compression, and now");
        let header = ["", "before", "now", "now to before"].map(str::to_owned);
        text.table(&header, &lines);
    }
}

/// What the rounds differed by.
fn spreads(text: &mut Markdown, comparison: &Comparison) {
    text.section("The rounds");
    let header = ["", "", "", "median (lowest … highest)"].map(str::to_owned);
    let mut lines = Vec::new();
    for row in &comparison.rows {
        for cell in &row.cells {
            for shown in shown(&row.scenario) {
                let spread = with_spread(Some(cell), shown.figure);
                if !spread.is_empty() {
                    lines.push(vec![
                        name(row).to_owned(),
                        cell.target.clone(),
                        shown.what.to_owned(),
                        spread,
                    ]);
                }
            }
        }
    }
    text.table(&header, &lines);
}

fn origin(text: &mut Markdown, comparison: &Comparison) {
    text.section("How it was made, and what it does not show");
    text.line("```sh");
    text.line("loadtest encodings");
    text.line("```");
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
        Run {
            scenario: scenario.into(),
            target: encoding.name().into(),
            parameters: [("row".to_owned(), row.into())].into(),
            figures: figures.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect(),
            ..Run::default()
        }
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
