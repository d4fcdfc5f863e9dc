//! `GET /api/v1/stats`: the figures that a live chart draws, in one answer. It reads the workers' counters as `/metrics`
//! does: no lock, no home is asked, a kilobyte of JSON and 250 bytes for each worker.

use std::fmt::Write as _;

use crate::http::gauges::Figure;
use crate::http::router::{ROOMS_GAUGE, USERS_GAUGE};
use crate::reactor::Shared;
use crate::reactor::counters::{Cause, Counters, HISTOGRAM_BUCKETS, Histogram};
use crate::time::Now;

/// The figures of the whole server and of each worker.
const FIGURES: [(&str, Figure); 12] = [
    ("websockets", |c| c.open.get()),
    ("users", |c| c.service[USERS_GAUGE].get()),
    ("rooms", |c| c.service[ROOMS_GAUGE].get()),
    ("accepts", |c| c.accepts.get()),
    ("upgrades", |c| c.upgrades.get()),
    ("messages_received", |c| c.messages_received.get()),
    ("messages_sent", |c| c.messages_sent.get()),
    ("received_bytes", |c| c.received_bytes.get()),
    ("sent_bytes", |c| c.sent_bytes.get()),
    ("backlog_bytes", |c| c.backlog_bytes.get()),
    ("pings_sent", |c| c.pings_sent.get()),
    ("pongs_received", |c| c.pongs_received.get()),
];

/// The figures as they are now.
pub(crate) fn json(shared: &Shared, now: Now) -> String {
    let mut text = format!(
        r#"{{"version":"{}","time_ms":{},"uptime_s":{},"draining":{},"connections":{},"max_connections":{},{}"#,
        env!("CARGO_PKG_VERSION"),
        now.unix_millis,
        now.micros / 1_000_000,
        shared.is_draining(),
        shared.connections(),
        shared.max_connections(),
        figures(|figure| shared.sum(figure))
    );
    let ended = Cause::ALL.iter().enumerate();
    let ended =
        ended.map(|(i, cause)| format!(r#""{}":{}"#, cause.label(), shared.sum(|c| c.ended[i].get())));
    // Writing to a String can't fail.
    let _ = write!(text, r#","ended":{{{}}}"#, ended.collect::<Vec<_>>().join(","));
    for (name, histogram) in DURATIONS {
        let _ = write!(text, r#","{name}":{}"#, durations(shared, histogram));
    }
    let workers = shared.workers().iter().map(|worker| {
        let connections = worker.counters.connections.get();
        format!(r#"{{"connections":{connections},{}}}"#, figures(|figure| figure(&worker.counters)))
    });
    let _ = write!(text, r#","workers":[{}]}}"#, workers.collect::<Vec<_>>().join(","));
    text
}

/// Finds a histogram among a worker's counters.
type Durations = fn(&Counters) -> &Histogram;

const DURATIONS: [(&str, Durations); 3] =
    [("lateness", |c| &c.timer_lateness), ("round_trip", |c| &c.round_trip), ("turn", |c| &c.turn)];

fn figures(value: impl Fn(Figure) -> u64) -> String {
    let figures = FIGURES.map(|(name, figure)| format!(r#""{name}":{}"#, value(figure)));
    figures.join(",")
}

/// A histogram over all workers since the start. The quantiles are upper bounds: durations are counted in powers of two.
/// For those of the last second, take the difference of two `buckets`.
fn durations(shared: &Shared, histogram: Durations) -> String {
    let buckets: Vec<u64> = (0..HISTOGRAM_BUCKETS).map(|i| shared.sum(|c| histogram(c).bucket(i))).collect();
    let count: u64 = buckets.iter().sum();
    let mean = millis(shared.sum(|c| histogram(c).sum_micros()).checked_div(count).unwrap_or(0));
    let quantile = |percent: u64| {
        let rank = (count * percent).div_ceil(100).max(1);
        let mut seen = 0;
        let bucket = buckets.iter().position(|in_it| {
            seen += in_it;
            seen >= rank
        });
        // Of what the last bucket holds nothing is known but its lower bound.
        millis(bucket.map_or(0, |i| 1 << i.min(HISTOGRAM_BUCKETS - 2)))
    };
    format!(
        r#"{{"count":{count},"mean_ms":{mean},"p50_ms":{},"p99_ms":{},"max_ms":{},"buckets":{buckets:?}}}"#,
        quantile(50),
        quantile(99),
        quantile(100)
    )
}

fn millis(micros: u64) -> f64 {
    micros as f64 / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Tick;

    #[test]
    fn quantiles_are_the_bounds_of_their_buckets() {
        let shared = Shared::new(2, 100, Tick(0));
        let text = durations(&shared, |c| &c.turn);
        assert!(text.starts_with(r#"{"count":0,"mean_ms":0,"p50_ms":0,"p99_ms":0,"max_ms":0,"#), "{text}");
        for _ in 0..98 {
            shared.workers()[0].counters.turn.record(3);
        }
        shared.workers()[1].counters.turn.record(100);
        shared.workers()[1].counters.turn.record(5_000);
        let text = durations(&shared, |c| &c.turn);
        assert!(
            text.starts_with(r#"{"count":100,"mean_ms":0.053,"p50_ms":0.004,"p99_ms":0.128,"max_ms":8.192,"#),
            "{text}"
        );
    }
}
