//! Axes: where a value stands between 0 and 1, and which values get a tick. Pure arithmetic.

/// How values spread over an axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scale {
    /// Evenly from the first to the second.
    Linear(f64, f64),
    /// Evenly from zero to a multiple of the step, which is its end.
    Steps { end: f64, step: f64 },
    /// By logarithm; both ends above zero.
    Log(f64, f64),
    /// Quantiles in `0..1` by the logarithm of `1 / (1 - q)`, up to the given quantile: each further nine takes
    /// the same room, which is how HDR histograms are read.
    Nines(f64),
}

impl Scale {
    /// A linear axis from 0 that ends at a tick at or above `highest`.
    pub fn from_zero(highest: f64) -> Scale {
        let highest = if highest > 0.0 { highest } else { 1.0 };
        let step = nice_step(highest);
        Scale::Steps { end: (highest / step - 1e-9).ceil() * step, step }
    }

    /// The same for bytes: its ticks are even in the binary unit that they are shown in.
    pub fn from_zero_binary(highest: f64) -> Scale {
        let unit = 1024f64.powf((highest.max(1.0).log2() / 10.0).floor());
        match Scale::from_zero(highest / unit) {
            Scale::Steps { end, step } => Scale::Steps { end: end * unit, step: step * unit },
            other => other,
        }
    }

    /// A logarithmic axis around positive values, widened to 1, 2 or 5 times a power of ten.
    pub fn around(lowest: f64, highest: f64) -> Scale {
        let lowest = if lowest > 0.0 { lowest } else { 1e-3 };
        let steps = one_two_five(lowest / 10.0, highest.max(lowest) * 10.0);
        let low = steps.iter().rev().find(|step| **step <= lowest * 1.000_001).copied().unwrap_or(lowest);
        let high = steps.iter().find(|step| **step >= highest * 0.999_999).copied().unwrap_or(highest);
        Scale::Log(low, if high > low { high } else { low * 10.0 })
    }

    /// Where a value stands: 0 at the start, 1 at the end, clamped to a little beyond.
    pub fn place(&self, value: f64) -> f64 {
        let place = match *self {
            Scale::Linear(low, high) => (value - low) / (high - low),
            Scale::Steps { end, .. } => value / end,
            Scale::Log(low, high) => (value / low).ln() / (high / low).ln(),
            Scale::Nines(last) => nines(value) / nines(last),
        };
        place.clamp(-0.01, 1.01)
    }

    /// The values that get a tick, from the start on.
    pub fn ticks(&self) -> Vec<f64> {
        match *self {
            Scale::Linear(low, high) => {
                let step = nice_step(high - low);
                let count = ((high - low) / step + 1e-9).floor() as usize;
                (0..=count).map(|index| low + step * index as f64).collect()
            }
            Scale::Steps { end, step } => {
                (0..=(end / step).round() as usize).map(|index| step * index as f64).collect()
            }
            Scale::Log(low, high) => {
                let all = one_two_five(low, high);
                if all.len() <= 8 {
                    all
                } else {
                    all.into_iter().filter(|value| is_power_of_ten(*value)).collect()
                }
            }
            Scale::Nines(last) => {
                let ticks = [0.0, 0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999, 0.999_999];
                ticks.into_iter().filter(|tick| *tick <= last + 1e-12).collect()
            }
        }
    }
}

/// `count` + 1 quantiles at even distances on an axis of nines, both ends included.
pub fn quantiles(last: f64, count: usize) -> impl Iterator<Item = f64> {
    (0..=count).map(move |index| 1.0 - 10f64.powf(-nines(last) * (index as f64 / count as f64)))
}

/// How many nines a quantile has, with fractions: `log10(1 / (1 - q))`.
fn nines(quantile: f64) -> f64 {
    -(1.0 - quantile.min(1.0 - 1e-12)).log10()
}

/// The last quantile that a number of samples can tell: one in `count` lies beyond it, and never above six nines.
pub fn last_quantile(count: u64) -> f64 {
    (1.0 - 1.0 / count.max(2) as f64).min(0.999_999)
}

/// A quantile as a percentile's name: `50`, `99`, `99.9`.
pub fn percentile_name(quantile: f64) -> String {
    let text = format!("{:.4}", quantile * 100.0);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A step of 1, 2, 2.5 or 5 times a power of ten that parts a span into four to eight.
fn nice_step(span: f64) -> f64 {
    let rough = span / 5.0;
    let power = 10f64.powf(rough.log10().floor());
    let step =
        [1.0, 2.0, 2.5, 5.0, 10.0].into_iter().find(|step| step * power >= rough * 0.999).unwrap_or(10.0);
    step * power
}

fn one_two_five(low: f64, high: f64) -> Vec<f64> {
    let exponents = low.log10().floor() as i32..=high.log10().ceil() as i32;
    exponents
        .flat_map(|exponent| [1.0, 2.0, 5.0].map(|digit| digit * 10f64.powi(exponent)))
        .filter(|value| *value >= low * 0.999_999 && *value <= high * 1.000_001)
        .collect()
}

fn is_power_of_ten(value: f64) -> bool {
    (value.log10() - value.log10().round()).abs() < 1e-9
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-9
    }

    #[test]
    fn every_nine_takes_the_same_room() {
        let scale = Scale::Nines(0.9999);
        let places: Vec<f64> = [0.0, 0.9, 0.99, 0.999, 0.9999].map(|q| scale.place(q)).into();
        for (place, wanted) in places.iter().zip([0.0, 0.25, 0.5, 0.75, 1.0]) {
            assert!(close(*place, wanted), "{place} should be {wanted}");
        }
        assert!(close(scale.place(0.5), 2f64.log10() / 4.0));
        assert_eq!(scale.ticks(), [0.0, 0.5, 0.9, 0.99, 0.999, 0.9999]);
    }

    #[test]
    fn samples_come_back_to_where_they_were_taken() {
        for (index, quantile) in quantiles(0.999, 10).enumerate() {
            assert!(close(Scale::Nines(0.999).place(quantile), index as f64 / 10.0), "{index}");
        }
    }

    #[test]
    fn few_samples_do_not_tell_many_nines() {
        assert!(close(last_quantile(1_000), 0.999));
        assert!(close(last_quantile(10_000_000), 0.999_999));
        assert!(last_quantile(0) < 1.0);
        assert_eq!([0.5, 0.99, 0.999, 0.99999].map(percentile_name), ["50", "99", "99.9", "99.999"]);
    }

    #[test]
    fn an_axis_from_zero_ends_at_a_tick() {
        for highest in [1.0, 9.9, 10.0, 10.1, 285_714.0, 0.37] {
            let scale = Scale::from_zero(highest);
            let Scale::Steps { end, .. } = scale else { unreachable!("it has steps") };
            let ticks = scale.ticks();
            assert!(end >= highest && close(*ticks.last().expect("two ends") / end, 1.0), "{highest}");
            assert!((4..=9).contains(&ticks.len()), "{highest}: {ticks:?}");
        }
    }

    #[test]
    fn an_axis_of_bytes_has_round_ticks_in_its_unit() {
        let scale = Scale::from_zero_binary(350.0 * 1_048_576.0);
        assert_eq!(scale.ticks()[1], 100.0 * 1_048_576.0);
        assert_eq!(Scale::from_zero_binary(0.0).ticks()[0], 0.0);
    }

    #[test]
    fn a_logarithmic_axis_holds_its_values() {
        assert_eq!(Scale::around(30.0, 900.0), Scale::Log(20.0, 1_000.0));
        assert_eq!(Scale::around(20.0, 20.0).ticks().first().copied(), Some(20.0));
        assert!(Scale::around(0.001, 1e6).ticks().len() <= 10);
    }
}
