//! The opening handshake, client side (RFC 6455 §4.1).

/// What the client asks for.
#[derive(Clone, Debug, Default)]
pub struct Request<'a> {
    /// The `Host` field: `host:port`.
    pub host: &'a str,
    /// Path and query, starting with `/`.
    pub target: &'a str,
    /// Subprotocols in order of preference; may be empty.
    pub subprotocols: &'a [&'a str],
    /// Further fields.
    pub fields: &'a [(&'a str, &'a str)],
}

impl Request<'_> {
    /// Appends the request to `out`. The key is base64 of `nonce`.
    pub fn write(&self, nonce: [u8; 16], out: &mut Vec<u8>) {
        let _ = (nonce, out);
        todo!()
    }
}

/// A response that accepts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// Bytes of the response head; frames may follow.
    pub len: usize,
    /// The subprotocol the server chose.
    pub subprotocol: Option<String>,
}

/// Why the handshake failed.
#[derive(Clone, Debug, PartialEq, Eq)]
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

/// Checks the response to a request with that `nonce`; `None` where it is incomplete.
///
/// # Errors
/// See [`HandshakeError`].
pub fn check_response(
    bytes: &[u8],
    nonce: [u8; 16],
    offered: &[&str],
) -> Result<Option<Accepted>, HandshakeError> {
    let _ = (bytes, nonce, offered);
    todo!()
}
