//! Letters of who keeps order, and of those who turn invisible, at the part of the node that they are for; and bans that end.

use crate::presence::bans::BanCount;
use crate::presence::envelope::Asker;
use crate::presence::moderation::Moderation;
use crate::presence::node::Node;
use crate::presence::veil::Veil;
use crate::time::{Now, Tick};

impl Node {
    /// Counts the bans here together with those of the server's other workers. For right after [`Node::new`].
    pub fn share_bans(&mut self, count: &BanCount) {
        self.users.share_bans(count);
        self.rooms.share_bans(count);
    }

    pub(super) fn moderate(&mut self, now: Now, what: Moderation, asker: Option<Asker>) {
        let (edge, users, rooms) = (&mut self.edge, &mut self.users, &mut self.rooms);
        let out = &mut self.out;
        match what {
            Moderation::EndGraces { user, room } => edge.end_graces(now, &user, room.as_ref(), out),
            Moderation::EndGrace { room, user } => rooms.end_grace(now, &room, &user, out),
            Moderation::Ban { room, user, seconds } => rooms.ban(now, (&room, &user), seconds, asker, out),
            Moderation::Lift { user, room: None } => users.lift(now, &user, asker, out),
            Moderation::Lift { user, room: Some(room) } => rooms.lift(now, (&room, &user), asker, out),
            Moderation::Invite { room, user } => rooms.invite(now, room, user, asker, out),
            Moderation::Taken { client, room } => edge.taken_from(client, &room, out),
            Moderation::Given { order, stays } => users.order_over(order, stays),
            Moderation::Banned { user, ban } => edge.set_banned(user, ban),
            Moderation::Expel { room, user } => edge.expel(&room, &user, out),
        }
    }

    pub(super) fn veil(&mut self, now: Now, what: Veil) {
        let (edge, rooms, out) = (&mut self.edge, &mut self.rooms, &mut self.out);
        match what {
            Veil::Client { client, hides } => edge.hide(client, hides, out),
            Veil::Departed { user, hides } => edge.hide_departed(now.tick, &user, hides, out),
            Veil::Member { room, user, worker, visit, hides } => {
                rooms.hide(now, (&room, &user), (worker, visit), hides, out);
            }
            Veil::Lingering { room, user, hides } => rooms.hide_lingering(now, (&room, &user), hides, out),
        }
    }

    /// Forgets bans that have ended.
    #[inline]
    pub(super) fn end_bans(&mut self, now: Now) {
        // Most servers ban nobody.
        if self.bans_due().is_some() {
            self.users.end_bans(now, &mut self.out);
            self.rooms.end_bans(now);
        }
    }

    #[inline]
    pub(super) fn bans_due(&self) -> Option<Tick> {
        match (self.users.bans_due(), self.rooms.bans_due()) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        }
    }
}
