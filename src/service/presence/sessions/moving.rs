//! Sessions that go over to a WebSocket. It comes with the session's name (`/ws?session=…`) and begins with the command `resume`, which
//! says how much its client has: by then it is known that messages get through in both directions. From the answer on, the WebSocket
//! carries the session: nothing is lost, nothing comes twice, and presence hears nothing of it.
//!
//! If the WebSocket is at the worker that has the session, nothing is left of that but a client on a connection. Else the session
//! stays where it is, and the worker with the WebSocket passes on what is said in both directions: its rooms and watches need not
//! move.

use serde::Deserialize;

use crate::limits::RESUME_TICKS_MAX;
use crate::presence::{Name, Reason};
use crate::protocol::event_stream;
use crate::reactor::{Cause, ConnId, Context, SharedFrame, WorkerId};
use crate::service::presence::comings::reason_of;
use crate::service::presence::sessions::mail::Manner;
use crate::service::presence::sessions::mail::{Reply, SessionMail, UNKNOWN};
use crate::service::presence::sessions::table::{CARRIED, Carried, Carrier, numbered};
use crate::service::presence::slow_consumers::Backlog;
use crate::service::presence::{Presence, PresenceMail, Tag};
use crate::session::SessionKey;
use crate::wire::close::CloseCode;

const _: () = assert!(CARRIED == Tag::SLOT, "it fits into a tag");

const MOVED: &str = "a WebSocket carries the session now";
/// The last event of a stream whose session goes on elsewhere.
const LAST: &str = r#"{"event":"moved"}"#;

/// The first command of such a WebSocket.
#[derive(Deserialize)]
struct Resume<'a> {
    #[serde(default)]
    seq: i64,
    cmd: &'a str,
    #[serde(default)]
    params: ResumeParams,
}

#[derive(Deserialize, Default)]
struct ResumeParams {
    #[serde(default)]
    ack: u64,
}

impl Presence {
    /// A WebSocket is open that names a session.
    pub(crate) fn carried_opens(
        &mut self,
        cx: &mut Context<'_, PresenceMail>,
        conn: ConnId,
        key: SessionKey,
    ) {
        cx.set_tag(conn, Tag::VERSION_1 | Tag::SPOKEN | CARRIED);
        cx.timer(conn, Some(cx.now().tick.after(RESUME_TICKS_MAX)));
        self.sessions.carried.insert(conn, Carried::Names(key));
    }

    /// A WebSocket has named a session for long enough.
    pub(crate) fn carried_due(&mut self, cx: &mut Context<'_, PresenceMail>, conn: ConnId) {
        if let Some(Carried::Names(_) | Carried::Asks) = self.sessions.carried.get(&conn) {
            self.part_with(cx, conn, CloseCode::TIMEOUT, "no resume in time");
        }
    }

    /// A message on a WebSocket that names or carries a session of another worker.
    pub(crate) fn carried_says(&mut self, cx: &mut Context<'_, PresenceMail>, conn: ConnId, text: &str) {
        match self.sessions.carried.get(&conn).copied() {
            Some(Carried::Carries(owner, handle)) => {
                self.post_session(cx, owner.0, SessionMail::Said { handle, text: text.into() });
            }
            Some(Carried::Names(key)) => match serde_json::from_str::<Resume<'_>>(text) {
                Ok(Resume { seq, cmd: "resume", params }) => {
                    self.sessions.carried.insert(conn, Carried::Asks);
                    self.ask_to_carry(cx, conn, key, (seq, params.ack));
                }
                _ => self.part_with(cx, conn, CloseCode(1002), "resume comes first"),
            },
            Some(Carried::Asks) => self.part_with(cx, conn, CloseCode(1002), "resume is not answered yet"),
            None => {}
        }
    }

    fn ask_to_carry(
        &mut self,
        cx: &mut Context<'_, PresenceMail>,
        conn: ConnId,
        key: SessionKey,
        (seq, ack): (i64, u64),
    ) {
        if key.node != 0 || usize::from(key.worker) >= self.workers {
            self.attached(cx, conn, (seq, None), (cx.worker(), conn));
        } else if key.worker == cx.worker().0 {
            self.attach(cx, &key, (seq, ack), (cx.worker(), conn));
        } else {
            self.post_session(cx, key.worker, SessionMail::Attach { key, seq, ack, conn });
        }
    }

    /// A WebSocket asks to carry a session, of which its client has all up to `ack`.
    pub(super) fn attach(
        &mut self,
        cx: &mut Context<'_, PresenceMail>,
        key: &SessionKey,
        (seq, ack): (i64, u64),
        (worker, conn): (WorkerId, ConnId),
    ) {
        let is_here = worker == cx.worker();
        let place = self.sessions.find(key);
        let Some((first, rest)) = place.and_then(|place| self.take_off(cx, place, ack)) else {
            let mail = SessionMail::Attached { conn, seq, from: None, handle: conn };
            if is_here {
                self.attached(cx, conn, (seq, None), (worker, conn));
            } else {
                self.post_session(cx, worker.0, mail);
            }
            return;
        };
        let Some(place) = place else { return };
        let Some(session) = self.sessions.table.get(place) else { return };
        let (client, handle) = (session.client, numbered(place, session.serial));
        if is_here {
            let ended = self.sessions.end(place);
            ended
                .and_then(|session| session.counted)
                .into_iter()
                .for_each(|counted| cx.addressing().uncount(counted));
            self.sessions.carried.remove(&conn);
            cx.timer(conn, None);
            cx.set_tag(conn, Tag::VERSION_1 | Tag::SPOKEN | client);
            self.node.carry(client, conn.to_bits());
            let _ = cx.send_text(conn, &resumed(seq, first));
        } else {
            self.sessions.carry(place, Carrier::Away(worker, conn));
            self.node.carry(client, handle.to_bits());
            let mail = SessionMail::Attached { conn, seq, from: Some(first), handle };
            self.post_session(cx, worker.0, mail);
        }
        let to = if is_here { conn } else { handle };
        for frame in rest {
            self.send_frame(cx, to, &frame);
        }
    }

    /// Takes a session off what has carried it; returns the number of the next event, and those that are not acknowledged. `None`: it
    /// can't go over.
    fn take_off(
        &mut self,
        cx: &mut Context<'_, PresenceMail>,
        place: usize,
        ack: u64,
    ) -> Option<(u64, Vec<SharedFrame>)> {
        let now = cx.now().tick;
        let session = self.sessions.table.get_mut(place)?;
        let posts = session.posts.take();
        let (open, first, rest) = match &mut session.carrier {
            Carrier::Polls(polls) => {
                let next = polls.queue().next();
                let (open, rest) = polls.leave(now, ack)?;
                let first = rest.first().map_or(next, |(number, _)| *number);
                (open, first, rest.into_iter().map(|(_, frame)| frame).collect())
            }
            Carrier::Stream(conn) => {
                let conn = *conn;
                let request = cx.streaming(conn)?;
                let waiting = self.slow_consumers.take(conn);
                cx.stream(request, event_stream::event(LAST, |_| false).as_bytes()).ok()?;
                cx.end_stream(request);
                (None, 0, waiting.map_or_else(Vec::new, Backlog::into_frames))
            }
            Carrier::Over(_) | Carrier::Away(..) => return None,
        };
        for reply_to in [open, posts.and_then(|mut posts| posts.end())].into_iter().flatten() {
            self.reply(cx, reply_to, Reply::refused(409, MOVED));
        }
        Some((first, rest))
    }

    /// Whether a WebSocket here carries the session that it named.
    pub(super) fn attached(
        &mut self,
        cx: &mut Context<'_, PresenceMail>,
        conn: ConnId,
        (seq, first): (i64, Option<u64>),
        (owner, handle): (WorkerId, ConnId),
    ) {
        let Some(carried) = self.sessions.carried.get_mut(&conn) else {
            // It has broken meanwhile, and with it the session's client.
            if first.is_some() {
                let mail =
                    SessionMail::Gone { handle, cause: Cause::Lost, seen_millis: cx.now().unix_millis };
                self.post_session(cx, owner.0, mail);
            }
            return;
        };
        let Some(first) = first else {
            return self.part_with(cx, conn, CloseCode(4404), UNKNOWN);
        };
        *carried = Carried::Carries(owner, handle);
        cx.timer(conn, None);
        let _ = cx.send_text(conn, &resumed(seq, first));
    }

    /// A message came on the WebSocket, at another worker, that carries a session.
    pub(super) fn said_away(&mut self, cx: &mut Context<'_, PresenceMail>, handle: ConnId, text: &str) {
        let place = self.sessions.place_of(handle);
        if let Some(session) = place.and_then(|place| self.sessions.table.get(place)) {
            let client = session.client;
            self.command(cx, handle, client, text);
        }
    }

    pub(super) fn suspect_away(&mut self, cx: &Context<'_, PresenceMail>, handle: ConnId, suspect: bool) {
        let place = self.sessions.place_of(handle);
        if let Some(session) = place.and_then(|place| self.sessions.table.get(place)) {
            self.node.suspect(cx.now(), session.client, suspect);
        }
    }

    /// The WebSocket, at another worker, that has carried a session is gone.
    pub(super) fn gone_away(
        &mut self,
        cx: &mut Context<'_, PresenceMail>,
        handle: ConnId,
        cause: Cause,
        seen_millis: u64,
    ) {
        let Some(place) = self.sessions.place_of(handle) else { return };
        let Some(session) = self.sessions.table.get(place) else { return };
        if matches!(session.carrier, Carrier::Away(..)) {
            let (client, counted) = (session.client, session.counted);
            self.sessions.end(place);
            counted.into_iter().for_each(|counted| cx.addressing().uncount(counted));
            let reason: Reason = reason_of(cause);
            self.node.closed(cx.now(), client, reason, seen_millis);
        }
    }

    /// A WebSocket here that named or carried a session of another worker is gone, or may be.
    pub(crate) fn carried_goes(
        &mut self,
        cx: &mut Context<'_, PresenceMail>,
        conn: ConnId,
        cause: Cause,
        seen_millis: u64,
    ) {
        self.slow_consumers.take(conn);
        if let Some(Carried::Carries(owner, handle)) = self.sessions.carried.remove(&conn) {
            self.post_session(cx, owner.0, SessionMail::Gone { handle, cause, seen_millis });
        }
    }

    pub(crate) fn carried_suspect(
        &mut self,
        cx: &mut Context<'_, PresenceMail>,
        conn: ConnId,
        suspect: bool,
    ) {
        if let Some(Carried::Carries(owner, handle)) = self.sessions.carried.get(&conn).copied() {
            self.post_session(cx, owner.0, SessionMail::Suspect { handle, suspect });
        }
    }

    /// Something for the client of a session of another worker that a WebSocket here carries.
    pub(super) fn deliver_here(
        &mut self,
        cx: &mut Context<'_, PresenceMail>,
        conn: ConnId,
        frame: &SharedFrame,
        manner: Manner,
    ) {
        if !self.sessions.carried.contains_key(&conn) {
            return;
        }
        match manner {
            Manner::Whole => self.send_frame(cx, conn, frame),
            Manner::Spare => drop(self.send_told(cx, conn, frame)),
            Manner::DropOldest => self.send_or_wait(cx, conn, frame),
            Manner::State(user) => self.send_state(cx, conn, &Name::clone(&user), frame),
        }
    }

    pub(super) fn close_here(
        &mut self,
        cx: &mut Context<'_, PresenceMail>,
        conn: ConnId,
        code: u16,
        reason: &str,
    ) {
        if self.sessions.carried.contains_key(&conn) {
            self.part_with(cx, conn, CloseCode(code), reason);
        }
    }
}

/// The answer to `resume`: the number of the event that comes next; 0 behind a stream, whose events have none.
fn resumed(seq: i64, next: u64) -> String {
    format!(r#"{{"seq":{seq},"body":{{"code":200,"next":{next}}}}}"#)
}
