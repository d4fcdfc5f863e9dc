//! Whether a server's memory is flat: the last two thirds of a run, after whatever a warm-up takes.
//!
//! Memory is a saw: it fills with what was in use for a moment, and every few seconds what is free goes back. What leaks shows
//! in how far it goes back; a single look also has what is in use at that moment, and buffers that are kept for the next time.
//! So both are judged: the floor of each part strictly, in per cent, and a look with an allowance of bytes, which is what
//! counts where the whole server is a few MiB.

/// How far the floor of a part may be from the mean of the floors, and a look from the mean of all, in per cent of it.
pub const FLAT_PERCENT: f64 = 5.0;
/// How far a look may be from it in any case: what two workers keep of buffers, and what hostile peers make them queue.
pub const FLAT_BYTES: f64 = (2 << 20) as f64;
/// Parts whose floors are compared: each of the shortest run's goes back at least once.
const PARTS: usize = 5;
/// Looks that say something.
const LOOKS_MIN: usize = 10;

/// Looks at resident memory.
#[derive(Debug, Default)]
pub struct Memory {
    /// From the start of the run.
    pub seconds: Vec<f64>,
    /// As many values.
    pub bytes: Vec<f64>,
}

/// What they come to.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Verdict {
    pub mean: f64,
    /// The look that is furthest from the mean, in per cent of it.
    pub spread_percent: f64,
    /// The part whose floor, its least look, is furthest from the mean of the floors, in per cent of that.
    pub drift_percent: f64,
}

impl Verdict {
    pub fn is_flat(&self) -> bool {
        let spread = self.spread_percent / 100.0 * self.mean;
        self.drift_percent <= FLAT_PERCENT && (self.spread_percent <= FLAT_PERCENT || spread <= FLAT_BYTES)
    }
}

impl Memory {
    pub fn add(&mut self, seconds: f64, bytes: f64) {
        self.seconds.push(seconds);
        self.bytes.push(bytes);
    }

    /// The latest; zero before the first.
    pub fn last(&self) -> f64 {
        self.bytes.last().copied().unwrap_or(0.0)
    }

    /// `None` where there were too few looks.
    pub fn verdict(&self) -> Option<Verdict> {
        let looks = &self.bytes[self.bytes.len() / 3..];
        if looks.len() < LOOKS_MIN {
            return None;
        }
        let part = |n: usize| &looks[n * looks.len() / PARTS..(n + 1) * looks.len() / PARTS];
        let floors: [f64; PARTS] =
            std::array::from_fn(|n| part(n).iter().copied().fold(f64::INFINITY, f64::min));
        Some(Verdict {
            mean: mean(looks),
            spread_percent: furthest_percent(looks),
            drift_percent: furthest_percent(&floors),
        })
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// How far from the mean the value is that is furthest from it, in per cent of it.
fn furthest_percent(values: &[f64]) -> f64 {
    let mean = mean(values);
    let away = values.iter().map(|value| (value - mean).abs()).fold(0.0, f64::max);
    100.0 * away / mean.max(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: f64 = (1 << 20) as f64;

    fn verdict(look: impl Fn(usize) -> f64) -> Option<Verdict> {
        let mut memory = Memory::default();
        (0..90).for_each(|second| memory.add(second as f64, look(second) * MIB));
        memory.verdict()
    }

    #[test]
    fn a_warm_up_counts_for_nothing() {
        let flat = verdict(|second| if second < 30 { second as f64 } else { 100.0 }).unwrap();
        assert_eq!(flat, Verdict { mean: 100.0 * MIB, spread_percent: 0.0, drift_percent: 0.0 });
        assert!(flat.is_flat());
        assert_eq!(Memory::default().verdict(), None);
    }

    #[test]
    fn what_grows_is_not_flat_however_small_it_is() {
        for start in [10.0, 100.0] {
            let grown =
                |percent: f64| verdict(|second| start * (1.0 + second as f64 / 90.0 * percent / 100.0));
            assert!(!grown(25.0).unwrap().is_flat());
            assert!(grown(5.0).unwrap().is_flat());
        }
    }

    #[test]
    fn a_saw_is_flat_and_one_whose_floor_rises_is_not() {
        let saw = |rise: f64| {
            verdict(|second| 19.0 + (second % 10) as f64 / 10.0 * 1.9 + rise * second as f64 / 90.0)
        };
        let flat = saw(0.0).unwrap();
        assert_eq!(flat.drift_percent, 0.0);
        assert!(flat.spread_percent > 4.0 && flat.is_flat());
        let rising = saw(3.45).unwrap();
        assert!(rising.spread_percent / 100.0 * rising.mean <= FLAT_BYTES && !rising.is_flat(), "{rising:?}");
    }

    #[test]
    fn a_single_peak_is_flat_where_it_is_small_in_bytes_or_in_proportion() {
        let peak = |start: f64, mib: f64| verdict(|second| start + if second == 60 { mib } else { 0.0 });
        for (start, mib, flat) in
            [(13.0, 1.5, true), (13.0, 2.5, false), (100.0, 4.0, true), (100.0, 8.0, false)]
        {
            assert_eq!(peak(start, mib).unwrap().is_flat(), flat, "{mib} on {start} MiB");
        }
    }
}
