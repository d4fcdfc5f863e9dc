//! Whom the load is put on: a `ws://` or `wss://` URL, resolved, and asked once before anything else so that what is wrong with it is
//! said in one line.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

use rollcall::internals::wire::client::{self, HandshakeError, Request};
use rollcall::internals::wire::deflate::Offer;
use rustls::StreamOwned;

use crate::engine::carrier::Carrier;
use crate::engine::tls::Peer;
use crate::refusal;

/// How long the first connection may take to be answered.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);
/// The nonce of every upgrade. It need not be random here: no cache stands between, and it makes one request for all.
pub const NONCE: [u8; 16] = *b"loadtest's nonce";

/// A server's endpoint.
#[derive(Clone, Debug)]
pub struct Target {
    pub url: String,
    pub address: SocketAddr,
    /// Requests name these: host and port, and path and query.
    pub host: String,
    pub path: String,
    /// What it offers about compression.
    pub offer: Option<Offer>,
    pub tls: Option<Peer>,
    /// What carries its connections.
    pub carrier: Carrier,
}

/// The flags for what a URL may lead to.
#[derive(Clone, Copy, Default, Debug, clap::Args)]
pub struct Allow {
    /// Put load on a server that is not on this machine
    #[arg(long)]
    allow_remote: bool,
    /// Take any certificate for good behind wss://, of a server on this machine
    #[arg(long)]
    insecure: bool,
}

impl Target {
    /// Reads `ws://HOST[:PORT][/PATH][?QUERY]` or the same with `wss://`, and resolves the host, which must be this machine unless
    /// remote ones are allowed.
    pub fn parse(url: &str, allow: Allow) -> Result<Target, String> {
        let (tls, rest) = match url.split_once("://") {
            Some(("ws", rest)) => (false, rest),
            Some(("wss", rest)) => (true, rest),
            Some((other, _)) => {
                return Err(format!("{url}: loadtest speaks ws:// and wss://, not {other}://"));
            }
            None => return Err(format!("{url}: a URL starts with ws://, as in ws://127.0.0.1:8080/echo")),
        };
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (host, path) = rest.split_at(end);
        let path = path.split('#').next().unwrap_or_default();
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        if host.is_empty() {
            return Err(format!("{url}: a URL names a host, as in ws://127.0.0.1:8080/echo"));
        }
        let address = resolve(host, if tls { 443 } else { 80 }).map_err(|error| format!("{url}: {error}"))?;
        if tls && !(allow.insecure && address.ip().is_loopback()) {
            return Err(format!(
                "{url}: loadtest checks no certificate: say --insecure, for a server on this machine alone"
            ));
        }
        let tls = tls.then(|| Peer::unchecked(host)).transpose()?;
        if !allow.allow_remote && !address.ip().is_loopback() {
            return Err(format!(
                "{url}: {} is not this machine; if it is yours to load, say --allow-remote",
                address.ip()
            ));
        }
        Ok(Target {
            url: url.to_owned(),
            address,
            host: host.to_owned(),
            path,
            offer: None,
            tls,
            carrier: Carrier::Websocket,
        })
    }

    /// Appends the request that opens a connection, by a path with its query.
    pub fn write_request(&self, path: &str, subprotocols: &[&str], out: &mut Vec<u8>) {
        if !self.carrier.is_websocket() {
            return self.carrier.write_request(&self.host, path, out);
        }
        let offer = self.offer.map(|offer| offer.field());
        let fields = offer.as_ref().map(|offer| ("Sec-WebSocket-Extensions", offer.as_str()));
        Request { host: &self.host, target: path, subprotocols, fields: fields.as_slice() }.write(NONCE, out);
    }

    /// Opens one connection, upgrades it and lets go of it. The error is one line for a person.
    pub fn probe(&self) -> Result<(), String> {
        let refused = |error: std::io::Error| match error.kind() {
            ErrorKind::ConnectionRefused => format!("nothing listens at {} ({})", self.address, self.url),
            ErrorKind::TimedOut | ErrorKind::WouldBlock => {
                format!("{} did not answer the upgrade within {PROBE_TIMEOUT:?}", self.url)
            }
            _ => format!("{}: {error}", self.url),
        };
        let stream = TcpStream::connect_timeout(&self.address, PROBE_TIMEOUT).map_err(refused)?;
        stream.set_read_timeout(Some(PROBE_TIMEOUT)).map_err(refused)?;
        match &self.tls {
            None => self.ask(stream, refused),
            Some(peer) => {
                let session = peer.session().map_err(|error| format!("{}: {error}", self.url))?;
                self.ask(StreamOwned::new(session, stream), refused)
            }
        }
    }

    fn ask(
        &self,
        mut stream: impl Read + Write,
        refused: impl Fn(std::io::Error) -> String,
    ) -> Result<(), String> {
        let mut request = Vec::new();
        self.write_request(&self.path, &[], &mut request);
        stream.write_all(&request).map_err(&refused)?;
        let mut response = Vec::new();
        let mut part = [0; 4096];
        loop {
            let len = stream.read(&mut part).map_err(&refused)?;
            if len == 0 {
                return Err(format!("{} closed the connection instead of answering the upgrade", self.url));
            }
            response.extend_from_slice(&part[..len]);
            if !self.carrier.is_websocket() {
                match response.get(..12) {
                    None => continue,
                    Some(b"HTTP/1.1 200") => return Ok(()),
                    Some(_) => {
                        let line = String::from_utf8_lossy(&response);
                        let line = line.lines().next().unwrap_or_default();
                        return Err(format!("{} answers: {line}", self.url));
                    }
                }
            }
            match client::check_response_to(&response, NONCE, &[], self.offer.as_ref()) {
                Ok(None) => {}
                Ok(Some(_)) => break,
                Err(error) => return Err(format!("{} {}", self.url, describe(&error))),
            }
        }
        // Close 1000, masked with a key of zeros: a server that counts its losses has none here.
        let _ = stream.write_all(&[0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8]);
        Ok(())
    }
}

/// A failed handshake as the end of a sentence about the server.
pub fn describe(error: &HandshakeError) -> String {
    match error {
        HandshakeError::NotHttp => "does not answer in HTTP".to_owned(),
        HandshakeError::Status(status) => {
            format!("refused the upgrade with status {status}{}", refusal::of_upgrade(*status))
        }
        HandshakeError::Field(name) => format!("accepted the upgrade with a missing or wrong {name}"),
        HandshakeError::NotOffered(name) => format!("chose a {name} that was not offered"),
        HandshakeError::TooLarge => "answered the upgrade with over 16 KiB".to_owned(),
        other => format!("failed the handshake: {other:?}"),
    }
}

fn resolve(host: &str, port: u16) -> Result<SocketAddr, String> {
    let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    let with_port = if has_port { host.to_owned() } else { format!("{host}:{port}") };
    let addresses = with_port.to_socket_addrs().map_err(|error| format!("{host}: {error}"))?;
    let addresses: Vec<SocketAddr> = addresses.collect();
    // `localhost` may name both families; source addresses exist for the older one only.
    let first = addresses.iter().find(|address| address.is_ipv4()).or(addresses.first());
    first.copied().ok_or_else(|| format!("{host} has no address"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_websocket_urls_of_this_machine_are_taken() {
        let target = Target::parse("ws://127.0.0.1:8080/echo?x=1#top", Allow::default()).unwrap();
        assert_eq!(target.address.to_string(), "127.0.0.1:8080");
        assert_eq!(target.path, "/echo?x=1");
        assert_eq!(Target::parse("ws://127.0.0.1", Allow::default()).unwrap().path, "/");
        let mut request = Vec::new();
        let offering = Target { offer: Some(Offer::default()), ..target };
        offering.write_request("/ws?user=u-7", &["rollcall.v1"], &mut request);
        let request = String::from_utf8(request).expect("ASCII");
        assert!(request.starts_with("GET /ws?user=u-7 HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n"), "{request}");
        for field in
            ["Sec-WebSocket-Protocol: rollcall.v1\r\n", "Sec-WebSocket-Extensions: permessage-deflate"]
        {
            assert_eq!(request.matches(field).count(), 1, "{request}");
        }
        assert_eq!(Target::parse("ws://[::1]:9/", Allow::default()).unwrap().address.to_string(), "[::1]:9");
        for (url, word) in [
            ("http://127.0.0.1/", "wss://, not http"),
            ("wss://127.0.0.1/", "--insecure"),
            ("127.0.0.1:80", "starts with ws://"),
            ("ws://192.0.2.1:80/", "--allow-remote"),
        ] {
            let error = Target::parse(url, Allow::default()).unwrap_err();
            assert!(error.contains(word) && !error.contains('\n'), "{error}");
        }
        let all = Allow { allow_remote: true, insecure: true };
        assert!(Target::parse("ws://192.0.2.1:80/", all).is_ok());
        assert!(Target::parse("wss://192.0.2.1:80/", all).unwrap_err().contains("this machine alone"));
        let secure = Target::parse("wss://localhost/", all).unwrap();
        assert!(secure.tls.is_some() && secure.address.port() == 443);
    }
}
