//! Mail about sessions: a request on its way to the worker that has the session, its answer on the way back, and what is said on a
//! WebSocket at another worker.

use crate::limits::POLL_LATE_TICKS;
use crate::presence::{Entry, Name, State};
use crate::reactor::{Cause, ConnId, Mail, RequestId, SharedFrame, WorkerId};
use crate::session::{Policy, SessionKey};
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

/// A question or an order to a session.
#[derive(Debug)]
pub(super) enum Ask {
    /// A poll, with commands perhaps.
    Poll { ack: u64, wait: u32, gap: Option<u32>, number: Option<u64>, body: Box<str> },
    /// Commands, whose answers are the answer, or `by_events` come as events.
    Post { number: Option<u64>, by_events: bool, body: Box<str> },
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
    /// Its place among what is counted for its address.
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

/// The importance of a message to its client: it decides over the message where the client is slow.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Manner {
    /// For it alone, or of a room that loses nothing.
    Whole,
    /// By somebody else, who is told where it did not arrive; or for everybody.
    Spare,
    /// Of a room whose slow members lose the oldest.
    DropOldest,
    /// A user's state.
    State(Name),
}

impl Manner {
    pub(super) fn policy(self) -> Policy<Name> {
        match self {
            Manner::Whole => Policy::Whole,
            Manner::Spare => Policy::Spare,
            Manner::DropOldest => Policy::DropOldest,
            Manner::State(user) => Policy::Latest(user),
        }
    }
}

/// Ticks after which a request gets 503 that its session should have answered after `wait`.
pub(super) const fn patience(wait: u32) -> u32 {
    wait + POLL_LATE_TICKS
}
