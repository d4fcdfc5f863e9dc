//! Messages and requests of which not all has come: what they hold together is bounded, on every wire, and who holds much of
//! them ends first where memory is short.

use std::sync::Arc;

use rollcall::internals::limits::{HALF_READ_BYTES_MIN, MessageLimits};
use rollcall::internals::reactor::{Config, Deflate, Shared, WorkerId};
use rollcall::internals::wire::frame::Opcode;

use super::kit::{Recorder, Stage, close_frame, config, frames, masked, seconds};
use super::script::{Script, mailboxes};
use super::wires::{CARRIERS, Line, Scene, noise, on_every_wire};

const MESSAGE_BYTES: usize = 40_000;
/// What all may hold.
const MOST: usize = 200_000;

fn bounded() -> Config {
    let messages = MessageLimits { max_message_bytes: MESSAGE_BYTES, ..MessageLimits::default() };
    Config { messages, half_read_bytes_max: MOST, ..config() }
}

/// A line that has sent all of its message but the last byte, and that byte.
fn half(scene: &mut Scene, seed: usize) -> (Line, Vec<u8>) {
    let mut line = scene.open();
    let mut message = line.message(Opcode::Binary, &noise(seed, 30_000));
    let rest = message.split_off(message.len() - 1);
    scene.send(&mut line, &message);
    (line, rest)
}

#[test]
fn half_messages_are_bounded_together_and_who_wants_more_comes_again_later() {
    on_every_wire(&bounded(), |scene| {
        let mut lines = Vec::new();
        let refused = loop {
            let (mut line, rest) = half(scene, lines.len());
            let frames = line.frames(&scene.stage);
            if !frames.is_empty() {
                break frames;
            }
            lines.push((line, rest));
            assert!(lines.len() < 8, "nobody is told that it is too much");
        };
        assert!(lines.len() >= 2, "{} had room", lines.len());
        let told = close_frame(1013, "too much is half received at once: send it again later");
        assert_eq!(refused, super::kit::frames(&told));
        assert_eq!(scene.stage.worker.service().farewells, [1013], "the service could say when to come back");
        let held = scene.stage.worker.held_bytes();
        assert!(held < MOST + MESSAGE_BYTES, "{held} bytes are held");
        // What is short, or cut in two on its way, is no matter.
        let mut other = scene.open();
        let short = masked(Opcode::Binary, &noise(9, HALF_READ_BYTES_MIN / 2));
        scene.send(&mut other, &short[..100]);
        scene.send(&mut other, &short[100..]);
        assert_eq!(other.frames(&scene.stage).len(), 1);
        // The others' come to their end, and then there is room.
        for (seed, (line, rest)) in lines.iter_mut().enumerate() {
            scene.send(line, rest);
            assert!(line.frames(&scene.stage) == [(Opcode::Binary, noise(seed, 30_000))]);
        }
        for seed in 0..20 {
            let (mut line, rest) = half(scene, seed);
            // One that goes leaves its room, whether it was through or not.
            if seed % 2 == 0 {
                scene.send(&mut line, &rest);
                assert!(line.frames(&scene.stage) == [(Opcode::Binary, noise(seed, 30_000))]);
            }
            scene.stage.script.end(line.id);
            scene.stage.settle();
        }
    });
}

#[test]
fn requests_that_waited_for_their_turn_leave_nothing_behind() {
    let short = b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n".repeat(200);
    let long =
        [&b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 30000\r\n\r\n"[..], &[b'x'; 30_000]].concat();
    for carrier in CARRIERS {
        let mut scene = Scene::new(&bounded(), carrier, Deflate::Off);
        // More than there are shares for at once; and all of it would be far more than may be half read.
        let lines: Vec<Line> = (0..20)
            .map(|_| {
                let mut line = scene.connect();
                scene.send(&mut line, &[&short[..], &long].concat());
                let answers = line.received(&scene.stage);
                let answers = answers.windows(13).filter(|part| part == b"HTTP/1.1 200 ").count();
                assert_eq!(answers, 201, "{carrier:?}");
                line
            })
            .collect();
        let (mut line, rest) = half(&mut scene, 1);
        scene.send(&mut line, &rest);
        assert!(line.frames(&scene.stage) == [(Opcode::Binary, noise(1, 30_000))], "with {}", lines.len());
    }
}

#[test]
fn half_requests_are_bounded_with_them() {
    let chunked = |bytes: &[u8]| {
        let head =
            format!("POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n", bytes.len());
        [head.as_bytes(), bytes, b"\r\n0\r\n\r\n"].concat()
    };
    let whole = |bytes: &[u8]| {
        let head = format!("POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", bytes.len());
        [head.as_bytes(), bytes].concat()
    };
    for carrier in CARRIERS {
        for request in [chunked(&[b'x'; 30_000]), whole(&[b'x'; 30_000])] {
            let mut scene = Scene::new(&bounded(), carrier, Deflate::Off);
            let (rest, mut lines) = (&request[29_000..], Vec::new());
            let refused = loop {
                let mut line = scene.connect();
                scene.send(&mut line, &request[..29_000]);
                let written = line.received(&scene.stage);
                if !written.is_empty() {
                    break written;
                }
                lines.push(line);
                assert!(lines.len() < 8, "nobody is told that it is too much");
            };
            assert!(refused.starts_with(b"HTTP/1.1 503 ") && lines.len() >= 2, "{}", refused.escape_ascii());
            assert!(
                refused.windows(15).any(|part| part == b"\r\nRetry-After: "),
                "{}",
                refused.escape_ascii()
            );
            for line in &mut lines {
                scene.send(line, rest);
                assert!(line.received(&scene.stage).starts_with(b"HTTP/1.1 200 "));
            }
            // There is room for messages again.
            let (mut line, rest) = half(&mut scene, 1);
            scene.send(&mut line, &rest);
            assert!(line.frames(&scene.stage) == [(Opcode::Binary, noise(1, 30_000))]);
        }
    }
}

#[test]
fn half_messages_are_bounded_over_all_workers() {
    let config = bounded();
    let shared = Arc::new(Shared::new(2, config.max_connections, config.first_tick));
    let boxes = mailboxes(2);
    let mut stages = [0, 1].map(|id| {
        let script = Script::new(config.first_tick);
        let worker = script.worker_of(WorkerId(id), &config, &shared, &boxes, Recorder::default());
        Stage { script, worker, shared: shared.clone() }
    });
    let message = masked(Opcode::Binary, &noise(1, 30_000));
    let mut send = |worker: usize| {
        let stage: &mut Stage = &mut stages[worker];
        let id = stage.open();
        stage.send(id, &message[..29_000]);
        let is_told = !stage.script.written(id).is_empty();
        (id, is_told)
    };
    let first: Vec<(usize, bool)> = (0..4).map(|_| send(0)).collect();
    assert!(first.iter().all(|(_, is_told)| !is_told));
    let told = (0..6).filter(|_| send(1).1).count();
    assert!((3..=5).contains(&told), "{told} of 6 were told");
    // Where the first worker's are gone, the second's have room.
    for (id, _) in first {
        stages[0].script.end(id);
        stages[0].settle();
    }
    let id = stages[1].open();
    stages[1].send(id, &message);
    assert_eq!(frames(&stages[1].script.written(id)).len(), 1);
}

#[test]
fn what_a_half_message_takes_beside_its_bytes_counts_where_memory_is_short() {
    on_every_wire(&Config { max_memory_bytes: Some(100 << 20), ..config() }, |scene| {
        // Under deflate an inflater is lent to it, which is more than the other one holds.
        let mut inflating = scene.open();
        let message = inflating.message(Opcode::Binary, &noise(1, 18_000));
        scene.send(&mut inflating, &message[..message.len() - 1]);
        let mut plain = scene.open();
        let message = masked(Opcode::Binary, &noise(2, 40_000));
        scene.send(&mut plain, &message[..message.len() - 1]);
        scene.stage.script.set_resident((100 << 20) + 1);
        let mut ended = Vec::new();
        for _ in 0..6 {
            scene.stage.pass(seconds(1));
            for (name, line) in [("inflating", &mut inflating), ("plain", &mut plain)] {
                if line.frames(&scene.stage).iter().any(|(opcode, _)| *opcode == Opcode::Close) {
                    ended.push(name);
                }
            }
        }
        let by_size =
            if scene.deflate == Deflate::Off { ["plain", "inflating"] } else { ["inflating", "plain"] };
        assert_eq!(ended, by_size);
        let held = scene.stage.worker.held_bytes();
        assert!(held < HALF_READ_BYTES_MIN, "{held} bytes are still held");
    });
}
