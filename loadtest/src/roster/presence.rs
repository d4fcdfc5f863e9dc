//! `loadtest presence`: N named users hold on and answer Pings; some are in rooms, some watch others, some talk: what a
//! user, a membership and a watch cost the server in memory, and whether all stay.
//!
//! Users first, everything else after, so that each has a figure of its own. A user's is a slope: memory is read when a
//! third of them are there and again when all are. Memberships and watches come on top of users who are there already.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use crate::clock::nanos;
use crate::engine::carrier::Carried;
use crate::numbers::grouped;
use crate::options::{Common, Failure, Need, Setup, usage};
use crate::outcome::{Outcome, Reading, Spent};
use crate::process::Usage;
use crate::progress::{Subject, Watch};
use crate::roster::client::RosterClient;
use crate::roster::population::{Population, Share};
use crate::roster::{Orders, Step, Sums, complete};
use crate::scenario::{Done, Scenario};
use crate::units;

/// How long the last messages may take.
const DRAIN: u64 = 5_000_000_000;

/// `loadtest presence`
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    common: Common,
    /// Named users
    #[arg(long, default_value_t = 15_000)]
    users: usize,
    /// Rooms
    #[arg(long, default_value_t = 0)]
    rooms: usize,
    /// The part of the users that joins a room each
    #[arg(long, default_value = "0.5")]
    join_share: Share,
    /// The part of the users that watches others
    #[arg(long, default_value = "0")]
    watch_share: Share,
    /// How many others each of these watches
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=1024))]
    watches: u16,
    /// Messages a second that members say in their rooms, while all hold on
    #[arg(long, default_value_t = 0.0)]
    say_rate: f64,
    /// What the users' names begin with
    #[arg(long, value_name = "TEXT", default_value = "u")]
    names: String,
    #[command(flatten)]
    carried: Carried,
    /// How long to hold them all
    #[arg(long, default_value = "60s", value_parser = units::duration)]
    hold: Duration,
    /// How long memory may settle before it is read
    #[arg(long, default_value = "2s", value_parser = units::duration)]
    settle: Duration,
}

impl Args {
    fn population(&self) -> Result<Population, Failure> {
        if self.users < 3 {
            return usage("--users: at least three");
        }
        if self.rooms > self.users {
            return usage("--rooms: at most one for each user");
        }
        if self.say_rate.is_nan() || self.say_rate < 0.0 || (self.say_rate > 0.0 && self.rooms == 0) {
            return usage("--say-rate: none or more, and with --rooms");
        }
        Ok(Population {
            names: self.names.clone(),
            rooms: self.rooms,
            joining: self.join_share,
            watching: self.watch_share,
            watches: usize::from(self.watches),
            say_rate: self.say_rate,
            ..Population::of(self.users)
        })
    }
}

/// What the conductor saw.
#[derive(Debug, Default)]
pub struct Seen {
    /// Seconds until all were identified, without the pauses.
    identify_seconds: f64,
    /// How many users, members, watches each stage added, and the server after it.
    points: Vec<(u64, Option<Usage>)>,
    hold: Spent,
    pings: u64,
    held: u64,
}

impl Scenario for Args {
    const NAME: &'static str = "presence";
    type Shared = Orders;
    type Seen = Seen;
    type Client<'a> = RosterClient<'a>;

    fn common(&self) -> &Common {
        &self.common
    }

    fn need(&self) -> Result<Need, Failure> {
        let Carried { carrier } = self.carried;
        Ok(Need { carrier, ..Need::of(self.population()?.connections()) })
    }

    fn share(&self, _: &mut Setup) -> Result<Orders, Failure> {
        Ok(Orders::new(self.population()?))
    }

    fn make<'a>(&'a self, setup: &'a Setup, orders: &'a Orders, index: usize) -> RosterClient<'a> {
        RosterClient::new(setup, orders, index)
    }

    fn conduct(&self, setup: &Setup, orders: &Orders, watch: &mut Watch<'_>, seen: &mut Seen) {
        conduct(setup, watch, self, orders, seen);
        orders.finish.store(true, Relaxed);
    }

    fn describe(&self, outcome: &mut Outcome, done: &Done<'_, Args>) -> Result<(), Failure> {
        let (orders, report, seen) = (done.shared, &done.report, &done.seen);
        let mut sums = Sums::of(done.clients(), orders);
        let all = stages(&orders.population).last().map_or(0, |stage| stage.goal);
        complete(done.setup, report, &sums, all)?;
        outcome.run.parameters.remove("connections");
        let population = &orders.population;
        let watches = population.watch_commands().1;
        outcome.parameter("users", population.users);
        outcome.parameter("rooms", population.rooms);
        outcome.parameter("join_share", population.joining.0);
        outcome.parameter("watch_share", population.watching.0);
        outcome.parameter("watches", population.watches);
        outcome.parameter("say_rate", population.say_rate);
        outcome.parameter("hold_s", self.hold.as_secs_f64());
        for (name, value) in [
            ("users", population.users as u64),
            ("members", population.members() as u64),
            ("watches", watches as u64),
            ("users_held", seen.held),
            ("users_lost", report.lost),
            ("pings", seen.pings),
        ] {
            outcome.figure(name, value as f64);
        }
        outcome.figure("identify_s", seen.identify_seconds);
        let per_second = grouped((population.users as f64 / seen.identify_seconds.max(1e-9)) as u64);
        let users = grouped(population.users as u64);
        outcome.row("users", format!("{users} identified in {:.1} s, {per_second}/s", seen.identify_seconds));
        if population.rooms > 0 || watches > 0 {
            let [members, rooms, watches] =
                [population.members(), population.rooms, watches].map(|n| grouped(n as u64));
            outcome.row("roles", format!("{members} members of {rooms} rooms, {watches} watches"));
        }
        let (held, seconds) = (grouped(seen.held), seen.hold.seconds);
        outcome.row("held", format!("{held} for {seconds:.0} s, {} lost, {} pings", report.lost, seen.pings));
        outcome.times("connect", &report.connect);
        outcome.times("upgrade", &report.upgrade);
        memory(outcome, population, seen);
        sums.describe_talk(outcome, orders);
        outcome.cpu(&seen.hold, "ping", if population.say_rate > 0.0 { 0 } else { seen.pings });
        outcome.errors(report, &sums.errors);
        done.note_interruption(outcome);
        Ok(())
    }
}

/// A stage of the ramp: after it memory is read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Stage {
    step: Step,
    /// Connections that may be open.
    quota: usize,
    /// Steps that are confirmed when all have taken theirs.
    goal: u64,
    /// What it adds, to divide the memory by.
    adds: u64,
    what: &'static str,
}

fn stages(population: &Population) -> Vec<Stage> {
    let (third, users) = (population.users / 3, population.users);
    let (members, (commands, watches)) = (population.members(), population.watch_commands());
    let stage = |step, quota: usize, confirmed: usize, adds: usize, what| {
        let goal = (quota + confirmed) as u64;
        Stage { step, quota, goal, adds: adds as u64, what }
    };
    let mut stages = vec![
        stage(Step::Open, third, 0, third, "warm-up"),
        stage(Step::Open, users, 0, users - third, "user"),
    ];
    if members > 0 {
        stages.push(stage(Step::Join, users, members, members, "member"));
    }
    if commands > 0 {
        stages.push(stage(Step::Watch, users, members + commands, watches, "watch"));
    }
    stages
}

fn conduct(setup: &Setup, watch: &mut Watch<'_>, args: &Args, orders: &Orders, seen: &mut Seen) {
    let run_state = &setup.run_state;
    for stage in stages(&orders.population) {
        let begin = run_state.clock.now();
        run_state.quota.store(stage.quota, Relaxed);
        if !orders.take(setup, watch, stage.step, stage.goal) {
            return;
        }
        if stage.step == Step::Open {
            seen.identify_seconds += (run_state.clock.now() - begin) as f64 / 1e9;
        }
        if !watch.until_moment("settle", Subject::Live, run_state.clock.now() + nanos(args.settle)) {
            return;
        }
        seen.points.push((stage.adds, Reading::now(setup).server));
    }
    let (before, pings) = (Reading::now(setup), run_state.counts().pings);
    let start = run_state.clock.now();
    let until = start + nanos(args.hold);
    run_state.set_window(start, start, until);
    let talks = orders.population.say_rate > 0.0;
    let subject = if talks { Subject::Messages("deliveries") } else { Subject::Live };
    watch.until_moment("hold", subject, until);
    seen.hold = Reading::now(setup).since(&before);
    seen.pings = run_state.counts().pings - pings;
    seen.held = run_state.counts().live;
    if talks {
        let limit = run_state.clock.now() + DRAIN;
        watch.until_count("drain", subject, orders.expected.load(Relaxed), |counts| {
            counts.messages >= orders.expected.load(Relaxed) || run_state.clock.now() >= limit
        });
    }
}

/// What each stage added, by what it added it for.
fn memory(outcome: &mut Outcome, population: &Population, seen: &Seen) {
    let mut before: Option<Usage> = None;
    for (stage, (adds, usage)) in stages(population).iter().zip(&seen.points) {
        let Some(usage) = *usage else { return };
        if let Some(then) = before.filter(|_| *adds > 0) {
            let each = |now: u64, then: u64| (now as f64 - then as f64) / *adds as f64;
            let own = each(usage.anonymous_bytes, then.anonymous_bytes);
            let resident = each(usage.resident_bytes, then.resident_bytes);
            outcome.figure(&format!("anonymous_bytes_per_{}", stage.what), own);
            outcome.figure(&format!("resident_bytes_per_{}", stage.what), resident);
            outcome.row(&format!("bytes/{}", stage.what), format!("{own:.0} of the server, anonymous"));
        }
        before = Some(usage);
    }
    if let Some(memory) = before {
        outcome.server_memory(memory);
        outcome.note(format!(
            "Bytes per user are a slope on a server that held nobody before, from {} to {} users, the connection's included; those per member (the rooms' \
             included) and per watch come on top, and are plain differences: what a burst of commands took counts too.",
            grouped(population.users as u64 / 3),
            grouped(population.users as u64)
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_stage_adds_one_kind_and_confirms_all_before_it() {
        let (joining, watching) = (Share(0.5), Share(0.1));
        let mut population = Population { rooms: 10, joining, watching, watches: 10, ..Population::of(300) };
        let shown = |population: &Population| -> Vec<(&str, u64, u64)> {
            stages(population).iter().map(|stage| (stage.what, stage.goal, stage.adds)).collect()
        };
        assert_eq!(
            shown(&population),
            [("warm-up", 100, 100), ("user", 300, 200), ("member", 450, 150), ("watch", 480, 300)]
        );
        (population.rooms, population.watching) = (0, Share::NONE);
        assert_eq!(shown(&population), [("warm-up", 100, 100), ("user", 300, 200)]);
    }
}
