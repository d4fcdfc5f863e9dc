//! The PROXY protocol, versions 1 and 2: one header before a connection's first byte, in which a proxy says for whom it
//! speaks (haproxy.org, proxy-protocol.txt).
//!
//! Only read where a trusted proxy is known to send it: a client's own first bytes are never looked at for one. Input
//! that is not such a header, or is longer than [`PROXY_HEADER_BYTES_MAX`], ends the connection; there is no guessing.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::limits::PROXY_HEADER_BYTES_MAX;
use crate::wire::forwarded::Source;

/// The beginning of `bytes`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Preface {
    /// Not all of it has come.
    More,
    /// So many bytes, and for whom the proxy speaks.
    Header(usize, Source),
}

/// It is not a PROXY header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MalformedPreface;

/// Version 2 begins with these twelve bytes (§2.2).
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// Version 1 begins with this (§2.1).
const WORD: &[u8; 6] = b"PROXY ";
/// The longest line of version 1, with its CR LF (§2.1).
const LINE_BYTES_MAX: usize = 107;
/// Signature, version and command, family, length.
const FIXED_BYTES: usize = 16;

/// Reads the header. Costs nothing but a look at `bytes`, however often it is called.
///
/// # Errors
/// `bytes` don't begin with one.
pub fn read(bytes: &[u8]) -> Result<Preface, MalformedPreface> {
    let begins = |with: &[u8]| bytes.iter().zip(with).all(|(a, b)| a == b);
    match bytes.first() {
        None => Ok(Preface::More),
        Some(b'P') if begins(WORD) => line(bytes),
        Some(b'\r') if begins(SIGNATURE) => binary(bytes),
        Some(_) => Err(MalformedPreface),
    }
}

/// Version 1: `PROXY TCP4 source destination source-port destination-port`.
fn line(bytes: &[u8]) -> Result<Preface, MalformedPreface> {
    let Some(end) = bytes.iter().take(LINE_BYTES_MAX).position(|byte| *byte == b'\n') else {
        return if bytes.len() < LINE_BYTES_MAX { Ok(Preface::More) } else { Err(MalformedPreface) };
    };
    let line = bytes[..end].strip_suffix(b"\r").ok_or(MalformedPreface)?;
    let line = std::str::from_utf8(line).map_err(|_| MalformedPreface)?;
    let mut words = line.split(' ').skip(1);
    let family = words.next().ok_or(MalformedPreface)?;
    if family == "UNKNOWN" {
        // §2.1: whatever else stands in the line is to be ignored.
        return Ok(Preface::Header(end + 1, Source::Unknown));
    }
    let mut address = || words.next().and_then(|word| word.parse::<IpAddr>().ok()).ok_or(MalformedPreface);
    let (source, destination) = (address()?, address()?);
    let mut port = || words.next().and_then(|word| word.parse::<u16>().ok()).ok_or(MalformedPreface);
    port()?;
    port()?;
    let agrees = match family {
        "TCP4" => source.is_ipv4() && destination.is_ipv4(),
        "TCP6" => source.is_ipv6() && destination.is_ipv6(),
        _ => false,
    };
    if !agrees || words.next().is_some() {
        return Err(MalformedPreface);
    }
    Ok(Preface::Header(end + 1, Source::Client(source.to_canonical())))
}

/// Version 2 (§2.2): the fixed part says how long the rest is; addresses come first in that, then what we don't read.
fn binary(bytes: &[u8]) -> Result<Preface, MalformedPreface> {
    let Some(fixed) = bytes.first_chunk::<FIXED_BYTES>() else {
        // A wrong byte that has come is wrong whatever follows.
        return match bytes.get(12) {
            Some(byte) if !matches!(byte, 0x20 | 0x21) => Err(MalformedPreface),
            _ => Ok(Preface::More),
        };
    };
    let end = FIXED_BYTES + usize::from(u16::from_be_bytes([fixed[14], fixed[15]]));
    if !matches!(fixed[12], 0x20 | 0x21) || end > PROXY_HEADER_BYTES_MAX {
        return Err(MalformedPreface);
    }
    let Some(rest) = bytes.get(FIXED_BYTES..end) else { return Ok(Preface::More) };
    // §2.2: of LOCAL (0x20) the rest is to be skipped: the proxy itself asks how we are.
    let source = match (fixed[12], fixed[13]) {
        (0x20, _) => Source::Proxy,
        // TCP over IPv4: two addresses, two ports.
        (_, 0x11) => client(Ipv4Addr::from(*part::<4>(rest, 12)?)),
        (_, 0x21) => client(Ipv6Addr::from(*part::<16>(rest, 36)?)),
        // Unix sockets and datagrams: accepted, and nobody's address (§2.2).
        (_, 0x00 | 0x12 | 0x22 | 0x31 | 0x32) => Source::Unknown,
        _ => return Err(MalformedPreface),
    };
    Ok(Preface::Header(end, source))
}

fn client(address: impl Into<IpAddr>) -> Source {
    Source::Client(address.into().to_canonical())
}

/// The first bytes of an address block that has to have `least`.
fn part<const N: usize>(rest: &[u8], least: usize) -> Result<&[u8; N], MalformedPreface> {
    rest.first_chunk().filter(|_| rest.len() >= least).ok_or(MalformedPreface)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v2(command: u8, family: u8, block: &[u8]) -> Vec<u8> {
        let len = (block.len() as u16).to_be_bytes();
        [SIGNATURE.as_slice(), &[command, family], &len, block].concat()
    }

    fn is(text: &str) -> Source {
        Source::Client(text.parse().unwrap())
    }

    /// Headers as proxies send them, and who they are for.
    fn good() -> Vec<(Vec<u8>, Source)> {
        let six = [[0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9].as_slice(), &[0; 20]].concat();
        let mapped =
            [[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 203, 0, 113, 7].as_slice(), &[0; 20]].concat();
        let four = [203, 0, 113, 7, 127, 0, 0, 1, 1, 2, 3, 4];
        vec![
            (b"PROXY TCP4 203.0.113.7 127.0.0.1 4711 80\r\n".to_vec(), is("203.0.113.7")),
            (b"PROXY TCP6 2001:db8::9 ::1 4711 80\r\n".to_vec(), is("2001:db8::9")),
            (b"PROXY UNKNOWN\r\n".to_vec(), Source::Unknown),
            (b"PROXY UNKNOWN ffff::1 whatever\r\n".to_vec(), Source::Unknown),
            (v2(0x21, 0x11, &four), is("203.0.113.7")),
            (v2(0x21, 0x11, &[four.as_slice(), &[0x04, 0, 1, 0]].concat()), is("203.0.113.7")),
            (v2(0x21, 0x21, &six), is("2001:db8::9")),
            (v2(0x21, 0x21, &mapped), is("203.0.113.7")),
            (v2(0x20, 0x00, &[]), Source::Proxy),
            (v2(0x20, 0x11, &four), Source::Proxy),
            (v2(0x21, 0x00, &[]), Source::Unknown),
            (v2(0x21, 0x31, &[0; 216]), Source::Unknown),
        ]
    }

    #[test]
    fn a_header_is_read_wherever_it_is_cut() {
        for (header, source) in good() {
            for cut in 0..header.len() {
                assert_eq!(read(&header[..cut]), Ok(Preface::More), "{cut} of {}", header.escape_ascii());
            }
            let request = [header.as_slice(), b"GET / HTTP/1.1\r\n"].concat();
            assert_eq!(read(&request), Ok(Preface::Header(header.len(), source)));
        }
    }

    #[test]
    fn what_is_no_header_is_refused_as_soon_as_that_shows() {
        for bytes in [
            b"G".to_vec(),
            b"PROXZ".to_vec(),
            b"PROXY TCP4 203.0.113.7 127.0.0.1 4711\r\n".to_vec(),
            b"PROXY TCP4 203.0.113.7 127.0.0.1 4711 80 90\r\n".to_vec(),
            b"PROXY TCP4 203.0.113.7 127.0.0.1 4711 65536\r\n".to_vec(),
            b"PROXY TCP4 2001:db8::9 ::1 4711 80\r\n".to_vec(),
            b"PROXY TCP6 203.0.113.7 127.0.0.1 4711 80\r\n".to_vec(),
            b"PROXY  TCP4 203.0.113.7 127.0.0.1 4711 80\r\n".to_vec(),
            b"PROXY TCP4 203.0.113.7 127.0.0.1 4711 80\n".to_vec(),
            b"PROXY UDP4 203.0.113.7 127.0.0.1 4711 80\r\n".to_vec(),
            b"PROXY \xff\r\n".to_vec(),
            [b"PROXY ".as_slice(), &[b'x'; 101]].concat(),
            b"\r\n\r\n\0\r\nQUIT\n\x31".to_vec(),
            b"\r\n\r\n\0\r\nQUIX".to_vec(),
            v2(0x22, 0x11, &[0; 12]),
            v2(0x21, 0x11, &[0; 11]),
            v2(0x21, 0x21, &[0; 35]),
            v2(0x21, 0x41, &[0; 12]),
            [SIGNATURE.as_slice(), &[0x21, 0x11, 0xff, 0xff]].concat(),
        ] {
            assert_eq!(read(&bytes), Err(MalformedPreface), "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn a_line_has_its_longest() {
        let line = |len: usize| [b"PROXY UNKNOWN ".as_slice(), &vec![b'x'; len - 16], b"\r\n"].concat();
        assert_eq!(read(&line(LINE_BYTES_MAX)), Ok(Preface::Header(LINE_BYTES_MAX, Source::Unknown)));
        assert_eq!(read(&line(LINE_BYTES_MAX + 1)), Err(MalformedPreface));
    }
}
