//! TLS behind a proxy that passes it on and says for whom: a PROXY header in plain, and then the hello.

use rollcall::internals::reactor::{AddressLimits, Config};
use rollcall::internals::wire::frame::Opcode;
use rustls::ALL_VERSIONS;

use super::kit::{Client, Secure};
use crate::reactor::kit::{Told, config, masked, seconds, upgrade_request};

const PROXY: &str = "10.0.0.1";
const VERSION_1: &[u8] = b"PROXY TCP4 203.0.113.7 10.0.0.2 4711 443\r\n";
/// The same in version 2: signature, PROXY, TCP over IPv4, 12 bytes, addresses, ports.
const VERSION_2: &[u8] =
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c\xcb\x00\x71\x07\x0a\x00\x00\x02\x12\x67\x01\xbb";

fn secure() -> Secure {
    let config = Config {
        addresses: AddressLimits { connections: 1, handshakes: 0 },
        trusted_proxies: vec!["10.0.0.0/8".parse().unwrap()],
        proxy_protocol: true,
        ..config()
    };
    Secure::with(&config, ALL_VERSIONS)
}

/// Sends the header and the hello in one piece, cut into parts of `most` bytes, and lets both sides settle.
fn arrive(secure: &mut Secure, client: &mut Client, header: &[u8], most: usize) {
    for part in [header, &client.records()].concat().chunks(most) {
        secure.stage.script.arrive(client.id, part);
        secure.stage.settle();
    }
    client.settle_in(&mut secure.stage, most);
}

#[test]
fn a_header_comes_before_the_hello_however_both_are_cut() {
    for header in [VERSION_1, VERSION_2] {
        for most in [1, 2, 5, header.len() - 1, header.len(), header.len() + 1, 100_000] {
            let mut secure = secure();
            let mut client = secure.connect_from(PROXY);
            arrive(&mut secure, &mut client, header, most);
            client.upgrade(&mut secure.stage);
            client.send(&mut secure.stage, &masked(Opcode::Text, b"hello"));
            assert_eq!(client.frames(), [(Opcode::Text, b"hello".to_vec())], "by {most}");
            // It counts as the client's that the header names, and as that one's only.
            let mut same = secure.connect_from(PROXY);
            arrive(&mut secure, &mut same, header, most);
            same.send(&mut secure.stage, &upgrade_request("/"));
            assert!(same.received().starts_with(b"HTTP/1.1 429 "), "by {most}");
            let mut other = secure.connect_from(PROXY);
            arrive(&mut secure, &mut other, b"PROXY TCP4 203.0.113.8 10.0.0.2 4711 443\r\n", most);
            other.upgrade(&mut secure.stage);
            assert_eq!(secure.stage.worker.held_bytes(), 0, "idle");
        }
    }
}

#[test]
fn without_a_header_or_with_one_inside_of_tls_nobody_comes_in() {
    let mut secure = secure();
    let mut client = secure.connect_from(PROXY);
    client.settle(&mut secure.stage);
    secure.stage.pass(seconds(11));
    assert!(secure.stage.script.is_closed(client.id));
    let mut client = secure.connect_from(PROXY);
    arrive(&mut secure, &mut client, VERSION_1, 100_000);
    client.send(&mut secure.stage, &[VERSION_1, &upgrade_request("/")].concat());
    assert!(client.received().starts_with(b"HTTP/1.1 400 "));
    // From elsewhere a header is no header, and what is behind it no hello.
    let mut client = secure.connect_from("198.51.100.1");
    arrive(&mut secure, &mut client, VERSION_1, 100_000);
    secure.stage.pass(seconds(11));
    assert!(secure.stage.script.is_closed(client.id));
    assert!(!secure.stage.told().contains(&Told::Open));
    assert_eq!(secure.stage.worker.held_bytes(), 0);
}
