//! The chunked transfer coding, read as it arrives.

use serde::{Deserialize, Serialize};

use crate::wire::http::refusal::Refusal;

/// Chunk extensions and trailer fields of one body, which are skipped, and line ends with them. Past it: 413.
const SKIPPED_BYTES_MAX: usize = 4 << 10;
/// Digits of a chunk's size, leading zeros too. Past it: 400.
const SIZE_DIGITS_MAX: u8 = 16;

/// A chunked body (RFC 9112 §7.1) as it arrives.
///
/// Each line must end in CR LF, within extensions and trailers too: a reader that also took a bare LF would find other
/// chunks in the same bytes.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Chunks {
    expect: Expect,
    /// Bytes of data so far.
    data: usize,
    /// Bytes of extensions and trailers so far, at most [`SKIPPED_BYTES_MAX`].
    skipped: usize,
}

/// The next step of the body.
///
/// ```text
///    Size ---> Blank ---> Extension ---> SizeEnd ---> Data ---> DataCr ---> DataLf ---> Size
///                                          |
///                                          | size 0
///                                          +---> Trailer ---> TrailerName ---> TrailerValue ---> TrailerEnd ---> Trailer
///                                                   | an empty line
///                                                   +---> Last ---> Done
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
enum Expect {
    /// Digits of a size, of which some were read.
    Size { size: u64, digits: u8 },
    /// Blanks behind a size, up to an extension or a carriage return.
    Blank { size: u64 },
    /// Something up to a carriage return.
    Extension { size: u64 },
    /// The line feed behind a size.
    SizeEnd { size: u64 },
    /// So many bytes of data.
    Data { left: usize },
    /// The carriage return behind the data.
    DataCr,
    /// The line feed behind the data.
    DataLf,
    /// A trailer line or the empty line that ends the body.
    Trailer,
    /// The rest of a trailer field's name, up to its colon.
    TrailerName,
    /// The value of a trailer field.
    TrailerValue,
    /// The line feed behind a trailer line.
    TrailerEnd,
    /// The line feed of the empty line.
    Last,
    /// Nothing.
    Done,
}

impl Default for Expect {
    fn default() -> Expect {
        Expect::Size { size: 0, digits: 0 }
    }
}

impl Chunks {
    /// Decodes from the front of `input` and appends the data to `body`. Returns how many bytes were taken and whether the
    /// body is complete (its trailer fields are skipped).
    ///
    /// # Errors
    /// 400 broken framing; 413 more than `limit` bytes of data, or over 4 KiB of chunk extensions and trailers.
    pub fn read(&mut self, input: &[u8], body: &mut Vec<u8>, limit: usize) -> Result<(usize, bool), Refusal> {
        let mut at = 0;
        while at < input.len() && self.expect != Expect::Done {
            if let Expect::Data { left } = self.expect {
                let part = left.min(input.len() - at);
                body.extend_from_slice(&input[at..at + part]);
                at += part;
                let left = left - part;
                self.expect = if left == 0 { Expect::DataCr } else { Expect::Data { left } };
            } else {
                self.expect = self.framing(input[at], limit)?;
                at += 1;
            }
        }
        Ok((at, self.expect == Expect::Done))
    }

    /// Whether it can have come so far: what was written down elsewhere may say anything.
    pub(crate) const fn is_sound(&self) -> bool {
        self.skipped <= SKIPPED_BYTES_MAX && self.data <= usize::MAX / 4
    }

    fn framing(&mut self, byte: u8, limit: usize) -> Result<Expect, Refusal> {
        Ok(match (self.expect, byte) {
            (Expect::Size { size, digits }, _) => return self.size(size, digits, byte),
            (Expect::Blank { size } | Expect::Extension { size }, b'\r') => Expect::SizeEnd { size },
            (Expect::Blank { size }, b';') => self.skip(Expect::Extension { size })?,
            (expect @ Expect::Blank { .. }, b' ' | b'\t') => self.skip(expect)?,
            (Expect::SizeEnd { size: 0 }, b'\n') => Expect::Trailer,
            (Expect::SizeEnd { size }, b'\n') => self.chunk(size, limit)?,
            (Expect::DataCr, b'\r') => Expect::DataLf,
            (Expect::DataLf, b'\n') => Expect::default(),
            (Expect::Trailer, b'\r') => Expect::Last,
            (Expect::TrailerValue, b'\r') => Expect::TrailerEnd,
            (Expect::TrailerEnd, b'\n') => Expect::Trailer,
            (Expect::Last, b'\n') => Expect::Done,
            (expect @ (Expect::Extension { .. } | Expect::TrailerValue), _) if is_text(byte) => {
                self.skip(expect)?
            }
            (Expect::Trailer | Expect::TrailerName, _) if is_name(byte) => self.skip(Expect::TrailerName)?,
            (Expect::TrailerName, b':') => self.skip(Expect::TrailerValue)?,
            _ => return Err(Refusal::new(400, "malformed chunk")),
        })
    }

    fn size(&mut self, size: u64, digits: u8, byte: u8) -> Result<Expect, Refusal> {
        match (char::from(byte).to_digit(16), byte) {
            (Some(digit), _) if digits < SIZE_DIGITS_MAX => {
                Ok(Expect::Size { size: size << 4 | u64::from(digit), digits: digits + 1 })
            }
            (None, b'\r') if digits > 0 => Ok(Expect::SizeEnd { size }),
            // RFC 9112 §7.1.1: an extension begins with a semicolon, and nothing but blanks stands before that.
            (None, b';') if digits > 0 => self.skip(Expect::Extension { size }),
            (None, b' ' | b'\t') if digits > 0 => self.skip(Expect::Blank { size }),
            _ => Err(Refusal::new(400, "malformed chunk size")),
        }
    }

    /// A chunk of `size` bytes, refused before any of them arrives where the body would pass the limit.
    fn chunk(&mut self, size: u64, limit: usize) -> Result<Expect, Refusal> {
        match usize::try_from(size) {
            Ok(left) if left <= limit.saturating_sub(self.data) => {
                self.data += left;
                Ok(Expect::Data { left })
            }
            _ => Err(Refusal::new(413, "body too large")),
        }
    }

    fn skip(&mut self, then: Expect) -> Result<Expect, Refusal> {
        self.skipped += 1;
        if self.skipped > SKIPPED_BYTES_MAX {
            return Err(Refusal::new(413, "chunk extensions or trailers too large"));
        }
        Ok(then)
    }
}

/// The bytes of a value (RFC 9110 §5.5): no control character but the tab.
const fn is_text(byte: u8) -> bool {
    byte == b'\t' || byte >= b' ' && byte != 0x7f
}

/// The bytes of a field's name (RFC 9110 §5.6.2).
const fn is_name(byte: u8) -> bool {
    byte.is_ascii_graphic()
        && !matches!(
            byte,
            b'"' | b'('
                | b')'
                | b','
                | b'/'
                | b':'
                | b';'
                | b'<'
                | b'='
                | b'>'
                | b'?'
                | b'@'
                | b'['
                | b'\\'
                | b']'
                | b'{'
                | b'}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(input: &[u8], limit: usize) -> Result<(usize, bool, Vec<u8>), u16> {
        let mut body = Vec::new();
        let whole = Chunks::default().read(input, &mut body, limit).map_err(|refusal| refusal.status);
        let whole = whole.map(|(taken, done)| (taken, done, body));

        let mut chunks = Chunks::default();
        let (mut at, mut done, mut body) = (0, false, Vec::new());
        for byte in input.chunks(1) {
            match chunks.read(byte, &mut body, limit) {
                Ok((taken, now)) => (at, done) = (at + taken, now),
                Err(refusal) => {
                    assert_eq!(whole, Err(refusal.status));
                    return whole;
                }
            }
        }
        assert_eq!(whole, Ok((at, done, body)));
        whole
    }

    #[test]
    fn chunks_are_joined_and_what_follows_is_left() {
        let input = b"4 ;name=\"v\"\r\nwiki\r\n0a \r\n0123456789\r\n0;\r\nTrailer: x\r\nMore:\xff\r\n\r\nGET";
        assert_eq!(decode(input, 14), Ok((input.len() - 3, true, b"wiki0123456789".to_vec())));
        assert_eq!(decode(b"0\r\n\r\n", 0), Ok((5, true, vec![])));
    }

    #[test]
    fn broken_framing_is_refused() {
        for input in [
            &b"\r\n"[..],
            b"g\r\n",
            b"-1\r\n",
            b"+1\r\n",
            b"0x1\r\n",
            b"\n",
            b"1\na\r\n",
            b"1\r\na\n",
            b"1\r\nab",
            b"1\r\na\r\r",
            b"1;x\na\r\n",
            b"1;x\rx",
            b"1;\0",
            b";x\r\n",
            b"5 junk\r\n",
            b"5\t5\r\n",
            b"5x\r\n",
            b"5,\r\n",
            b"5 \n",
            b"1;\x01",
            b"1;x\x7f",
            b"0\r\nno field\r\n",
            b"0\r\n: x\r\n",
            b"0\r\n A: b\r\n",
            b"0\r\nA : b\r\n",
            b"0\r\nA\r\n",
            b"0\r\nA: \0",
            b"0\r\n\n",
            b"0\r\nA: b\n\r\n",
            b"00000000000000000",
        ] {
            assert_eq!(decode(input, 100), Err(400), "{:?}", String::from_utf8_lossy(input));
        }
    }

    #[test]
    fn body_over_the_limit_is_refused_from_the_size_that_passes_it() {
        assert_eq!(decode(b"5\r\n", 4), Err(413));
        assert_eq!(decode(b"ffffffffffffffff\r\n", usize::MAX - 1), Err(413));
        assert_eq!(decode(b"4\r\naaaa\r\n1\r\n", 4), Err(413));
        assert_eq!(decode(b"4\r\naa", 4), Ok((5, false, b"aa".to_vec())));
    }

    #[test]
    fn extensions_and_trailers_are_bounded() {
        let extension = [b"1;", &[b'x'; SKIPPED_BYTES_MAX][..], b"\r\n"].concat();
        assert_eq!(decode(&extension, 1), Err(413));
        let trailers = [b"0\r\n", &b"A: b\r\n".repeat(SKIPPED_BYTES_MAX)[..]].concat();
        assert_eq!(decode(&trailers, 1), Err(413));
        let drizzle = b"1;xxxxxxx\r\na\r\n".repeat(SKIPPED_BYTES_MAX);
        assert_eq!(decode(&drizzle, 1 << 20), Err(413));
    }
}
