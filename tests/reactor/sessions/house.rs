//! Several workers of presence over scripted sockets, and what a client of theirs says and hears.

use std::sync::Arc;
use std::time::Duration;

use rollcall::internals::presence::Rules;
use rollcall::internals::reactor::mail::Mailboxes;
use rollcall::internals::reactor::{Config, Service, Shared, Worker, WorkerId};
use rollcall::internals::service::presence::{Presence, PresenceSettings};
use rollcall::internals::wire::frame::{Header, Opcode, Parsed};

use crate::reactor::kit::{config, masked};
use crate::reactor::script::{Script, mailboxes};

/// A server whose workers turn when they are told to.
pub(super) struct House {
    pub(super) scripts: Vec<Script>,
    pub(super) workers: Vec<Worker<Script, Presence>>,
    mail: Mailboxes<<Presence as Service>::Mail>,
    pub(super) shared: Arc<Shared>,
}

/// A connection: the worker, and its number there.
pub(super) type Line = (usize, usize);

impl House {
    pub(super) fn new(workers: usize, rules: Rules) -> House {
        House::with(workers, &config(), PresenceSettings { rules, ..PresenceSettings::default() })
    }

    pub(super) fn with(workers: usize, config: &Config, settings: PresenceSettings) -> House {
        let shared = Arc::new(Shared::new(workers, config.max_connections, config.first_tick));
        let mail = mailboxes(workers);
        let settings = Arc::new(settings);
        let scripts: Vec<Script> = (0..workers).map(|_| Script::new(config.first_tick)).collect();
        let worker = |(script, id): (&Script, u16)| {
            let presence = Presence::of(&settings, WorkerId(id), &shared);
            script.worker_of(WorkerId(id), config, &shared, &mail, presence)
        };
        let workers = scripts.iter().zip(0..).map(worker).collect();
        House { scripts, workers, mail, shared }
    }

    /// Each worker turns until nothing is left to do at this moment. Some mail may wait for the next tick.
    pub(super) fn settle(&mut self) {
        for _ in 0..8 {
            for (worker, script) in self.workers.iter_mut().zip(&self.scripts) {
                script.settle(worker);
            }
            if self.mail.iter().all(|mailbox| mailbox.waiting() == 0) {
                return;
            }
        }
    }

    /// One worker turns once.
    pub(super) fn turn(&mut self, worker: usize) {
        self.workers[worker].turn().unwrap();
    }

    pub(super) fn pass(&mut self, time: Duration) {
        let step = Duration::from_millis(10);
        let mut passed = Duration::ZERO;
        while passed < time {
            self.scripts.iter().for_each(|script| script.advance(step));
            self.settle();
            passed += step;
        }
    }

    /// A request on a connection of its own.
    pub(super) fn ask(&mut self, worker: usize, method: &str, target: &str, body: &str) -> Line {
        let id = self.scripts[worker].connect();
        self.scripts[worker].arrive(id, request(method, target, body).as_bytes());
        (worker, id)
    }

    /// The same, and its answer, which comes at once: status and body.
    pub(super) fn answer(&mut self, worker: usize, method: &str, target: &str, body: &str) -> (u16, String) {
        let line = self.ask(worker, method, target, body);
        self.settle();
        let answers = self.answers(line);
        assert_eq!(answers.len(), 1, "{method} {target}: {answers:?}");
        answers.into_iter().next().unwrap()
    }

    /// The answers that have come whole on a connection.
    pub(super) fn answers(&self, (worker, id): Line) -> Vec<(u16, String)> {
        answers(&self.read((worker, id)))
    }

    pub(super) fn read(&self, (worker, id): Line) -> String {
        String::from_utf8(self.scripts[worker].written(id)).unwrap()
    }

    /// The client is gone, and its end of the connection with it.
    pub(super) fn reset(&self, (worker, id): Line) {
        self.scripts[worker].reset(id);
    }

    pub(super) fn arrive(&self, (worker, id): Line, bytes: &[u8]) {
        self.scripts[worker].arrive(id, bytes);
    }

    /// A WebSocket for `rollcall.v1`.
    pub(super) fn upgrade(&mut self, worker: usize, target: &str) -> Line {
        let id = self.scripts[worker].connect();
        let text = format!(
            "GET {target} HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: rollcall.v1\r\n\r\n"
        );
        self.scripts[worker].arrive(id, text.as_bytes());
        (worker, id)
    }

    pub(super) fn say(&self, line: Line, text: &str) {
        self.arrive(line, &masked(Opcode::Text, text.as_bytes()));
    }

    /// The texts that have come on a WebSocket.
    pub(super) fn texts(&self, (worker, id): Line) -> Vec<String> {
        texts(&self.scripts[worker].written(id))
    }
}

pub(super) fn request(method: &str, target: &str, body: &str) -> String {
    format!("{method} {target} HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

/// The answers in what was read, each with its length.
fn answers(text: &str) -> Vec<(u16, String)> {
    let mut answers = Vec::new();
    let mut rest = text;
    while let Some((head, behind)) = rest.split_once("\r\n\r\n") {
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
        let length = length.map_or(0, |length| length.parse().unwrap());
        answers.push((status, behind[..length].to_owned()));
        rest = &behind[length..];
    }
    assert_eq!(rest, "");
    answers
}

/// The texts in frames, behind the head of an upgrade where there is one.
pub(super) fn texts(bytes: &[u8]) -> Vec<String> {
    let mut rest = bytes;
    if rest.starts_with(b"HTTP/1.1 ") {
        let end = rest.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
        rest = &rest[end + 4..];
    }
    let mut texts = Vec::new();
    while let Ok(Parsed::Header(header, at)) = Header::parse(rest) {
        let end = at + usize::try_from(header.len).unwrap();
        assert!(end <= rest.len(), "{}", bytes.escape_ascii());
        let payload = &rest[at..end];
        match header.opcode {
            Opcode::Text => texts.push(String::from_utf8(payload.to_vec()).unwrap()),
            Opcode::Close => {
                texts.push(format!("close {}", u16::from_be_bytes([payload[0], payload[1]])));
            }
            _ => {}
        }
        rest = &rest[end..];
    }
    texts
}

/// The events of a stream, each its fields; chunks are taken off.
pub(super) fn events(text: &str) -> Vec<String> {
    let mut body = String::new();
    let mut rest = text
        .split_once("\r\n\r\n")
        .map_or(text, |(head, rest)| if head.starts_with("HTTP/1.1") { rest } else { text });
    while let Some((length, behind)) = rest.split_once("\r\n") {
        let length = usize::from_str_radix(length, 16).unwrap();
        if length == 0 {
            body.push_str("end\n\n");
            break;
        }
        body.push_str(&behind[..length]);
        rest = &behind[length + 2..];
    }
    body.split_terminator("\n\n").map(str::to_owned).collect()
}

/// The value of a field of JSON that has no quotes in it.
pub(super) fn field<'a>(json: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = json.split_once(&format!("\"{name}\":"))?;
    let rest = rest.strip_prefix('"').unwrap_or(rest);
    rest.split(['"', ',', '}', ']']).next()
}
