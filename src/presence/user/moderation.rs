//! What who runs the server has done with a user: sent away.

use std::sync::Arc;

use crate::presence::device::Device;
use crate::presence::envelope::{Address, Answer, Asker, Envelope, Frame};
use crate::presence::moderation::Moderation;
use crate::presence::name::Name;
use crate::presence::node::Outgoing;
use crate::presence::user::Users;
use crate::presence::user::sight::News;
use crate::presence::view::Reason;
use crate::time::Now;

impl Users {
    /// All connections of a user are sent away, for good, and those within their grace are not waited for, in no room either.
    pub(crate) fn kick<F: Frame>(
        &mut self,
        now: Now,
        user: &Name,
        words: &Arc<str>,
        asker: Asker,
        out: &mut Outgoing<F>,
    ) {
        let mut kicked = None;
        if let Some(slot) = self.find(user).filter(|slot| !self.users[*slot as usize].devices.is_empty()) {
            let known = &mut self.users[slot as usize];
            let devices = std::mem::take(&mut known.devices);
            for Address { worker, client } in devices.live().map(Device::address) {
                let words = Some(words.clone());
                out.post(worker, Envelope::Evict { client, reason: Reason::Kicked, words });
                known.last_seen_millis = known.last_seen_millis.max(now.unix_millis);
            }
            kicked = Some(devices.live().count());
            self.refresh(now, slot, Some(Reason::Kicked), News::default(), out);
        }
        self.end_graces(user, None, out);
        out.post(asker.at.worker, Envelope::Answered { asker, answer: Answer::Kicked(kicked) });
    }

    /// Ends the graces of a user's connections in a room, or in all rooms. The edges where they were know which rooms these
    /// are.
    fn end_graces<F>(&self, user: &Name, room: Option<&Name>, out: &mut Outgoing<F>) {
        for worker in 0..self.workers {
            let what = Moderation::EndGraces { user: user.clone(), room: room.cloned() };
            out.post(worker, Envelope::Moderate { what, asker: None });
        }
    }
}
