//! A client of the server's HTTP API: its figures, and the message to everybody, for both of which its API wants a key. A request a
//! connection; nothing is kept open.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use crate::child;

/// What a server's metrics say at a moment: each sample by its name with its labels.
#[derive(Clone, Debug, Default)]
pub struct Scrape(BTreeMap<String, f64>);

impl Scrape {
    /// Asks for it; empty where there is none.
    pub fn now(address: SocketAddr, key: &str) -> Scrape {
        match child::get(address, "/metrics", key) {
            Some((200, body)) => Scrape::of(&body),
            _ => Scrape::default(),
        }
    }

    fn of(text: &str) -> Scrape {
        let samples = text.lines().filter(|line| !line.starts_with('#'));
        let sample = |line: &str| {
            let (name, value) = line.rsplit_once(' ')?;
            Some((name.to_owned(), value.parse().ok()?))
        };
        Scrape(samples.filter_map(sample).collect())
    }

    /// The samples of a metric by the value of its only label.
    pub fn family(&self, metric: &str) -> Vec<(String, f64)> {
        let member = |(name, value): (&String, &f64)| {
            let label = name.strip_prefix(metric)?.strip_prefix('{')?.split('"').nth(1)?;
            Some((label.to_owned(), *value))
        };
        self.0.iter().filter_map(member).collect()
    }

    pub fn memory(&self) -> Vec<(String, f64)> {
        self.family("rollcall_memory_bytes")
    }

    /// The upper bound in microseconds of `percent` of what a histogram took since an earlier scrape.
    pub fn micros_at(&self, metric: &str, since: &Scrape, percent: f64) -> Option<f64> {
        let buckets = format!("{metric}_bucket");
        let before: BTreeMap<String, f64> = since.family(&buckets).into_iter().collect();
        let bound = |(label, count): (String, f64)| {
            let seconds = if label == "+Inf" { f64::INFINITY } else { label.parse().ok()? };
            Some((seconds, count - before.get(&label).copied().unwrap_or(0.0)))
        };
        let mut counts: Vec<(f64, f64)> = self.family(&buckets).into_iter().filter_map(bound).collect();
        counts.sort_by(|a, b| a.0.total_cmp(&b.0));
        let all = counts.last().map(|(_, count)| *count).filter(|count| *count > 0.0)?;
        counts.iter().find(|(_, count)| *count >= all * percent / 100.0).map(|(seconds, _)| seconds * 1e6)
    }
}

/// Tells everybody something; the error is one line.
pub fn broadcast(address: SocketAddr, key: &str, data: &str) -> Result<(), String> {
    let body = format!("{{\"data\":{data}}}");
    let request = format!(
        "POST /api/v1/broadcast HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\n\
         Authorization: Bearer {key}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    match child::exchange(address, &request) {
        // 202: it goes on, and nobody is left out.
        Ok((200 | 202, _)) => Ok(()),
        Ok((status, body)) => Err(format!("POST /api/v1/broadcast was answered {status}: {}", body.trim())),
        Err(error) => Err(format!("POST /api/v1/broadcast: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_what_came_since() {
        let text = |counts: [u32; 3]| {
            let [a, b, c] = counts;
            format!(
                "# TYPE t histogram\nt_bucket{{le=\"0.001\"}} {a}\nt_bucket{{le=\"0.002\"}} {b}\nt_bucket{{le=\"+Inf\"}} {c}\n"
            )
        };
        let (before, after) = (Scrape::of(&text([100, 100, 100])), Scrape::of(&text([150, 199, 200])));
        assert_eq!(after.micros_at("t", &before, 50.0), Some(1_000.0));
        assert_eq!(after.micros_at("t", &before, 99.0), Some(2_000.0));
        assert_eq!(after.micros_at("t", &before, 99.9), Some(f64::INFINITY));
        assert_eq!(after.micros_at("t", &after, 50.0), None);
        let parts = Scrape::of("m{part=\"wheel\"} 7\nm{part=\"rooms\"} 8\nmm 9\n# EOF");
        assert_eq!(parts.family("m"), [("rooms".to_owned(), 8.0), ("wheel".to_owned(), 7.0)]);
    }
}
