//! `loadtest echo`: messages go out, the same must come back; how many a second, how fast, at what cost.
//!
//! Closed loop by default: each connection keeps `--depth` messages in flight, so a slow server is asked less. With
//! `--rate` the loop is open: messages are due by a schedule, and a latency counts from the moment its message was due.
//! Throughput and cost are questions for the first, latencies under a given load for the second.

mod client;
mod deflated;
mod frames;
mod load;
mod pace;

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use crate::chatter::SIZE_MIN;
use crate::clock::nanos;
use crate::echo::client::EchoClient;
use crate::echo::load::{Load, Tallies};
use crate::measure::Tally;
use crate::numbers;
use crate::options::{Common, Failure, Need, Setup, usage};
use crate::outcome::{Outcome, Spent};
use crate::progress::{Subject, Watch};
use crate::scenario::{self, Done, Scenario, Window};
use crate::target::Target;
use crate::units;

/// Replies over this size are compared one in sixteen, unless `--verify` says otherwise.
const VERIFY_ALL_BYTES: usize = 4096;
/// Messages in flight on a connection of an open loop, unless `--depth` says otherwise.
const OPEN_LOOP_DEPTH: usize = 64;

/// Which replies are compared with what was sent. Lengths always are.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum Verify {
    /// All up to 4 KiB, one in sixteen beyond
    Auto,
    /// Every one
    All,
    /// Lengths only
    None,
}

/// `loadtest echo`
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    common: Common,
    /// Connections
    #[arg(long, default_value_t = 50)]
    connections: usize,
    /// Bytes of each message [default: 20; with --deflate 1KiB]
    #[arg(long, value_parser = units::bytes)]
    size: Option<u64>,
    /// Messages in flight on each connection [default: 1; with --rate 64]
    #[arg(long)]
    depth: Option<usize>,
    /// Messages a second in all (open loop) [default: as fast as replies come]
    #[arg(long)]
    rate: Option<f64>,
    #[command(flatten)]
    window: Window,
    /// How long to wait for the last replies
    #[arg(long, default_value = "5s", value_parser = units::duration)]
    drain: Duration,
    /// Which replies are compared with what was sent
    #[arg(long, value_enum, default_value = "auto")]
    verify: Verify,
    /// Text messages instead of binary ones
    #[arg(long)]
    text: bool,
    /// Offer permessage-deflate; messages are then lines of JSON as a chat has them, whether the server agrees or not
    #[arg(long)]
    deflate: bool,
    /// Measure a bare loop (`loadtest bare`) too and say the ratio to it
    #[arg(long, value_name = "URL")]
    bare_url: Option<String>,
}

impl Args {
    fn load(&self) -> Result<Load, Failure> {
        let Ok(size @ 0..=0x400_0000) = usize::try_from(self.size()) else {
            return usage("--size: at most 64MiB");
        };
        if self.deflate && size < SIZE_MIN {
            return usage(format!("--size: with --deflate at least {SIZE_MIN}, a line of a chat"));
        }
        let depth = self.depth.unwrap_or(if self.rate.is_some() { OPEN_LOOP_DEPTH } else { 1 });
        if !(1..=65_536).contains(&depth) {
            return usage("--depth: 1 to 65536");
        }
        if self.rate.is_some_and(|rate| rate.is_nan() || rate <= 0.0) {
            return usage("--rate: more than nothing");
        }
        let verify_every = match self.verify {
            Verify::All => 1,
            Verify::Auto if size <= VERIFY_ALL_BYTES => 1,
            Verify::Auto => 16,
            Verify::None => 0,
        };
        Ok(Load {
            size,
            text: self.text,
            deflate: self.deflate,
            depth,
            rate: self.rate,
            verify_every,
            drain: nanos(self.drain),
        })
    }

    fn size(&self) -> u64 {
        self.size.unwrap_or(if self.deflate { 1024 } else { 20 })
    }
}

impl Scenario for Args {
    const NAME: &'static str = "echo";
    type Shared = Load;
    type Seen = Spent;
    type Client<'a> = EchoClient<'a>;

    fn common(&self) -> &Common {
        &self.common
    }

    fn need(&self) -> Result<Need, Failure> {
        self.load()?;
        let read_buffer = if self.size() <= 1024 { 64 << 10 } else { 256 << 10 };
        Ok(Need { read_buffer, deflate: self.deflate, ..Need::of(self.connections) })
    }

    fn share(&self, _: &mut Setup) -> Result<Load, Failure> {
        self.load()
    }

    fn make<'a>(&'a self, setup: &'a Setup, load: &'a Load, index: usize) -> EchoClient<'a> {
        EchoClient::new(setup, *load, index)
    }

    /// Opens all connections, lets the load begin, and reads both sides' usage where measuring begins and ends.
    fn conduct(&self, setup: &Setup, _: &Load, watch: &mut Watch<'_>, spent: &mut Spent) {
        let Setup { plan, run_state, .. } = setup;
        run_state.quota.store(plan.connections, Relaxed);
        let all = plan.connections as u64;
        let opened =
            watch.until_count("connect", Subject::Opened, all, |counts| counts.opened + counts.failed >= all);
        if !opened || run_state.counts().opened == 0 {
            run_state.stop.store(true, Relaxed);
            return;
        }
        *spent = self.window.load(setup, watch, "messages");
    }

    fn describe(&self, outcome: &mut Outcome, done: &Done<'_, Args>) -> Result<(), Failure> {
        let measured = Measured::of(done)?;
        describe(outcome, self, *done.shared, &measured, done);
        if let Some(url) = self.bare_url.as_ref().filter(|_| !done.setup.run_state.stopped()) {
            let target = Target::parse(url, self.common.allow).map_err(Failure::Usage)?;
            // What it takes is the same whoever compresses.
            let setup = self.common.prepare_for(target, None, Need { deflate: false, ..self.need()? })?;
            compare(outcome, &measured, &Measured::of(&scenario::measure(self, &setup, done.shared)?)?);
        }
        Ok(())
    }
}

/// What a measurement found.
#[derive(Debug)]
struct Measured {
    tallies: Tallies,
    spent: Spent,
}

impl Measured {
    /// An error where no connection opened.
    fn of(done: &Done<'_, Args>) -> Result<Measured, Failure> {
        if done.report.opened == 0 {
            let why = done.report.why(&Tally::default());
            return Err(Failure::Failed(format!("no connection opened: {why}")));
        }
        let mut tallies = Tallies::default();
        done.clients().for_each(|client| tallies.add(&client.tallies));
        Ok(Measured { tallies, spent: done.seen })
    }

    fn rate(&self) -> f64 {
        self.spent.per_second(self.tallies.measured)
    }

    fn server_micros(&self) -> Option<f64> {
        Some(self.spent.server? * 1e6 / self.tallies.measured as f64).filter(|micros| micros.is_finite())
    }
}

fn describe(outcome: &mut Outcome, args: &Args, load: Load, measured: &Measured, done: &Done<'_, Args>) {
    outcome.parameter("size", load.size);
    outcome.parameter("depth", load.depth);
    outcome.parameter("rate", load.rate);
    args.window.describe(outcome);
    outcome.parameter("text", load.text);
    outcome.parameter("deflate", load.deflate);
    outcome.parameter("verify_every", load.verify_every);
    let rate = measured.rate();
    let bytes = rate * load.size as f64;
    outcome.figure("messages_per_second", rate);
    outcome.figure("payload_bytes_per_second", bytes);
    outcome.figure("messages", measured.tallies.measured as f64);
    let shape = match load.rate {
        None => format!("{} in flight on each", load.depth),
        Some(rate) => format!("{} messages/s by schedule", numbers::grouped(rate as u64)),
    };
    outcome.row("load", format!("{} connections, {} B, {shape}", args.connections, load.size));
    let each_way = format!("{:.1} MB/s of payload each way", bytes / 1e6);
    outcome.row("rate", format!("{} messages/s, {each_way}", numbers::grouped(rate as u64)));
    outcome.compression(&done.report);
    outcome.times("latency", &measured.tallies.latency);
    if load.rate.is_some() {
        outcome.times("send lag", &measured.tallies.lag);
    }
    outcome.cpu(&measured.spent, "message", measured.tallies.measured);
    outcome.errors(&done.report, &measured.tallies.errors);
    match load.rate {
        None => outcome
            .note("Closed loop: a slow server is asked less, so latencies are those of a full pipeline."),
        Some(_) => outcome.note("Open loop: latencies count from the moment that a message was due."),
    }
    done.note_interruption(outcome);
}

/// Adds the bare loop's figures, and the ratios to them: above one where the server does better.
fn compare(outcome: &mut Outcome, server: &Measured, bare: &Measured) {
    let ratio = server.rate() / bare.rate();
    outcome.figure("bare_messages_per_second", bare.rate());
    outcome.figure("rate_to_bare", ratio);
    let mut row = format!("{} messages/s, so {ratio:.3} of its rate", numbers::grouped(bare.rate() as u64));
    if let (Some(own), Some(least)) = (server.server_micros(), bare.server_micros()) {
        outcome.figure("bare_cpu_us_per_message", least);
        outcome.figure("cpu_to_bare", own / least);
        row.push_str(&format!("; {least:.3} µs per message, so {:.3} of its cpu", own / least));
    }
    outcome.row("bare loop", row);
}
