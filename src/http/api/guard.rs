//! Who may use the API. With keys: who has one. Without: programs on this machine that speak to it directly, and nobody
//! who could be speaking for somebody else: no page of another origin, and no proxy.

use std::sync::Arc;

use crate::http::api::keys::Keys;
use crate::http::api::route::Refused;
use crate::wire::http::{Head, Response};

/// What the API's door goes by.
#[derive(Debug, Default)]
pub struct Guard {
    /// The keys; none: this machine alone.
    pub keys: Arc<Keys>,
    /// A key is asked for whether there is any or not.
    pub keyed: bool,
    /// Origins whose pages may use it, as a browser writes them; `*`: all, which only a guard with keys takes.
    pub origins: Vec<String>,
    /// Which listeners are on a loopback address, in the order of the server's.
    pub loopback: Vec<bool>,
}

/// How long a browser may remember a preflight, in seconds.
const PREFLIGHT_SECONDS: &str = "600";

impl Guard {
    /// Lets a request in.
    ///
    /// # Errors
    /// 401 or 403, and what to do about it.
    pub fn admit(&self, head: &Head<'_>, listener: usize) -> Result<(), Refused> {
        if self.keyed || !self.keys.is_empty() {
            return self.key(head);
        }
        let no = |error: &'static str| Err(Refused::new(403, error));
        if !self.loopback.get(listener).copied().unwrap_or(false) {
            return no("without a key the API answers on loopback alone: start rollcall with --api-key-file");
        }
        let forwarded = |name: &str| {
            let lower = name.to_ascii_lowercase();
            lower.starts_with("x-forwarded-") || ["forwarded", "via", "x-real-ip"].contains(&lower.as_str())
        };
        if head.fields.iter().any(|field| forwarded(field.name)) {
            return no(
                "this came through a proxy, and anybody may be behind it: start rollcall with --api-key-file",
            );
        }
        let host = head.field("Host").unwrap_or_default();
        if !is_loopback(host) {
            return no(
                "without a key the API is for this machine: ask http://127.0.0.1:PORT, or set --api-key-file",
            );
        }
        // A page elsewhere may well post to 127.0.0.1; what its browser says of it can't be forged by the page.
        let own = |origin: &str| {
            let rest = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
            rest.is_some_and(|rest| rest.eq_ignore_ascii_case(host))
        };
        let mut origins = head.values("Origin").peekable();
        let from_page = origins.peek().is_some();
        let known = |origin: &[u8]| {
            std::str::from_utf8(origin).is_ok_and(|origin| own(origin) || self.is_listed(origin))
        };
        if !origins.all(known) {
            return no("pages of that origin may not use the API: --cors-origin lets them");
        }
        let sites = head.values("Sec-Fetch-Site").any(|site| site == b"cross-site");
        if sites && !from_page {
            return no("a page elsewhere leads here: open the address itself, or use --cors-origin");
        }
        Ok(())
    }

    fn key(&self, head: &Head<'_>) -> Result<(), Refused> {
        let said = head.field("Authorization").and_then(|value| value.split_once(' '));
        let key = said.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("Bearer")).map(|(_, key)| key.trim());
        match key {
            Some(key) if self.keys.has(key) => Ok(()),
            Some(_) => Err(Refused::new(401, "that key is not one of this server's")),
            None => Err(Refused::new(401, "the API needs a key: send Authorization: Bearer KEY")),
        }
    }

    /// The origin that may read the answer, as it is to be written; `None` where no page asks, or none that may.
    #[must_use]
    pub fn reader(&self, head: &Head<'_>) -> Option<String> {
        let origin = head.field("Origin")?;
        if self.origins.iter().any(|listed| listed == "*") {
            return Some("*".to_owned());
        }
        self.is_listed(origin).then(|| origin.to_owned())
    }

    fn is_listed(&self, origin: &str) -> bool {
        self.origins.iter().any(|listed| listed == origin)
    }

    /// The answer to OPTIONS: what is allowed; and to a browser that asks whether a page may (the Fetch standard's CORS
    /// preflight, which carries no key), what the page may send.
    #[must_use]
    pub fn preflight(&self, head: &Head<'_>, allow: &'static str) -> Response {
        let response =
            Response { status: 204, content_type: "", fields: Vec::new(), body: (&b""[..]).into() };
        let response = response.with("Allow", allow);
        if self.reader(head).is_none() || head.field("Access-Control-Request-Method").is_none() {
            return response;
        }
        response
            .with("Access-Control-Allow-Methods", allow)
            .with("Access-Control-Allow-Headers", "Authorization, Content-Type")
            .with("Access-Control-Max-Age", PREFLIGHT_SECONDS)
    }
}

/// Whether a `Host` names this machine: a name that an outsider can point here does not.
fn is_loopback(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    if name.eq_ignore_ascii_case("localhost") || name == "[::1]" {
        return true;
    }
    let parts: Vec<&str> = name.split('.').collect();
    parts.len() == 4
        && parts[0] == "127"
        && parts.iter().all(|part| part.len() <= 3 && part.parse::<u8>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::http::Fields;

    fn status(guard: &Guard, lines: &str) -> u16 {
        let text = format!("POST /api/v1/broadcast HTTP/1.1\r\n{lines}\r\n");
        let mut fields = Fields::new();
        let head = Head::parse(text.as_bytes(), &mut fields).unwrap();
        guard.admit(&head, 0).map_or_else(|refused| refused.status, |()| 200)
    }

    #[test]
    fn without_a_key_only_this_machine_itself_gets_in() {
        let guard = Guard { loopback: vec![true], ..Guard::default() };
        for host in ["127.0.0.1:8080", "localhost", "LOCALHOST:1", "[::1]:8080", "[::1]", "127.9.8.7"] {
            assert_eq!(status(&guard, &format!("Host: {host}\r\n")), 200, "{host}");
        }
        for host in [
            "example.org",
            "127.0.0.1.example.org",
            "127.1",
            "localhost.example.org",
            "10.0.0.1",
            "127.0.0.300",
        ] {
            assert_eq!(status(&guard, &format!("Host: {host}\r\n")), 403, "{host}");
        }
        let host = "Host: 127.0.0.1:8080\r\n";
        for (lines, expected) in [
            ("X-Forwarded-For: 127.0.0.1", 403),
            ("x-forwarded-proto: http", 403),
            ("Forwarded: for=127.0.0.1", 403),
            ("Via: 1.1 proxy", 403),
            ("X-Real-IP: 127.0.0.1", 403),
            ("Origin: http://127.0.0.1:8080", 200),
            ("Origin: http://127.0.0.1:9090", 403),
            ("Origin: https://example.org", 403),
            ("Origin: null", 403),
            ("Origin: \u{e4}", 403),
            ("Sec-Fetch-Site: cross-site", 403),
            ("Sec-Fetch-Site: same-origin", 200),
            ("Sec-Fetch-Site: none", 200),
        ] {
            assert_eq!(status(&guard, &format!("{host}{lines}\r\n")), expected, "{lines}");
        }
        let outside = Guard { loopback: vec![false], ..Guard::default() };
        assert_eq!(status(&outside, host), 403);
        assert_eq!(status(&Guard::default(), host), 403, "nothing is known of the listener");
    }

    #[test]
    fn a_listed_origin_gets_in_without_a_key() {
        let origins = vec!["http://localhost:3000".to_owned()];
        let guard = Guard { loopback: vec![true], origins, ..Guard::default() };
        let cross = "Host: localhost:8080\r\nSec-Fetch-Site: cross-site\r\nOrigin:";
        assert_eq!(status(&guard, &format!("{cross} http://localhost:3000\r\n")), 200);
        assert_eq!(status(&guard, &format!("{cross} http://localhost:3001\r\n")), 403);
        let both = "Origin: http://localhost:3000\r\nOrigin: http://localhost:3001\r\n";
        assert_eq!(status(&guard, &format!("Host: localhost\r\n{both}")), 403);
    }

    #[test]
    fn with_a_key_the_key_alone_decides() {
        let guard = Guard { keys: Arc::new(Keys::new(vec!["good".into()])), ..Guard::default() };
        for (line, expected) in [
            ("", 401),
            ("Authorization: Bearer good\r\n", 200),
            ("authorization: bearer  good\r\n", 200),
            ("Authorization: Bearer goof\r\n", 401),
            ("Authorization: Basic good\r\n", 401),
            ("Authorization: good\r\n", 401),
            ("Authorization: Bearer good\r\nVia: x\r\nOrigin: https://a\r\n", 200),
        ] {
            assert_eq!(status(&guard, &format!("Host: example.org\r\n{line}")), expected, "{line}");
        }
        let lost = Guard { keyed: true, loopback: vec![true], ..Guard::default() };
        assert_eq!(status(&lost, "Host: localhost\r\n"), 401, "the keys are gone, the lock is not");
    }
}
