//! Responses, written whole.

use crate::wire::http::refusal::Refusal;
use std::borrow::Cow;
use std::io::Write as _;

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
    pub body: Cow<'static, [u8]>,
}

impl Response {
    /// A response with `text/plain; charset=utf-8`; a line feed is added to the text.
    #[must_use]
    pub fn text(status: u16, text: &str) -> Response {
        let body = Cow::Owned(format!("{text}\n").into_bytes());
        Response { status, content_type: "text/plain; charset=utf-8", fields: Vec::new(), body }
    }

    /// The answer to a refusal, with `Sec-WebSocket-Version: 13`, `Upgrade: websocket` for a 426 and `Allow: GET` for a
    /// 405.
    #[must_use]
    pub fn refusal(refusal: &Refusal) -> Response {
        let response = Response::text(refusal.status, refusal.reason);
        match refusal.status {
            // RFC 9110 §15.5.6: a 405 says what is allowed.
            405 => response.with("Allow", "GET"),
            // RFC 6455 §4.2.2: the versions that are understood; RFC 9110 §15.5.22: what to upgrade to.
            426 => response.with("Sec-WebSocket-Version", "13").with("Upgrade", "websocket"),
            _ => response,
        }
    }

    /// Adds a field.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Response {
        self.fields.push((name, value.into()));
        self
    }

    /// Appends the response to `out`: status line, fields, `Content-Length`, `Connection: close` unless `keep_alive`
    /// (`Connection: keep-alive` where an HTTP/1.0 client asked for it is left to the caller's `fields`), and the body
    /// unless the request was HEAD. There is no `Date`: there is no clock here.
    pub fn write(&self, head_only: bool, keep_alive: bool, out: &mut Vec<u8>) {
        let Response { status, content_type, body, .. } = self;
        self.write_fields(keep_alive, out);
        // RFC 9110 §8.6: neither 1xx nor 204 has a length, nor a body.
        let bodiless = matches!(status, 100..=199 | 204);
        if !bodiless {
            if !body.is_empty() {
                line(out, format_args!("Content-Type: {content_type}"));
            }
            line(out, format_args!("Content-Length: {}", body.len()));
        }
        out.extend_from_slice(b"\r\n");
        if !bodiless && !head_only && *status != 304 {
            out.extend_from_slice(body);
        }
    }

    /// Appends the head of a response whose body is sent piece by piece: chunked (RFC 9112 §7.1), or until the connection ends.
    pub fn write_stream(&self, chunked: bool, keep_alive: bool, out: &mut Vec<u8>) {
        self.write_fields(keep_alive, out);
        line(out, format_args!("Content-Type: {}", self.content_type));
        if chunked {
            line(out, format_args!("Transfer-Encoding: chunked"));
        }
        out.extend_from_slice(b"\r\n");
    }

    /// The status line, the fields, and whether the connection stays.
    fn write_fields(&self, keep_alive: bool, out: &mut Vec<u8>) {
        let Response { status, fields, .. } = self;
        line(out, format_args!("HTTP/1.1 {status} {}", phrase(*status)));
        for (name, value) in fields {
            line(out, format_args!("{name}: {value}"));
        }
        // Whoever opens an answer in a browser sees it as what it is, in no frame, and tells nobody where they were.
        for (name, value) in GUARDS {
            if !fields.iter().any(|(other, _)| other.eq_ignore_ascii_case(name)) {
                line(out, format_args!("{name}: {value}"));
            }
        }
        // RFC 9110 §7.8: who sends Upgrade names it in Connection.
        let upgrade = fields.iter().any(|(name, _)| *name == "Upgrade");
        match (upgrade, keep_alive) {
            (true, true) => line(out, format_args!("Connection: Upgrade")),
            (true, false) => line(out, format_args!("Connection: Upgrade, close")),
            (false, false) => line(out, format_args!("Connection: close")),
            (false, true) => {}
        }
    }
}

/// Appends a piece of a body that [`Response::write_stream`] has begun.
pub(crate) fn write_piece(chunked: bool, piece: &[u8], out: &mut Vec<u8>) {
    // A chunk of no bytes would be the last.
    if piece.is_empty() {
        return;
    }
    if !chunked {
        return out.extend_from_slice(piece);
    }
    line(out, format_args!("{:x}", piece.len()));
    out.extend_from_slice(piece);
    out.extend_from_slice(b"\r\n");
}

/// The end of a chunked body.
pub(crate) const LAST_CHUNK: &[u8] = b"0\r\n\r\n";
/// Bytes that a chunk takes beside its piece, at most.
pub(crate) const CHUNK_BYTES: usize = 20;

/// Fields that every response has which doesn't say otherwise itself.
const GUARDS: [(&str, &str); 4] = [
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
    ("X-Frame-Options", "DENY"),
];

fn line(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    let written = out.write_fmt(text);
    debug_assert!(written.is_ok(), "a Vec takes everything");
    out.extend_from_slice(b"\r\n");
}

/// The reason phrase (RFC 9110 §15); clients don't read it.
const fn phrase(status: u16) -> &'static str {
    match status {
        100 => "Continue",
        101 => "Switching Protocols",
        200 => "OK",
        202 => "Accepted",
        204 => "No Content",
        304 => "Not Modified",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        417 => "Expectation Failed",
        421 => "Misdirected Request",
        426 => "Upgrade Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        505 => "HTTP Version Not Supported",
        _ => "Status",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(response: &Response, head_only: bool, keep_alive: bool) -> String {
        let mut out = Vec::new();
        response.write(head_only, keep_alive, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn response_says_its_length_and_whether_it_is_the_last() {
        let response = Response::text(200, "ok").with("Cache-Control", "no-store");
        let head = "HTTP/1.1 200 OK\r\nCache-Control: no-store\r\n\
                    X-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\n\
                    Content-Security-Policy: default-src 'none'; frame-ancestors 'none'\r\nX-Frame-Options: DENY\r\n\
                    Content-Type: text/plain; charset=utf-8\r\nContent-Length: 3\r\n\r\n";
        assert_eq!(written(&response, false, true), format!("{head}ok\n"));
        assert_eq!(written(&response, true, true), head);
        assert!(written(&response, false, false).contains("\r\nConnection: close\r\n"));
    }

    #[test]
    fn a_body_in_pieces_is_chunked_or_ends_with_the_connection() {
        let head = Response {
            status: 200,
            content_type: "text/event-stream",
            fields: vec![],
            body: b"a"[..].into(),
        };
        for (chunked, field, body) in [
            (true, "Transfer-Encoding: chunked\r\n", "1\r\na\r\n10\r\nbbbbbbbbbbbbbbbb\r\n"),
            (false, "", "abbbbbbbbbbbbbbbb"),
        ] {
            let mut out = Vec::new();
            head.write_stream(chunked, true, &mut out);
            write_piece(chunked, &head.body, &mut out);
            write_piece(chunked, b"bbbbbbbbbbbbbbbb", &mut out);
            write_piece(chunked, b"", &mut out);
            let text = String::from_utf8(out).unwrap();
            assert!(
                text.ends_with(&format!("Content-Type: text/event-stream\r\n{field}\r\n{body}")),
                "{text}"
            );
            assert!(!text.contains("Content-Length"), "{text}");
        }
    }

    #[test]
    fn empty_answer_has_neither_length_nor_type() {
        let response = Response { status: 204, content_type: "x", fields: vec![], body: Cow::Borrowed(b"") };
        let text = written(&response, false, true);
        assert!(text.starts_with("HTTP/1.1 204 No Content\r\n") && text.ends_with("\r\n\r\n"), "{text}");
        assert!(!text.contains("Content-Length") && !text.contains("Content-Type:"), "{text}");
    }

    #[test]
    fn a_response_keeps_its_own_word_on_what_may_frame_it() {
        let own = Response::text(200, "page").with("content-security-policy", "default-src 'self'");
        let text = written(&own, false, true);
        assert_eq!(text.matches("ecurity-").count(), 1, "{text}");
        assert!(
            text.contains("default-src 'self'") && text.contains("X-Content-Type-Options: nosniff"),
            "{text}"
        );
    }

    #[test]
    fn wrong_version_is_told_the_right_one() {
        // RFC 6455 §4.2.2
        let text = written(&Response::refusal(&Refusal::new(426, "version")), false, false);
        assert!(text.contains("\r\nSec-WebSocket-Version: 13\r\nUpgrade: websocket\r\n"), "{text}");
        assert!(text.contains("\r\nConnection: Upgrade, close\r\n"), "{text}");
        let text = written(&Response::refusal(&Refusal::new(405, "method")), false, false);
        assert!(text.contains("\r\nAllow: GET\r\n"));
    }
}
