//! JSON that others will have to read: what a client or a backend sends travels byte for byte to readers of every language, and
//! what one of them can't read must not make an answer unreadable that holds it beside others.
//!
//! It also writes text as a JSON string, for whatever holds names or sentences.
//!
//! Pure. One pass over text that is JSON already: how deep it is, whether each half of a surrogate pair has the other, and
//! whether each number is one that readers hold. Strings cost about a nanosecond for eight bytes, the rest one a byte.

use std::fmt::{self, Write as _};

use crate::limits::{JSON_DEPTH_MAX, JSON_NUMBER_DIGITS_MAX};

/// Why JSON is not passed on. Its text is the rest of a sentence that begins with what it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// Lists and objects in one another, more than [`JSON_DEPTH_MAX`]: PHP stops at 512, .NET at 64.
    Deep,
    /// `\uD800` to `\uDFFF` without the other half (RFC 8259 §8.2): it is no character, and many readers refuse it.
    Surrogate,
    /// More than [`JSON_NUMBER_DIGITS_MAX`] digits, or too great for a double (RFC 8259 §6): readers refuse it.
    Number,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Fault::Deep => "is more than 32 deep",
            Fault::Surrogate => "has half a surrogate pair, which is no character",
            Fault::Number => "has a number of more than 64 digits, or too great for a double",
        })
    }
}

const _: () = assert!(JSON_DEPTH_MAX == 32 && JSON_NUMBER_DIGITS_MAX == 64, "as the sentences say");

/// Text as a JSON string (RFC 8259 §7), quotes included: of a name or a sentence. Most have nothing to escape, and are copied in
/// one piece.
#[derive(Clone, Copy, Debug)]
pub struct Quoted<'a>(pub &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        f.write_char('"')?;
        while let Some(at) = rest.bytes().position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f)) {
            f.write_str(&rest[..at])?;
            match rest.as_bytes()[at] {
                b'\n' => f.write_str("\\n")?,
                byte @ 0..=0x1f => write!(f, "\\u{byte:04x}")?,
                byte => write!(f, "\\{}", char::from(byte))?,
            }
            rest = &rest[at + 1..];
        }
        f.write_str(rest)?;
        f.write_char('"')
    }
}

/// The same of text that there may be none of: then it is `null`.
#[derive(Clone, Copy, Debug)]
pub struct QuotedOrNull<'a>(pub Option<&'a str>);

impl fmt::Display for QuotedOrNull<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(text) => Quoted(text).fmt(f),
            None => f.write_str("null"),
        }
    }
}

/// Judges text that is JSON. A text that is no JSON gets some verdict, and is never read beyond its end.
///
/// # Errors
/// The first fault.
pub fn judge(text: &str) -> Result<(), Fault> {
    let bytes = text.as_bytes();
    let (mut at, mut depth) = (0, 0_usize);
    while let Some(byte) = bytes.get(at) {
        at += 1;
        match byte {
            b'"' => at = string(bytes, at)?,
            b'[' | b'{' => {
                depth += 1;
                if depth > JSON_DEPTH_MAX {
                    return Err(Fault::Deep);
                }
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            b'0'..=b'9' => at = number(text, at - 1)?,
            _ => {}
        }
    }
    Ok(())
}

/// The end of a string that began before `at`.
fn string(bytes: &[u8], mut at: usize) -> Result<usize, Fault> {
    loop {
        at += plain(&bytes[at.min(bytes.len())..]);
        match bytes.get(at) {
            Some(b'\\') => at = escape(bytes, at)?,
            _ => return Ok(at + 1),
        }
    }
}

/// Bytes before the first quote or backslash. Eight at once: byte by byte takes five times as long.
fn plain(bytes: &[u8]) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = 0x8080_8080_8080_8080;
    // A byte that is zero has its high bit set here; one above it may too, which makes the lowest one exact.
    let zero = |word: u64| word.wrapping_sub(ONES) & !word & HIGHS;
    let (eights, rest) = bytes.as_chunks::<8>();
    for (i, eight) in eights.iter().enumerate() {
        let word = u64::from_le_bytes(*eight);
        let found = zero(word ^ (ONES * u64::from(b'"'))) | zero(word ^ (ONES * u64::from(b'\\')));
        if found != 0 {
            return 8 * i + found.trailing_zeros() as usize / 8;
        }
    }
    let end = rest.iter().position(|byte| matches!(byte, b'"' | b'\\'));
    8 * eights.len() + end.unwrap_or(rest.len())
}

/// The end of an escape that begins at `at`: a pair of surrogates is one.
fn escape(bytes: &[u8], at: usize) -> Result<usize, Fault> {
    match unit(bytes, at) {
        None => Ok(at + 2),
        Some(0xD800..=0xDBFF) if matches!(unit(bytes, at + 6), Some(0xDC00..=0xDFFF)) => Ok(at + 12),
        Some(0xD800..=0xDFFF) => Err(Fault::Surrogate),
        Some(_) => Ok(at + 6),
    }
}

/// The code unit of `\uXXXX` at `at`; `None` where no such escape stands there.
fn unit(bytes: &[u8], at: usize) -> Option<u32> {
    let digits = bytes.get(at..at + 6)?.strip_prefix(b"\\u")?;
    digits.iter().try_fold(0, |unit, digit| Some(unit << 4 | char::from(*digit).to_digit(16)?))
}

/// The end of a number that begins at `at`, its sign apart.
fn number(text: &str, at: usize) -> Result<usize, Fault> {
    let rest = &text.as_bytes()[at..];
    let is_of_number = |byte: &u8| matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-');
    let len = rest.iter().position(|byte| !is_of_number(byte)).unwrap_or(rest.len());
    let number = &text[at..at + len];
    if len > JSON_NUMBER_DIGITS_MAX
        && number.bytes().filter(u8::is_ascii_digit).count() > JSON_NUMBER_DIGITS_MAX
    {
        return Err(Fault::Number);
    }
    // Without an exponent so few digits are no number that is too great.
    let has_exponent = number.bytes().any(|byte| matches!(byte, b'e' | b'E'));
    if has_exponent && number.parse().is_ok_and(f64::is_infinite) {
        return Err(Fault::Number);
    }
    Ok(at + len)
}

/// Whether a text may be a JSON object. A list or a string is not read to find out that it is none.
#[must_use]
pub fn is_object(text: &str) -> bool {
    // RFC 8259 §2: these four are white space.
    text.trim_start_matches([' ', '\t', '\n', '\r']).starts_with('{')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_not_every_reader_can_read_is_named() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        let digits = |count: usize| "1".repeat(count);
        for (text, fault) in [
            (nested(32), None),
            (nested(33), Some(Fault::Deep)),
            ("{\"a\":".repeat(33) + "1" + &"}".repeat(33), Some(Fault::Deep)),
            (format!("[{}]", vec!["[]"; 100].join(",")), None),
            (format!("{:?}", nested(100)), None),
            (format!(r#"["\\","[[\"[[",{}]"#, nested(31)), None),
            (r#""\ud83d\ude00 \u00e4 ä 😀""#.to_owned(), None),
            (r#""\\ud800""#.to_owned(), None),
            (r#""\ud800""#.to_owned(), Some(Fault::Surrogate)),
            (r#""\uDFFF""#.to_owned(), Some(Fault::Surrogate)),
            (r#"{"a long key \ud83d\u0041":1}"#.to_owned(), Some(Fault::Surrogate)),
            (r#""\ud83d\ud83d\ude00""#.to_owned(), Some(Fault::Surrogate)),
            (digits(64), None),
            (format!("-{}.{}", digits(32), digits(32)), None),
            (digits(65), Some(Fault::Number)),
            (format!("[0,-{}.{}e1]", digits(32), digits(32)), Some(Fault::Number)),
            (format!("{:?}", digits(1_000)), None),
            ("[1e308,-1E-400,0.5e+1]".to_owned(), None),
            ("1e309".to_owned(), Some(Fault::Number)),
            ("{\"a\":-12.5E+999}".to_owned(), Some(Fault::Number)),
        ] {
            assert_eq!(judge(&text).err(), fault, "{text:.60}");
        }
    }

    #[test]
    fn text_is_quoted_as_every_reader_reads_it() {
        for text in [
            "",
            "anna",
            "\"",
            "\\",
            "a\"b\\\\c\"",
            "J\u{f6}rg",
            "\u{674e}\u{96f7}",
            "\u{2028}\u{7f}\u{9f}",
            "\n\t\0\u{1f}",
        ] {
            let quoted = Quoted(text).to_string();
            assert_eq!(serde_json::from_str::<String>(&quoted).unwrap(), text, "{quoted}");
        }
        let all: String = (0..0x250).filter_map(char::from_u32).collect();
        assert_eq!(serde_json::from_str::<String>(&Quoted(&all).to_string()).unwrap(), all);
        assert_eq!(QuotedOrNull(None).to_string() + &QuotedOrNull(Some("null")).to_string(), r#"null"null""#);
    }

    #[test]
    fn the_end_of_a_string_is_found_at_every_length() {
        for len in 0..40 {
            for end in ['"', '\\'] {
                let text = format!("{}{end}{}", "é".repeat(len), "\"".repeat(9));
                assert_eq!(plain(text.as_bytes()), 2 * len, "{text}");
            }
            assert_eq!(plain("x".repeat(len).as_bytes()), len);
        }
    }

    #[test]
    fn what_is_no_json_is_never_read_beyond_its_end() {
        for text in
            ["", "\"", "\"\\", "\"\\u", "\"\\ud83d\\", "\"\\ud83d\\u12", "1", "-", "]]]", "\"ä", "[\"\\ä"]
        {
            let _ = judge(text);
        }
    }
}
