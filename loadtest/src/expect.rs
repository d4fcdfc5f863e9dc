//! Conditions on a run's figures, for scripts: `--expect 'p99<2ms'`. A figure that does not hold ends the program with 1.

use std::fmt;
use std::str::FromStr;

use crate::numbers;
use crate::result::Run;
use crate::units;

/// Short names, and the figures that they stand for: the first of them that a run has.
const SHORT: [(&str, &[&str]); 5] = [
    ("rate", &["messages_per_second", "deliveries_per_second", "connections_per_second"]),
    ("max", &["max_us"]),
    ("cpu_us_per_message", &["server_cpu_us_per_message", "server_cpu_us_per_delivery"]),
    ("bytes_per_connection", &["anonymous_bytes_per_connection"]),
    ("cpu", &["server_cpu_us_per_message"]),
];

/// A condition: `NAME OP VALUE[UNIT]`.
#[derive(Clone, Debug)]
pub struct Expectation {
    text: String,
    name: String,
    /// Whether a figure stands to a value as it must.
    holds: fn(f64, f64) -> bool,
    value: f64,
    unit: Unit,
}

#[derive(Clone, Copy, Debug)]
enum Unit {
    /// As the figure has it.
    Own,
    /// So many microseconds.
    Time(f64),
    /// So many bytes.
    Size(f64),
}

impl FromStr for Expectation {
    type Err = String;

    fn from_str(text: &str) -> Result<Expectation, String> {
        let at = text.find(['<', '>', '=']).ok_or("write it as NAME<VALUE, with one of < <= > >= =")?;
        let name = text[..at].trim();
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '.') {
            return Err(format!("{name:?} is no name of a figure"));
        }
        let equal = |figure: f64, value: f64| (figure - value).abs() <= f64::EPSILON * value.abs();
        let (holds, len): (fn(f64, f64) -> bool, usize) = match &text.as_bytes()[at..] {
            [b'<', b'=', ..] => (|figure, value| figure <= value, 2),
            [b'>', b'=', ..] => (|figure, value| figure >= value, 2),
            [b'=', b'=', ..] => (equal, 2),
            [b'<', ..] => (|figure, value| figure < value, 1),
            [b'>', ..] => (|figure, value| figure > value, 1),
            _ => (equal, 1),
        };
        let (value, unit) = units::split(&text[at + len..])?;
        let unit = match unit {
            "" => Unit::Own,
            "ns" => Unit::Time(1e-3),
            "us" | "µs" => Unit::Time(1.0),
            "ms" => Unit::Time(1e3),
            "s" => Unit::Time(1e6),
            other => Unit::Size(units::size_factor(other).ok_or_else(|| format!("{other} is no unit"))?),
        };
        Ok(Expectation { text: text.trim().to_owned(), name: name.to_owned(), holds, value, unit })
    }
}

impl fmt::Display for Expectation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Expectation {
    /// Whether it says how many errors there may be.
    pub fn is_about_errors(&self) -> bool {
        self.name == "errors"
    }

    /// Whether `run` holds to it; else one line that says by how much it does not.
    pub fn check(&self, run: &Run) -> Result<(), String> {
        let (figure, actual) = self.figure(run)?;
        let expected = self.value * self.factor(&figure)?;
        if (self.holds)(actual, expected) {
            return Ok(());
        }
        Err(format!("expected {}, but {figure} is {}", self.text, numbers::figure(&figure, actual)))
    }

    /// The figure meant, by its full name, and its value.
    fn figure(&self, run: &Run) -> Result<(String, f64), String> {
        if self.name == "errors" {
            return Ok(("errors".to_owned(), run.errors.values().sum::<u64>() as f64));
        }
        let short = SHORT.iter().find(|(name, _)| *name == self.name).map_or(&[][..], |(_, names)| *names);
        // `p99.9` is the figure `p99_9_us`.
        let plain = self.name.replace('.', "_");
        let timed = format!("{plain}_us");
        let names = short.iter().copied().chain([plain.as_str(), timed.as_str()]);
        let found = names.filter_map(|name| Some((name.to_owned(), *run.figures.get(name)?))).next();
        found.ok_or_else(|| {
            let known: Vec<&str> = run.figures.keys().map(String::as_str).collect();
            format!(
                "expected {}, but this run has no {}; it has errors, {}",
                self.text,
                self.name,
                known.join(", ")
            )
        })
    }

    /// What turns the condition's unit into the figure's own.
    fn factor(&self, figure: &str) -> Result<f64, String> {
        let time = figure.ends_with("_us") || figure.contains("_us_per_");
        match self.unit {
            Unit::Own => Ok(1.0),
            Unit::Time(factor) if time => Ok(factor),
            Unit::Size(factor) if figure.contains("bytes") => Ok(factor),
            _ => Err(format!("expected {}, but {figure} has another unit", self.text)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run() -> Run {
        let figures = [
            ("p99_us", 1_500.0),
            ("p99_9_us", 3_000.0),
            ("messages_per_second", 90_000.0),
            ("anonymous_bytes_per_connection", 200.0),
        ];
        Run::example("echo", "rollcall", &figures)
    }

    fn check(text: &str) -> Result<(), String> {
        text.parse::<Expectation>().unwrap().check(&run())
    }

    #[test]
    fn conditions_hold_in_any_unit() {
        for text in [
            "p99<2ms",
            "p99 <= 1500us",
            "p99.9=3ms",
            "rate>1000",
            "errors=0",
            "bytes_per_connection<1KiB",
            "p99>0.001s",
        ] {
            assert_eq!(check(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn a_failure_says_in_one_line_what_the_figure_is() {
        assert_eq!(check("p99<1ms").unwrap_err(), "expected p99<1ms, but p99_us is 1.50 ms");
        assert_eq!(
            check("rate >= 100000").unwrap_err(),
            "expected rate >= 100000, but messages_per_second is 90,000"
        );
        assert!(check("p50<1ms").unwrap_err().contains("this run has no p50"));
        assert!(check("rate>1ms").unwrap_err().contains("another unit"));
    }

    #[test]
    fn what_is_no_condition_is_refused() {
        for text in ["p99", "<2ms", "p99<", "p99<fast", "p99<2parsecs", "p 99<1"] {
            assert!(text.parse::<Expectation>().is_err(), "{text}");
        }
    }
}
