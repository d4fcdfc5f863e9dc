//! The opening handshake, server side (RFC 6455 §4.2).

use crate::wire::http::{Head, Refusal};
use crate::wire::origin::{Page, is_address};
use base64::Engine as _;
use base64::alphabet::STANDARD as ALPHABET;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use sha1::{Digest as _, Sha1};

/// RFC 6455 §1.3: what is hashed behind the key.
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// The key's 128 bits leave four of its characters' unused: not every client clears them.
const KEYS: GeneralPurpose =
    GeneralPurpose::new(&ALPHABET, GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true));

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
    // RFC 9110 §7.8: a server must ignore the field in an HTTP/1.0 request.
    head.minor_version == 1 && head.has_token("Upgrade", "websocket")
}

impl<'a> Upgrade<'a> {
    /// Checks a request that [`is_upgrade`] against §4.2.1.
    ///
    /// # Errors
    /// 405 not GET; 400 HTTP/1.0, no `Connection: Upgrade`, no key or a broken or a double one, a body;
    /// 426 a version other than 13.
    pub fn check(head: &'a Head<'a>) -> Result<Upgrade<'a>, Refusal> {
        // RFC 6455 §4.2.1, in its order, but that the version comes before what depends on it.
        if head.method != "GET" {
            return Err(Refusal::new(405, "an upgrade is a GET"));
        }
        if head.minor_version != 1 {
            return Err(Refusal::new(400, "an upgrade is HTTP/1.1"));
        }
        if !head.has_token("Connection", "upgrade") {
            return Err(Refusal::new(400, "Connection does not name upgrade"));
        }
        if only(head, "Sec-WebSocket-Version") != Some(b"13") {
            return Err(Refusal::new(426, "Sec-WebSocket-Version is not 13"));
        }
        let key = only(head, "Sec-WebSocket-Key")
            .and_then(key)
            .ok_or(Refusal::new(400, "no valid Sec-WebSocket-Key"))?;
        if has_body(head) {
            // Its bytes would be taken for frames.
            return Err(Refusal::new(400, "an upgrade has no body"));
        }
        Ok(Upgrade { key, head })
    }

    /// The first of the client's subprotocols that `ours` holds: the client's order is its preference.
    #[must_use]
    pub fn subprotocol<'o>(&self, ours: &'o [String]) -> Option<&'o str> {
        let mut theirs = self.head.list("Sec-WebSocket-Protocol");
        theirs.find_map(|name| ours.iter().find(|ours| *ours == name)).map(String::as_str)
    }

    /// Whether the `Origin` is allowed: `allowed` is empty, or the upgrade [is of ours](Upgrade::is_of_ours).
    #[must_use]
    pub fn origin_allowed(&self, allowed: &[String], is_secure: bool) -> bool {
        allowed.is_empty() || self.is_of_ours(allowed, is_secure)
    }

    /// Whether no page of strangers asks: there is no `Origin` (not a browser), it is listed exactly in `named`, or it is the
    /// server's own, by the `Host` that the client asks for; `is_secure`, where the connection speaks TLS here, that is one of
    /// `https://`. Credentials that a browser sends whatever page asks, a cookie or a client's certificate, count then alone
    /// (RFC 6455 §10.2).
    #[must_use]
    pub fn is_of_ours(&self, named: &[String], is_secure: bool) -> bool {
        Page::of(self.head, named, is_secure) != Page::Foreign
    }

    /// As [`Upgrade::is_of_ours`], and sure of it: an origin by `http://` that is the server's own has an address in it or is
    /// `localhost`. Of a name nobody can say whose it is: it may be led here from a page of its owner's (DNS rebinding). By `https://`
    /// a certificate has shown that.
    #[must_use]
    pub fn is_surely_of_ours(&self, named: &[String], is_secure: bool) -> bool {
        match Page::of(self.head, named, is_secure) {
            Page::None | Page::Named => true,
            Page::Own => {
                is_secure
                    || only(self.head, "Origin").is_some_and(|origin| origin.starts_with(b"https://"))
                    || is_address(self.head.host())
            }
            Page::Foreign => false,
        }
    }
}

/// The value of a field that is there once.
fn only<'a>(head: &Head<'a>, name: &str) -> Option<&'a [u8]> {
    let mut values = head.values(name);
    values.next().filter(|_| values.next().is_none())
}

fn key(value: &[u8]) -> Option<&str> {
    let mut nonce = [0; 18];
    let len = KEYS.decode_slice(value, &mut nonce).ok()?;
    std::str::from_utf8(value).ok().filter(|_| len == 16 && value.len() == 24)
}

fn has_body(head: &Head<'_>) -> bool {
    head.values("Transfer-Encoding").next().is_some()
        || head.values("Content-Length").any(|length| length != b"0")
}

/// The `Sec-WebSocket-Accept` that answers `key` (§4.2.2): base64 of the SHA-1 of key and GUID, 28 characters.
#[must_use]
pub fn accept_key(key: &str) -> [u8; 28] {
    let hash: [u8; 20] = Sha1::new_with_prefix(key).chain_update(GUID).finalize().into();
    let mut accept = [0; 28];
    let written = STANDARD.encode_slice(hash, &mut accept);
    debug_assert_eq!(written, Ok(28), "20 bytes are 28 characters");
    accept
}

/// Appends the `101 Switching Protocols` response. Allocates nothing beyond `out`.
pub fn write_accept(key: &str, subprotocol: Option<&str>, extensions: Option<&str>, out: &mut Vec<u8>) {
    out.extend_from_slice(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ",
    );
    out.extend_from_slice(&accept_key(key));
    for (name, value) in [("Sec-WebSocket-Protocol", subprotocol), ("Sec-WebSocket-Extensions", extensions)] {
        if let Some(value) = value {
            for part in ["\r\n", name, ": ", value] {
                out.extend_from_slice(part.as_bytes());
            }
        }
    }
    out.extend_from_slice(b"\r\n\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accept_of_the_specification() {
        // §1.3
        assert_eq!(accept_key("dGhlIHNhbXBsZSBub25jZQ=="), *b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn key_is_sixteen_bytes_in_twenty_four_characters() {
        // §4.2.1
        assert!(key(b"dGhlIHNhbXBsZSBub25jZQ==").is_some());
        assert!(key(b"1234567890123456789012==").is_some(), "stray low bits are no harm");
        for broken in [
            &b""[..],
            b"dGhlIHNhbXBsZSBub25jZQ",
            b"dGhlIHNhbXBsZSBub25jZQ=",
            b"dGhlIHNhbXBsZSBub25jZQ===",
            b"dGhlIHNhbXBsZSBub25jZWE=",
            b"dGhlIHNhbXBsZSBub24=",
            b"dGhl!HNhbXBsZSBub25jZQ==",
            b"dGhlIHNhbXBsZSBub25jZQ==dGhlIHNhbXBsZSBub25jZQ==",
        ] {
            assert_eq!(key(broken), None, "{:?}", std::str::from_utf8(broken));
        }
    }
}
