//! Which figures are compared in which scenario, how they read, and how a row is called.

use std::collections::BTreeMap;

use crate::comparison::{BARE, OURS, Row};
use crate::numbers;

/// A figure that targets are compared by.
pub struct Measure {
    scenario: &'static str,
    pub figure: &'static str,
    /// A heading: `Messages per second`.
    pub title: &'static str,
    /// What a reader must know to read it; a sentence.
    pub about: &'static str,
    /// The end of its drawing's file name.
    pub file: &'static str,
}

/// All of them, in the order of a report.
pub const MEASURES: [Measure; 12] = [
    Measure {
        scenario: "echo",
        figure: "messages_per_second",
        title: "Messages per second",
        about: "Echoed messages per second, closed loop. ≥: the server still had spare time, the load side was the limit.",
        file: "throughput",
    },
    Measure {
        scenario: "echo",
        figure: "server_cpu_us_per_message",
        title: "Server CPU per message",
        about: "Processor time of the server for each echoed message, kernel included. Less is better; it holds where \
                the load side is the limit.",
        file: "cpu",
    },
    Measure {
        scenario: "chat",
        figure: "deliveries_per_second",
        title: "Chat: deliveries per second",
        about: "All to all in lockstep: every member's message reaches every member before the next round.",
        file: "chat",
    },
    Measure {
        scenario: "chat",
        figure: "server_cpu_us_per_delivery",
        title: "Chat: server CPU per delivery",
        about: "Processor time of the server for each message that reached a member. Less is better.",
        file: "chat-cpu",
    },
    Measure {
        scenario: "fanout",
        figure: "deliveries_per_second",
        title: "Fan-out: deliveries per second",
        about: "One sender, many receivers.",
        file: "fanout",
    },
    Measure {
        scenario: "fanout",
        figure: "server_cpu_us_per_delivery",
        title: "Fan-out: server CPU per delivery",
        about: "Processor time of the server for each message that reached a receiver. Less is better.",
        file: "fanout-cpu",
    },
    Measure {
        scenario: "churn",
        figure: "connections_per_second",
        title: "Churn: connections per second",
        about: "Connect, upgrade, close, again.",
        file: "churn",
    },
    Measure {
        scenario: "churn",
        figure: "server_cpu_us_per_connection",
        title: "Churn: server CPU per connection",
        about: "Processor time of the server for a connection's whole life: accept, upgrade, close. Less is better.",
        file: "churn-cpu",
    },
    Measure {
        scenario: "idle",
        figure: "anonymous_bytes_per_connection",
        title: "Idle: memory per connection",
        about: "The server's own anonymous memory, as a slope; the kernel's 4 KB a connection comes on top for all alike. \
                Less is better.",
        file: "idle",
    },
    Measure {
        scenario: "idle",
        figure: "connections_per_second",
        title: "Idle: connections opened per second",
        about: "While the ramp ran.",
        file: "ramp-rate",
    },
    Measure {
        scenario: "presence",
        figure: "anonymous_bytes_per_user",
        title: "Presence: memory per named user",
        about: "The server's own anonymous memory, as a slope, the connection's included. Less is better.",
        file: "presence",
    },
    Measure {
        scenario: "death",
        figure: "lateness_p99_9_us",
        title: "Death: lateness of detection, 99.9th percentile",
        about: "From the deadline of a user that fell silent to the moment a watcher is told. Less is better.",
        file: "death",
    },
];

impl Measure {
    /// Whether less is better: it is of what is spent.
    pub fn lower_is_better(&self) -> bool {
        !self.figure.ends_with("_per_second")
    }

    pub fn text(&self, value: f64) -> String {
        numbers::compared(self.figure, value)
    }

    /// Whether a row is compared by this. Where the rate is fixed the throughput says nothing.
    pub fn holds_for(&self, row: &Row) -> bool {
        row.scenario == self.scenario
            && !(row.is_paced() && self.figure == "messages_per_second")
            && row.cells.iter().any(|cell| cell.figures.contains_key(self.figure))
    }

    /// Whether a busier server would have given another figure.
    pub fn is_bound_by_the_server(&self) -> bool {
        self.figure == "messages_per_second"
    }
}

/// All targets of some rows: ours, the peers in the order in which they came, the bare loop.
pub fn targets<'a>(rows: &[&'a Row]) -> Vec<&'a str> {
    let mut found: Vec<&str> = Vec::new();
    for cell in rows.iter().flat_map(|row| &row.cells) {
        if !found.contains(&cell.target.as_str()) {
            found.push(&cell.target);
        }
    }
    found.sort_by_key(|target| match *target {
        OURS => 0,
        BARE => 2,
        _ => 1,
    });
    found
}

/// Parameters that name a row, how they read, and whether 1 or 0 goes without saying.
type Part = (&'static [&'static str], fn(f64) -> String, f64);
const PARTS: [Part; 7] = [
    (&["size", "bytes", "payload"], numbers::bytes, -1.0),
    (&["connections"], |value| plural(value, "connection"), -1.0),
    (&["users"], |value| plural(value, "user"), -1.0),
    (&["say_rate"], |value| format!("{} said per second", numbers::whole(value)), 0.0),
    (&["depth"], |value| format!("{} in flight each", numbers::whole(value)), 1.0),
    (&["rate"], |value| format!("{} per second", numbers::whole(value)), 0.0),
    (&["workers"], workers, -1.0),
];

fn workers(value: f64) -> String {
    plural(value, "worker")
}

fn plural(value: f64, noun: &str) -> String {
    format!("{} {noun}{}", numbers::whole(value), if value == 1.0 { "" } else { "s" })
}

/// A name for each row: its known parameters, and any other in which it differs from rows that would be called the same.
pub fn names(rows: &[Row]) -> Vec<String> {
    let short: Vec<String> = rows.iter().map(short_name).collect();
    let extended = |(row, name): (&Row, &String)| {
        let alike = || {
            rows.iter().zip(&short).filter(|(other, text)| other.scenario == row.scenario && *text == name)
        };
        let differs = |(key, value): &(&String, &serde_json::Value)| {
            alike().any(|(other, _)| other.parameters.get(*key) != Some(*value))
        };
        let others: BTreeMap<_, _> = row.parameters.iter().filter(differs).collect();
        let others: String = others.into_iter().map(|(key, value)| distinction(key, value)).collect();
        format!("{name}{others}")
    };
    rows.iter().zip(&short).map(extended).collect()
}

/// What sets a row apart from another: a switch by its name where it is on.
fn distinction(key: &str, value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::Bool(true) => format!(", {key}"),
        serde_json::Value::Bool(false) => String::new(),
        value => format!(", {key} {value}"),
    }
}

fn short_name(row: &Row) -> String {
    let part = |(keys, text, silent): &Part| {
        let value = keys.iter().find_map(|key| row.number(key))?;
        // At a fixed rate the depth is a bound, not what is in flight.
        let silent = value == *silent || (row.is_paced() && keys.contains(&"depth"));
        (!silent).then(|| text(value))
    };
    let noun = match row.scenario.as_str() {
        "chat" => "member",
        "fanout" => "receiver",
        _ => "connection",
    };
    let parts: Vec<String> =
        PARTS.iter().filter_map(part).map(|text| text.replace("connection", noun)).collect();
    if parts.is_empty() { row.scenario.clone() } else { parts.join(", ") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::comparison::Cell;

    fn row(parameters: &[(&str, serde_json::Value)]) -> Row {
        Row {
            scenario: "echo".into(),
            parameters: parameters.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect(),
            cells: ["ws", BARE, "bun", OURS]
                .map(|target| Cell { target: target.into(), ..Cell::default() })
                .into(),
        }
    }

    #[test]
    fn a_row_is_called_by_what_sets_it_apart() {
        let plain =
            row(&[("size", json!(20)), ("connections", json!(200)), ("depth", json!(1)), ("rate", json!(0))]);
        let deep = row(&[
            ("size", json!(1024)),
            ("connections", json!(1)),
            ("depth", json!(16)),
            ("rate", json!(50_000)),
        ]);
        assert_eq!(
            names(&[plain, deep]),
            ["20 B, 200 connections", "1 KiB, 1 connection, 50,000 per second"]
        );
        let one = row(&[("size", json!(20)), ("threads", json!(1))]);
        let two = row(&[("size", json!(20)), ("threads", json!(2))]);
        assert_eq!(names(&[one, two]), ["20 B, threads 1", "20 B, threads 2"]);
        let scaled = row(&[("size", json!(20)), ("connections", json!(200)), ("workers", json!(2))]);
        assert_eq!(names(&[scaled]), ["20 B, 200 connections, 2 workers"]);
    }

    #[test]
    fn ours_comes_first_and_the_limit_last() {
        assert_eq!(targets(&[&row(&[])]), [OURS, "ws", "bun", BARE]);
    }

    #[test]
    fn throughput_is_no_measure_of_a_fixed_rate() {
        let mut paced = row(&[("rate", json!(1000))]);
        paced.cells[0].figures.insert("messages_per_second".into(), 1000.0);
        assert!(!MEASURES[0].holds_for(&paced));
        paced.parameters.clear();
        assert!(MEASURES[0].holds_for(&paced));
    }
}
