//! The fuzz targets, within `cargo test`: the committed seeds, and what a seeded mutation makes of them, a fixed number of
//! inputs each. `ROLLCALL_FUZZ_SECONDS=60` gives each target a time instead, `ROLLCALL_FUZZ_SEED=7` other mutations; an
//! input that fails is written to the temporary directory, and named.
//!
//! Each crash that was ever found is a test in [`crashes`].

mod crashes;
mod differences;
mod mutation;
mod targets;

use std::collections::BTreeMap;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::bounds::number;
use mutation::Mutation;

/// Inputs of a target where no time is given: about a second's worth.
const INPUTS: u64 = 10_000;
/// How many inputs grow out of each other: what was mutated often is far from any seed.
const POOL: usize = 512;

fn seeds(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/seeds").join(target);
    let files = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    // In an order of their own, so that a seed of the dice is a run.
    let seeds: BTreeMap<PathBuf, Vec<u8>> =
        files.map(|path| (path.clone(), fs::read(path).unwrap())).collect();
    assert!(!seeds.is_empty(), "no seeds in {}", folder.display());
    seeds.into_values().collect()
}

/// Runs a target with one input. One that fails is kept.
fn try_input(target: &str, input: &[u8]) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| targets::run(target, input))) {
        let path = std::env::temp_dir().join(format!("rollcall-fuzz-{target}-{}", std::process::id()));
        fs::write(&path, input).unwrap();
        eprintln!("the input that failed is {}", path.display());
        resume_unwind(panic);
    }
}

fn fuzz(target: &str) {
    let mut pool = seeds(target);
    pool.iter().for_each(|input| try_input(target, input));
    let kept = pool.len();
    let mut mutation = Mutation::new(number("ROLLCALL_FUZZ_SEED").unwrap_or(1));
    let until = number("ROLLCALL_FUZZ_SECONDS").map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let mut inputs = 0;
    while until.map_or(inputs < INPUTS, |until| Instant::now() < until) {
        let input = mutation.of(&pool);
        try_input(target, &input);
        inputs += 1;
        if pool.len() < POOL {
            pool.push(input);
        } else if inputs % 4 == 0 {
            let place = kept + mutation.below(POOL - kept);
            pool[place] = input;
        }
    }
}

#[test]
fn requests() {
    fuzz("request");
}

#[test]
fn sessions() {
    fuzz("session");
}

#[test]
fn sessions_beside_tungstenites() {
    fuzz("differential");
}

#[test]
fn commands() {
    fuzz("command");
}

#[test]
fn commands_with_bytes() {
    fuzz("framed");
}

#[test]
fn messages() {
    fuzz("envelope");
}

#[test]
fn binary_letters() {
    fuzz("binary");
}

#[test]
fn snapshots() {
    fuzz("snapshot");
}

#[test]
fn records() {
    fuzz("record");
}

#[test]
fn every_target_has_its_program_and_its_test() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz");
    let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap();
    let here = fs::read_to_string(folder.join("mod.rs")).unwrap();
    for (target, _) in targets::TARGETS {
        let program = fs::read_to_string(folder.join(format!("bin/{target}.rs"))).unwrap();
        assert!(program.contains(&format!("targets::run(\"{target}\", data)")), "{target}");
        assert!(manifest.contains(&format!("name = \"{target}\"")), "{target} is missing in its Cargo.toml");
        assert!(here.contains(&format!("    fuzz(\"{target}\");")), "{target} has no test");
    }
}
