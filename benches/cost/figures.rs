//! The figures that are committed, and what is more than they allow.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::{fs, io};

use serde::{Deserialize, Serialize};

use super::valgrind::Counts;

/// By how much a figure may grow.
const GROWTH: f64 = 1.05;
/// By how much instructions may where another compiler made them.
const GROWTH_ELSEWHERE: f64 = 1.3;
/// What is hardly anything may grow by so much: a list that doubles once in all the operations.
const LEAST: f64 = 0.02;

/// What an operation costs.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub(super) struct Cost {
    pub(super) instructions: f64,
    pub(super) system_calls: f64,
    pub(super) allocations: f64,
    /// Simulated, and not judged: where data lies is chance.
    pub(super) l1_misses: f64,
    /// The same behind the second level.
    pub(super) l2_misses: f64,
}

impl Cost {
    pub(super) fn of(counts: &Counts) -> Cost {
        // Rounded, so that the file changes only where something did.
        let each =
            |count: u64, digits: f64| (count as f64 / counts.operations as f64 * digits).round() / digits;
        Cost {
            instructions: each(counts.instructions, 1.0),
            system_calls: each(counts.system_calls.values().sum(), 1e3),
            allocations: each(counts.allocations, 1e3),
            l1_misses: each(counts.misses[0], 10.0),
            l2_misses: each(counts.misses[1], 10.0),
        }
    }
}

/// The committed file.
#[derive(Debug, Default, Deserialize, Serialize)]
pub(super) struct Figures {
    /// The compiler that made the instructions.
    pub(super) rustc: String,
    /// What counted them.
    pub(super) valgrind: String,
    /// By scenario.
    pub(super) cost: BTreeMap<String, Cost>,
}

impl Figures {
    pub(super) fn read(path: &Path) -> io::Result<Figures> {
        toml::from_str(&fs::read_to_string(path)?).map_err(io::Error::other)
    }

    pub(super) fn write(&self, path: &Path) -> io::Result<()> {
        let text = toml::to_string(self).map_err(io::Error::other)?;
        fs::write(
            path,
            format!(
                "# What an operation costs; see COST.md. Written by: cargo bench --bench cost -- --accept\n{text}"
            ),
        )
    }

    /// What of `now` is too much beside these figures, in lines.
    pub(super) fn exceeded(&self, now: &Figures) -> Vec<String> {
        let same = self.rustc == now.rustc && self.valgrind == now.valgrind;
        let growth = if same { GROWTH } else { GROWTH_ELSEWHERE };
        let mut lines = Vec::new();
        for (name, cost) in &now.cost {
            let Some(before) = self.cost.get(name) else {
                lines.push(format!("{name} has no figures yet"));
                continue;
            };
            let figures = [
                ("instructions", before.instructions, cost.instructions, growth),
                ("system calls", before.system_calls, cost.system_calls, GROWTH),
                ("allocations", before.allocations, cost.allocations, GROWTH),
            ];
            for (what, before, now, growth) in figures {
                if now > before * growth + LEAST {
                    let mut line = format!("{name}: {now} {what}, {before} before");
                    if before > 0.0 {
                        let _ = write!(line, ": {:+.1} %", (now / before - 1.0) * 100.0);
                    }
                    lines.push(line);
                }
            }
        }
        lines
    }
}
