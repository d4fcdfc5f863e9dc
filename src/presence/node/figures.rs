//! The figures of a node: its parts to look at, and their bytes.

use crate::presence::edge::Edge;
use crate::presence::node::Node;
use crate::presence::room::Rooms;
use crate::presence::user::Users;

impl Node {
    /// Bytes of the timers, and of what is waited for since it was handed over.
    #[must_use]
    pub fn timer_bytes(&self) -> usize {
        self.timers.bytes() + self.waits.bytes()
    }

    /// Bytes of the queues that a call fills and empties.
    #[must_use]
    pub fn queue_bytes(&self) -> usize {
        self.out.bytes()
    }

    /// Gives back what those who went and bursts have left: for once a second. The queues are empty between calls.
    pub fn shrink(&mut self) {
        self.edge.shrink(self.turned);
        self.users.shrink();
        self.rooms.shrink();
        self.timers.shrink();
        self.out.shrink();
    }

    /// Whether memory is short: while it is, a command or an order that would make something grow is answered 503.
    pub fn set_scarce(&mut self, scarce: bool) {
        self.edge.set_scarce(scarce);
    }

    /// The clients here.
    #[must_use]
    pub fn edge(&self) -> &Edge {
        &self.edge
    }

    /// Admin requests that are not answered.
    #[must_use]
    pub fn asked(&self) -> usize {
        self.admin.len()
    }

    /// Messages that rooms keep here, and bytes of all that goes with them.
    #[must_use]
    pub fn history(&self) -> (u64, usize) {
        (self.rooms.history_messages(), self.rooms.history_bytes())
    }

    /// The users whose home is here.
    #[must_use]
    pub fn users(&self) -> &Users {
        &self.users
    }

    /// The rooms whose home is here.
    #[must_use]
    pub fn rooms(&self) -> &Rooms {
        &self.rooms
    }
}
