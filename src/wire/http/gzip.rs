//! Bodies that are compressed as a whole (RFC 9110 §8.4.1.3).

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;

/// The level: a text of 64 KiB takes a millisecond or less.
const LEVEL: u32 = 2;

/// Whether a client takes gzip by the elements of its `Accept-Encoding` (RFC 9110 §12.5.3): it names it, and not with a weight of 0.
pub(super) fn is_accepted<'a>(mut elements: impl Iterator<Item = &'a str>) -> bool {
    elements.any(|element| {
        let (coding, weight) = element.split_once(';').unwrap_or((element, ""));
        let weight = weight.trim().strip_prefix("q=").unwrap_or("1");
        coding.trim().eq_ignore_ascii_case("gzip") && weight.parse::<f32>().is_ok_and(|weight| weight > 0.0)
    })
}

/// The bytes compressed; `None` where that makes them no shorter.
#[must_use]
pub fn gzip(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(bytes.len() / 2), Compression::new(LEVEL));
    encoder.write_all(bytes).ok()?;
    encoder.finish().ok().filter(|compressed| compressed.len() < bytes.len())
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn what_is_compressed_is_what_it_was() {
        let text = "a line of a chat\n".repeat(100);
        let compressed = gzip(text.as_bytes()).unwrap();
        let mut read = String::new();
        flate2::read::GzDecoder::new(&compressed[..]).read_to_string(&mut read).unwrap();
        assert!(read == text && compressed.len() < text.len() / 4);
        assert_eq!(gzip(b"x"), None);
    }

    #[test]
    fn a_client_says_whether_it_takes_gzip() {
        for (value, accepts) in [
            ("gzip", true),
            ("br, GZip;q=0.5", true),
            ("gzip;q=0", false),
            ("gzip; q=0.000", false),
            ("br", false),
            ("", false),
            ("gzip;q=x", false),
        ] {
            assert_eq!(is_accepted(value.split(',').map(str::trim)), accepts, "{value}");
        }
    }
}
