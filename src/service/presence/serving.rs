//! Presence as a worker calls it: connections that come, speak and go, requests, mail, turns.

use crate::protocol::rollcall_v1;
use crate::reactor::{Admission, Answer, Cause, ConnId, Context, Overload, RequestId, Service, WorkerId};
use crate::service::legacy_heartbeats::{self, TextKind};
use crate::service::presence::coming::Coming;
use crate::service::presence::sessions::mail::is_path as is_session_path;
use crate::service::presence::sessions::table::CARRIED;
use crate::service::presence::{Presence, PresenceMail, Tag};
use crate::time::Tick;
use crate::wire::close::{Close, CloseCode};
use crate::wire::http::{self, Head, Response};
use crate::wire::session::Kind;
use crate::wire::upgrade::Upgrade;

impl Service for Presence {
    type Mail = PresenceMail;
    type Admitted = Coming;

    fn admit(
        &mut self,
        cx: &mut Context<'_, PresenceMail>,
        conn: ConnId,
        upgrade: &Upgrade<'_>,
    ) -> Admission<Coming> {
        self.judge_coming(cx, conn, upgrade)
    }

    fn open(&mut self, cx: &mut Context<'_, PresenceMail>, conn: ConnId, coming: Coming) {
        self.come(cx, conn, coming);
    }

    fn message(&mut self, cx: &mut Context<'_, PresenceMail>, conn: ConnId, kind: Kind, payload: &[u8]) {
        let Some(tag) = cx.tag(conn).map(Tag) else { return };
        if kind == Kind::Binary && tag.is_version_1() {
            return self.hear_bytes(cx, conn, tag, payload);
        }
        let Some(text) = std::str::from_utf8(payload).ok().filter(|_| kind == Kind::Text) else {
            return self.part_with(cx, conn, CloseCode::UNSUPPORTED, "text messages only");
        };
        cx.charge(legacy_heartbeats::cost(payload.len()));
        let first = !tag.has_spoken();
        if first {
            cx.set_tag(conn, tag.0 | Tag::SPOKEN);
        }
        let (now, slot) = (cx.now(), tag.slot());
        if slot == CARRIED {
            return self.carried_says(cx, conn, text);
        }
        match self.settings.legacy_heartbeats.tell(text) {
            TextKind::Heartbeat(answer) => self.page_heartbeat(cx, conn, slot, answer),
            TextKind::HeartbeatEcho => self.page_heartbeat(cx, conn, slot, text),
            TextKind::Command => self.command(cx, conn, slot, text),
            TextKind::Name(name) if first => {
                self.node.identify(now, slot, name.into());
            }
            // A client of `rollcall.v1` is told the fault. Other clients send all kinds of text; any of it is a sign of
            // life.
            TextKind::Name(_) | TextKind::Other if tag.is_version_1() => self.command(cx, conn, slot, text),
            TextKind::Name(_) | TextKind::Other => {}
        }
        self.act(cx);
    }

    fn heartbeat(&mut self, cx: &mut Context<'_, PresenceMail>, conn: ConnId) {
        if cx.tag(conn).is_some_and(|tag| !Tag(tag).is_version_1()) {
            let json = rollcall_v1::heartbeat(cx.now());
            // If the backlog is full, the Ping alone decides.
            let _ = cx.send_text(conn, &json);
        }
    }

    fn suspect(&mut self, cx: &mut Context<'_, PresenceMail>, conn: ConnId, suspect: bool) {
        if let Some(tag) = cx.tag(conn).map(Tag) {
            if tag.slot() == CARRIED {
                return self.carried_suspect(cx, conn, suspect);
            }
            self.node.suspect(cx.now(), tag.slot(), suspect);
            self.act(cx);
        }
    }

    fn writable(&mut self, cx: &mut Context<'_, PresenceMail>, conn: ConnId) {
        self.send_waiting(cx, conn);
        self.has_drained(cx, conn);
    }

    fn owes(&mut self, cx: &mut Context<'_, PresenceMail>, conn: ConnId) -> bool {
        cx.tag(conn).is_some_and(|tag| self.node.edge().owes(Tag(tag).slot()))
    }

    fn closed(&mut self, cx: &mut Context<'_, PresenceMail>, conn: ConnId, cause: Cause) {
        self.catching_up.forget(conn);
        self.go(cx, conn, cause);
    }

    fn judge(
        &mut self,
        cx: &mut Context<'_, PresenceMail>,
        request: RequestId,
        head: &Head<'_>,
    ) -> Option<Response> {
        if is_session_path(head.path()) { self.judge_session_request(cx, request, head) } else { None }
    }

    fn request(
        &mut self,
        cx: &mut Context<'_, PresenceMail>,
        request: RequestId,
        head: &Head<'_>,
        body: &[u8],
    ) -> Answer {
        if is_session_path(head.path()) {
            return self.session_request(cx, request, head, body);
        }
        // RFC 9110 §15.5.22: a 426 names what to upgrade to.
        let reason = "a WebSocket lives here: connect with ws://";
        Answer::Now(Response::refusal(&http::Refusal { status: 426, reason }))
    }

    fn abandoned(&mut self, cx: &mut Context<'_, PresenceMail>, request: RequestId) {
        self.request_abandoned(cx, request);
    }

    fn timer(&mut self, cx: &mut Context<'_, PresenceMail>, conn: ConnId) {
        self.carried_due(cx, conn);
    }

    fn drain(&mut self, cx: &mut Context<'_, PresenceMail>) {
        if !self.sessions.is_empty() {
            self.drain_sessions(cx);
        }
    }

    fn mail(&mut self, cx: &mut Context<'_, PresenceMail>, from: Option<WorkerId>, mail: PresenceMail) {
        match mail {
            PresenceMail::Homes(message) => self.node.mail(cx.now(), message),
            PresenceMail::Session(mail) => return self.session_mail(cx, from, *mail),
        }
        self.act(cx);
    }

    #[inline]
    fn tick(&mut self, cx: &mut Context<'_, PresenceMail>) -> Option<Tick> {
        match self.rests_until {
            Some(due) if !self.has_work(cx.now(), due) => {
                self.node.rest(cx.now());
                self.has_rested = true;
                [due, self.sessions.next_due()].into_iter().flatten().reduce(Tick::min)
            }
            _ => self.work(cx),
        }
    }

    fn measure_memory(&mut self, cx: &mut Context<'_, PresenceMail>) {
        let is_scarce = cx.shortages().any(|overload| matches!(overload, Overload::Memory(..)));
        self.node.set_scarce(is_scarce);
        self.shed_session(cx, is_scarce);
        self.retry_queue.shrink();
        self.sessions.shrink();
        self.node.shrink();
    }

    fn farewell(&mut self, cx: &mut Context<'_, PresenceMail>, conn: ConnId, close: &Close<'_>) {
        if let Some(code) = close.code
            && cx.tag(conn).is_some_and(|tag| Tag(tag).is_version_1())
        {
            // Spread over the connections, so that they don't all come back in the same second.
            let retry = cx.retry_millis();
            let reason = if code == CloseCode::GOING_AWAY { "drain" } else { close.reason };
            let json = rollcall_v1::goodbye(code.0, reason, Some(retry));
            // A client whose backlog is full learns from the Close.
            let _ = cx.send_text(conn, &json);
        }
    }
}
