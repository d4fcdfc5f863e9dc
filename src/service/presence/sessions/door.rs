//! The pages whose requests for sessions count, and how their answers are written: for whom else they may be read, and compressed.

use crate::limits::GZIP_BYTES_MIN;
use crate::service::presence::coming::FOREIGN_ORIGIN;
use crate::session::SessionKey;
use crate::wire::http::{Head, Response, gzip};
use crate::wire::origin::Page;

/// How a request has come, for its answer.
#[derive(Clone, Debug)]
pub(crate) struct Door {
    readers: Readers,
    gzip: bool,
    /// The session that it is for.
    pub(super) key: Option<SessionKey>,
}

/// The pages of other origins that may read an answer (the Fetch standard's CORS).
#[derive(Clone, Debug)]
enum Readers {
    /// None: no page of another origin asks.
    None,
    /// Any: with no credentials that the browser adds by itself.
    Any,
    /// Those of this origin, which is named, with credentials.
    Named(Box<str>),
}

/// The types of content that a page of strangers may send: browsers ask first whether it may (a preflight), which a form never does.
const NOT_SIMPLE: &str = "a page of another origin sends Content-Type: application/json or application/x-ndjson here; see --origin";
/// A page reads no field of an answer beside the usual ones unless that is said (the Fetch standard's CORS).
const EXPOSE: &str = "Access-Control-Expose-Headers";
/// For how long a browser may remember what it was answered, in seconds.
const PREFLIGHT_SECONDS: &str = "600";

impl Door {
    /// How a request has come, and whether credentials count that a browser adds by itself. `named`: the origins that may connect; none: any.
    ///
    /// # Errors
    /// 403: pages of that origin may not connect. 415: a page of strangers has not asked whether it may.
    pub(super) fn of(head: &Head<'_>, named: &[String], is_secure: bool) -> Result<(Door, bool), Response> {
        let page = Page::of_request(head, named, is_secure);
        if page == Page::Foreign && !named.is_empty() {
            return Err(Response::text(403, FOREIGN_ORIGIN).with("Vary", "Origin"));
        }
        let readers = match page {
            Page::None | Page::Own => Readers::None,
            Page::Foreign => Readers::Any,
            Page::Named => head.field("Origin").map_or(Readers::None, |origin| Readers::Named(origin.into())),
        };
        let door = Door { readers, gzip: head.accepts_gzip(), key: None };
        if page == Page::Foreign && head.method == "POST" && is_simple(head) {
            return Err(door.dress(Response::text(415, NOT_SIMPLE)));
        }
        let is_ours = match page {
            // A client that brings cookies and says of no page that it asks may be a browser that hides whose page does.
            Page::None => head.values("Cookie").next().is_none(),
            Page::Own | Page::Named => true,
            Page::Foreign => false,
        };
        Ok((door, is_ours))
    }

    /// The answer as it is written: not kept by caches, and read by whom it may be.
    pub(super) fn dress(&self, response: Response) -> Response {
        let response = self.compressed(response).with("Cache-Control", "no-store").with("Vary", "Origin");
        match &self.readers {
            Readers::None => response,
            Readers::Any => response.with("Access-Control-Allow-Origin", "*").with(EXPOSE, "Retry-After"),
            Readers::Named(origin) => response
                .with("Access-Control-Allow-Origin", &**origin)
                .with("Access-Control-Allow-Credentials", "true")
                .with(EXPOSE, "Retry-After"),
        }
    }

    /// The door of a request for a session.
    pub(super) fn to(&self, key: SessionKey) -> Door {
        Door { key: Some(key), ..self.clone() }
    }

    /// The same of an answer that goes on.
    pub(super) fn dress_stream(&self, response: Response) -> Response {
        Door { gzip: false, ..self.clone() }.dress(response)
    }

    fn compressed(&self, mut response: Response) -> Response {
        if !self.gzip || response.body.len() < GZIP_BYTES_MIN {
            return response;
        }
        match gzip(&response.body) {
            Some(body) => {
                response.body = body.into();
                response.with("Content-Encoding", "gzip")
            }
            None => response,
        }
    }

    /// The answer to OPTIONS: what is allowed, and to a browser that asks for a page, what that may send.
    pub(super) fn preflight(&self, head: &Head<'_>, allow: &'static str) -> Response {
        let response =
            Response { status: 204, content_type: "", fields: Vec::new(), body: (&b""[..]).into() };
        let response = self.dress(response.with("Allow", allow));
        if matches!(self.readers, Readers::None)
            || head.values("Access-Control-Request-Method").next().is_none()
        {
            return response;
        }
        response
            .with("Access-Control-Allow-Methods", allow)
            .with("Access-Control-Allow-Headers", "Authorization, Content-Type, Last-Event-ID")
            .with("Access-Control-Max-Age", PREFLIGHT_SECONDS)
    }
}

/// Whether a request is of those that a page may send anywhere without asking: a form's, or a fetch of text.
fn is_simple(head: &Head<'_>) -> bool {
    let mut types = head.values("Content-Type");
    let (Some(only), None) = (types.next(), types.next()) else { return true };
    let essence = only.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    let named = [&b"application/json"[..], b"application/x-ndjson"];
    !named.iter().any(|named| essence.eq_ignore_ascii_case(named))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::http::Fields;

    /// The fields that a response has for its page, and whether that is the server's own.
    type Dressed = (Vec<(&'static str, String)>, bool);

    fn come(lines: &str, named: &[&str]) -> Result<Dressed, u16> {
        let text = format!("POST /poll HTTP/1.1\r\nHost: example.org\r\n{lines}\r\n");
        let mut storage = Fields::new();
        let head = Head::parse(text.as_bytes(), &mut storage).unwrap();
        let named: Vec<String> = named.iter().map(|&origin| origin.to_owned()).collect();
        let (door, is_ours) = Door::of(&head, &named, false).map_err(|refused| refused.status)?;
        let fields = door.dress(Response::text(200, "x")).fields;
        let is_cors = |(name, _): &(&str, String)| name.starts_with("Access-Control");
        Ok((fields.into_iter().filter(is_cors).collect(), is_ours))
    }

    #[test]
    fn pages_come_in_as_an_upgrade_of_theirs_would() {
        let json = "Content-Type: application/json\r\n";
        let of = |origin: &str| format!("Origin: {origin}\r\n{json}");
        assert_eq!(come("", &[]), Ok((vec![], true)), "no browser");
        assert_eq!(come(&of("http://example.org"), &["http://other.example"]), Ok((vec![], true)));
        assert_eq!(come(&of("http://evil.example"), &["http://other.example"]), Err(403));
        assert_eq!(come(&of("null"), &["http://other.example"]), Err(403));
        let exposed = (EXPOSE, "Retry-After".to_owned());
        let any = vec![("Access-Control-Allow-Origin", "*".to_owned()), exposed.clone()];
        assert_eq!(come(&of("http://evil.example"), &[]), Ok((any, false)), "with no credentials");
        let named = vec![
            ("Access-Control-Allow-Origin", "http://other.example".to_owned()),
            ("Access-Control-Allow-Credentials", "true".to_owned()),
            exposed,
        ];
        assert_eq!(come(&of("http://other.example"), &["http://other.example"]), Ok((named, true)));
    }

    /// What an image, a script or a link on a page of strangers fetches comes without `Origin`, but with cookies.
    #[test]
    fn credentials_count_where_it_is_known_whose_page_asks() {
        let named = ["http://other.example"];
        let ours =
            |lines: &str, named: &[&str]| come(lines, named).map(|(fields, ours)| (fields.len(), ours));
        let cookie = "Cookie: rollcall_token=t\r\n";
        for (page, with_named, with_none) in [
            ("", Ok((0, false)), Ok((0, false))),
            ("Sec-Fetch-Site: same-origin\r\n", Ok((0, true)), Ok((0, true))),
            ("Sec-Fetch-Site: none\r\n", Ok((0, true)), Ok((0, true))),
            ("Sec-Fetch-Site: same-site\r\n", Err(403), Err(415)),
            ("Sec-Fetch-Site: cross-site\r\n", Err(403), Err(415)),
            ("Referer: http://example.org/page?x\r\n", Ok((0, true)), Ok((0, true))),
            ("Referer: http://other.example/\r\n", Ok((0, true)), Err(415)),
            ("Referer: http://example.org.evil.example/http://example.org/\r\n", Err(403), Err(415)),
            ("Referer: http://evil.example?http://example.org/\r\n", Err(403), Err(415)),
            // A page of ours that was led on by one of strangers.
            ("Sec-Fetch-Site: cross-site\r\nReferer: http://example.org/\r\n", Err(403), Err(415)),
            ("Sec-Fetch-Site: cross-site\r\nReferer: http://other.example/x\r\n", Ok((0, true)), Err(415)),
            ("Origin: http://evil.example\r\nSec-Fetch-Site: same-origin\r\n", Err(403), Err(415)),
        ] {
            let lines = format!("{cookie}{page}");
            assert_eq!((ours(&lines, &named), ours(&lines, &[])), (with_named, with_none), "{page}");
        }
        assert_eq!(ours("", &[]), Ok((0, true)), "a certificate, shown by what is no browser");
    }

    #[test]
    fn a_form_of_strangers_does_nothing() {
        let foreign = "Origin: http://evil.example\r\n";
        for simple in [
            "",
            "Content-Type: text/plain\r\n",
            "Content-Type: application/x-www-form-urlencoded\r\n",
            "Content-Type: multipart/form-data; boundary=x\r\n",
            "Content-Type: text/plain; application/json\r\n",
            "Content-Type: application/json\r\nContent-Type: text/plain\r\n",
        ] {
            assert_eq!(come(&format!("{foreign}{simple}"), &[]), Err(415), "{simple}");
            assert!(come(simple, &[]).is_ok(), "no page: {simple}");
            assert!(come(&format!("Origin: http://example.org\r\n{simple}"), &[]).is_ok(), "{simple}");
        }
        for asked in ["application/json; charset=utf-8", "Application/X-NDJSON"] {
            assert!(come(&format!("{foreign}Content-Type: {asked}\r\n"), &[]).is_ok(), "{asked}");
        }
    }
}
