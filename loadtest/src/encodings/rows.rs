//! What is measured: the ways of a server to encode what it sends, and the loads that are put on each.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::bench::{Row, Subject, flags, timed};
use crate::child::Launch;
use crate::keys::Keys;

/// How a server sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// `ws://`, compression off
    Plain,
    /// The same, of an older binary.
    Before,
    /// `wss://`, compression off.
    Tls,
    /// `ws://`, `--deflate shared`.
    Shared,
    /// `ws://`, `--deflate per-connection`.
    PerConnection,
}

/// The columns of the table.
pub const COLUMNS: [Encoding; 4] =
    [Encoding::Plain, Encoding::Tls, Encoding::Shared, Encoding::PerConnection];
const ALL: [Encoding; 5] =
    [Encoding::Plain, Encoding::Before, Encoding::Tls, Encoding::Shared, Encoding::PerConnection];

impl Encoding {
    pub fn name(self) -> &'static str {
        match self {
            Encoding::Plain => "plain",
            Encoding::Before => "plain before",
            Encoding::Tls => "TLS",
            Encoding::Shared => "deflate shared",
            Encoding::PerConnection => "deflate per connection",
        }
    }

    fn flags(self, keys: &Keys) -> Vec<OsString> {
        match self {
            // The older one may know none of them.
            Encoding::Before | Encoding::Plain => Vec::new(),
            Encoding::Tls => keys.flags(),
            Encoding::Shared => vec!["--deflate".into(), "shared".into()],
            Encoding::PerConnection => vec!["--deflate".into(), "per-connection".into()],
        }
    }

    fn subject(self, program: &Path, plan: &Plan, keys: &Keys) -> Subject {
        // Who speaks to a room speaks as fast as it can.
        let always = ["--workers", "1", "--max-commands-per-second", "1000000"];
        let own = plan.server.split_ascii_whitespace().map(OsString::from);
        let flags = always.map(Into::into).into_iter().chain(self.flags(keys)).chain(own);
        let (name, secure) = (self.name(), self == Encoding::Tls);
        let launch = Launch { name, secure, ..Launch::rollcall(program, flags) };
        let path = if plan.scenario == "fanout" { "/ws" } else { "/echo" };
        Subject { launch, path, ..Subject::default() }
    }
}

/// One row: a load, and the servers that it is put on.
struct Plan {
    /// What it is called in the report, and in results.
    name: &'static str,
    scenario: &'static str,
    flags: &'static str,
    /// Flags of the server beside those of its encoding.
    server: &'static str,
    /// Whether the small form has it.
    quick: bool,
}

const fn plan(name: &'static str, scenario: &'static str, flags: &'static str) -> Plan {
    Plan { name, scenario, flags, server: "", quick: true }
}

const IDLE: &str = "idle, nothing said";
// The first Ping comes in the second half of the interval: not before memory is read.
const LONG_HEARTBEAT: &str = "--heartbeat-interval 120s";
const SHORT_HEARTBEAT: &str = "--heartbeat-interval 1s";

const PLANS: [Plan; 10] = [
    plan("echo of 20 B", "echo", "--size 20 --connections 200"),
    Plan { quick: false, ..plan("echo of 1 KiB", "echo", "--size 1KiB --connections 200") },
    Plan {
        quick: false,
        ..plan("echo of a line of 256 B", "echo", "--deflate --size 256 --connections 100")
    },
    plan("echo of a line of 1 KiB", "echo", "--deflate --size 1KiB --connections 100"),
    Plan {
        quick: false,
        ..plan("echo of a line of 4 KiB", "echo", "--deflate --size 4KiB --connections 100")
    },
    plan("a line of 1 KiB to a room of 200", "fanout", "--deflate --size 1KiB --connections 200"),
    plan("connect, upgrade, close", "churn", "--connections 50"),
    plan(IDLE, "idle", "--deflate --settle 1s"),
    Plan {
        server: LONG_HEARTBEAT,
        ..plan("idle after a line of 1 KiB each way", "idle", "--deflate --say 1KiB --settle 1s")
    },
    Plan {
        server: SHORT_HEARTBEAT,
        ..plan("idle after that and a heartbeat", "idle", "--deflate --say 1KiB --settle 3s")
    },
];

impl Plan {
    /// Whether an encoding takes part: compression where it can make a difference, an older binary where it can't.
    fn holds_for(&self, encoding: Encoding) -> bool {
        let compresses = self.flags.contains("--deflate");
        match encoding {
            Encoding::Plain | Encoding::Tls => true,
            Encoding::Before => !compresses || self.name == IDLE,
            Encoding::Shared | Encoding::PerConnection => compresses,
        }
    }

    fn row(&self, scope: &Scope) -> Row {
        let program = |encoding| match encoding {
            Encoding::Before => scope.before.as_deref(),
            _ => Some(scope.program.as_path()),
        };
        let taking_part = ALL.into_iter().filter(|encoding| self.holds_for(*encoding));
        let subjects = taking_part
            .filter_map(|encoding| Some(encoding.subject(program(encoding)?, self, &scope.keys)))
            .collect();
        let mut flags = flags(self.flags);
        if self.scenario == "idle" {
            let connections = if scope.quick { "1500" } else { "9000" };
            flags.extend(["--connections", connections, "--hold", "200ms"].map(str::to_owned));
        } else {
            flags.extend(timed(scope.duration, scope.duration / 3));
        }
        let (label, rounds) = (self.name.to_owned(), scope.rounds);
        Row { label, scenario: self.scenario, flags, subjects, rounds, ..Row::default() }
    }
}

/// How much is measured, and with what.
pub struct Scope {
    pub program: PathBuf,
    pub before: Option<PathBuf>,
    pub keys: Keys,
    pub quick: bool,
    pub rounds: usize,
    pub duration: Duration,
}

/// All rows, or few and small ones.
pub fn rows(scope: &Scope) -> Vec<Row> {
    PLANS.iter().filter(|plan| plan.quick || !scope.quick).map(|plan| plan.row(scope)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_has_the_columns_that_it_can_have() {
        let who = |name: &str| {
            let plan = PLANS.iter().find(|plan| plan.name == name).expect("there is such a row");
            COLUMNS.map(|encoding| plan.holds_for(encoding))
        };
        assert_eq!(who("echo of 20 B"), [true, true, false, false]);
        assert_eq!(who("a line of 1 KiB to a room of 200"), [true; 4]);
        assert_eq!(who("idle, nothing said"), [true; 4]);
        let old = PLANS.iter().filter(|plan| plan.holds_for(Encoding::Before)).map(|plan| plan.name);
        let old: Vec<&str> = old.collect();
        assert_eq!(old, ["echo of 20 B", "echo of 1 KiB", "connect, upgrade, close", "idle, nothing said"]);
    }

    #[test]
    fn the_quick_form_has_each_kind_of_load() {
        let kinds = |quick: bool| {
            let plans = PLANS.iter().filter(|plan| plan.quick || !quick);
            let mut kinds: Vec<_> = plans.map(|plan| plan.scenario).collect();
            kinds.dedup();
            kinds
        };
        assert_eq!(kinds(true), kinds(false));
    }
}
