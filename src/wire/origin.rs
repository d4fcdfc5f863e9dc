//! Origins of pages (RFC 6454 §7), as browsers write them: which one is the server's own. Pure.

use crate::wire::http::Head;

/// The page that a request comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Page {
    /// None: the client is no browser.
    None,
    /// One of the server's own.
    Own,
    /// One of an origin that is named as one of ours.
    Named,
    /// Any other, and one whose origin can't be told.
    Foreign,
}

impl Page {
    /// The page that a request comes from, by its `Origin` and the `Host` that it asks for. `named`: exactly as browsers write them.
    pub(crate) fn of(head: &Head<'_>, named: &[String], is_secure: bool) -> Page {
        // Asked of the raw values: an Origin that isn't ASCII is one nevertheless.
        let mut origins = head.values("Origin");
        match (origins.next(), origins.next()) {
            (None, _) => Page::None,
            (Some(origin), None) if named.iter().any(|named| named.as_bytes() == origin) => Page::Named,
            (Some(origin), None) if is_own(origin, head.host(), is_secure) => Page::Own,
            (Some(_), _) => Page::Foreign,
        }
    }

    /// The same of a request that is no upgrade: browsers leave `Origin` out of those that fetch an image, a script or a page. They
    /// say with `Sec-Fetch-Site` (Fetch Metadata §2.4) whose page asks, older ones and those by `http://` with `Referer` alone.
    pub(crate) fn of_request(head: &Head<'_>, named: &[String], is_secure: bool) -> Page {
        let page = Page::of(head, named, is_secure);
        if page != Page::None {
            return page;
        }
        let site = head.values("Sec-Fetch-Site").next();
        if let Some(b"same-origin" | b"none") = site {
            return Page::Own;
        }
        let referer = head.values("Referer").next();
        let Some(origin) = referer.map(origin_of) else {
            return if site.is_some() { Page::Foreign } else { Page::None };
        };
        if named.iter().any(|named| named.as_bytes() == origin) {
            Page::Named
        } else if site.is_none() && is_own(origin, head.host(), is_secure) {
            Page::Own
        } else {
            Page::Foreign
        }
    }
}

/// The origin that a URL begins with.
fn origin_of(url: &[u8]) -> &[u8] {
    let authority = url.windows(3).position(|part| part == b"://").map_or(0, |at| at + 3);
    let end = url[authority..].iter().position(|byte| b"/?#".contains(byte));
    end.map_or(url, |end| &url[..authority + end])
}

/// Whether a page of this origin was served under `host`. `is_secure`: the connection speaks TLS here, and then the server's own
/// pages did too, and one of `http://` is anybody's who is on the way. Without, TLS may end at a proxy: either counts.
pub(crate) fn is_own(origin: &[u8], host: &str, is_secure: bool) -> bool {
    let of_scheme = |scheme: &[u8], port: &str| {
        let name = host.strip_suffix(port).unwrap_or(host);
        let is_it = |own: &[u8]| [host, name].iter().any(|host| own.eq_ignore_ascii_case(host.as_bytes()));
        origin.strip_prefix(scheme).is_some_and(|own| !own.is_empty() && is_it(own))
    };
    of_scheme(b"https://", ":443") || !is_secure && of_scheme(b"http://", ":80")
}

/// Whether a `Host` is one that nobody else can have: an address, or this machine. Anybody can have a name of his own resolve to
/// this machine when his page is there already (DNS rebinding).
pub(crate) fn is_address(host: &str) -> bool {
    let name = host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()));
    let name = name.map_or(host, |(name, _)| name);
    // No name has brackets around it, and none has a number behind its last dot.
    name.eq_ignore_ascii_case("localhost")
        || name.starts_with('[') && name.ends_with(']')
        || name.split('.').count() == 4 && name.split('.').all(|part| part.parse::<u8>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_told_from_a_name() {
        for host in ["127.0.0.1", "127.0.0.1:80", "[::1]", "[::1]:8080", "localhost", "LocalHost:1"] {
            assert!(is_address(host), "{host}");
        }
        for host in [
            "",
            ":80",
            "evil.example",
            "evil.example:80",
            "127.0.0.1.evil.example:80",
            "::1",
            "localhost.evil",
        ] {
            assert!(!is_address(host), "{host}");
        }
    }

    #[test]
    fn a_page_of_the_server_itself_is_known_by_the_host() {
        for (origin, host, own) in [
            ("http://example.org:8080", "example.org:8080", true),
            ("https://example.org", "Example.org", true),
            ("https://example.org", "example.org:443", true),
            ("http://example.org", "example.org:80", true),
            ("http://example.org:80", "example.org:80", true),
            ("http://[::1]:8080", "[::1]:8080", true),
            ("https://example.org:8443", "example.org:8443", true),
            ("http://example.org", "example.org:443", false),
            ("https://example.org", "example.org:80", false),
            ("http://example.org:8080", "example.org", false),
            ("http://example.org", "", false),
            ("http://", "", false),
            ("http://", ":80", false),
            ("null", "null", false),
            ("https://evil.example", "example.org", false),
            ("https://example.org.evil.example", "example.org", false),
            ("ftp://example.org", "example.org", false),
        ] {
            assert_eq!(is_own(origin.as_bytes(), host, false), own, "{origin} at {host}");
            let by_tls = own && origin.starts_with("https:");
            assert_eq!(is_own(origin.as_bytes(), host, true), by_tls, "{origin} at {host} by TLS");
        }
    }
}
