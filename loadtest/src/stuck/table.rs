//! The report: what the readers and the server noticed of the stuck, and whether that is within the bounds.

use super::modes::{MODES, Mode};
use crate::comparison::{Comparison, Row};
use crate::numbers;
use crate::numbers::grouped;
use crate::report::cells::with_spread;
use crate::report::document::{errors, made_on};
use crate::report::markdown::Markdown;

/// Figures that are shown, and what they are.
pub const SHOWN: [(&str, &str); 10] = [
    ("p50_us", "a delivery to a reader, p50"),
    ("p99_us", "p99"),
    ("p99_9_us", "p99.9"),
    ("max_us", "the slowest"),
    ("server_cpu_percent", "the server's core"),
    ("server_memory_max_bytes", "server memory, resident, at the most"),
    ("backlog_max_bytes", "queued for all together, at the most"),
    ("closed_1013", "closed with 1013"),
    ("dropped_messages", "messages dropped (oldest)"),
    ("replaced_states", "states that a later one replaced"),
];

/// Whether something that was asked holds.
pub struct Verdict {
    pub what: String,
    pub found: String,
    pub holds: bool,
}

/// What was asked, and what came of it. `most`: how many times the p99 without the stuck may be with them.
pub fn verdicts(comparison: &Comparison, most: f64) -> Vec<Verdict> {
    comparison.rows.first().map_or_else(Vec::new, |row| of_room(row, most))
}

fn of_room(row: &Row, most: f64) -> Vec<Verdict> {
    let value = |mode: Mode, name: &str| row.figure(mode.name(), name).unwrap_or(f64::NAN);
    let members = row.number("members").unwrap_or(0.0);
    let bound = members * row.number("max_backlog").unwrap_or(0.0);
    let mut verdicts = Vec::new();
    let mut judge = |what: String, found: String, holds| verdicts.push(Verdict { what, found, holds });
    for mode in &MODES[1..] {
        let ratio = value(*mode, "p99_us") / value(Mode::Nobody, "p99_us");
        judge(
            format!("{}: the readers' p99 at most {most} times that without", mode.name()),
            numbers::ratio(ratio),
            ratio <= most,
        );
        let more = value(*mode, "server_memory_max_bytes") - value(Mode::Nobody, "server_memory_max_bytes");
        judge(
            format!("{}: memory beyond that without at most --max-backlog for each", mode.name()),
            format!("{} of {}", numbers::bytes(more.max(0.0)), numbers::bytes(bound)),
            more <= bound,
        );
        let replaced = value(*mode, "replaced_states");
        judge(
            format!("{}: of states the latest waits", mode.name()),
            format!("{} replaced", grouped(replaced as u64)),
            replaced > 0.0,
        );
    }
    let closed = value(Mode::Closed, "closed_1013");
    let told = |count: f64, what| format!("{} {what}", grouped(count as u64));
    judge(format!("{}: all of them", Mode::Closed.name()), told(closed, "with 1013"), closed == members);
    let (dropped, also) = (value(Mode::Dropped, "dropped_messages"), value(Mode::Dropped, "closed_1013"));
    judge(
        format!("{}: counted, and nobody closed", Mode::Dropped.name()),
        format!("{}, {}", told(dropped, "dropped"), told(also, "with 1013")),
        dropped > 0.0 && also == 0.0,
    );
    verdicts
}

pub fn report(comparison: &Comparison, verdicts: &[Verdict]) -> String {
    let mut text = Markdown::default();
    text.line("# Members that read nothing in a busy room");
    let Some(row) = comparison.rows.first() else { return text.into_text() };
    circumstances(&mut text, comparison, row);
    text.section("What was asked, and what came of it");
    let lines: Vec<Vec<String>> = verdicts
        .iter()
        .map(|verdict| {
            let holds = if verdict.holds { "holds" } else { "**short**" };
            vec![verdict.what.clone(), verdict.found.clone(), holds.to_owned()]
        })
        .collect();
    text.table(&["", "", ""], &lines);
    figures(&mut text, row);
    errors(&mut text, [(row, String::new())].into_iter(), "None.");
    text.section("How it was made, and what it does not show");
    text.commands([comparison.command.clone()]);
    comparison.notes.iter().for_each(|note| text.line(note));
    text.line("Client and server share one machine and its loopback. What is in the kernel's buffers is not the server's memory.");
    text.into_text()
}

fn circumstances(text: &mut Markdown, comparison: &Comparison, row: &Row) {
    let number = |name: &str| row.number(name).unwrap_or(0.0);
    text.paragraph(&made_on(comparison));
    let rounds = row.cells.iter().map(|cell| cell.rounds).max().unwrap_or(0);
    text.paragraph(&format!(
        "A room of {members} that read is told 2 KiB {} times a second for {} s, alone, and with {members} between \
         them that read nothing and have the least receive buffers there are. These watch the sender too, whose state \
         changes with each message. One worker, --max-backlog {}. Each measurement begins when the sockets of the stuck \
         are full, and has a server of its own. Medians of {rounds} rounds in which the modes take turns, with the \
         lowest and the highest.",
        number("rate"),
        number("duration_s"),
        numbers::bytes(number("max_backlog")),
        members = grouped(number("members") as u64),
    ));
}

fn figures(text: &mut Markdown, row: &Row) {
    text.section("The rounds");
    let line = |(name, what): &(&str, &str)| {
        let cells = MODES.map(|mode| with_spread(row.cell(mode.name()), name));
        std::iter::once((*what).to_owned()).chain(cells).collect::<Vec<String>>()
    };
    let header = [&[""], &MODES.map(Mode::name)[..]].concat();
    text.table(&header, &SHOWN.iter().map(line).collect::<Vec<_>>());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::Run;

    fn run(mode: Mode, figures: [f64; 5]) -> Run {
        let names =
            ["p99_us", "server_memory_max_bytes", "closed_1013", "dropped_messages", "replaced_states"];
        let figures: Vec<_> = names.into_iter().zip(figures).collect();
        Run::example("stuck", mode.name(), &figures).with("members", 10).with("max_backlog", 1000)
    }

    fn short(closed: [f64; 5], dropped: [f64; 5]) -> Vec<String> {
        let nobody = [5_000.0, 50_000.0, 0.0, 0.0, 0.0];
        let runs = [(Mode::Nobody, nobody), (Mode::Closed, closed), (Mode::Dropped, dropped)];
        let comparison = Comparison::of_runs(&runs.map(|(mode, figures)| run(mode, figures)));
        let verdicts = verdicts(&comparison, 1.2);
        assert!(report(&comparison, &verdicts).contains("| p99 | 5.00 ms |"));
        verdicts.into_iter().filter(|verdict| !verdict.holds).map(|verdict| verdict.what).collect()
    }

    #[test]
    fn each_bound_is_judged() {
        let fine = ([5_900.0, 59_000.0, 10.0, 0.0, 1.0], [4_000.0, 51_000.0, 0.0, 1.0, 1.0]);
        assert_eq!(short(fine.0, fine.1), [""; 0]);
        for (place, value, word) in [
            (0, 6_100.0, "p99"),
            (1, 61_000.0, "memory"),
            (2, 9.0, "all of them"),
            (4, 0.0, "the latest"),
            (0, f64::NAN, "p99"),
        ] {
            let mut closed = fine.0;
            closed[place] = value;
            let found = short(closed, fine.1);
            assert!(found.len() == 1 && found[0].contains(word), "{word}: {found:?}");
        }
        for (place, value) in [(2, 1.0), (3, 0.0)] {
            let mut dropped = fine.1;
            dropped[place] = value;
            assert_eq!(short(fine.0, dropped).len(), 1);
        }
    }
}
