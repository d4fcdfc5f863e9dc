//! `loadtest soak`: everything at once, for long, on a server of its own with two workers: a crowd that is just there, echo,
//! presence with rooms, connections that come and go, users that die, and hostile peers. The server's memory has to stay
//! flat, nobody may be called dead who is not, no message lost or out of order, and nothing may fail that was not made to.
//! Beside it two servers, one for each mode of compression, echo large messages and bursts over TLS, checked byte for byte:
//! they are apart because what a megabyte takes for a moment would hide what leaks.
//!
//! The parts are the scenarios of this program, each in a process of its own at a modest rate; what they count as errors
//! is an error here.
//!
//! | file | subject |
//! |---|---|
//! | [`parts`] | the scenarios that run at once, in rounds |
//! | [`hostile`] | peers that mean no good |
//! | [`server`] | the servers: started, asked how they are, ended |
//! | [`memory`] | whether memory is flat |

mod hostile;
mod memory;
mod parts;
mod server;

use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use crate::child::Ours;
use crate::comparison::OURS;
use crate::measure::Tally;
use crate::numbers::{bytes, grouped};
use crate::options::{Failure, stop_flag, usage};
use crate::outcome::{Outcome, Results};
use crate::process;
use crate::result::Series;
use crate::scenario::INTERRUPTED;
use crate::soak::hostile::Hostile;
use crate::soak::memory::{FLAT_BYTES, FLAT_PERCENT, Memory, Verdict};
use crate::soak::parts::Part;
use crate::soak::server::{Server, Servers};
use crate::units;

/// `loadtest soak`
#[derive(Clone, Debug, clap::Args)]
#[command(mut_arg("expect", |arg| arg.help(
    "A condition such as 'memory_spread_percent<3'; repeatable. Exit code 1 where one does not hold"
)))]
pub struct Args {
    /// How long all of it runs
    #[arg(long, default_value = "30m", value_parser = units::duration)]
    duration: Duration,
    #[command(flatten)]
    ours: Ours,
    #[command(flatten)]
    results: Results,
}

/// Shorter than this there is no warm-up to speak of, and a part of what follows may be over before free memory goes back.
const SHORTEST: Duration = Duration::from_secs(90);
/// Between two looks at the server's memory.
const LOOK: Duration = Duration::from_secs(1);
/// Looks between two questions whether it is well.
const LOOKS_PER_ASK: u64 = 5;

pub fn run(args: &Args) -> Result<(), Failure> {
    if args.duration < SHORTEST {
        return usage(format!("--duration: at least {} s", SHORTEST.as_secs()));
    }
    args.results.prepare()?;
    let servers = Servers::start(&args.ours.program()?)?;
    let server = &servers.all;
    let mut outcome = Outcome::new("soak", OURS);
    let mut errors = Tally::default();

    let end = Instant::now() + args.duration;
    let hostile = Hostile::start(server.address(), end);
    let parts: Vec<Part> = parts::start(&servers, end)?;
    let memory = look_on(server, end, &mut errors);
    for part in parts {
        part.finish(&mut outcome, &mut errors);
    }
    describe_attacks(&mut outcome, &hostile.finish());
    server.describe(&mut outcome);
    servers.finish(&mut errors);

    judge_memory(&mut outcome, &memory, &mut errors);
    outcome.parameter("duration_s", args.duration.as_secs_f64());
    outcome.parameter("workers", 2);
    if stop_flag().load(Relaxed) {
        outcome.note(INTERRUPTED);
    }
    outcome.errors(&crate::engine::Report::default(), &errors);
    outcome.finish(&args.results)
}

/// Looks at the server's memory each second, and asks whether it is well, until all is over.
fn look_on(server: &Server, end: Instant, errors: &mut Tally) -> Memory {
    let begun = Instant::now();
    let mut memory = Memory::default();
    for look in 0_u64.. {
        let now = Instant::now();
        if now >= end || stop_flag().load(Relaxed) {
            break;
        }
        match process::usage(server.pid()) {
            Ok(usage) => memory.add(begun.elapsed().as_secs_f64(), usage.resident_bytes as f64),
            Err(_) => {
                errors.add("the server is gone", 1);
                stop_flag().store(true, Relaxed);
            }
        }
        if look.is_multiple_of(LOOKS_PER_ASK)
            && server.get("/healthz").is_none_or(|(status, _)| status != 200)
        {
            errors.add("/healthz does not say that all is well", 1);
        }
        if look.is_multiple_of(60) {
            let left = end.saturating_duration_since(now).as_secs();
            eprintln!("loadtest: soak: {left} s left, {} resident", bytes(memory.last()));
        }
        std::thread::sleep(LOOK.min(end.saturating_duration_since(now)));
    }
    memory
}

fn judge_memory(outcome: &mut Outcome, memory: &Memory, errors: &mut Tally) {
    let Some(verdict) = memory.verdict() else {
        errors.add("too few looks at the server's memory", 1);
        return;
    };
    outcome.figure("memory_mean_bytes", verdict.mean);
    outcome.figure("memory_spread_percent", verdict.spread_percent);
    outcome.figure("memory_drift_percent", verdict.drift_percent);
    let Verdict { mean, spread_percent, drift_percent } = verdict;
    outcome.row(
        "memory",
        format!(
            "{} resident; over the last two thirds ±{spread_percent:.1} %, its floor ±{drift_percent:.1} %",
            bytes(mean)
        ),
    );
    errors.add("memory that is not flat", u64::from(!verdict.is_flat()));
    outcome.run.series.push(Series {
        name: "server_resident".to_owned(),
        unit: "bytes".to_owned(),
        seconds: memory.seconds.clone(),
        values: memory.bytes.clone(),
    });
    outcome.note(format!(
        "A crowd of 15,000 named users is there all the time and says nothing: without it the server is so small that what sixteen \
         hostile peers make it hold for a moment is a tenth of it. Resident memory is looked at each second. It is flat where, over the last two thirds of the run, the floor of each fifth \
         is within {FLAT_PERCENT} % of the mean of the floors, and each look within {FLAT_PERCENT} % or {} of it, whichever is more: so \
         much is in use for a moment, or kept in buffers.",
        bytes(FLAT_BYTES)
    ));
}

fn describe_attacks(outcome: &mut Outcome, attacks: &[(&'static str, u64)]) {
    let all: u64 = attacks.iter().map(|(_, count)| count).sum();
    outcome.figure("hostile_connections", all as f64);
    let kinds = attacks.iter().filter(|(_, count)| *count > 0).count();
    outcome.row(
        "hostile",
        format!("{} connections, {kinds} of {} kinds of mischief", grouped(all), attacks.len()),
    );
}
