//! Where to listen: `HOST:PORT`, `[::1]:PORT`, `ws://HOST:PORT`.

use std::fmt::{Display, Formatter};
use std::net::{Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// An address as written; a name is looked up when the server starts.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub(crate) struct Address {
    /// A name, an IPv4 address, or an IPv6 address without its brackets.
    host: String,
    port: u16,
}

impl Address {
    /// The address that the host stands for; of a name's several the first IPv4 one, which every client can reach.
    ///
    /// # Errors
    /// The name is unknown: one line.
    pub(crate) fn resolve(&self) -> Result<SocketAddr, String> {
        let found: Vec<SocketAddr> = (self.host.as_str(), self.port)
            .to_socket_addrs()
            .map_err(|error| format!("can't look up `{}`: {error}", self.host))?
            .collect();
        let first = found.iter().find(|address| address.is_ipv4()).or(found.first());
        first.copied().ok_or_else(|| format!("`{}` has no address", self.host))
    }
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Address, String> {
        let (scheme, rest) = match text.split_once("://") {
            Some((scheme, rest)) => (Some(scheme), rest.strip_suffix('/').unwrap_or(rest)),
            None => (None, text),
        };
        match scheme {
            None | Some("ws" | "http") => {}
            Some("wss" | "https") => {
                return Err(format!("`{text}`: this version has no TLS; put a proxy that has it in front"));
            }
            Some(_) => return Err(format!("`{text}`: the scheme is ws://, or none")),
        }
        if text.starts_with("unix:") {
            return Err(format!("`{text}`: this version has no Unix sockets; listen on 127.0.0.1:PORT"));
        }
        if rest.contains('/') {
            return Err(format!("`{text}` has a path: every address serves all paths"));
        }
        let (host, port) = split(text, rest)?;
        let port = match port {
            Some(port) => port.parse().map_err(|_| format!("`{text}`: the port is a number up to 65535"))?,
            None if scheme.is_some() => 80,
            None => return Err(format!("`{text}` has no port: {rest}:8080")),
        };
        Ok(Address { host: host.to_owned(), port })
    }
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

impl Display for Address {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        let (open, close) = if self.host.contains(':') { ("[", "]") } else { ("", "") };
        write!(f, "{open}{}{close}:{}", self.host, self.port)
    }
}

impl TryFrom<String> for Address {
    type Error = String;

    fn try_from(text: String) -> Result<Address, String> {
        text.parse()
    }
}

impl From<Address> for String {
    fn from(address: Address) -> String {
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
        ] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), written);
        }
        assert_eq!("[::1]:7".parse::<Address>().unwrap().resolve().unwrap(), "[::1]:7".parse().unwrap());
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, part) in [
            ("wss://x:1", "no TLS"),
            ("unix:/run/x", "no Unix sockets"),
            ("ftp://x:1", "ws://"),
            (":8080", "0.0.0.0:8080"),
            ("8080", "127.0.0.1:8080"),
            ("example", "no port"),
            ("::1:8080", "brackets"),
            ("[::1:8080", "closed"),
            ("[x]:1", "IPv6"),
            ("x:99999", "65535"),
            ("ws://x:1/chat", "path"),
        ] {
            let error = text.parse::<Address>().unwrap_err();
            assert!(error.contains(part) && !error.contains('\n'), "{text}: {error}");
        }
    }
}
