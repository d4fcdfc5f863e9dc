//! A request for a session, on the worker that has the session. The worker where it landed asks by mail, is answered by mail, and says
//! when its client has given up.

use crate::limits::POLL_LATE_TICKS;
use crate::presence::{Entry, Name, State};
use crate::reactor::{Cause, ConnId, Context, Mail, RequestId, SharedFrame, WorkerId};
use crate::service::presence::sessions::outgoing::Manner;
use crate::service::presence::{Presence, PresenceMail};
use crate::session::SessionKey;
use crate::wire::http::Response;

/// Whether a path is one of sessions.
pub(crate) fn is_path(path: &str) -> bool {
    ["/events", "/poll"]
        .iter()
        .any(|own| path.strip_prefix(own).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
}

/// The way back of an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReturnPath {
    pub(super) worker: WorkerId,
    pub(super) request: RequestId,
}

/// What is asked of a session.
#[derive(Debug)]
pub(super) enum Ask {
    /// A poll, with commands perhaps.
    Poll { ack: u64, wait: u32, gap: Option<u32>, number: Option<u64>, body: Box<str> },
    /// Commands, whose answers are the answer.
    Post { number: Option<u64>, body: Box<str> },
    /// The client goes; for good, or as a page that is left.
    Leave { goodbye: bool },
}

/// Mail about sessions, between the worker that has one and the one where something for it landed.
#[derive(Debug)]
pub enum SessionMail {
    /// A request.
    #[doc(hidden)]
    Asked(Box<Asked>),
    /// A heartbeat by request, to the user's home.
    #[doc(hidden)]
    Beat(Box<Beat>),
    /// The answer to either.
    #[doc(hidden)]
    Answered { request: RequestId, reply: Reply },
    /// The client of a request has given up.
    #[doc(hidden)]
    Abandoned { key: SessionKey, reply_to: ReturnPath },
    /// A WebSocket asks to carry a session whose client has all up to `ack`.
    #[doc(hidden)]
    Attach { key: SessionKey, seq: i64, ack: u64, conn: ConnId },
    /// Whether it does: from the event of that number on.
    #[doc(hidden)]
    Attached { conn: ConnId, seq: i64, from: Option<u64>, handle: ConnId },
    /// A message came on it.
    #[doc(hidden)]
    Said { handle: ConnId, text: Box<str> },
    /// Its client may be dead, or is not.
    #[doc(hidden)]
    Suspect { handle: ConnId, suspect: bool },
    /// It is gone.
    #[doc(hidden)]
    Gone { handle: ConnId, cause: Cause, seen_millis: u64 },
    /// Something for its client.
    #[doc(hidden)]
    Deliver { conn: ConnId, frame: SharedFrame, manner: Manner },
    /// It is closed.
    #[doc(hidden)]
    Close { conn: ConnId, code: u16, reason: Box<str> },
}

/// A request, and where its answer goes.
#[derive(Debug)]
pub struct Asked {
    pub(super) key: SessionKey,
    pub(super) reply_to: ReturnPath,
    pub(super) ask: Ask,
}

/// A heartbeat by request.
#[derive(Debug)]
pub struct Beat {
    pub(super) user: Name,
    pub(super) entry: Entry,
    pub(super) state: Option<State>,
    pub(super) gap: u32,
    /// Where it is counted for its address.
    pub(super) counted: Option<u32>,
    pub(super) reply_to: ReturnPath,
}

/// An answer, before the worker that has the request dresses it.
#[derive(Debug)]
pub struct Reply {
    status: u16,
    body: String,
}

impl Reply {
    /// Lines of JSON.
    pub(super) fn lines(body: String) -> Reply {
        Reply { status: 200, body }
    }

    /// Why there are none.
    pub(super) fn refused(status: u16, words: &str) -> Reply {
        Reply { status, body: words.to_owned() }
    }

    pub(super) fn response(self) -> Response {
        match self.status {
            200 => Response {
                status: 200,
                content_type: "application/x-ndjson",
                fields: Vec::new(),
                body: self.body.into_bytes().into(),
            },
            status => Response::text(status, &self.body),
        }
    }
}

/// The answer for a session that is not there, or no more.
pub(super) const UNKNOWN: &str = "no such session: begin another one";

impl Mail for SessionMail {
    fn bytes(&self) -> usize {
        match self {
            SessionMail::Asked(asked) => {
                let body = match &asked.ask {
                    Ask::Poll { body, .. } | Ask::Post { body, .. } => body.len(),
                    Ask::Leave { .. } => 0,
                };
                size_of::<Asked>() + body
            }
            SessionMail::Beat(beat) => size_of::<Beat>() + beat.user.len(),
            SessionMail::Answered { reply, .. } => reply.body.len(),
            SessionMail::Said { text, .. } => text.len(),
            SessionMail::Deliver { frame, .. } => frame.bytes().len(),
            SessionMail::Close { reason, .. } => reason.len(),
            SessionMail::Abandoned { .. }
            | SessionMail::Attach { .. }
            | SessionMail::Attached { .. }
            | SessionMail::Suspect { .. }
            | SessionMail::Gone { .. } => 0,
        }
    }
}

impl Presence {
    /// Has the worker that has the session do what is asked.
    pub(super) fn ask_session(&mut self, cx: &mut Context<'_, PresenceMail>, asked: Asked) {
        let owner = asked.key.worker;
        if asked.key.node != 0 || usize::from(owner) >= self.workers {
            return self.reply(cx, asked.reply_to, Reply::refused(404, UNKNOWN));
        }
        if owner == cx.worker().0 {
            return self.asked(cx, asked);
        }
        self.post_session(cx, owner, SessionMail::Asked(Box::new(asked)));
    }

    /// Posts mail about sessions.
    pub(super) fn post_session(&mut self, cx: &mut Context<'_, PresenceMail>, to: u16, mail: SessionMail) {
        self.post_mail(cx, to, PresenceMail::Session(Box::new(mail)));
    }

    /// Answers a request, wherever it landed.
    pub(super) fn reply(&mut self, cx: &mut Context<'_, PresenceMail>, to: ReturnPath, reply: Reply) {
        if to.worker != cx.worker() {
            let mail = SessionMail::Answered { request: to.request, reply };
            return self.post_session(cx, to.worker.0, mail);
        }
        if let Some(door) = self.sessions.doors.remove(&to.request) {
            cx.answer(to.request, door.dress(reply.response()));
        }
    }

    /// A request, by the worker that has its session.
    fn asked(&mut self, cx: &mut Context<'_, PresenceMail>, Asked { key, reply_to, ask }: Asked) {
        let Some(place) = self.sessions.find(&key) else {
            return self.reply(cx, reply_to, Reply::refused(404, UNKNOWN));
        };
        match ask {
            Ask::Poll { ack, wait, gap, number, body } => {
                self.poll(cx, (place, reply_to), (ack, wait, gap), (number, &body));
            }
            Ask::Post { number, body } => self.post_commands(cx, (place, reply_to), number, &body),
            Ask::Leave { goodbye } => {
                self.leave_session(cx, place, goodbye);
                self.reply(cx, reply_to, Reply::lines(String::new()));
            }
        }
    }

    /// Mail about sessions.
    pub(crate) fn session_mail(
        &mut self,
        cx: &mut Context<'_, PresenceMail>,
        from: Option<WorkerId>,
        mail: SessionMail,
    ) {
        match mail {
            SessionMail::Asked(asked) => self.asked(cx, *asked),
            SessionMail::Beat(beat) => self.beat(cx, *beat),
            SessionMail::Answered { request, reply } => {
                let to = ReturnPath { worker: cx.worker(), request };
                self.reply(cx, to, reply);
            }
            SessionMail::Abandoned { key, reply_to } => self.gave_up(cx, &key, reply_to),
            SessionMail::Attach { key, seq, ack, conn } => {
                let Some(from) = from else { return };
                self.attach(cx, &key, (seq, ack), (from, conn));
            }
            SessionMail::Attached { conn, seq, from: first, handle } => {
                let Some(owner) = from else { return };
                self.attached(cx, conn, (seq, first), (owner, handle));
            }
            SessionMail::Said { handle, text } => self.said_away(cx, handle, &text),
            SessionMail::Suspect { handle, suspect } => self.suspect_away(cx, handle, suspect),
            SessionMail::Gone { handle, cause, seen_millis } => {
                self.gone_away(cx, handle, cause, seen_millis)
            }
            SessionMail::Deliver { conn, frame, manner } => self.deliver_here(cx, conn, &frame, manner),
            SessionMail::Close { conn, code, reason } => self.close_here(cx, conn, code, &reason),
        }
        self.act(cx);
    }

    /// The client of a request has given up, or has waited for too long.
    pub(crate) fn request_abandoned(&mut self, cx: &mut Context<'_, PresenceMail>, request: RequestId) {
        let reply_to = ReturnPath { worker: cx.worker(), request };
        match self.sessions.doors.remove(&request).and_then(|door| door.key) {
            Some(key) if key.worker == cx.worker().0 => self.gave_up(cx, &key, reply_to),
            Some(key) => self.post_session(cx, key.worker, SessionMail::Abandoned { key, reply_to }),
            None => self.stream_abandoned(cx, request),
        }
        self.act(cx);
    }

    fn gave_up(&mut self, cx: &mut Context<'_, PresenceMail>, key: &SessionKey, reply_to: ReturnPath) {
        let Some(place) = self.sessions.find(key) else { return };
        self.sessions.gave_up(place, cx.now().tick, reply_to);
    }
}

/// Ticks after which a request gets 503 that its session should have answered after `wait`.
pub(super) const fn patience(wait: u32) -> u32 {
    wait + POLL_LATE_TICKS
}
