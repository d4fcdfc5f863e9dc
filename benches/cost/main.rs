//! What the server's operations cost in instructions, system calls and allocations, held to the figures in `figures.toml`:
//! more than 5 % over them fails. Unlike a time, a count is the same on a busy machine, so that a small step backwards shows.
//!
//! ```text
//! cargo run --release -p cost                 counts and judges; needs valgrind
//! cargo run --release -p cost -- --accept     counts and writes the figures
//! cargo run --release -p cost -- --caches     counts what is in no cache, too; twice as long
//! cargo run --release -p cost -- echo-20      only scenarios whose name has this
//! ```
//!
//! The program runs itself twice for each scenario, with more rounds and fewer, under valgrind's callgrind. Counted is what
//! happens in `Worker::turn` of the binary's own service, over real sockets; see `world`.

mod figures;
mod scenarios;
mod valgrind;
mod world;

use std::env;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use self::figures::{Cost, Figures};
use self::scenarios::{SCENARIOS, Scenario};
use self::world::World;

/// Rounds of a scenario: its costs are what the second number has beyond the first.
const ROUNDS: [&str; 2] = ["10", "30"];
/// The word that makes the program a scenario instead of a judge.
const ONE: &str = "--one";

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    if let [one, name, rounds] = words.as_slice()
        && one == ONE
    {
        return play(name, rounds);
    }
    if cfg!(debug_assertions) {
        eprintln!("cost: the figures are those of a release: cargo run --release -p cost");
        return ExitCode::FAILURE;
    }
    let has = |flag: &str| words.iter().any(|word| word == flag);
    let names = || words.iter().filter(|word| !word.starts_with("--"));
    let wanted: Vec<&Scenario> = SCENARIOS
        .iter()
        .filter(|scenario| {
            names().next().is_none() || names().any(|name| scenario.name.contains(name.as_str()))
        })
        .collect();
    match judge(&wanted, has("--accept"), has("--caches")) {
        Ok(lines) if lines.is_empty() => ExitCode::SUCCESS,
        Ok(lines) => {
            eprintln!("\nMore than {}:\n  {}", path().display(), lines.join("\n  "));
            eprintln!("Where that is meant: cargo run --release -p cost -- --accept");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("cost: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Plays one scenario, for whom counts it from outside.
fn play(name: &str, rounds: &str) -> ExitCode {
    let scenario = SCENARIOS.iter().find(|scenario| scenario.name == name);
    let (Some(scenario), Ok(rounds)) = (scenario, rounds.parse()) else {
        eprintln!("cost: {ONE} takes a scenario and a number of rounds");
        return ExitCode::FAILURE;
    };
    let mut world = World::new();
    let operations = (scenario.run)(&mut world, rounds);
    println!("{operations} {}", world.turns());
    ExitCode::SUCCESS
}

/// Counts the scenarios and says what they cost; returns what is too much.
fn judge(wanted: &[&Scenario], accept: bool, caches: bool) -> io::Result<Vec<String>> {
    let caches = accept || caches;
    let program = env::current_exe()?;
    let mut before = Figures::read(&path()).unwrap_or_default();
    let mut now =
        Figures { rustc: rustc(), valgrind: valgrind::version().unwrap_or_default(), ..Figures::default() };
    println!(
        "{:<14}{:>13}{:>13}{:>13}{:>10}{:>10}{:>9}",
        "each", "instructions", "system calls", "allocations", "L1 misses", "L2 misses", "a turn"
    );
    for scenario in wanted {
        let [less, more] =
            ROUNDS.map(|rounds| valgrind::count(&program, &[ONE, scenario.name, rounds], caches));
        let counts = more?.beyond(&less?);
        let cost = Cost::of(&counts);
        let together = counts.operations as f64 / counts.turns as f64;
        println!(
            "{:<14}{:>13}{:>13}{:>13}{:>10}{:>10}{together:>9.1}",
            scenario.name,
            cost.instructions,
            cost.system_calls,
            cost.allocations,
            if caches { cost.l1_misses.to_string() } else { "–".to_owned() },
            if caches { cost.l2_misses.to_string() } else { "–".to_owned() }
        );
        let calls: Vec<String> = counts
            .system_calls
            .iter()
            .map(|(name, count)| format!("{name} {:.3}", *count as f64 / counts.operations as f64))
            .collect();
        println!("  {}\n  {}", scenario.what, calls.join(", "));
        now.cost.insert(scenario.name.to_owned(), cost);
    }
    if !accept {
        if (&before.rustc, &before.valgrind) != (&now.rustc, &now.valgrind) {
            println!(
                "The figures are of rustc {} and valgrind {}, and these are {} and {}: instructions may differ by 30 %.",
                before.rustc, before.valgrind, now.rustc, now.valgrind
            );
        }
        return Ok(before.exceeded(&now));
    }
    before.cost.append(&mut now.cost);
    Figures { cost: before.cost, ..now }.write(&path())?;
    Ok(Vec::new())
}

fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("figures.toml")
}

/// The compiler's version, by whom cargo runs.
fn rustc() -> String {
    let output = Command::new("rustc").arg("--version").output();
    let said = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    said.split_whitespace().nth(1).unwrap_or("of unknown version").to_owned()
}
