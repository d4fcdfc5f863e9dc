//! `/metrics`: the workers' counters as OpenMetrics text.
//!
//! Nothing is counted here and nothing is global: a scrape reads the counters of every worker and adds them up, so that
//! counting stays a plain store on the worker's own cache line. A scrape costs some 10 KB of text and no lock: 60 µs, which a
//! worker spends at most ten times a second. A client that asks more often gets the same answer again.

use std::fmt::Error;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};

use crate::http::gauges::Figure;
use crate::http::gauges::{
    EXEC_GAUGE, HISTORY_GAUGE, RECOVERIES, RECOVERY_LABELS, ROOMS_GAUGE, SESSION_LABELS, SESSIONS,
    USERS_GAUGE,
};
use crate::http::memory::{HISTORY, MeasureProcess, Receipt};
use crate::http::recent::Recent;
use crate::reactor::counters::{
    CLOSE_LABELS, Cause, Counters, Deferred, HISTOGRAM_BUCKETS, Histogram, REFUSAL_LABELS, WITHHELD_LABELS,
};
use crate::reactor::{Overload, Shared};
use crate::time::Tick;
use crate::wire::http::Response;

/// The `Content-Type` of the OpenMetrics text format.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The answer to `/metrics`.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    text: Recent,
}

impl Metrics {
    /// The figures of `shared`, and of the process where it tells them.
    #[must_use]
    pub fn new(shared: Arc<Shared>, measure_process: Option<MeasureProcess>) -> Metrics {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(ServerMetrics(shared, measure_process)));
        Metrics { registry, text: Recent::default() }
    }

    /// One scrape: of the figures as they are at `now`, or were less than [`FIGURES_TICKS`](crate::limits::FIGURES_TICKS) before.
    #[must_use]
    pub fn response(&mut self, now: Tick) -> Response {
        let encode = || {
            let mut text = String::with_capacity(16 << 10);
            text::encode(&mut text, &self.registry).is_ok().then_some(text)
        };
        let Some(text) = self.text.get(now, encode) else {
            return Response::text(500, "the metrics could not be encoded");
        };
        Response {
            status: 200,
            content_type: CONTENT_TYPE,
            fields: Vec::new(),
            body: text.as_bytes().to_vec().into(),
        }
    }
}

#[derive(Debug)]
struct ServerMetrics(Arc<Shared>, Option<MeasureProcess>);

impl Collector for ServerMetrics {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        let mut page = Scrape { encoder, shared: &self.0, measure_process: self.1 };
        page.connections()?;
        page.traffic()?;
        page.history()?;
        page.endings()?;
        page.delays()?;
        page.memory()?;
        page.build()
    }
}

/// A scrape in progress.
struct Scrape<'e, 'f> {
    encoder: DescriptorEncoder<'e>,
    shared: &'f Shared,
    measure_process: Option<MeasureProcess>,
}

impl Scrape<'_, '_> {
    fn connections(&mut self) -> Result<(), Error> {
        let shared = self.shared;
        self.gauge_of("rollcall_connections", "Connections of any kind, now", shared.connections() as u64)?;
        let users = shared.sum(|counters| counters.service[USERS_GAUGE].get());
        self.gauge_of("rollcall_users", "Users that are not offline", users)?;
        let rooms = shared.sum(|counters| counters.service[ROOMS_GAUGE].get());
        self.gauge_of("rollcall_rooms", "Rooms with members", rooms)?;
        let mut sessions = self.describe(
            "rollcall_sessions",
            "Clients of presence by what carries them",
            MetricType::Gauge,
        )?;
        for (i, carrier) in SESSION_LABELS.into_iter().enumerate() {
            let sum = shared.sum(|counters| counters.service[SESSIONS + i].get());
            sessions.encode_family(&[("carrier", carrier)])?.encode_gauge(&sum)?;
        }
        let processes = shared.sum(|counters| counters.service[EXEC_GAUGE].get());
        self.gauge_of("rollcall_exec_processes", "Commands that run for connections", processes)?;
        self.gauge_of(
            "rollcall_max_connections",
            "Connections held at once; past it a request gets 503",
            shared.max_connections() as u64,
        )?;
        self.gauge("rollcall_websockets", "Open WebSocket connections, now", None, |c| c.open.get())?;
        self.gauge_of("rollcall_workers", "Worker threads", shared.workers().len() as u64)?;
        let stuck = shared.stuck_workers(shared.clock().now()).count();
        self.gauge_of("rollcall_stuck_workers", "Workers that have been in one turn too long", stuck as u64)?;
        self.gauge_of("rollcall_draining", "1 while the server goes away", u64::from(shared.is_draining()))?;
        let rate = shared.handshakes_per_second();
        self.gauge_of(
            "rollcall_handshake_capacity",
            "Handshakes a second that it can do, as measured",
            rate,
        )?;
        self.counter("rollcall_accepts", "Accepted connections", None, |c| c.accepts.get())?;
        self.counter("rollcall_accept_failures", "Accepts that found no descriptor or memory", None, |c| {
            c.accept_failures.get()
        })?;
        self.counter("rollcall_upgrades", "Completed upgrades to WebSocket", None, |c| c.upgrades.get())?;
        let outcomes = ["full", "resumed", "failed"].map(str::to_owned);
        self.counters(
            "rollcall_tls_handshakes",
            "TLS handshakes that have ended",
            "outcome",
            &outcomes,
            |c, i| [&c.tls_full, &c.tls_resumed, &c.tls_failed][i].get(),
        )?;
        let reasons: Vec<String> = REFUSAL_LABELS
            .map(|(_, label)| label)
            .into_iter()
            .chain(Overload::LABELS)
            .map(str::to_owned)
            .collect();
        let help = "Refused upgrades, and connections closed unheard";
        self.counters("rollcall_handshakes_refused", help, "reason", &reasons, |c, i| {
            let short = i.checked_sub(REFUSAL_LABELS.len());
            short.map_or_else(|| c.refused[i].get(), |i| c.short[i].get())
        })?;
        self.counter("rollcall_http_requests", "HTTP requests answered", None, |c| c.requests.get())
    }

    fn traffic(&mut self) -> Result<(), Error> {
        self.counter("rollcall_messages_received", "Whole messages received", None, |c| {
            c.messages_received.get()
        })?;
        self.counter("rollcall_messages_sent", "Messages queued for sending", None, |c| {
            c.messages_sent.get()
        })?;
        let bytes = Some(&Unit::Bytes);
        self.counter("rollcall_received", "Read from sockets", bytes, |c| c.received_bytes.get())?;
        self.counter("rollcall_sent", "Written to sockets", bytes, |c| c.sent_bytes.get())?;
        self.counter("rollcall_pings_sent", "Pings sent", None, |c| c.pings_sent.get())?;
        self.counter("rollcall_pongs_received", "Pongs received", None, |c| c.pongs_received.get())?;
        let policies = WITHHELD_LABELS.map(str::to_owned);
        let help = "Messages that slow readers did not get";
        self.counters("rollcall_messages_withheld", help, "policy", &policies, |c, i| c.withheld[i].get())?;
        let kinds = Deferred::LABELS.map(str::to_owned);
        let help = "How often work waited for a worker's next turn, since a share of this one was used up";
        self.counters("rollcall_work_deferred", help, "kind", &kinds, |c, i| c.deferred[i].get())?;
        self.counter("rollcall_mail_refused", "Mail that a worker's full mailbox refused", None, |c| {
            c.mail_refused.get()
        })
    }

    fn history(&mut self) -> Result<(), Error> {
        self.gauge("rollcall_history_messages", "Messages that rooms keep", None, |c| {
            c.service[HISTORY_GAUGE].get()
        })?;
        let bytes = Some(&Unit::Bytes);
        self.gauge("rollcall_history", "What they take, with all that goes with it", bytes, |c| {
            c.memory.service[HISTORY].get()
        })?;
        let outcomes = RECOVERY_LABELS.map(str::to_owned);
        let help = "Clients that came back to a room and asked for what they had missed";
        self.counters("rollcall_recoveries", help, "outcome", &outcomes, |c, i| {
            c.service[RECOVERIES + i].get()
        })
    }

    fn endings(&mut self) -> Result<(), Error> {
        let causes = Cause::ALL.map(|cause| cause.label().to_owned());
        self.counters("rollcall_ended", "Ended WebSocket connections", "cause", &causes, |c, i| {
            c.ended[i].get()
        })?;
        let codes = CLOSE_LABELS.map(|code| if code == 0 { "other".to_owned() } else { code.to_string() });
        self.counters(
            "rollcall_closes",
            "Close codes sent, or received where the peer began",
            "code",
            &codes,
            |c, i| c.closes[i].get(),
        )
    }

    fn delays(&mut self) -> Result<(), Error> {
        self.histogram("rollcall_timer_lateness", "How late deadlines fired", |c| &c.timer_lateness)?;
        self.histogram("rollcall_round_trip", "From a Ping to its Pong", |c| &c.round_trip)?;
        self.histogram("rollcall_turn", "A worker's turn, without its wait for events", |c| &c.turn)
    }

    fn memory(&mut self) -> Result<(), Error> {
        let bytes = Unit::Bytes;
        self.gauge("rollcall_backlog", "Queued for sockets that are full", Some(&bytes), |c| {
            c.backlog_bytes.get()
        })?;
        let resident = self.shared.resident_bytes();
        self.gauge_of("rollcall_resident_bytes", "Resident memory of the process", resident)?;
        let help = "User-space memory by what it is for";
        let mut metric =
            self.encoder.encode_descriptor("rollcall_memory", help, Some(&bytes), MetricType::Gauge)?;
        for line in
            Receipt::of(self.shared, self.measure_process.map(|measure_process| measure_process())).parts
        {
            metric.encode_family(&[("part", line.part)])?.encode_gauge(&line.bytes)?;
        }
        let addresses = self.shared.addresses().bytes() as u64;
        metric.encode_family(&[("part", "addresses")])?.encode_gauge(&addresses)?;
        Ok(())
    }

    fn build(&mut self) -> Result<(), Error> {
        let labels = [
            ("version", env!("CARGO_PKG_VERSION")),
            ("profile", if cfg!(debug_assertions) { "debug" } else { "release" }),
        ];
        self.describe("rollcall_build", "What is running", MetricType::Info)?.encode_info(&labels)
    }

    fn describe<'s>(
        &'s mut self,
        name: &'s str,
        help: &str,
        metric_type: MetricType,
    ) -> Result<MetricEncoder<'s>, Error> {
        self.encoder.encode_descriptor(name, help, None, metric_type)
    }

    fn gauge_of(&mut self, name: &str, help: &str, value: u64) -> Result<(), Error> {
        self.describe(name, help, MetricType::Gauge)?.encode_gauge(&value)
    }

    fn gauge(&mut self, name: &str, help: &str, unit: Option<&Unit>, figure: Figure) -> Result<(), Error> {
        let value = self.shared.sum(figure);
        self.encoder.encode_descriptor(name, help, unit, MetricType::Gauge)?.encode_gauge(&value)
    }

    fn counter(&mut self, name: &str, help: &str, unit: Option<&Unit>, figure: Figure) -> Result<(), Error> {
        let value = self.shared.sum(figure);
        self.encoder
            .encode_descriptor(name, help, unit, MetricType::Counter)?
            .encode_counter::<NoLabelSet, u64, u64>(&value, None)
    }

    fn counters(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
        values: &[String],
        figure: fn(&Counters, usize) -> u64,
    ) -> Result<(), Error> {
        let shared = self.shared;
        let mut metric = self.describe(name, help, MetricType::Counter)?;
        for (i, value) in values.iter().enumerate() {
            let sum = shared.sum(|counters| figure(counters, i));
            metric
                .encode_family(&[(label, value.as_str())])?
                .encode_counter::<NoLabelSet, u64, u64>(&sum, None)?;
        }
        Ok(())
    }

    fn histogram(
        &mut self,
        name: &str,
        help: &str,
        figure: fn(&Counters) -> &Histogram,
    ) -> Result<(), Error> {
        let shared = self.shared;
        let buckets: Vec<(f64, u64)> = (0..HISTOGRAM_BUCKETS)
            .map(|i| (Histogram::upper_bound_seconds(i), shared.sum(|counters| figure(counters).bucket(i))))
            .collect();
        let count = buckets.iter().map(|(_, count)| count).sum();
        let seconds = shared.sum(|counters| figure(counters).sum_micros()) as f64 / 1e6;
        self.encoder
            .encode_descriptor(name, help, Some(&Unit::Seconds), MetricType::Histogram)?
            .encode_histogram::<NoLabelSet>(seconds, count, &buckets, None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::FIGURES_TICKS;

    fn scrape(shared: &Arc<Shared>) -> String {
        scrape_at(&mut Metrics::new(Arc::clone(shared), None), Tick(0))
    }

    fn scrape_at(metrics: &mut Metrics, now: Tick) -> String {
        String::from_utf8(metrics.response(now).body.into_owned()).unwrap()
    }

    #[test]
    fn a_second_scrape_in_its_time_is_the_first_again() {
        let shared = Arc::new(Shared::new(1, 100, Tick(0)));
        let mut metrics = Metrics::new(Arc::clone(&shared), None);
        let first = scrape_at(&mut metrics, Tick(7));
        shared.workers()[0].counters.messages_received.add(3);
        assert!(scrape_at(&mut metrics, Tick(6 + FIGURES_TICKS)) == first);
        let fresh = scrape_at(&mut metrics, Tick(7 + FIGURES_TICKS));
        assert!(fresh != first && fresh.contains("rollcall_messages_received_total 3\n"), "{fresh}");
    }

    #[test]
    fn every_public_name_is_there() {
        let text = scrape(&Arc::new(Shared::new(2, 100, Tick(0))));
        for name in [
            "rollcall_connections ",
            "rollcall_accepts_total ",
            "rollcall_handshakes_refused_total{reason=\"forbidden\"} ",
            "rollcall_messages_received_total ",
            "rollcall_messages_sent_total ",
            "rollcall_received_bytes_total ",
            "rollcall_sent_bytes_total ",
            "rollcall_pings_sent_total ",
            "rollcall_pongs_received_total ",
            "rollcall_history_messages ",
            "rollcall_history_bytes ",
            "rollcall_recoveries_total{outcome=\"lost\"} ",
            "rollcall_sessions{carrier=\"poll\"} ",
            "rollcall_ended_total{cause=\"timeout\"} ",
            "rollcall_closes_total{code=\"1001\"} ",
            "rollcall_closes_total{code=\"other\"} ",
            "rollcall_timer_lateness_seconds_bucket{le=\"0.001024\"} ",
            "rollcall_round_trip_seconds_sum ",
            "rollcall_turn_seconds_count ",
            "rollcall_backlog_bytes ",
            "rollcall_memory_bytes{part=\"wheel\"} ",
            "rollcall_build_info{version=\"",
        ] {
            assert!(text.lines().any(|line| line.starts_with(name)), "{name} is missing in\n{text}");
        }
        assert!(text.ends_with("# EOF\n"));
    }

    #[test]
    fn workers_add_up_and_buckets_accumulate() {
        let shared = Arc::new(Shared::new(2, 100, Tick(0)));
        for (worker, micros) in shared.workers().iter().zip([1, 1_000]) {
            worker.counters.messages_received.add(3);
            worker.counters.turn.record(micros);
        }
        let text = scrape(&shared);
        for line in [
            "rollcall_messages_received_total 6",
            "rollcall_turn_seconds_bucket{le=\"0.000001\"} 1",
            "rollcall_turn_seconds_bucket{le=\"0.001024\"} 2",
            "rollcall_turn_seconds_bucket{le=\"+Inf\"} 2",
            "rollcall_turn_seconds_sum 0.001001",
            "rollcall_turn_seconds_count 2",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is missing in\n{text}");
        }
    }
}
