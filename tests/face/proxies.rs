//! Proxies that are trusted, over real sockets: whose address counts, and what the client is told.

use std::net::SocketAddr;
use std::sync::Arc;

use rollcall::internals::http::Router;
use rollcall::internals::reactor::{AddressLimits, Config, Server};

use super::client::{Http, get, open_site};

const UPGRADE: &str = "GET /echo HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                       Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// Trusts this machine; of one address one connection.
fn start(proxy_protocol: bool) -> (Server, SocketAddr) {
    let config = Config {
        workers: 3,
        addresses: AddressLimits { connections: 1, handshakes: 0 },
        trusted_proxies: vec!["127.0.0.0/8".parse().unwrap()],
        proxy_protocol,
        ..Config::default()
    };
    let settings = Arc::new(open_site());
    let make = move |worker, shared: &_| Router::new(settings.clone(), worker, shared);
    let server = Server::start(config, &["127.0.0.1:0".parse().unwrap()], make).unwrap();
    let address = server.addresses()[0];
    (server, address)
}

#[test]
fn the_limit_of_an_address_holds_over_all_workers() {
    let (_server, address) = start(false);
    let ask = |client: &str| {
        let mut http = Http::connect(address);
        http.send(&format!("{UPGRADE}X-Forwarded-For: {client}\r\n\r\n"));
        let answer = http.answer(true);
        (http, answer)
    };
    // The kernel spreads them over three workers; they are counted together.
    let (_held, first) = ask("203.0.113.7");
    assert_eq!(first.status, 101);
    for _ in 0..10 {
        let (_, answer) = ask("9.9.9.9, 203.0.113.7");
        let retry: u64 = answer.field("Retry-After").unwrap().parse().unwrap();
        assert_eq!((answer.status, (1..=60).contains(&retry)), (429, true));
    }
    assert_eq!(ask("203.0.113.8").1.status, 101);
    let metrics = get(address, "/metrics").body;
    assert!(
        metrics.contains("rollcall_handshakes_refused_total{reason=\"address_connections\"} 10\n"),
        "{metrics}"
    );
}

#[test]
fn a_proxy_header_is_read_before_the_request_and_asked_for() {
    let (_server, address) = start(true);
    let ask = |preface: &str| {
        let mut http = Http::connect(address);
        http.send(&format!("{preface}{UPGRADE}\r\n"));
        let answer = http.answer(true);
        (http, answer.status)
    };
    let (_held, first) = ask("PROXY TCP4 203.0.113.7 127.0.0.1 4711 80\r\n");
    assert_eq!(first, 101);
    assert_eq!(ask("PROXY TCP4 203.0.113.7 127.0.0.1 4712 80\r\n").1, 429);
    assert_eq!(ask("PROXY TCP6 2001:db8::1 ::1 4712 80\r\n").1, 101);
    assert_eq!(ask("").1, 400);
    assert_eq!(ask("PROXY TCP4 203.0.113.7\r\n").1, 400);
}

#[test]
fn answers_are_guarded_against_browsers() {
    let (_server, address) = start(false);
    for path in ["/", "/healthz", "/metrics", "/nothing", "/echo"] {
        let answer = get(address, path);
        assert_eq!(answer.field("X-Content-Type-Options"), Some("nosniff"), "{path}");
        assert_eq!(answer.field("Referrer-Policy"), Some("no-referrer"), "{path}");
        let policy = answer.field("Content-Security-Policy").unwrap();
        assert!(policy.contains("frame-ancestors 'none'"), "{path}: {policy}");
    }
}
