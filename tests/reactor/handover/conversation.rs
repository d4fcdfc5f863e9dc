//! Conversations at random, of all kinds that a connection has.

use std::time::Duration;

use rollcall::internals::reactor::Deflate;
use rollcall::internals::wire::frame::{Header, Opcode, Parsed};
use rollcall::internals::wire::mask;

use crate::reactor::kit::{masked, seconds, upgrade_request};
use crate::reactor::simulation::Dice;
use crate::reactor::wires::{self, OFFER, noise, request_offering};

/// What happens next.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Step {
    Arrives(Vec<u8>),
    Ends,
    /// The socket has room for so much.
    HasRoom(usize),
    Turns,
    Settles,
    Passes(Duration),
    Drains,
    /// The connection moves, where it does.
    Moves,
}

/// A conversation: what a client says, cut anywhere, and what happens in between.
#[derive(Debug)]
pub(super) struct Conversation {
    pub(super) deflate: Deflate,
    pub(super) has_pings: bool,
    pub(super) steps: Vec<Step>,
}

impl Conversation {
    pub(super) fn of(seed: u64) -> Conversation {
        let mut dice = Dice(seed);
        let deflate = [Deflate::Off, Deflate::Shared, Deflate::PerConnection][dice.below(3)];
        let mut said = Vec::new();
        for _ in 0..dice.below(4) {
            said.extend(request(&mut dice));
        }
        if !dice.one_in(6) {
            said.extend(if deflate == Deflate::Off { upgrade_request("/") } else { request_offering(OFFER) });
            said.extend(frames(&mut dice, deflate));
        }
        let has_pings = dice.one_in(2);
        let steps = steps(&mut dice, &said);
        Conversation { deflate, has_pings, steps }
    }
}

/// Cuts what is said, and puts other things in between.
fn steps(dice: &mut Dice, said: &[u8]) -> Vec<Step> {
    let mut steps = vec![Step::Settles];
    if dice.one_in(3) {
        steps.push(Step::HasRoom(dice.below(2_000)));
    }
    let (cuts, mut at) = (1 + dice.below(12), 0);
    while at < said.len() {
        let most = if dice.one_in(3) { 20 } else { 2 * said.len() / cuts + 1 };
        let end = (at + 1 + dice.below(most)).min(said.len());
        steps.push(Step::Arrives(said[at..end].to_vec()));
        at = end;
        if dice.one_in(8) {
            steps.push(Step::Turns);
            steps.push(Step::Moves);
        }
        if dice.one_in(2) {
            steps.push(Step::Settles);
            steps.push(Step::Moves);
        }
        if dice.one_in(10) {
            steps.push(Step::HasRoom(dice.below(100_000)));
        }
        if dice.one_in(20) {
            for _ in 0..2 {
                steps.push(Step::Passes(seconds(1 + dice.below(20) as u64)));
                steps.push(Step::Moves);
            }
        }
    }
    match dice.below(4) {
        0 => steps.push(Step::Ends),
        1 => steps.push(Step::Drains),
        _ => {}
    }
    steps.extend([Step::Moves, Step::Settles, Step::Moves]);
    for _ in 0..dice.below(3) {
        steps.extend([Step::HasRoom(dice.below(400_000)), Step::Settles, Step::Moves]);
    }
    for most in [3, 15, 15] {
        steps.extend([Step::Passes(seconds(dice.below(most) as u64)), Step::Moves, Step::Settles]);
    }
    steps
}

fn request(dice: &mut Dice) -> Vec<u8> {
    let body = vec![b'b'; dice.below(3_000)];
    match dice.below(7) {
        0 => b"\r\n\r\n".to_vec(),
        1 => b"HEAD /head HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
        2 => b"GET /later HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
        3 => {
            let head = format!("POST /whole HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", body.len());
            [head.as_bytes(), &body].concat()
        }
        4 => {
            let head = b"POST /chunked HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n";
            let mut bytes = head.to_vec();
            for part in body.chunks(1 + dice.below(1_000)) {
                bytes.extend(format!("{:x};x=y\r\n", part.len()).bytes());
                bytes.extend(part);
                bytes.extend(b"\r\n");
            }
            bytes.extend(b"0\r\nTrailer: t\r\n\r\n");
            bytes
        }
        5 if dice.one_in(4) => b"no request\r\n\r\n".to_vec(),
        _ => b"GET /page HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
    }
}

fn frames(dice: &mut Dice, deflate: Deflate) -> Vec<u8> {
    let mut peer = (deflate != Deflate::Off).then(|| wires::Peer::new(deflate == Deflate::PerConnection));
    let mut bytes = Vec::new();
    for number in 0..dice.below(10) {
        let most = if dice.one_in(6) { 60_000 } else { 800 };
        let text = "\u{fc}n\u{ef}c\u{f6}de ".repeat(dice.below(most) / 10) + &number.to_string();
        let opcode = if dice.one_in(2) { Opcode::Text } else { Opcode::Binary };
        match dice.below(12) {
            0 => bytes.extend(masked(Opcode::Ping, &vec![b'p'; dice.below(126)])),
            1 => bytes.extend(masked(Opcode::Pong, &[0; 8])),
            2 => bytes.extend(masked(Opcode::Text, b"flood")),
            3 => bytes.extend(masked(Opcode::Binary, &noise(number, dice.below(most)))),
            4 => bytes.extend(masked(
                Opcode::Text,
                [b"close me".as_slice(), b"cost 40000", b"send no text"][dice.below(3)],
            )),
            5 if dice.one_in(4) => bytes.extend(masked(Opcode::Text, b"\xff")),
            5 if dice.one_in(2) => bytes.extend(masked(Opcode::Close, &1000_u16.to_be_bytes())),
            6 | 7 => {
                let frame = masked(opcode, text.as_bytes());
                bytes.extend(fragments(dice, &frame));
            }
            8 => {
                let frame = peer.as_mut().map_or_else(
                    || masked(opcode, text.as_bytes()),
                    |peer| peer.message(opcode, text.as_bytes()),
                );
                bytes.extend(fragments(dice, &frame));
            }
            _ => {
                let frame = peer.as_mut().map_or_else(
                    || masked(opcode, text.as_bytes()),
                    |peer| peer.message(opcode, text.as_bytes()),
                );
                bytes.extend(frame);
            }
        }
    }
    bytes
}

/// The message of a frame in several, with a Ping between two.
fn fragments(dice: &mut Dice, frame: &[u8]) -> Vec<u8> {
    let Ok(Parsed::Header(header, at)) = Header::parse(frame) else { panic!("no frame") };
    let mut payload = frame[at..].to_vec();
    mask::apply(&mut payload, header.mask.unwrap());
    let mut parts: Vec<&[u8]> = payload.chunks(payload.len() / (1 + dice.below(4)) + 1).collect();
    parts.push(&[]);
    let mut bytes = Vec::new();
    for (i, part) in parts.iter().enumerate() {
        let mut fragment = masked(if i == 0 { header.opcode } else { Opcode::Continuation }, part);
        if i == 0 {
            fragment[0] |= frame[0] & 0x70;
        }
        if i + 1 < parts.len() {
            fragment[0] &= 0x7f;
        }
        bytes.extend(fragment);
        if dice.one_in(3) && i + 1 < parts.len() {
            bytes.extend(masked(Opcode::Ping, b"between"));
        }
    }
    bytes
}
