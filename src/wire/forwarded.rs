//! The client behind a proxy: `X-Forwarded-For`, read from the right, and the networks whose word is taken for it.
//!
//! Each proxy appends the address that it was spoken to from. The text to the left of the first address that is not one of
//! our own proxies was written by a stranger, and is never looked at: most proxies append to the client's own field,
//! whatever bytes the client put there.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::str::FromStr;

/// Addresses with a common prefix: `10.0.0.0/8`, `2001:db8::/32`, or a single one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Network {
    first: IpAddr,
    bits: u8,
}

impl Network {
    /// Whether the address is one of them. An IPv4 address that came mapped into IPv6 counts as what it is.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.first, address.to_canonical()) {
            (IpAddr::V4(first), IpAddr::V4(address)) => {
                let differ = first.to_bits() ^ address.to_bits();
                differ.checked_shr(32 - u32::from(self.bits)).unwrap_or(0) == 0
            }
            (IpAddr::V6(first), IpAddr::V6(address)) => {
                let differ = first.to_bits() ^ address.to_bits();
                differ.checked_shr(128 - u32::from(self.bits)).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Network, String> {
        let (address, bits) =
            text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let malformed = || format!("`{text}` is no network; write 10.0.0.0/8, 2001:db8::/32 or one address");
        let first: IpAddr = address.parse().map_err(|_| malformed())?;
        let most = if first.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            None => most,
            Some(bits) => bits.parse().ok().filter(|bits| *bits <= most).ok_or_else(malformed)?,
        };
        let network = Network { first, bits };
        // 10.0.0.1/8 is a slip more often than not: was one address meant, or the network?
        let begins = match first {
            IpAddr::V4(address) => IpAddr::V4(Ipv4Addr::from_bits(
                address.to_bits() & u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0),
            )),
            IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(
                address.to_bits() & u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0),
            )),
        };
        if begins == first {
            Ok(network)
        } else {
            Err(format!("`{text}` has bits beyond its prefix; write {begins}/{bits}"))
        }
    }
}

impl core::fmt::Display for Network {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}/{}", self.first, self.bits)
    }
}

/// For whom a proxy of ours says that it speaks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Source {
    /// For nobody else: it asks for itself.
    Proxy,
    /// For a client with that address.
    Client(IpAddr),
    /// For somebody, and it can't be told for whom.
    Unknown,
}

/// The client behind the proxies: of the elements of all `X-Forwarded-For` fields, in order, the rightmost that is not
/// `trusted`; where all are, the leftmost. [`Source::Unknown`] where what a trusted proxy wrote is no address (`unknown`,
/// RFC 7239 §6.2; `unix:`), [`Source::Proxy`] where there is no element.
pub fn client<'a>(elements: impl Iterator<Item = &'a [u8]>, trusted: impl Fn(IpAddr) -> bool) -> Source {
    let mut leftmost = Source::Proxy;
    let mut stranger = None;
    for element in elements {
        match address(element) {
            Some(found) if trusted(found) => {
                if leftmost == Source::Proxy {
                    leftmost = Source::Client(found);
                }
            }
            other => stranger = Some(other.map_or(Source::Unknown, Source::Client)),
        }
    }
    stranger.unwrap_or(leftmost)
}

/// An address as proxies write it: bare, with a port, or in brackets.
fn address(element: &[u8]) -> Option<IpAddr> {
    let text = core::str::from_utf8(element).ok()?.trim_matches('"');
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok().map(IpAddr::V6);
    let found = text
        .parse()
        .ok()
        .or_else(|| text.parse::<SocketAddr>().ok().map(|both| both.ip()))
        .or_else(bracketed)?;
    Some(found.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> Network {
        text.parse().unwrap()
    }

    #[test]
    fn networks_hold_their_addresses() {
        for (text, within, without) in [
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.0"),
            ("192.0.2.7", "192.0.2.7", "192.0.2.6"),
            ("0.0.0.0/0", "255.255.255.255", "::1"),
            ("2001:db8::/33", "2001:db8:7fff::1", "2001:db8:8000::"),
            ("::/0", "ffff::", "10.0.0.1"),
            ("10.0.0.0/8", "::ffff:10.1.2.3", "::10.1.2.3"),
        ] {
            assert!(network(text).contains(within.parse().unwrap()), "{within} in {text}");
            assert!(!network(text).contains(without.parse().unwrap()), "{without} in {text}");
        }
    }

    #[test]
    fn what_is_no_network_is_told_so() {
        for text in ["", "10.0.0.0/33", "::/129", "10.0.0/8", "10.0.0.0/", "10.0.0.0/-1", "example.org"] {
            assert!(text.parse::<Network>().unwrap_err().contains("10.0.0.0/8"), "{text}");
        }
        assert!("10.0.0.1/8".parse::<Network>().unwrap_err().ends_with("write 10.0.0.0/8"));
        assert_eq!(network("2001:db8::/32").to_string(), "2001:db8::/32");
    }

    #[test]
    fn the_client_is_the_rightmost_stranger() {
        let trusted = |address: IpAddr| network("10.0.0.0/8").contains(address);
        let client = |fields: &[u8]| {
            let elements = fields.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
            client(elements.filter(|element| !element.is_empty()), trusted)
        };
        let is = |text: &str| Source::Client(text.parse().unwrap());
        for (fields, expected) in [
            ("203.0.113.7", is("203.0.113.7")),
            ("1.1.1.1, 203.0.113.7, 10.0.0.2", is("203.0.113.7")),
            ("10.9.9.9, 203.0.113.7", is("203.0.113.7")),
            ("203.0.113.7:4711, 10.0.0.2:80", is("203.0.113.7")),
            ("[2001:db8::1]:4711", is("2001:db8::1")),
            ("[2001:db8::1]", is("2001:db8::1")),
            ("::ffff:203.0.113.7", is("203.0.113.7")),
            ("10.0.0.3, 10.0.0.2", is("10.0.0.3")),
            ("1.1.1.1, unknown", Source::Unknown),
            ("unix:", Source::Unknown),
            ("garbage, 203.0.113.7", is("203.0.113.7")),
            ("caf\u{e9}, 203.0.113.7", is("203.0.113.7")),
            ("203.0.113.7, garbage, 10.0.0.2", Source::Unknown),
            ("203.0.113.7, caf\u{e9}, 10.0.0.2", Source::Unknown),
            ("", Source::Proxy),
        ] {
            assert_eq!(client(fields.as_bytes()), expected, "{fields}");
        }
        assert_eq!(client(b"\xff, 203.0.113.7"), is("203.0.113.7"));
        assert_eq!(client(b"203.0.113.7, \xff"), Source::Unknown);
    }
}
