//! `loadtest idle`: N connections that say nothing but answer Pings: what each of them costs the server in memory, and
//! whether all are still there at the end.
//!
//! The figure is a slope: memory is read when a third of the connections are open and again when all are, so that what a
//! server takes once, and what its allocator took while it warmed up, does not count.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use rollcall::internals::wire::frame::Opcode;

use crate::chatter::{Chatter, SIZE_MIN};
use crate::clock::nanos;
use crate::engine::carrier::Carried;
use crate::engine::codec::Codec;
use crate::engine::link::{End, Link, text_frame};
use crate::engine::{Client, Counted, Next, Turn};
use crate::footprint::Footprint;
use crate::machine;
use crate::measure::Tally;
use crate::numbers::{bytes, grouped};
use crate::options::{Common, Failure, Need, Setup, usage};
use crate::outcome::{Outcome, Reading, Spent};
use crate::progress::{Subject, Watch};
use crate::run_state::RunState;
use crate::scenario::{Done, Scenario};
use crate::units;

/// How often an idle thread looks at the run's state.
const LOOK: u64 = 50_000_000;

/// `loadtest idle`
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    common: Common,
    /// Connections
    #[arg(long, default_value_t = 15_000)]
    connections: usize,
    /// Each connection says one line of a chat when it opens, of so many bytes, and takes what comes back [default: none]
    #[arg(long, value_name = "SIZE", value_parser = units::bytes)]
    say: Option<u64>,
    /// Offer permessage-deflate
    #[arg(long)]
    deflate: bool,
    #[command(flatten)]
    carried: Carried,
    /// How long to hold them all
    #[arg(long, default_value = "60s", value_parser = units::duration)]
    hold: Duration,
    /// How long memory may settle before it is read
    #[arg(long, default_value = "2s", value_parser = units::duration)]
    settle: Duration,
}

/// One thread's part: it answers Pings.
#[derive(Debug)]
pub struct IdleClient<'a> {
    run_state: &'a RunState,
    /// What each connection says when it opens, and how many have.
    says: Option<Chatter>,
    said: u64,
    heard: u64,
    /// Where compression is offered.
    codec: Option<Codec>,
    pings: u64,
}

impl Client for IdleClient<'_> {
    type State = ();

    fn codec(&mut self) -> Option<&mut Codec> {
        self.codec.as_mut()
    }

    fn opened(&mut self, id: usize, link: &mut Link<()>, _: u64) -> Result<(), End> {
        let Some(chatter) = &self.says else { return Ok(()) };
        let line = chatter.line(self.said);
        self.said += 1;
        match &mut self.codec {
            Some(codec) => link.send(codec.frame(id, Opcode::Text, line)),
            None => link.send(&text_frame(line)),
        }
    }

    fn received(&mut self, id: usize, link: &mut Link<()>, bytes: &mut [u8], _: u64) -> Result<(), End> {
        // Messages (a welcome, a heartbeat, an echo) are no business of an idle client.
        let codec = self.codec.as_mut().map(|codec| (codec, id));
        let heard = &mut self.heard;
        let seen = link.read_by(codec, bytes, |(), _, _| {
            *heard += 1;
            Ok(())
        })?;
        self.pings += seen.open()?;
        Ok(())
    }

    fn turn(&mut self, turn: &mut Turn<'_, ()>) -> Next {
        let over = self.run_state.stopped() || turn.now >= self.run_state.until.load(Relaxed);
        if over { Next::Finished } else { Next::Until(turn.now + LOOK) }
    }

    fn counted(&self) -> Counted {
        Counted { pings: self.pings, messages: self.heard, ..Counted::default() }
    }
}

/// What the conductor saw.
#[derive(Debug, Default)]
pub struct Seen {
    points: Vec<Footprint>,
    /// Seconds in which connections were opened, without the pauses.
    ramp_seconds: f64,
    /// Connections when the ramp was over, and when the hold was.
    ramped: u64,
    held: u64,
    hold: Spent,
    hold_pings: u64,
    /// Pings of the whole run.
    pings: u64,
    /// Why the ramp ended early.
    cut: Option<String>,
}

impl Scenario for Args {
    const NAME: &'static str = "idle";
    type Shared = ();
    type Seen = Seen;
    type Client<'a> = IdleClient<'a>;

    fn common(&self) -> &Common {
        &self.common
    }

    fn need(&self) -> Result<Need, Failure> {
        if self.say.is_some_and(|size| !(SIZE_MIN as u64..=65_536).contains(&size)) {
            return usage(format!("--say: {SIZE_MIN} to 65536 bytes"));
        }
        let Carried { carrier } = self.carried;
        if self.say.is_some() && !carrier.is_websocket() {
            return usage("--say goes with WebSockets alone");
        }
        let read_buffer = 16 << 10;
        Ok(Need { read_buffer, deflate: self.deflate, carrier, ..Need::of(self.connections) })
    }

    fn share(&self, _: &mut Setup) -> Result<(), Failure> {
        Ok(())
    }

    fn make<'a>(&'a self, setup: &'a Setup, (): &'a (), _: usize) -> IdleClient<'a> {
        IdleClient {
            run_state: &setup.run_state,
            says: self.say.map(|size| Chatter::new(size as usize)),
            said: 0,
            heard: 0,
            codec: self.deflate.then(Codec::default),
            pings: 0,
        }
    }

    fn conduct(&self, setup: &Setup, (): &(), watch: &mut Watch<'_>, seen: &mut Seen) {
        let Setup { plan, run_state, .. } = setup;
        let all = plan.connections;
        for goal in [all / 3, all] {
            let settled = |watch: &mut Watch<'_>| {
                watch.until_moment("settle", Subject::Live, run_state.clock.now() + nanos(self.settle))
            };
            if !self.ramp(setup, watch, goal, seen) || !settled(watch) {
                break;
            }
            seen.points.push(Footprint::now(setup));
            if seen.cut.is_some() {
                break;
            }
        }
        let begin = Reading::now(setup);
        let pings = run_state.counts().pings;
        watch.until_moment("hold", Subject::Live, run_state.clock.now() + nanos(self.hold));
        seen.hold = Reading::now(setup).since(&begin);
        seen.pings = run_state.counts().pings;
        seen.hold_pings = seen.pings - pings;
        seen.held = run_state.counts().live;
        run_state.until.store(run_state.clock.now(), Relaxed);
        watch.until_count("close", Subject::Live, all as u64, |counts| counts.live == 0);
    }

    fn describe(&self, outcome: &mut Outcome, done: &Done<'_, Args>) -> Result<(), Failure> {
        outcome.parameter("hold_s", self.hold.as_secs_f64());
        outcome.parameter("say", self.say);
        outcome.parameter("deflate", self.deflate);
        let (seen, report) = (&done.seen, &done.report);
        outcome.compression(report);
        let per_second = report.opened as f64 / seen.ramp_seconds.max(1e-9);
        outcome.figure("connections", seen.ramped as f64);
        outcome.figure("connections_held", seen.held as f64);
        outcome.figure("connections_lost", report.lost as f64);
        outcome.figure("connections_per_second", per_second);
        outcome.figure("pings", seen.pings as f64);
        outcome.figure("ramp_s", seen.ramp_seconds);
        let ramp = format!("in {:.1} s, {}/s", seen.ramp_seconds, grouped(per_second as u64));
        outcome.row(
            "opened",
            format!("{} of {} {ramp}", grouped(report.opened), grouped(self.connections as u64)),
        );
        outcome.row(
            "held",
            format!("{} for {:.0} s, {} lost", grouped(seen.held), seen.hold.seconds, report.lost),
        );
        outcome.times("connect", &report.connect);
        outcome.times("upgrade", &report.upgrade);
        memory(outcome, seen);
        heartbeats(outcome, seen);
        outcome.cpu(&seen.hold, "ping", seen.hold_pings);
        let mut own = Tally::default();
        if let Some(cut) = &seen.cut {
            own.add("ramp ended early", 1);
            outcome.note(cut.as_str());
        }
        outcome.errors(report, &own);
        done.note_interruption(outcome);
        Ok(())
    }
}

impl Args {
    /// Opens connections up to `goal` in all; false on Ctrl-C.
    fn ramp(&self, setup: &Setup, watch: &mut Watch<'_>, goal: usize, seen: &mut Seen) -> bool {
        let run_state = &setup.run_state;
        let begin = run_state.clock.now();
        run_state.quota.store(goal, Relaxed);
        let floor = self.common.memory_floor;
        let mut low = false;
        let went_on = watch.until_count("ramp", Subject::Opened, setup.plan.connections as u64, |counts| {
            low = machine::available_memory() < floor;
            low || counts.opened + counts.failed >= goal as u64
        });
        let counts = run_state.counts();
        if low && counts.opened < goal as u64 {
            run_state.quota.store(0, Relaxed);
            seen.cut = Some(format!(
                "the ramp ended at {} connections: under {} of memory were available (--memory-floor)",
                grouped(counts.opened),
                bytes(floor as f64)
            ));
        }
        seen.ramp_seconds += (run_state.clock.now() - begin) as f64 / 1e9;
        seen.ramped = counts.live;
        went_on
    }
}

fn memory(outcome: &mut Outcome, seen: &Seen) {
    let [from, to] = seen.points[..] else { return };
    let between =
        |name: &'static str, get: fn(&Footprint) -> Option<u64>| Some((name, to.each_since(&from, get)?));
    let slopes = [
        between("anonymous", Footprint::anonymous),
        between("resident", Footprint::resident),
        between("load", |moment| Some(moment.own)),
        between("kernel", |moment| moment.kernel),
    ];
    for (name, bytes) in slopes.into_iter().flatten() {
        outcome.figure(&format!("{name}_bytes_per_connection"), bytes);
        let label = match name {
            "kernel" => "of the kernel, both ends".to_owned(),
            "load" => "of the load".to_owned(),
            name => format!("of the server, {name}"),
        };
        outcome.row("bytes/connection", format!("{bytes:.0} {label}"));
    }
    if let Some(memory) = to.server {
        outcome.server_memory(memory);
    }
    outcome.note(format!(
        "Bytes per connection are a slope, from {} to {} connections.",
        grouped(from.connections),
        grouped(to.connections)
    ));
}

fn heartbeats(outcome: &mut Outcome, seen: &Seen) {
    if seen.hold.seconds <= 0.0 || seen.held == 0 {
        return;
    }
    let per_second = seen.hold_pings as f64 / seen.hold.seconds;
    let each = seen.hold_pings as f64 / seen.held as f64;
    outcome.figure("pings_per_second", per_second);
    outcome.figure("pings_per_connection", each);
    outcome
        .row("heartbeats", format!("{} pings/s, {each:.2} on each connection", grouped(per_second as u64)));
}
