//! Counting under valgrind. It plays the machine: one kind of processor and caches of one size wherever it runs, so that
//! the same program counts the same. Its figures are of the worker's turns alone.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

/// What a scenario cost in all.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Counts {
    pub(super) operations: u64,
    pub(super) turns: u64,
    pub(super) instructions: u64,
    pub(super) allocations: u64,
    /// Data that was in no first-level cache, and in no second-level one, as simulated.
    pub(super) misses: [u64; 2],
    /// By name.
    pub(super) system_calls: BTreeMap<String, u64>,
}

impl Counts {
    /// What is beyond `less`, which is as this but for fewer rounds: what they have in common is the preparation. Callgrind
    /// counts calls, and thus allocations, also where it collects nothing else.
    pub(super) fn beyond(&self, less: &Counts) -> Counts {
        let calls = |(name, count): (&String, &u64)| {
            (name.clone(), count.saturating_sub(less.system_calls.get(name).copied().unwrap_or(0)))
        };
        Counts {
            operations: self.operations - less.operations,
            turns: self.turns - less.turns,
            instructions: self.instructions.saturating_sub(less.instructions),
            allocations: self.allocations.saturating_sub(less.allocations),
            misses: [0, 1].map(|level| self.misses[level].saturating_sub(less.misses[level])),
            system_calls: self.system_calls.iter().map(calls).collect(),
        }
    }
}

/// 32 KiB of instructions, 48 KiB of data, 2 MiB behind both: a core of the machine that the first figures are from.
const CACHES: [&str; 3] = ["--I1=32768,8,64", "--D1=49152,12,64", "--LL=2097152,16,64"];

/// Runs `program` with `arguments`, which print `operations` and `turns`, and counts. Caches are simulated where they are
/// asked for: it takes half of the time.
pub(super) fn count(program: &Path, arguments: &[&str], caches: bool) -> io::Result<Counts> {
    let scratch =
        |what: &str| std::env::temp_dir().join(format!("rollcall-cost-{}-{what}", std::process::id()));
    let (profile, log) = (scratch("profile"), scratch("calls"));
    let mut command = Command::new("valgrind");
    command
        .args(["--tool=callgrind", "--toggle-collect=*counted_turn*"])
        .args(["--compress-strings=no", "--compress-pos=no", "--trace-syscalls=yes"])
        .args(caches.then_some("--cache-sim=yes").into_iter().chain(CACHES.into_iter().filter(|_| caches)))
        .arg(format!("--callgrind-out-file={}", profile.display()))
        .arg(format!("--log-file={}", log.display()))
        .arg(program)
        .args(arguments)
        .stderr(Stdio::inherit());
    let output = command.output().map_err(|error| {
        io::Error::other(format!("valgrind: {error}; it counts the instructions: apt-get install valgrind"))
    });
    let (profiled, logged) = (fs::read_to_string(&profile), fs::read(&log));
    let _ = fs::remove_file(&profile);
    let _ = fs::remove_file(&log);
    let output = output?;
    let logged = String::from_utf8_lossy(&logged?).into_owned();
    if !output.status.success() {
        return Err(io::Error::other(format!("{}: {}", output.status, tail(&logged))));
    }
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut said = said.split_ascii_whitespace().filter_map(|word| word.parse().ok());
    let (Some(operations), Some(turns)) = (said.next(), said.next()) else {
        return Err(io::Error::other("the scenario said nothing"));
    };
    let mut counts = Counts { operations, turns, ..read_profile(&profiled?)? };
    counts.system_calls = system_calls(&logged);
    Ok(counts)
}

fn tail(log: &str) -> &str {
    log.lines().rev().find(|line| !line.contains("SYSCALL")).unwrap_or_default()
}

/// Callgrind's format: events by name and their sums; and who was called how often, which tells the allocations.
fn read_profile(text: &str) -> io::Result<Counts> {
    const ALLOCATORS: [&str; 5] = ["malloc", "calloc", "realloc", "posix_memalign", "aligned_alloc"];
    let is_allocator = |name: &str| ALLOCATORS.contains(&name);
    let after = |key: &str| text.lines().find_map(|line| line.strip_prefix(key));
    let broken = || io::Error::other("callgrind wrote no totals");
    let names = after("events: ").ok_or_else(broken)?.split_whitespace();
    let sums = after("totals: ").ok_or_else(broken)?.split_whitespace().filter_map(|sum| sum.parse().ok());
    let events: BTreeMap<&str, u64> = names.zip(sums).collect();
    let event = |name: &str| events.get(name).copied().unwrap_or_default();
    let (mut allocations, mut caller, mut callee) = (0, "", "");
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("fn=") {
            caller = name;
        } else if let Some(name) = line.strip_prefix("cfn=") {
            callee = name;
        } else if let Some(calls) = line.strip_prefix("calls=")
            && is_allocator(callee)
            && !is_allocator(caller)
        {
            allocations += calls.split_whitespace().next().and_then(|calls| calls.parse().ok()).unwrap_or(0);
        }
    }
    Ok(Counts {
        instructions: event("Ir"),
        allocations,
        misses: [event("D1mr") + event("D1mw"), event("DLmr") + event("DLmw")],
        ..Counts::default()
    })
}

/// The calls between the first and the second mark, the third and the fourth, and so on.
fn system_calls(log: &str) -> BTreeMap<String, u64> {
    const MARK: &str = "sys_getppid";
    let mut counted = BTreeMap::new();
    let mut counting = false;
    for line in log.lines().filter(|line| line.starts_with("SYSCALL[")) {
        let Some((_, call)) = line.split_once(") ") else { continue };
        let name: &str = call.trim_start().split([' ', '(']).next().unwrap_or_default();
        // The second line of a call that may have waited.
        if name == "..." {
            continue;
        }
        if name == MARK {
            counting = !counting;
        } else if counting {
            *counted.entry(name.trim_start_matches("sys_").to_owned()).or_default() += 1;
        }
    }
    counted
}

/// Its version.
pub(super) fn version() -> Option<String> {
    let output = Command::new("valgrind").arg("--version").output().ok()?;
    Some(String::from_utf8_lossy(&output.stdout).trim().trim_start_matches("valgrind-").to_owned())
}
