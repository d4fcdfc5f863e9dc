//! `/healthz` says whether the server should be restarted, `/readyz` whether it should be sent clients.
//!
//! Any worker answers for all of them: a worker that is stuck can't answer, so the others name it. With one worker
//! a stuck server doesn't answer at all, which a probe's own time-out shows. Both answer everybody, and figures of `/readyz` are
//! for those alone that may use the API.

use std::fmt::Write as _;

use crate::reactor::{Overload, Shared};
use crate::time::Now;
use crate::wire::http::Response;

/// 200 `ok`, or 503 with each stuck worker and for how long it has been so.
#[must_use]
pub fn healthz(shared: &Shared, now: Now) -> Response {
    let mut stuck = String::new();
    for (worker, millis) in shared.stuck_workers(now) {
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

/// 200 `ready`, or 503: with every reason not to send clients here now and its figures for the operator, and with a word for
/// anybody else. The connection that asks is counted, too: at the bound, the next one gets a 503. `lacks_keys`: the keys for
/// tokens were never fetched, so that nobody who has one can be let in.
pub fn readyz(
    shared: &Shared,
    shortages: impl Iterator<Item = Overload>,
    lacks_keys: bool,
    is_operator: bool,
) -> Response {
    let mut reasons: Vec<String> = shortages.map(|overload| overload.to_string()).collect();
    if shared.is_accept_blocked() {
        reasons.push("out of descriptors or memory: no connection can be accepted".to_owned());
    }
    if lacks_keys {
        reasons.push("no keys for tokens: --token-jwks was not fetched yet".to_owned());
    }
    match (reasons.is_empty(), is_operator) {
        (true, _) => Response::text(200, "ready"),
        (false, true) => Response::text(503, &reasons.join("\n")),
        (false, false) => Response::text(503, "unavailable"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Tick;

    #[test]
    fn each_reason_is_named() {
        let shared = Shared::new(1, 10, Tick(0));
        assert_eq!(readyz(&shared, std::iter::empty(), false, true).status, 200);
        let short = || [Overload::Draining, Overload::Connections(10, 10)].into_iter();
        let response = readyz(&shared, short(), false, true);
        assert_eq!(response.status, 503);
        assert_eq!(&*response.body, b"draining: this server goes away\nfull: 10 of 10 connections\n");
        let response = readyz(&shared, short(), false, false);
        assert_eq!(
            (response.status, &*response.body),
            (503, &b"unavailable\n"[..]),
            "figures are the operator's"
        );
        let response = readyz(&shared, std::iter::empty(), true, true);
        assert!(response.status == 503 && response.body.starts_with(b"no keys for tokens"));
        shared.workers()[0].accept_blocked.store(true, std::sync::atomic::Ordering::Relaxed);
        let response = readyz(&shared, std::iter::empty(), false, true);
        assert_eq!(response.status, 503);
        assert!(response.body.starts_with(b"out of descriptors or memory"));
    }
}
