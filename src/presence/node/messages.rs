//! Messages, at the part of the node that they are for.

use crate::presence::cost;
use crate::presence::message::{Message, RequestRef};
use crate::presence::node::Node;
use crate::time::Now;

impl Node {
    /// A message to this worker: to a home of users, or to another part.
    pub(super) fn handle(&mut self, now: Now, message: Message) {
        self.out.spend(1, cost::of_letter(&message));
        let (users, turn) = (&mut self.users, turn!(self, now));
        match message {
            Message::Up { user, at, claim, state } => {
                users.up((&user, at), (claim, state), turn);
            }
            Message::Silent { user, at, silent } => users.silent(&user, at, silent, turn),
            Message::Renewed { user, at, claim } => users.renewed(&user, at, claim, turn),
            Message::Down { user, at, reason, seen_millis } => {
                users.down(&user, at, (reason, seen_millis), turn);
            }
            Message::Status { user, at, state, info, ttl_seconds, reply_to } => {
                users.status((&user, at), state, (info, ttl_seconds), reply_to, turn);
            }
            Message::Suspect { user, at, suspect } => users.suspect(&user, at, suspect, turn),
            Message::Watch { user, reply_to, suspect } => users.watch(&user, reply_to, suspect, turn),
            Message::Unwatch { user, worker, suspect } => {
                users.unwatch(now.tick, &user, worker.worker, suspect);
            }
            Message::Look { user, reply_to } => users.look(user, reply_to, turn),
            Message::Tell { user, from, data, within, reply_to } => {
                users.tell(&user, (from, data), within.as_deref(), reply_to, turn);
            }
            Message::Place { user, room, is_in } => users.place(&user, room, is_in, turn),
            Message::ListUsers { state, limit, after, reply_to } => {
                let part = users.page(state, limit, after.as_deref(), turn);
                turn.out.post(reply_to.at.worker, Message::UsersListed { reply_to, part });
            }
            Message::Kick { user, reason, seconds, reply_to } => {
                users.kick(&user, (&reason, seconds), reply_to, turn);
            }
            Message::ForceJoin { user, room, joins, reply_to } => {
                users.forced((&user, &room), joins, reply_to, turn);
            }
            message => self.at_room(now, message),
        }
    }

    /// A message to a home of rooms, or to another part.
    fn at_room(&mut self, now: Now, message: Message) {
        let (rooms, turn) = (&mut self.rooms, turn!(self, now));
        match message {
            Message::Join { room, user, again, visit, hides, catchup, reply_to } => {
                rooms.join((&room, &user), (visit, again, hides), catchup.as_deref(), reply_to, turn);
            }
            Message::Leave { room, user, at, visit, hides, leaving, reply_to } => {
                let known = (at.worker, at.client.slot);
                rooms.leave((&room, &user), (known, visit, hides, leaving), reply_to, turn);
            }
            Message::History { room, user, from, most, reply_to } => {
                rooms.history((&room, user.as_deref()), from, most, reply_to, turn);
            }
            Message::Say { room, from, data, echo, id, reply_to } => {
                rooms.say((&room, from.as_ref()), (data, echo, id.as_deref()), reply_to, turn);
            }
            Message::List { room, limit, after, only, reply_to } => {
                rooms.list(room, limit, after.as_ref(), only.as_deref(), reply_to, turn);
            }
            Message::ListRooms { limit, after, reply_to } => {
                let part = rooms.page(limit, after.as_deref());
                turn.out.spend(part.rows.len(), cost::LISTED_NANOS);
                turn.out.post(reply_to.at.worker, Message::RoomsListed { reply_to, part });
            }
            message => self.at_edge(now, message),
        }
    }

    /// A message to the edge or for an admin request, or one of those that follow from others.
    fn at_edge(&mut self, now: Now, message: Message) {
        let turn = turn!(self, now);
        match message {
            Message::ForceJoinClient { client, room, joins, reply_to } => {
                self.edge.forced(client, &room, joins, reply_to, turn);
            }
            Message::Broadcast { event, reply_to } => {
                self.broadcasts.begin(&self.edge, event, reply_to, turn);
            }
            Message::UsersListed { reply_to, part } => {
                if let RequestRef::Admin { request, .. } = reply_to.request {
                    self.admin.users(request, part, turn);
                }
            }
            Message::RoomsListed { reply_to, part } => {
                if let RequestRef::Admin { request, .. } = reply_to.request {
                    self.admin.rooms(request, part, turn);
                }
            }
            Message::Seen { reply_to, user, view } => match reply_to.request {
                RequestRef::Admin { request, index } => self.admin.seen(request, index, user, view, turn),
                _ => self.edge.seen(reply_to, &user, view, turn),
            },
            Message::Changed { user, view, plain, full } => {
                self.edge.changed(&user, &view, plain, full, turn);
            }
            Message::Told { client, event, reply_to } => self.edge.told(client, event, reply_to, turn),
            Message::Evict { client, reason, words } => {
                self.edge.evict(client, reason, words, turn);
            }
            Message::Answered { reply_to, answer } => match reply_to.request {
                RequestRef::Admin { request, .. } => self.admin.answered(request, answer, turn),
                RequestRef::Tell { tell } => self.users.received(reply_to, tell, &answer, turn),
                _ => self.edge.answered(reply_to, answer, turn),
            },
            Message::Listed { reply_to, page } => match reply_to.request {
                RequestRef::Admin { request, .. } => self.admin.listed(reply_to, request, page, turn),
                _ => self.edge.listed(reply_to, page, turn),
            },
            Message::Veil(what) => self.veil(now, what),
            Message::Announce(what) => self.announced(now, what),
            Message::Moderate { what, reply_to } => self.moderate(now, what, reply_to),
            Message::Deliver { room, event, except, change } => {
                self.edge.deliver(&room, event, except, change.as_deref(), turn);
            }
            // The messages to homes; they are named here so that none is forgotten.
            Message::Up { .. }
            | Message::Silent { .. }
            | Message::Renewed { .. }
            | Message::Down { .. }
            | Message::Status { .. }
            | Message::Suspect { .. }
            | Message::Watch { .. }
            | Message::Unwatch { .. }
            | Message::Look { .. }
            | Message::Tell { .. }
            | Message::Place { .. }
            | Message::ListUsers { .. }
            | Message::Kick { .. }
            | Message::ForceJoin { .. }
            | Message::Join { .. }
            | Message::History { .. }
            | Message::Leave { .. }
            | Message::Say { .. }
            | Message::List { .. }
            | Message::ListRooms { .. } => {}
        }
    }
}
