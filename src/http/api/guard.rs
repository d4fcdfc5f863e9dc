//! Access to the API and `/metrics`: by a key, one on a Unix socket, one on an admin listener. Nothing else that a request
//! says or lacks makes it the operator's: not its `Host`, not its peer's address, which is a proxy's as well.

use std::fmt::{self, Display, Formatter};
use std::sync::Arc;

use crate::http::api::keys::ApiKeys;
use crate::http::api::refusal::ApiRefusal;
use crate::wire::http::{Head, Response};
use crate::wire::origin::is_own;

/// The rules of access to the API. The default lets nobody in.
#[derive(Debug, Default)]
pub struct Guard {
    /// The keys that are good.
    pub keys: Arc<ApiKeys>,
    /// Origins whose pages may use it, as a browser writes them; `*`: all, where they bring a key.
    pub origins: Vec<String>,
    /// The access rule of each listener, in their order; one that isn't in it asks for a key.
    pub listeners: Vec<Access>,
}

/// The access rule of a listener.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Access {
    /// A key.
    #[default]
    Key,
    /// Nothing: the permissions of its file say who may connect.
    UnixSocket,
    /// Nothing: it is there for the operator.
    Admin {
        /// It is on a loopback address.
        loopback: bool,
    },
}

/// How a request has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Way {
    /// The listener's place among the server's.
    pub listener: usize,
    /// It is known from which address.
    pub is_named: bool,
    /// By TLS that ends here.
    pub is_secure: bool,
}

/// By what a request was let in, as the log names it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Caller {
    /// The key of that number, counted from 1 as in [`ApiKeys::find`].
    Key(usize),
    /// A Unix socket.
    UnixSocket,
    /// An admin listener.
    Admin,
}

impl Display for Caller {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Caller::Key(number) => write!(f, "key {number}"),
            Caller::UnixSocket => f.write_str("unix socket"),
            Caller::Admin => f.write_str("admin listener"),
        }
    }
}

/// How long a browser may remember a preflight, in seconds.
const PREFLIGHT_SECONDS: &str = "600";
const NO_KEY: &str = "this needs a key: send Authorization: Bearer KEY; on the server's machine `rollcall key` prints it, \
                      or it is one of --api-key-file";
const WRONG_KEY: &str = "that key is not one of this server's: on its machine `rollcall key` prints the one of this run, or \
                         it is one of --api-key-file";

impl Guard {
    /// Lets a request in, and says by what.
    ///
    /// # Errors
    /// 401 or 403, and what to do about it.
    pub fn admit(&self, head: &Head<'_>, way: Way) -> Result<Caller, ApiRefusal> {
        if let Some(key) = given_key(head) {
            let number = key.and_then(|key| self.keys.find(key));
            return number.map(Caller::Key).ok_or(ApiRefusal::new(401, WRONG_KEY));
        }
        match self.listeners.get(way.listener).copied().unwrap_or_default() {
            Access::Key => Err(ApiRefusal::new(401, NO_KEY)),
            // A Unix socket has no addresses: a proxy has named one.
            Access::UnixSocket if way.is_named || is_forwarded(head) => Err(ApiRefusal::new(401, NO_KEY)),
            Access::UnixSocket => self.no_foreign_page(head, way).map(|()| Caller::UnixSocket),
            Access::Admin { loopback } => {
                if loopback && !is_loopback(head.host()) {
                    // A page may have its own name lead here (DNS rebinding): its requests bear that name.
                    let error = "ask this address as http://127.0.0.1:PORT, or send a key";
                    return Err(ApiRefusal::new(403, error));
                }
                self.no_foreign_page(head, way).map(|()| Caller::Admin)
            }
        }
    }

    /// A page elsewhere may well post to an address that only the operator reaches; what the browser says of the page can't
    /// be forged by it.
    fn no_foreign_page(&self, head: &Head<'_>, way: Way) -> Result<(), ApiRefusal> {
        let host = head.host();
        let known = |origin: &[u8]| {
            is_own(origin, host, way.is_secure)
                || std::str::from_utf8(origin).is_ok_and(|origin| self.is_listed(origin))
        };
        let mut origins = head.values("Origin").peekable();
        let from_page = origins.peek().is_some();
        if !origins.all(known) {
            let error = "pages of that origin need a key here, or --cors-origin with their origin";
            return Err(ApiRefusal::new(403, error));
        }
        if !from_page && head.values("Sec-Fetch-Site").any(|site| site == b"cross-site") {
            let error = "a page elsewhere leads here: open the address itself, or use --cors-origin";
            return Err(ApiRefusal::new(403, error));
        }
        Ok(())
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
        origin != "*" && self.origins.iter().any(|listed| listed == origin)
    }

    /// The answer to OPTIONS: what is allowed; and to a browser that asks whether a page may (the Fetch standard's CORS
    /// preflight, which carries no key), what the page may send.
    #[must_use]
    pub fn preflight(&self, head: &Head<'_>, allow: &'static str) -> Response {
        let response =
            Response { status: 204, content_type: "", fields: Vec::new(), body: (&b""[..]).into() };
        let response = response.with("Allow", allow);
        if self.reader(head).is_none() || head.values("Access-Control-Request-Method").next().is_none() {
            return response;
        }
        response
            .with("Access-Control-Allow-Methods", allow)
            .with("Access-Control-Allow-Headers", "Authorization, Content-Type")
            .with("Access-Control-Max-Age", PREFLIGHT_SECONDS)
    }
}

/// The key that a request brings: `None` where it brings none, `Some(None)` where what it brings can't be one.
fn given_key<'a>(head: &Head<'a>) -> Option<Option<&'a str>> {
    let mut values = head.values("Authorization");
    let only = values.next()?;
    let text = std::str::from_utf8(only).ok().filter(|_| values.next().is_none());
    let pair = text.and_then(|text| text.split_once(' '));
    Some(pair.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("Bearer")).map(|(_, key)| key.trim()))
}

/// Whether a proxy says in the request that it passes it on for somebody.
fn is_forwarded(head: &Head<'_>) -> bool {
    head.fields.iter().any(|field| {
        let name = field.name.to_ascii_lowercase();
        name.starts_with("x-forwarded-") || ["forwarded", "via", "x-real-ip"].contains(&name.as_str())
    })
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

    const ADMIN: Access = Access::Admin { loopback: true };

    fn guard(access: Access) -> Guard {
        let keys = Arc::new(ApiKeys::new(&["other".into(), "good".into()]));
        let origins = vec!["*".to_owned(), "http://localhost:3000".to_owned()];
        Guard { keys, origins, listeners: vec![access] }
    }

    fn admitted(guard: &Guard, lines: &str) -> Result<Caller, u16> {
        admitted_by(guard, Way::default(), lines)
    }

    fn admitted_by(guard: &Guard, way: Way, lines: &str) -> Result<Caller, u16> {
        let text = format!("POST /api/v1/broadcast HTTP/1.1\r\n{lines}\r\n");
        let mut fields = Fields::new();
        let head = Head::parse(text.as_bytes(), &mut fields).unwrap();
        guard.admit(&head, way).map_err(|refused| refused.status)
    }

    #[test]
    fn no_host_and_no_header_that_is_missing_stands_in_for_a_key() {
        let (known, unknown) = (guard(Access::Key), Guard { listeners: Vec::new(), ..guard(ADMIN) });
        for host in ["127.0.0.1:8080", "localhost", "[::1]:8080", "example.org", "127.0.0.1", "LOCALHOST:1"] {
            for line in ["", "Origin: http://localhost:3000\r\n", "Sec-Fetch-Site: same-origin\r\n"] {
                let lines = format!("Host: {host}\r\n{line}");
                assert_eq!(admitted(&known, &lines), Err(401), "{lines}");
                assert_eq!(admitted(&unknown, &lines), Err(401), "{lines}");
                assert_eq!(admitted(&Guard::default(), &lines), Err(401), "{lines}");
            }
        }
    }

    #[test]
    fn a_key_opens_every_listener_and_a_wrong_one_none() {
        for access in [Access::Key, Access::UnixSocket, ADMIN, Access::Admin { loopback: false }] {
            let guard = guard(access);
            for (line, expected) in [
                ("Authorization: Bearer good\r\n", Ok(Caller::Key(2))),
                ("authorization: bearer  other\r\n", Ok(Caller::Key(1))),
                ("Authorization: Bearer good\r\nVia: x\r\nOrigin: https://a\r\n", Ok(Caller::Key(2))),
                ("Authorization: Bearer goof\r\n", Err(401)),
                ("Authorization: Bearer \r\n", Err(401)),
                ("Authorization: Basic good\r\n", Err(401)),
                ("Authorization: good\r\n", Err(401)),
                ("Authorization: Bearer good\r\nAuthorization: Bearer good\r\n", Err(401)),
                ("Authorization: Bearer \u{e4}\r\n", Err(401)),
            ] {
                let lines = format!("Host: example.org\r\n{line}");
                assert_eq!(admitted(&guard, &lines), expected, "{access:?} {line}");
            }
        }
    }

    #[test]
    fn an_admin_listener_on_loopback_is_asked_by_names_of_this_machine() {
        let (here, beyond) = (guard(ADMIN), guard(Access::Admin { loopback: false }));
        for host in ["127.0.0.1:8080", "localhost", "LOCALHOST:1", "[::1]:8080", "[::1]", "127.9.8.7"] {
            assert_eq!(admitted(&here, &format!("Host: {host}\r\n")), Ok(Caller::Admin), "{host}");
        }
        for host in [
            "example.org",
            "127.0.0.1.example.org",
            "127.1",
            "localhost.example.org",
            "10.0.0.1",
            "127.0.0.300",
        ] {
            assert_eq!(admitted(&here, &format!("Host: {host}\r\n")), Err(403), "{host}");
            assert_eq!(admitted(&beyond, &format!("Host: {host}\r\n")), Ok(Caller::Admin), "{host}");
        }
    }

    #[test]
    fn an_absolute_target_says_whom_a_request_asks_whatever_its_host_says() {
        let admit = |target: &str, lines: &str| {
            let text = format!("POST {target} HTTP/1.1\r\n{lines}\r\n");
            let mut fields = Fields::new();
            let head = Head::parse(text.as_bytes(), &mut fields).unwrap();
            guard(ADMIN).admit(&head, Way::default()).map_err(|refused| refused.status)
        };
        let (here, elsewhere) =
            ("http://127.0.0.1:80/api/v1/broadcast", "http://example.org/api/v1/broadcast");
        assert_eq!(admit(here, "Host: example.org\r\n"), Ok(Caller::Admin));
        assert_eq!(admit(elsewhere, "Host: 127.0.0.1:80\r\n"), Err(403));
        assert_eq!(admit(here, "Host: a\r\nOrigin: http://127.0.0.1:80\r\n"), Ok(Caller::Admin));
        assert_eq!(admit(here, "Host: a\r\nOrigin: http://a\r\n"), Err(403));
    }

    #[test]
    fn over_tls_a_page_without_it_is_one_elsewhere() {
        for (is_secure, origin, expected) in [
            (false, "http://127.0.0.1:8080", Ok(Caller::Admin)),
            (false, "https://127.0.0.1:8080", Ok(Caller::Admin)),
            (true, "https://127.0.0.1:8080", Ok(Caller::Admin)),
            (true, "http://localhost:3000", Ok(Caller::Admin)),
            (true, "http://127.0.0.1:8080", Err(403)),
        ] {
            let way = Way { is_secure, ..Way::default() };
            let lines = format!("Host: 127.0.0.1:8080\r\nOrigin: {origin}\r\n");
            assert_eq!(admitted_by(&guard(ADMIN), way, &lines), expected, "{is_secure} {origin}");
        }
    }

    #[test]
    fn pages_elsewhere_use_no_listener_without_a_key() {
        for (access, caller) in [(ADMIN, Caller::Admin), (Access::UnixSocket, Caller::UnixSocket)] {
            for (lines, expected) in [
                ("Origin: http://127.0.0.1:8080", Ok(caller)),
                ("Origin: http://localhost:3000", Ok(caller)),
                ("Origin: http://localhost:3000\r\nSec-Fetch-Site: cross-site", Ok(caller)),
                ("Origin: http://127.0.0.1:9090", Err(403)),
                ("Origin: https://example.org", Err(403)),
                ("Origin: *", Err(403)),
                ("Origin: null", Err(403)),
                ("Origin: \u{e4}", Err(403)),
                ("Origin: http://localhost:3000\r\nOrigin: http://localhost:3001", Err(403)),
                ("Sec-Fetch-Site: cross-site", Err(403)),
                ("Sec-Fetch-Site: same-origin", Ok(caller)),
                ("Sec-Fetch-Site: none", Ok(caller)),
            ] {
                let lines = format!("Host: 127.0.0.1:8080\r\n{lines}\r\n");
                assert_eq!(admitted(&guard(access), &lines), expected, "{access:?} {lines}");
            }
        }
    }

    #[test]
    fn what_a_proxy_passes_on_to_a_unix_socket_needs_a_key() {
        for line in [
            "X-Forwarded-For: 127.0.0.1",
            "x-forwarded-proto: http",
            "Forwarded: for=127.0.0.1",
            "Via: 1.1 proxy",
            "X-Real-IP: 127.0.0.1",
        ] {
            let lines = format!("Host: localhost\r\n{line}\r\n");
            assert_eq!(admitted(&guard(Access::UnixSocket), &lines), Err(401), "{line}");
        }
    }
}
