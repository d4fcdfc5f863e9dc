//! Users who are deleted: sent away, and forgotten.

use std::sync::Arc;

use crate::presence::message::{Message, ReplyTo};
use crate::presence::moderation::Moderation;
use crate::presence::name::Name;
use crate::presence::turn::Turn;
use crate::presence::user::Users;
use crate::presence::user::offline_users::OfflineUsers;

/// The reason that connections are told whose user is deleted.
const WORDS: &str = "deleted";

impl Users {
    /// A user's connections are sent away, as by a kick, and the user's info, last-seen time and rooms are forgotten. A ban stays. The version
    /// of one who is watched goes on, so that nobody takes what comes after for older.
    pub(crate) fn delete(&mut self, user: &Name, reply_to: Option<ReplyTo>, turn: &mut Turn<'_>) {
        let Some(reply_to) = reply_to else { return };
        let can_kick = self.can_kick(user);
        self.kick(user, (&Arc::from(WORDS), None), reply_to, turn);
        if !can_kick {
            return;
        }
        // Behind the order to send them away: what a client said before may still be on its way to a room.
        for edge in 0..self.workers {
            let what = Moderation::Silenced { user: user.clone() };
            turn.out.post(edge, Message::Moderate { what, reply_to: Some(reply_to) });
        }
        match self.seek(user) {
            Some(here) if OfflineUsers::holds(here) => {
                self.last_seen.mark_stale();
                self.evict(here);
            }
            Some(slot) => {
                self.given.forget(user);
                self.taken.forget(user);
                let known = &mut self.users[slot as usize];
                (known.since_millis, known.last_seen_millis, known.reason) = (0, 0, None);
                if known.archived.take().is_some() {
                    self.last_seen.mark_stale();
                }
                self.forget(slot);
            }
            None => {}
        }
    }
}
