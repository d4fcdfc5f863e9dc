//! Letters, at the part of the node that they are for.

use crate::presence::cost;
use crate::presence::envelope::{Envelope, Ticket};
use crate::presence::node::Node;
use crate::time::Now;

impl Node {
    /// A letter to this worker: to a home of users, or to another part.
    pub(super) fn handle(&mut self, now: Now, envelope: Envelope) {
        self.out.spend(1, cost::of_letter(&envelope));
        let (users, turn) = (&mut self.users, turn!(self, now));
        match envelope {
            Envelope::Up { user, at, claim, state } => {
                users.up((&user, at), (claim, state), turn);
            }
            Envelope::Silent { user, at, silent } => users.silent(&user, at, silent, turn),
            Envelope::Renewed { user, at, claim } => users.renewed(&user, at, claim, turn),
            Envelope::Down { user, at, reason, seen_millis } => {
                users.down(&user, at, (reason, seen_millis), turn);
            }
            Envelope::Status { user, at, state, info, ttl_seconds, asker } => {
                users.status((&user, at), state, (info, ttl_seconds), asker, turn);
            }
            Envelope::Suspect { user, at, suspect } => users.suspect(&user, at, suspect, turn),
            Envelope::Watch { user, asker, suspect } => users.watch(&user, asker, suspect, turn),
            Envelope::Unwatch { user, worker, suspect } => {
                users.unwatch(now.tick, &user, worker.worker, suspect);
            }
            Envelope::Look { user, asker } => users.look(user, asker, turn),
            Envelope::Tell { user, from, data, within, asker } => {
                users.tell(&user, (from, data), within.as_deref(), asker, turn);
            }
            Envelope::Place { user, room, is_in } => users.place(&user, room, is_in, turn),
            Envelope::ListUsers { state, limit, after, asker } => {
                let part = users.page(state, limit, after.as_deref(), turn);
                turn.out.post(asker.at.worker, Envelope::UsersListed { asker, part });
            }
            Envelope::Kick { user, reason, seconds, asker } => {
                users.kick(&user, (&reason, seconds), asker, turn);
            }
            Envelope::Bring { user, room, joins, asker } => users.bring((&user, &room), joins, asker, turn),
            envelope => self.at_room(now, envelope),
        }
    }

    /// A letter to a home of rooms, or to another part.
    fn at_room(&mut self, now: Now, envelope: Envelope) {
        let (rooms, turn) = (&mut self.rooms, turn!(self, now));
        match envelope {
            Envelope::Join { room, user, again, visit, hides, asker } => {
                rooms.join((&room, &user), (visit, again, hides), asker, turn);
            }
            Envelope::Leave { room, user, at, visit, hides, leaving, asker } => {
                let seat = (at.worker, at.client.slot);
                rooms.leave((&room, &user), (seat, visit, hides, leaving), asker, turn);
            }
            Envelope::Say { room, from, data, echo, asker } => {
                rooms.say((&room, from.as_ref()), (data, echo), asker, turn);
            }
            Envelope::List { room, limit, after, only, asker } => {
                rooms.list(room, limit, after.as_ref(), only.as_deref(), asker, turn);
            }
            Envelope::ListRooms { limit, after, asker } => {
                let part = rooms.page(limit, after.as_deref());
                turn.out.spend(part.rows.len(), cost::LISTED_NANOS);
                turn.out.post(asker.at.worker, Envelope::RoomsListed { asker, part });
            }
            envelope => self.at_edge(now, envelope),
        }
    }

    /// A letter to the edge or the desk, or one of those that follow from others.
    fn at_edge(&mut self, now: Now, envelope: Envelope) {
        let turn = turn!(self, now);
        match envelope {
            Envelope::Bid { client, room, joins, asker } => {
                self.edge.bring(client, &room, joins, asker, turn);
            }
            Envelope::Broadcast { event, asker } => {
                self.broadcasts.begin(&self.edge, event, asker, turn);
            }
            Envelope::UsersListed { asker, part } => {
                if let Ticket::Job { job, .. } = asker.ticket {
                    self.desk.users(job, part, turn);
                }
            }
            Envelope::RoomsListed { asker, part } => {
                if let Ticket::Job { job, .. } = asker.ticket {
                    self.desk.rooms(job, part, turn);
                }
            }
            Envelope::Seen { asker, user, view } => match asker.ticket {
                Ticket::Job { job, index } => self.desk.seen(job, index, user, view, turn),
                _ => self.edge.seen(asker, &user, view, turn),
            },
            Envelope::Changed { user, view, plain, full } => {
                self.edge.changed(&user, &view, plain, full, turn);
            }
            Envelope::Told { client, event, asker } => self.edge.told(client, event, asker, turn),
            Envelope::Evict { client, reason, words } => {
                self.edge.evict(client, reason, words, turn);
            }
            Envelope::Answered { asker, answer } => match asker.ticket {
                Ticket::Job { job, .. } => self.desk.answered(job, answer, turn),
                Ticket::Tell { tell } => self.users.received(asker, tell, &answer, turn),
                _ => self.edge.answered(asker, answer, turn),
            },
            Envelope::Listed { asker, page } => match asker.ticket {
                Ticket::Job { job, .. } => self.desk.listed(asker, job, page, turn),
                _ => self.edge.listed(asker, page, turn),
            },
            Envelope::Veil(what) => self.veil(now, what),
            Envelope::Announce(what) => self.announced(now, what),
            Envelope::Moderate { what, asker } => self.moderate(now, what, asker),
            Envelope::Deliver { room, event, except, change } => {
                self.edge.deliver(&room, event, except, change.as_deref(), turn);
            }
            // Those are for homes; they are named here so that none is forgotten.
            Envelope::Up { .. }
            | Envelope::Silent { .. }
            | Envelope::Renewed { .. }
            | Envelope::Down { .. }
            | Envelope::Status { .. }
            | Envelope::Suspect { .. }
            | Envelope::Watch { .. }
            | Envelope::Unwatch { .. }
            | Envelope::Look { .. }
            | Envelope::Tell { .. }
            | Envelope::Place { .. }
            | Envelope::ListUsers { .. }
            | Envelope::Kick { .. }
            | Envelope::Bring { .. }
            | Envelope::Join { .. }
            | Envelope::Leave { .. }
            | Envelope::Say { .. }
            | Envelope::List { .. }
            | Envelope::ListRooms { .. } => {}
        }
    }
}
