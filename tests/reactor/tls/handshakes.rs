//! Handshakes: versions, names, client certificates, resumption, and those that come to nothing.

use rcgen::KeyPair;
use rollcall::internals::reactor::tls::{Acceptor, Credentials};
use rollcall::internals::wire::frame::Opcode;
use rustls::version::{TLS12, TLS13};
use rustls::{ALL_VERSIONS, AlertDescription, Error, HandshakeKind, ProtocolVersion};

use super::kit::{Authority, Client, Pair, Secure, acceptor, pem};
use crate::reactor::kit::{Stage, Told, config, masked, upgrade_request};

const RSA_KEY: &str = include_str!("rsa-key.pem");

#[test]
fn both_versions_carry_requests_and_messages() {
    for (version, number) in [(&TLS12, ProtocolVersion::TLSv1_2), (&TLS13, ProtocolVersion::TLSv1_3)] {
        let mut secure = Secure::with(&config(), &[version]);
        let mut client = secure.connect();
        client.send(&mut secure.stage, b"GET /page HTTP/1.1\r\nHost: localhost\r\n\r\n");
        assert!(client.received().starts_with(b"HTTP/1.1 200 OK\r\n"));
        assert_eq!(client.session.protocol_version(), Some(number));
        assert_eq!(client.session.alpn_protocol(), Some(b"http/1.1".as_slice()));
        client.upgrade(&mut secure.stage);
        client.send(&mut secure.stage, &masked(Opcode::Text, b"hello"));
        assert_eq!(client.frames(), [(Opcode::Text, b"hello".to_vec())]);
        assert_eq!(secure.stage.worker.held_bytes(), 0, "idle");
    }
}

#[test]
fn any_cut_is_the_same() {
    for version in [&TLS12, &TLS13] {
        for most in [1, 2, 3, 5, 7, 64, 1000] {
            let mut secure = Secure::with(&config(), &[version]);
            let mut client = secure.connect();
            client.write(&upgrade_request("/"));
            client.settle_in(&mut secure.stage, most);
            assert!(client.received().starts_with(b"HTTP/1.1 101 "), "{most}");
            for len in [0, 1, 300, 17_000] {
                let payload = vec![b'x'; len];
                client.write(&masked(Opcode::Text, &payload));
                client.settle_in(&mut secure.stage, most);
                assert!(client.frames() == [(Opcode::Text, payload)], "{len} bytes by {most}");
            }
            assert_eq!(secure.stage.worker.held_bytes(), 0);
        }
    }
}

/// The names of the certificate that a client gets.
fn shown(stage: &mut Stage, client: &mut Client) -> Vec<u8> {
    client.settle(stage);
    assert_eq!(client.error, None);
    client.session.peer_certificates().unwrap()[0].to_vec()
}

fn der(pair: &Pair) -> Vec<u8> {
    use rustls::pki_types::pem::PemObject as _;
    rustls::pki_types::CertificateDer::from_pem_slice(pair.certificate.as_bytes()).unwrap().to_vec()
}

#[test]
fn the_name_asked_for_chooses_the_certificate() {
    let authority = Authority::new();
    let (first, exact, star) = (
        authority.pair(&["first.test", "other.test"]),
        authority.pair(&["a.example.test"]),
        authority.pair(&["*.example.test"]),
    );
    let mut stage = Stage::new(&config());
    stage.worker.secure(0, acceptor(&[&first, &exact, &star], None));
    let config = authority.trusted_by(ALL_VERSIONS, None);
    for (name, pair) in [
        ("a.example.test", &exact),
        ("A.Example.Test", &exact),
        ("b.example.test", &star),
        ("other.test", &first),
    ] {
        let mut client = Client::connect(&stage, &config, name);
        assert_eq!(shown(&mut stage, &mut client), der(pair), "{name}");
    }
    // Nobody's name: the first, which the client refuses.
    let mut client = Client::connect(&stage, &config, "nobody.test");
    client.settle(&mut stage);
    assert!(matches!(client.error, Some(Error::InvalidCertificate(_))), "{:?}", client.error);
}

#[test]
fn of_two_keys_the_client_gets_the_one_whose_signature_it_knows() {
    let authority = Authority::new();
    let rsa = KeyPair::from_pem(RSA_KEY).unwrap();
    let (ec, rsa) = (authority.pair(&["a.test"]), authority.signed(&["a.test"], &[], &rsa));
    let mut stage = Stage::new(&config());
    stage.worker.secure(0, acceptor(&[&ec, &rsa], None));
    let config = authority.trusted_by(&[&TLS12], None);
    let mut client = Client::connect(&stage, &config, "a.test");
    assert_eq!(shown(&mut stage, &mut client), der(&ec));
    // One that knows RSA alone. The authority's own signature is EC, so that it refuses what it gets; but it gets it.
    let mut old = rustls::crypto::ring::default_provider();
    old.cipher_suites.retain(|suite| format!("{suite:?}").contains("ECDHE_RSA"));
    let config = authority.trusted_with(old, &[&TLS12], None);
    let mut client = Client::connect(&stage, &config, "a.test");
    let hello = client.records();
    stage.send(client.id, &hello);
    let written = stage.script.written(client.id);
    let (ec, rsa) = (der(&ec), der(&rsa));
    let shows = |certificate: &[u8]| written.windows(certificate.len()).any(|window| window == certificate);
    assert!(shows(&rsa) && !shows(&ec));
}

#[test]
fn a_client_is_known_by_its_certificate() {
    let (authority, clients) = (Authority::new(), Authority::new());
    let mut stage = Stage::new(&config());
    stage.worker.secure(0, acceptor(&[&authority.pair(&["a.test"])], Some(&clients.certificate)));
    for version in [&TLS12, &TLS13] {
        for (pair, name) in
            [(None, None), (Some(clients.client(&["anna"])), Some("anna")), (Some(clients.client(&[])), None)]
        {
            let config = authority.trusted_by(&[version], pair.as_ref());
            for kind in [HandshakeKind::Full, HandshakeKind::Resumed] {
                let mut client = Client::connect(&stage, &config, "a.test");
                client.upgrade(&mut stage);
                assert_eq!(client.session.handshake_kind(), Some(kind));
                let name = name.map(str::to_owned);
                assert_eq!(stage.worker.service().names.pop(), Some(name), "{version:?} {kind:?}");
            }
        }
        // Somebody else's word for it.
        let config = authority.trusted_by(&[version], Some(&authority.client(&["anna"])));
        let mut client = Client::connect(&stage, &config, "a.test");
        client.settle(&mut stage);
        let refused = matches!(client.error, Some(Error::AlertReceived(_)));
        assert!(refused && stage.worker.service().names.is_empty(), "{:?}", client.error);
    }
}

#[test]
fn a_ticket_outlives_a_replacement_unless_authorities_were_replaced() {
    let authority = Authority::new();
    let pair = authority.pair(&["a.test"]);
    for (client_ca, kind) in [(None, HandshakeKind::Resumed), (Some(&authority), HandshakeKind::Full)] {
        let client_ca = client_ca.map(|authority| authority.certificate.as_str());
        let acceptor = acceptor(&[&pair], client_ca);
        let mut stage = Stage::new(&config());
        stage.worker.secure(0, acceptor.clone());
        let config = authority.trusted_by(ALL_VERSIONS, None);
        let mut before = Client::connect(&stage, &config, "a.test");
        before.upgrade(&mut stage);
        let other = authority.pair(&["a.test"]);
        let client_ca = client_ca.map(|text| pem("ca.pem", text));
        acceptor.replace(&Credentials { pairs: vec![other.pems()], client_ca }).unwrap();
        let mut after = Client::connect(&stage, &config, "a.test");
        after.settle(&mut stage);
        assert_eq!(after.session.handshake_kind(), Some(kind));
        let fresh = authority.trusted_by(ALL_VERSIONS, None);
        let mut new = Client::connect(&stage, &fresh, "a.test");
        assert_eq!(shown(&mut stage, &mut new), der(&other));
        before.send(&mut stage, &masked(Opcode::Text, b"still here"));
        assert_eq!(before.frames().len(), 1, "who was there goes on");
    }
}

#[test]
fn credentials_that_are_no_good_are_named() {
    let authority = Authority::new();
    let (pair, other) = (authority.pair(&["a.test"]), authority.pair(&["a.test"]));
    let (certificate, key) = pair.pems();
    let rubbish = |name: &str| pem(name, "rubbish");
    for (pairs, client_ca, line) in [
        (vec![], None, "TLS needs a certificate and its key"),
        (vec![(rubbish("c"), key.clone())], None, "c: holds no PEM certificate"),
        (vec![(certificate.clone(), rubbish("k"))], None, "k: holds no PEM private key without a password"),
        (vec![(certificate.clone(), other.pems().1)], None, "key.pem: is not the key of cert.pem"),
        (vec![pair.pems()], Some(rubbish("ca")), "ca: holds no PEM certificate"),
    ] {
        let error = Acceptor::new(&Credentials { pairs, client_ca }).unwrap_err();
        assert_eq!(error.to_string(), line);
    }
    let acceptor = acceptor(&[&pair], None);
    acceptor.replace(&Credentials::default()).unwrap_err();
    let mut stage = Stage::new(&config());
    stage.worker.secure(0, acceptor);
    let config = authority.trusted_by(ALL_VERSIONS, None);
    let mut client = Client::connect(&stage, &config, "a.test");
    assert_eq!(shown(&mut stage, &mut client), der(&pair), "it stays as it was");
}

#[test]
fn a_request_in_plain_is_told_what_the_port_speaks() {
    let mut secure = Secure::new();
    for request in [b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".as_slice(), b"\0\0\0", b"\x80\x2e\x01"] {
        let id = secure.stage.script.connect();
        secure.stage.send(id, request);
        let written = String::from_utf8(secure.stage.script.written(id)).unwrap();
        assert!(written.starts_with("HTTP/1.1 400 ") && written.contains("https://"), "{written}");
        assert!(written.contains("Connection: close"), "{written}");
        secure.stage.script.end(id);
        secure.stage.settle();
        assert!(secure.stage.script.is_closed(id));
    }
    assert!(secure.stage.told().is_empty());
    assert_eq!(secure.stage.shared.sum(|counters| counters.tls_failed.get()), 3);
}

#[test]
fn a_hello_to_a_plain_port_gets_an_alert() {
    let mut secure = Secure::new();
    let mut stage = Stage::new(&config());
    let mut client = Client::connect(&stage, &secure.client, "localhost");
    client.settle(&mut stage);
    assert_eq!(client.error, Some(Error::AlertReceived(AlertDescription::UnexpectedMessage)));
    stage.script.end(client.id);
    stage.settle();
    assert!(stage.script.is_closed(client.id) && stage.told().is_empty());
    assert_eq!(secure.open().session.protocol_version(), Some(ProtocolVersion::TLSv1_3));
}

#[test]
fn bad_handshakes_end_by_an_alert_and_tell_nobody() {
    let hello =
        |stage: &Stage, secure: &Secure| Client::connect(stage, &secure.client, "localhost").records();
    let mut broken: Vec<(&str, Vec<u8>)> = vec![
        ("no handshake message", [22, 3, 1, 0, 4, 99, 0, 0, 0].to_vec()),
        ("application data first", [22, 3, 1, 0, 1, 1].iter().chain(&[23, 3, 3, 0, 1, 0]).copied().collect()),
        ("a record too long", [22, 3, 1, 0xff, 0xff].to_vec()),
        ("an empty record", [22, 3, 1, 0, 0].to_vec()),
        ("no version", [22, 9, 9, 0, 1, 1].to_vec()),
    ];
    let mut secure = Secure::new();
    let good = hello(&secure.stage, &secure);
    broken.push(("a hello that ends after its version", vec![22, 3, 1, 0, 6, 1, 0, 0, 2, 3, 3]));
    let mut twice = good.clone();
    twice.extend_from_slice(&good);
    broken.push(("two hellos", twice));
    for (what, bytes) in broken {
        let id = secure.stage.script.connect();
        secure.stage.send(id, &bytes);
        let written = secure.stage.script.written(id);
        // rustls has an alert for most of them; what it has none for ends all the same.
        let alert = written.windows(3).any(|window| window[0] == 21 && window[1] == 3);
        assert!(alert || ["two hellos", "application data first"].contains(&what), "{what}: {written:?}");
        assert!(secure.stage.script.peer(id, |peer| peer.finished), "{what}");
        secure.stage.script.end(id);
        secure.stage.settle();
        assert!(secure.stage.script.is_closed(id), "{what}");
    }
    assert!(secure.stage.told().is_empty());
    assert_eq!(secure.stage.worker.held_bytes(), 0);
}

#[test]
fn a_hello_in_countless_records_is_bounded() {
    let mut secure = Secure::new();
    let id = secure.stage.script.connect();
    // A handshake message that says it has 60,000 bytes, a byte in each record.
    secure.stage.send(id, &[22, 3, 1, 0, 4, 1, 0, 0xea, 0x60]);
    let records = [22, 3, 1, 0, 1, 0].repeat(2_000);
    for _ in 0..20 {
        secure.stage.send(id, &records);
        assert!(secure.stage.worker.held_bytes() <= 160 << 10, "{}", secure.stage.worker.held_bytes());
    }
    assert_eq!(secure.stage.worker.held_bytes(), 0, "it was given up");
    secure.stage.script.end(id);
    secure.stage.settle();
    assert!(secure.stage.script.is_closed(id));
}

#[test]
fn the_time_out_runs_from_accept_over_both_handshakes() {
    use crate::reactor::kit::seconds;
    let mut secure = Secure::new();
    let silent = secure.stage.script.connect();
    let mut half = secure.connect();
    let mut whole = secure.connect();
    let mut slow = secure.connect();
    secure.stage.settle();
    let hello = half.records();
    secure.stage.send(half.id, &hello[..40]);
    secure.stage.pass(seconds(6));
    whole.settle(&mut secure.stage);
    slow.send(&mut secure.stage, b"GET / HTTP/1.1\r\n");
    secure.stage.pass(seconds(3));
    assert!(![silent, half.id, whole.id, slow.id].iter().any(|id| secure.stage.script.is_closed(*id)));
    secure.stage.pass(seconds(2));
    assert!([silent, half.id, whole.id].iter().all(|id| secure.stage.script.is_closed(*id)));
    slow.take(&secure.stage.script);
    assert!(slow.received().starts_with(b"HTTP/1.1 408 "));
    whole.take(&secure.stage.script);
    assert!(whole.ended, "told by close_notify");
    assert!(!secure.stage.told().contains(&Told::Open));
}
