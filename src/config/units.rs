//! Durations and sizes as people write them: `500ms`, `25s`, `2m`, `64KiB`. Whole numbers, and always a unit for a
//! duration, since a bare `25` has been read as seconds by some and as milliseconds by others.

use std::fmt::{Display, Formatter};
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

const DURATION_UNITS: [(&str, u64); 4] = [("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];
const SIZE_UNITS: [(&str, u64); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

/// A duration in whole milliseconds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(into = "String", try_from = "WrittenValue")]
pub(crate) struct Span(pub(crate) Duration);

/// A number of bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(into = "String", try_from = "WrittenValue")]
pub(crate) struct Size(pub(crate) usize);

/// Permissions of a file, in octal.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub(crate) struct FileMode(pub(crate) u32);

impl FromStr for FileMode {
    type Err = String;

    fn from_str(text: &str) -> Result<FileMode, String> {
        let mode = u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o777);
        mode.map(FileMode).ok_or_else(|| format!("`{text}` is no mode: three octal digits, like 0660"))
    }
}

impl Display for FileMode {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:04o}", self.0)
    }
}

impl TryFrom<String> for FileMode {
    type Error = String;

    fn try_from(text: String) -> Result<FileMode, String> {
        text.parse()
    }
}

impl From<FileMode> for String {
    fn from(mode: FileMode) -> String {
        mode.to_string()
    }
}

/// A value in a file, where a number needs no quotes.
#[derive(Deserialize)]
#[serde(untagged, expecting = "a value like \"25s\" or \"64KiB\"")]
enum WrittenValue {
    Text(String),
    Number(u64),
}

impl WrittenValue {
    fn into_text(self) -> String {
        match self {
            WrittenValue::Text(text) => text,
            WrittenValue::Number(number) => number.to_string(),
        }
    }
}

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Span, String> {
        let (number, unit) = split(text)?;
        if unit.is_empty() {
            return Err(format!("`{text}` has no unit: {text}ms, {text}s, {text}m or {text}h"));
        }
        scale(text, number, unit, &DURATION_UNITS).map(|millis| Span(Duration::from_millis(millis)))
    }
}

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Size, String> {
        let (number, unit) = split(text)?;
        let bytes = scale(text, number, if unit.is_empty() { "B" } else { unit }, &SIZE_UNITS)?;
        usize::try_from(bytes).map(Size).map_err(|_| format!("`{text}` is too large"))
    }
}

/// The digits and what follows them.
fn split(text: &str) -> Result<(u64, &str), String> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    if digits.is_empty() || unit.starts_with(['.', ',']) {
        return Err(format!("`{text}` is not a whole number and a unit, like 25s or 64KiB"));
    }
    let number = digits.parse().map_err(|_| format!("`{text}` is too large"))?;
    Ok((number, unit.trim_start()))
}

fn scale(text: &str, number: u64, unit: &str, units: &[(&str, u64)]) -> Result<u64, String> {
    let Some((_, factor)) = units.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit)) else {
        let names: Vec<&str> = units.iter().rev().map(|(name, _)| *name).collect();
        return Err(format!("`{text}` has an unknown unit: it is one of {}", names.join(", ")));
    };
    number.checked_mul(*factor).ok_or_else(|| format!("`{text}` is too large"))
}

/// Writes the number in the largest unit that leaves it whole.
fn write(f: &mut Formatter<'_>, number: u64, units: &[(&str, u64)]) -> std::fmt::Result {
    let whole = |(_, factor): &&(&str, u64)| number != 0 && number.is_multiple_of(*factor);
    let (name, factor) = units.iter().find(whole).unwrap_or(&units[units.len() - 1]);
    write!(f, "{}{name}", number / factor)
}

impl Display for Span {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        write(f, u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX), &DURATION_UNITS)
    }
}

impl Display for Size {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        write(f, self.0 as u64, &SIZE_UNITS)
    }
}

impl TryFrom<WrittenValue> for Span {
    type Error = String;

    fn try_from(written: WrittenValue) -> Result<Span, String> {
        written.into_text().parse()
    }
}

impl TryFrom<WrittenValue> for Size {
    type Error = String;

    fn try_from(written: WrittenValue) -> Result<Size, String> {
        written.into_text().parse()
    }
}

impl From<Span> for String {
    fn from(span: Span) -> String {
        span.to_string()
    }
}

impl From<Size> for String {
    fn from(size: Size) -> String {
        size.to_string()
    }
}

/// A number with its thousands apart: `1,001,000`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes_are_read_and_written_alike() {
        for text in ["0ms", "500ms", "25s", "2m", "36h", "1001ms"] {
            assert_eq!(text.parse::<Span>().unwrap().to_string(), text);
        }
        for text in ["0B", "1B", "64KiB", "1MiB", "3GiB", "1025B"] {
            assert_eq!(text.parse::<Size>().unwrap().to_string(), text);
        }
        assert_eq!("90s".parse::<Span>().unwrap().0, Duration::from_secs(90));
        assert_eq!(" 64 kib ".parse::<Size>().unwrap(), Size(65_536));
        assert_eq!("65536".parse::<Size>().unwrap(), Size(65_536));
    }

    #[test]
    fn what_is_wrong_is_said() {
        let span = |text: &str| text.parse::<Span>().unwrap_err();
        assert_eq!(span("25"), "`25` has no unit: 25ms, 25s, 25m or 25h");
        assert_eq!(span("25sec"), "`25sec` has an unknown unit: it is one of ms, s, m, h");
        assert!(span("1.5s").contains("whole number"));
        assert!(span("").contains("whole number"));
        assert!(span("-1s").contains("whole number"));
        assert!(span("99999999999999999h").contains("too large"));
        assert!("64K".parse::<Size>().unwrap_err().contains("B, KiB, MiB, GiB"));
        assert!("99999999999999999999".parse::<Size>().unwrap_err().contains("too large"));
    }

    #[test]
    fn thousands_stand_apart() {
        assert_eq!([7, 999, 1_000, 1_001_000].map(grouped), ["7", "999", "1,000", "1,001,000"]);
    }
}
