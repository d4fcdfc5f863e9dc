//! What is counted and timed: HDR histograms that lose nothing, and errors by kind.
//!
//! Every thread has its own and they are added up at the end. Recording costs about 5 ns; a histogram grows to what it
//! was shown (a resize while it does), so no value is clamped: 3 significant digits from 1 ns to centuries.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Deserializer, Serializer as _, V2Serializer};

/// A histogram of nanoseconds.
#[derive(Clone, Debug)]
pub struct Recorder(Histogram<u64>);

impl Default for Recorder {
    fn default() -> Recorder {
        Recorder(Histogram::new(3).expect("3 digits are allowed"))
    }
}

impl Recorder {
    /// Makes room for values up to a second, so that a measurement does not start with resizes.
    pub fn warmed() -> Recorder {
        let mut recorder = Recorder::default();
        recorder.record(1_000_000_000);
        recorder.0.reset();
        recorder
    }

    pub fn record(&mut self, nanos: u64) {
        self.0.record(nanos).expect("a histogram that resizes takes any value");
    }

    pub fn record_many(&mut self, nanos: u64, count: u64) {
        self.0.record_n(nanos, count).expect("a histogram that resizes takes any value");
    }

    pub fn add(&mut self, other: &Recorder) {
        self.0.add(&other.0).expect("a histogram that resizes takes any other");
    }

    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// The value in microseconds that this part of all values does not pass.
    pub fn micros_at(&self, quantile: f64) -> f64 {
        self.0.value_at_quantile(quantile) as f64 / 1e3
    }

    pub fn max_micros(&self) -> f64 {
        self.0.max() as f64 / 1e3
    }

    pub fn mean_micros(&self) -> f64 {
        self.0.mean() / 1e3
    }

    /// The V2 format, not compressed, as base64.
    pub fn encode(&self) -> String {
        let mut bytes = Vec::new();
        V2Serializer::new().serialize(&self.0, &mut bytes).expect("a Vec takes all");
        STANDARD.encode(bytes)
    }

    /// From what [`Recorder::encode`] made.
    pub fn decode(text: &str) -> Option<Recorder> {
        let bytes = STANDARD.decode(text).ok()?;
        let mut histogram: Histogram<u64> = Deserializer::new().deserialize(&mut bytes.as_slice()).ok()?;
        histogram.auto(true);
        Some(Recorder(histogram))
    }
}

/// Errors by kind.
#[derive(Clone, Debug, Default)]
pub struct Tally(BTreeMap<String, u64>);

impl Tally {
    pub fn add(&mut self, kind: &str, count: u64) {
        if count == 0 {
            return;
        }
        match self.0.get_mut(kind) {
            Some(sum) => *sum += count,
            None => drop(self.0.insert(kind.to_owned(), count)),
        }
    }

    pub fn merge(&mut self, other: &Tally) {
        for (kind, count) in &other.0 {
            self.add(kind, *count);
        }
    }

    pub fn total(&self) -> u64 {
        self.0.values().sum()
    }

    /// Takes the errors of some kinds out. How many there were.
    pub fn take(&mut self, is_taken: impl Fn(&str) -> bool) -> u64 {
        let before = self.total();
        self.0.retain(|kind, _| !is_taken(kind));
        before - self.total()
    }

    pub fn into_map(self) -> BTreeMap<String, u64> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merged_histograms_hold_every_value_of_both() {
        let mut fast = Recorder::warmed();
        let mut slow = Recorder::default();
        for nanos in 1..=900 {
            fast.record(nanos * 1_000);
        }
        for _ in 0..100 {
            slow.record(3_600_000_000_000);
        }
        fast.add(&slow);
        assert_eq!(fast.count(), 1_000);
        assert!((fast.micros_at(0.5) - 500.0).abs() < 1.0);
        assert!((fast.micros_at(0.9) - 900.0).abs() < 1.0);
        assert!(fast.micros_at(0.901) > 3.59e9);
        assert!((fast.max_micros() / 3.6e9 - 1.0).abs() < 1e-3);
        let again = Recorder::decode(&fast.encode()).expect("it was encoded");
        assert_eq!((again.count(), again.encode()), (1_000, fast.encode()));
    }

    #[test]
    fn tallies_add_up_by_kind() {
        let mut all = Tally::default();
        all.add("reset", 0);
        assert_eq!(all.total(), 0);
        let mut thread = Tally::default();
        thread.add("reset", 2);
        thread.add("lost", 1);
        all.merge(&thread);
        all.merge(&thread);
        assert_eq!(all.total(), 6);
        assert_eq!(all.into_map()["reset"], 4);
    }
}
