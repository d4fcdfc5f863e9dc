//! The keys that addresses are counted under: an IPv4 address by itself, an IPv6 address by its network, and that once more by
//! its site.

use std::net::IpAddr;

use crate::limits::NETWORKS_PER_SITE;

/// The key that an address is counted under. Never 0, which is nobody's.
pub(super) fn key_of(address: IpAddr) -> u64 {
    match address.to_canonical() {
        // ::/8 is reserved (RFC 4291 §4): no IPv6 address has such a first half.
        IpAddr::V4(address) => 1 << 32 | u64::from(address.to_bits()),
        IpAddr::V6(address) => ((address.to_bits() >> 64) as u64).max(1),
    }
}

/// The mark of a site's key: no IPv6 address begins so (RFC 4291 §4), and no key of an IPv4 one.
const SITE: u64 = 2 << 48;

/// The key of the site that an IPv6 network is one of; `None` for IPv4.
pub(super) fn site_of(key: u64) -> Option<u64> {
    (key >> 56 != 0).then_some(SITE | key >> 16)
}

/// As how many addresses a key counts.
pub(super) fn times_of(key: u64) -> u32 {
    if key >> 48 == SITE >> 48 { NETWORKS_PER_SITE } else { 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> u64 {
        key_of(text.parse().unwrap())
    }

    #[test]
    fn ipv6_is_counted_by_its_first_half() {
        assert_eq!(key("2001:db8::1"), key("2001:db8::ffff:2"));
        assert_ne!(key("2001:db8::1"), key("2001:db8:0:1::1"));
        assert_eq!(site_of(key("2001:db8::1")), site_of(key("2001:db8:0:1::1")));
        assert_ne!(key("::5"), 0);
        assert_eq!((key("::ffff:192.0.2.1"), site_of(key("192.0.2.1"))), (key("192.0.2.1"), None));
    }
}
