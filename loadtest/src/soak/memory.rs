//! Whether a server's memory is flat: the last two thirds of a run, after whatever a warm-up takes.

/// How far a look may be from the mean, in per cent of it.
pub const FLAT_PERCENT: f64 = 5.0;
/// Looks that say something.
const LOOKS_MIN: usize = 9;

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
    /// Over the last two thirds.
    pub mean: f64,
    /// The look that is furthest from the mean, in per cent of it.
    pub spread_percent: f64,
}

impl Memory {
    /// Adds a look.
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
        let mean = looks.iter().sum::<f64>() / looks.len() as f64;
        let furthest = looks.iter().map(|look| (look - mean).abs()).fold(0.0, f64::max);
        Some(Verdict { mean, spread_percent: 100.0 * furthest / mean.max(1.0) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(look: impl Fn(usize) -> f64) -> Option<Verdict> {
        let mut memory = Memory::default();
        (0..90).for_each(|second| memory.add(second as f64, look(second)));
        memory.verdict()
    }

    #[test]
    fn a_warm_up_counts_for_nothing() {
        let flat = verdict(|second| if second < 30 { second as f64 } else { 100.0 }).unwrap();
        assert_eq!(flat, Verdict { mean: 100.0, spread_percent: 0.0 });
    }

    #[test]
    fn what_grows_is_not_flat() {
        assert!(verdict(|second| 100.0 + second as f64).unwrap().spread_percent > FLAT_PERCENT);
        let one = |second| if second == 60 { 120.0 } else { 100.0 };
        assert!(verdict(one).unwrap().spread_percent > FLAT_PERCENT, "a single peak");
        assert_eq!(Memory::default().verdict(), None);
    }
}
