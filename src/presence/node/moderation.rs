//! Messages of who keeps order, and of those who turn invisible, at the part of the node that they are for; and bans that end.

use crate::presence::bans::BanCount;
use crate::presence::message::ReplyTo;
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

    pub(super) fn moderate(&mut self, now: Now, what: Moderation, reply_to: Option<ReplyTo>) {
        let (edge, users, rooms) = (&mut self.edge, &mut self.users, &mut self.rooms);
        let turn = turn!(self, now);
        match what {
            Moderation::EndGraces { user, room } => edge.end_graces(&user, room.as_ref(), turn),
            Moderation::EndGrace { room, user } => rooms.end_grace(&room, &user, turn),
            Moderation::Ban { room, user, seconds } => rooms.ban((&room, &user), seconds, reply_to, turn),
            Moderation::Lift { user, room: None } => users.lift(&user, reply_to, turn),
            Moderation::Lift { user, room: Some(room) } => rooms.lift((&room, &user), reply_to, turn),
            Moderation::Invite { room, user } => rooms.invite(room, user, reply_to, turn),
            Moderation::Taken { client, room } => edge.taken_from(client, &room, turn),
            Moderation::Given { order, stays } => users.order_over(order, stays),
            Moderation::Banned { user, ban } => edge.set_banned(user, ban),
            Moderation::DeleteRoom { room } => rooms.delete(&room, reply_to, turn),
            Moderation::DeleteUser { user } => users.delete(&user, reply_to, turn),
            Moderation::Erase { user } => rooms.erase(&user, reply_to, turn),
            Moderation::Silenced { user } => edge.silenced(&user, reply_to, turn),
            Moderation::Disband { room } => edge.disband(&room, turn),
            Moderation::Expel { room, user } => edge.expel(&room, &user, turn),
        }
    }

    pub(super) fn veil(&mut self, now: Now, what: Veil) {
        let (edge, rooms) = (&mut self.edge, &mut self.rooms);
        let turn = turn!(self, now);
        match what {
            Veil::Client { client, hides } => edge.hide(client, hides, turn),
            Veil::Departed { user, hides } => edge.hide_departed(&user, hides, turn),
            Veil::Member { room, user, at, visit, hides } => {
                rooms.hide((&room, &user), ((at.worker, at.client.slot), visit), hides, turn);
            }
            Veil::Lingering { room, user, hides } => rooms.hide_lingering((&room, &user), hides, turn),
        }
    }

    /// Forgets bans that have ended.
    #[inline]
    pub(super) fn end_bans(&mut self, now: Now) {
        // Most servers ban nobody.
        if self.bans_due().is_some() {
            self.users.end_bans(turn!(self, now));
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
