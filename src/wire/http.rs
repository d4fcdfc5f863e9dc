//! HTTP/1.1 (RFC 9112) as far as one port for both needs it: request heads, body framing, responses.
//!
//! Strict where two readers could differ on where a request ends: bare line feeds, folded fields, doubled or mixed
//! framing and names with spaces are refused, so that nothing can be smuggled behind a request.

mod chunks;
mod gzip;
mod percent;
mod refusal;
mod response;

pub use chunks::Chunks;
pub use gzip::gzip;
pub use percent::{percent_decoded, query_decoded};
pub use refusal::Refusal;
pub use response::Response;
pub(crate) use response::{CHUNK_BYTES, LAST_CHUNK, write_piece};

use crate::limits::HEADERS_MAX;

/// The end of a request head: the length up to and including its empty line. `scanned` bytes were looked at before and
/// held no end, so that a head that dribbles in is scanned once.
#[must_use]
pub fn head_len(bytes: &[u8], scanned: usize) -> Option<usize> {
    // The empty line may have begun before: at most a line feed and a carriage return of it.
    let mut at = scanned.saturating_sub(2).min(bytes.len());
    // A block at a time, in a form that the compiler turns into SIMD.
    while let Some(window) = bytes[at..].first_chunk::<{ SCAN + 2 }>()
        && !(0..SCAN).fold(false, |found, i| found | ends_head(window[i], window[i + 1], window[i + 2]))
    {
        at += SCAN;
    }
    (at..bytes.len()).find_map(|at| match bytes[at..] {
        [b'\n', b'\n', ..] => Some(at + 2),
        [b'\n', b'\r', b'\n', ..] => Some(at + 3),
        _ => None,
    })
}

/// Bytes that [`head_len`] looks at in one step.
const SCAN: usize = 32;

/// Whether a line ends at `a` and an empty one behind it. A bare line feed ends a line here, so that a head with such
/// lines is refused at once and not when its time is up.
const fn ends_head(a: u8, b: u8, c: u8) -> bool {
    (a == b'\n') & ((b == b'\n') | ((b == b'\r') & (c == b'\n')))
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

impl Refusal {
    pub(crate) const fn new(status: u16, reason: &'static str) -> Refusal {
        Refusal { status, reason }
    }
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
    /// The authority of an absolute target.
    pub(crate) authority: Option<&'a str>,
}

impl<'a> Head<'a> {
    /// Parses a complete head (`bytes` ends with its empty line) and checks what holds for every request: exactly one
    /// `Host` in HTTP/1.1, a version of 1.0 or 1.1, no more than [`HEADERS_MAX`] fields, no
    /// `Content-Length` beside `Transfer-Encoding`.
    ///
    /// # Errors
    /// The refusal to answer with before the connection is ended.
    pub fn parse(bytes: &'a [u8], fields: &'a mut Fields<'a>) -> Result<Head<'a>, Refusal> {
        if !lines_end_in_crlf(bytes) {
            // RFC 9112 §2.2 lets a recipient take a bare LF for a line's end; another hop may not.
            return Err(Refusal::new(400, "a line of the request does not end in CR LF"));
        }
        let mut request = httparse::Request::new(&mut fields.0);
        match request.parse(bytes) {
            Ok(httparse::Status::Complete(len)) if len == bytes.len() => {}
            Ok(_) => return Err(Refusal::new(400, "malformed request")),
            Err(error) => return Err(refuse(error, bytes)),
        }
        let httparse::Request {
            method: Some(method),
            path: Some(target),
            version: Some(minor_version),
            headers,
        } = request
        else {
            return Err(Refusal::new(400, "malformed request"));
        };
        let (authority, target) = split_target(target)?;
        let head = Head { method, target, minor_version, fields: headers, authority };
        head.check_host()?;
        head.check_framing()?;
        Ok(head)
    }

    /// The authority of the request, as `host` or `host:port`: as an absolute target has it, else as `Host` has it, else nobody
    /// (`""`).
    #[must_use]
    pub fn host(&self) -> &'a str {
        // RFC 9112 §3.2.2: beside an absolute target the server must ignore Host.
        self.authority.or_else(|| self.field("Host")).unwrap_or_default()
    }

    /// The path, percent-encoded as sent.
    #[must_use]
    pub fn path(&self) -> &'a str {
        self.target.split_once('?').map_or(self.target, |(path, _)| path)
    }

    /// The text behind the `?`, or an empty string.
    #[must_use]
    pub fn query(&self) -> &'a str {
        self.target.split_once('?').map_or("", |(_, query)| query)
    }

    /// The value of the first field of that name, trimmed; `None` where it is absent or not ASCII. For a field that is one
    /// value: what stands beside others in a field is judged by itself, with [`Head::list`], [`Head::elements`] or
    /// [`Head::values`].
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&'a str> {
        self.values(name).next().and_then(ascii)
    }

    /// The comma-separated elements of all fields of that name, in order, trimmed; empty ones are left out (RFC 9110 §5.6.1),
    /// and ones that are not ASCII are not. A comma within a quoted string separates too: no list read here has such strings.
    pub fn elements<'n>(&self, name: &'n str) -> impl Iterator<Item = &'a [u8]> + use<'a, 'n> {
        self.values(name)
            .flat_map(|value| value.split(|byte| *byte == b','))
            .map(<[u8]>::trim_ascii)
            .filter(|element| !element.is_empty())
    }

    /// [`Head::elements`] as text. One that is not ASCII is skipped, and does not hide those beside it.
    pub fn list<'n>(&self, name: &'n str) -> impl Iterator<Item = &'a str> + use<'a, 'n> {
        self.elements(name).filter_map(ascii)
    }

    /// Whether a list field holds `token`, in any case.
    #[must_use]
    pub fn has_token(&self, name: &str, token: &str) -> bool {
        self.list(name).any(|element| element.eq_ignore_ascii_case(token))
    }

    /// Whether the client takes a body that is compressed by gzip.
    #[must_use]
    pub fn accepts_gzip(&self) -> bool {
        gzip::is_accepted(self.list("Accept-Encoding"))
    }

    /// How the body is framed, held to `limit` bytes where its length is declared.
    ///
    /// # Errors
    /// 400 a length that is no number or two that differ; 413 over the limit; 501 a coding other than `chunked`.
    pub fn body(&self, limit: usize) -> Result<Body, Refusal> {
        let mut codings = self.values("Transfer-Encoding");
        if let Some(coding) = codings.next() {
            // RFC 9112 §6.1: 501 to a coding that isn't understood. `chunked` twice, or last of several, is one.
            return if codings.next().is_none() && coding.eq_ignore_ascii_case(b"chunked") {
                Ok(Body::Chunked)
            } else {
                Err(Refusal::new(501, "transfer coding other than chunked"))
            };
        }
        let mut lengths = self.values("Content-Length");
        let Some(length) = lengths.next() else { return Ok(Body::Length(0)) };
        // RFC 9112 §6.3: lengths that differ, or are none, can't be recovered from.
        if lengths.any(|other| other != length) {
            return Err(Refusal::new(400, "lengths that differ"));
        }
        if length.is_empty() || !length.iter().all(u8::is_ascii_digit) {
            return Err(Refusal::new(400, "Content-Length is not a number"));
        }
        match std::str::from_utf8(length).ok().and_then(|length| length.parse().ok()) {
            Some(length) if length <= limit => Ok(Body::Length(length)),
            // Also a number that is too large for any type.
            _ => Err(Refusal::new(413, "body too large")),
        }
    }

    /// Whether the client asks for `100 Continue` before it sends the body.
    #[must_use]
    pub fn expects_continue(&self) -> bool {
        // RFC 9110 §10.1.1: ignored in an HTTP/1.0 request.
        self.minor_version == 1 && self.has_token("Expect", "100-continue")
    }

    /// Whether the connection stays open after the response (§9.3).
    #[must_use]
    pub fn keeps_alive(&self) -> bool {
        let close = self.has_token("Connection", "close");
        !close && (self.minor_version == 1 || self.has_token("Connection", "keep-alive"))
    }

    /// The values of all fields of that name as they were sent, trimmed, in order. Whether a field is there at all is asked
    /// here, since [`Head::field`] does not see one that isn't ASCII.
    pub fn values<'n>(&self, name: &'n str) -> impl Iterator<Item = &'a [u8]> + use<'a, 'n> {
        self.fields
            .iter()
            .filter(move |field| field.name.eq_ignore_ascii_case(name))
            .map(|field| field.value.trim_ascii())
    }

    fn check_host(&self) -> Result<(), Refusal> {
        let mut hosts = self.values("Host");
        let host = hosts.next();
        if hosts.next().is_some() {
            // RFC 9112 §3.2: 400 to more than one.
            return Err(Refusal::new(400, "more than one Host"));
        }
        let is_good = |host: &[u8]| !host.is_empty() && host.iter().copied().all(is_host);
        match host {
            // RFC 9112 §3.2: 400 to an HTTP/1.1 request without one.
            None if self.minor_version == 1 => Err(Refusal::new(400, "no Host")),
            Some(host) if !is_good(host) => Err(Refusal::new(400, "malformed Host")),
            // RFC 9110 §4.2.1, §4.2.4: no empty host, and nobody's name before it.
            _ if self.authority.is_some_and(|authority| !is_good(authority.as_bytes())) => {
                Err(Refusal::new(400, "malformed host in the target"))
            }
            _ => Ok(()),
        }
    }

    fn check_framing(&self) -> Result<(), Refusal> {
        if self.values("Transfer-Encoding").next().is_none() {
            return Ok(());
        }
        // RFC 9112 §6.3: both may be an attempt to smuggle a request.
        if self.values("Content-Length").next().is_some() {
            return Err(Refusal::new(400, "both Content-Length and Transfer-Encoding"));
        }
        // RFC 9112 §6.1: in HTTP/1.0 its framing is to be taken for faulty.
        if self.minor_version == 0 {
            return Err(Refusal::new(400, "Transfer-Encoding in HTTP/1.0"));
        }
        Ok(())
    }
}

/// Whether each carriage return is followed by a line feed, and each line feed follows one. Looks at all of `bytes`
/// without a branch, which the compiler turns into SIMD.
fn lines_end_in_crlf(bytes: &[u8]) -> bool {
    let [first, rest @ ..] = bytes else { return true };
    let pairs = bytes.iter().zip(rest);
    let paired = pairs.fold(true, |paired, (a, b)| paired & ((*a == b'\r') == (*b == b'\n')));
    paired && *first != b'\n' && bytes.last() != Some(&b'\r')
}

fn refuse(error: httparse::Error, bytes: &[u8]) -> Refusal {
    match error {
        httparse::Error::TooManyHeaders => Refusal::new(431, "too many fields"),
        httparse::Error::Version if names_http(bytes) => {
            Refusal::new(505, "HTTP version other than 1.0 and 1.1")
        }
        _ => Refusal::new(400, "malformed request"),
    }
}

/// Whether the request line ends in something like `HTTP/2.0`: a version, though not one of ours.
fn names_http(bytes: &[u8]) -> bool {
    let line = bytes.trim_ascii_start().split(|&byte| byte == b'\r').next().unwrap_or_default();
    let word = line.rsplit(|&byte| byte == b' ').next().unwrap_or_default();
    word.strip_prefix(b"HTTP/").and_then(<[u8]>::first).is_some_and(u8::is_ascii_digit)
}

/// The authority of an absolute form, and the target from its `/` on.
fn split_target(target: &str) -> Result<(Option<&str>, &str), Refusal> {
    if !target.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#') {
        return Err(Refusal::new(400, "malformed target"));
    }
    if target.starts_with('/') {
        return Ok((None, target));
    }
    // RFC 9112 §3.2.2: a server must accept the absolute form.
    let scheme_ends = target.find("://").ok_or(Refusal::new(400, "target is not a path"))?;
    let scheme = &target[..scheme_ends];
    if !["http", "https", "ws", "wss"].iter().any(|known| scheme.eq_ignore_ascii_case(known)) {
        return Err(Refusal::new(400, "target of an unknown scheme"));
    }
    let rest = &target[scheme_ends + 3..];
    match rest.find(['/', '?']) {
        None => Ok((Some(rest), "/")),
        Some(at) if rest[at..].starts_with('/') => Ok((Some(&rest[..at]), &rest[at..])),
        Some(_) => Err(Refusal::new(400, "target has no path")),
    }
}

/// The bytes of a host and port (RFC 3986 §3.2.2), less the comma that would join two hosts.
const fn is_host(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'-' | b'.'
                | b'_'
                | b'~'
                | b'%'
                | b':'
                | b'['
                | b']'
                | b'!'
                | b'$'
                | b'&'
                | b'\''
                | b'('
                | b')'
                | b'*'
                | b'+'
                | b';'
                | b'='
        )
}

fn ascii(value: &[u8]) -> Option<&str> {
    std::str::from_utf8(value).ok().filter(|value| value.is_ascii())
}
