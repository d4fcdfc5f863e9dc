//! Runs `loadtest` and reads what came of it.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;

/// What a run left.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) code: Option<i32>,
    pub(crate) table: String,
    /// What it said besides, without the lines of its progress.
    pub(crate) said: String,
    pub(crate) json: Value,
}

impl Outcome {
    pub(crate) fn figure(&self, name: &str) -> f64 {
        self.json["figures"][name].as_f64().unwrap_or_else(|| panic!("no {name} in {self:?}"))
    }

    /// Whether a figure is that much; not where it is missing.
    pub(crate) fn has(&self, name: &str, least: f64) -> bool {
        self.json["figures"][name].as_f64().is_some_and(|figure| figure >= least)
    }

    pub(crate) fn errors(&self, kind: &str) -> u64 {
        self.json["errors"][kind].as_u64().unwrap_or(0)
    }

    pub(crate) fn assert_fine(&self) {
        assert_eq!(self.code, Some(0), "{self:?}");
        assert_eq!(self.json["errors"], serde_json::json!({}), "{self:?}");
    }
}

/// Starts `loadtest SCENARIO --url URL FLAGS --json …`; the flags are split at spaces.
pub(crate) fn start(scenario: &str, url: &str, flags: &str) -> (Child, PathBuf) {
    static RUNS: AtomicUsize = AtomicUsize::new(0);
    let run = RUNS.fetch_add(1, Ordering::Relaxed);
    let json = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{}-{run}.json", std::process::id()));
    let child = Command::new(env!("CARGO_BIN_EXE_loadtest"))
        .args([scenario, "--url", url])
        .args(flags.split_whitespace())
        .arg("--json")
        .arg(&json)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    (child, json)
}

/// Waits for a run's end.
pub(crate) fn finish((child, path): (Child, PathBuf)) -> Outcome {
    let output = child.wait_with_output().expect("the program ends");
    let json = std::fs::read_to_string(&path).unwrap_or_default();
    let _ = std::fs::remove_file(path);
    let stderr = String::from_utf8(output.stderr).expect("UTF-8");
    let said: Vec<&str> = stderr.lines().filter(|line| line.starts_with("loadtest: ")).collect();
    Outcome {
        code: output.status.code(),
        table: String::from_utf8(output.stdout).expect("UTF-8"),
        said: said.join("\n"),
        json: serde_json::from_str(&json).unwrap_or(Value::Null),
    }
}

/// Runs a scenario to its end.
pub(crate) fn run(scenario: &str, url: &str, flags: &str) -> Outcome {
    finish(start(scenario, url, flags))
}

/// Runs a scenario for a fifth of a second, and again for longer where that was too short on a machine that is busy: until
/// what came of it is enough, or a run of 25 seconds is not.
pub(crate) fn run_until(
    scenario: &str,
    url: &str,
    flags: &str,
    is_enough: impl Fn(&Outcome) -> bool,
) -> Outcome {
    let mut millis = 200;
    loop {
        let outcome = run(scenario, url, &format!("--duration {millis}ms --warmup 50ms {flags}"));
        if millis == 25_000 || is_enough(&outcome) {
            return outcome;
        }
        millis *= 5;
    }
}

/// The bare loop in a process of its own, which ends with this value.
#[derive(Debug)]
pub(crate) struct Bare {
    child: Child,
    pub(crate) url: String,
}

impl Bare {
    pub(crate) fn start() -> Bare {
        Bare::with("")
    }

    /// Starts `loadtest bare FLAGS`; the flags are split at spaces.
    pub(crate) fn with(flags: &str) -> Bare {
        let mut child = Command::new(env!("CARGO_BIN_EXE_loadtest"))
            .arg("bare")
            .args(flags.split_whitespace())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("piped");
        BufReader::new(stdout).read_line(&mut line).expect("a line");
        let address = line.trim().strip_prefix("listening on ").expect("says where it listens");
        Bare { url: format!("ws://{address}/echo"), child }
    }

    /// How many threads it has.
    pub(crate) fn threads(&self) -> usize {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.child.id()));
        tasks.expect("it runs").count()
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
