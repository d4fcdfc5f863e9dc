//! From where keys may be fetched. Anybody who can change them on their way can let anybody in: so by `https://`, and without TLS
//! only from the machine itself.

use std::fmt;
use std::net::IpAddr;

use ureq::http::Uri;

/// A URL that keys may be fetched from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeyUrl {
    text: String,
    is_local: bool,
    is_secure: bool,
}

/// Bytes of a URL: no provider's is nearly as long.
const URL_BYTES_MAX: usize = 2 << 10;

impl KeyUrl {
    /// Reads a URL.
    ///
    /// # Errors
    /// It is none, or one that keys are not fetched from: half a sentence.
    pub fn parse(text: &str) -> Result<KeyUrl, String> {
        const EXAMPLE: &str = "a URL like https://TENANT.eu.auth0.com/.well-known/jwks.json";
        if text.len() > URL_BYTES_MAX {
            return Err(format!("it is over {} KiB; {EXAMPLE} is meant", URL_BYTES_MAX >> 10));
        }
        let wrong = || format!("`{text}` is not {EXAMPLE}");
        if text.contains('#') {
            return Err(wrong());
        }
        let uri: Uri = text.parse().map_err(|_| wrong())?;
        let host = uri.host().filter(|host| !host.is_empty()).ok_or_else(wrong)?;
        let authority = uri.authority().map_or("", |authority| authority.as_str());
        if authority.contains('@') {
            return Err(
                "a name and password in it would stand in logs; keys are published for everybody".to_owned()
            );
        }
        // `Uri` takes any digits for a port, and says that there is none where they are none.
        if authority.len() > host.len() && uri.port_u16().is_none_or(|port| port == 0) {
            return Err(format!("`{text}`: the port is a number from 1 to 65535"));
        }
        let is_local = is_loopback(host);
        let url = |is_secure| KeyUrl { text: text.to_owned(), is_local, is_secure };
        match uri.scheme_str() {
            Some("https") => Ok(url(true)),
            Some("http") if is_local => Ok(url(false)),
            Some("http") => Err(format!(
                "`{text}`: whoever is on the way could change the keys; https:// is needed, except from this machine"
            )),
            _ => Err(wrong()),
        }
    }

    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it is by TLS.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        self.is_secure
    }

    /// Whether it is on this machine, where no proxy has anything to do.
    #[must_use]
    pub fn is_local(&self) -> bool {
        self.is_local
    }
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host.eq_ignore_ascii_case("localhost")
        || address.is_ok_and(|address| address.to_canonical().is_loopback())
}

impl fmt::Display for KeyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_by_tls_or_from_the_machine_itself() {
        for (text, is_local) in [
            ("https://tenant.eu.auth0.com/.well-known/jwks.json", false),
            ("https://sso.example.org:8443/realms/r/protocol/openid-connect/certs?x=1", false),
            ("HTTPS://sso.example.org", false),
            ("http://127.0.0.1:8080/jwks.json", true),
            ("http://127.9.9.9/", true),
            ("http://[::1]:8080/jwks.json", true),
            ("http://localhost:8080/jwks.json", true),
            ("https://localhost/jwks.json", true),
        ] {
            assert_eq!(KeyUrl::parse(text).unwrap().is_local(), is_local, "{text}");
        }
        for (text, why) in [
            ("http://sso.example.org/certs", "https:// is needed"),
            ("http://10.0.0.1/certs", "https:// is needed"),
            ("http://127.0.0.1.example.org/certs", "https:// is needed"),
            ("http://localhost.example.org/certs", "https:// is needed"),
            ("https://anna:secret@sso.example.org/certs", "a name and password"),
            ("https://sso.example.org:99999/certs", "the port is a number from 1 to 65535"),
            ("https://sso.example.org:65536", "the port is a number"),
            ("https://sso.example.org:0/certs", "the port is a number"),
            ("https://sso.example.org:/certs", "the port is a number"),
            ("http://127.0.0.1:99999/", "the port is a number"),
            ("http://[::1]:99999/", "the port is a number"),
            ("https://sso.example.org/certs#keys", "is not a URL like"),
            ("ftp://sso.example.org/certs", "is not a URL like"),
            ("file:///etc/keys.json", "is not a URL like"),
            ("sso.example.org", "is not a URL like"),
            ("/certs", "is not a URL like"),
            ("https://", "is not a URL like"),
            ("", "is not a URL like"),
        ] {
            let error = KeyUrl::parse(text).unwrap_err();
            assert!(error.contains(why) && !error.contains("secret"), "{text}: {error}");
        }
        assert!(KeyUrl::parse(&format!("https://a/{}", "x".repeat(2 << 10))).is_err());
    }
}
