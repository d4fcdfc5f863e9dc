//! The opening handshake, client side (RFC 6455 §4.1).

use crate::limits::{HEAD_BYTES_MAX, HEADERS_MAX};
use crate::wire::deflate::{Agreement, Offer};
use crate::wire::http::{self, Head};
use crate::wire::upgrade::accept_key;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The client's request.
#[derive(Clone, Debug, Default)]
pub struct Request<'a> {
    /// The `Host` field: `host:port`.
    pub host: &'a str,
    /// Path and query, starting with `/`.
    pub target: &'a str,
    /// Subprotocols in order of preference; may be empty.
    pub subprotocols: &'a [&'a str],
    /// Further fields; names and values are the caller's own. `Sec-WebSocket-Extensions` may be
    /// [`Offer::field`](crate::wire::deflate::Offer::field) only: an answer to anything else is refused.
    pub fields: &'a [(&'a str, &'a str)],
}

impl Request<'_> {
    /// Appends the request to `out`. The key is base64 of `nonce`.
    pub fn write(&self, nonce: [u8; 16], out: &mut Vec<u8>) {
        let key = encode(nonce);
        for part in ["GET ", self.target, " HTTP/1.1\r\n"] {
            out.extend_from_slice(part.as_bytes());
        }
        let mut field = |name: &str, value: &str| {
            for part in [name, ": ", value, "\r\n"] {
                out.extend_from_slice(part.as_bytes());
            }
        };
        field("Host", self.host);
        field("Upgrade", "websocket");
        field("Connection", "Upgrade");
        field("Sec-WebSocket-Key", text(&key));
        field("Sec-WebSocket-Version", "13");
        if !self.subprotocols.is_empty() {
            field("Sec-WebSocket-Protocol", &self.subprotocols.join(", "));
        }
        for (name, value) in self.fields {
            field(name, value);
        }
        out.extend_from_slice(b"\r\n");
    }
}

/// The key: 16 bytes are 24 characters.
fn encode(nonce: [u8; 16]) -> [u8; 24] {
    let mut key = [0; 24];
    let written = STANDARD.encode_slice(nonce, &mut key);
    debug_assert_eq!(written, Ok(24), "16 bytes are 24 characters");
    key
}

/// Base64 is ASCII.
fn text(key: &[u8; 24]) -> &str {
    std::str::from_utf8(key).unwrap_or_default()
}

/// A response that accepts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// Bytes of the response head; frames may follow.
    pub len: usize,
    /// The subprotocol the server chose.
    pub subprotocol: Option<String>,
    /// How messages are compressed.
    pub deflate: Option<Agreement>,
}

/// Why the handshake failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HandshakeError {
    /// The response isn't HTTP/1.1.
    NotHttp,
    /// A status other than 101.
    Status(u16),
    /// A field is missing or wrong: its name.
    Field(&'static str),
    /// The server chose a subprotocol or extension that wasn't offered.
    NotOffered(&'static str),
    /// The response head is longer than 16 KiB.
    TooLarge,
}

/// Checks the response to a request with that `nonce`, which offered no extension; `None` where it is incomplete.
///
/// # Errors
/// See [`HandshakeError`].
pub fn check_response(
    bytes: &[u8],
    nonce: [u8; 16],
    offered: &[&str],
) -> Result<Option<Accepted>, HandshakeError> {
    check_response_to(bytes, nonce, offered, None)
}

/// As [`check_response`], for a request that offered compression where there is an `offer`.
///
/// # Errors
/// See [`HandshakeError`].
pub fn check_response_to(
    bytes: &[u8],
    nonce: [u8; 16],
    offered: &[&str],
    offer: Option<&Offer>,
) -> Result<Option<Accepted>, HandshakeError> {
    const VERSION: &[u8] = b"HTTP/1.1 ";
    let shown = bytes.len().min(VERSION.len());
    if bytes[..shown] != VERSION[..shown] {
        // Told at once: what isn't HTTP may never send an empty line.
        return Err(HandshakeError::NotHttp);
    }
    let Some(len) = http::head_len(bytes, 0) else {
        return if bytes.len() > HEAD_BYTES_MAX { Err(HandshakeError::TooLarge) } else { Ok(None) };
    };
    if len > HEAD_BYTES_MAX {
        return Err(HandshakeError::TooLarge);
    }
    let mut fields = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut response = httparse::Response::new(&mut fields);
    match response.parse(&bytes[..len]) {
        Ok(httparse::Status::Complete(_)) => {}
        Err(httparse::Error::TooManyHeaders) => return Err(HandshakeError::TooLarge),
        _ => return Err(HandshakeError::NotHttp),
    }
    // The fields of a response are read as those of a request are.
    let head = Head { method: "", target: "/", minor_version: 1, fields: response.headers, authority: None };
    check_status(response.code, &head)?;
    let accept = accept_key(text(&encode(nonce)));
    let accepts = head.values("Sec-WebSocket-Accept").collect::<Vec<_>>();
    // RFC 6455 §4.1: the value must be that of our key.
    if accepts != [&accept] {
        return Err(HandshakeError::Field("Sec-WebSocket-Accept"));
    }
    let deflate = deflate(&head, offer)?;
    let subprotocol = chosen(&head, offered)?.map(String::from);
    Ok(Some(Accepted { len, subprotocol, deflate }))
}

fn check_status(status: Option<u16>, head: &Head<'_>) -> Result<(), HandshakeError> {
    // RFC 6455 §4.1: anything but 101 is HTTP's; 101 with anything but these two fields fails.
    match status {
        Some(101) if !head.has_token("Upgrade", "websocket") => Err(HandshakeError::Field("Upgrade")),
        Some(101) if !head.has_token("Connection", "upgrade") => Err(HandshakeError::Field("Connection")),
        Some(101) => Ok(()),
        Some(status) => Err(HandshakeError::Status(status)),
        None => Err(HandshakeError::NotHttp),
    }
}

/// How the server compresses.
fn deflate(head: &Head<'_>, offer: Option<&Offer>) -> Result<Option<Agreement>, HandshakeError> {
    const NAME: &str = "Sec-WebSocket-Extensions";
    let mut fields = head.values(NAME).peekable();
    // RFC 6455 §4.1: an extension that wasn't offered fails the connection.
    match offer {
        None if fields.peek().is_some() => Err(HandshakeError::NotOffered(NAME)),
        None => Ok(None),
        Some(offer) => offer.check(fields).map_err(|_| HandshakeError::NotOffered(NAME)),
    }
}

/// The subprotocol the server chose.
fn chosen<'a>(head: &Head<'a>, offered: &[&str]) -> Result<Option<&'a str>, HandshakeError> {
    if head.values("Sec-WebSocket-Protocol").next().is_none() {
        return Ok(None);
    }
    // RFC 6455 §4.1: so does a subprotocol that wasn't; §4.2.2 allows one.
    let mut names = head.list("Sec-WebSocket-Protocol");
    match (names.next(), names.next()) {
        (Some(name), None) if offered.contains(&name) => Ok(Some(name)),
        _ => Err(HandshakeError::NotOffered("Sec-WebSocket-Protocol")),
    }
}

impl std::fmt::Display for HandshakeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            HandshakeError::NotHttp => f.write_str("the response is not HTTP/1.1"),
            HandshakeError::Status(status) => write!(f, "the server answered {status}, not 101"),
            HandshakeError::Field(name) => write!(f, "the response's {name} is missing or wrong"),
            HandshakeError::NotOffered(name) => write!(f, "the response's {name} was not offered"),
            HandshakeError::TooLarge => f.write_str("the response head is too large"),
        }
    }
}

impl std::error::Error for HandshakeError {}
