//! More than a turn's share at once: messages whose compressed and inflated bytes pass what one connection may cost in a turn, so
//! that a part of the input waits while more of it arrives, or the end. Nothing of it may be lost, doubled or swapped, on
//! any wire.

use rollcall::internals::reactor::Cause;
use rollcall::internals::wire::frame::{self, Header, Opcode, Parsed};
use rollcall::internals::wire::mask;

use super::kit::{Told, config, masked};
use super::wires::{CUTS, Carrier, Cut, Line, Scene, noise, on_every_wire, text};

/// What a client sends.
struct Load {
    name: &'static str,
    opcode: Opcode,
    messages: Vec<Vec<u8>>,
}

fn loads() -> Vec<Load> {
    let load = |name, opcode, messages| Load { name, opcode, messages };
    let documents = [100_000, 300_000, 900_000].map(|len| text(5, len));
    vec![
        load("a burst of lines", Opcode::Text, (1..=1_000).map(|n| text(n, 2_000)).collect()),
        load("large documents", Opcode::Text, documents.into()),
        load("numbered messages", Opcode::Binary, numbered(3_000)),
    ]
}

/// Messages of 306 bytes, each with its number in front.
fn numbered(count: usize) -> Vec<Vec<u8>> {
    (0..count).map(|n| [format!("{n:05} ").as_bytes(), &noise(n, 300)].concat()).collect()
}

fn frames_of(line: &mut Line, load: &Load) -> Vec<u8> {
    load.messages.iter().flat_map(|message| line.message(load.opcode, message)).collect()
}

/// The first place where what came is not what was sent, in words.
fn difference(sent: &[Vec<u8>], got: &[Vec<u8>]) -> Option<String> {
    if got == sent {
        return None;
    }
    let at = sent.iter().zip(got).position(|(sent, got)| sent != got).unwrap_or(sent.len().min(got.len()));
    Some(format!("{} messages of {} came; the first that is wrong is number {at}", got.len(), sent.len()))
}

#[track_caller]
fn assert_same(sent: &[Vec<u8>], got: &[Vec<u8>], what: &str) {
    if let Some(difference) = difference(sent, got) {
        panic!("{what}: {difference}");
    }
}

/// Takes the messages that the service was told, and the end that it was told behind them.
fn told(scene: &mut Scene) -> (Vec<Vec<u8>>, Vec<Cause>) {
    let mut messages = Vec::new();
    let mut causes = Vec::new();
    for told in scene.stage.told() {
        match told {
            Told::Message(message) => {
                assert!(causes.is_empty(), "a message behind the end");
                messages.push(message);
            }
            Told::Closed(cause) => causes.push(cause),
            _ => {}
        }
    }
    (messages, causes)
}

#[test]
fn every_message_is_served_and_echoed_in_order_however_it_is_cut() {
    let loads = loads();
    for cut in CUTS {
        on_every_wire(&config(), |scene| {
            for load in &loads {
                let what = format!("{}, {cut:?}", load.name);
                let mut line = scene.open();
                scene.stage.told();
                let frames = frames_of(&mut line, load);
                scene.send_cut(&mut line, &frames, cut);
                let (served, causes) = told(scene);
                assert_same(&load.messages, &served, &format!("served: {what}"));
                let echoed: Vec<_> = line.frames(&scene.stage).into_iter().map(|frame| frame.1).collect();
                assert_same(&load.messages, &echoed, &format!("echoed: {what}"));
                assert_eq!(causes, []);
            }
        });
    }
}

#[test]
fn a_fragmented_document_is_put_together_with_pings_in_its_midst() {
    for cut in CUTS {
        on_every_wire(&config(), |scene| {
            let mut line = scene.open();
            let document = text(2, 400_000);
            let frame = line.message(Opcode::Text, &document);
            let frames = fragmented(&frame, 9_000);
            scene.send_cut(&mut line, &frames, cut);
            let got = line.frames(&scene.stage);
            let (echoes, pongs): (Vec<_>, Vec<_>) =
                got.into_iter().partition(|frame| frame.0 == Opcode::Text);
            assert!(echoes == [(Opcode::Text, document.clone())], "{cut:?}");
            assert!(!pongs.is_empty() && pongs.iter().all(|frame| frame.0 == Opcode::Pong));
        });
    }
}

/// A masked frame of its own as fragments of `size` bytes, with a Ping before each but the first.
fn fragmented(frame: &[u8], size: usize) -> Vec<u8> {
    let Parsed::Header(header, at) = Header::parse(frame).unwrap() else { panic!("no header") };
    let mut payload = frame[at..].to_vec();
    mask::apply(&mut payload, header.mask.unwrap());
    let mut bytes = Vec::new();
    let count = payload.len().div_ceil(size);
    for (n, part) in payload.chunks(size).enumerate() {
        let (opcode, reserved) =
            if n == 0 { (header.opcode, header.reserved) } else { (Opcode::Continuation, 0) };
        if n > 0 {
            bytes.extend(masked(Opcode::Ping, b"between"));
        }
        let start = bytes.len();
        frame::write_reserved(&mut bytes, opcode, reserved, part, Some([5, 6, 7, 8]));
        if n + 1 < count {
            // Not the last one.
            bytes[start] &= 0x7f;
        }
    }
    bytes
}

#[test]
fn a_close_behind_it_is_answered_when_all_has_been_echoed() {
    let messages = numbered(3_000);
    let load = Load { name: "numbered", opcode: Opcode::Binary, messages };
    for cut in CUTS {
        on_every_wire(&config(), |scene| {
            let mut line = scene.open();
            scene.stage.told();
            let mut frames = frames_of(&mut line, &load);
            frames.extend(masked(Opcode::Close, &1000_u16.to_be_bytes()));
            scene.send_cut(&mut line, &frames, cut);
            let mut echoed = line.frames(&scene.stage);
            assert_eq!(echoed.pop(), Some((Opcode::Close, 1000_u16.to_be_bytes().to_vec())), "{cut:?}");
            let echoed: Vec<_> = echoed.into_iter().map(|frame| frame.1).collect();
            assert_same(&load.messages, &echoed, &format!("{cut:?}"));
            assert_eq!(told(scene).1, [Cause::Closed]);
        });
    }
}

/// How a client's stream ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Ending {
    /// The socket's stream ends, and TLS has not said that it does.
    Cut,
    /// TLS says that nothing follows; the socket's stream goes on or ends.
    Notified { cut: bool },
    /// A fatal alert.
    Alert,
    /// A record that is not what was sealed.
    Tampered,
}

impl Ending {
    fn all(carrier: Carrier) -> Vec<Ending> {
        match carrier {
            Carrier::Plain => vec![Ending::Cut],
            Carrier::Tls => {
                let notified = [false, true].map(|cut| Ending::Notified { cut });
                [Ending::Cut, Ending::Alert, Ending::Tampered].into_iter().chain(notified).collect()
            }
        }
    }

    fn cause(self, carrier: Carrier) -> Cause {
        match self {
            // Over TLS an end without a word may be somebody else's.
            Ending::Cut if carrier == Carrier::Tls => Cause::Reset,
            Ending::Cut | Ending::Notified { .. } => Cause::Lost,
            Ending::Alert => Cause::Reset,
            Ending::Tampered => Cause::Protocol,
        }
    }

    /// What goes over the wire for it.
    fn bytes(self, line: &mut Line) -> Vec<u8> {
        let Some(client) = &mut line.tls else { return Vec::new() };
        match self {
            Ending::Cut => Vec::new(),
            Ending::Notified { .. } => {
                client.session.send_close_notify();
                client.records()
            }
            Ending::Alert => {
                // What no server seals: rustls answers it with an alert.
                let mut junk: &[u8] = &[&[23, 3, 3, 0, 32][..], &[7; 32]].concat();
                client.session.read_tls(&mut junk).unwrap();
                client.session.process_new_packets().unwrap_err();
                client.records()
            }
            Ending::Tampered => {
                client.write(&masked(Opcode::Text, b"evil"));
                let mut record = client.records();
                *record.last_mut().unwrap() ^= 1;
                record
            }
        }
    }

    fn ends_the_socket(self) -> bool {
        matches!(self, Ending::Cut | Ending::Notified { cut: true })
    }
}

#[test]
fn an_end_counts_when_all_that_came_before_it_is_served() {
    let loads = [
        Load { name: "numbered", opcode: Opcode::Binary, messages: numbered(1_500) },
        Load { name: "a document", opcode: Opcode::Text, messages: vec![text(4, 700_000), text(6, 30)] },
    ];
    for load in &loads {
        for cut in CUTS.into_iter().step_by(2) {
            on_every_wire(&config(), |scene| {
                for ending in Ending::all(scene.carrier) {
                    ends(scene, load, cut, ending);
                }
            });
        }
    }
}

fn ends(scene: &mut Scene, load: &Load, cut: Cut, ending: Ending) {
    let what = format!("{}, {cut:?}, {ending:?}", load.name);
    let mut line = scene.open();
    scene.stage.told();
    let frames = frames_of(&mut line, load);
    let mut bytes = line.wire(&frames, cut.record);
    bytes.extend(ending.bytes(&mut line));
    scene.arrive_cut(&line, &bytes, cut);
    if ending.ends_the_socket() {
        scene.stage.script.end(line.id);
    }
    scene.stage.settle();
    let (served, causes) = told(scene);
    assert_same(&load.messages, &served, &what);
    assert_eq!(causes, [ending.cause(scene.carrier)], "{what}");
}

#[test]
fn what_comes_while_a_part_waits_is_served_behind_it_a_share_a_turn() {
    on_every_wire(&config(), |scene| {
        let (mut line, mut other) = (scene.open(), scene.open());
        let document = text(1, 800_000);
        let frame = line.message(Opcode::Text, &document);
        let all = [frame, masked(Opcode::Text, b"first"), masked(Opcode::Text, b"second")].concat();
        let bytes = line.wire(&all, usize::MAX);
        // The end of the second frame's bytes comes a turn after the rest.
        let (before, behind) = bytes.split_at(bytes.len() - 3);
        scene.stage.script.arrive(line.id, before);
        scene.stage.worker.turn().unwrap();
        scene.stage.script.arrive(line.id, behind);
        let short = other.wire(&masked(Opcode::Text, b"me too"), usize::MAX);
        scene.stage.script.arrive(other.id, &short);
        scene.stage.worker.turn().unwrap();
        assert_eq!(other.frames(&scene.stage), [(Opcode::Text, b"me too".to_vec())], "others come first");
        scene.stage.settle();
        let got: Vec<_> = line.frames(&scene.stage).into_iter().map(|frame| frame.1).collect();
        assert_same(&[document, b"first".to_vec(), b"second".to_vec()], &got, "after a while");
    });
}
