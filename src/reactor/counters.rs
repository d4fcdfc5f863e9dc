//! The counters of a worker. Each worker writes its own counters and nobody else does, so that counting is a plain load
//! and store; anybody may read them.

use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::reactor::overload::Overload;

/// Why a WebSocket connection ended.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Cause {
    /// The peer closed it with the closing handshake.
    Closed,
    /// The peer closed it so, with 4000: it will not be back.
    Goodbye,
    /// The service closed it.
    ServiceClosed,
    /// The peer's end of the stream, without a Close.
    Lost,
    /// An error of the socket: reset, broken pipe.
    Reset,
    /// No heartbeat in time.
    Timeout,
    /// The peer took nothing of what was queued for it.
    Slow,
    /// The peer broke a rule of the protocol.
    Protocol,
    /// The server goes away.
    Drain,
}

impl Cause {
    /// All of them.
    pub const ALL: [Cause; 9] = [
        Cause::Closed,
        Cause::Goodbye,
        Cause::ServiceClosed,
        Cause::Lost,
        Cause::Reset,
        Cause::Timeout,
        Cause::Slow,
        Cause::Protocol,
        Cause::Drain,
    ];

    /// The value of the metric's label `cause`.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Cause::Closed => "closed",
            Cause::Goodbye => "goodbye",
            Cause::ServiceClosed => "service",
            Cause::Lost => "lost",
            Cause::Reset => "reset",
            Cause::Timeout => "timeout",
            Cause::Slow => "slow",
            Cause::Protocol => "protocol",
            Cause::Drain => "drain",
        }
    }
}

/// The reasons under which refused handshakes are counted; anything else counts as the last.
pub const REFUSAL_LABELS: [(u16, &str); 10] = [
    (400, "malformed"),
    (401, "unauthorized"),
    (403, "forbidden"),
    (404, "not_found"),
    (405, "method"),
    (408, "timeout"),
    (426, "version"),
    (431, "too_large"),
    (503, "unavailable"),
    (0, "other"),
];

/// Messages that a slow reader did not get, and that did not end it.
pub const WITHHELD_LABELS: [&str; 2] = ["drop_oldest", "latest_only"];

/// Work that waited for the next turn, since a share of this one was used up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Deferred {
    /// Input of a connection that had its share.
    Input,
    /// Connections that were ready.
    Ready,
    /// Connections that had more than their share to be served.
    Overtime,
    /// Mail.
    Mail,
}

impl Deferred {
    /// The values of the metric's label `kind`.
    pub const LABELS: [&str; 4] = ["input", "ready", "overtime", "mail"];
}

/// The close codes that are counted one by one; anything else counts as the last.
pub const CLOSE_LABELS: [u16; 17] =
    [1000, 1001, 1002, 1003, 1005, 1007, 1009, 1010, 1011, 1013, 4000, 4401, 4403, 4408, 4409, 4429, 0];

/// A number that one thread writes and all may read.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    /// Adds `n`.
    pub fn add(&self, n: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_add(n), Relaxed);
    }

    /// Takes `n` away.
    pub fn sub(&self, n: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_sub(n), Relaxed);
    }

    /// Sets it.
    pub fn set(&self, n: u64) {
        self.0.store(n, Relaxed);
    }

    /// Reads it.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// Gauges that a service may have of its own.
pub const SERVICE_GAUGES: usize = 12;

/// Buckets of a [`Histogram`]: bucket `i` holds what is at most `2^i` µs, the last one everything above.
pub const HISTOGRAM_BUCKETS: usize = 26;

/// A histogram of durations in powers of two: 1 µs to 16.8 s.
#[derive(Debug, Default)]
pub struct Histogram {
    buckets: [Count; HISTOGRAM_BUCKETS],
    sum_micros: Count,
}

impl Histogram {
    /// Counts a duration.
    pub fn record(&self, micros: u64) {
        let bucket = micros.max(1).next_power_of_two().trailing_zeros() as usize;
        self.buckets[bucket.min(HISTOGRAM_BUCKETS - 1)].add(1);
        self.sum_micros.add(micros);
    }

    /// The count in bucket `i` alone.
    #[must_use]
    pub fn bucket(&self, i: usize) -> u64 {
        self.buckets[i].get()
    }

    /// The sum of all durations in µs.
    #[must_use]
    pub fn sum_micros(&self) -> u64 {
        self.sum_micros.get()
    }

    /// The upper bound of bucket `i` in seconds; infinite for the last.
    #[must_use]
    pub fn upper_bound_seconds(i: usize) -> f64 {
        if i + 1 == HISTOGRAM_BUCKETS { f64::INFINITY } else { (1_u64 << i) as f64 / 1e6 }
    }
}

/// One worker's figures. Gauges are marked; the rest only grow.
#[derive(Debug, Default)]
pub struct Counters {
    /// Gauge: connections of any kind.
    pub connections: Count,
    /// Gauge: WebSocket connections.
    pub open: Count,
    /// Accepted connections.
    pub accepts: Count,
    /// Accepts that failed for want of descriptors or memory.
    pub accept_failures: Count,
    /// TLS handshakes without a ticket of an earlier connection.
    pub tls_full: Count,
    /// TLS handshakes with one.
    pub tls_resumed: Count,
    /// Connections to a TLS listener that came to no TLS.
    pub tls_failed: Count,
    /// Completed upgrades.
    pub upgrades: Count,
    /// HTTP requests answered.
    pub requests: Count,
    /// Refused handshakes, as [`REFUSAL_LABELS`].
    pub refused: [Count; REFUSAL_LABELS.len()],
    /// Handshakes refused, and connections closed unheard, for want of something; as [`Overload::LABELS`].
    pub short: [Count; Overload::LABELS.len()],
    /// Messages that were dropped for slow readers, as [`WITHHELD_LABELS`].
    pub withheld: [Count; WITHHELD_LABELS.len()],
    /// Whole messages received.
    pub messages_received: Count,
    /// Messages queued for sending.
    pub messages_sent: Count,
    /// Bytes read from sockets.
    pub received_bytes: Count,
    /// Bytes written to sockets.
    pub sent_bytes: Count,
    /// Pings sent.
    pub pings_sent: Count,
    /// Pongs received.
    pub pongs_received: Count,
    /// Ended WebSocket connections, as [`Cause::ALL`].
    pub ended: [Count; Cause::ALL.len()],
    /// Close codes sent or, where the peer began, received; as [`CLOSE_LABELS`].
    pub closes: [Count; CLOSE_LABELS.len()],
    /// Mail that a full mailbox refused.
    pub mail_refused: Count,
    /// Messages that a service dropped for want of room.
    pub mail_lost: Count,
    /// How often work waited for the next turn, as [`Deferred`].
    pub deferred: [Count; Deferred::LABELS.len()],
    /// Gauges of the service's own; what each means is between the service and who reads them.
    pub service: [Count; SERVICE_GAUGES],
    /// How late deadlines fired.
    pub timer_lateness: Histogram,
    /// From Ping to Pong.
    pub round_trip: Histogram,
    /// Turns, without the wait.
    pub turn: Histogram,
    /// Gauge: bytes queued for connections whose sockets are full.
    pub backlog_bytes: Count,
    /// Gauges: bytes of memory by what they are for.
    pub memory: Memory,
}

/// Bytes of a worker's memory, each from the capacity of the structure itself: gauges, set once a second while anything
/// happens.
#[derive(Debug, Default)]
pub struct Memory {
    /// The table of connections, and their sockets.
    pub connections: Count,
    /// The wheel.
    pub wheel: Count,
    /// The read buffer, and the output of a turn.
    pub buffers: Count,
    /// The mailbox, and what waits in the worker.
    pub queues: Count,
    /// Compressors, inflaters and what connections hold of compressed messages.
    pub deflate: Count,
    /// Links over TLS, and the buffers that they share.
    pub tls: Count,
    /// The service's, by what it is for; what each means is between the service and who reads them.
    pub service: [Count; 5],
}

impl Counters {
    /// Counts a refused handshake.
    pub fn refuse(&self, status: u16) {
        let last = REFUSAL_LABELS.len() - 1;
        let i = REFUSAL_LABELS.iter().position(|(code, _)| *code == status).unwrap_or(last);
        self.refused[i].add(1);
    }

    /// Counts a close code.
    pub fn close(&self, code: u16) {
        let last = CLOSE_LABELS.len() - 1;
        let i = CLOSE_LABELS.iter().position(|known| *known == code).unwrap_or(last);
        self.closes[i].add(1);
    }

    /// Counts an ended WebSocket connection.
    pub fn end(&self, cause: Cause) {
        self.ended[cause as usize].add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_index_their_counter() {
        for (i, cause) in Cause::ALL.into_iter().enumerate() {
            assert_eq!(cause as usize, i, "{}", cause.label());
        }
    }

    #[test]
    fn histogram_bounds_hold_what_they_say() {
        let histogram = Histogram::default();
        for micros in [0, 1, 2, 3, 1024, 1025, u64::MAX / 4] {
            histogram.record(micros);
        }
        assert_eq!([0, 1, 2, 10, 11].map(|i| histogram.bucket(i)), [2, 1, 1, 1, 1]);
        assert_eq!(histogram.bucket(HISTOGRAM_BUCKETS - 1), 1);
        assert!((Histogram::upper_bound_seconds(10) - 0.001_024).abs() < 1e-12);
    }
}
