//! Users that are invisible: offline to others, served as before. The edges of their connections know it, and keep them out of
//! what rooms show.

use crate::presence::message::{ClientRef, Message};
use crate::presence::turn::Turn;
use crate::presence::user::{Published, Users};
use crate::presence::veil::Veil;

impl Users {
    /// Tells the edges where a user has turned invisible, or visible again. One that went while it was invisible is told of
    /// nowhere: that nobody sees.
    pub(super) fn veil(&self, slot: u32, before: Published, turn: &mut Turn<'_>) {
        let known = &self.users[slot as usize];
        let hides = known.published.unseen > 0;
        if hides == (before.unseen > 0) || known.devices.is_empty() {
            return;
        }
        for device in known.devices.live() {
            let ClientRef { worker, client, .. } = device.address();
            turn.out.post(worker, Message::Veil(Veil::Client { client, hides }));
        }
        // Edges where connections went know which rooms still wait for these.
        for worker in 0..self.workers {
            turn.out.post(worker, Message::Veil(Veil::Departed { user: known.name.clone(), hides }));
        }
    }
}
