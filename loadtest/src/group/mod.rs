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
use crate::engine::carrier::{Carried, Carrier};
use crate::engine::codec::Codec;
use crate::engine::link::{End, Link};
use crate::engine::{Counted, Report};
use crate::group::pace::Pace;
use crate::group::protocol::{Hint, Protocol, Refused, Say, Stamp, locate};
use crate::measure::{Recorder, Tally};
use crate::options::{Failure, Setup, usage};
use crate::outcome::{Outcome, Spent};
use crate::progress::{Subject, Watch};
use crate::refusal;
use crate::run_state::RunState;
use crate::scenario::Window;
use crate::target::Target;
use crate::units;

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
    #[command(flatten)]
    carried: Carried,
    #[command(flatten)]
    window: Window,
    /// How long a delivery may take
    #[arg(long, default_value = "10s", value_parser = units::duration)]
    delivery_timeout: Duration,
}

impl Shape {
    fn check(&self) -> Result<(), Failure> {
        let may_be = match self.carried.carrier {
            Carrier::Websocket => true,
            Carrier::Events => self.protocol == Protocol::Rollcall,
            Carrier::Poll => self.protocol != Protocol::Broadcast,
        };
        if !may_be {
            return usage(
                "--carrier events goes with --protocol rollcall, --carrier poll with that and socketio",
            );
        }
        let least = if self.deflate { chatter::SIZE_MIN as u64 } else { protocol::SIZE_MIN };
        let fits = (least..=60_000).contains(&self.size());
        if fits { Ok(()) } else { usage(format!("--size: {least} to 60000")) }
    }

    fn size(&self) -> u64 {
        self.size.unwrap_or(if self.deflate { 1024 } else { 20 })
    }

    fn describe(&self, outcome: &mut Outcome) {
        outcome.parameter("protocol", format!("{:?}", self.protocol).to_lowercase());
        outcome.parameter("size", self.size());
        outcome.parameter("deflate", self.deflate);
        outcome.parameter("carrier", self.carried.name());
        self.window.describe(outcome);
    }
}

/// Opens all connections, waits until all have joined, and measures.
fn conduct(setup: &Setup, watch: &mut Watch<'_>, shape: &Shape) -> Spent {
    let Setup { plan, run_state, .. } = setup;
    run_state.quota.store(plan.connections, Relaxed);
    let all = plan.connections as u64;
    let limit = run_state.clock.now() + plan.open_timeout + nanos(shape.delivery_timeout);
    let joined = watch.until_count("join", Subject::Steps("joined"), all, |counts| {
        counts.ready >= all || counts.failed > 0 || counts.errors > 0 || run_state.clock.now() > limit
    });
    if !joined || run_state.counts().ready < all {
        run_state.stop.store(true, Relaxed);
        return Spent::default();
    }
    shape.window.load(setup, watch, "deliveries")
}

/// An error of one line where not all of the connections took part.
fn complete(report: &Report, own: &Tally, ready: u64, connections: usize) -> Result<(), Failure> {
    if ready >= connections as u64 {
        return Ok(());
    }
    let why = report.why(own);
    let why = if why.is_empty() { "no answer says that they did" } else { &why };
    Err(Failure::Failed(format!("{ready} of {connections} members joined: {why}")))
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

/// Messages that the server did not pass on, and what it said of the last of them.
#[derive(Clone, Copy, Default, Debug)]
struct Refusals {
    count: u64,
    last: Refused,
}

impl Refusals {
    /// Notes what was refused: it is no loss, and what comes behind it can't be told from one.
    fn note(&self, errors: &mut Tally) {
        let code = self.last.code;
        errors.add(&format!("refused by the server with {code}{}", refusal::of_command(code)), self.count);
    }
}

/// A thread's part that both scenarios have: how it speaks to the server, and what it counts.
#[derive(Debug)]
struct Speaker<'a> {
    run_state: &'a RunState,
    shape: &'a Shape,
    thread: usize,
    say: Say,
    /// Where compression is offered.
    codec: Option<Codec>,
    hint: Hint,
    /// As fast as the server lets a member speak.
    pace: Pace,
    /// Members whose request was made.
    asked: usize,
    joined: u64,
    delivered: u64,
    measured: u64,
    latency: Recorder,
    pings: u64,
    errors: Tally,
}

impl<'a> Speaker<'a> {
    fn new(setup: &'a Setup, shape: &'a Shape, thread: usize) -> Speaker<'a> {
        Speaker {
            run_state: &setup.run_state,
            shape,
            thread,
            say: Say::new(shape.protocol, &shape.room, shape.size() as usize, shape.deflate),
            codec: shape.deflate.then(Codec::default),
            hint: 0,
            pace: Pace::default(),
            asked: 0,
            joined: 0,
            delivered: 0,
            measured: 0,
            latency: Recorder::warmed(),
            pings: 0,
            errors: Tally::default(),
        }
    }

    /// Whether a member's request says who it is: its first message does where a WebSocket carries it.
    fn names_itself(&self) -> bool {
        self.shape.protocol == Protocol::Rollcall && !self.shape.carried.carrier.is_websocket()
    }

    /// Appends the request that opens a member. Where no WebSocket carries it, that says who it is.
    fn request(&mut self, target: &Target, out: &mut Vec<u8>) {
        let mut path = target.path.clone();
        if self.names_itself() {
            path.push(if path.contains('?') { '&' } else { '?' });
            path.push_str(&format!("user={}", protocol::member(self.thread, self.asked)));
            self.asked += 1;
        }
        target.write_request(&path, &[], out);
    }

    /// A member is open: it says who it is and where it wants to be, and then whatever else.
    fn greet(&mut self, index: usize, link: &mut Link<Member>, more: &[u8]) -> Result<(), End> {
        if self.names_itself() {
            return link.send(&protocol::join(&self.shape.room));
        }
        match self.shape.protocol.greeting(&self.shape.room, (self.thread, index)) {
            Some(greeting) => link.send(&[&greeting, more].concat()),
            None => {
                link.state.joined = true;
                self.joined += 1;
                Ok(())
            }
        }
    }

    fn say(&mut self, id: usize, link: &mut Link<Member>, stamp: Stamp) -> Result<(), End> {
        self.say.send(link, &mut self.codec, id, stamp)
    }

    /// Hands each delivery of `bytes` to `deliver`, and notes when a member has joined. Returns what was refused.
    fn hear(
        &mut self,
        id: usize,
        link: &mut Link<Member>,
        bytes: &mut [u8],
        mut deliver: impl FnMut(&mut Member, Stamp, &mut Recorder),
    ) -> Result<Refusals, End> {
        let protocol = self.shape.protocol;
        let mut refusals = Refusals::default();
        let codec = self.codec.as_mut().map(|codec| (codec, id));
        let seen = link.read_by(codec, bytes, |member, _, payload| {
            if let Some(stamp) = locate(payload, &mut self.hint) {
                deliver(member, stamp, &mut self.latency);
            } else if !member.joined && protocol.has_joined(payload) {
                member.joined = true;
                self.joined += 1;
            } else if let Some(refused) = protocol.refused(payload) {
                refusals = Refusals { count: refusals.count + 1, last: refused };
            }
            Ok(())
        })?;
        self.pings += seen.open()?;
        Ok(refusals)
    }

    fn counted(&self) -> Counted {
        Counted {
            ready: self.joined,
            messages: self.delivered,
            pings: self.pings,
            errors: self.errors.total(),
        }
    }
}
