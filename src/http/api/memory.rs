//! `GET /api/v1/memory`: what the server's own memory is for, part by part.

use crate::http::api::answer::json;
use crate::http::metrics::MEMORY_PARTS;
use crate::reactor::Fleet;
use crate::reactor::counters::Counters;
use crate::wire::http::Response;

/// The receipt.
pub(crate) fn response(fleet: &Fleet) -> Response {
    let workers: Vec<String> =
        fleet.workers().iter().map(|worker| object(|figure| figure(&worker.counters))).collect();
    let connections = fleet.connections();
    let total: u64 = MEMORY_PARTS.iter().map(|(_, figure)| fleet.sum(figure)).sum();
    let all = object(|figure| fleet.sum(figure));
    json(
        200,
        format!(
            r#"{{"connections":{connections},"total_bytes":{total},"parts":{all},"workers":[{}]}}"#,
            workers.join(",")
        ),
    )
}

fn object(value: impl Fn(fn(&Counters) -> u64) -> u64) -> String {
    let parts = MEMORY_PARTS.iter().map(|(part, figure)| format!(r#""{part}":{}"#, value(*figure)));
    format!("{{{}}}", parts.collect::<Vec<_>>().join(","))
}
