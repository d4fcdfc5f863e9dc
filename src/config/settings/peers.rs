//! Settings that are lists or counts of others: addresses, proxies, rooms, subprotocols.

use crate::presence::Pattern;
use crate::reactor;
use crate::wire::forwarded::Network;

use super::{CONNECTIONS_MAX, Check, set};

/// As a trusted proxy: who speaks on a Unix socket.
const UNIX: &str = "unix";

impl Check<'_> {
    pub(super) fn address_limits(&self) -> Result<reactor::AddressLimits, String> {
        let number = |key, number, most| {
            let number = self.number(key, number, 0..=most)?;
            Ok::<u32, String>(u32::try_from(set(number)).unwrap_or(u32::MAX))
        };
        Ok(reactor::AddressLimits {
            connections: number(
                "max-connections-per-address",
                self.layer.max_connections_per_address,
                CONNECTIONS_MAX,
            )?,
            handshakes: number("max-handshakes-per-address", self.layer.max_handshakes_per_address, 5_000)?,
        })
    }

    /// Names of rooms, or prefixes and a `*`.
    pub(super) fn rooms(&self, key: &str, patterns: Option<Vec<String>>) -> Result<Vec<String>, String> {
        let patterns = patterns.unwrap_or_default();
        match patterns.iter().find(|pattern| Pattern::new(pattern).is_none()) {
            Some(pattern) => {
                Err(self.at(key, &format!("`{pattern}` is neither a room's name nor a prefix and `*`")))
            }
            None => Ok(patterns),
        }
    }

    pub(super) fn trusted_proxies(&self) -> Result<Vec<Network>, String> {
        let written = self.layer.trusted_proxy.iter().flatten();
        let networks = written.filter(|text| *text != UNIX).map(|text| text.parse::<Network>());
        let networks: Vec<Network> = networks
            .collect::<Result<_, _>>()
            .map_err(|error| self.at("trusted-proxy", &format!("{error}, or `unix`")))?;
        if set(self.layer.proxy_protocol) && networks.is_empty() && !self.trusts_unix() {
            return Err(self.at("proxy-protocol", "from whom? --trusted-proxy has to name the proxies"));
        }
        Ok(networks)
    }

    /// Whether whoever may write to a Unix socket of ours is a proxy whose word is taken.
    pub(super) fn trusts_unix(&self) -> bool {
        self.layer.trusted_proxy.iter().flatten().any(|text| text == UNIX)
    }

    pub(super) fn subprotocols(&self) -> Result<Vec<String>, String> {
        let names = self.layer.subprotocol.clone().unwrap_or_default();
        // RFC 6455 §4.1: a subprotocol is a token of RFC 9110 §5.6.2.
        let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        match names.iter().find(|name| name.is_empty() || !name.bytes().all(is_token)) {
            Some(name) => {
                Err(self
                    .at("subprotocol", &format!("`{name}` has characters that a subprotocol may not have")))
            }
            None => Ok(names),
        }
    }
}
