//! How fast handshakes go, as far as that can be measured: so fast do those who are sent away come back.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// The cost of a handshake for a worker, measured where there is something to measure: in turns with several of them, as the
/// turn's time by their number. A moving average; a single slow turn changes it by an eighth.
#[derive(Debug)]
pub(crate) struct HandshakeRate {
    nanos: AtomicU32,
}

impl HandshakeRate {
    /// Handshakes in a turn from which on it says something of their cost.
    const HANDSHAKES_MIN: u64 = 8;
    /// Until something was measured, and the bounds of what can be: 5,000, 200 and 200,000 a second.
    const NANOS_DEFAULT: u32 = 200_000;
    const NANOS_MAX: u64 = 5_000_000;
    const NANOS_MIN: u64 = 5_000;

    /// A turn took so long, in which so many connections were upgraded.
    pub(crate) fn turn(&self, micros: u64, handshakes: u64) {
        if handshakes < HandshakeRate::HANDSHAKES_MIN {
            return;
        }
        let nanos = (micros * 1_000 / handshakes).clamp(HandshakeRate::NANOS_MIN, HandshakeRate::NANOS_MAX);
        let before = u64::from(self.nanos.load(Relaxed));
        let next = (before * 7 + nanos) / 8;
        self.nanos.store(u32::try_from(next).unwrap_or(u32::MAX), Relaxed);
    }

    /// The handshakes a second of workers with these rates together; no more of them at a time than there are
    /// cores.
    pub(crate) fn per_second<'p>(rates: impl Iterator<Item = &'p HandshakeRate>, cores: usize) -> u64 {
        let (mut sum, mut workers) = (0, 0);
        for handshake_rate in rates {
            sum += 1_000_000_000 / u64::from(handshake_rate.nanos.load(Relaxed)).max(1);
            workers += 1;
        }
        sum * (cores as u64).min(workers) / workers.max(1)
    }
}

impl Default for HandshakeRate {
    fn default() -> Self {
        HandshakeRate { nanos: AtomicU32::new(HandshakeRate::NANOS_DEFAULT) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pace_follows_what_turns_cost() {
        let handshake_rate = HandshakeRate::default();
        let rate = || HandshakeRate::per_second(std::iter::once(&handshake_rate), 2);
        assert_eq!(rate(), 5_000, "as long as nothing is known");
        handshake_rate.turn(50_000, 7);
        assert_eq!(rate(), 5_000, "too few to tell");
        for _ in 0..100 {
            handshake_rate.turn(2_000, 100);
        }
        assert!((49_000..51_000).contains(&rate()), "{}", rate());
        handshake_rate.turn(u64::MAX / 10_000, 8);
        assert!(rate() > 1_500, "one bad turn is not the end: {}", rate());
        for _ in 0..100 {
            handshake_rate.turn(0, 1_000);
        }
        assert!(rate() <= 200_000, "{}", rate());
        let four: [HandshakeRate; 4] = Default::default();
        assert_eq!(HandshakeRate::per_second(four.iter(), 2), 10_000, "two cores do no more");
    }
}
