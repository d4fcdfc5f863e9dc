//! Compressed messages on a worker, in a world that the test plays: who holds what and for how long, and what a turn may
//! cost.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};
use rollcall::limits::{
    CONNECTION_UNITS_PER_TURN, DEFLATE_BYTES_MIN, DEFLATE_CONTEXT_BYTES, INFLATED_BYTES_PER_UNIT,
};
use rollcall::reactor::{
    Accept, Admission, Cause, Config, ConnId, Context, Deflate, Heartbeat, Service, SharedFrame,
};
use rollcall::wire::frame::{self, Header, Opcode, Parsed};
use rollcall::wire::session::Kind;
use rollcall::wire::upgrade::Upgrade;

use super::kit::{SECOND, Stage, config, masked, seconds, upgrade_request};
use super::script::Script;

const OFFER: &str = "permessage-deflate; client_max_window_bits";

/// A request that offers extensions.
fn request(field: &str) -> Vec<u8> {
    let request = String::from_utf8(upgrade_request("/")).unwrap();
    let end = format!("\r\nSec-WebSocket-Extensions: {field}\r\n\r\n");
    request.replace("\r\n\r\n", &end).into_bytes()
}

/// What comes of the request, whole.
fn ask(stage: &mut Stage, field: &str) -> (usize, String) {
    let id = stage.script.connect();
    stage.settle();
    stage.script.arrive(id, &request(field));
    stage.settle();
    (id, String::from_utf8(stage.script.written(id)).unwrap())
}

fn open(stage: &mut Stage, field: &str) -> usize {
    let (id, response) = ask(stage, field);
    assert!(response.starts_with("HTTP/1.1 101 "), "{response}");
    id
}

fn stage(deflate: Deflate) -> Stage {
    Stage::new(&Config { deflate, ..config() })
}

/// One end as zlib has it: a stream each way that never starts anew.
struct Peer {
    out: Compress,
    input: Decompress,
}

impl Peer {
    fn new() -> Peer {
        let out = Compress::new_with_window_bits(Compression::new(6), false, 12);
        Peer { out, input: Decompress::new(false) }
    }

    /// A masked frame with the message compressed.
    fn message(&mut self, message: &[u8]) -> Vec<u8> {
        let mut data = Vec::with_capacity(message.len() + 1000);
        self.out.compress_vec(message, &mut data, FlushCompress::Sync).unwrap();
        data.truncate(data.len() - 4);
        let mut bytes = Vec::new();
        frame::write_reserved(&mut bytes, Opcode::Binary, 4, &data, Some([9, 8, 7, 6]));
        bytes
    }

    /// The messages in what a server wrote, and whether each was compressed.
    fn read(&mut self, mut bytes: &[u8]) -> Vec<(bool, Vec<u8>)> {
        let mut messages = Vec::new();
        while !bytes.is_empty() {
            let Parsed::Header(header, at) = Header::parse(bytes).unwrap() else { panic!("half a header") };
            let (payload, rest) = bytes[at..].split_at(header.len as usize);
            bytes = rest;
            let compressed = header.reserved == 4;
            if header.opcode.is_control() {
                continue;
            }
            let mut message = payload.to_vec();
            if compressed {
                message = Vec::with_capacity(2 << 20);
                let data = [payload, &[0, 0, 0xff, 0xff]].concat();
                self.input.decompress_vec(&data, &mut message, FlushDecompress::Sync).unwrap();
            }
            messages.push((compressed, message));
        }
        messages
    }
}

/// A text of about `len` bytes that compresses as chats do; no two alike.
fn text(seed: usize, len: usize) -> Vec<u8> {
    let line = |n: usize| format!(r#"{{"from":"u{}","offset":{},"data":"{}"}} "#, n % 7, n * seed, n * n);
    (seed..)
        .map(line)
        .scan(0, |made, line| {
            *made += line.len();
            (*made < len + line.len()).then_some(line)
        })
        .collect::<String>()
        .into_bytes()
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
        let (_, response) = ask(&mut stage(deflate), field);
        assert!(response.starts_with("HTTP/1.1 101 "), "{response}");
        let field = response.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Extensions: "));
        assert_eq!(field, named);
    }
    let (_, response) = ask(&mut stage(Deflate::Shared), "permessage-deflate; =");
    assert!(response.starts_with("HTTP/1.1 400 "), "{response}");
    // With compression off it is nobody's.
    assert!(ask(&mut stage(Deflate::Off), "permessage-deflate; =").1.starts_with("HTTP/1.1 101 "));
}

#[test]
fn messages_go_and_come_compressed_from_a_size_on() {
    for (deflate, field) in [
        (Deflate::Shared, "permessage-deflate; server_max_window_bits=9"),
        (Deflate::Shared, OFFER),
        (Deflate::PerConnection, OFFER),
    ] {
        let mut stage = stage(deflate);
        let id = open(&mut stage, field);
        let (mut peer, mut sizes) = (Peer::new(), Vec::new());
        for n in 1..30 {
            if deflate == Deflate::Shared {
                peer.out.reset();
            }
            let message = text(n, n * 100);
            let frame = peer.message(&message);
            stage.send(id, &frame);
            let written = stage.script.written(id);
            sizes.push((frame.len(), written.len()));
            let compressed = message.len() >= DEFLATE_BYTES_MIN;
            assert!(peer.read(&written) == [(compressed, message)], "{field} {n}");
        }
        // An uncompressed message is none to the streams.
        stage.send(id, &masked(Opcode::Binary, b"plain"));
        assert_eq!(peer.read(&stage.script.written(id)), [(false, b"plain".to_vec())]);
        let (asked, answered) = sizes[28];
        assert!(asked < 1600 && answered < 1600, "{asked} {answered}");
    }
}

#[test]
fn shared_holds_nothing_between_messages_and_per_connection_a_context() {
    for (deflate, holds) in
        [(Deflate::Shared, 0..=0), (Deflate::PerConnection, 4000..=3 * DEFLATE_CONTEXT_BYTES)]
    {
        let mut stage = stage(deflate);
        let id = open(&mut stage, OFFER);
        assert_eq!(stage.worker.held_bytes(), 0, "until it is used");
        let mut peer = Peer::new();
        for n in 1..20 {
            if deflate == Deflate::Shared {
                peer.out.reset();
            }
            stage.send(id, &peer.message(&text(n, 20_000)));
        }
        assert_eq!(peer.read(&stage.script.written(id)).len(), 19);
        let held = stage.worker.held_bytes();
        assert!(holds.contains(&held), "{deflate:?} holds {held}");
        // The heartbeat of a connection that is silent gives back what may be.
        stage.pass(seconds(26));
        let idle = stage.worker.held_bytes();
        assert!(idle <= 5000 && (idle < held || held == 0), "{deflate:?} holds {idle} of {held}");
        stage.script.arrive(id, &masked(Opcode::Pong, b""));
        stage.script.written(id);
        // Both streams go on.
        if deflate == Deflate::Shared {
            peer.out.reset();
        }
        let message = text(7, 2000);
        stage.send(id, &peer.message(&message));
        assert!(peer.read(&stage.script.written(id)) == [(true, message)]);
        stage.script.end(id);
        stage.settle();
        assert_eq!(stage.worker.held_bytes(), 0, "it is gone");
    }
}

#[test]
fn half_a_message_keeps_its_inflater_until_its_end_or_the_connections() {
    let mut stage = stage(Deflate::Shared);
    let (a, b) = (open(&mut stage, OFFER), open(&mut stage, OFFER));
    let message = text(3, 5000);
    let frame = Peer::new().message(&message);
    for id in [a, b] {
        stage.send(id, &frame[..frame.len() / 2]);
    }
    assert!(stage.worker.held_bytes() > 2 * (32 << 10), "{}", stage.worker.held_bytes());
    stage.send(a, &frame[frame.len() / 2..]);
    assert!(Peer::new().read(&stage.script.written(a)) == [(true, message)]);
    stage.script.end(b);
    stage.settle();
    assert_eq!(stage.worker.held_bytes(), 0);
}

#[test]
fn bombs_wait_for_their_turn_and_others_come_first() {
    const BOMBS: usize = 60;
    let mut stage = stage(Deflate::Shared);
    let id = open(&mut stage, OFFER);
    let mut all = Vec::new();
    for _ in 0..BOMBS {
        all.extend(Peer::new().message(&vec![0; 1 << 20]));
    }
    assert!(all.len() < 128 << 10, "{} bytes come to 60 MiB", all.len());
    all.extend(masked(Opcode::Binary, b"last"));
    all.extend(masked(Opcode::Close, &[0x03, 0xe8]));
    let other = stage.open();
    stage.script.arrive(id, &all);
    stage.script.end(id);
    stage.script.arrive(other, &masked(Opcode::Text, b"me too"));
    // One turn, which is as long as it takes to inflate a connection's share.
    stage.worker.turn().unwrap();
    let done = stage.worker.service().told.len();
    let share = CONNECTION_UNITS_PER_TURN as usize * INFLATED_BYTES_PER_UNIT;
    assert!(done <= 2 + 2 * share / (1 << 20) + 2, "{done} messages in one turn");
    assert_eq!(stage.frames(other), [(Opcode::Text, b"me too".to_vec())]);
    assert!(stage.worker.held_bytes() > 0);
    stage.settle();
    let mut peer = Peer::new();
    let written = stage.script.written(id);
    let mut bytes = &written[..];
    let mut count = 0;
    while let Ok(Parsed::Header(header, at)) = Header::parse(bytes) {
        let (frame, rest) = bytes.split_at(at + header.len as usize);
        bytes = rest;
        if header.opcode == Opcode::Close {
            break;
        }
        peer.input.reset(false);
        let message = peer.read(frame).remove(0).1;
        count += 1;
        assert!(if count <= BOMBS { message == vec![0; 1 << 20] } else { message == b"last" }, "{count}");
    }
    assert_eq!(count, BOMBS + 1);
    assert_eq!(stage.worker.service().causes(), [Cause::Closed]);
    assert_eq!(stage.worker.held_bytes(), 0);
}

#[test]
fn a_bomb_over_the_limit_is_1009() {
    let mut stage = stage(Deflate::PerConnection);
    let id = open(&mut stage, OFFER);
    let bomb = Peer::new().message(&vec![0; 8 << 20]);
    stage.send(id, &bomb);
    let frames = stage.frames(id);
    assert_eq!(frames.len(), 1);
    assert_eq!((frames[0].0, &frames[0].1[..2]), (Opcode::Close, &1009_u16.to_be_bytes()[..]));
    stage.pass(6 * SECOND);
    assert_eq!(stage.worker.held_bytes(), 0);
}

/// Hands every message on to everybody.
#[derive(Default)]
struct Room(Vec<ConnId>);

impl Service for Room {
    type Mail = ();

    fn admit(&mut self, _: &mut Context<'_, ()>, _: ConnId, _: &Upgrade<'_>) -> Admission {
        Admission::Accept(Accept::default())
    }

    fn open(&mut self, _: &mut Context<'_, ()>, conn: ConnId) {
        self.0.push(conn);
    }

    fn message(&mut self, cx: &mut Context<'_, ()>, conn: ConnId, kind: Kind, payload: &[u8]) {
        let frame = SharedFrame::new(kind, payload);
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
        let mut members: Vec<(usize, Peer)> = Vec::new();
        for field in fields {
            let id = script.connect();
            script.settle(&mut worker);
            script.arrive(id, &request(field));
            script.settle(&mut worker);
            assert!(script.written(id).starts_with(b"HTTP/1.1 101 "));
            members.push((id, Peer::new()));
        }
        for round in 0..12 {
            let speaker = round % members.len();
            let message = text(round + 1, if round % 3 == 2 { 100 } else { 3000 });
            script.arrive(members[speaker].0, &masked(Opcode::Binary, &message));
            script.settle(&mut worker);
            for (at, (id, peer)) in members.iter_mut().enumerate() {
                let got = peer.read(&script.written(*id));
                let compressed = at != 2 && message.len() >= DEFLATE_BYTES_MIN;
                let times = if at == speaker { 2 } else { 1 };
                assert!(got == vec![(compressed, message.clone()); times], "{deflate:?} {round} {at}");
            }
        }
    }
}

#[test]
fn what_is_compressed_counts_as_what_it_came_to() {
    let mut stage = stage(Deflate::Shared);
    let id = open(&mut stage, OFFER);
    stage.script.peer(id, |peer| peer.room = 0);
    let message = text(1, 60_000);
    stage.send(id, &masked(Opcode::Binary, &message).repeat(5));
    // Five of 60 KB would have paused it.
    let held = stage.worker.held_bytes();
    assert!(held < 150_000, "{held}");
    stage.script.make_room(id, usize::MAX);
    stage.settle();
    let mut peer = Peer::new();
    assert!(peer.read(&stage.script.written(id)) == vec![(true, message); 5]);
}
