//! `loadtest chat`: all to all in lockstep. In a round every member says something, and the next round begins when every
//! message has reached every member: what a server does per delivery when all talk.
//!
//! One thread, so that the end of a round is known at once.

use std::sync::atomic::Ordering::{Acquire, Relaxed};

use crate::clock::nanos;
use crate::engine::codec::Codec;
use crate::engine::link::{End, Link};
use crate::engine::{Client, Counted, Next, Turn};
use crate::group::protocol::Stamp;
use crate::group::{Member, Refusals, Shape, Speaker, complete, conduct};
use crate::measure::Recorder;
use crate::numbers::grouped;
use crate::options::{Common, Failure, Need, Setup};
use crate::outcome::{Outcome, Spent};
use crate::progress::Watch;
use crate::run_state::UNSET;
use crate::scenario::{Done, Scenario};
use crate::target::Target;

const LOOK: u64 = 10_000_000;

/// `loadtest chat`
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    shape: Shape,
    /// Members, at most 65535
    #[arg(long, alias = "members", default_value_t = 50)]
    connections: usize,
}

/// The only thread's part.
#[derive(Debug)]
pub struct ChatClient<'a> {
    speaker: Speaker<'a>,
    members: u64,
    /// Rounds begun; the one under way is one less.
    rounds: u32,
    /// A round has begun and not ended.
    under_way: bool,
    round_began: u64,
    /// Members whose message of this round the server refused, to say it again at that moment.
    again: Vec<usize>,
    again_at: u64,
    /// Something of this round was refused: its time is no time of the server.
    held_up: bool,
    /// Deliveries of this round that are to come.
    awaited: u64,
    round: Recorder,
    broken: bool,
}

impl ChatClient<'_> {
    fn begin_round(&mut self, turn: &mut Turn<'_, Member>) {
        self.round_began = turn.now;
        self.awaited = self.members * self.members;
        let round = self.rounds;
        self.rounds = (self.rounds + 1) % Stamp::ROUNDS;
        turn.each_open(|id, link| {
            link.state.count = 0;
            self.speaker.say(id, link, Stamp { round, sender: id as u16 })
        });
    }

    fn end_round(&mut self, now: u64) {
        if self.is_measured(self.round_began) && !self.held_up {
            self.round.record(now - self.round_began);
        }
        self.held_up = false;
    }

    /// Those whom the server has refused say it again.
    fn say_again(&mut self, turn: &mut Turn<'_, Member>) {
        let round = self.rounds.wrapping_sub(1) % Stamp::ROUNDS;
        for id in std::mem::take(&mut self.again) {
            turn.with(id, |link| self.speaker.say(id, link, Stamp { round, sender: id as u16 }));
        }
    }

    /// The server refused something: it is said again where that helps, else the run is over.
    fn refused(&mut self, id: usize, refusals: Refusals, now: u64) {
        // A round is refused once, however many of its messages are.
        let helps = !self.again.is_empty() || self.speaker.pace.slow_down(refusals.last);
        if self.rounds > 0 && helps {
            self.again.push(id);
            self.again_at = self.speaker.pace.after(now);
            self.held_up = true;
        } else {
            refusals.note(&mut self.speaker.errors);
            self.broken = true;
        }
    }

    fn is_measured(&self, moment: u64) -> bool {
        let run_state = self.speaker.run_state;
        moment >= run_state.from.load(Relaxed) && moment < run_state.until.load(Relaxed)
    }

    fn is_over(&mut self, now: u64) -> bool {
        let Speaker { run_state, shape, .. } = self.speaker;
        if !self.broken && self.awaited > 0 && now > self.round_began + nanos(shape.delivery_timeout) {
            self.speaker.errors.add("lost: not delivered", self.awaited);
            return true;
        }
        self.broken || run_state.stopped() || (self.awaited == 0 && now >= run_state.until.load(Relaxed))
    }
}

impl Client for ChatClient<'_> {
    type State = Member;

    fn request(&mut self, _: &mut Link<Member>, target: &Target, out: &mut Vec<u8>) {
        self.speaker.request(target, out);
    }

    fn codec(&mut self) -> Option<&mut Codec> {
        self.speaker.codec.as_mut()
    }

    fn opened(&mut self, index: usize, link: &mut Link<Member>, _: u64) -> Result<(), End> {
        self.speaker.greet(index, link, &[])
    }

    fn received(
        &mut self,
        id: usize,
        link: &mut Link<Member>,
        bytes: &mut [u8],
        now: u64,
    ) -> Result<(), End> {
        let (mut count, mut strays, mut doubles) = (0, 0, 0);
        let (round, members) = (self.rounds.wrapping_sub(1), self.members as u32);
        let refusals = self.speaker.hear(id, link, bytes, |member, stamp, _| {
            if stamp.round != round {
                strays += 1;
            } else if member.count >= members {
                doubles += 1;
            } else {
                member.count += 1;
                count += 1;
            }
        })?;
        if refusals.count > 0 {
            self.refused(id, refusals, now);
        }
        let is_measured = self.is_measured(now);
        let speaker = &mut self.speaker;
        speaker.errors.add("delivery of another round", strays);
        speaker.errors.add("delivered twice", doubles);
        self.awaited -= count;
        speaker.delivered += count;
        if count > 0 && is_measured {
            speaker.measured += count;
            if !self.held_up {
                speaker.latency.record_many(now - self.round_began, count);
            }
        }
        Ok(())
    }

    fn closed(&mut self, _: usize, _: &mut Link<Member>, _: &End, _: u64) {
        self.broken = true;
    }

    fn turn(&mut self, turn: &mut Turn<'_, Member>) -> Next {
        let run_state = self.speaker.run_state;
        if run_state.start.load(Acquire) == UNSET {
            return if run_state.stopped() { Next::Finished } else { Next::Until(turn.now + LOOK) };
        }
        if self.is_over(turn.now) {
            return Next::Finished;
        }
        if !self.again.is_empty() {
            if turn.now < self.again_at {
                return Next::Until(self.again_at);
            }
            self.say_again(turn);
        }
        if self.awaited == 0 {
            if self.under_way {
                self.under_way = false;
                self.end_round(turn.now);
            }
            let next = self.speaker.pace.after(self.round_began);
            if turn.now < next {
                return Next::Until(next);
            }
            self.under_way = true;
            self.begin_round(turn);
        }
        Next::Until(turn.now + 10 * LOOK)
    }

    fn counted(&self) -> Counted {
        self.speaker.counted()
    }
}

impl Scenario for Args {
    const NAME: &'static str = "chat";
    type Shared = ();
    type Seen = Spent;
    type Client<'a> = ChatClient<'a>;

    fn common(&self) -> &Common {
        &self.common
    }

    fn need(&self) -> Result<Need, Failure> {
        self.shape.check()?;
        let connections = self.connections.min(65_535);
        let deflate = self.shape.deflate;
        let carrier = self.shape.carried.carrier;
        Ok(Need { read_buffer: 256 << 10, threads_max: 1, deflate, carrier, ..Need::of(connections) })
    }

    fn share(&self, _: &mut Setup) -> Result<(), Failure> {
        Ok(())
    }

    fn make<'a>(&'a self, setup: &'a Setup, (): &'a (), index: usize) -> ChatClient<'a> {
        ChatClient {
            speaker: Speaker::new(setup, &self.shape, index),
            members: setup.plan.connections as u64,
            rounds: 0,
            under_way: false,
            round_began: 0,
            again: Vec::new(),
            again_at: 0,
            held_up: false,
            awaited: 0,
            round: Recorder::default(),
            broken: false,
        }
    }

    fn conduct(&self, setup: &Setup, (): &(), watch: &mut Watch<'_>, spent: &mut Spent) {
        *spent = conduct(setup, watch, &self.shape);
    }

    fn describe(&self, outcome: &mut Outcome, done: &Done<'_, Args>) -> Result<(), Failure> {
        let [(client, report)] = &done.threads[..] else { unreachable!("the plan has one thread") };
        let (speaker, connections) = (&client.speaker, done.setup.plan.connections);
        complete(report, &speaker.errors, speaker.joined, connections)?;
        let (spent, shape) = (&done.seen, &self.shape);
        shape.describe(outcome);
        let rate = spent.per_second(speaker.measured);
        outcome.figure("deliveries_per_second", rate);
        outcome.figure("deliveries", speaker.measured as f64);
        outcome.figure("rounds", client.round.count() as f64);
        outcome
            .row("load", format!("{} members, {} B, all to all in lockstep", self.connections, shape.size()));
        let rounds = grouped(client.round.count());
        outcome.row("rate", format!("{} deliveries/s, {rounds} rounds", grouped(rate as u64)));
        outcome.compression(report);
        outcome.times("latency", &speaker.latency);
        outcome.times("round", &client.round);
        outcome.cpu(spent, "delivery", speaker.measured);
        outcome.errors(report, &speaker.errors);
        outcome.note("A latency counts from the beginning of its round: all say something at once.");
        if let Some(note) = speaker.pace.note() {
            outcome.note(note);
        }
        Ok(())
    }
}
