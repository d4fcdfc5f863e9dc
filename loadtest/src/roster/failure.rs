//! From the silence of the doomed to the last of their deaths, and what is said of it.

use std::sync::atomic::Ordering::Relaxed;

use crate::engine::Report;
use crate::numbers::{grouped, micros};
use crate::options::Setup;
use crate::outcome::{Outcome, Reading, Spent};
use crate::progress::{Subject, Watch};
use crate::roster::death_log::Verdict;
use crate::roster::{Orders, Sums};

/// From a last sign of life to the silence: Pings under way in between are still answered.
pub const NUDGE_BEFORE: u64 = 250_000_000;
/// From the start of the messages to where their latencies count.
const WARM_UP: u64 = 1_000_000_000;

/// How long it takes, in nanoseconds.
#[derive(Clone, Copy, Debug)]
pub struct MassFailure {
    /// How long all are alive before it; `None`: the server's heartbeat interval, so that each connection's first Ping, which
    /// comes at a random moment, is over.
    pub hold: Option<u64>,
    /// How long after the last possible deadline a death may still be told.
    pub timeout: u64,
}

impl MassFailure {
    /// All of it. `None` where it did not come to the silence.
    pub fn conduct(self, setup: &Setup, watch: &mut Watch<'_>, orders: &Orders) -> Option<Spent> {
        let run_state = &setup.run_state;
        let Some((interval, timeout)) = orders.heartbeat() else {
            watch.say("the server's welcome tells no heartbeat");
            run_state.stop.store(true, Relaxed);
            return None;
        };
        let start = run_state.clock.now() + NUDGE_BEFORE;
        let doom = start + NUDGE_BEFORE + self.hold.unwrap_or(interval).max(WARM_UP);
        // A Ping may have been answered just before the silence.
        let deadline = doom + interval + timeout;
        run_state.set_window(start, start + WARM_UP, deadline + WARM_UP);
        if !watch.until_moment("alive", Subject::Live, doom - NUDGE_BEFORE) {
            return None;
        }
        if orders.population.together.0 > 0.0 {
            orders.nudge.store(doom - NUDGE_BEFORE, Relaxed);
        }
        orders.doom.store(doom, Relaxed);
        if !watch.until_moment("alive", Subject::Live, doom) {
            return None;
        }
        let before = Reading::now(setup);
        let doomed = orders.population.doomed.count(orders.population.users) as u64;
        let timeout = deadline + self.timeout;
        watch.until_count("silence", Subject::Steps("called dead"), doomed, |_| {
            // The living are watched for as long as one of them could be called dead for this.
            let now = run_state.clock.now();
            now >= timeout || (now >= deadline + WARM_UP && orders.death_log.gone_so_far() >= doomed)
        });
        let spent = Reading::now(setup).since(&before);
        // What was said last, and the Closes, are on their way.
        let moment = run_state.clock.now() + 2 * NUDGE_BEFORE;
        watch.until_moment("drain", Subject::Steps("called dead"), moment);
        Some(spent)
    }
}

/// The verdict's figures and rows.
pub fn judge(outcome: &mut Outcome, verdict: &Verdict, sums: &Sums, report: &Report) {
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

/// The verdict's errors. Who was interrupted has not waited for all deaths.
pub fn errors(verdict: &Verdict, interrupted: bool, sums: &mut Sums) {
    if !interrupted {
        sums.errors.add("silent user not detected", verdict.undetected);
    }
    sums.errors.add("gone without an unanswered Ping", verdict.never_pinged);
}

/// What has to be known to read the lateness.
pub fn notes(outcome: &mut Outcome, sums: &Sums) {
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
