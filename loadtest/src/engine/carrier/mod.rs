//! What carries a link's messages where no WebSocket does: an event stream, or polls. What a scenario sends and hears is the
//! same for all: frames that it writes are taken apart and posted, what the server tells comes to it message by message.
//!
//! | file | subject |
//! |---|---|
//! | [`flag`] | which it is, and the request that opens a session |
//! | [`response`] | heads and bodies, however they are cut |
//! | [`poster`] | one connection of a thread that takes the commands of all of its links |

mod flag;
pub mod poster;
mod response;

pub use flag::{Carried, Carrier};

use std::cell::RefCell;
use std::rc::Rc;

use rollcall::internals::wire::frame::{Header, Opcode, Parsed};
use rollcall::internals::wire::mask;

use crate::engine::carrier::flag::ENGINE_PATH;
use crate::engine::carrier::poster::Poster;
use crate::engine::carrier::response::{Part, Responses};
use crate::engine::link::{End, Seen, text_frame};
use crate::target::Target;

/// How long a poll is held where there is nothing to tell.
const WAIT: &str = "25s";

/// What stands between two packets of Engine.IO.
const SEPARATOR: u8 = 0x1e;

/// How a server is spoken to by requests.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Form {
    /// Events of a stream.
    Events,
    /// Polls whose answers have a numbered event a line.
    Lines,
    /// Polls of Engine.IO 4: packets.
    Packets,
}

impl Form {
    fn of(target: &Target) -> Form {
        match target.carrier {
            Carrier::Poll if target.path.starts_with(ENGINE_PATH) => Form::Packets,
            Carrier::Poll => Form::Lines,
            Carrier::Events | Carrier::Websocket => Form::Events,
        }
    }
}

/// One link's session.
#[derive(Debug)]
pub struct Session {
    form: Form,
    poster: Rc<RefCell<Poster>>,
    responses: Responses,
    /// The session's name, from its welcome on.
    name: String,
    /// The last event that arrived by a poll.
    ack: u64,
    /// Posts so far.
    posts: u64,
    /// Commands, a line each, that wait for the name.
    commands: Vec<u8>,
    /// A line of which the end is still to come.
    line: Vec<u8>,
}

impl Session {
    pub fn new(target: &Target, poster: &Rc<RefCell<Poster>>) -> Session {
        Session {
            form: Form::of(target),
            poster: poster.clone(),
            responses: Responses::default(),
            name: String::new(),
            ack: 0,
            posts: 0,
            commands: Vec::new(),
            line: Vec::new(),
        }
    }

    /// Posts what frames say, as soon as the session has a name. Control frames say nothing here.
    pub fn send(&mut self, frames: &[u8]) -> Result<(), End> {
        let mut rest = frames;
        while let Ok(Parsed::Header(header, at)) = Header::parse(rest) {
            let end = at + header.len as usize;
            let mut payload = rest[at..end].to_vec();
            if let Some(key) = header.mask {
                mask::apply(&mut payload, key);
            }
            if header.opcode == Opcode::Text {
                if !self.commands.is_empty() {
                    self.commands.push(if self.form == Form::Packets { SEPARATOR } else { b'\n' });
                }
                self.commands.extend_from_slice(&payload);
            }
            rest = &rest[end..];
        }
        self.post()
    }

    fn post(&mut self) -> Result<(), End> {
        if self.name.is_empty() || self.commands.is_empty() {
            return Ok(());
        }
        self.posts += 1;
        let (name, n) = (&self.name, self.posts);
        let path = match self.form {
            Form::Events => format!("/events/{name}?n={n}&answers=events"),
            Form::Lines => format!("/poll/{name}?n={n}&answers=events"),
            Form::Packets => engine_path(name),
        };
        let posted = self.poster.borrow_mut().post(&path, &self.commands);
        self.commands.clear();
        posted
    }

    /// Takes what arrived: hands on each message, and returns the request that has to follow, if any.
    pub fn read(
        &mut self,
        input: &mut [u8],
        mut on_message: impl FnMut(&[u8]) -> Result<(), End>,
    ) -> Result<(Seen, Option<Vec<u8>>), End> {
        let mut seen = Seen::default();
        let mut ended = false;
        let mut responses = std::mem::take(&mut self.responses);
        responses.read(input, |part| match part {
            Part::Body(body) if self.form == Form::Packets => {
                self.line.extend_from_slice(body);
                Ok(())
            }
            Part::Body(body) => self.lines(body, &mut seen, &mut on_message),
            Part::End if self.form == Form::Packets => {
                ended = true;
                self.packets(&mut seen, &mut on_message)
            }
            Part::End if self.form == Form::Lines => {
                ended = true;
                Ok(())
            }
            Part::End => Err(End::Eof),
        })?;
        self.responses = responses;
        self.post()?;
        Ok((seen, ended.then(|| self.poll())))
    }

    /// The request that says what has arrived and waits for more.
    fn poll(&self) -> Vec<u8> {
        let host = &self.poster.borrow().host;
        if self.form == Form::Packets {
            return format!("GET {} HTTP/1.1\r\nHost: {host}\r\n\r\n", engine_path(&self.name)).into_bytes();
        }
        let path = format!("/poll/{}?ack={}&wait={WAIT}", self.name, self.ack);
        format!("POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\n\r\n").into_bytes()
    }

    /// The packets of an answer that has come whole.
    fn packets(
        &mut self,
        seen: &mut Seen,
        on_message: &mut impl FnMut(&[u8]) -> Result<(), End>,
    ) -> Result<(), End> {
        for packet in std::mem::take(&mut self.line).split(|byte| *byte == SEPARATOR) {
            match packet.first() {
                Some(b'0') => {
                    let text = std::str::from_utf8(packet).unwrap_or_default();
                    let sid = text.split_once("\"sid\":\"").and_then(|(_, rest)| rest.split_once('"'));
                    self.name = sid.map(|(sid, _)| sid.to_owned()).unwrap_or_default();
                }
                Some(b'1') => return Err(End::Eof),
                Some(b'2') => {
                    seen.pings += 1;
                    self.send(&text_frame(b"3"))?;
                }
                _ => on_message(packet)?,
            }
        }
        Ok(())
    }

    fn lines(
        &mut self,
        mut body: &mut [u8],
        seen: &mut Seen,
        on_message: &mut impl FnMut(&[u8]) -> Result<(), End>,
    ) -> Result<(), End> {
        while let Some(end) = body.iter().position(|byte| *byte == b'\n') {
            let (line, rest) = body.split_at_mut(end + 1);
            body = rest;
            if self.line.is_empty() {
                self.one(&mut line[..end], seen, on_message)?;
            } else {
                let mut whole = std::mem::take(&mut self.line);
                whole.extend_from_slice(&line[..end]);
                self.one(&mut whole, seen, on_message)?;
            }
        }
        self.line.extend_from_slice(body);
        if self.line.is_empty() {
            self.line = Vec::new();
        }
        Ok(())
    }

    /// One line of a body.
    fn one(
        &mut self,
        line: &mut [u8],
        seen: &mut Seen,
        on_message: &mut impl FnMut(&[u8]) -> Result<(), End>,
    ) -> Result<(), End> {
        let message = match self.form {
            Form::Lines => {
                let (number, message) = numbered(line);
                self.ack = number.unwrap_or(self.ack);
                message
            }
            _ => match line.strip_prefix(b"data: ") {
                Some(data) => data,
                None => {
                    // A comment is what a Ping is to a WebSocket.
                    seen.pings += u64::from(line == b":");
                    return Ok(());
                }
            },
        };
        if message.is_empty() {
            return Ok(());
        }
        if self.name.is_empty() {
            self.name = session(message).unwrap_or_default();
        }
        on_message(message)
    }
}

fn engine_path(sid: &str) -> String {
    format!("{ENGINE_PATH}?EIO=4&transport=polling&sid={sid}")
}

/// A line of a poll's answer: the event's number, and the event without it. Answers to commands may have none.
fn numbered(line: &mut [u8]) -> (Option<u64>, &[u8]) {
    let Some(rest) = line.strip_prefix(b"{\"n\":") else { return (None, line) };
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let number = std::str::from_utf8(&rest[..digits]).ok().and_then(|digits| digits.parse().ok());
    let at = b"{\"n\":".len() + digits;
    if line.get(at) != Some(&b',') {
        return (number, line);
    }
    line[at] = b'{';
    (number, &line[at..])
}

/// The name of the session, from its welcome.
fn session(message: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(message).ok()?;
    let (_, rest) = text.split_once("\"session\":\"")?;
    Some(rest.split_once('"')?.0.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::Allow;

    const WELCOME: &str = r#"{"event":"welcome","user":"u-1","session":"S7"}"#;

    fn target(carrier: Carrier, url: &str) -> Target {
        Target { carrier, ..Target::parse(url, Allow::default()).unwrap() }
    }

    fn chunk(text: &str) -> String {
        format!("{:x}\r\n{text}\r\n", text.len())
    }

    fn answer(body: &str) -> String {
        format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
    }

    /// What comes of bytes that arrive in parts of that size.
    fn heard(carrier: Carrier, bytes: &str, size: usize) -> (Vec<String>, u64, Vec<String>, Session) {
        let poster = Rc::new(RefCell::new(Poster::new("127.0.0.1:9".parse().unwrap(), "h")));
        let mut session = Session::new(&target(carrier, "ws://127.0.0.1:9/ws"), &poster);
        session.send(&[text_frame(b"{\"seq\":1}"), text_frame(b"{\"seq\":2}")].concat()).unwrap();
        assert!(session.posts == 0, "it has no name yet");
        let (mut messages, mut pings, mut requests) = (Vec::new(), 0, Vec::new());
        for part in bytes.as_bytes().chunks(size) {
            let (seen, next) = session
                .read(&mut part.to_vec(), |message| {
                    messages.push(String::from_utf8(message.to_vec()).unwrap());
                    Ok(())
                })
                .unwrap();
            pings += seen.pings;
            requests.extend(next.map(|next| String::from_utf8(next).unwrap()));
        }
        (messages, pings, requests, session)
    }

    #[test]
    fn a_stream_is_read_however_it_is_cut() {
        let stream = [
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            &chunk(":\n\nretry: 3100\n\n"),
            &chunk(&format!("event: welcome\ndata: {WELCOME}\n\n")),
            &chunk("id: 4\nevent: say\ndata: {\"event\":\"say\"}\n\nevent: say\nda"),
            &chunk("ta: {\"event\":\"more\"}\n\n"),
        ]
        .concat();
        for size in [1, 2, 7, 1000] {
            let (messages, pings, requests, session) = heard(Carrier::Events, &stream, size);
            assert_eq!(messages, [WELCOME, r#"{"event":"say"}"#, r#"{"event":"more"}"#]);
            assert_eq!((pings, requests.len(), session.posts), (1, 0, 1));
        }
    }

    #[test]
    fn polls_follow_one_another_and_say_what_has_arrived() {
        let welcome = WELCOME.replacen('{', r#"{"n":1,"#, 1);
        let answers = [
            answer(&format!("{welcome}\n")),
            answer(""),
            answer("{\"n\":2,\"seq\":1,\"body\":{}}\n{\"n\":31,\"event\":\"say\"}\n"),
        ]
        .concat();
        for size in [1, 3, 1000] {
            let (messages, _, requests, session) = heard(Carrier::Poll, &answers, size);
            assert_eq!(messages, [WELCOME, r#"{"seq":1,"body":{}}"#, r#"{"event":"say"}"#]);
            assert!(
                requests.last().unwrap().starts_with("POST /poll/S7?ack=31&wait=25s HTTP/1.1\r\nHost: h\r\n")
            );
            assert_eq!(session.posts, 1);
        }
    }

    #[test]
    fn packets_of_engine_io_are_messages() {
        let poster = Rc::new(RefCell::new(Poster::new("127.0.0.1:9".parse().unwrap(), "h")));
        let target = target(Carrier::Poll, "ws://127.0.0.1:9/socket.io/?EIO=4&transport=websocket");
        let mut session = Session::new(&target, &poster);
        session.send(&text_frame(b"40")).unwrap();
        let bytes = [answer(r#"0{"sid":"S7","upgrades":[]}"#), answer("40{}\u{1e}2\u{1e}42[1]")].concat();
        for size in [1, 1000] {
            let mut messages = Vec::new();
            for part in bytes.as_bytes().chunks(size) {
                let mut part = part.to_vec();
                let mut hear = |message: &[u8]| {
                    messages.push(message.to_vec());
                    Ok(())
                };
                let (_, next) = session.read(&mut part, &mut hear).unwrap();
                assert!(
                    next.is_none_or(
                        |next| next.starts_with(b"GET /socket.io/?EIO=4&transport=polling&sid=S7 ")
                    )
                );
            }
            assert_eq!(messages, [&b"40{}"[..], b"42[1]"]);
        }
    }

    #[test]
    fn a_refusal_and_the_end_of_a_stream_are_ends() {
        let poster = Rc::new(RefCell::new(Poster::new("127.0.0.1:9".parse().unwrap(), "h")));
        let ends = |bytes: &str| {
            let mut session = Session::new(&target(Carrier::Events, "ws://127.0.0.1:9/ws"), &poster);
            session.read(&mut bytes.as_bytes().to_vec(), |_| Ok(())).unwrap_err()
        };
        assert_eq!(ends("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"), End::Refused(404));
        assert_eq!(ends("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), End::Eof);
    }
}
