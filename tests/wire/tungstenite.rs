//! Both our roles against tungstenite's, over pipes in memory that hand on a few bytes at a time.

use rollcall::internals::limits::MessageLimits;
use rollcall::internals::wire::close::{Close, CloseCode};
use rollcall::internals::wire::error::ProtocolError;
use rollcall::internals::wire::frame::{self, Opcode};
use rollcall::internals::wire::session::{Kind, Role, Session, SessionEvent};
use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use tungstenite::protocol::frame::coding::{CloseCode as TheirCode, Data, OpCode};
use tungstenite::protocol::frame::{CloseFrame, Frame};
use tungstenite::protocol::{Role as TheirRole, WebSocket};
use tungstenite::{Error, Message};

const KEY: [u8; 4] = [1, 2, 3, 4];

/// Their end of the line. Every other read and write would block.
#[derive(Default)]
struct Pipe {
    to_them: VecDeque<u8>,
    from_them: Vec<u8>,
    step: usize,
    read_blocks: bool,
    write_blocks: bool,
}

fn alternate(blocks: &mut bool) -> io::Result<()> {
    *blocks = !*blocks;
    if *blocks { Err(ErrorKind::WouldBlock.into()) } else { Ok(()) }
}

impl Read for Pipe {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        alternate(&mut self.read_blocks)?;
        let len = self.step.min(buffer.len()).min(self.to_them.len());
        if len == 0 {
            return Err(ErrorKind::WouldBlock.into());
        }
        self.to_them.read(&mut buffer[..len])
    }
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        alternate(&mut self.write_blocks)?;
        let len = self.step.min(bytes.len());
        self.from_them.extend_from_slice(&bytes[..len]);
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Both ends: ours echoes messages, answers Pings and closes when it is asked to.
struct Line {
    them: WebSocket<Pipe>,
    us: Session,
    role: Role,
    refused: Option<ProtocolError>,
}

impl Line {
    fn new(role: Role, step: usize) -> Line {
        let theirs = if role == Role::Server { TheirRole::Client } else { TheirRole::Server };
        let pipe = Pipe { step, ..Pipe::default() };
        let them = WebSocket::from_raw_socket(pipe, theirs, None);
        Line { them, us: Session::new(role), role, refused: None }
    }

    fn mask(&self) -> Option<[u8; 4]> {
        (self.role == Role::Client).then_some(KEY)
    }

    /// Hands on what they wrote, in reads of `step` bytes, and puts our answers on the line.
    fn pump(&mut self) {
        let input = std::mem::take(&mut self.them.get_mut().from_them);
        let step = self.them.get_ref().step;
        let limits = MessageLimits::default();
        let mask = self.mask();
        let mut out = Vec::new();
        for part in input.chunks(step) {
            let mut part = part.to_vec();
            let mut at = 0;
            while at < part.len() {
                let (taken, event) = match self.us.read(&limits, None, &mut part[at..]) {
                    Ok(read) => read,
                    Err(error) => {
                        self.refused = Some(error);
                        self.us.close(&Close::new(error.close_code(), error.reason()), mask, &mut out);
                        break;
                    }
                };
                let asked = event.and_then(|event| answer(&event, mask, &mut out));
                at += taken;
                if let Some(code) = asked {
                    self.us.close(&Close { code, reason: "" }, mask, &mut out);
                }
            }
        }
        self.them.get_mut().to_them.extend(&out);
    }

    /// Runs both ends until theirs has a message or an error.
    fn next(&mut self) -> Result<Message, Error> {
        for _ in 0..300_000 {
            match self.them.flush() {
                Ok(()) => {}
                Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
            self.pump();
            match self.them.read() {
                Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => {}
                result => return result,
            }
        }
        panic!("nothing came");
    }

    fn send(&mut self, message: Message) {
        match self.them.write(message) {
            Ok(()) => {}
            Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => panic!("{error}"),
        }
    }
}

/// Writes the answer to an event; the code of the Close that is to answer one.
fn answer(event: &SessionEvent<'_>, mask: Option<[u8; 4]>, out: &mut Vec<u8>) -> Option<Option<CloseCode>> {
    let (opcode, payload) = match event {
        SessionEvent::Message(Kind::Text, text) => (Opcode::Text, text),
        SessionEvent::Message(Kind::Binary, bytes) => (Opcode::Binary, bytes),
        SessionEvent::Ping(payload) => (Opcode::Pong, payload),
        SessionEvent::Pong(_) => return None,
        SessionEvent::Close(close) => return Some(close.code),
    };
    frame::write(out, opcode, payload, mask);
    None
}

fn lines() -> impl Iterator<Item = Line> {
    [Role::Server, Role::Client]
        .into_iter()
        .flat_map(|role| [1, 1001, 4096].map(|step| Line::new(role, step)))
}

#[test]
fn messages_of_every_length_encoding_are_echoed() {
    for mut line in lines() {
        let longest = 50_000 * line.them.get_ref().step;
        for len in [0, 1, 125, 126, 127, 65_535, 65_536, 100_000].into_iter().filter(|len| *len < longest) {
            let text = "é".repeat(len / 2) + if len % 2 == 0 { "" } else { "x" };
            for message in [Message::text(text), Message::binary(vec![0xfe; len])] {
                line.send(message.clone());
                assert_eq!(line.next().unwrap(), message, "{len}");
            }
        }
        assert_eq!(line.refused, None);
    }
}

#[test]
fn fragments_with_a_ping_between_are_echoed_as_one() {
    for mut line in lines() {
        let fragment = |payload: &'static str, opcode, fin| {
            Message::Frame(Frame::message(payload.as_bytes(), OpCode::Data(opcode), fin))
        };
        line.send(fragment("a", Data::Text, false));
        line.send(Message::Ping("there?".into()));
        line.send(fragment("b", Data::Continue, false));
        line.send(fragment("", Data::Continue, true));
        assert_eq!(line.next().unwrap(), Message::Pong("there?".into()));
        assert_eq!(line.next().unwrap(), Message::text("ab"));
    }
}

#[test]
fn close_is_answered_with_its_code() {
    for mut line in lines() {
        let frame = CloseFrame { code: TheirCode::Library(4001), reason: "done".into() };
        line.send(Message::Close(Some(frame)));
        let Ok(Message::Close(Some(answer))) = line.next() else { panic!("no close") };
        assert_eq!(answer.code, TheirCode::Library(4001));
        assert!(line.us.close_sent() && line.us.close_received());
    }
}

#[test]
fn our_close_is_answered() {
    for mut line in lines() {
        let mut out = Vec::new();
        let mask = line.mask();
        line.us.close(&Close::new(CloseCode::GOING_AWAY, "drain"), mask, &mut out);
        line.them.get_mut().to_them.extend(&out);
        let Ok(Message::Close(Some(frame))) = line.next() else { panic!("no close") };
        assert_eq!((frame.code, frame.reason.as_str()), (TheirCode::Away, "drain"));
        for _ in 0..1000 {
            let _ = line.them.flush();
            line.pump();
        }
        assert!(line.us.close_received());
        assert_eq!(line.refused, None);
    }
}

#[test]
fn they_are_told_which_rule_they_broke() {
    for mut line in lines() {
        line.send(Message::Frame(Frame::message(&b"\xff"[..], OpCode::Data(Data::Text), true)));
        let Ok(Message::Close(Some(frame))) = line.next() else { panic!("no close") };
        assert_eq!(frame.code, TheirCode::Invalid);
        assert_eq!(line.refused, Some(ProtocolError::NotUtf8));
    }
}
