//! Says in the log which worker is stuck, and at what: a callback of its service that takes too long, or a machine that
//! gives it no time. `/healthz` says the same, where a worker is left that can answer. Says also when the wall clock, by which
//! tokens end, has taken a great step.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::limits::{CLOCK_LEAP_MILLIS, CLOCK_LEAP_WAIT_MILLIS};
use crate::reactor::Shared;
use crate::time::Now;

use crate::config::units::Span;

/// How often it looks.
const LOOK: Duration = Duration::from_millis(500);

/// Watches for as long as the process runs.
pub(super) fn start(shared: Arc<Shared>) {
    // Without a thread for it nobody watches, which is no reason not to serve.
    let _ = thread::Builder::new().name("watchdog".to_owned()).spawn(move || {
        let mut stuck = vec![false; shared.workers().len()];
        let mut before = shared.clock().now();
        loop {
            thread::sleep(LOOK);
            look(&shared, &mut stuck);
            let now = shared.clock().now();
            if let Some(line) = step(before, now) {
                tracing::warn!("{line}");
            }
            before = now;
        }
    });
}

/// The line for a wall clock that has stepped by more than it may unnoticed, between two looks at it.
fn step(before: Now, now: Now) -> Option<String> {
    let passed = (now.micros - before.micros) / 1_000;
    let expected = before.unix_millis.saturating_add(passed);
    let by = |millis: u64| Span(Duration::from_secs(millis / 1_000));
    let wait = by(CLOCK_LEAP_WAIT_MILLIS);
    if now.unix_millis > expected.saturating_add(CLOCK_LEAP_MILLIS) {
        let ahead = by(now.unix_millis - expected);
        return Some(format!(
            "the wall clock has stepped ahead by {ahead}: tokens end by it from {wait} from now on"
        ));
    }
    let back = expected.saturating_sub(now.unix_millis);
    (back > CLOCK_LEAP_MILLIS)
        .then(|| format!("the wall clock has stepped back by {}: tokens end that much later", by(back)))
}

/// Logs each worker that is newly stuck, and each that turns again.
fn look(shared: &Shared, was_stuck: &mut [bool]) {
    let mut is_stuck = vec![false; was_stuck.len()];
    for (worker, millis) in shared.stuck_workers(shared.clock().now()) {
        is_stuck[worker.index()] = true;
        if !was_stuck[worker.index()] {
            let part = shared.workers()[worker.index()].turn_part().name();
            tracing::error!("worker {worker} is stuck: {millis} ms in one turn, at {part}");
        }
    }
    for (worker, (was, is)) in was_stuck.iter_mut().zip(is_stuck).enumerate() {
        if *was && !is {
            tracing::warn!("worker {worker} turns again");
        }
        *was = is;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_of_the_wall_clock_by_more_than_a_minute_is_a_line() {
        let at = |seconds: u64, unix_seconds: u64| Now {
            micros: seconds * 1_000_000,
            unix_millis: unix_seconds * 1_000,
            ..Now::default()
        };
        let before = at(10, 1_000_000);
        for unix_seconds in [1_000_001, 1_000_061, 999_941] {
            assert_eq!(step(before, at(11, unix_seconds)), None);
        }
        let ahead = step(before, at(11, 1_000_001 + 7_200)).unwrap();
        assert!(ahead.contains("ahead by 2h") && ahead.contains("from 1m from now on"), "{ahead}");
        let back = step(before, at(11, 1_000_001 - 90)).unwrap();
        assert!(back.contains("back by 90s"), "{back}");
    }
}
