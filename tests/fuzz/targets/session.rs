//! Any bytes as frames: the events and the error are the same however the bytes are cut, nothing is kept beyond the
//! limits, and what was understood can be said again.

use rollcall::internals::limits::MessageLimits;
use rollcall::internals::wire::error::ProtocolError;
use rollcall::internals::wire::frame::{self, Opcode};
use rollcall::internals::wire::session::{Kind, Role, Session, SessionEvent};

use super::cursor::{Cursor, parts};

/// Beyond the message itself: what its buffer may have grown ahead, and the session's own box.
const SLACK: usize = 4096;

/// An event that owns its payload.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Seen {
    Text(Vec<u8>),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<u16>, String),
}

impl Seen {
    fn of(event: &SessionEvent<'_>) -> Seen {
        match event {
            SessionEvent::Message(Kind::Text, text) => {
                assert!(std::str::from_utf8(text).is_ok(), "text that is no UTF-8");
                Seen::Text(text.to_vec())
            }
            SessionEvent::Message(Kind::Binary, bytes) => Seen::Binary(bytes.to_vec()),
            SessionEvent::Ping(payload) => Seen::Ping(payload.to_vec()),
            SessionEvent::Pong(payload) => Seen::Pong(payload.to_vec()),
            SessionEvent::Close(close) => Seen::Close(close.code.map(|code| code.0), close.reason.to_owned()),
        }
    }

    /// As one frame.
    fn write(&self, mask: Option<[u8; 4]>, out: &mut Vec<u8>) {
        let (opcode, payload) = match self {
            Seen::Text(text) => (Opcode::Text, text.clone()),
            Seen::Binary(bytes) => (Opcode::Binary, bytes.clone()),
            Seen::Ping(payload) => (Opcode::Ping, payload.clone()),
            Seen::Pong(payload) => (Opcode::Pong, payload.clone()),
            Seen::Close(code, reason) => {
                let code = code.map(u16::to_be_bytes);
                (Opcode::Close, [code.as_ref().map_or(&[][..], |code| code), reason.as_bytes()].concat())
            }
        };
        frame::write(out, opcode, &payload, mask);
    }
}

/// What a session made of its input.
pub(super) type Outcome = (Vec<Seen>, Option<ProtocolError>);

pub(super) fn run(data: &[u8]) {
    let mut cursor = Cursor::new(data);
    let role = cursor.of(&[Role::Server, Role::Client]);
    let limits = MessageLimits {
        max_message_bytes: cursor.of(&[1_000, 125, 70_000, 1]),
        max_frame_bytes: cursor.of(&[600, 125, 70_000, 1]),
        max_fragments: cursor.of(&[4, 1, 1_000]),
    };
    let sizes = cursor.take(4);
    let input = cursor.rest();

    let whole = read(role, &limits, [input]);
    assert_same(&whole, &read(role, &limits, parts(input, sizes)), "cut");
    assert_same(&whole, &read(role, &limits, input.chunks(1)), "byte by byte");
    said_again(role, &limits, &whole.0);
}

/// Everything that a new session makes of the parts, each one read of a socket.
pub(super) fn read<'p>(
    role: Role,
    limits: &MessageLimits,
    parts: impl IntoIterator<Item = &'p [u8]>,
) -> Outcome {
    let mut session = Session::new(role);
    let (mut seen, mut error) = (Vec::new(), None);
    for part in parts {
        let mut part = part.to_vec();
        let (mut at, len) = (0, part.len());
        while at < len {
            let over = error.is_some() || session.close_received();
            match session.read(limits, None, &mut part[at..]) {
                Ok((taken, event)) => {
                    assert!(taken > 0 && at + taken <= len, "{taken} bytes taken");
                    assert!(event.is_some() || at + taken == len, "no event, and not all taken");
                    assert!(!over || event.is_none(), "something came of what followed the end");
                    let event = event.as_ref().map(Seen::of);
                    if let Some(Seen::Text(message) | Seen::Binary(message)) = &event {
                        assert!(message.len() <= limits.max_message_bytes, "a message over the limit");
                    }
                    seen.extend(event);
                    at += taken;
                }
                Err(broken) => {
                    assert!(!over, "an error behind the end");
                    error = Some(broken);
                    at = len;
                }
            }
            let bound = 2 * limits.max_message_bytes + SLACK;
            assert!(session.held_bytes() <= bound, "{} bytes held", session.held_bytes());
        }
        session.release();
    }
    if error.is_some() || session.close_received() {
        assert_eq!(session.held_bytes(), 0, "something is kept behind the end");
    }
    (seen, error)
}

/// What was understood, written as frames, is understood the same.
fn said_again(role: Role, limits: &MessageLimits, seen: &[Seen]) {
    let limits = MessageLimits { max_frame_bytes: limits.max_message_bytes, ..*limits };
    let mask = (role == Role::Server).then_some([0x37, 0xfa, 0x21, 0x3d]);
    let mut bytes = Vec::new();
    seen.iter().for_each(|seen| seen.write(mask, &mut bytes));
    assert_same(&(seen.to_vec(), None), &read(role, &limits, [&bytes[..]]), "said again");
}

/// Panics where they differ, without printing what may be megabytes.
fn assert_same(a: &Outcome, b: &Outcome, how: &str) {
    assert_eq!((a.0.len(), &a.1), (b.0.len(), &b.1), "events and error, {how}");
    let differs = a.0.iter().zip(&b.0).position(|(a, b)| a != b);
    assert_eq!(differs, None, "the first event that differs, {how}");
}
