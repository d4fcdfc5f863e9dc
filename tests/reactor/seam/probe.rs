//! A service that uses all of the seam, one of three workers', and tells the test what it was told.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::mpsc::Sender;
use std::time::Duration;

use rollcall::internals::limits::MessageLimits;
use rollcall::internals::reactor::{
    Accept, Admission, Answer, Cause, ConnId, Context, Heartbeat, Latency, Mail, RequestId, SendError,
    Service, Terms, WorkerId,
};
use rollcall::internals::time::Tick;
use rollcall::internals::wire::http::{Head, Response};
use rollcall::internals::wire::session::Kind;
use rollcall::internals::wire::upgrade::Upgrade;

use crate::reactor::kit::number;

/// Bytes of a numbered piece.
pub(super) const PIECE_BYTES: usize = 10_000;

/// A call of the service.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Told {
    /// Nobody waits for the answer to a request of that path.
    Abandoned(String),
    /// A request waits for an answer that doesn't come.
    Waits,
    /// A stream's client reads too slowly.
    Backlogged,
    /// A WebSocket of that path is gone.
    Closed(String, Cause),
    /// So many messages were queued for one.
    Queued(usize),
}

/// Asks the service of another worker for an answer, and brings it.
#[derive(Debug)]
pub(super) enum Errand {
    Ask { home: WorkerId, request: RequestId },
    Answer { request: RequestId, by: WorkerId },
}

impl Mail for Errand {
    fn bytes(&self) -> usize {
        0
    }
}

/// An answer in pieces: the numbers of the next piece and of the last.
#[derive(Debug)]
struct Feed {
    request: RequestId,
    next: usize,
    end: usize,
    /// As fast as it is read, or one piece in each tick.
    drips: bool,
    is_full: bool,
}

/// The service.
#[derive(Debug)]
pub(super) struct Probe {
    told: Sender<Told>,
    waiting: HashMap<RequestId, String>,
    feeds: Vec<Feed>,
    paths: HashMap<ConnId, String>,
    /// They must not be read.
    paused: HashSet<ConnId>,
}

impl Probe {
    pub(super) fn new(told: Sender<Told>) -> Probe {
        Probe {
            told,
            waiting: HashMap::new(),
            feeds: Vec::new(),
            paths: HashMap::new(),
            paused: HashSet::new(),
        }
    }

    fn tell(&self, told: Told) {
        // A test that has seen enough no longer listens.
        let _ = self.told.send(told);
    }

    fn feed(&mut self, cx: &mut Context<'_, Errand>) {
        for feed in self.feeds.iter_mut().filter(|feed| !feed.is_full) {
            while feed.next < feed.end {
                match cx.stream(feed.request, &piece(feed.next)) {
                    Ok(()) => feed.next += 1,
                    Err(SendError::Backlogged) => {
                        feed.is_full = true;
                        let _ = self.told.send(Told::Backlogged);
                        break;
                    }
                    Err(SendError::TurnFull) => break,
                    Err(error) => panic!("{error:?}: nobody said that it was abandoned"),
                }
                if feed.drips {
                    break;
                }
            }
            if feed.next == feed.end {
                cx.end_stream(feed.request);
                assert_eq!(cx.stream(feed.request, b"behind the end"), Err(SendError::Gone));
            }
        }
        self.feeds.retain(|feed| feed.next < feed.end);
    }
}

/// The piece of that number.
pub(super) fn piece(n: usize) -> Vec<u8> {
    format!("{n:08}, ").into_bytes().repeat(PIECE_BYTES / 10)
}

/// The terms that a path names.
fn terms_of(path: &str) -> Terms {
    match path {
        "/quick" => Terms {
            heartbeat: Some(Heartbeat {
                interval: Duration::from_millis(50),
                timeout: Duration::from_millis(50),
                ..Heartbeat::default()
            }),
            ..Terms::default()
        },
        "/small" => Terms {
            messages: Some(MessageLimits { max_message_bytes: 10, ..MessageLimits::default() }),
            ..Terms::default()
        },
        "/narrow" => Terms { max_backlog_bytes: Some(1_000), ..Terms::default() },
        _ => Terms::default(),
    }
}

impl Service for Probe {
    type Mail = Errand;
    type Admitted = String;

    fn admit(&mut self, _: &mut Context<'_, Errand>, _: ConnId, upgrade: &Upgrade<'_>) -> Admission<String> {
        let path = upgrade.head.path().to_owned();
        let terms = terms_of(&path);
        Admission::Accept(Accept { admitted: path, terms, tag: 3, subprotocol: None })
    }

    fn open(&mut self, _: &mut Context<'_, Errand>, conn: ConnId, path: String) {
        self.paths.insert(conn, path);
    }

    fn message(&mut self, cx: &mut Context<'_, Errand>, conn: ConnId, kind: Kind, payload: &[u8]) {
        assert!(!self.paused.contains(&conn), "it is paused");
        assert_eq!(cx.tag(conn), Some(3));
        let text = String::from_utf8_lossy(payload);
        match text.split_once(' ') {
            Some(("timer", ticks)) => cx.timer(conn, Some(cx.now().tick.after(number(ticks.as_bytes())))),
            Some(("pause", ticks)) => {
                cx.pause(conn);
                cx.timer(conn, Some(cx.now().tick.after(number(ticks.as_bytes()))));
                self.paused.insert(conn);
            }
            Some(("flood", count)) => {
                let sent = (0..number(count.as_bytes())).map(|_| cx.send_text(conn, &"x".repeat(96)));
                let queued = sent.take_while(Result::is_ok).count();
                self.tell(Told::Queued(queued));
            }
            Some(("count", _)) => cx.send_text(conn, &format!("{} bytes", payload.len())).unwrap(),
            _ => cx.send(conn, kind, payload).unwrap(),
        }
    }

    fn timer(&mut self, cx: &mut Context<'_, Errand>, conn: ConnId) {
        if self.paused.remove(&conn) {
            cx.resume(conn);
        }
        cx.send_text(conn, "time").unwrap();
    }

    fn writable(&mut self, cx: &mut Context<'_, Errand>, conn: ConnId) {
        self.feeds.iter_mut().filter(|feed| feed.request.conn == conn).for_each(|feed| feed.is_full = false);
        self.feed(cx);
    }

    fn closed(&mut self, _: &mut Context<'_, Errand>, conn: ConnId, cause: Cause) {
        self.paused.remove(&conn);
        let path = self.paths.remove(&conn).expect("it was opened");
        self.tell(Told::Closed(path, cause));
    }

    fn request(
        &mut self,
        cx: &mut Context<'_, Errand>,
        request: RequestId,
        head: &Head<'_>,
        body: &[u8],
    ) -> Answer {
        let path = head.path();
        let n = number(path.rsplit('/').next().unwrap_or_default().as_bytes());
        let now = cx.now().tick;
        let drips = path.starts_with("/drip");
        if path == "/now" {
            return Answer::Now(Response::text(200, &format!("now {}", body.len())));
        }
        self.waiting.insert(request, path.to_owned());
        if drips || path.starts_with("/feed/") {
            let end = if drips { usize::MAX } else { n as usize };
            self.feeds.push(Feed { request, next: 0, end, drips, is_full: false });
            return Answer::Stream(Response { body: Cow::Borrowed(b""), ..Response::text(200, "") });
        }
        if path == "/relay" {
            let home = cx.worker();
            let next = WorkerId((home.0 + 1) % u16::try_from(cx.shared().workers().len()).unwrap());
            cx.post(next, Errand::Ask { home, request }, Latency::Now).unwrap();
            return Answer::Later { by: now.after(100_000) };
        }
        if path.starts_with("/wait/") {
            self.tell(Told::Waits);
        }
        Answer::Later { by: now.after(n) }
    }

    fn abandoned(&mut self, _: &mut Context<'_, Errand>, request: RequestId) {
        self.feeds.retain(|feed| feed.request != request);
        let path = self.waiting.remove(&request).expect("somebody waited");
        self.tell(Told::Abandoned(path));
    }

    fn mail(&mut self, cx: &mut Context<'_, Errand>, from: Option<WorkerId>, mail: Errand) {
        match mail {
            Errand::Ask { home, request } => {
                let answer = Errand::Answer { request, by: cx.worker() };
                assert_eq!(from, Some(home));
                cx.post(home, answer, Latency::Now).unwrap();
            }
            Errand::Answer { request, by } => {
                self.waiting.remove(&request);
                cx.answer(request, Response::text(200, &format!("from {} by {by}", cx.worker())));
            }
        }
    }

    fn tick(&mut self, cx: &mut Context<'_, Errand>) -> Option<Tick> {
        self.feed(cx);
        self.feeds.iter().any(|feed| !feed.is_full).then(|| cx.now().tick.after(1))
    }
}
