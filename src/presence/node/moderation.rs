//! Letters of who keeps order, at the part of the node that they are for.

use crate::presence::envelope::Frame;
use crate::presence::moderation::Moderation;
use crate::presence::node::Node;
use crate::time::Now;

impl<F: Frame> Node<F> {
    pub(super) fn moderate(&mut self, now: Now, what: Moderation) {
        let (edge, rooms, out) = (&mut self.edge, &mut self.rooms, &mut self.out);
        match what {
            Moderation::EndGraces { user, room } => edge.end_graces(now, &user, room.as_ref(), out),
            Moderation::EndGrace { room, user } => rooms.end_grace(now, &room, &user, out),
        }
    }
}
