//! Output for the clients of sessions: behind what waits for their polls, on their streams, or to the worker that has their
//! WebSocket.

use crate::limits::POLL_ANSWER_BYTES;
use crate::presence::{Entry, State};
use crate::reactor::{ConnId, Context, SendError, SharedFrame};
use crate::service::presence::sending::{WITHHELD_MESSAGE, WITHHELD_STATE};
use crate::service::presence::sessions::mail::{Manner, SessionMail};
use crate::service::presence::sessions::table::{Carrier, is_connection};
use crate::service::presence::{Presence, PresenceMail};
use crate::session::Pushed;
use crate::wire::close::CloseCode;

impl Presence {
    /// The client of a session that has just begun comes in; presence knows it by `handle`.
    pub(super) fn enter_session(
        &mut self,
        cx: &mut Context<'_, PresenceMail>,
        place: usize,
        (handle, entry, state): (ConnId, Entry, Option<State>),
    ) {
        let slot = self.node.enter(cx.now(), handle.to_bits(), entry, state, true);
        if let Some(session) = self.sessions.table.get_mut(place) {
            session.client = slot;
        }
        let reserve = self.reserve(cx, handle, slot);
        let credit = self.settings.reserves.take(reserve, cx.now().tick, self.node.burst());
        self.node.set_credit(slot, credit);
        self.act(cx);
    }

    /// Whether a message is for a session that has no connection here: then it is queued, or posted. `Some(false)`: its client is too
    /// slow for it.
    #[inline]
    pub(crate) fn queue_out(
        &mut self,
        cx: &mut Context<'_, PresenceMail>,
        handle: ConnId,
        frame: &SharedFrame,
        manner: impl FnOnce() -> Manner,
    ) -> Option<bool> {
        if is_connection(handle) { None } else { Some(self.queue_for(cx, handle, frame, manner())) }
    }

    fn queue_for(
        &mut self,
        cx: &mut Context<'_, PresenceMail>,
        handle: ConnId,
        frame: &SharedFrame,
        manner: Manner,
    ) -> bool {
        let Some(place) = self.sessions.place_of(handle) else { return false };
        let Some(session) = self.sessions.table.get_mut(place) else { return false };
        let polls = match &mut session.carrier {
            Carrier::Polls(polls) => polls,
            Carrier::Away(worker, conn) => {
                let (to, conn) = (worker.0, *conn);
                let mail = SessionMail::Deliver { conn, frame: frame.clone(), manner };
                self.post_session(cx, to, mail);
                return true;
            }
            Carrier::Over(_) | Carrier::Stream(_) => return false,
        };
        let kind = if matches!(manner, Manner::State(_)) { WITHHELD_STATE } else { WITHHELD_MESSAGE };
        let is_spare = manner == Manner::Spare;
        // Where memory is short no more waits than one answer holds.
        let most = cx.backlog_bytes_max();
        let most = if self.sessions.is_scarce { most.min(POLL_ANSWER_BYTES) } else { most };
        match polls.push(frame.clone(), frame.bytes().len(), manner.policy(), most) {
            Pushed::Queued { dropped } => {
                if dropped > 0 {
                    cx.count_withheld(kind, dropped);
                }
                if self.sessions.news.last() != Some(&handle) {
                    self.sessions.news.push(handle);
                }
                true
            }
            Pushed::Full => {
                if !is_spare {
                    self.part_with(cx, handle, CloseCode::TRY_AGAIN, "too slow");
                }
                false
            }
        }
    }

    /// A text for a client alone, where that has a session: the answer to a command of its post goes there. Says whether it was.
    pub(crate) fn send_to_session(
        &mut self,
        cx: &mut Context<'_, PresenceMail>,
        handle: ConnId,
        text: &str,
    ) -> bool {
        let place = self.sessions.place_of(handle).or_else(|| self.sessions.of_stream(cx, handle));
        if let Some(place) = place
            && self.answers_post(cx, place, text)
        {
            return true;
        }
        if is_connection(handle) {
            return false;
        }
        self.queue_for(cx, handle, &SharedFrame::text(text), Manner::Whole);
        true
    }

    /// Sends a text on a connection, whichever kind that is.
    #[inline]
    pub(crate) fn put_text(
        &self,
        cx: &mut Context<'_, PresenceMail>,
        conn: ConnId,
        text: &str,
    ) -> Result<(), SendError> {
        match cx.send_text(conn, text) {
            Err(SendError::Gone) if self.sessions.has_streams() => {
                self.put_event(cx, conn, &SharedFrame::text(text))
            }
            sent => sent,
        }
    }

    /// Sends a message on a connection, whichever kind that is.
    #[inline]
    pub(crate) fn put(
        &self,
        cx: &mut Context<'_, PresenceMail>,
        conn: ConnId,
        frame: &SharedFrame,
    ) -> Result<(), SendError> {
        match cx.send_shared(conn, frame) {
            Err(SendError::Gone) if self.sessions.has_streams() => self.put_event(cx, conn, frame),
            sent => sent,
        }
    }

    /// The same of a message that somebody else has sent to its client: half of what may wait is for those.
    pub(crate) fn put_relayed(
        &self,
        cx: &mut Context<'_, PresenceMail>,
        conn: ConnId,
        frame: &SharedFrame,
    ) -> Result<(), SendError> {
        match cx.send_relayed(conn, frame) {
            Err(SendError::Gone) if self.sessions.has_streams() => {
                let queued = cx.backlog(conn);
                if queued > 0 && queued + frame.bytes().len() > cx.backlog_bytes_max() / 2 {
                    return Err(SendError::Backlogged);
                }
                self.put_event(cx, conn, frame)
            }
            sent => sent,
        }
    }

    /// Sends a message on many connections; returns those that did not get it, and why.
    pub(crate) fn put_all(
        &self,
        cx: &mut Context<'_, PresenceMail>,
        conns: impl IntoIterator<Item = ConnId>,
        frame: &SharedFrame,
    ) -> Vec<(ConnId, SendError)> {
        if !self.sessions.has_streams() {
            return cx.publish(conns, frame);
        }
        let refused = |conn| self.put(cx, conn, frame).err().map(|error| (conn, error));
        conns.into_iter().filter_map(refused).collect()
    }

    /// Queues a message for those of many clients that have no connection here; returns the others, and for how many there was no
    /// room.
    pub(crate) fn without_sessions(
        &mut self,
        cx: &mut Context<'_, PresenceMail>,
        handles: impl IntoIterator<Item = ConnId>,
        frame: &SharedFrame,
        manner: &Manner,
    ) -> (Vec<ConnId>, usize) {
        let mut without = 0;
        let mut conns = Vec::new();
        for handle in handles {
            match self.queue_out(cx, handle, frame, || manner.clone()) {
                None => conns.push(handle),
                Some(taken) => without += usize::from(!taken),
            }
        }
        (conns, without)
    }

    /// Sends a frame that may not be missed.
    pub(super) fn send_frame(&mut self, cx: &mut Context<'_, PresenceMail>, to: ConnId, frame: &SharedFrame) {
        self.send_in_room(cx, [to], frame);
    }

    /// The first message of a client. One that has a session is told its name.
    pub(crate) fn welcome(&mut self, cx: &mut Context<'_, PresenceMail>, to: ConnId, mut text: String) {
        let place = self.sessions.place_of(to).or_else(|| self.sessions.of_stream(cx, to));
        if let Some(key) = place.and_then(|place| self.sessions.key(place)) {
            text.truncate(text.len() - 1);
            text.push_str(&format!(r#","session":"{key}","resumable":true}}"#));
        }
        self.send_own(cx, to, &text);
    }
}
