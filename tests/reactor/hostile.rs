//! Peers that mean harm: whatever they send, memory stays within a stated bound and the others are served.

use proptest::prelude::*;
use rollcall::internals::limits::{
    BACKLOG_BYTES_PAUSE, EARLY_FLUSH_BYTES, PIPELINE_BYTES_MAX, READ_BUFFER_BYTES,
};
use rollcall::internals::reactor::Cause;
use rollcall::internals::wire::frame::Opcode;

use super::kit::{Stage, close_frame, config, masked, seconds, upgrade_request};
use super::script::In;

#[test]
fn a_declared_length_takes_no_memory() {
    let mut stage = Stage::new(&config());
    for _ in 0..100 {
        let id = stage.open();
        stage.send(id, &[0x82, 0xff, 0, 0, 0, 0, 0, 0x0f, 0xff, 0xff, 1, 2, 3, 4, 5]);
    }
    assert!(stage.worker.held_bytes() < 100 * 512, "{}", stage.worker.held_bytes());
}

#[test]
fn a_flood_of_pings_from_one_who_does_not_read_stays_bounded() {
    let mut stage = Stage::new(&config());
    let id = stage.open();
    stage.script.peer(id, |peer| peer.room = 0);
    let pings = masked(Opcode::Ping, &[0; 125]).repeat(1000);
    for _ in 0..20 {
        stage.send(id, &pings);
    }
    assert!(
        stage.worker.held_bytes() < 2 * READ_BUFFER_BYTES + BACKLOG_BYTES_PAUSE,
        "{}",
        stage.worker.held_bytes()
    );
}

#[test]
fn a_flood_of_pings_in_one_read_stays_bounded() {
    let mut stage = Stage::new(&config());
    let id = stage.open();
    stage.script.peer(id, |peer| peer.room = 0);
    stage.send(id, &masked(Opcode::Ping, &[0; 125]).repeat(7000));
    let held = stage.worker.held_bytes();
    assert!(held < EARLY_FLUSH_BYTES + READ_BUFFER_BYTES, "{held}");
}

#[test]
fn requests_of_one_who_does_not_read_the_responses_stay_bounded() {
    let mut stage = Stage::new(&config());
    let id = stage.script.connect();
    stage.script.peer(id, |peer| peer.room = 10);
    // As many as one read takes: their responses are a multiple of that.
    let requests = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".repeat(4000);
    for _ in 0..50 {
        stage.send(id, &requests);
    }
    let held = stage.worker.held_bytes();
    assert!(held < EARLY_FLUSH_BYTES + 2 * READ_BUFFER_BYTES, "{held}");
    // Once it reads, all of them are answered.
    let mut written = Vec::new();
    while !stage.script.is_closed(id) && stage.worker.held_bytes() > 0 {
        stage.script.make_room(id, 500_000);
        stage.settle();
        written.extend(stage.script.written(id));
    }
    assert_eq!(written.windows(9).filter(|window| window == b"HTTP/1.1 ").count(), 200_000);
    assert_eq!(stage.worker.held_bytes(), 0);
}

#[test]
fn small_messages_for_one_who_does_not_read_cost_little_more_than_their_bytes() {
    let mut stage = Stage::new(&config());
    let id = stage.open();
    stage.script.peer(id, |peer| peer.room = 0);
    for _ in 0..10_000 {
        stage.send(id, &masked(Opcode::Text, b"x"));
    }
    let held = stage.worker.held_bytes();
    assert!(held < 4 * 10_000 * 3, "{held} bytes for 30,000");
}

#[test]
fn pipelined_requests_behind_a_late_answer_stay_bounded() {
    let mut stage = Stage::new(&config());
    let id = stage.script.connect();
    stage.send(id, b"GET /later HTTP/1.1\r\nHost: x\r\n\r\n");
    let requests = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".repeat(1000);
    for _ in 0..200 {
        stage.send(id, &requests);
    }
    assert!(
        stage.worker.held_bytes() < PIPELINE_BYTES_MAX + 2 * READ_BUFFER_BYTES,
        "{}",
        stage.worker.held_bytes()
    );
}

#[test]
fn one_byte_chunks_stay_bounded() {
    let mut stage = Stage::new(&config());
    let id = stage.script.connect();
    stage.send(id, b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
    let chunks = b"1;name=value-that-takes-room\r\nx\r\n".repeat(1000);
    for _ in 0..200 {
        stage.send(id, &chunks);
    }
    assert!(stage.worker.held_bytes() < 4 * PIPELINE_BYTES_MAX, "{}", stage.worker.held_bytes());
    assert!(stage.script.written(id).starts_with(b"HTTP/1.1 413 "));
}

/// The header of a masked frame that declares `len` bytes.
fn header(first: u8, len: u64) -> Vec<u8> {
    [&[first, 0xff][..], &len.to_be_bytes(), &[1, 2, 3, 4]].concat()
}

#[test]
fn a_length_of_half_of_all_there_is_is_refused_from_its_header() {
    for len in [1 << 63, (1 << 63) - 1, u64::MAX, 1 << 32] {
        let mut stage = Stage::new(&config());
        let id = stage.open();
        stage.send(id, &header(0x82, len));
        let code = u16::from_be_bytes(stage.frames(id)[0].1[..2].try_into().unwrap());
        assert!(matches!(code, 1002 | 1009), "{len}: {code}");
        assert_eq!(stage.worker.service().causes(), [Cause::Protocol]);
        assert!(stage.worker.held_bytes() < 512);
    }
}

#[test]
fn half_a_message_has_a_deadline_in_all_however_steadily_it_dribbles() {
    let whole = masked(Opcode::Binary, &[7; 200]);
    let fragments: Vec<u8> =
        std::iter::once(0x02).chain([0x00; 199]).flat_map(|first| [first, 0x81, 0, 0, 0, 0, 9]).collect();
    let empty: Vec<u8> =
        std::iter::once(0x02).chain([0x00; 199]).flat_map(|first| [first, 0x80, 0, 0, 0, 0]).collect();
    let ping = [masked(Opcode::Ping, &[1; 125]), vec![]].concat();
    for (bytes, at_a_time) in [(whole, 1), (fragments, 7), (empty, 6), (ping, 1)] {
        let mut stage = Stage::new(&config());
        let id = stage.open();
        let mut sent = bytes.chunks(at_a_time);
        for second in 0..119 {
            stage.send(id, sent.next().unwrap());
            stage.pass(seconds(1));
            assert_eq!(stage.worker.service().causes(), [], "after {second} s");
        }
        stage.send(id, sent.next().unwrap());
        stage.pass(seconds(2));
        assert_eq!(stage.worker.service().causes(), [Cause::Timeout]);
        let said = stage.script.written(id);
        assert!(said.ends_with(&close_frame(4408, "the message took too long")), "{}", said.escape_ascii());
        stage.script.end(id);
        stage.settle();
        assert!(stage.script.is_closed(id));
        assert_eq!(stage.worker.held_bytes(), 0);
    }
}

#[test]
fn messages_that_are_whole_in_time_go_on_for_ever() {
    let mut stage = Stage::new(&config());
    let id = stage.open();
    // Something is half received at every moment, but never the same for long.
    let message = masked(Opcode::Binary, b"never quite whole");
    let (first, rest) = message.split_at(5);
    stage.send(id, first);
    for _ in 0..100 {
        stage.pass(seconds(10));
        stage.send(id, &[rest, first].concat());
    }
    assert_eq!(stage.worker.service().causes(), []);
}

#[test]
fn the_rest_of_a_message_that_lies_in_the_socket_is_in_time() {
    let mut stage = Stage::new(&config());
    let id = stage.open();
    let message = masked(Opcode::Binary, b"never quite whole");
    let (first, rest) = message.split_at(5);
    stage.send(id, first);
    // It has come, and the server is late to hear of it.
    stage.script.peer(id, |peer| peer.inbound.push_back(In::Bytes(rest.to_vec())));
    stage.script.advance(seconds(121));
    stage.settle();
    assert_eq!(stage.worker.service().causes(), []);
    assert!(stage.frames(id).contains(&(Opcode::Binary, b"never quite whole".to_vec())));
}

#[test]
fn a_half_closed_socket_ends_wherever_it_is() {
    let half = &masked(Opcode::Text, b"half a message")[..7];
    for bytes in [&b""[..], half, &[0x01, 0x80, 0, 0, 0, 0]] {
        let mut stage = Stage::new(&config());
        let id = stage.open();
        stage.send(id, bytes);
        stage.script.end(id);
        stage.settle();
        assert!(stage.script.is_closed(id));
        assert_eq!((stage.worker.service().causes(), stage.worker.held_bytes()), (vec![Cause::Lost], 0));
    }
    let request = upgrade_request("/");
    for cut in [0, 1, 20, request.len() - 1] {
        let mut stage = Stage::new(&config());
        let id = stage.script.connect();
        stage.send(id, &request[..cut]);
        stage.script.end(id);
        stage.settle();
        stage.pass(seconds(6));
        assert!(stage.script.is_closed(id), "{cut}");
        assert_eq!(stage.shared.connections(), 0);
    }
}

#[test]
fn a_reset_anywhere_ends_its_connection_and_no_other() {
    let talk = [
        upgrade_request("/"),
        masked(Opcode::Text, b"echo"),
        masked(Opcode::Ping, b"?"),
        masked(Opcode::Close, b""),
    ]
    .concat();
    let mut stage = Stage::new(&config());
    let other = stage.open();
    for cut in 0..talk.len() {
        let id = stage.script.connect();
        stage.send(id, &talk[..cut]);
        stage.script.reset(id);
        stage.settle();
        stage.pass(seconds(1));
        assert!(stage.script.is_closed(id), "{cut}");
        stage.send(other, &masked(Opcode::Text, b"x"));
    }
    stage.pass(seconds(10));
    assert_eq!((stage.shared.connections(), stage.worker.held_bytes()), (1, 0));
    assert_eq!(stage.frames(other).iter().filter(|(_, payload)| payload == b"x").count(), talk.len());
}

#[test]
fn what_is_behind_an_upgrade_is_frames_and_never_a_request() {
    let mut stage = Stage::new(&config());
    let id = stage.script.connect();
    stage.send(id, &[upgrade_request("/"), b"GET /secret HTTP/1.1\r\nHost: x\r\n\r\n".to_vec()].concat());
    let written = stage.script.written(id);
    assert_eq!(written.windows(9).filter(|window| window == b"HTTP/1.1 ").count(), 1);
    assert_eq!(stage.worker.service().causes(), [Cause::Protocol], "an unmasked frame");
}

#[test]
fn a_body_of_two_lengths_smuggles_nothing() {
    let behind = "GET /secret HTTP/1.1\r\nHost: x\r\n\r\n";
    for framing in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        "Content-Length: 0\r\nContent-Length: 35\r\n\r\n",
        "Transfer-Encoding: xchunked\r\n\r\n",
        "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nContent-Length: 35\r\n\r\n",
    ] {
        let mut stage = Stage::new(&config());
        let id = stage.script.connect();
        stage.send(id, format!("GET / HTTP/1.1\r\nHost: x\r\n{framing}{behind}").as_bytes());
        stage.send(id, behind.as_bytes());
        let written = stage.script.written(id);
        assert_eq!(written.windows(9).filter(|window| window == b"HTTP/1.1 ").count(), 1, "{framing}");
        assert!(matches!(&written[9..12], b"400" | b"501"), "{framing}");
        assert_eq!(stage.told(), [], "{framing}");
    }
}

#[test]
fn peers_that_never_speak_hold_nothing_and_go() {
    let mut stage = Stage::new(&config());
    let ids: Vec<usize> = (0..500).map(|_| stage.script.connect()).collect();
    stage.settle();
    assert_eq!((stage.shared.connections(), stage.worker.held_bytes()), (500, 0));
    stage.pass(seconds(11));
    assert_eq!(stage.shared.connections(), 0);
    assert!(ids.iter().all(|id| stage.script.is_closed(*id)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Any bytes in any cuts: nothing panics, nothing is held beyond the bound, and every connection ends.
    #[test]
    fn any_bytes_end_in_a_closed_connection(
        upgraded: bool,
        parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..64), 0..40),
        mask_bit: bool,
    ) {
        let mut stage = Stage::new(&config());
        let id = stage.script.connect();
        if upgraded {
            stage.send(id, &upgrade_request("/"));
        }
        for mut part in parts {
            if mask_bit && part.len() > 1 {
                part[0] &= 0x8f;
                part[1] |= 0x80;
            }
            stage.send(id, &part);
            prop_assert!(stage.worker.held_bytes() < 64 << 10);
        }
        stage.pass(super::kit::seconds(120));
        prop_assert!(stage.script.is_closed(id));
        prop_assert_eq!(stage.worker.held_bytes(), 0);
        prop_assert_eq!(stage.shared.connections(), 0);
    }
}
