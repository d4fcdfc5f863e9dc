//! `loadtest death`: N named users, of whom a share falls silent as if a cable had been pulled: how long after its
//! deadline each is said to be gone, and whether anyone is called dead who is not.
//!
//! Their sockets stay open and take what is sent, so nothing but the missing answer tells the server. Other connections
//! watch every user, the living too. With `--together` the silent ones send a last sign of life at the same moment: then
//! their last Pings, and their deaths, come within the same ticks, which is the hardest that can be asked.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use crate::clock::nanos;
use crate::numbers::grouped;
use crate::options::{Common, Failure, Need, Setup, usage};
use crate::outcome::{Outcome, Spent};
use crate::progress::Watch;
use crate::roster::client::RosterClient;
use crate::roster::failure::{self, MassFailure};
use crate::roster::population::{Population, Share};
use crate::roster::{Orders, Step, Sums, complete};
use crate::scenario::{Done, Scenario};
use crate::units;

/// `loadtest death`
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    common: Common,
    /// Named users
    #[arg(long, default_value_t = 15_000)]
    users: usize,
    /// The part of them that falls silent
    #[arg(long, default_value = "0.33")]
    share: Share,
    /// All silent ones give a last sign of life at the same moment, so that they die together
    #[arg(long)]
    together: bool,
    /// Messages a second that the living say in rooms
    #[arg(long, default_value_t = 0.0)]
    say_rate: f64,
    /// Rooms that all users are spread over [default: with --say-rate one for each ten users, else none]
    #[arg(long)]
    rooms: Option<usize>,
    /// What the users' names begin with
    #[arg(long, value_name = "TEXT", default_value = "u")]
    names: String,
    /// How long all are alive before the silence [default: the server's heartbeat interval]
    #[arg(long, value_parser = units::duration)]
    hold: Option<Duration>,
    /// How long after the last possible deadline a death may still be told
    #[arg(long, alias = "patience", default_value = "10s", value_parser = units::duration)]
    timeout: Duration,
}

impl Args {
    fn population(&self) -> Result<Population, Failure> {
        if self.users < 2 {
            return usage("--users: at least two");
        }
        if self.say_rate.is_nan() || self.say_rate < 0.0 {
            return usage("--say-rate: none or more");
        }
        if self.share.count(self.users) == 0 {
            return usage("--share: of so few users nobody falls silent");
        }
        let rooms = self.rooms.unwrap_or(if self.say_rate > 0.0 { self.users.div_ceil(10) } else { 0 });
        if rooms > self.users || (self.say_rate > 0.0 && rooms == 0) {
            return usage("--rooms: at most one for each user, and one at least where something is said");
        }
        Ok(Population {
            names: self.names.clone(),
            rooms,
            joining: Share(1.0),
            doomed: self.share,
            together: if self.together { Share(1.0) } else { Share::NONE },
            overseen: true,
            say_rate: self.say_rate,
            ..Population::of(self.users)
        })
    }
}

impl Scenario for Args {
    const NAME: &'static str = "death";
    type Shared = Orders;
    type Seen = Spent;
    type Client<'a> = RosterClient<'a>;

    fn common(&self) -> &Common {
        &self.common
    }

    fn need(&self) -> Result<Need, Failure> {
        Ok(Need::of(self.population()?.connections()))
    }

    fn share(&self, _: &mut Setup) -> Result<Orders, Failure> {
        Ok(Orders::new(self.population()?))
    }

    fn make<'a>(&'a self, setup: &'a Setup, orders: &'a Orders, index: usize) -> RosterClient<'a> {
        RosterClient::new(setup, orders, index)
    }

    fn conduct(&self, setup: &Setup, orders: &Orders, watch: &mut Watch<'_>, spent: &mut Spent) {
        *spent = conduct(setup, watch, self, orders).unwrap_or_default();
        orders.finish.store(true, Relaxed);
    }

    fn describe(&self, outcome: &mut Outcome, done: &Done<'_, Args>) -> Result<(), Failure> {
        let (orders, report) = (done.shared, &done.report);
        let mut sums = Sums::of(done.clients(), orders);
        complete(done.setup, report, &sums, orders.goal(Step::Watch))?;
        outcome.run.parameters.remove("connections");
        let population = &orders.population;
        let (interval, timeout) = orders.heartbeat().unwrap_or_default();
        let verdict = orders.verdict();
        outcome.parameter("users", population.users);
        outcome.parameter("share", population.doomed.0);
        outcome.parameter("together", self.together);
        outcome.parameter("say_rate", population.say_rate);
        outcome.parameter("rooms", population.rooms);
        outcome.parameter("server_interval_s", interval as f64 / 1e9);
        outcome.parameter("server_timeout_s", timeout as f64 / 1e9);
        let doomed = population.doomed.count(population.users);
        let (users, silent) = (grouped(population.users as u64), grouped(doomed as u64));
        let mode = if self.together { ", all together" } else { "" };
        outcome.row("users", format!("{users} named, {silent} fall silent{mode}"));
        let beat = format!("{:.1} s, time-out {:.1} s", interval as f64 / 1e9, timeout as f64 / 1e9);
        outcome.row("server", format!("heartbeat {beat}, {} watchers", population.watchers()));
        outcome.figure("users", population.users as f64);
        outcome.figure("silent", doomed as f64);
        failure::judge(outcome, &verdict, &sums, report);
        outcome.figure("load_turn_max_us", sums.longest_turn as f64 / 1e3);
        sums.describe_talk(outcome, orders);
        outcome.cpu(&done.seen, "death", 0);
        outcome.run.series.push(orders.death_log.series());
        failure::errors(&verdict, done.setup.run_state.stopped(), &mut sums);
        outcome.errors(report, &sums.errors);
        failure::notes(outcome, &sums);
        done.note_interruption(outcome);
        Ok(())
    }
}

/// The whole timeline. `None` where it did not come to the silence.
fn conduct(setup: &Setup, watch: &mut Watch<'_>, args: &Args, orders: &Orders) -> Option<Spent> {
    setup.run_state.quota.store(setup.plan.connections, Relaxed);
    for step in [Step::Open, Step::Join, Step::Watch] {
        if !orders.take(setup, watch, step, orders.goal(step)) {
            return None;
        }
    }
    MassFailure { hold: args.hold.map(nanos), timeout: nanos(args.timeout) }.conduct(setup, watch, orders)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::parsed;

    fn population(flags: &[&str]) -> Result<Population, Failure> {
        parsed::<Args>(&[&["death", "--url", "ws://127.0.0.1:1/ws"], flags].concat()).population()
    }

    #[test]
    fn steps_add_up_to_the_goals() {
        let population = population(&["--users", "2000", "--say-rate", "100"]).expect("valid");
        assert_eq!((population.watchers(), population.rooms, population.members()), (2, 200, 2000));
        let orders = Orders::new(population);
        assert_eq!([Step::Open, Step::Join, Step::Watch].map(|step| orders.goal(step)), [2002, 4002, 4010]);
    }

    #[test]
    fn what_can_not_be_is_refused() {
        for flags in [
            &["--users", "1"][..],
            &["--users", "5", "--share", "0.1"],
            &["--say-rate", "NaN"],
            &["--users", "10", "--rooms", "11"],
            &["--say-rate", "5", "--rooms", "0"],
        ] {
            assert!(matches!(population(flags), Err(Failure::Usage(_))), "{flags:?}");
        }
    }
}
