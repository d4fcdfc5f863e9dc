//! One JSON schema for all runs: what a scenario writes with `--json`, and what `loadtest report` reads.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The version of the schema below.
pub const SCHEMA: u32 = 1;

/// One run of one scenario.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// [`SCHEMA`].
    pub schema: u32,
    /// `echo`, `idle`, …
    pub scenario: String,
    /// A short name for whom the load was put on: `rollcall`, `bare`, a peer's name, or the URL.
    pub target: String,
    /// The command line that made this run, as one would type it.
    pub command: String,
    /// When it began, UTC, `2026-01-31T12:00:00Z`.
    pub started: String,
    pub machine: Machine,
    /// Program to version: `loadtest`, and the server's where it is known.
    pub versions: BTreeMap<String, String>,
    /// The scenario's parameters by flag name, as given or defaulted.
    pub parameters: BTreeMap<String, serde_json::Value>,
    /// Measured figures; the unit ends the name: `messages_per_second`, `server_cpu_us_per_message`, `p99_us`.
    pub figures: BTreeMap<String, f64>,
    /// Errors by kind; empty where all went well.
    pub errors: BTreeMap<String, u64>,
    /// HDR histograms in nanoseconds (the V2 format, not compressed, as base64), by what they measure: `latency`, `connect`, `upgrade`, `close`.
    pub histograms: BTreeMap<String, String>,
    /// Values second by second from the start of the run.
    pub series: Vec<Series>,
    /// What happened when, for a scenario of several parts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub phases: Vec<Phase>,
    /// What a reader must know to believe the figures; a sentence each.
    pub notes: Vec<String>,
}

#[cfg(test)]
impl Run {
    /// A run with these figures.
    pub fn example(scenario: &str, target: &str, figures: &[(&str, f64)]) -> Run {
        Run {
            scenario: scenario.to_owned(),
            target: target.to_owned(),
            figures: figures.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect(),
            ..Run::default()
        }
    }

    /// The same with a parameter.
    pub fn with(mut self, name: &str, value: impl Into<serde_json::Value>) -> Run {
        self.parameters.insert(name.to_owned(), value.into());
        self
    }
}

/// A value second by second.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// `connections`, `heartbeats`, `server_memory`.
    pub name: String,
    /// `1`, `1/s`, `bytes`.
    pub unit: String,
    /// Seconds from the start, ascending.
    pub seconds: Vec<f64>,
    /// As many values.
    pub values: Vec<f64>,
}

/// A part of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Phase {
    /// In a word or two.
    pub name: String,
    /// Seconds from the start to where it begins.
    pub seconds: f64,
}

/// The machine a run was made on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    pub cpu: String,
    /// Its cores as the process may use them.
    pub cores: usize,
    pub memory_bytes: u64,
    pub kernel: String,
    /// Descriptors per table (the hard limit).
    pub descriptors: u64,
}
