//! Peers that mean harm: whatever they send, memory stays within a stated bound and the others are served.

use proptest::prelude::*;
use rollcall::limits::{BACKLOG_BYTES_PAUSE, EARLY_FLUSH_BYTES, PIPELINE_BYTES_MAX, READ_BUFFER_BYTES};
use rollcall::wire::frame::Opcode;

use super::kit::{Stage, config, masked, upgrade_request};

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
    let requests = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".repeat(1000);
    for _ in 0..200 {
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
        prop_assert_eq!(stage.fleet.connections(), 0);
    }
}
