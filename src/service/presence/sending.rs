//! Output: messages behind those in the retry queue, and events, which wait where their readers are too slow.

use crate::limits::BACKLOG_BYTES_PAUSE;
use crate::presence::Name;
use crate::reactor::WorkerId;
use crate::reactor::{ConnId, Context, SendError, SharedFrame};
use crate::service::presence::sessions::mail::Manner;
use crate::service::presence::{Message, Presence, PresenceMail};
use crate::wire::close::CloseCode;

/// Indices of [`WITHHELD_LABELS`](crate::reactor::counters::WITHHELD_LABELS).
pub(super) const WITHHELD_MESSAGE: usize = 0;
pub(super) const WITHHELD_STATE: usize = 1;

impl Presence {
    /// Posts a message behind those that are held back for its worker.
    pub(super) fn post(&mut self, cx: &mut Context<'_, PresenceMail>, to: u16, message: Message) {
        self.post_mail(cx, to, PresenceMail::Homes(message));
    }

    /// Posts mail behind what is held back for its worker.
    pub(super) fn post_mail(&mut self, cx: &mut Context<'_, PresenceMail>, to: u16, mail: PresenceMail) {
        let latency = mail.latency();
        let is_first = self.retry_queue.queues[usize::from(to)].is_empty();
        let back = if is_first { cx.post(WorkerId(to), mail, latency).err() } else { Some(mail) };
        let back = back.and_then(|mail| match mail {
            PresenceMail::Homes(message) => self.node.refused(cx.now(), message).map(PresenceMail::Homes),
            PresenceMail::Session(_) => Some(mail),
        });
        let Some(mail) = back else { return };
        if !self.retry_queue.keep(to, mail) {
            cx.count_lost_mail();
        }
    }

    /// Posts what was held back and has room by now.
    pub(super) fn post_retry_queue(&mut self, cx: &mut Context<'_, PresenceMail>) {
        self.retry_queue.post(cx);
    }
}

impl Presence {
    pub(super) fn drops_oldest(&self, room: &str) -> bool {
        let names = |pattern: &String| match pattern.strip_suffix('*') {
            Some(prefix) => room.starts_with(prefix),
            None => room == pattern,
        };
        self.settings.drop_oldest.iter().any(names)
    }

    /// Sends a user's state; where something is queued for the client already, it waits, and only the latest of a user does.
    pub(super) fn send_state(
        &mut self,
        cx: &mut Context<'_, PresenceMail>,
        conn: ConnId,
        user: &Name,
        frame: &SharedFrame,
    ) {
        if self.queue_out(cx, conn, frame, || Manner::State(user.clone())).is_some() {
            return;
        }
        if cx.backlog(conn) == 0 && self.slow_consumers.holds(conn) == (false, false) {
            match self.put(cx, conn, frame) {
                Ok(()) | Err(SendError::Gone | SendError::NotUtf8) => return,
                Err(SendError::Backlogged) => {
                    return self.part_with(cx, conn, CloseCode::TRY_AGAIN, "too slow");
                }
                // It waits for the next turn, where only the latest is needed.
                Err(SendError::TurnFull) => self.writable.push(conn),
            }
        }
        match self.slow_consumers.hold_state(conn, user.clone(), frame.clone()) {
            Some(true) => cx.count_withheld(WITHHELD_STATE, 1),
            Some(false) => {}
            None => self.part_with(cx, conn, CloseCode::TRY_AGAIN, "too slow"),
        }
    }

    /// Sends a client what is for it alone. A client that is too slow for it is closed; what this turn's output has no room for
    /// waits for the next one, and so does what follows it.
    pub(super) fn send_own(&mut self, cx: &mut Context<'_, PresenceMail>, conn: ConnId, text: &str) {
        if !self.sessions.is_empty() && self.send_to_session(cx, conn, text) {
            return;
        }
        let waits = self.holds_for_slow() && self.slow_consumers.is_whole(conn) && cx.backlog(conn) == 0;
        let sent = if waits { Err(SendError::TurnFull) } else { self.put_text(cx, conn, text) };
        match sent {
            Ok(()) | Err(SendError::Gone | SendError::NotUtf8) => {}
            Err(SendError::TurnFull) if self.hold_for_next_turn(conn, &SharedFrame::text(text)) => {}
            Err(SendError::TurnFull | SendError::Backlogged) => {
                self.part_with(cx, conn, CloseCode::TRY_AGAIN, "too slow");
            }
        }
    }

    /// Sends everybody what is for all, and returns how many it did not reach. It is best effort: a client with a full backlog
    /// misses it and stays connected.
    pub(super) fn send_all(
        &mut self,
        cx: &mut Context<'_, PresenceMail>,
        conns: impl IntoIterator<Item = ConnId>,
        frame: &SharedFrame,
    ) -> usize {
        let (conns, without) = self.without_sessions(cx, conns, frame, &Manner::Spare);
        let refused = self.put_all(cx, conns, frame);
        let mut is_lost = |(conn, error): &(ConnId, SendError)| {
            *error != SendError::TurnFull || !self.hold_for_next_turn(*conn, frame)
        };
        refused.into_iter().filter(|refused| is_lost(refused)).count() + without
    }

    /// Sends what somebody else tells this client alone; says how many connections it reached, and how many had no room.
    pub(super) fn send_told(
        &mut self,
        cx: &mut Context<'_, PresenceMail>,
        conn: ConnId,
        frame: &SharedFrame,
    ) -> (usize, usize) {
        if let Some(taken) = self.queue_out(cx, conn, frame, || Manner::Spare) {
            return if taken { (1, 0) } else { (0, 1) };
        }
        match self.put_relayed(cx, conn, frame) {
            Ok(()) => (1, 0),
            Err(SendError::TurnFull) if self.hold_for_next_turn(conn, frame) => (1, 0),
            // Its reader did nothing wrong: the teller is told.
            Err(SendError::Backlogged | SendError::TurnFull) => (0, 1),
            Err(SendError::Gone | SendError::NotUtf8) => (0, 0),
        }
    }

    /// Sends what happens in a room; a client that is too slow for it gets the newest of it when it has read the rest.
    pub(super) fn send_or_wait(
        &mut self,
        cx: &mut Context<'_, PresenceMail>,
        conn: ConnId,
        frame: &SharedFrame,
    ) {
        if self.queue_out(cx, conn, frame, || Manner::DropOldest).is_some() {
            return;
        }
        if self.slow_consumers.is_whole(conn) {
            // Messages wait that may not be dropped: this one may.
            return cx.count_withheld(WITHHELD_MESSAGE, 1);
        }
        let goes = cx.backlog(conn) < BACKLOG_BYTES_PAUSE && !self.slow_consumers.holds(conn).1;
        let is_full = |sent| matches!(sent, Err(SendError::Backlogged | SendError::TurnFull));
        if !goes || is_full(self.put_relayed(cx, conn, frame)) {
            let dropped = self.slow_consumers.hold_message(conn, frame.clone());
            cx.count_withheld(WITHHELD_MESSAGE, dropped);
            // One that was refused for this turn's output alone will not be heard of again.
            if goes {
                self.writable.push(conn);
            }
        }
    }

    /// A client has read all that was queued for it: what waited for that goes out.
    pub(super) fn send_waiting(&mut self, cx: &mut Context<'_, PresenceMail>, conn: ConnId) {
        let Some(mut waiting) = self.slow_consumers.take(conn) else { return };
        while let Some(frame) = waiting.next() {
            match self.put_relayed(cx, conn, frame) {
                Ok(()) => waiting.sent(),
                Err(SendError::Gone | SendError::NotUtf8) => return,
                Err(SendError::Backlogged | SendError::TurnFull) => {
                    self.slow_consumers.put_back(conn, waiting);
                    return self.writable.push(conn);
                }
            }
        }
    }

    /// Whether something waits for readers that are too slow.
    #[must_use]
    pub fn holds_for_slow(&self) -> bool {
        !self.slow_consumers.is_empty()
    }
}
