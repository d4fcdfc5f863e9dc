//! Scenarios in which what one says reaches others: `chat` and `fanout`. Their messages carry a stamp of round and
//! sender, so that each delivery is known for what it is; how a server is spoken to is a [`Protocol`]'s business.

pub mod chat;
pub mod fanout;
mod pace;
pub mod protocol;

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use crate::chatter;
use crate::clock::nanos;
use crate::engine::Report;
use crate::engine::codec::Codec;
use crate::engine::link::{End, Link};
use crate::group::protocol::{Hint, Protocol, Refused, Say, Stamp, locate};
use crate::measure::Tally;
use crate::options::{Failure, Setup, usage};
use crate::outcome::{Outcome, Spent};
use crate::progress::{Subject, Watch};
use crate::refusal;
use crate::scenario;
use crate::units;

/// From the start of a run to its load: every thread has looked at the run's state by then.
const RUN_UP: u64 = 30_000_000;

/// The flags that both scenarios have.
#[derive(Clone, Debug, clap::Args)]
pub struct Shape {
    /// How the server is spoken to
    #[arg(long, value_enum, default_value = "rollcall")]
    protocol: Protocol,
    /// The room that all join
    #[arg(long, default_value = "loadtest")]
    room: String,
    /// Bytes of what is said, at least 10 [default: 20; with --deflate 1KiB]
    #[arg(long, value_parser = units::bytes)]
    size: Option<u64>,
    /// Offer permessage-deflate; what is said are then lines of JSON as a chat has them, whether the server agrees or not
    #[arg(long)]
    deflate: bool,
    /// How long to measure
    #[arg(long, default_value = "5s", value_parser = units::duration)]
    duration: Duration,
    /// How long to put on load before that
    #[arg(long, default_value = "1s", value_parser = units::duration)]
    warmup: Duration,
    /// How long a delivery may take
    #[arg(long, default_value = "10s", value_parser = units::duration)]
    delivery_timeout: Duration,
}

impl Shape {
    fn check(&self) -> Result<(), Failure> {
        let least = if self.deflate { chatter::SIZE_MIN as u64 } else { protocol::SIZE_MIN };
        let fits = (least..=60_000).contains(&self.size());
        if fits { Ok(()) } else { usage(format!("--size: {least} to 60000")) }
    }

    fn size(&self) -> u64 {
        self.size.unwrap_or(if self.deflate { 1024 } else { 20 })
    }

    /// What is said.
    fn say(&self) -> Say {
        Say::new(self.protocol, &self.room, self.size() as usize, self.deflate)
    }

    fn codec(&self) -> Option<Codec> {
        self.deflate.then(Codec::default)
    }

    fn describe(&self, outcome: &mut Outcome) {
        outcome.parameter("protocol", format!("{:?}", self.protocol).to_lowercase());
        outcome.parameter("size", self.size());
        outcome.parameter("deflate", self.deflate);
        outcome.parameter("duration_s", self.duration.as_secs_f64());
        outcome.parameter("warmup_s", self.warmup.as_secs_f64());
    }
}

/// Opens all connections, waits until all have joined, and measures.
fn conduct(setup: &Setup, watch: &mut Watch<'_>, shape: &Shape) -> Spent {
    let Setup { plan, run_state, .. } = setup;
    run_state.quota.store(plan.connections, Relaxed);
    let all = plan.connections as u64;
    let limit = run_state.clock.now() + plan.open_timeout + nanos(shape.delivery_timeout);
    let joined = watch.until_count("join", Subject::Ready, all, |counts| {
        counts.ready >= all || counts.failed > 0 || counts.errors > 0 || run_state.clock.now() > limit
    });
    if !joined || run_state.counts().ready < all {
        run_state.stop.store(true, Relaxed);
        return Spent::default();
    }
    let start = run_state.clock.now() + RUN_UP;
    let spent = scenario::window(setup, watch, "deliveries", (start, shape.warmup, shape.duration));
    watch.until_count("drain", Subject::Messages("deliveries"), 1, |_| false);
    spent
}

/// One line where not all of `plan`'s connections took part.
fn incomplete(report: &Report, own: &Tally, ready: u64, connections: usize) -> Option<Failure> {
    (ready < connections as u64).then(|| {
        let mut why = report.errors.clone();
        why.merge(own);
        let why: Vec<String> = why.into_map().into_keys().collect();
        let why = if why.is_empty() { "no answer says that they did".to_owned() } else { why.join(", ") };
        Failure::Failed(format!("{ready} of {connections} members joined: {why}"))
    })
}

/// What is kept for each member.
#[derive(Clone, Copy, Default, Debug)]
pub struct Member {
    joined: bool,
    /// It reads nothing once it has joined.
    stuck: bool,
    /// Deliveries of this round, or the next message awaited.
    count: u32,
}

/// What was heard beside deliveries.
#[derive(Clone, Copy, Default, Debug)]
struct Heard {
    /// Members that have joined.
    joined: u64,
    pings: u64,
    /// Messages that the server did not pass on, and what it said of the last of them.
    refused: u64,
    last: Refused,
}

impl Heard {
    /// Notes what was refused: it is no loss, and what comes behind it can't be told from one.
    fn note(&self, errors: &mut Tally) {
        let code = self.last.code;
        errors.add(&format!("refused by the server with {code}{}", refusal::of_command(code)), self.refused);
    }
}

/// Hands each delivery of `bytes` to `deliver`, and notes when a member has joined.
fn deliveries(
    link: &mut Link<Member>,
    codec: Option<(&mut Codec, usize)>,
    bytes: &mut [u8],
    protocol: Protocol,
    hint: &mut Hint,
    mut deliver: impl FnMut(&mut Member, Stamp),
) -> Result<Heard, End> {
    let mut heard = Heard::default();
    let seen = link.read_by(codec, bytes, |member, _, payload| {
        if let Some(stamp) = locate(payload, hint) {
            deliver(member, stamp);
        } else if !member.joined && protocol.has_joined(payload) {
            member.joined = true;
            heard.joined += 1;
        } else if let Some(refused) = protocol.refused(payload) {
            (heard.refused, heard.last) = (heard.refused + 1, refused);
        }
        Ok(())
    })?;
    heard.pings = seen.open()?;
    Ok(heard)
}
