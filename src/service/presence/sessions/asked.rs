//! A request for a session, on the worker that has the session. The worker where it landed asks by mail, is answered by mail, and says
//! when its client has given up.

use crate::reactor::{Context, RequestId, WorkerId};
use crate::service::presence::sessions::mail::{Ask, Asked, Reply, ReturnPath, SessionMail, UNKNOWN};
use crate::service::presence::{Presence, PresenceMail};
use crate::session::SessionKey;

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
            Ask::Post { number, by_events, body } => {
                self.post_commands(cx, (place, reply_to), (number, by_events), &body);
            }
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
                self.gone_away(cx, handle, cause, seen_millis);
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
