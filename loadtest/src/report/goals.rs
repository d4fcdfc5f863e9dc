//! What a run with as many users as a machine holds is judged by: its figures beside what they may be, and the server's
//! memory by part.

use crate::comparison::Cell;
use crate::numbers;

/// The scenario that is judged.
pub const SCENARIO: &str = "million";

/// A goal in words, its figure, what that may be at most, and how it reads.
type Goal = (&'static str, &'static str, f64, fn(f64) -> String);
const GOALS: [Goal; 12] = [
    // The name comes on top.
    ("user space per named idle user, name included", PER_USER, 400.0, numbers::exact_bytes),
    ("server CPU, all idle", "server_cpu_percent", 35.0, |percent| format!("{percent:.0} % of one core")),
    ("busiest second of heartbeats to the mean", "pings_highest_to_mean", 2.0, numbers::ratio),
    ("lateness of detection, p99.9", "lateness_p99_9_us", 110_000.0, numbers::micros),
    ("false deaths", "false_deaths", 0.0, numbers::whole),
    ("lost connections", "connections_lost", 0.0, numbers::whole),
    ("errors", "errors", 0.0, numbers::whole),
    ("from the first connection to all identified", "identify_s", 60.0, seconds),
    ("one message to everybody, first to last", "broadcast_first_to_last_s", 5.0, seconds),
    ("of the growth, still held when all have left", "still_held_percent", 10.0, percent),
    ("a second ramp's peak, beyond the first's", "second_ramp_higher_percent", 0.0, percent),
    ("memory that is in no line of the receipt", "memory_unexplained_percent", 10.0, percent),
];
const PER_USER: &str = "anonymous_bytes_per_user";

fn percent(percent: f64) -> String {
    format!("{percent:.1} %")
}

fn seconds(seconds: f64) -> String {
    format!("{} s", numbers::short(seconds))
}

/// The lines of a table: each goal that the run has a figure for.
pub fn table(cell: &Cell) -> Vec<Vec<String>> {
    let line = |(what, figure, most, text): &Goal| {
        let name = cell.figure("name_bytes_per_user").filter(|_| *figure == PER_USER).unwrap_or(0.0);
        let (value, most) = (cell.figure(figure)?, most + name);
        let verdict = if value <= most { "holds" } else { "does not hold" };
        Some([what, text(value).as_str(), &text(most), verdict].map(str::to_owned).to_vec())
    };
    GOALS.iter().filter_map(line).collect()
}

/// The header of the memory receipt.
pub const RECEIPT: [&str; 5] = ["part", "before the first", "all there", "per connection", "all gone"];

/// The memory receipt: a line for each part, and for all of them; with all users there, before them and after them.
pub fn receipt(cell: &Cell) -> Option<Vec<Vec<String>>> {
    let connections = cell.figure("connections_held").filter(|count| *count > 0.0)?;
    let part = |name: &String| Some(name.strip_prefix("memory_")?.strip_suffix("_bytes")?.to_owned());
    let mut parts: Vec<String> = cell.figures.keys().filter_map(part).collect();
    if parts.is_empty() {
        return None;
    }
    let bytes = |moment: &str, part: &str| cell.figure(&format!("{moment}_{part}_bytes"));
    let full = |part: &String| bytes("memory", part).unwrap_or(0.0);
    parts.sort_by(|a, b| (a == "unexplained").cmp(&(b == "unexplained")).then(full(b).total_cmp(&full(a))));
    let sum = |moment: &str| parts.iter().map(|part| bytes(moment, part)).sum();
    let line = |part: &str, moments: [Option<f64>; 3]| {
        let [empty, full, rested] = moments.map(|bytes| bytes.map_or_else(|| "–".to_owned(), numbers::bytes));
        let each = moments[1].unwrap_or(0.0) / connections;
        vec![part.to_owned(), empty, full, format!("{} B", numbers::short(each)), rested]
    };
    let moments = ["empty", "memory", "rested"];
    let mut lines: Vec<_> =
        parts.iter().map(|part| line(part, moments.map(|moment| bytes(moment, part)))).collect();
    lines.push(line("**resident**", moments.map(sum)));
    Some(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(figures: &[(&str, f64)]) -> Cell {
        let figures = figures.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
        Cell { figures, ..Cell::default() }
    }

    #[test]
    fn each_figure_stands_beside_its_bound() {
        let cell = cell(&[
            ("anonymous_bytes_per_user", 407.4),
            ("name_bytes_per_user", 7.9),
            ("lateness_p99_9_us", 250_000.0),
            ("errors", 0.0),
        ]);
        let lines: Vec<String> = table(&cell).iter().map(|line| line[1..].join(" | ")).collect();
        assert_eq!(lines, ["407 B | 408 B | holds", "250 ms | 110 ms | does not hold", "0 | 0 | holds"]);
    }

    #[test]
    fn the_receipt_adds_up() {
        let cell = cell(&[
            ("connections_held", 1_000.0),
            ("memory_unexplained_bytes", 9_000.0),
            ("memory_wheel_bytes", 1_000.0),
            ("empty_wheel_bytes", 200.0),
            ("memory_presence_bytes", 2_000.0),
        ]);
        let lines = receipt(&cell).expect("parts");
        let parts: Vec<&str> = lines.iter().map(|line| line[0].as_str()).collect();
        assert_eq!(parts, ["presence", "wheel", "unexplained", "**resident**"]);
        assert_eq!(lines[1][1..], ["200 B", "1000 B", "1.00 B", "–"]);
        assert_eq!(lines[3][3], "12.0 B");
        assert!(receipt(&Cell::default()).is_none());
    }
}
