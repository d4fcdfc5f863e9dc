//! Much over TLS: large messages, clients that don't read, and herds.

use std::time::Duration;

use rollcall::internals::limits::{TLS_HANDSHAKES_PER_TURN_MAX, TLS_SEAL_BYTES};
use rollcall::internals::reactor::counters::Counters;
use rollcall::internals::reactor::{Cause, Config, Heartbeat};
use rollcall::internals::wire::frame::Opcode;
use rustls::ALL_VERSIONS;

use super::kit::{Authority, Client, Secure, acceptor};
use crate::reactor::kit::{Stage, Told, config, masked, plain, seconds};

#[test]
fn large_messages_come_back_whole() {
    let mut secure = Secure::new();
    let mut client = secure.open();
    for len in [TLS_SEAL_BYTES - 4, TLS_SEAL_BYTES, TLS_SEAL_BYTES + 1, 300_000, 1 << 20] {
        let payload: Vec<u8> = (0..len).map(|i| (i % 251) as u8).collect();
        client.send(&mut secure.stage, &masked(Opcode::Binary, &payload));
        assert!(client.frames() == [(Opcode::Binary, payload)], "{len} bytes");
    }
    assert_eq!(secure.stage.worker.held_bytes(), 0);
}

#[test]
fn a_socket_that_takes_little_loses_nothing() {
    let mut secure = Secure::new();
    let mut client = secure.open();
    for (room, len) in [(1, 100), (7, 3_000), (1_000, 200_000), (40_000, 500_000)] {
        secure.stage.script.make_room(client.id, 0);
        let payload = vec![b'x'; len];
        client.write(&[masked(Opcode::Text, &payload), masked(Opcode::Text, b"second")].concat());
        let records = client.records();
        secure.stage.send(client.id, &records);
        let mut frames = Vec::new();
        let backlog = secure.stage.shared.sum(|counters| counters.backlog_bytes.get());
        assert!((len as u64..len as u64 + 2_000).contains(&backlog), "{backlog} of {len}");
        let mut got = Vec::new();
        while got.len() < plain(Opcode::Text, &payload).len() + 8 {
            secure.stage.script.make_room(client.id, room);
            secure.stage.settle();
            client.take(&secure.stage.script);
            got.extend(client.received());
        }
        frames.extend(crate::reactor::kit::frames(&got));
        assert!(frames == [(Opcode::Text, payload), (Opcode::Text, b"second".to_vec())], "{len} by {room}");
        assert_eq!(secure.stage.shared.sum(|counters| counters.backlog_bytes.get()), 0);
        assert_eq!(secure.stage.worker.held_bytes(), 0);
        secure.stage.script.make_room(client.id, usize::MAX);
    }
}

#[test]
fn who_reads_nothing_is_bounded_and_ended() {
    let mut secure = Secure::new();
    let mut client = secure.open();
    secure.stage.script.make_room(client.id, 0);
    client.send(&mut secure.stage, &masked(Opcode::Binary, b"flood"));
    let held = secure.stage.worker.held_bytes();
    assert!((900_000..1_200_000).contains(&held), "{held}");
    client.write(&masked(Opcode::Text, b"not read"));
    let records = client.records();
    secure.stage.send(client.id, &records);
    assert!(secure.stage.script.peer(client.id, |peer| peer.unread()) > 0, "it isn't read either");
    secure.stage.pass(seconds(21));
    assert!(secure.stage.script.is_closed(client.id));
    assert_eq!(secure.stage.worker.service().causes(), [Cause::Slow]);
    assert_eq!(secure.stage.shared.sum(|counters| counters.backlog_bytes.get()), 0);
}

#[test]
fn a_pings_time_runs_from_when_its_record_left() {
    let mut secure = Secure::new();
    let mut client = secure.open();
    secure.stage.script.make_room(client.id, 5);
    while !secure.stage.told().contains(&Told::Beat) {
        secure.stage.pass(Duration::from_millis(100));
    }
    secure.stage.pass(seconds(15));
    secure.stage.script.make_room(client.id, usize::MAX);
    secure.stage.settle();
    secure.stage.pass(seconds(15));
    assert!(!secure.stage.script.is_closed(client.id), "15 of 20 seconds");
    client.take(&secure.stage.script);
    assert!(client.frames().iter().any(|(opcode, _)| *opcode == Opcode::Ping));
    secure.stage.pass(seconds(6));
    assert_eq!(secure.stage.worker.service().causes(), [Cause::Timeout]);
}

#[test]
fn a_pong_overtakes_what_is_queued_but_not_what_is_sealed() {
    let mut secure = Secure::new();
    let mut client = secure.open();
    secure.stage.script.make_room(client.id, 100);
    let queued = [masked(Opcode::Binary, &[b'x'; 40_000]), masked(Opcode::Text, b"behind")].concat();
    for frames in [queued, masked(Opcode::Ping, b"now")] {
        client.write(&frames);
        let records = client.records();
        secure.stage.send(client.id, &records);
    }
    secure.stage.script.make_room(client.id, usize::MAX);
    secure.stage.settle();
    client.take(&secure.stage.script);
    let opcodes: Vec<Opcode> = client.frames().into_iter().map(|(opcode, _)| opcode).collect();
    assert_eq!(opcodes, [Opcode::Binary, Opcode::Pong, Opcode::Text]);
}

#[test]
fn a_herd_of_handshakes_delays_no_heartbeat() {
    let heartbeat = Heartbeat { interval: seconds(2), timeout: seconds(1), ..Heartbeat::default() };
    let mut secure = Secure::with(&Config { heartbeat, ..config() }, ALL_VERSIONS);
    let mut live = secure.open();
    let mut herd: Vec<Client> = (0..200).map(|_| secure.connect()).collect();
    secure.stage.settle();
    for client in &mut herd {
        let hello = client.records();
        secure.stage.script.arrive(client.id, &hello);
    }
    // Each turn takes 10 ms of the world's time: the herd needs many, and the Ping is due in their midst.
    let answered = |stage: &Stage, herd: &[Client]| {
        herd.iter().filter(|client| stage.script.peer(client.id, |peer| !peer.outbound.is_empty())).count()
    };
    let mut before = 0;
    let mut pinged = false;
    for _ in 0..400 {
        secure.stage.script.advance(Duration::from_millis(10));
        secure.stage.worker.turn().unwrap();
        let now = answered(&secure.stage, &herd);
        assert!(now - before <= TLS_HANDSHAKES_PER_TURN_MAX, "{} in one turn", now - before);
        before = now;
        live.take(&secure.stage.script);
        for (opcode, payload) in live.frames() {
            if opcode == Opcode::Ping {
                pinged = true;
                live.write(&masked(Opcode::Pong, &payload));
                let pong = live.records();
                secure.stage.script.arrive(live.id, &pong);
            }
        }
    }
    assert!(pinged && before == 200, "{before}");
    assert!(secure.stage.worker.service().causes().is_empty(), "nobody was called dead");
    let lateness = &secure.stage.shared.workers()[0].counters.timer_lateness;
    let late: u64 = (16..26).map(|bucket| lateness.bucket(bucket)).sum();
    assert_eq!(late, 0, "no deadline fired more than 33 ms late");
    for client in &mut herd {
        client.upgrade(&mut secure.stage);
    }
    let ended = |counters: &Counters| counters.tls_full.get() + counters.tls_resumed.get();
    assert_eq!(secure.stage.shared.sum(ended), 201);
}

#[test]
fn keys_are_changed_when_the_client_asks() {
    let mut secure = Secure::new();
    let mut client = secure.open();
    for _ in 0..5 {
        client.session.refresh_traffic_keys().unwrap();
        client.send(&mut secure.stage, &masked(Opcode::Text, b"fresh"));
        assert_eq!(client.frames(), [(Opcode::Text, b"fresh".to_vec())]);
    }
    assert_eq!(client.error, None);
}

#[test]
fn plain_and_secure_share_a_worker() {
    let authority = Authority::new();
    let mut stage = Stage::new(&config());
    stage.worker.secure(1, acceptor(&[&authority.pair(&["localhost"])], None));
    let id = stage.open();
    stage.send(id, &masked(Opcode::Text, b"plain"));
    assert_eq!(stage.frames(id), [(Opcode::Text, b"plain".to_vec())]);
}
