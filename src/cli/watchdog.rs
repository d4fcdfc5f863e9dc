//! Says in the log which worker is stuck, and at what: a callback of its service that takes too long, or a machine that
//! gives it no time. `/healthz` says the same, where a worker is left that can answer.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::reactor::Fleet;

/// How often it looks.
const LOOK: Duration = Duration::from_millis(500);

/// Watches for as long as the process runs.
pub(super) fn start(fleet: Arc<Fleet>) {
    // Without a thread for it nobody watches, which is no reason not to serve.
    let _ = thread::Builder::new().name("watchdog".to_owned()).spawn(move || {
        let mut stuck = vec![false; fleet.workers().len()];
        loop {
            thread::sleep(LOOK);
            look(&fleet, &mut stuck);
        }
    });
}

/// Logs each worker that is newly stuck, and each that turns again.
fn look(fleet: &Fleet, was_stuck: &mut [bool]) {
    let mut is_stuck = vec![false; was_stuck.len()];
    for (worker, millis) in fleet.stuck_workers(fleet.clock().now()) {
        is_stuck[worker.index()] = true;
        if !was_stuck[worker.index()] {
            let part = fleet.workers()[worker.index()].turn_part().name();
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
