//! Messages through a worker: how many calls they cost, and that none is lost, reordered or repeated.

use proptest::prelude::*;
use rollcall::limits::BACKLOG_BYTES_PAUSE;
use rollcall::reactor::{Config, SendError};
use rollcall::wire::frame::Opcode;

use super::kit::{Stage, Told, config, frames, masked, plain, upgrade_request};
use super::script::In;

#[test]
fn an_echo_costs_one_read_and_one_write() {
    let mut stage = Stage::new(&config());
    let id = stage.open();
    let before = stage.script.peer(id, |peer| (peer.reads, peer.writes));
    for n in 0..100 {
        let payload = vec![b'a'; n * 7];
        stage.send(id, &masked(Opcode::Text, &payload));
        assert_eq!(stage.frames(id), [(Opcode::Text, payload)]);
    }
    let after = stage.script.peer(id, |peer| (peer.reads, peer.writes));
    assert_eq!((after.0 - before.0, after.1 - before.1), (100, 100));
}

#[test]
fn sixteen_messages_in_one_segment_cost_one_read_and_one_write() {
    let mut stage = Stage::new(&config());
    let id = stage.open();
    let before = stage.script.peer(id, |peer| (peer.reads, peer.writes));
    stage.send(id, &masked(Opcode::Text, b"twenty bytes of text").repeat(16));
    assert_eq!(stage.script.written(id), plain(Opcode::Text, b"twenty bytes of text").repeat(16));
    let after = stage.script.peer(id, |peer| (peer.reads, peer.writes));
    assert_eq!((after.0 - before.0, after.1 - before.1), (1, 1));
}

#[test]
fn frames_behind_the_request_in_its_segment_are_kept() {
    let mut stage = Stage::new(&config());
    let id = stage.script.connect();
    let both = [upgrade_request("/"), masked(Opcode::Text, b"early")].concat();
    stage.send(id, &both);
    let written = stage.script.written(id);
    let end = written.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
    assert_eq!(frames(&written[end..]), [(Opcode::Text, b"early".to_vec())]);
}

#[test]
fn a_reader_that_stalls_is_no_longer_read_and_goes_on_later() {
    let mut stage = Stage::new(&config());
    let id = stage.open();
    stage.script.peer(id, |peer| peer.room = 0);
    let message = masked(Opcode::Binary, &[7; 10_000]);
    for _ in 0..100 {
        stage.send(id, &message);
    }
    let unread = stage.script.peer(id, |peer| peer.unread());
    assert!(unread > 80 * message.len(), "it was read on: {unread} bytes are left");
    assert!(stage.worker.held_bytes() < 2 * BACKLOG_BYTES_PAUSE);
    stage.script.make_room(id, usize::MAX);
    stage.settle();
    assert!(stage.script.written(id) == plain(Opcode::Binary, &[7; 10_000]).repeat(100));
    assert_eq!(stage.worker.held_bytes(), 0);
}

#[test]
fn a_full_backlog_is_told_to_who_sends() {
    let config = config();
    let mut stage = Stage::new(&config);
    let id = stage.open();
    stage.script.peer(id, |peer| peer.room = 0);
    stage.send(id, &masked(Opcode::Text, b"flood"));
    let sent = std::mem::take(&mut stage.worker.service().sent);
    assert_eq!(sent.iter().filter(|result| result.is_ok()).count(), config.max_backlog_bytes / 100_010);
    assert_eq!(sent.last(), Some(&Err(SendError::Full)));
    assert!(stage.worker.held_bytes() < config.max_backlog_bytes + 1024);
}

#[test]
fn a_message_over_the_bound_is_sent_where_nothing_is_queued() {
    let mut stage = Stage::new(&Config { max_backlog_bytes: 1000, ..config() });
    let id = stage.open();
    stage.send(id, &masked(Opcode::Text, &[b'a'; 5000]));
    assert_eq!(stage.frames(id), [(Opcode::Text, vec![b'a'; 5000])]);
}

#[test]
fn what_is_left_after_a_turns_share_is_read_in_the_next() {
    let mut stage = Stage::new(&config());
    let id = stage.open();
    let big = masked(Opcode::Binary, &vec![9; 900_000]);
    stage.script.arrive(id, &[big.clone(), big].concat());
    let other = stage.open();
    stage.send(other, &masked(Opcode::Text, b"me too"));
    assert_eq!(stage.frames(other).len(), 1);
    assert_eq!(stage.frames(id).len(), 2);
}

#[test]
fn data_and_end_of_stream_before_one_wait_are_both_seen() {
    let mut stage = Stage::new(&config());
    let id = stage.open();
    stage.told();
    stage.script.peer(id, |peer| peer.inbound.push_back(In::Bytes(masked(Opcode::Text, b"last words"))));
    stage.script.end(id);
    stage.settle();
    let told = stage.told();
    assert_eq!(told[0], Told::Message(b"last words".to_vec()));
    assert!(matches!(told[1], Told::Closed(_)) && told.len() == 2);
    assert!(stage.script.is_closed(id));
}

#[test]
fn a_pong_overtakes_queued_data_and_of_a_flood_of_pings_only_the_last_is_answered() {
    let mut stage = Stage::new(&config());
    let id = stage.open();
    stage.script.peer(id, |peer| peer.room = 10);
    stage.send(id, &masked(Opcode::Text, &[b'a'; 1000]).repeat(5));
    assert_eq!(stage.script.written(id).len(), 10);
    for n in 0..10_000_u32 {
        stage.script.arrive(id, &masked(Opcode::Ping, &n.to_be_bytes()));
    }
    stage.settle();
    assert!(stage.worker.held_bytes() < 10_000);
    stage.script.make_room(id, usize::MAX);
    stage.settle();
    let mut all = plain(Opcode::Text, &[b'a'; 1000]);
    all.drain(..10);
    let written = stage.script.written(id);
    assert_eq!(&written[..all.len()], all);
    let rest = frames(&written[all.len()..]);
    assert_eq!(rest[0], (Opcode::Pong, 9_999_u32.to_be_bytes().to_vec()));
    assert_eq!(rest.len(), 5, "one Pong and the four messages behind the cut one");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// The same for messages that are read straight to where they are put together, and sent from a buffer of their own.
    #[test]
    fn no_cut_loses_or_reorders_a_byte_of_big_messages(
        sizes in prop::collection::vec(0_usize..400_000, 1..5),
        cuts in prop::collection::vec(1_usize..300_000, 1..20),
        rooms in prop::collection::vec(0_usize..200_000, 1..20),
    ) {
        let mut stage = Stage::new(&Config { max_backlog_bytes: 4 << 20, ..config() });
        let id = stage.open();
        stage.script.peer(id, |peer| peer.room = 0);
        let payload = |(i, len): (usize, &usize)| (0..*len).map(|n| (n * 7 + i) as u8).collect::<Vec<u8>>();
        let ping = masked(Opcode::Ping, b"between");
        let sent = sizes.iter().enumerate().flat_map(|m| [masked(Opcode::Binary, &payload(m)), ping.clone()].concat());
        let sent: Vec<u8> = sent.collect();
        let mut rest = sent.as_slice();
        for (cut, room) in cuts.iter().cycle().zip(rooms.iter().cycle()) {
            let (part, behind) = rest.split_at(rest.len().min(*cut));
            stage.send(id, part);
            stage.script.make_room(id, *room);
            stage.settle();
            rest = behind;
            if rest.is_empty() { break; }
        }
        for _ in 0..100 {
            stage.script.make_room(id, usize::MAX);
            stage.settle();
        }
        let got = frames(&stage.script.written(id));
        let messages: Vec<_> = got.iter().filter(|frame| frame.0 == Opcode::Binary).map(|frame| frame.1.clone()).collect();
        let want: Vec<_> = sizes.iter().enumerate().map(payload).collect();
        prop_assert!(messages == want, "{} of {}", messages.len(), want.len());
        prop_assert_eq!(stage.worker.held_bytes(), 0);
    }

    /// Whatever the reads, the writes and the room of the socket are: what was sent comes back whole and in order.
    #[test]
    fn no_cut_of_reads_and_writes_loses_or_reorders_a_byte(
        sizes in prop::collection::vec(0_usize..3000, 1..20),
        cuts in prop::collection::vec(1_usize..700, 1..50),
        rooms in prop::collection::vec(0_usize..900, 1..50),
        write_most in 1_usize..2000,
    ) {
        let mut stage = Stage::new(&config());
        let id = stage.open();
        stage.script.peer(id, |peer| { peer.room = 0; peer.write_most = write_most; });
        let payload = |(i, len): (usize, &usize)| vec![i as u8; *len];
        let sent: Vec<u8> = sizes.iter().enumerate().flat_map(|m| masked(Opcode::Binary, &payload(m))).collect();
        let mut rest = sent.as_slice();
        for (cut, room) in cuts.iter().cycle().zip(rooms.iter().cycle()) {
            let (part, behind) = rest.split_at(rest.len().min(*cut));
            stage.send(id, part);
            stage.script.make_room(id, *room);
            stage.settle();
            rest = behind;
            if rest.is_empty() { break; }
        }
        stage.script.make_room(id, usize::MAX);
        for _ in 0..100_000 / write_most {
            stage.script.make_room(id, usize::MAX);
            stage.settle();
        }
        let want: Vec<u8> = sizes.iter().enumerate().flat_map(|m| plain(Opcode::Binary, &payload(m))).collect();
        prop_assert!(stage.script.written(id) == want);
        prop_assert_eq!(stage.worker.held_bytes(), 0);
    }
}
