//! What happens in which order, and what is noted on the way.

use std::sync::atomic::Ordering::Relaxed;

use rustix::process::Signal;

use crate::child::Child;
use crate::clock::nanos;
use crate::footprint::Footprint;
use crate::options::Setup;
use crate::outcome::{Reading, Spent};
use crate::progress::{Busy, Subject, Watch};
use crate::roster::failure::MassFailure;
use crate::roster::million::Args;
use crate::roster::million::admin_client::{self, Scrape};
use crate::roster::{Orders, Step};

/// How long after its last possible deadline a death may still be told.
const DETECTION_TIMEOUT: u64 = 20_000_000_000;
/// How long the server has to come to rest when all that is to be watched is.
const CALM: u64 = 10_000_000_000;
/// How long the message to everybody may take, and how long all may take to leave.
const DELIVERY: u64 = 30_000_000_000;
const LEAVING: u64 = 120_000_000_000;
/// From the end of the drain's window to the end of the server, at most.
const DRAINING: u64 = 60_000_000_000;
const SECOND: u64 = 1_000_000_000;

/// The message to everybody.
#[derive(Clone, Debug)]
pub struct Told {
    /// How many were to hear it.
    pub expected: u64,
    /// When it was posted.
    pub posted: u64,
    /// Why the server did not take it.
    pub refused: Option<String>,
}

/// What was noted.
#[derive(Debug, Default)]
pub struct Seen {
    /// Everybody came in.
    pub full_house: bool,
    /// Before the first connection, with a third of them, with all.
    pub empty: Footprint,
    pub third: Footprint,
    pub full: Footprint,
    /// Seconds until all were identified, without the pauses.
    pub identify_seconds: f64,
    /// The server's memory by part: before the first connection, with all, and after the rest.
    pub parts: [Vec<(String, f64)>; 3],
    pub hold: Spent,
    pub busy: Busy,
    pub held: u64,
    pub hold_pings: u64,
    /// The server's own figures before and after the hold, when all that is to be watched is, after the deaths, and
    /// before and after all are told.
    pub scrapes: [Scrape; 6],
    pub failure: Option<Spent>,
    pub told: Option<Told>,
    /// When all had left, and after the rest.
    pub left: Option<Footprint>,
    pub rested: Option<Footprint>,
    pub leave_seconds: f64,
    /// The most memory that the server had in each ramp.
    pub first_peak: u64,
    pub second_peak: u64,
    pub second_seconds: Option<f64>,
    /// From SIGTERM to the last connection's end, and to the server's.
    pub drain_seconds: Option<(f64, f64)>,
    /// What went wrong beside connections and messages.
    pub faults: Vec<String>,
}

struct Timeline<'a, 'w> {
    setup: &'a Setup,
    /// Of the server's API.
    key: &'a str,
    watch: &'a mut Watch<'w>,
    args: &'a Args,
    orders: &'a Orders,
    seen: &'a mut Seen,
}

/// All of it, as far as it comes.
pub fn conduct(
    setup: &Setup,
    key: &str,
    watch: &mut Watch<'_>,
    args: &Args,
    orders: &Orders,
    server: Option<&mut Child>,
    seen: &mut Seen,
) {
    let mut timeline = Timeline { setup, key, watch, args, orders, seen };
    // In this order, and nothing of it where what comes before did not end well.
    let _ = timeline.ramp()
        && timeline.hold()
        && timeline.silence()
        && timeline.broadcast()
        && timeline.leave()
        && timeline.come_back()
        && server.is_none_or(|server| timeline.drain(server));
}

impl Timeline<'_, '_> {
    fn now(&self) -> u64 {
        self.setup.run_state.clock.now()
    }

    fn seconds_since(&self, moment: u64) -> f64 {
        (self.now() - moment) as f64 / 1e9
    }

    fn scrape(&self) -> Scrape {
        Scrape::now(self.setup.plan.target.address, self.key)
    }

    fn settle(&mut self, phase: &str) -> bool {
        let until = self.now() + nanos(self.args.settle);
        self.watch.until_moment(phase, Subject::Live, until)
    }

    /// Lets everybody in, with a pause at a third: what a user costs is a slope.
    fn ramp(&mut self) -> bool {
        // Some of the server's threads may not have come up yet.
        self.watch.enter("start");
        if !self.settle("settle") {
            return false;
        }
        self.watch.enter("ramp");
        self.seen.empty = Footprint::now(self.setup);
        self.seen.parts[0] = self.scrape().memory();
        let all = self.setup.plan.connections;
        let begin = self.now();
        for (quota, at_third) in [(all / 3, true), (all, false)] {
            let from = self.now();
            self.setup.run_state.quota.store(quota, Relaxed);
            if !self.orders.take(self.setup, self.watch, Step::Open, quota as u64) {
                return false;
            }
            self.seen.identify_seconds += self.seconds_since(from);
            if !self.settle("settle") {
                return false;
            }
            let point = Footprint::now(self.setup);
            *(if at_third { &mut self.seen.third } else { &mut self.seen.full }) = point;
        }
        // Who dies is not replaced, until all come back.
        self.setup.run_state.quota.store(0, Relaxed);
        self.seen.first_peak = self.watch.peak_memory(begin, self.now());
        self.seen.full_house = true;
        true
    }

    fn hold(&mut self) -> bool {
        self.watch.enter("idle");
        let scrape = self.scrape();
        self.seen.parts[1] = scrape.memory();
        let (before, pings, begin) = (Reading::now(self.setup), self.pings(), self.now());
        let until = begin + nanos(self.args.hold());
        let held = self.watch.until_moment("hold", Subject::Live, until);
        self.seen.hold = Reading::now(self.setup).since(&before);
        self.seen.hold_pings = self.pings() - pings;
        self.seen.busy = self.watch.busy(begin, self.now());
        self.seen.held = self.setup.run_state.counts().live;
        self.seen.scrapes[0] = scrape;
        self.seen.scrapes[1] = self.scrape();
        held
    }

    fn pings(&self) -> u64 {
        self.setup.run_state.counts().pings
    }

    fn silence(&mut self) -> bool {
        self.watch.enter("silence");
        let goal = self.orders.goal(Step::Watch);
        if !self.orders.take(self.setup, self.watch, Step::Watch, goal) {
            return false;
        }
        let calm = self.now() + if self.args.quick { 0 } else { CALM };
        if !self.watch.until_moment("calm", Subject::Live, calm) {
            return false;
        }
        // What the snapshots of all that is watched have made late is over, and none of the deaths'.
        self.seen.scrapes[2] = self.scrape();
        let failure = MassFailure { hold: Some(0), timeout: DETECTION_TIMEOUT };
        self.seen.failure = failure.conduct(self.setup, self.watch, self.orders);
        self.orders.doom.store(crate::run_state::UNSET, Relaxed);
        self.seen.scrapes[3] = self.scrape();
        self.seen.failure.is_some() && self.settle("settle")
    }

    fn broadcast(&mut self) -> bool {
        self.watch.enter("broadcast");
        self.seen.scrapes[4] = self.scrape();
        let counts = self.setup.run_state.counts();
        // The last of the dead may not be closed yet, and hear nothing.
        let population = &self.orders.population;
        let living = (population.connections() - population.doomed.count(population.users)) as u64;
        let hearers = counts.live.min(living);
        let goal = counts.messages + hearers;
        let posted = self.now();
        let refused =
            admin_client::broadcast(self.setup.plan.target.address, self.key, "\"hello, everybody\"").err();
        let was_taken = refused.is_none();
        self.seen.told = Some(Told { expected: hearers, posted, refused });
        let limit = posted + DELIVERY;
        let clock = self.setup.run_state.clock;
        if !was_taken {
            return true;
        }
        let went_on = self.watch.until_count("broadcast", Subject::Messages("heard"), goal, |counts| {
            counts.messages >= goal || clock.now() >= limit
        });
        self.seen.scrapes[5] = self.scrape();
        went_on
    }

    /// Everybody closes; then the server has its time to give memory back.
    fn leave(&mut self) -> bool {
        self.watch.enter("leave");
        self.orders.leaving.store(true, Relaxed);
        self.orders.step.store(Step::Leave as u8, Relaxed);
        let begin = self.now();
        let clock = self.setup.run_state.clock;
        let went_on = self.watch.until_count("leave", Subject::Live, self.seen.held, |counts| {
            counts.live == 0 || clock.now() >= begin + LEAVING
        });
        self.seen.leave_seconds = self.seconds_since(begin);
        self.seen.left = Some(Footprint::now(self.setup));
        // By the time they may open again, all threads have seen it.
        self.orders.step.store(Step::Return as u8, Relaxed);
        self.watch.enter("rest");
        let until = self.now() + nanos(self.args.rest()).max(SECOND);
        let rested = went_on && self.watch.until_moment("rest", Subject::Live, until);
        self.seen.rested = Some(Footprint::now(self.setup));
        self.seen.parts[2] = self.scrape().memory();
        rested
    }

    fn come_back(&mut self) -> bool {
        self.watch.enter("second ramp");
        self.orders.leaving.store(false, Relaxed);
        let goal = self.setup.run_state.counts().ready + self.setup.plan.connections as u64;
        let begin = self.now();
        self.setup.run_state.quota.store(self.setup.plan.connections, Relaxed);
        if !self.orders.take(self.setup, self.watch, Step::Return, goal) {
            return false;
        }
        self.seen.second_seconds = Some(self.seconds_since(begin));
        let settled = self.settle("settle");
        self.setup.run_state.quota.store(0, Relaxed);
        self.seen.second_peak = self.watch.peak_memory(begin, self.now());
        settled
    }

    /// Sends the server away, and everybody with it.
    fn drain(&mut self, server: &mut Child) -> bool {
        self.watch.enter("drain");
        self.orders.draining.store(true, Relaxed);
        let begin = self.now();
        let all = self.setup.run_state.counts().live;
        server.signal(Signal::TERM);
        let clock = self.setup.run_state.clock;
        let mut emptied = None;
        let mut ended = None;
        let limit = begin + nanos(self.args.drain()) + DRAINING;
        self.watch.until_count("drain", Subject::Live, all, |counts| {
            if counts.live == 0 {
                emptied.get_or_insert_with(|| clock.now());
            }
            ended = server.ended();
            ended.is_some() || clock.now() >= limit
        });
        let end = self.now();
        let since = |moment: u64| (moment - begin) as f64 / 1e9;
        match (emptied, ended) {
            (_, Some(status)) if status.success() => {
                self.seen.drain_seconds = Some((since(emptied.unwrap_or(end)), since(end)));
            }
            (_, Some(status)) => self.seen.faults.push(format!("the drained server ended with {status}")),
            (_, None) => self.seen.faults.push("the server did not end after SIGTERM".to_owned()),
        }
        // The last Closes may still lie in the sockets.
        let moment = end + SECOND / 2;
        self.watch.until_moment("drain", Subject::Live, moment)
    }
}
