//! `loadtest fanout`: one says something, N hear it: how long until each has, and what a delivery costs.
//!
//! Closed loop by default: the next message goes when all have the last one. With `--rate` by a schedule, and latencies
//! count from the moment a message was due. A receiver expects every message once and in order.

use std::sync::atomic::Ordering::{Acquire, Relaxed};
use std::sync::atomic::{AtomicBool, AtomicU64};

use crate::clock::nanos;
use crate::engine::codec::Codec;
use crate::engine::link::{End, Link};
use crate::engine::{Client, Counted, Next, Turn};
use crate::group::protocol::{self, Stamp};
use crate::group::{Member, Shape, Speaker, complete, conduct};
use crate::measure::{Recorder, Tally};
use crate::numbers::{bytes, grouped};
use crate::options::{Common, Failure, Need, Setup, usage};
use crate::outcome::{Outcome, Spent};
use crate::progress::Watch;
use crate::run_state::{UNSET, share};
use crate::scenario::{Done, Scenario};
use crate::target::Target;

const LOOK: u64 = 10_000_000;
/// How often the sender's thread looks whether other threads' members have it.
const ACROSS_THREADS: u64 = 200_000;
/// Moments of messages that may be under way.
const MOMENTS: usize = 1 << 16;

/// `loadtest fanout`
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    shape: Shape,
    /// Receivers; the sender is one of them
    #[arg(long, alias = "receivers", default_value_t = 1000)]
    connections: usize,
    /// Members that read nothing once they have joined, with the least receive buffers there are, beside the receivers
    #[arg(long, default_value_t = 0)]
    stuck: usize,
    /// The stuck ones watch the sender, which changes its state with each message
    #[arg(long, requires = "stuck")]
    states: bool,
    /// Messages a second by schedule [default: the next when all have the last]
    #[arg(long)]
    rate: Option<f64>,
}

/// What the threads share besides the run's state.
#[derive(Debug)]
pub struct Said {
    /// When message `seq % MOMENTS` was sent, or due.
    moments: Vec<AtomicU64>,
    /// Messages said so far.
    count: AtomicU64,
    /// The server did not pass on one of them: a gap in what is heard may be that one.
    refused: AtomicBool,
}

/// One thread's part. The first one has the sender, which is its first connection.
#[derive(Debug)]
pub struct FanoutClient<'a> {
    speaker: Speaker<'a>,
    said: &'a Said,
    threads: usize,
    connections: u64,
    /// Nanoseconds between two messages, where there is a schedule.
    gap: Option<f64>,
    /// When the last message went.
    said_at: u64,
    /// When to say the last message again, which the server refused.
    again_at: Option<u64>,
    /// Deliveries that did not come, as far as all that was said was passed on.
    lost: u64,
    /// Members that read.
    members: u64,
    /// How many of its connections this thread is to let read, and how many not.
    shares: (usize, usize),
    states: bool,
    /// Stuck members that the server has ended.
    stuck_ended: u64,
}

impl FanoutClient<'_> {
    /// When the next message is due; `None` where others must come first.
    fn due(&self, start: u64, now: u64) -> Option<u64> {
        let count = self.said.count.load(Relaxed);
        match self.gap {
            Some(gap) => Some(start + (count as f64 * gap) as u64),
            None => {
                let heard = self.all_delivered() >= count * self.connections;
                heard.then(|| now.max(self.speaker.pace.after(self.said_at)))
            }
        }
    }

    /// Deliveries to the members of all threads, as of each one's last turn; this thread's as of now.
    fn all_delivered(&self) -> u64 {
        let run_state = self.speaker.run_state;
        let published = run_state.thread(0).messages.load(Relaxed);
        run_state.counts().messages - published + self.speaker.delivered
    }

    /// Says message `number`, due at that moment. False where nobody is there to say it.
    fn say(&mut self, turn: &mut Turn<'_, Member>, number: u64, due: u64) -> bool {
        self.said.moments[number as usize % MOMENTS].store(due, Relaxed);
        self.said_at = due;
        let stamp = Stamp { round: (number % u64::from(Stamp::ROUNDS)) as u32, sender: 0 };
        let state = self.states.then(|| protocol::status(number.is_multiple_of(2)));
        turn.with(0, |link| {
            self.speaker.say(0, link, stamp)?;
            state.map_or(Ok(()), |state| link.send(&state))
        })
    }

    fn speak(&mut self, turn: &mut Turn<'_, Member>, start: u64) -> u64 {
        let until = self.speaker.run_state.until.load(Relaxed);
        if let Some(at) = self.again_at {
            if turn.now < at {
                return at;
            }
            self.again_at = None;
            self.say(turn, self.said.count.load(Relaxed) - 1, turn.now);
        }
        loop {
            match self.due(start, turn.now) {
                Some(due) if due <= turn.now && due < until => {
                    let count = self.said.count.load(Relaxed);
                    self.said.count.store(count + 1, Relaxed);
                    if !self.say(turn, count, due) {
                        return turn.now + LOOK;
                    }
                }
                Some(due) => return due,
                None => return turn.now + if self.threads > 1 { ACROSS_THREADS } else { 10 * LOOK },
            }
        }
    }

    fn is_over(&mut self, now: u64) -> bool {
        let Speaker { run_state, shape, delivered, .. } = self.speaker;
        let until = run_state.until.load(Relaxed);
        if run_state.stopped() || now < until {
            return run_state.stopped();
        }
        let awaited = (self.said.count.load(Relaxed) * self.members).saturating_sub(delivered);
        let late = now >= until.saturating_add(nanos(shape.delivery_timeout));
        if late {
            self.lost += awaited;
        }
        late || awaited == 0
    }
}

impl Client for FanoutClient<'_> {
    type State = Member;

    fn request(&mut self, _: &mut Link<Member>, target: &Target, out: &mut Vec<u8>) {
        self.speaker.request(target, out);
    }

    fn codec(&mut self) -> Option<&mut Codec> {
        self.speaker.codec.as_mut()
    }

    fn opened(&mut self, index: usize, link: &mut Link<Member>, _: u64) -> Result<(), End> {
        link.state.stuck = is_stuck(index, self.shares);
        self.members += u64::from(!link.state.stuck);
        if link.state.stuck {
            link.shrink_receive_buffer()?;
        }
        let watches = link.state.stuck && self.states;
        self.speaker.greet(index, link, &if watches { protocol::watch_the_sender() } else { Vec::new() })
    }

    fn received(
        &mut self,
        id: usize,
        link: &mut Link<Member>,
        bytes: &mut [u8],
        now: u64,
    ) -> Result<(), End> {
        let (mut count, mut lost, mut doubles, mut measured) = (0, 0, 0, 0);
        let (said, run_state) = (self.said, self.speaker.run_state);
        let (from, until) = (run_state.from.load(Relaxed), run_state.until.load(Relaxed));
        let refusals = self.speaker.hear(id, link, bytes, |member, stamp, latency| {
            if member.stuck {
                return;
            }
            let ahead = stamp.round.wrapping_sub(member.count) % Stamp::ROUNDS;
            if ahead > Stamp::ROUNDS / 2 {
                doubles += 1;
                return;
            }
            lost += u64::from(ahead);
            member.count = (stamp.round + 1) % Stamp::ROUNDS;
            count += 1;
            let since = said.moments[stamp.round as usize % MOMENTS].load(Relaxed);
            if since >= from && since < until {
                latency.record(now.saturating_sub(since));
                measured += 1;
            }
        })?;
        let speaker = &mut self.speaker;
        if refusals.count > 0 {
            // Without a schedule the last message alone is under way.
            let is_one = self.gap.is_none() && said.count.load(Relaxed) > 0;
            if is_one && speaker.pace.slow_down(refusals.last) {
                self.again_at = Some(speaker.pace.after(now));
            } else {
                // What was not said reaches nobody: the run is over, with that error.
                refusals.note(&mut speaker.errors);
                said.refused.store(true, Relaxed);
                run_state.stop.store(true, Relaxed);
            }
        }
        speaker.measured += measured;
        // What was skipped will not come: it counts as handled, and as an error.
        speaker.delivered += count + lost;
        self.lost += lost;
        speaker.errors.add("delivered twice or out of order", doubles);
        Ok(())
    }

    fn reads(&self, link: &Link<Member>) -> bool {
        !(link.state.stuck && link.state.joined)
    }

    fn closed(&mut self, _: usize, link: &mut Link<Member>, _: &End, _: u64) {
        if link.state.stuck {
            self.stuck_ended += 1;
            return;
        }
        // A room that lost a member has no next message that all would hear: the run is over, with that error.
        self.speaker.run_state.stop.store(true, Relaxed);
    }

    fn turn(&mut self, turn: &mut Turn<'_, Member>) -> Next {
        let run_state = self.speaker.run_state;
        let start = run_state.start.load(Acquire);
        if start == UNSET {
            return if run_state.stopped() { Next::Finished } else { Next::Until(turn.now + LOOK) };
        }
        let next = if self.speaker.thread == 0 { self.speak(turn, start) } else { turn.now + LOOK };
        if self.is_over(turn.now) { Next::Finished } else { Next::Until(next.min(turn.now + LOOK)) }
    }

    fn counted(&self) -> Counted {
        let counted = self.speaker.counted();
        Counted { errors: counted.errors + self.lost, ..counted }
    }
}

/// How many of a thread's connections read, and how many do not.
fn shares(readers: usize, all: usize, thread: usize, threads: usize) -> (usize, usize) {
    let reading = share(readers, thread, threads);
    (reading, share(all, thread, threads) - reading)
}

/// Whether a thread's connection is to read nothing. A room's members get a message one after the other: those that are stuck
/// stand evenly between the others, behind the first.
fn is_stuck(index: usize, (readers, stuck): (usize, usize)) -> bool {
    let before = |index: usize| index * stuck / (readers + stuck);
    before(index + 1) > before(index)
}

impl Scenario for Args {
    const NAME: &'static str = "fanout";
    type Shared = Said;
    type Seen = Spent;
    type Client<'a> = FanoutClient<'a>;

    fn common(&self) -> &Common {
        &self.common
    }

    fn need(&self) -> Result<Need, Failure> {
        self.shape.check()?;
        if self.rate.is_some_and(|rate| rate.is_nan() || rate <= 0.0) {
            return usage("--rate: more than nothing");
        }
        let carrier = self.shape.carried.carrier;
        if self.stuck > 0 && !carrier.is_websocket() {
            return usage("--stuck goes with WebSockets alone");
        }
        Ok(Need { deflate: self.shape.deflate, carrier, ..Need::of(self.connections + self.stuck) })
    }

    fn share(&self, _: &mut Setup) -> Result<Said, Failure> {
        Ok(Said {
            moments: (0..MOMENTS).map(|_| AtomicU64::new(0)).collect(),
            count: AtomicU64::new(0),
            refused: AtomicBool::new(false),
        })
    }

    fn make<'a>(&'a self, setup: &'a Setup, said: &'a Said, index: usize) -> FanoutClient<'a> {
        FanoutClient {
            speaker: Speaker::new(setup, &self.shape, index),
            said,
            threads: setup.plan.threads,
            connections: self.connections as u64,
            gap: self.rate.map(|rate| 1e9 / rate),
            said_at: 0,
            again_at: None,
            lost: 0,
            members: 0,
            shares: shares(self.connections, setup.plan.connections, index, setup.plan.threads),
            states: self.states,
            stuck_ended: 0,
        }
    }

    fn conduct(&self, setup: &Setup, _: &Said, watch: &mut Watch<'_>, spent: &mut Spent) {
        *spent = conduct(setup, watch, &self.shape);
    }

    fn describe(&self, outcome: &mut Outcome, done: &Done<'_, Args>) -> Result<(), Failure> {
        let (said, report, spent, shape) = (done.shared, &done.report, &done.seen, &self.shape);
        let (mut latency, mut errors) = (Recorder::default(), Tally::default());
        let (mut measured, mut joined, mut stuck_ended) = (0, 0, 0);
        for client in done.clients() {
            latency.add(&client.speaker.latency);
            errors.merge(&client.speaker.errors);
            if !said.refused.load(Relaxed) {
                errors.add("lost: not delivered", client.lost);
            }
            measured += client.speaker.measured;
            joined += client.speaker.joined;
            stuck_ended += client.stuck_ended;
        }
        complete(report, &errors, joined, done.setup.plan.connections)?;
        shape.describe(outcome);
        outcome.parameter("rate", self.rate);
        outcome.parameter("stuck", self.stuck);
        outcome.parameter("states", self.states);
        let rate = spent.per_second(measured);
        outcome.figure("deliveries_per_second", rate);
        outcome.figure("deliveries", measured as f64);
        outcome.row(
            "load",
            format!("one says {} B, {} hear it", shape.size(), grouped(self.connections as u64)),
        );
        outcome.row("rate", format!("{} deliveries/s", grouped(rate as u64)));
        outcome.compression(report);
        outcome.times("latency", &latency);
        outcome.cpu(spent, "delivery", measured);
        let resident = outcome.run.series.iter().find(|series| series.name == "server_memory");
        if let Some(most) = resident.and_then(|series| series.values.iter().copied().reduce(f64::max)) {
            outcome.figure("server_memory_max_bytes", most);
            outcome.row("server memory", format!("{} resident at the most", bytes(most)));
        }
        if self.stuck > 0 {
            outcome.figure("stuck_ended", stuck_ended as f64);
            outcome.row(
                "stuck",
                format!(
                    "{} beside them read nothing; {} were ended",
                    grouped(self.stuck as u64),
                    grouped(stuck_ended)
                ),
            );
        }
        if let Some(note) = done.clients().find_map(|client| client.speaker.pace.note()) {
            outcome.note(note);
        }
        outcome.errors(report, &errors);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_stuck_stands_evenly_between_the_others_behind_the_first() {
        for (readers, stuck) in [(1, 0), (1, 1), (1000, 1000), (7, 3), (3, 7), (500, 1)] {
            let kinds: Vec<bool> =
                (0..readers + stuck).map(|index| is_stuck(index, (readers, stuck))).collect();
            assert!(!kinds[0], "the sender reads");
            assert_eq!(kinds.iter().filter(|stuck| **stuck).count(), stuck);
            let half = kinds[..kinds.len() / 2].iter().filter(|stuck| **stuck).count();
            assert!(half.abs_diff(stuck / 2) <= 1, "{readers} and {stuck}: {half}");
        }
        assert_eq!((0..3).map(|thread| shares(10, 15, thread, 3)).map(|(a, b)| a + b).sum::<usize>(), 15);
    }
}
