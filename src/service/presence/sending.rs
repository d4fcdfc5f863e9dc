//! What leaves: letters behind those that are held back, and events, which wait where their readers are too slow.

use crate::limits::BACKLOG_BYTES_PAUSE;
use crate::presence::Name;
use crate::reactor::WorkerId;
use crate::reactor::{ConnId, Context, SendError, SharedFrame};
use crate::service::presence::mail::haste;
use crate::service::presence::{Letter, Presence};
use crate::wire::close::CloseCode;

/// Indices of [`WITHHELD_LABELS`](crate::reactor::counters::WITHHELD_LABELS).
const WITHHELD_MESSAGE: usize = 0;
const WITHHELD_STATE: usize = 1;

impl Presence {
    /// Posts a letter behind those that are held back for its worker.
    pub(super) fn post(&mut self, cx: &mut Context<'_, Letter>, to: u16, letter: Letter) {
        let haste = haste(&letter);
        let is_first = self.held_back.queues[usize::from(to)].is_empty();
        let back = if is_first { cx.post(WorkerId(to), letter, haste).err() } else { Some(letter) };
        let Some(letter) = back.and_then(|letter| self.node.refused(cx.now(), letter)) else { return };
        if !self.held_back.keep(to, letter) {
            cx.count_lost_mail();
        }
    }

    /// Posts what was held back and has room by now.
    pub(super) fn post_held_back(&mut self, cx: &mut Context<'_, Letter>) {
        self.held_back.post(cx);
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
        cx: &mut Context<'_, Letter>,
        conn: ConnId,
        user: &Name,
        frame: &SharedFrame,
    ) {
        if cx.backlog(conn) == 0 && !self.slow.holds(conn).0 {
            if cx.send_shared(conn, frame) == Err(SendError::Full) {
                self.part_with(cx, conn, CloseCode::TRY_AGAIN, "too slow");
            }
            return;
        }
        match self.slow.hold_state(conn, user.clone(), frame.clone()) {
            Some(true) => cx.count_withheld(WITHHELD_STATE, 1),
            Some(false) => {}
            None => self.part_with(cx, conn, CloseCode::TRY_AGAIN, "too slow"),
        }
    }

    /// Sends what happens in a room; a client that is too slow for it gets the newest of it when it has read the rest.
    pub(super) fn send_or_wait(&mut self, cx: &mut Context<'_, Letter>, conn: ConnId, frame: &SharedFrame) {
        if self.slow.is_whole(conn) {
            // Messages wait that may not be dropped: this one may.
            return cx.count_withheld(WITHHELD_MESSAGE, 1);
        }
        let goes = cx.backlog(conn) < BACKLOG_BYTES_PAUSE && !self.slow.holds(conn).1;
        if !goes || cx.send_relayed(conn, frame) == Err(SendError::Full) {
            let dropped = self.slow.hold_message(conn, frame.clone());
            cx.count_withheld(WITHHELD_MESSAGE, dropped);
            // One that was refused for this turn's output alone will not be heard of again.
            if goes {
                self.relieved.push(conn);
            }
        }
    }

    /// A client has read all that was queued for it: what waited for that goes out.
    pub fn relieved(&mut self, cx: &mut Context<'_, Letter>, conn: ConnId) {
        let Some(mut waiting) = self.slow.take(conn) else { return };
        while let Some(frame) = waiting.next() {
            match cx.send_relayed(conn, frame) {
                Ok(()) => waiting.sent(),
                Err(SendError::Gone | SendError::NotUtf8) => return,
                Err(SendError::Full) => {
                    self.slow.put_back(conn, waiting);
                    return self.relieved.push(conn);
                }
            }
        }
    }

    /// Whether something waits for readers that are too slow.
    #[must_use]
    pub fn holds_for_slow(&self) -> bool {
        !self.slow.is_empty()
    }
}
