//! What the tests of the worker share: a service that records, and a client that speaks bytes.

use std::time::Duration;

use rollcall::internals::reactor::{
    Accept, Admission, Answer, Cause, Config, ConnId, Context, RequestId, SendError, Service, Worker,
};
use rollcall::internals::time::Tick;
use rollcall::internals::wire::close::{Close, CloseCode};
use rollcall::internals::wire::frame::{self, Header, Opcode, Parsed};
use rollcall::internals::wire::http::{Head, Response};
use rollcall::internals::wire::session::Kind;
use rollcall::internals::wire::upgrade::Upgrade;

use super::script::Script;
use super::wires::noise;

/// Starts just before the tick wraps, so that every test that lasts crosses the wrap.
pub(super) const FIRST: Tick = Tick(u32::MAX - 300);

pub(super) fn config() -> Config {
    Config { first_tick: FIRST, ..Config::default() }
}

pub(super) const SECOND: Duration = Duration::from_secs(1);

pub(super) fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// What the service was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Told {
    Open,
    Message(Vec<u8>),
    Pong(Duration),
    Beat,
    Suspect(bool),
    Closed(Cause),
    Request(String, Vec<u8>),
}

/// Echoes, and records what it is told. Messages that it knows make it do other things.
#[derive(Debug, Default)]
pub(super) struct Recorder {
    pub(super) told: Vec<Told>,
    pub(super) conns: Vec<ConnId>,
    pub(super) later: Vec<RequestId>,
    pub(super) sent: Vec<Result<(), SendError>>,
    /// When one of them is gone, the others are closed.
    pub(super) bound: Vec<ConnId>,
    /// The connections that it was told are gone.
    pub(super) gone: Vec<ConnId>,
    /// What it was told of connections that came from elsewhere.
    pub(super) adopted: Vec<Vec<u8>>,
    /// No connection may leave.
    pub(super) keeps: bool,
    /// Until then it owes clients that have ended their streams an answer.
    pub(super) owes_until: Option<Tick>,
    /// What it has said it will answer later it does not answer.
    pub(super) withholds: bool,
    /// What comes may be anything: it is given its number again.
    pub(super) renames: bool,
    /// The names in the certificates of who opened.
    pub(super) names: Vec<Option<String>>,
    /// These are sent something at the next tick.
    pub(super) nudged: Vec<ConnId>,
    /// The codes with which it was told that the server is about to close a connection.
    pub(super) farewells: Vec<u16>,
}

impl Recorder {
    pub(super) fn causes(&self) -> Vec<Cause> {
        self.told
            .iter()
            .filter_map(|told| if let Told::Closed(cause) = told { Some(*cause) } else { None })
            .collect()
    }
}

impl Service for Recorder {
    type Mail = ();
    type Admitted = ();

    fn admit(&mut self, _: &mut Context<'_, ()>, _: ConnId, upgrade: &Upgrade<'_>) -> Admission {
        match upgrade.head.path() {
            "/no" => Admission::Refuse(Response::text(404, "no")),
            _ => Admission::Accept(Accept { tag: 7, ..Accept::default() }),
        }
    }

    fn open(&mut self, cx: &mut Context<'_, ()>, conn: ConnId, (): ()) {
        assert_eq!(cx.tag(conn), Some(7));
        self.conns.push(conn);
        self.names.push(cx.certified(conn).and_then(|certified| certified.name));
        self.told.push(Told::Open);
    }

    fn message(&mut self, cx: &mut Context<'_, ()>, conn: ConnId, kind: Kind, payload: &[u8]) {
        self.told.push(Told::Message(payload.to_vec()));
        match payload {
            b"close me" => cx.close(conn, &Close::new(CloseCode(4403), "as you wish")),
            b"close all" => {
                for other in self.conns.clone() {
                    cx.close(other, &Close::new(CloseCode::NORMAL, ""));
                }
            }
            b"bind me" => self.bound.push(conn),
            b"tell all" => self.sent.extend(self.conns.iter().map(|other| cx.send(*other, kind, payload))),
            // Costs so much, and is not answered.
            cost if cost.starts_with(b"cost ") => cx.charge(number(&cost[5..])),
            b"send no text" => self.sent.push(cx.send(conn, Kind::Text, b"caf\xe9")),
            b"flood" => {
                let junk = noise(1, 100_000);
                self.sent.extend((0..64).map(|_| cx.send(conn, Kind::Binary, &junk)));
            }
            _ => self.sent.push(cx.send(conn, kind, payload)),
        }
    }

    fn heartbeat(&mut self, cx: &mut Context<'_, ()>, conn: ConnId) {
        self.told.push(Told::Beat);
        cx.send(conn, Kind::Text, b"beat").ok();
    }

    fn suspect(&mut self, _: &mut Context<'_, ()>, _: ConnId, suspect: bool) {
        self.told.push(Told::Suspect(suspect));
    }

    fn pong(&mut self, _: &mut Context<'_, ()>, _: ConnId, round_trip: Duration) {
        self.told.push(Told::Pong(round_trip));
    }

    fn farewell(&mut self, _: &mut Context<'_, ()>, _: ConnId, close: &Close<'_>) {
        self.farewells.extend(close.code.map(|code| code.0));
    }

    fn closed(&mut self, cx: &mut Context<'_, ()>, conn: ConnId, cause: Cause) {
        assert_eq!(cx.send(conn, Kind::Text, b"too late"), Err(SendError::Gone));
        assert_eq!(cx.tag(conn), Some(7), "it is told while it can be seen whose connection it was");
        self.told.push(Told::Closed(cause));
        self.gone.push(conn);
        if self.bound.contains(&conn) {
            for other in std::mem::take(&mut self.bound) {
                cx.close(other, &Close::new(CloseCode::NORMAL, ""));
            }
        }
    }

    fn owes(&mut self, cx: &mut Context<'_, ()>, _: ConnId) -> bool {
        self.owes_until.is_some_and(|until| !cx.now().tick.has_reached(until))
    }

    fn released(&mut self, _: &mut Context<'_, ()>, conn: ConnId) -> Option<Vec<u8>> {
        if self.keeps {
            return None;
        }
        self.conns.retain(|other| *other != conn);
        self.bound.retain(|other| *other != conn);
        Some(b"recorded".to_vec())
    }

    fn adopted(&mut self, cx: &mut Context<'_, ()>, conn: ConnId, state: &[u8]) {
        if self.renames {
            cx.set_tag(conn, 7);
        }
        assert_eq!(cx.tag(conn), Some(7));
        self.conns.push(conn);
        self.adopted.push(state.to_vec());
    }

    fn judge(&mut self, _: &mut Context<'_, ()>, _: RequestId, head: &Head<'_>) -> Option<Response> {
        (head.path() == "/nowhere").then(|| Response::text(404, "no"))
    }

    fn request(&mut self, cx: &mut Context<'_, ()>, id: RequestId, head: &Head<'_>, body: &[u8]) -> Answer {
        self.told.push(Told::Request(head.target.to_owned(), body.to_vec()));
        if let Some(cost) = head.path().strip_prefix("/cost/") {
            cx.charge(number(cost.as_bytes()));
        }
        if head.path() == "/later" {
            self.later.push(id);
            return Answer::Later { by: cx.now().tick.after(100) };
        }
        Answer::Now(Response::text(200, head.target))
    }

    fn tick(&mut self, cx: &mut Context<'_, ()>) -> Option<Tick> {
        for conn in self.nudged.drain(..) {
            cx.send(conn, Kind::Text, b"nudge").ok();
        }
        let answers = self.told.is_empty() && !self.withholds;
        for request in self.later.extract_if(.., |_| answers) {
            cx.answer(request, Response::text(200, "at last"));
        }
        None
    }
}

/// The number that a text is; 0 where it is none.
pub(super) fn number(text: &[u8]) -> u32 {
    std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()).unwrap_or_default()
}

/// The request of a client, for `path`.
pub(super) fn upgrade_request(path: &str) -> Vec<u8> {
    format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    .into_bytes()
}

/// A masked frame, as a client sends it.
pub(super) fn masked(opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame::write(&mut bytes, opcode, payload, Some([1, 2, 3, 4]));
    bytes
}

/// A frame as the server sends it.
pub(super) fn plain(opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame::write(&mut bytes, opcode, payload, None);
    bytes
}

pub(super) fn close_frame(code: u16, reason: &str) -> Vec<u8> {
    plain(Opcode::Close, &[&code.to_be_bytes(), reason.as_bytes()].concat())
}

/// The frames in what a server wrote; panics where that isn't frames.
pub(super) fn frames(mut bytes: &[u8]) -> Vec<(Opcode, Vec<u8>)> {
    let mut frames = Vec::new();
    while !bytes.is_empty() {
        let Parsed::Header(header, len) = Header::parse(bytes).unwrap() else {
            panic!("half a header: {bytes:?}")
        };
        let end = len + header.len as usize;
        assert!(header.fin && header.mask.is_none() && end <= bytes.len(), "{header:?}");
        frames.push((header.opcode, bytes[len..end].to_vec()));
        bytes = &bytes[end..];
    }
    frames
}

/// A world with one worker whose connections are for a [`Recorder`].
pub(super) struct Stage {
    pub(super) script: Script,
    pub(super) worker: Worker<Script, Recorder>,
    pub(super) shared: std::sync::Arc<rollcall::internals::reactor::Shared>,
}

impl Stage {
    pub(super) fn new(config: &Config) -> Stage {
        let script = Script::new(config.first_tick);
        let (worker, shared) = script.worker(config, Recorder::default());
        Stage { script, worker, shared }
    }

    pub(super) fn settle(&mut self) {
        self.script.settle(&mut self.worker);
    }

    pub(super) fn pass(&mut self, time: Duration) {
        self.script.pass(&mut self.worker, time);
    }

    /// An open WebSocket connection whose handshake has been read.
    pub(super) fn open(&mut self) -> usize {
        let id = self.script.connect();
        self.settle();
        self.script.arrive(id, &upgrade_request("/"));
        self.settle();
        let response = self.script.written(id);
        assert!(response.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&response));
        id
    }

    /// Bytes arrive and are served.
    pub(super) fn send(&mut self, id: usize, bytes: &[u8]) {
        self.script.arrive(id, bytes);
        self.settle();
    }

    pub(super) fn frames(&self, id: usize) -> Vec<(Opcode, Vec<u8>)> {
        frames(&self.script.written(id))
    }

    pub(super) fn told(&mut self) -> Vec<Told> {
        std::mem::take(&mut self.worker.service().told)
    }
}
