//! The opening handshake, server side (RFC 6455 §4.2).

use crate::wire::http::{Head, Refusal};

/// A valid request to upgrade.
#[derive(Debug)]
pub struct Upgrade<'a> {
    /// `Sec-WebSocket-Key`: 24 characters that decode to 16 bytes.
    pub key: &'a str,
    /// The request it came in: path, query, cookies, `Origin`, `Sec-WebSocket-Protocol`, `Sec-WebSocket-Extensions`.
    pub head: &'a Head<'a>,
}

/// Whether the request wants to become something other than HTTP: it has an `Upgrade` field that names `websocket`.
#[must_use]
pub fn is_upgrade(head: &Head<'_>) -> bool {
    let _ = head;
    todo!()
}

impl<'a> Upgrade<'a> {
    /// Checks a request that [`is_upgrade`] against §4.2.1.
    ///
    /// # Errors
    /// 405 not GET; 400 HTTP/1.0, no `Connection: Upgrade`, no key or a broken or a double one, a body;
    /// 426 a version other than 13.
    pub fn check(head: &'a Head<'a>) -> Result<Upgrade<'a>, Refusal> {
        let _ = head;
        todo!()
    }

    /// The first of the client's subprotocols that `ours` holds: the client's order is its preference.
    #[must_use]
    pub fn subprotocol<'o>(&self, ours: &'o [String]) -> Option<&'o str> {
        let _ = ours;
        todo!()
    }

    /// Whether the `Origin` is allowed: there is none (not a browser), `allowed` is empty, or it is listed exactly.
    #[must_use]
    pub fn origin_allowed(&self, allowed: &[String]) -> bool {
        let _ = allowed;
        todo!()
    }
}

/// The `Sec-WebSocket-Accept` that answers `key` (§4.2.2): base64 of the SHA-1 of key and GUID, 28 characters.
#[must_use]
pub fn accept_key(key: &str) -> [u8; 28] {
    let _ = key;
    todo!()
}

/// Appends the `101 Switching Protocols` response. Allocates nothing beyond `out`.
pub fn write_accept(key: &str, subprotocol: Option<&str>, extensions: Option<&str>, out: &mut Vec<u8>) {
    let _ = (key, subprotocol, extensions, out);
    todo!()
}
