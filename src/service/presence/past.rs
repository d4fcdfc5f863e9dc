//! Messages that were said before, on their way to clients: it is found out who has room for them, and they are sent.

use crate::limits::{CATCHING_UP_BYTES_MAX, PAST_BYTES_MAX};
use crate::reactor::{ConnId, Context, SendError, SharedFrame};
use crate::service::presence::{Presence, PresenceMail};
use crate::wire::close::CloseCode;

impl Presence {
    /// Looks whether a client has room for an answer, and says so; else it is looked at again.
    pub(super) fn find_capacity(&mut self, cx: &mut Context<'_, PresenceMail>, conn: ConnId, slot: u32) {
        let queued = cx.queued(conn);
        if queued <= CATCHING_UP_BYTES_MAX && !self.slow_consumers.holds(conn).1 {
            // As much is left for what others say meanwhile.
            let bytes = PAST_BYTES_MAX.min(cx.backlog_bytes_max().saturating_sub(queued) / 2);
            return self.node.capacity(cx.now(), slot, conn.to_bits(), bytes as u32);
        }
        if cx.backlog(conn) > 0 {
            self.catching_up.draining.insert(conn, slot);
        } else {
            self.catching_up.next.push((conn, slot));
        }
    }

    /// A client's socket has taken all that was queued.
    pub(super) fn has_drained(&mut self, cx: &mut Context<'_, PresenceMail>, conn: ConnId) {
        if !self.catching_up.draining.is_empty()
            && let Some(slot) = self.catching_up.draining.remove(&conn)
        {
            self.find_capacity(cx, conn, slot);
            self.act(cx);
        }
    }

    /// Looks at those that had too much queued in the turn before.
    pub(super) fn catch_up(&mut self, cx: &mut Context<'_, PresenceMail>) {
        for (conn, slot) in std::mem::take(&mut self.catching_up.next) {
            if cx.tag(conn).is_some() {
                self.find_capacity(cx, conn, slot);
                self.act(cx);
            }
        }
    }

    /// Sends such an answer. What has come in between may have left too little room for it: then it waits, as a message of a room does.
    pub(super) fn send_past(&mut self, cx: &mut Context<'_, PresenceMail>, conn: ConnId, text: &str) {
        if !self.sessions.is_empty() && self.send_to_session(cx, conn, text) {
            return;
        }
        let sent = if self.slow_consumers.holds(conn).1 {
            Err(SendError::Backlogged)
        } else {
            self.put_text(cx, conn, text)
        };
        match sent {
            Ok(()) | Err(SendError::Gone | SendError::NotUtf8) => {}
            Err(SendError::Backlogged) => self.hold_or_close(cx, conn, &SharedFrame::text(text)),
            Err(SendError::TurnFull) => {
                if !self.hold_for_next_turn(conn, &SharedFrame::text(text)) {
                    self.part_with(cx, conn, CloseCode::TRY_AGAIN, "too slow");
                }
            }
        }
    }
}
