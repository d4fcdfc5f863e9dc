//! The figures of presence on one worker, and the bytes that it holds.

use crate::presence::Event;
use crate::service::presence::Presence;

impl Presence {
    /// Users that are not offline, and rooms with members, whose home is this worker.
    #[must_use]
    #[inline]
    pub fn counts(&self) -> (usize, usize) {
        (self.node.users().present(), self.node.rooms().len())
    }

    /// Clients whose sockets are at this worker.
    #[must_use]
    pub fn clients(&self) -> usize {
        self.node.edge().len()
    }

    /// Clients by what carries them: WebSockets, event streams, polls.
    #[must_use]
    pub fn carriers(&self) -> [usize; 3] {
        let [streams, polls] = self.sessions.carriers();
        [self.clients().saturating_sub(streams + polls), streams, polls]
    }

    /// Sessions that no WebSocket here carries, requests that wait for them, and WebSockets that carry one of another worker.
    #[must_use]
    pub fn session_counts(&self) -> [usize; 3] {
        self.sessions.counts()
    }

    /// Messages that rooms of this worker keep, and their bytes.
    #[must_use]
    pub fn history(&self) -> (u64, usize) {
        self.node.history()
    }

    /// Outcomes of `join` with `since` so far: all that was missed was there; the rest is to be asked for; some is lost.
    #[must_use]
    pub const fn recoveries(&self) -> [u64; 3] {
        self.recoveries
    }

    /// Bytes held: presence, rooms, timers, messages that are held back, and what rooms keep.
    #[must_use]
    pub fn bytes(&self) -> [usize; 5] {
        let (edge, rooms) = (self.node.edge(), self.node.rooms());
        [
            edge.bytes() + self.node.users().bytes() + self.sessions.bytes(),
            edge.room_bytes() + rooms.bytes(),
            self.node.timer_bytes(),
            self.retry_queue.bytes() + self.node.queue_bytes(),
            self.node.history().1,
        ]
    }

    /// Counts the outcome of a `join` with `since`.
    pub(super) const fn count_recovery(&mut self, event: &Event) {
        if let Event::Placed { recovery: Some(recovery), .. } = event {
            let outcome = match (recovery.recovered, recovery.gap.is_some()) {
                (true, false) => 0,
                (true, true) => 1,
                (false, _) => 2,
            };
            self.recoveries[outcome] += 1;
        }
    }
}
