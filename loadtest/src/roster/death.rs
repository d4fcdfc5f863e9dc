//! `loadtest death`: N named users, of whom a share falls silent as if a cable had been pulled: how long after its
//! deadline each is said to be gone, and whether anyone is called dead who is not.
//!
//! Their sockets stay open and take what is sent, so nothing but the missing answer tells the server. Other connections
//! watch every user, the living too. With `--together` the silent ones send a last sign of life at the same moment: then
//! their last Pings, and their deaths, come within the same ticks, which is the hardest that can be asked.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use crate::clock::nanos;
use crate::engine::{Report, fleet};
use crate::options::{Common, Failure, Need, Setup};
use crate::outcome::{Outcome, Reading, Spent};
use crate::progress::{Subject, Watch};
use crate::roster::cast::{Cast, Share};
use crate::roster::client::RosterClient;
use crate::roster::ledger::Verdict;
use crate::roster::{Orders, Step, Sums, incomplete};
use crate::units::{self, grouped, micros};

/// From a last sign of life to the silence: Pings under way in between are still answered.
const NUDGE_BEFORE: u64 = 250_000_000;
/// From the start of the messages to where their latencies count.
const WARM_UP: u64 = 1_000_000_000;

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
    #[arg(long, default_value = "10s", value_parser = units::duration)]
    patience: Duration,
}

impl Args {
    fn cast(&self) -> Result<Cast, Failure> {
        let usage = |line: &str| Err(Failure::Usage(line.to_owned()));
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
        Ok(Cast {
            names: self.names.clone(),
            users: self.users,
            rooms,
            joining: Share(1.0),
            doomed: self.share,
            watching: Share::NONE,
            watches: 0,
            overseen: true,
            say_rate: self.say_rate,
        })
    }
}

/// Runs the scenario.
pub fn run(args: &Args) -> Result<(), Failure> {
    let cast = args.cast()?;
    let need =
        Need { connections: cast.connections(), read_buffer: 64 << 10, reopen: false, threads_max: 1024 };
    let setup = args.common.prepare(need)?;
    let orders = Orders::new(cast);
    let mut watch = Watch::new(&setup.board, setup.pid);
    let mut spent = Spent::default();
    let Setup { plan, board, .. } = &setup;
    let make = |index| RosterClient::new(board, &orders, &plan.target, index, plan.threads);
    let conduct = || {
        spent = conduct(&setup, &mut watch, args, &orders).unwrap_or_default();
        orders.finish.store(true, Relaxed);
    };
    let threads = fleet::run(plan, board, make, conduct).map_err(Failure::Failed)?;
    watch.finish();
    let report = fleet::sum(threads.iter().map(|(_, report)| report));
    let mut sums = Sums::of(&threads, &orders);
    if let Some(failure) = incomplete(&setup, &report, &sums, goal(&orders.cast, Step::Watch)) {
        return Err(failure);
    }
    let mut outcome = Outcome::new("death", &args.common);
    outcome.parameters_of(&setup);
    outcome.run.parameters.remove("connections");
    outcome.run.series = watch.series();
    describe(&mut outcome, args, &orders, &report, &mut sums, &spent, board.stopped());
    if board.stopped() {
        outcome.note("Interrupted: the figures are of the part that ran.");
    }
    outcome.finish(&args.common)
}

/// Steps that are confirmed when all have taken this one.
fn goal(cast: &Cast, step: Step) -> u64 {
    let mut goal = cast.connections();
    goal += if step >= Step::Join { cast.members() } else { 0 };
    goal += if step >= Step::Watch { cast.watch_commands().0 } else { 0 };
    goal as u64
}

/// The whole course. `None` where it did not come to the silence.
fn conduct(setup: &Setup, watch: &mut Watch<'_>, args: &Args, orders: &Orders) -> Option<Spent> {
    let Setup { plan, board, .. } = setup;
    board.quota.store(plan.connections, Relaxed);
    for step in [Step::Open, Step::Join, Step::Watch] {
        if !orders.take(setup, watch, step, goal(&orders.cast, step)) {
            return None;
        }
    }
    let Some((interval, timeout)) = orders.heartbeat() else {
        watch.say("the server's welcome tells no heartbeat");
        board.stop.store(true, Relaxed);
        return None;
    };
    // By then each connection's first Ping, which comes at a random moment, is over.
    let hold = args.hold.map_or(interval, nanos);
    let start = board.clock.now() + NUDGE_BEFORE;
    let doom = start + NUDGE_BEFORE + hold.max(WARM_UP);
    // A Ping may have been answered just before the silence.
    let deadline = doom + interval + timeout;
    board.set_window(start, start + WARM_UP, deadline + WARM_UP);
    if !watch.until_moment("alive", Subject::Live, doom - NUDGE_BEFORE) {
        return None;
    }
    if args.together {
        orders.nudge.store(doom - NUDGE_BEFORE, Relaxed);
    }
    orders.doom.store(doom, Relaxed);
    if !watch.until_moment("alive", Subject::Live, doom) {
        return None;
    }
    let before = Reading::now(setup);
    let doomed = orders.cast.doomed.count(orders.cast.users) as u64;
    let patience = deadline + nanos(args.patience);
    watch.until_count("silence", Subject::Steps("called dead"), doomed, |_| {
        // The living are watched for as long as one of them could be called dead for this.
        let now = board.clock.now();
        now >= patience || (now >= deadline + WARM_UP && orders.ledger.gone_so_far() >= doomed)
    });
    let spent = Reading::now(setup).since(&before);
    // What was said last, and the Closes, are on their way.
    let moment = board.clock.now() + 2 * NUDGE_BEFORE;
    watch.until_moment("drain", Subject::Steps("called dead"), moment);
    Some(spent)
}

fn describe(
    outcome: &mut Outcome,
    args: &Args,
    orders: &Orders,
    report: &Report,
    sums: &mut Sums,
    spent: &Spent,
    interrupted: bool,
) {
    let cast = &orders.cast;
    let (interval, timeout) = orders.heartbeat().unwrap_or_default();
    let verdict = orders.ledger.verdict(timeout, |user| cast.doomed.holds(user));
    outcome.parameter("users", cast.users);
    outcome.parameter("share", cast.doomed.0);
    outcome.parameter("together", args.together);
    outcome.parameter("say_rate", cast.say_rate);
    outcome.parameter("rooms", cast.rooms);
    outcome.parameter("server_interval_s", interval as f64 / 1e9);
    outcome.parameter("server_timeout_s", timeout as f64 / 1e9);
    let doomed = cast.doomed.count(cast.users);
    let (users, silent) = (grouped(cast.users as u64), grouped(doomed as u64));
    let manner = if args.together { ", all together" } else { "" };
    outcome.row("users", format!("{users} named, {silent} fall silent{manner}"));
    let beat = format!("{:.1} s, time-out {:.1} s", interval as f64 / 1e9, timeout as f64 / 1e9);
    outcome.row("server", format!("heartbeat {beat}, {} watchers", cast.watchers()));
    outcome.figure("users", cast.users as f64);
    outcome.figure("silent", doomed as f64);
    judge(outcome, &verdict, sums, report);
    outcome.figure("load_turn_max_us", sums.longest_turn as f64 / 1e3);
    sums.describe_talk(outcome, orders);
    outcome.cpu(spent, "death", 0);
    outcome.run.series.push(orders.ledger.series());
    // Who was interrupted has not waited for all deaths.
    if !interrupted {
        sums.errors.add("silent user not detected", verdict.undetected);
    }
    sums.errors.add("gone without an unanswered Ping", verdict.never_pinged);
    outcome.errors(report, &sums.errors);
    outcome.note(
        "Lateness counts from (arrival of the first Ping that is left unanswered + the server's time-out) to the moment \
         a watcher reads that the user is offline; both are read by the load's own clock, on the machine of the server.",
    );
    outcome.note(format!(
        "The load side was busy for {} at most in one go: a Ping that lay unread for so long makes its death look earlier, \
         an event that did makes it look later.",
        micros(sums.longest_turn as f64 / 1e3)
    ));
}

fn judge(outcome: &mut Outcome, verdict: &Verdict, sums: &Sums, report: &Report) {
    // A living connection that ended was called dead, whatever it was told.
    let false_deaths = verdict.false_deaths + report.lost;
    for (name, value) in [
        ("detected", verdict.detected),
        ("undetected", verdict.undetected),
        ("false_deaths", false_deaths),
        ("closes_4408", sums.goodbyes),
        ("early", verdict.early),
    ] {
        outcome.figure(name, value as f64);
    }
    outcome.figure("early_max_us", verdict.earliest as f64 / 1e3);
    outcome.figure("detection_span_s", verdict.span as f64 / 1e9);
    let [detected, missed, wrong] = [verdict.detected, verdict.undetected, false_deaths].map(grouped);
    outcome.row("verdict", format!("{detected} detected, {missed} not, {wrong} live ones called dead"));
    let closes = grouped(sums.goodbyes);
    outcome.row("deaths", format!("within {:.3} s, {closes} got Close 4408", verdict.span as f64 / 1e9));
    if verdict.early > 0 {
        let (early, by) = (grouped(verdict.early), micros(verdict.earliest as f64 / 1e3));
        outcome.row("early", format!("{early} before the deadline as the client has it, by {by} at most"));
    }
    outcome.times("lateness", &verdict.lateness);
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn cast(flags: &[&str]) -> Result<Cast, Failure> {
        let line = ["death", "--url", "ws://127.0.0.1:1/ws"].iter().chain(flags);
        Line::try_parse_from(line).expect("known flags").args.cast()
    }

    #[test]
    fn steps_add_up_to_the_goals() {
        let cast = cast(&["--users", "2000", "--say-rate", "100"]).expect("valid");
        assert_eq!((cast.watchers(), cast.rooms, cast.members()), (2, 200, 2000));
        assert_eq!([Step::Open, Step::Join, Step::Watch].map(|step| goal(&cast, step)), [2002, 4002, 4010]);
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
            let flags: Vec<&str> =
                flags.iter().map(|flag| if *flag == "-1" { "NaN" } else { flag }).collect();
            assert!(matches!(cast(&flags), Err(Failure::Usage(_))), "{flags:?}");
        }
    }
}
