//! Messages through a worker: how many calls they cost, and that none is lost, reordered or repeated.

use proptest::prelude::*;
use rollcall::internals::limits::{BACKLOG_BYTES_PAUSE, READ_BUFFER_BYTES};
use rollcall::internals::reactor::{Cause, Config, Deflate, SendError};
use rollcall::internals::wire::frame::Opcode;

use super::kit::{Told, config, masked};
use super::script::In;
use super::wires::{BYTEWISE, Carrier, Line, Scene, noise, on_every_wire, request_offering, text};

#[test]
fn an_echo_costs_one_read_and_one_write() {
    on_every_wire(&config(), |scene| {
        let mut line = scene.open();
        let before = scene.stage.script.peer(line.id, |peer| (peer.reads, peer.writes));
        for n in 0..100 {
            let payload = vec![b'a'; n * 7];
            let frame = line.message(Opcode::Text, &payload);
            scene.send(&mut line, &frame);
            assert_eq!(line.frames(&scene.stage), [(Opcode::Text, payload)]);
        }
        let after = scene.stage.script.peer(line.id, |peer| (peer.reads, peer.writes));
        assert_eq!((after.0 - before.0, after.1 - before.1), (100, 100));
    });
}

#[test]
fn sixteen_messages_in_one_segment_cost_one_read_and_one_write() {
    on_every_wire(&config(), |scene| {
        let mut line = scene.open();
        let before = scene.stage.script.peer(line.id, |peer| (peer.reads, peer.writes));
        let frames: Vec<u8> =
            (0..16).flat_map(|_| line.message(Opcode::Text, b"twenty bytes of text")).collect();
        scene.send(&mut line, &frames);
        assert_eq!(line.frames(&scene.stage), vec![(Opcode::Text, b"twenty bytes of text".to_vec()); 16]);
        let after = scene.stage.script.peer(line.id, |peer| (peer.reads, peer.writes));
        assert_eq!((after.0 - before.0, after.1 - before.1), (1, 1));
    });
}

#[test]
fn frames_behind_the_request_in_its_segment_are_kept() {
    on_every_wire(&config(), |scene| {
        let mut line = scene.connect();
        scene.send(&mut line, &[request_offering("x-none"), masked(Opcode::Text, b"early")].concat());
        let received = line.received(&scene.stage);
        let end = received.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
        assert_eq!(super::kit::frames(&received[end..]), [(Opcode::Text, b"early".to_vec())]);
    });
}

#[test]
fn every_byte_may_arrive_by_itself() {
    for cut in BYTEWISE {
        on_every_wire(&config(), |scene| {
            let mut line = scene.open();
            let messages: Vec<Vec<u8>> = [0, 1, 20, 125, 126, 600, 2_000].map(|len| text(3, len)).into();
            let ping = masked(Opcode::Ping, b"between");
            let frames: Vec<u8> = messages
                .iter()
                .flat_map(|message| [line.message(Opcode::Text, message), ping.clone()].concat())
                .collect();
            scene.send_cut(&mut line, &frames, cut);
            let got = line.frames(&scene.stage);
            let (pongs, echoes): (Vec<_>, Vec<_>) =
                got.into_iter().partition(|(opcode, _)| *opcode == Opcode::Pong);
            assert_eq!(pongs, vec![(Opcode::Pong, b"between".to_vec()); messages.len()]);
            assert!(echoes.into_iter().map(|(_, payload)| payload).eq(messages), "{cut:?}");
        });
    }
}

#[test]
fn a_reader_that_stalls_is_no_longer_read_and_goes_on_later() {
    on_every_wire(&config(), |scene| {
        let mut line = scene.open();
        let idle = scene.stage.worker.held_bytes();
        scene.stage.script.peer(line.id, |peer| peer.room = 0);
        let payload = noise(7, 10_000);
        let mut len = 0;
        for _ in 0..100 {
            let frame = line.message(Opcode::Binary, &payload);
            len = frame.len();
            scene.send(&mut line, &frame);
        }
        let unread = scene.stage.script.peer(line.id, |peer| peer.unread());
        // One that refers to those before it is a few bytes: more of them come to as much.
        if scene.deflate != Deflate::PerConnection {
            assert!(unread > 80 * len, "it was read on: {unread} bytes are left");
        }
        assert!(scene.stage.worker.held_bytes() < 2 * BACKLOG_BYTES_PAUSE);
        scene.stage.script.make_room(line.id, usize::MAX);
        scene.stage.settle();
        assert!(line.frames(&scene.stage) == vec![(Opcode::Binary, payload); 100]);
        if scene.deflate != Deflate::PerConnection {
            assert_eq!(scene.stage.worker.held_bytes(), idle);
        }
    });
}

#[test]
fn a_reader_that_stalls_while_input_waits_gets_all_of_it_later() {
    on_every_wire(&config(), |scene| {
        let mut line = scene.open();
        scene.stage.script.peer(line.id, |peer| peer.room = 0);
        let messages: Vec<Vec<u8>> = (1..=500).map(|n| text(n, 2_000)).collect();
        let frames: Vec<u8> = messages.iter().flat_map(|m| line.message(Opcode::Text, m)).collect();
        scene.send(&mut line, &frames);
        let held = scene.stage.worker.held_bytes();
        assert!(held < 2 * (BACKLOG_BYTES_PAUSE + READ_BUFFER_BYTES), "{held}");
        scene.stage.script.make_room(line.id, usize::MAX);
        scene.stage.settle();
        assert!(line.frames(&scene.stage).into_iter().map(|(_, payload)| payload).eq(messages));
    });
}

#[test]
fn a_full_backlog_is_told_to_who_sends() {
    let config = config();
    on_every_wire(&config, |scene| {
        let mut line = scene.open();
        scene.stage.script.peer(line.id, |peer| peer.room = 0);
        scene.send(&mut line, &masked(Opcode::Text, b"flood"));
        let sent = std::mem::take(&mut scene.stage.worker.service().sent);
        let queued = sent.iter().filter(|result| result.is_ok()).count();
        assert_eq!(queued, config.max_backlog_bytes / 100_010);
        assert_eq!(sent.last(), Some(&Err(SendError::Backlogged)));
        assert!(scene.stage.worker.held_bytes() < config.max_backlog_bytes + 8 * 1024);
    });
}

#[test]
fn a_call_that_sends_too_much_is_told_so_and_its_client_stays() {
    let config = Config { max_call_bytes: 250_000, ..config() };
    on_every_wire(&config, |scene| {
        let mut line = scene.open();
        scene.send(&mut line, &masked(Opcode::Text, b"flood"));
        let sent = std::mem::take(&mut scene.stage.worker.service().sent);
        assert_eq!(sent[..3], [Ok(()), Ok(()), Err(SendError::TurnFull)]);
        scene.send(&mut line, &masked(Opcode::Text, b"again"));
        let lens: Vec<usize> = line.frames(&scene.stage).iter().map(|(_, payload)| payload.len()).collect();
        assert_eq!(lens, [100_000, 100_000, 5]);
    });
}

#[test]
fn a_text_that_is_not_utf8_is_not_queued() {
    on_every_wire(&config(), |scene| {
        let mut line = scene.open();
        scene.send(&mut line, &masked(Opcode::Text, b"send no text"));
        scene.send(&mut line, &masked(Opcode::Text, b"as it was"));
        assert_eq!(scene.stage.worker.service().sent, [Err(SendError::NotUtf8), Ok(())]);
        assert_eq!(line.frames(&scene.stage), [(Opcode::Text, b"as it was".to_vec())]);
    });
}

#[test]
fn a_message_over_the_bound_is_sent_where_nothing_is_queued() {
    on_every_wire(&Config { max_backlog_bytes: 1000, ..config() }, |scene| {
        let mut line = scene.open();
        let message = line.message(Opcode::Binary, &noise(1, 5000));
        scene.send(&mut line, &message);
        assert_eq!(line.frames(&scene.stage), [(Opcode::Binary, noise(1, 5000))]);
    });
}

#[test]
fn what_is_left_after_a_turns_share_is_read_in_the_next() {
    on_every_wire(&config(), |scene| {
        let (mut line, mut other) = (scene.open(), scene.open());
        let big = noise(9, 900_000);
        let frames = [line.message(Opcode::Binary, &big), line.message(Opcode::Binary, &big)].concat();
        let bytes = line.wire(&frames, usize::MAX);
        scene.stage.script.arrive(line.id, &bytes);
        scene.send(&mut other, &masked(Opcode::Text, b"me too"));
        assert_eq!(other.frames(&scene.stage).len(), 1);
        assert!(line.frames(&scene.stage) == vec![(Opcode::Binary, big); 2]);
    });
}

#[test]
fn data_and_end_of_stream_before_one_wait_are_both_seen() {
    on_every_wire(&config(), |scene| {
        let mut line = scene.open();
        scene.stage.told();
        let message = line.message(Opcode::Text, b"last words");
        let bytes = line.wire(&message, usize::MAX);
        scene.stage.script.peer(line.id, |peer| peer.inbound.push_back(In::Bytes(bytes)));
        scene.stage.script.end(line.id);
        scene.stage.settle();
        // Over TLS an end without a word is a cut.
        let cause = if scene.carrier == Carrier::Tls { Cause::Reset } else { Cause::Lost };
        assert_eq!(scene.stage.told(), [Told::Message(b"last words".to_vec()), Told::Closed(cause)]);
        assert!(scene.stage.script.is_closed(line.id));
    });
}

#[test]
fn a_pong_overtakes_queued_data_and_of_a_flood_of_pings_only_the_last_is_answered() {
    on_every_wire(&config(), |scene| {
        let mut line = scene.open();
        scene.stage.script.peer(line.id, |peer| peer.room = 10);
        let payload = noise(1, 1000);
        let frames: Vec<u8> = (0..5).flat_map(|_| line.message(Opcode::Binary, &payload)).collect();
        scene.send(&mut line, &frames);
        assert_eq!(scene.stage.script.peer(line.id, |peer| peer.outbound.len()), 10);
        let before = scene.stage.worker.held_bytes();
        let pings: Vec<u8> = (0..10_000_u32).flat_map(|n| masked(Opcode::Ping, &n.to_be_bytes())).collect();
        scene.send(&mut line, &pings);
        assert!(scene.stage.worker.held_bytes() < before + 4_000);
        scene.stage.script.make_room(line.id, usize::MAX);
        scene.stage.settle();
        let pong = (Opcode::Pong, 9_999_u32.to_be_bytes().to_vec());
        let mut want = vec![(Opcode::Binary, payload); 5];
        // What has been made into records stays in its order; of plain frames only the one that was cut comes first.
        want.insert(if scene.carrier == Carrier::Tls { 5 } else { 1 }, pong);
        assert_eq!(line.frames(&scene.stage), want);
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(30))]

    /// The same for messages that are read straight to where they are put together, and sent from a buffer of their own.
    #[test]
    fn no_cut_loses_or_reorders_a_byte_of_big_messages(
        sizes in prop::collection::vec(0_usize..400_000, 1..5),
        cuts in prop::collection::vec(1_usize..300_000, 1..20),
        rooms in prop::collection::vec(0_usize..200_000, 1..20),
        record in 500_usize..20_000,
    ) {
        let payload = |(i, len): (usize, &usize)| (0..*len).map(|n| (n * 7 + i) as u8).collect::<Vec<u8>>();
        let want: Vec<_> = sizes.iter().enumerate().map(payload).collect();
        on_every_wire(&Config { max_backlog_bytes: 4 << 20, ..config() }, |scene| {
            let mut line = scene.open();
            scene.stage.script.peer(line.id, |peer| peer.room = 0);
            let ping = masked(Opcode::Ping, b"between");
            let sent: Vec<u8> =
                want.iter().flat_map(|m| [line.message(Opcode::Binary, m), ping.clone()].concat()).collect();
            through(scene, &mut line, &sent, record, &cuts, &rooms);
            let got = line.frames(&scene.stage);
            let messages = got.into_iter().filter(|frame| frame.0 == Opcode::Binary).map(|frame| frame.1);
            assert!(messages.eq(want.iter().cloned()));
        });
    }

    /// Whatever the reads, the writes and the room of the socket are: what was sent comes back whole and in order.
    #[test]
    fn no_cut_of_reads_and_writes_loses_or_reorders_a_byte(
        sizes in prop::collection::vec(0_usize..3000, 1..20),
        cuts in prop::collection::vec(1_usize..700, 1..50),
        rooms in prop::collection::vec(0_usize..900, 1..50),
        record in 1_usize..3000,
        write_most in 1_usize..2000,
    ) {
        let want: Vec<_> = sizes.iter().enumerate().map(|(i, len)| vec![i as u8; *len]).collect();
        on_every_wire(&config(), |scene| {
            let mut line = scene.open();
            scene.stage.script.peer(line.id, |peer| { peer.room = 0; peer.write_most = write_most; });
            let sent: Vec<u8> = want.iter().flat_map(|m| line.message(Opcode::Binary, m)).collect();
            through(scene, &mut line, &sent, record, &cuts, &rooms);
            assert!(line.frames(&scene.stage).into_iter().map(|frame| frame.1).eq(want.iter().cloned()));
        });
    }
}

/// Sends bytes by parts of these sizes to a worker whose socket has these rooms, again and again, and then as much as it wants.
fn through(scene: &mut Scene, line: &mut Line, sent: &[u8], record: usize, cuts: &[usize], rooms: &[usize]) {
    let bytes = line.wire(sent, record);
    let mut rest = bytes.as_slice();
    for (cut, room) in cuts.iter().cycle().zip(rooms.iter().cycle()) {
        let (part, behind) = rest.split_at(rest.len().min(*cut));
        scene.stage.send(line.id, part);
        scene.stage.script.make_room(line.id, *room);
        scene.stage.settle();
        rest = behind;
        if rest.is_empty() {
            break;
        }
    }
    scene.stage.script.make_room(line.id, usize::MAX);
    while scene.stage.script.peer(line.id, |peer| std::mem::take(&mut peer.writes)) > 0 {
        scene.stage.script.make_room(line.id, usize::MAX);
        scene.stage.settle();
    }
    let backlog = scene.stage.shared.sum(|counters| counters.backlog_bytes.get());
    assert_eq!(backlog, 0);
}
