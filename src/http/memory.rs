//! The memory receipt: what the process's resident memory is for, by part, for each worker and for each connection.
//!
//! Each line is measured by itself: a table from its capacity, the allocator from its own count, the program from the
//! system's. None is a remainder but `unexplained`, which is what is resident and in no line: stacks, what few connections
//! have (half a message, a second room), what allocations are rounded up by. It is below zero where a table has room that
//! was never touched.

use serde::Serialize;

use crate::http::gauges::{Figure, USERS_GAUGE};
use crate::reactor::Shared;

/// Figures that a process knows of itself and a library does not: the allocator is the binary's choice.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Process {
    /// Bytes of resident memory.
    pub resident: u64,
    /// Of these, the program's own file and its libraries'.
    pub program: u64,
    /// Bytes that the allocator holds and nobody has: free ones in its pages, its tables, what it keeps for later.
    pub slack: u64,
}

/// Reads it, now.
pub type MeasureProcess = fn() -> Process;

/// The parts of a worker's memory, and where each is counted.
pub const PARTS: [(&str, Figure); 9] = [
    ("connections", |c| c.memory.connections.get()),
    ("wheel", |c| c.memory.wheel.get() + c.memory.service[TIMERS].get()),
    ("presence", |c| c.memory.service[PRESENCE].get()),
    ("rooms", |c| c.memory.service[ROOMS].get()),
    ("history", |c| c.memory.service[HISTORY].get()),
    ("buffers", |c| c.memory.buffers.get()),
    ("deflate", |c| c.memory.deflate.get()),
    ("tls", |c| c.memory.tls.get()),
    ("queues", |c| c.memory.queues.get() + c.memory.service[QUEUES].get() + c.backlog_bytes.get()),
];

/// Places in [`Memory::service`](crate::reactor::counters::Memory).
const PRESENCE: usize = 0;
const ROOMS: usize = 1;
const TIMERS: usize = 2;
const QUEUES: usize = 3;
pub(crate) const HISTORY: usize = 4;

/// A line of the receipt.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct Line {
    /// The part's name.
    pub part: &'static str,
    /// How much it is.
    pub bytes: i64,
    /// The same, for each connection; absent where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_connection: Option<f64>,
}

/// One worker's share.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Share {
    /// The worker.
    pub worker: usize,
    /// Connections of any kind.
    pub connections: u64,
    /// Its parts.
    pub parts: Vec<Line>,
}

/// All of it.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Receipt {
    /// Connections of any kind.
    pub connections: u64,
    /// Users that are not offline.
    pub users: u64,
    /// Resident memory; absent where the process does not tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resident_bytes: Option<u64>,
    /// All workers' parts, and the process's.
    pub parts: Vec<Line>,
    /// Worker by worker.
    pub workers: Vec<Share>,
}

impl Receipt {
    /// The figures that the workers measured last, a second ago at most where anything happens, and those of the
    /// process now.
    #[must_use]
    pub fn of(shared: &Shared, process: Option<Process>) -> Receipt {
        let connections = shared.connections() as u64;
        let mut parts: Vec<Line> =
            PARTS.iter().map(|(part, figure)| line(part, signed(shared.sum(figure)), connections)).collect();
        if let Some(process) = process {
            parts.push(line("allocator", signed(process.slack), connections));
            parts.push(line("program", signed(process.program), connections));
            let explained: i64 = parts.iter().map(|line| line.bytes).sum();
            parts.push(line("unexplained", signed(process.resident) - explained, connections));
        }
        let share = |(worker, state): (usize, &crate::reactor::shared::WorkerState)| {
            let connections = state.counters.connections.get();
            let part = |(part, figure): &(&'static str, Figure)| {
                line(part, signed(figure(&state.counters)), connections)
            };
            Share { worker, connections, parts: PARTS.iter().map(part).collect() }
        };
        Receipt {
            connections,
            users: shared.sum(|counters| counters.service[USERS_GAUGE].get()),
            resident_bytes: process.map(|process| process.resident),
            parts,
            workers: shared.workers().iter().enumerate().map(share).collect(),
        }
    }

    /// As the API answers it.
    #[must_use]
    pub fn json(&self) -> String {
        serde_json::to_string(self).expect("plain data")
    }
}

fn line(part: &'static str, bytes: i64, connections: u64) -> Line {
    #[expect(clippy::cast_precision_loss, reason = "memory is below 2^52 bytes")]
    let per_connection = (connections > 0).then(|| (bytes as f64 / connections as f64 * 10.0).round() / 10.0);
    Line { part, bytes, per_connection }
}

fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Tick;

    #[test]
    fn what_is_resident_and_in_no_line_is_a_line() {
        let shared = Shared::new(2, 100, Tick(0));
        for (worker, bytes) in shared.workers().iter().zip([1_000, 500]) {
            worker.counters.memory.connections.set(bytes);
            worker.counters.memory.service[PRESENCE].set(2 * bytes);
            worker.counters.connections.set(5);
            shared.connection_opened();
        }
        let process = Process { resident: 10_000, program: 3_000, slack: 400 };
        let receipt = Receipt::of(&shared, Some(process));
        let bytes: Vec<(&str, i64)> =
            receipt.parts.iter().filter(|line| line.bytes != 0).map(|line| (line.part, line.bytes)).collect();
        let expected = [
            ("connections", 1_500),
            ("presence", 3_000),
            ("allocator", 400),
            ("program", 3_000),
            ("unexplained", 2_100),
        ];
        assert_eq!(bytes, expected);
        let json: serde_json::Value = serde_json::from_str(&receipt.json()).unwrap();
        assert_eq!(json["workers"][1]["parts"][0]["per_connection"], 100.0);
        assert_eq!(json["resident_bytes"], 10_000);
        let bare = Receipt::of(&shared, None);
        assert!(bare.parts.len() == PARTS.len() && !bare.json().contains("resident"));
    }
}
