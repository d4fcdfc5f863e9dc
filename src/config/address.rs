//! Addresses to listen on: `HOST:PORT`, `[::1]:PORT`, `ws://HOST:PORT`, `wss://HOST:PORT`, `unix:/PATH`.

use std::fmt::{Display, Formatter};
use std::net::{Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// An address as written; a name is looked up when the server starts.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub(crate) enum ListenAddress {
    /// TCP, or TLS over it.
    Net {
        tls: bool,
        /// A name, an IPv4 address, or an IPv6 address without its brackets.
        host: String,
        port: u16,
    },
    /// The file of a Unix socket.
    Unix(String),
}

/// An address that was looked up.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum ListenEndpoint {
    Tcp(SocketAddr),
    Tls(SocketAddr),
    Unix(PathBuf),
}

impl ListenEndpoint {
    /// Its address, where it has one.
    pub(crate) const fn address(&self) -> Option<SocketAddr> {
        match self {
            ListenEndpoint::Tcp(address) | ListenEndpoint::Tls(address) => Some(*address),
            ListenEndpoint::Unix(_) => None,
        }
    }
}

impl ListenAddress {
    /// The address that the host stands for; of a name's several the first IPv4 one, which every client can reach.
    ///
    /// # Errors
    /// The name is unknown: one line.
    pub(crate) fn resolve(&self) -> Result<ListenEndpoint, String> {
        let (tls, host, port) = match self {
            ListenAddress::Net { tls, host, port } => (tls, host, port),
            ListenAddress::Unix(path) => return Ok(ListenEndpoint::Unix(path.into())),
        };
        let found: Vec<SocketAddr> = (host.as_str(), *port)
            .to_socket_addrs()
            .map_err(|error| format!("can't look up `{host}`: {error}"))?
            .collect();
        let first = found.iter().find(|address| address.is_ipv4()).or(found.first());
        let address = *first.ok_or_else(|| format!("`{host}` has no address"))?;
        Ok(if *tls { ListenEndpoint::Tls(address) } else { ListenEndpoint::Tcp(address) })
    }
}

/// The longest name of a Unix socket that a system takes, with the zero that ends it.
const UNIX_PATH_BYTES_MAX: usize = 108;

fn unix(text: &str, path: &str) -> Result<ListenAddress, String> {
    // A URL may have an empty host before its path.
    let path = path.strip_prefix("//").unwrap_or(path);
    if !path.starts_with('/') || path.ends_with('/') {
        return Err(format!("`{text}`: a Unix socket is an absolute path, as in unix:/run/rollcall.sock"));
    }
    if path.len() >= UNIX_PATH_BYTES_MAX {
        return Err(format!("`{text}`: the path is longer than {} bytes", UNIX_PATH_BYTES_MAX - 1));
    }
    Ok(ListenAddress::Unix(path.to_owned()))
}

impl FromStr for ListenAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<ListenAddress, String> {
        if let Some(path) = text.strip_prefix("unix:") {
            return unix(text, path);
        }
        let (scheme, rest) = match text.split_once("://") {
            Some((scheme, rest)) => (Some(scheme), rest.strip_suffix('/').unwrap_or(rest)),
            None => (None, text),
        };
        let tls = match scheme {
            None | Some("ws" | "http") => false,
            Some("wss" | "https") => true,
            Some(_) => return Err(format!("`{text}`: the scheme is ws://, wss://, unix:/PATH, or none")),
        };
        if rest.contains('/') {
            return Err(format!("`{text}` has a path: every address serves all paths"));
        }
        let (host, port) = split(text, rest)?;
        let port = match port {
            Some(port) => {
                self::port(port).ok_or_else(|| format!("`{text}`: the port is a number up to 65535"))?
            }
            None if tls => 443,
            None if scheme.is_some() => 80,
            None => return Err(format!("`{text}` has no port: {rest}:8080")),
        };
        Ok(ListenAddress::Net { tls, host: host.to_owned(), port })
    }
}

/// The port that these digits are. `parse` alone would take a sign.
pub(super) fn port(digits: &str) -> Option<u16> {
    digits.parse().ok().filter(|_| digits.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Host without brackets, and port.
fn split<'a>(text: &str, rest: &'a str) -> Result<(&'a str, Option<&'a str>), String> {
    if let Some(bracketed) = rest.strip_prefix('[') {
        let (host, port) =
            bracketed.split_once(']').ok_or_else(|| format!("`{text}`: the bracket isn't closed"))?;
        if host.parse::<Ipv6Addr>().is_err() {
            return Err(format!("`{text}`: no IPv6 address stands in the brackets"));
        }
        return match port.strip_prefix(':') {
            Some(port) => Ok((host, Some(port))),
            None if port.is_empty() => Ok((host, None)),
            None => Err(format!("`{text}`: after the bracket comes :PORT")),
        };
    }
    let (host, port) = rest.rsplit_once(':').map_or((rest, None), |(host, port)| (host, Some(port)));
    if host.is_empty() {
        let port = port.unwrap_or("8080");
        return Err(format!(
            "`{text}` has no host: 127.0.0.1:{port} for this machine alone, 0.0.0.0:{port} for everybody"
        ));
    }
    if host.contains(':') {
        return Err(format!("`{text}`: an IPv6 address stands in brackets, as in [::1]:8080"));
    }
    if port.is_none() && host.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!("`{text}` has no host: 127.0.0.1:{host}"));
    }
    Ok((host, port))
}

impl Display for ListenAddress {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        let (tls, host, port) = match self {
            ListenAddress::Net { tls, host, port } => (tls, host, port),
            ListenAddress::Unix(path) => return write!(f, "unix:{path}"),
        };
        let scheme = if *tls { "wss://" } else { "" };
        let (open, close) = if host.contains(':') { ("[", "]") } else { ("", "") };
        write!(f, "{scheme}{open}{host}{close}:{port}")
    }
}

impl TryFrom<String> for ListenAddress {
    type Error = String;

    fn try_from(text: String) -> Result<ListenAddress, String> {
        text.parse()
    }
}

impl From<ListenAddress> for String {
    fn from(address: ListenAddress) -> String {
        address.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_people_write_them() {
        for (text, written) in [
            ("127.0.0.1:8080", "127.0.0.1:8080"),
            ("[::1]:0", "[::1]:0"),
            ("ws://0.0.0.0:9000/", "0.0.0.0:9000"),
            ("ws://[::]", "[::]:80"),
            ("localhost:80", "localhost:80"),
            ("wss://[::1]", "wss://[::1]:443"),
            ("https://localhost:8443", "wss://localhost:8443"),
            ("unix:/run/s", "unix:/run/s"),
            ("unix:///run/s", "unix:/run/s"),
        ] {
            assert_eq!(text.parse::<ListenAddress>().unwrap().to_string(), written);
        }
        let resolve = |text: &str| text.parse::<ListenAddress>().unwrap().resolve().unwrap();
        assert_eq!(resolve("[::1]:7"), ListenEndpoint::Tcp("[::1]:7".parse().unwrap()));
        assert_eq!(resolve("wss://[::1]:7"), ListenEndpoint::Tls("[::1]:7".parse().unwrap()));
        assert_eq!(resolve("unix:/run/s"), ListenEndpoint::Unix("/run/s".into()));
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, part) in [
            ("unix:run/x", "absolute"),
            ("unix:/run/", "absolute"),
            (&format!("unix:/{}", "x".repeat(107)), "107 bytes"),
            ("ftp://x:1", "ws://"),
            (":8080", "0.0.0.0:8080"),
            ("8080", "127.0.0.1:8080"),
            ("example", "no port"),
            ("::1:8080", "brackets"),
            ("[::1:8080", "closed"),
            ("[x]:1", "IPv6"),
            ("x:99999", "65535"),
            ("x:+80", "65535"),
            ("wss://x:", "65535"),
            ("ws://x:1/chat", "path"),
        ] {
            let error = text.parse::<ListenAddress>().unwrap_err();
            assert!(error.contains(part) && !error.contains('\n'), "{text}: {error}");
        }
    }
}
