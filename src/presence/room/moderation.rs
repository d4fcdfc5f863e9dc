//! What who keeps order has a room do.

use crate::presence::envelope::Frame;
use crate::presence::name::Name;
use crate::presence::node::Outgoing;
use crate::presence::room::Rooms;
use crate::time::Now;

impl Rooms {
    /// Nobody is to be waited for any more of a user's connections that went.
    pub(crate) fn end_grace<F: Frame>(&mut self, now: Now, room: &str, user: &Name, out: &mut Outgoing<F>) {
        let Some(slot) = self.find(room) else { return };
        let Some(member) = self.rooms[slot as usize].members.get_mut(user) else { return };
        if member.lingering.take().is_some() && member.is_gone() {
            self.gone(now, slot, user, out);
        }
    }
}
