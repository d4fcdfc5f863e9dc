//! Each cipher suite of TLS 1.3 alone: the server opens with keys of its own keeping what rustls's client has sealed.

use rollcall::internals::reactor::Cause;
use rollcall::internals::wire::frame::Opcode;
use rustls::crypto::ring::default_provider;
use rustls::version::TLS13;
use rustls::{AlertDescription, CipherSuite, Error};

use super::kit::{Authority, Client, Secure, acceptor};
use crate::reactor::kit::{Stage, Told, config, masked};

/// One record's plaintext, and bytes of its header (RFC 8446 §5.1).
const RECORD_BYTES_MAX: usize = 1 << 14;
const HEADER_BYTES: usize = 5;

/// A stage and a client's settings for each suite of TLS 1.3, with the suite's name.
fn each_suite() -> impl Iterator<Item = (CipherSuite, Secure)> {
    let suites: Vec<_> = default_provider().cipher_suites;
    let suites: Vec<_> = suites.into_iter().filter(|suite| suite.tls13().is_some()).collect();
    assert_eq!(suites.len(), 3);
    suites.into_iter().map(|suite| {
        let authority = Authority::new();
        let mut stage = Stage::new(&config());
        stage.worker.secure(0, acceptor(&[&authority.pair(&["localhost"])], None));
        let mut provider = default_provider();
        provider.cipher_suites = vec![suite];
        (suite.suite(), Secure { stage, client: authority.trusted_with(provider, &[&TLS13], None) })
    })
}

/// The records of `payload` as a message.
fn records_of(client: &mut Client, payload: &[u8]) -> Vec<u8> {
    client.write(&masked(Opcode::Binary, payload));
    client.records()
}

/// The server has refused what this client sent last, and served `served` before it: the client is told why, and once it has
/// gone nothing is left.
fn refused(mut secure: Secure, mut client: Client, served: &[&[u8]], what: &str) {
    client.take(&secure.stage.script);
    assert_eq!(client.error, Some(Error::AlertReceived(AlertDescription::BadRecordMac)), "{what}");
    assert_eq!(secure.stage.worker.service().causes(), [Cause::Protocol], "{what}");
    let told = secure.stage.told().into_iter();
    let messages: Vec<_> =
        told.filter_map(|told| if let Told::Message(bytes) = told { Some(bytes) } else { None }).collect();
    assert_eq!(messages, served, "{what}");
    secure.stage.script.end(client.id);
    secure.stage.settle();
    assert!(secure.stage.script.is_closed(client.id), "{what}");
    assert_eq!(secure.stage.worker.held_bytes(), 0, "{what}");
}

#[test]
fn messages_of_any_size_come_back_before_and_after_a_change_of_keys() {
    for (suite, mut secure) in each_suite() {
        let mut client = secure.open();
        assert_eq!(client.session.negotiated_cipher_suite().unwrap().suite(), suite);
        for _ in 0..3 {
            for len in [0, 1, 1000, RECORD_BYTES_MAX - 20, RECORD_BYTES_MAX, 100_000, 1 << 20] {
                let payload: Vec<u8> = (0..len).map(|i| (i % 251) as u8).collect();
                client.send(&mut secure.stage, &masked(Opcode::Binary, &payload));
                assert!(client.frames() == [(Opcode::Binary, payload)], "{suite:?}: {len} bytes");
            }
            client.session.refresh_traffic_keys().unwrap();
        }
        assert_eq!((client.error, secure.stage.worker.held_bytes()), (None, 0));
    }
}

#[test]
fn tickets_are_good_with_each() {
    for (suite, mut secure) in each_suite() {
        for kind in [rustls::HandshakeKind::Full, rustls::HandshakeKind::Resumed] {
            let mut client = secure.open();
            client.send(&mut secure.stage, &masked(Opcode::Text, b"hello"));
            assert_eq!(client.frames(), [(Opcode::Text, b"hello".to_vec())]);
            assert_eq!(client.session.handshake_kind(), Some(kind), "{suite:?}");
        }
    }
}

#[test]
fn a_record_with_any_byte_changed_is_refused() {
    // What a frame of 4 bytes takes: header, mask and payload; then content type and tag.
    for place in 0..2 + 4 + 4 + 1 + 16 {
        for (suite, mut secure) in each_suite() {
            let mut client = secure.open();
            let mut record = records_of(&mut client, b"evil");
            assert_eq!(record.len(), HEADER_BYTES + 27);
            record[HEADER_BYTES + place] ^= 1 << (place % 8);
            secure.stage.send(client.id, &record);
            refused(secure, client, &[], &format!("{suite:?}: byte {place}"));
        }
    }
}

#[test]
fn a_record_counts_once_and_in_its_place() {
    for (suite, mut secure) in each_suite() {
        let mut client = secure.open();
        let record = records_of(&mut client, b"once");
        secure.stage.send(client.id, &record.repeat(2));
        refused(secure, client, &[b"once"], &format!("{suite:?}: twice"));
    }
    for (suite, mut secure) in each_suite() {
        let mut client = secure.open();
        let (_lost, second) = (records_of(&mut client, b"first"), records_of(&mut client, b"second"));
        secure.stage.send(client.id, &second);
        refused(secure, client, &[], &format!("{suite:?}: out of order"));
    }
}

#[test]
fn a_record_without_room_for_its_tag_is_refused() {
    for len in [1, 15, 16] {
        for (suite, mut secure) in each_suite() {
            let client = secure.open();
            let header = [23, 3, 3, 0, len];
            secure.stage.send(client.id, &[header.as_slice(), &vec![0; usize::from(len)]].concat());
            refused(secure, client, &[], &format!("{suite:?}: {len} bytes"));
        }
    }
}
