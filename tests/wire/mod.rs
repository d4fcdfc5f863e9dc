//! The protocol, from outside: each rule by its section of RFC 6455, and the session against oracles.

mod cost;
mod deflate;
mod deflated;
mod extension;
mod handshake;
mod http;
mod offers;
mod oracles;
mod rules;
mod streams;
mod tungstenite;

use proptest::test_runner::Config;
use rollcall::internals::limits::MessageLimits;
use rollcall::internals::wire::close::CloseCode;
use rollcall::internals::wire::error::ProtocolError;
use rollcall::internals::wire::frame::{Header, Opcode};
use rollcall::internals::wire::mask;
use rollcall::internals::wire::session::{Extension, Kind, Role, Session, SessionEvent};

pub(crate) const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
pub(crate) const SMALL: MessageLimits =
    MessageLimits { max_message_bytes: 1000, max_frame_bytes: 600, max_fragments: 4 };

/// So many cases; a failing one is printed, not stored, and soon shrunk enough.
pub(crate) fn cases(cases: u32) -> Config {
    Config { cases, failure_persistence: None, max_shrink_iters: 1000, ..Config::default() }
}

/// An [`SessionEvent`] that owns its payload.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Seen {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<CloseCode>, String),
}

impl Seen {
    pub(crate) fn of(event: &SessionEvent<'_>) -> Seen {
        match event {
            SessionEvent::Message(Kind::Text, text) => Seen::Text(std::str::from_utf8(text).unwrap().into()),
            SessionEvent::Message(Kind::Binary, bytes) => Seen::Binary(bytes.to_vec()),
            SessionEvent::Ping(bytes) => Seen::Ping(bytes.to_vec()),
            SessionEvent::Pong(bytes) => Seen::Pong(bytes.to_vec()),
            SessionEvent::Close(close) => Seen::Close(close.code, close.reason.into()),
        }
    }

    pub(crate) fn text(text: &str) -> Seen {
        Seen::Text(text.into())
    }
}

/// A frame, header and payload, by hand.
#[derive(Clone, Debug)]
pub(crate) struct Raw {
    pub(crate) fin: bool,
    pub(crate) reserved: u8,
    pub(crate) opcode: Opcode,
    pub(crate) mask: Option<[u8; 4]>,
    pub(crate) payload: Vec<u8>,
}

impl Raw {
    pub(crate) fn new(opcode: Opcode, payload: impl AsRef<[u8]>) -> Raw {
        Raw { fin: true, reserved: 0, opcode, mask: Some(KEY), payload: payload.as_ref().to_vec() }
    }

    pub(crate) fn more(self) -> Raw {
        Raw { fin: false, ..self }
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let Raw { fin, reserved, opcode, mask, ref payload } = *self;
        let (header, len) = Header { fin, reserved, opcode, mask, len: payload.len() as u64 }.encode();
        let mut bytes = header[..len].to_vec();
        bytes.extend_from_slice(payload);
        if let Some(key) = mask {
            mask::apply(&mut bytes[len..], key);
        }
        bytes
    }
}

pub(crate) fn bytes(frames: &[Raw]) -> Vec<u8> {
    frames.iter().flat_map(Raw::bytes).collect()
}

/// Everything that `session` makes of the `parts`, each one read of a socket.
pub(crate) fn read<'p>(
    session: &mut Session,
    limits: &MessageLimits,
    mut extension: Option<&mut dyn Extension>,
    parts: impl IntoIterator<Item = &'p [u8]>,
) -> (Vec<Seen>, Option<ProtocolError>) {
    let mut seen = Vec::new();
    for part in parts {
        let mut part = part.to_vec();
        let mut at = 0;
        while at < part.len() {
            let extension = extension.as_mut().map(|extension| &mut **extension as &mut dyn Extension);
            match session.read(limits, extension, &mut part[at..]) {
                Ok((taken, event)) => {
                    assert!(taken > 0);
                    let event = event.as_ref().map(Seen::of);
                    at += taken;
                    assert!(event.is_some() || at == part.len(), "no event, but not all taken");
                    seen.extend(event);
                }
                Err(error) => return (seen, Some(error)),
            }
        }
        session.release();
    }
    (seen, None)
}

/// Reads `parts` as [`read`] does, but straight into the message under way wherever the session offers room there.
pub(crate) fn read_onto<'p>(
    session: &mut Session,
    parts: impl IntoIterator<Item = &'p [u8]>,
) -> (Vec<Seen>, Option<ProtocolError>) {
    let mut seen = Vec::new();
    for mut part in parts {
        while !part.is_empty() {
            let Some(room) = session.spare_capacity(1) else {
                // One byte at a time, so that room is asked for wherever there may be some.
                let (events, error) = read(session, &SMALL, None, [&part[..1]]);
                seen.extend(events);
                if error.is_some() {
                    return (seen, error);
                }
                part = &part[1..];
                continue;
            };
            let (before, most) = (room.len(), room.capacity() - room.len());
            let (filled, rest) = part.split_at(most.min(part.len()));
            room.extend_from_slice(filled);
            part = rest;
            match session.filled(before) {
                Ok(event) => seen.extend(event.as_ref().map(Seen::of)),
                Err(error) => return (seen, Some(error)),
            }
            session.release();
        }
    }
    (seen, None)
}

/// What a server makes of `input`, within [`SMALL`] limits; the same whole and byte by byte.
pub(crate) fn serve(input: &[u8]) -> (Vec<Seen>, Option<ProtocolError>) {
    receive(Role::Server, input)
}

/// The same in either role.
pub(crate) fn receive(role: Role, input: &[u8]) -> (Vec<Seen>, Option<ProtocolError>) {
    let whole = read(&mut Session::new(role), &SMALL, None, [input]);
    let bytewise = read(&mut Session::new(role), &SMALL, None, input.chunks(1));
    assert_eq!(whole, bytewise, "whole, then byte by byte");
    whole
}
