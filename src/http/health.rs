//! `/healthz` says whether the server should be restarted, `/readyz` whether it should be sent clients.
//!
//! Any worker answers for all of them: a worker that is stuck can't answer, so the others name it. With one worker
//! a stuck server doesn't answer at all, which a probe's own time-out shows.

use std::fmt::Write as _;

use crate::reactor::Fleet;
use crate::time::Now;
use crate::wire::http::Response;

/// 200 `ok`, or 503 with each stuck worker and for how long it has been so.
#[must_use]
pub fn healthz(fleet: &Fleet, now: Now) -> Response {
    let mut stuck = String::new();
    for (worker, millis) in fleet.stuck_workers(now) {
        let between = if stuck.is_empty() { "stuck: " } else { ", " };
        // Writing to a String can't fail.
        let _ = write!(
            stuck,
            "{between}worker {worker} in one turn for {}.{} s",
            millis / 1000,
            millis % 1000 / 100
        );
    }
    if stuck.is_empty() { Response::text(200, "ok") } else { Response::text(503, &stuck) }
}

/// 200 `ready`, or 503 with every reason not to send clients here now.
#[must_use]
pub fn readyz(fleet: &Fleet) -> Response {
    let reasons = reasons_not_ready(
        fleet.is_draining(),
        fleet.is_accept_blocked(),
        fleet.connections(),
        fleet.max_connections(),
    );
    if reasons.is_empty() { Response::text(200, "ready") } else { Response::text(503, &reasons.join("\n")) }
}

/// `held` counts the connection that asks, too: at the bound, the next one gets a 503.
fn reasons_not_ready(draining: bool, accept_blocked: bool, held: usize, max: usize) -> Vec<String> {
    let mut reasons = Vec::new();
    if draining {
        reasons.push("draining: this server goes away".to_owned());
    }
    if accept_blocked {
        reasons.push("out of descriptors or memory: no connection can be accepted".to_owned());
    }
    if held >= max {
        reasons.push(format!("full: {held} of {max} connections"));
    }
    reasons
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_is_named() {
        assert!(reasons_not_ready(false, false, 9, 10).is_empty());
        assert_eq!(reasons_not_ready(false, false, 10, 10), ["full: 10 of 10 connections"]);
        let all = reasons_not_ready(true, true, 11, 10);
        assert_eq!(all.len(), 3, "{all:?}");
        assert!(all[0].starts_with("draining") && all[1].starts_with("out of descriptors"));
    }
}
