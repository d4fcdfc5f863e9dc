//! HTTP/1.1 (RFC 9112) as far as one port for both needs it: request heads, body framing, responses.

use crate::limits::HEADERS_MAX;

/// Where a request head ends: the length up to and including its empty line. `scanned` bytes were looked at before and
/// held no end, so that a head that dribbles in is scanned once.
#[must_use]
pub fn head_len(bytes: &[u8], scanned: usize) -> Option<usize> {
    let _ = (bytes, scanned);
    todo!()
}

/// Storage for a head's header fields: on the caller's stack, so that parsing allocates nothing.
#[derive(Debug)]
pub struct Fields<'b>(pub(crate) [httparse::Header<'b>; HEADERS_MAX]);

impl Fields<'_> {
    /// Empty storage.
    #[must_use]
    pub const fn new() -> Self {
        Fields([httparse::EMPTY_HEADER; HEADERS_MAX])
    }
}

impl Default for Fields<'_> {
    fn default() -> Self {
        Self::new()
    }
}

/// A refusal: the request is answered with this, and the connection ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// 400, 403, 404, 405, 413, 417, 426, 431, 501, 503, 505.
    pub status: u16,
    /// One line for a person, in the body.
    pub reason: &'static str,
}

/// How a request's body is framed (RFC 9112 §6.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Body {
    /// So many bytes follow; none in most requests.
    Length(usize),
    /// Chunks follow.
    Chunked,
}

/// A parsed and checked request head.
#[derive(Debug)]
pub struct Head<'a> {
    /// `GET`, …
    pub method: &'a str,
    /// As sent, always starting with `/` (an absolute form is reduced to its path; `*` is refused).
    pub target: &'a str,
    /// 0 or 1.
    pub minor_version: u8,
    /// The fields, in order.
    pub fields: &'a [httparse::Header<'a>],
}

impl<'a> Head<'a> {
    /// Parses a complete head (`bytes` ends with its empty line) and checks what holds for every request: exactly one
    /// `Host` in HTTP/1.1, a version of 1.0 or 1.1, no more than [`HEADERS_MAX`] fields, no
    /// `Content-Length` beside `Transfer-Encoding`.
    ///
    /// # Errors
    /// What to answer before the connection is ended.
    pub fn parse(bytes: &'a [u8], fields: &'a mut Fields<'a>) -> Result<Head<'a>, Refusal> {
        let _ = (bytes, fields);
        todo!()
    }

    /// The path, percent-encoded as sent.
    #[must_use]
    pub fn path(&self) -> &'a str {
        todo!()
    }

    /// What stands behind the `?`, or an empty string.
    #[must_use]
    pub fn query(&self) -> &'a str {
        todo!()
    }

    /// The value of the first field of that name, trimmed; `None` where it is absent or not ASCII.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&'a str> {
        let _ = name;
        todo!()
    }

    /// The values of all fields of that name, trimmed, in order; ones that are not ASCII are skipped.
    pub fn fields_named<'n>(&self, name: &'n str) -> impl Iterator<Item = &'a str> + use<'a, 'n> {
        let _ = name;
        std::iter::empty()
    }

    /// The comma-separated elements of all fields of that name.
    pub fn list<'n>(&self, name: &'n str) -> impl Iterator<Item = &'a str> + use<'a, 'n> {
        let _ = name;
        std::iter::empty()
    }

    /// Whether a list field holds `token`, in any case.
    #[must_use]
    pub fn has_token(&self, name: &str, token: &str) -> bool {
        self.list(name).any(|element| element.eq_ignore_ascii_case(token))
    }

    /// How the body is framed, held to `limit` bytes where its length is declared.
    ///
    /// # Errors
    /// 400 a length that is no number or two that differ; 413 over the limit; 501 a coding other than `chunked`.
    pub fn body(&self, limit: usize) -> Result<Body, Refusal> {
        let _ = limit;
        todo!()
    }

    /// Whether the client asks for `100 Continue` before it sends the body.
    #[must_use]
    pub fn expects_continue(&self) -> bool {
        todo!()
    }

    /// Whether the connection stays open after the response (§9.3).
    #[must_use]
    pub fn keeps_alive(&self) -> bool {
        todo!()
    }
}

/// A chunked body (RFC 9112 §7.1) as it arrives.
#[derive(Debug, Default)]
pub struct Chunks {}

impl Chunks {
    /// Decodes from the front of `input` and appends the data to `body`. Returns how many bytes were taken and whether the
    /// body is complete (its trailer fields are skipped).
    ///
    /// # Errors
    /// 400 broken framing; 413 more than `limit` bytes of data, or a line or trailer over 4 KiB.
    pub fn read(&mut self, input: &[u8], body: &mut Vec<u8>, limit: usize) -> Result<(usize, bool), Refusal> {
        let _ = (input, body, limit);
        todo!()
    }
}

/// A response, to be written whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// `Content-Type`; left out where the body is empty.
    pub content_type: &'static str,
    /// Further fields; names and values are the server's own.
    pub fields: Vec<(&'static str, String)>,
    /// The body.
    pub body: std::borrow::Cow<'static, [u8]>,
}

impl Response {
    /// A response with `text/plain; charset=utf-8`; a line feed is added to the text.
    #[must_use]
    pub fn text(status: u16, text: &str) -> Response {
        let _ = (status, text);
        todo!()
    }

    /// The answer to a refusal, with `Sec-WebSocket-Version: 13`, `Upgrade: websocket` for a 426.
    #[must_use]
    pub fn refusal(refusal: &Refusal) -> Response {
        let _ = refusal;
        todo!()
    }

    /// Adds a field.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Response {
        self.fields.push((name, value.into()));
        self
    }

    /// Appends the response to `out`: status line, fields, `Content-Length`, `Connection: close` unless `keep_alive`
    /// (`Connection: keep-alive` where an HTTP/1.0 client asked for it is left to the caller's `fields`), and the body
    /// unless the request was HEAD.
    pub fn write(&self, head_only: bool, keep_alive: bool, out: &mut Vec<u8>) {
        let _ = (head_only, keep_alive, out);
        todo!()
    }
}
