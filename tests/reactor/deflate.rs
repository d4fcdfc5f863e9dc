//! Compressed messages on a worker, in a world that the test plays: who holds what and for how long, and what a turn may
//! cost. Plain and over TLS alike.

use rollcall::internals::limits::{
    CONNECTION_UNITS_PER_TURN, DEFLATE_BYTES_MIN, DEFLATE_CONTEXT_BYTES, DEFLATED_BYTES_PER_UNIT,
    INFLATED_BYTES_PER_UNIT,
};
use rollcall::internals::reactor::{
    Accept, Admission, Cause, Config, ConnId, Context, Deflate, Heartbeat, Service, SharedFrame,
};
use rollcall::internals::wire::frame::Opcode;
use rollcall::internals::wire::session::Kind;
use rollcall::internals::wire::upgrade::Upgrade;

use super::kit::{SECOND, config, masked, seconds};
use super::script::Script;
use super::wires::{CARRIERS, Line, OFFER, Peer, Scene, request_offering, text};

/// A scene for each carrier.
fn scenes(deflate: Deflate) -> impl Iterator<Item = Scene> {
    CARRIERS.into_iter().map(move |carrier| Scene::new(&config(), carrier, deflate))
}

#[test]
fn the_answer_names_what_was_agreed_and_nothing_where_nothing_was() {
    for (deflate, field, named) in [
        (Deflate::Off, OFFER, None),
        (Deflate::Shared, "x-unknown; a=b", None),
        (Deflate::Shared, "permessage-deflate; server_max_window_bits=8", None),
        (
            Deflate::Shared,
            OFFER,
            Some("permessage-deflate; server_no_context_takeover; client_no_context_takeover"),
        ),
        (Deflate::PerConnection, OFFER, Some("permessage-deflate; client_max_window_bits=12")),
    ] {
        for mut scene in scenes(deflate) {
            let (_, response) = scene.ask(field);
            assert!(response.starts_with("HTTP/1.1 101 "), "{response}");
            let field = response.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Extensions: "));
            assert_eq!(field, named);
        }
    }
    for (deflate, status) in [(Deflate::Shared, "400"), (Deflate::Off, "101")] {
        for mut scene in scenes(deflate) {
            // With compression off a list that is none is nobody's.
            let (_, response) = scene.ask("permessage-deflate; =");
            assert!(response.starts_with(&format!("HTTP/1.1 {status} ")), "{response}");
        }
    }
}

#[test]
fn messages_go_and_come_compressed_from_a_size_on() {
    for (deflate, field) in [
        (Deflate::Shared, "permessage-deflate; server_max_window_bits=9"),
        (Deflate::Shared, OFFER),
        (Deflate::PerConnection, OFFER),
    ] {
        for mut scene in scenes(deflate) {
            let mut line = scene.open_offering(field);
            for n in 1..30 {
                let message = text(n, n * 100);
                let frame = line.message(Opcode::Binary, &message);
                assert!(n < 29 || frame.len() < 1600, "{} bytes were sent", frame.len());
                scene.send(&mut line, &frame);
                let written = scene.stage.script.peer(line.id, |peer| peer.outbound.len());
                assert!(n < 29 || written < 1700, "{written} bytes came");
                let compressed = message.len() >= DEFLATE_BYTES_MIN;
                assert!(line.forms(&scene.stage) == [(Opcode::Binary, compressed, message)], "{field} {n}");
            }
            // An uncompressed message is none to the streams.
            scene.send(&mut line, &masked(Opcode::Binary, b"plain"));
            assert_eq!(line.forms(&scene.stage), [(Opcode::Binary, false, b"plain".to_vec())]);
        }
    }
}

#[test]
fn shared_holds_nothing_between_messages_and_per_connection_a_context() {
    for (deflate, holds) in
        [(Deflate::Shared, 0..=0), (Deflate::PerConnection, 4000..=3 * DEFLATE_CONTEXT_BYTES)]
    {
        for mut scene in scenes(deflate) {
            let mut line = scene.open();
            assert_eq!(scene.stage.worker.held_bytes(), 0, "until it is used");
            for n in 1..20 {
                let frame = line.message(Opcode::Binary, &text(n, 20_000));
                scene.send(&mut line, &frame);
            }
            assert_eq!(line.frames(&scene.stage).len(), 19);
            let held = scene.stage.worker.held_bytes();
            assert!(holds.contains(&held), "{deflate:?} holds {held}");
            // The heartbeat of a connection that is silent gives back what may be.
            scene.stage.pass(seconds(26));
            let idle = scene.stage.worker.held_bytes();
            assert!(idle <= 5000 && (idle < held || held == 0), "{deflate:?} holds {idle} of {held}");
            scene.send(&mut line, &masked(Opcode::Pong, b""));
            line.received(&scene.stage);
            // Both streams go on.
            let message = text(7, 2000);
            let frame = line.message(Opcode::Binary, &message);
            scene.send(&mut line, &frame);
            assert!(line.forms(&scene.stage) == [(Opcode::Binary, true, message)]);
            scene.stage.script.end(line.id);
            scene.stage.settle();
            assert_eq!(scene.stage.worker.held_bytes(), 0, "it is gone");
        }
    }
}

#[test]
fn half_a_message_keeps_its_inflater_until_its_end_or_the_connections() {
    for mut scene in scenes(Deflate::Shared) {
        let (mut a, mut b) = (scene.open(), scene.open());
        let message = text(3, 5000);
        let frame = Peer::new(false).message(Opcode::Binary, &message);
        for line in [&mut a, &mut b] {
            scene.send(line, &frame[..frame.len() / 2]);
        }
        assert!(scene.stage.worker.held_bytes() > 2 * (32 << 10), "{}", scene.stage.worker.held_bytes());
        scene.send(&mut a, &frame[frame.len() / 2..]);
        assert!(a.forms(&scene.stage) == [(Opcode::Binary, true, message)]);
        scene.stage.script.end(b.id);
        scene.stage.settle();
        assert_eq!(scene.stage.worker.held_bytes(), 0);
    }
}

#[test]
fn answers_that_are_compressed_are_paid_for_by_who_asks_for_them() {
    const MESSAGES: usize = 60;
    for mode in [Deflate::Shared, Deflate::PerConnection] {
        for mut scene in scenes(mode) {
            let mut line = scene.open();
            // Not compressed themselves, they cost next to nothing to read.
            let all = masked(Opcode::Text, &[b'x'; 1_000]).repeat(MESSAGES);
            let all = line.wire(&all, usize::MAX);
            let before = scene.stage.worker.service().told.len();
            scene.stage.script.arrive(line.id, &all);
            scene.stage.worker.turn().unwrap();
            let served = scene.stage.worker.service().told.len() - before;
            let most = CONNECTION_UNITS_PER_TURN as usize / (1_000 / DEFLATED_BYTES_PER_UNIT);
            assert!((1..=most).contains(&served), "{served} in a turn");
            scene.stage.settle();
            assert_eq!(line.frames(&scene.stage).len(), MESSAGES);
        }
    }
}

#[test]
fn bombs_wait_for_their_turn_and_others_come_first() {
    const BOMBS: usize = 60;
    for mut scene in scenes(Deflate::Shared) {
        let (mut line, mut other) = (scene.open(), scene.open());
        let bomb = line.message(Opcode::Binary, &vec![0; 1 << 20]);
        let mut all = bomb.repeat(BOMBS);
        assert!(all.len() < 128 << 10, "{} bytes come to 60 MiB", all.len());
        all.extend(masked(Opcode::Binary, b"last"));
        all.extend(masked(Opcode::Close, &[0x03, 0xe8]));
        let before = scene.stage.worker.service().told.len();
        let (all, short) = (line.wire(&all, usize::MAX), masked(Opcode::Text, b"me too"));
        scene.stage.script.arrive(line.id, &all);
        scene.stage.script.end(line.id);
        let short = other.wire(&short, usize::MAX);
        scene.stage.script.arrive(other.id, &short);
        // One turn, which is as long as it takes to inflate a connection's share.
        scene.stage.worker.turn().unwrap();
        let done = scene.stage.worker.service().told.len() - before;
        let share = CONNECTION_UNITS_PER_TURN as usize * INFLATED_BYTES_PER_UNIT;
        assert!(done <= 2 * share / (1 << 20) + 2, "{done} messages in one turn");
        assert_eq!(other.frames(&scene.stage), [(Opcode::Text, b"me too".to_vec())]);
        assert!(scene.stage.worker.held_bytes() > 0);
        scene.stage.settle();
        let frames = line.frames(&scene.stage);
        assert_eq!(frames.len(), BOMBS + 2);
        assert!(frames[..BOMBS].iter().all(|(_, message)| *message == vec![0; 1 << 20]));
        assert_eq!(
            frames[BOMBS..].iter().map(|frame| &frame.1[..]).collect::<Vec<_>>(),
            [b"last".as_slice(), &[0x03, 0xe8]]
        );
        assert_eq!(scene.stage.worker.service().causes(), [Cause::Closed]);
        assert_eq!(scene.stage.worker.held_bytes(), 0);
    }
}

#[test]
fn a_bomb_over_the_limit_is_1009() {
    for mut scene in scenes(Deflate::PerConnection) {
        let mut line = scene.open();
        let bomb = line.message(Opcode::Binary, &vec![0; 8 << 20]);
        scene.send(&mut line, &bomb);
        let frames = line.frames(&scene.stage);
        assert_eq!(frames.len(), 1);
        assert_eq!((frames[0].0, &frames[0].1[..2]), (Opcode::Close, &1009_u16.to_be_bytes()[..]));
        scene.stage.pass(6 * SECOND);
        assert_eq!(scene.stage.worker.held_bytes(), 0);
    }
}

#[test]
fn what_is_compressed_counts_as_what_it_came_to() {
    for mut scene in scenes(Deflate::Shared) {
        let mut line = scene.open();
        scene.stage.script.peer(line.id, |peer| peer.room = 0);
        let message = text(1, 60_000);
        scene.send(&mut line, &masked(Opcode::Binary, &message).repeat(5));
        // Five of 60 KB would have paused it.
        let held = scene.stage.worker.held_bytes();
        assert!(held < 150_000, "{held}");
        scene.stage.script.make_room(line.id, usize::MAX);
        scene.stage.settle();
        assert!(line.forms(&scene.stage) == vec![(Opcode::Binary, true, message); 5]);
    }
}

/// Hands every message on to everybody.
#[derive(Default)]
struct Room(Vec<ConnId>);

impl Service for Room {
    type Mail = ();
    type Admitted = ();

    fn admit(&mut self, _: &mut Context<'_, ()>, _: ConnId, _: &Upgrade<'_>) -> Admission {
        Admission::Accept(Accept::default())
    }

    fn open(&mut self, _: &mut Context<'_, ()>, conn: ConnId, (): ()) {
        self.0.push(conn);
    }

    fn message(&mut self, cx: &mut Context<'_, ()>, conn: ConnId, kind: Kind, payload: &[u8]) {
        let frame = SharedFrame::new(kind, payload).unwrap();
        assert!(cx.publish(self.0.iter().copied(), &frame).is_empty());
        // And to its sender once more, by itself.
        cx.send(conn, kind, payload).unwrap();
    }
}

#[test]
fn a_room_of_all_kinds_gets_each_its_form() {
    for deflate in [Deflate::Shared, Deflate::PerConnection] {
        let config = Config { deflate, heartbeat: Heartbeat::default(), ..config() };
        let script = Script::new(config.first_tick);
        let (mut worker, _) = script.worker(&config, Room::default());
        let fields = [OFFER, "permessage-deflate; server_max_window_bits=9", "", OFFER];
        let mut members: Vec<Line> = Vec::new();
        for field in fields {
            let id = script.connect();
            script.settle(&mut worker);
            script.arrive(id, &request_offering(field));
            script.settle(&mut worker);
            assert!(script.written(id).starts_with(b"HTTP/1.1 101 "));
            members.push(Line { id, tls: None, peer: Some(Peer::new(deflate == Deflate::PerConnection)) });
        }
        for round in 0..12 {
            let speaker = round % members.len();
            let message = text(round + 1, if round % 3 == 2 { 100 } else { 3000 });
            script.arrive(members[speaker].id, &masked(Opcode::Binary, &message));
            script.settle(&mut worker);
            for (at, line) in members.iter_mut().enumerate() {
                let got = line.forms_of(&script.written(line.id));
                let compressed = at != 2 && message.len() >= DEFLATE_BYTES_MIN;
                let times = if at == speaker { 2 } else { 1 };
                assert!(
                    got == vec![(Opcode::Binary, compressed, message.clone()); times],
                    "{deflate:?} {round} {at}"
                );
            }
        }
    }
}
