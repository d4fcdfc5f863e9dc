//! Messages of rooms that lose nothing: at the bound of a member's backlog it waits beside it, for a member that reads.
//!
//! Whoever sends can't know how fast another one reads, and a burst of one sender is no reason to close a reader that keeps
//! reading: what one user's connections may have relayed at once fits into a backlog and what waits beside it. A member whose
//! socket has taken nothing for [`READER_TICKS`] does not read, and is closed at the bound.

use crate::limits::READER_TICKS;
use crate::reactor::{ConnId, Context, SendError, SharedFrame};
use crate::service::presence::sessions::mail::Manner;
use crate::service::presence::{Presence, PresenceMail};
use crate::time::Tick;
use crate::wire::close::CloseCode;

impl Presence {
    /// Sends what happens in a room that loses nothing.
    pub(super) fn send_in_room(
        &mut self,
        cx: &mut Context<'_, PresenceMail>,
        conns: impl IntoIterator<Item = ConnId>,
        frame: &SharedFrame,
    ) {
        if self.sessions.is_empty() {
            return self.send_whole(cx, conns, frame);
        }
        let (conns, _) = self.without_sessions(cx, conns, frame, &Manner::Whole);
        self.send_whole(cx, conns, frame);
    }

    /// The same, to clients that have a connection here.
    fn send_whole(
        &mut self,
        cx: &mut Context<'_, PresenceMail>,
        conns: impl IntoIterator<Item = ConnId>,
        frame: &SharedFrame,
    ) {
        let mut behind = Vec::new();
        let refused = if self.holds_for_slow() {
            // A message behind one that waits has to wait, too.
            let (waits, conns): (Vec<ConnId>, Vec<ConnId>) =
                conns.into_iter().partition(|conn| self.slow_consumers.holds(*conn).1);
            behind = waits;
            self.put_all(cx, conns, frame)
        } else {
            self.put_all(cx, conns, frame)
        };
        for conn in behind {
            self.hold_or_close(cx, conn, frame);
        }
        for (conn, error) in refused {
            match error {
                SendError::Backlogged => self.hold_or_close(cx, conn, frame),
                SendError::TurnFull if self.hold_for_next_turn(conn, frame) => {}
                SendError::TurnFull => self.part_with(cx, conn, CloseCode::TRY_AGAIN, "too slow"),
                SendError::Gone | SendError::NotUtf8 => {}
            }
        }
    }

    pub(super) fn hold_or_close(
        &mut self,
        cx: &mut Context<'_, PresenceMail>,
        conn: ConnId,
        frame: &SharedFrame,
    ) {
        let progress = cx.drained(conn).map(|(progress, _)| progress);
        let held = reads(cx.now().tick, progress) && self.slow_consumers.hold_whole(conn, frame.clone());
        if !held {
            self.part_with(cx, conn, CloseCode::TRY_AGAIN, "too slow");
        } else if progress.is_none() {
            // It waits behind what was refused for this turn's output alone, and will not be heard of again.
            self.writable.push(conn);
        }
    }

    /// Keeps a frame that this turn's output has no room for, which is not its client's fault. False where too much waits for
    /// that client already: nothing is kept.
    pub(super) fn hold_for_next_turn(&mut self, conn: ConnId, frame: &SharedFrame) -> bool {
        let held = self.slow_consumers.hold_whole(conn, frame.clone());
        if held && self.writable.last() != Some(&conn) {
            self.writable.push(conn);
        }
        held
    }
}

/// Whether a client reads, as far as is known, whose socket took a byte then; `None`: all that was written to it was taken.
fn reads(now: Tick, progress: Option<Tick>) -> bool {
    progress.is_none_or(|progress| now.since(progress) < READER_TICKS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_took_nothing_for_long_does_not_read() {
        let now = Tick(u32::MAX - 50);
        assert!(reads(now, None));
        assert!(reads(now.after(READER_TICKS - 1), Some(now)) && !reads(now.after(READER_TICKS), Some(now)));
    }
}
