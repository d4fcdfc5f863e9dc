//! What is measured: the ways of a server to encode what it sends, and the loads that are put on each.

use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::time::Duration;

use crate::child::Child;
use crate::compare::cores::Cores;
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

impl Encoding {
    /// Its name in results.
    pub fn name(self) -> &'static str {
        match self {
            Encoding::Plain => "plain",
            Encoding::Before => "plain before",
            Encoding::Tls => "TLS",
            Encoding::Shared => "deflate shared",
            Encoding::PerConnection => "deflate per connection",
        }
    }

    pub fn scheme(self) -> &'static str {
        if self == Encoding::Tls { "wss://" } else { "ws://" }
    }

    /// Flags of the server.
    fn flags(self, keys: &Keys) -> Vec<OsString> {
        match self {
            // The older one may know none of them.
            Encoding::Before | Encoding::Plain => Vec::new(),
            Encoding::Tls => keys.flags(),
            Encoding::Shared => vec!["--deflate".into(), "shared".into()],
            Encoding::PerConnection => vec!["--deflate".into(), "per-connection".into()],
        }
    }
}

/// Starts a server on its core.
pub fn start(
    encoding: Encoding,
    program: &Path,
    plan: &Plan,
    keys: &Keys,
    cores: &Cores,
) -> io::Result<Child> {
    // Who speaks to a room speaks as fast as it can.
    let always = ["--workers", "1", "--max-commands-per-second", "1000000"];
    let mut words: Vec<OsString> = [program.into()].into_iter().chain(always.map(Into::into)).collect();
    words.extend(encoding.flags(keys));
    words.extend(plan.server.iter().map(Into::into));
    words.push("--listen".into());
    let scheme = if encoding == Encoding::Tls { "wss://" } else { "" };
    Child::start_at(scheme, "rollcall", &words, |command| cores.on_server(|| command.spawn()))
}

/// One row: a load, and who takes part in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// What it is called in the report, and in results.
    pub name: &'static str,
    /// The subcommand.
    pub scenario: &'static str,
    pub path: &'static str,
    /// Its flags.
    pub flags: Vec<String>,
    /// Flags of the server beside those of its encoding.
    pub server: Vec<&'static str>,
    /// Whether compression can make a difference.
    compresses: bool,
    /// Whether an older binary takes part.
    before: bool,
}

impl Plan {
    fn new(name: &'static str, scenario: &'static str, flags: &str) -> Plan {
        let path = if scenario == "fanout" { "/ws" } else { "/echo" };
        let flags: Vec<String> = flags.split_ascii_whitespace().map(str::to_owned).collect();
        let compresses = flags.iter().any(|flag| flag == "--deflate");
        Plan { name, scenario, path, flags, server: Vec::new(), compresses, before: !compresses }
    }

    /// Whether an encoding takes part.
    pub fn holds_for(&self, encoding: Encoding) -> bool {
        match encoding {
            Encoding::Plain | Encoding::Tls => true,
            Encoding::Before => self.before,
            Encoding::Shared | Encoding::PerConnection => self.compresses,
        }
    }

    fn timed(mut self, duration: Duration) -> Plan {
        let (whole, third) = (duration.as_millis(), (duration / 3).as_millis());
        self.flags.extend([
            "--duration".to_owned(),
            format!("{whole}ms"),
            "--warmup".to_owned(),
            format!("{third}ms"),
        ]);
        self
    }

    fn with_server(mut self, flags: &[&'static str]) -> Plan {
        self.server.extend(flags);
        self
    }
}

/// All rows, or few and small ones.
pub fn rows(quick: bool, duration: Duration) -> Vec<Plan> {
    let connections = if quick { "1500" } else { "9000" };
    let idle = |name, flags: &str| {
        Plan::new(name, "idle", &format!("--connections {connections} --hold 200ms {flags}"))
    };
    let timed = |name, scenario, flags| Plan::new(name, scenario, flags).timed(duration);
    let mut rows = vec![
        timed("echo of 20 B", "echo", "--size 20 --connections 200"),
        timed("echo of 1 KiB", "echo", "--size 1KiB --connections 200"),
        timed("echo of a line of 256 B", "echo", "--deflate --size 256 --connections 100"),
        timed("echo of a line of 1 KiB", "echo", "--deflate --size 1KiB --connections 100"),
        timed("echo of a line of 4 KiB", "echo", "--deflate --size 4KiB --connections 100"),
        timed("a line of 1 KiB to a room of 200", "fanout", "--deflate --size 1KiB --connections 200"),
        timed("connect, upgrade, close", "churn", "--connections 50"),
        idle("idle, nothing said", "--deflate --settle 1s"),
        // The first Ping comes in the second half of the interval: not before memory is read.
        idle("idle after a line of 1 KiB each way", "--deflate --say 1KiB --settle 1s")
            .with_server(&["--heartbeat-interval", "120s"]),
        idle("idle after that and a heartbeat", "--deflate --say 1KiB --settle 3s")
            .with_server(&["--heartbeat-interval", "1s"]),
    ];
    for row in &mut rows {
        row.before |= row.name == "idle, nothing said";
    }
    if quick {
        rows.retain(|row| {
            !["echo of 1 KiB", "echo of a line of 256 B", "echo of a line of 4 KiB"].contains(&row.name)
        });
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_has_the_columns_that_it_can_have() {
        let rows = rows(false, Duration::from_secs(1));
        let who = |name: &str| {
            let row = rows.iter().find(|row| row.name == name).expect("there is such a row");
            COLUMNS.map(|encoding| row.holds_for(encoding))
        };
        assert_eq!(who("echo of 20 B"), [true, true, false, false]);
        assert_eq!(who("a line of 1 KiB to a room of 200"), [true; 4]);
        assert_eq!(who("idle, nothing said"), [true; 4]);
        let old = rows.iter().filter(|row| row.holds_for(Encoding::Before)).map(|row| row.name);
        let old: Vec<&str> = old.collect();
        assert_eq!(old, ["echo of 20 B", "echo of 1 KiB", "connect, upgrade, close", "idle, nothing said"]);
    }

    #[test]
    fn the_quick_form_has_each_kind_of_load() {
        let kinds = |quick| {
            let mut kinds: Vec<_> =
                rows(quick, Duration::from_secs(1)).iter().map(|row| row.scenario).collect();
            kinds.dedup();
            kinds
        };
        assert_eq!(kinds(true), kinds(false));
    }
}
