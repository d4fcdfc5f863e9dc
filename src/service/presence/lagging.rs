//! Members of rooms that have much queued, and whether their rooms wait for them.
//!
//! A room that loses nothing goes at the pace of the slowest member that reads: where much is queued for one, what is said there is
//! refused until it has caught up. So a burst closes nobody who reads. Nobody waits for a member whose socket takes less than
//! [`READER_BYTES_MIN`] in [`READER_TICKS`]: what is said goes on, and at the bound of its backlog the member is closed.

use std::collections::HashMap;

use crate::limits::{LAG_LOOK_TICKS, LAG_PART, READER_BYTES_MIN, READER_TICKS};
use crate::presence::Name;
use crate::reactor::{ConnId, Context, SendError, SharedFrame};
use crate::service::presence::{Letter, Presence, Tag};
use crate::time::Tick;
use crate::wire::close::CloseCode;

/// A member that has much queued.
#[derive(Debug)]
struct Lag {
    /// Rooms wait for it.
    awaited: bool,
    /// When it was last looked at, and what its socket had taken by then.
    since: Tick,
    taken: u64,
}

impl Lag {
    /// `drained`: when its socket last took a byte, and how many. One that took nothing for long does not read.
    fn new(now: Tick, drained: Option<(Tick, u64)>) -> Lag {
        let (progress, taken) = drained.unwrap_or((now, 0));
        Lag { awaited: now.since(progress) < READER_TICKS, since: now, taken }
    }

    /// Whether it reads, as far as is known.
    fn reads(&mut self, now: Tick, taken: u64) -> bool {
        let ticks = now.since(self.since);
        if ticks < READER_TICKS {
            return true;
        }
        // Where all had left meanwhile, it is counted anew.
        let least = READER_BYTES_MIN * u64::from(ticks) / u64::from(READER_TICKS);
        let reads = taken < self.taken || taken - self.taken >= least;
        (self.since, self.taken) = (now, taken);
        reads
    }
}

/// Members that have much queued. Most of the time there is none.
#[derive(Debug, Default)]
pub(super) struct Lagging {
    members: HashMap<ConnId, Lag>,
    /// When they are looked at next.
    due: Tick,
}

impl Lagging {
    /// A connection is gone, or has nothing queued any more. Says whether it lagged.
    pub(super) fn remove(&mut self, conn: ConnId) -> bool {
        !self.members.is_empty() && self.members.remove(&conn).is_some()
    }
}

impl Presence {
    /// Sends what happens in a room that loses nothing.
    pub(super) fn send_in_room(
        &mut self,
        cx: &mut Context<'_, Letter>,
        conns: impl IntoIterator<Item = ConnId>,
        room: &Name,
        frame: &SharedFrame,
    ) {
        let mut above = Vec::new();
        let mark = cx.backlog_bytes_max() / LAG_PART;
        let refused = cx.publish_above(conns, frame, mark, &mut above);
        for (conn, _) in refused.iter().filter(|(_, error)| *error == SendError::Full) {
            self.part_with(cx, *conn, CloseCode::TRY_AGAIN, "too slow");
        }
        above.into_iter().for_each(|conn| self.lags(cx, conn, room));
    }

    fn lags(&mut self, cx: &Context<'_, Letter>, conn: ConnId, room: &Name) {
        let (now, Some(tag)) = (cx.now(), cx.tag(conn).map(Tag)) else { return };
        let lagging = &mut self.lagging;
        let is_new = !lagging.members.contains_key(&conn);
        if is_new && (lagging.members.is_empty() || now.tick.after(1).is_before(lagging.due)) {
            // What lies in this turn's output may be gone in the next.
            lagging.due = now.tick.after(1);
        }
        let lag = lagging.members.entry(conn).or_insert_with(|| Lag::new(now.tick, cx.drained(conn)));
        if lag.awaited {
            self.node.lags(now, tag.slot(), room);
        }
    }

    /// Looks at the members that lag: who has caught up, and who does not read. Returns when to look again.
    pub(super) fn look_at_lagging(&mut self, cx: &mut Context<'_, Letter>) -> Option<Tick> {
        let now = cx.now().tick;
        if self.lagging.members.is_empty() {
            return None;
        }
        if !now.has_reached(self.lagging.due) {
            return Some(self.lagging.due);
        }
        self.lagging.due = now.after(LAG_LOOK_TICKS);
        let mark = cx.backlog_bytes_max() / (2 * LAG_PART);
        let mut free = Vec::new();
        self.lagging.members.retain(|conn, lag| {
            let lags = cx.backlog(*conn) > mark;
            let taken = cx.drained(*conn).map_or(0, |(_, taken)| taken);
            let awaited = lags && lag.awaited && lag.reads(now, taken);
            if lag.awaited && !awaited {
                free.push(*conn);
            }
            lag.awaited = awaited;
            lags
        });
        free.into_iter().for_each(|conn| self.caught_up(cx, conn));
        (!self.lagging.members.is_empty()).then_some(self.lagging.due)
    }

    /// No room waits for a member any more.
    pub(super) fn caught_up(&mut self, cx: &mut Context<'_, Letter>, conn: ConnId) {
        if let Some(tag) = cx.tag(conn).map(Tag) {
            self.node.caught_up(cx.now(), tag.slot());
            self.act(cx);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Tick = Tick(u32::MAX - 50);

    #[test]
    fn who_took_nothing_for_long_is_not_waited_for() {
        let lag = |since, ticks| Lag::new(NOW.after(ticks), Some((since, 0))).awaited;
        assert!(lag(NOW, 0) && lag(NOW, READER_TICKS - 1) && !lag(NOW, READER_TICKS));
        assert!(Lag::new(NOW, None).awaited, "nothing of it was written yet");
    }

    #[test]
    fn who_reads_is_told_by_what_its_socket_took() {
        let mut lag = Lag::new(NOW, Some((NOW, 1_000)));
        assert!(lag.reads(NOW.after(READER_TICKS - 1), 1_000), "too early to say");
        assert!(lag.reads(NOW.after(READER_TICKS), 1_000 + READER_BYTES_MIN));
        let later = NOW.after(3 * READER_TICKS);
        assert!(!lag.reads(later, 1_000 + 2 * READER_BYTES_MIN), "in two seconds it is too little");
        assert!(lag.reads(later.after(READER_TICKS), 5), "all had left, and there is more");
        assert!(!lag.reads(later.after(2 * READER_TICKS), 6));
    }
}
