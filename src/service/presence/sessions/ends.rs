//! How sessions end: their clients leave, are sent away or are seen no more; or the server goes away.

use crate::presence::Reason;
use crate::protocol::{event_stream, rollcall_v1};
use crate::reactor::{ConnId, Context, SharedFrame};
use crate::service::presence::sessions::mail::{Reply, SessionMail};
use crate::service::presence::sessions::table::Carrier;
use crate::service::presence::{Presence, PresenceMail};
use crate::session::Policy;
use crate::wire::close::CloseCode;

impl Presence {
    /// Does what is due for sessions, and what their turn has brought.
    pub(crate) fn work_for_sessions(&mut self, cx: &mut Context<'_, PresenceMail>) {
        let now = cx.now().tick;
        self.begin_streams(cx);
        while let Some(place) = self.sessions.pop_due(now) {
            match self.sessions.table.get(place).map(|session| &session.carrier) {
                Some(Carrier::Stream(_)) => self.comment(cx, place),
                Some(Carrier::Polls(_) | Carrier::Over(_)) => self.polls_due(cx, place),
                Some(Carrier::Away(..)) | None => {}
            }
        }
        self.act(cx);
        self.answer_polls(cx);
    }

    /// A client is to go, where it has a session. Says whether it had one.
    pub(crate) fn part_with_session(
        &mut self,
        cx: &mut Context<'_, PresenceMail>,
        handle: ConnId,
        (code, reason): (CloseCode, &str),
    ) -> bool {
        let Some(place) = self.sessions.place_of(handle).or_else(|| self.sessions.of_stream(cx, handle))
        else {
            return false;
        };
        let comes_back = code == CloseCode::TRY_AGAIN || code == CloseCode::GOING_AWAY;
        let retry = comes_back.then(|| cx.retry_millis());
        let json = rollcall_v1::goodbye(code.0, reason, retry);
        match self.sessions.table.get(place).map(|session| &session.carrier) {
            Some(Carrier::Away(worker, conn)) => {
                // The client is gone when that connection is.
                let mail = SessionMail::Close { conn: *conn, code: code.0, reason: reason.into() };
                let to = worker.0;
                self.post_session(cx, to, mail);
                return true;
            }
            Some(Carrier::Stream(conn)) => {
                let conn = *conn;
                let event = match retry {
                    Some(millis) => event_stream::retry(millis) + &event_stream::event(&json, |_| false),
                    None => event_stream::last_event(&json),
                };
                if let Some(request) = cx.streaming(conn) {
                    // A client that reads nothing learns from the end.
                    let _ = cx.stream(request, event.as_bytes());
                    cx.end_stream(request);
                }
            }
            Some(Carrier::Polls(_) | Carrier::Over(_)) | None => {}
        }
        let reason = if code == CloseCode::GOING_AWAY { Reason::Drain } else { Reason::Lost };
        self.session_gone(cx, place, reason, Some(&json));
        true
    }

    /// Whether the process is short of memory. Then the session for which the most waits ends, with what waits: it holds no
    /// connection that could be shed in its place.
    pub(crate) fn shed_session(&mut self, cx: &mut Context<'_, PresenceMail>, is_scarce: bool) {
        self.sessions.is_scarce = is_scarce;
        if is_scarce && let Some(place) = self.sessions.heaviest() {
            self.session_gone(cx, place, Reason::Lost, None);
            self.act(cx);
        }
    }

    /// The client of a session leaves: for good, or as a page that is left.
    pub(super) fn leave_session(&mut self, cx: &mut Context<'_, PresenceMail>, place: usize, goodbye: bool) {
        let reason = if goodbye { Reason::Goodbye } else { Reason::Closed };
        if let Some(Carrier::Stream(conn)) = self.sessions.table.get(place).map(|session| &session.carrier)
            && let Some(request) = cx.streaming(*conn)
        {
            cx.end_stream(request);
        }
        self.session_gone(cx, place, reason, None);
    }

    /// The connection of a session's stream is gone.
    pub(super) fn stream_gone(&mut self, cx: &mut Context<'_, PresenceMail>, place: usize) {
        self.session_gone(cx, place, Reason::Closed, None);
    }

    /// Nobody has polled for longer than the gap.
    pub(super) fn session_died(&mut self, cx: &mut Context<'_, PresenceMail>, place: usize) {
        self.session_gone(cx, place, Reason::Timeout, None);
    }

    /// The client of a session is gone; `last_words` are left for its next poll.
    pub(super) fn session_gone(
        &mut self,
        cx: &mut Context<'_, PresenceMail>,
        place: usize,
        reason: Reason,
        last_words: Option<&str>,
    ) {
        let now = cx.now().tick;
        let Some(handle) = self.sessions.handle(place) else { return };
        let Some(session) = self.sessions.table.get_mut(place) else { return };
        let (client, posts) = (session.client, session.posts.take());
        let was_here = !matches!(session.carrier, Carrier::Over(_));
        let keeps = matches!(session.carrier, Carrier::Polls(_));
        let open = match last_words.filter(|_| keeps) {
            Some(json) => {
                self.leave_word(place, json);
                None
            }
            None => self.sessions.end(place).and_then(|session| {
                if let Some(counted) = session.counted {
                    cx.addressing().uncount(counted);
                }
                match session.carrier {
                    Carrier::Polls(mut polls) | Carrier::Over(mut polls) => polls.close(now),
                    Carrier::Stream(_) | Carrier::Away(..) => None,
                }
            }),
        };
        for reply_to in [open, posts.and_then(|mut posts| posts.end())].into_iter().flatten() {
            self.reply(cx, reply_to, Reply::refused(410, "the session has ended"));
        }
        self.slow_consumers.take(handle);
        if was_here {
            self.client_gone(cx, handle, client, reason);
        }
    }

    /// The client of a session that polls is gone, and its next poll fetches why.
    fn leave_word(&mut self, place: usize, json: &str) {
        let Some(handle) = self.sessions.handle(place) else { return };
        let Some(Carrier::Polls(polls)) =
            self.sessions.table.get_mut(place).map(|session| &mut session.carrier)
        else {
            return;
        };
        polls.push(SharedFrame::text(json), json.len(), Policy::Whole, usize::MAX / 2);
        self.sessions.polls_over(place);
        self.sessions.news.push(handle);
    }

    /// Tells presence that a session's client is gone.
    fn client_gone(
        &mut self,
        cx: &mut Context<'_, PresenceMail>,
        handle: ConnId,
        client: u32,
        reason: Reason,
    ) {
        let now = cx.now();
        if let Some(user) = self.node.edge().user(client).cloned() {
            let unused = self.node.credit(now, client);
            let key = self.reserve(cx, handle, client);
            self.settings.reserves.deposit(key, now.tick, self.node.burst(), unused);
            if self.sessions.beats.get(&user) == Some(&handle) {
                self.sessions.beats.remove(&user);
            }
        }
        self.node.closed(now, client, reason, now.unix_millis);
    }

    /// The server goes away: each session is told so, and when to come back.
    pub(crate) fn drain_sessions(&mut self, cx: &mut Context<'_, PresenceMail>) {
        let places: Vec<usize> = self.sessions.table.iter().map(|(place, _)| place).collect();
        for place in places {
            let Some(handle) = self.sessions.handle(place) else { continue };
            if matches!(
                self.sessions.table.get(place).map(|session| &session.carrier),
                Some(Carrier::Away(..))
            ) {
                continue;
            }
            self.part_with_session(cx, handle, (CloseCode::GOING_AWAY, "drain"));
        }
        self.act(cx);
        self.answer_polls(cx);
    }
}
