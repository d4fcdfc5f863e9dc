//! Rooms that who runs the server gives to users and takes from them: what each connection is told of it.

use crate::presence::address::{self, NOBODY, WorkerRef};
use crate::presence::device::Device;
use crate::presence::message::{ClientRef, Giving, Message};
use crate::presence::moderation::Moderation;
use crate::presence::name::Name;
use crate::presence::refusal::CommandRefusal;
use crate::presence::turn::Turn;
use crate::presence::user::Users;
use crate::presence::user::offline_users::OfflineUsers;

impl Users {
    /// A connection that is there is to come into the rooms that its user was given.
    pub(super) fn force_given(&self, user: &Name, at: ClientRef, turn: &mut Turn<'_>) {
        if self.given.by_user.is_empty() {
            return;
        }
        let ClientRef { worker, client, .. } = at;
        for room in self.given.by_user.get(user).into_iter().flatten().cloned() {
            let reply_to = address::reply_to(self.worker, NOBODY);
            turn.out.post(worker, Message::ForceJoinClient { client, room, joins: true, reply_to });
        }
    }

    /// A room is given to a user for an order that is yet to be done by `forced` connections; with none it is done.
    pub(super) fn give(
        &mut self,
        user: &Name,
        room: &Name,
        forced: usize,
    ) -> Result<Option<Giving>, CommandRefusal> {
        let order = self.given.give(user, room)?;
        match order {
            Some(order) if forced == 0 => {
                self.order_over(order, true);
                return Ok(None);
            }
            // The user has had the room all along.
            None => self.not_taken(user, room),
            Some(_) => {}
        }
        Ok(order.map(|order| Giving { home: WorkerRef::here(self.worker), order }))
    }

    /// It is known what came of an order.
    pub(crate) fn order_over(&mut self, order: u32, stays: bool) {
        if let Some((user, room)) = self.given.end(order, stays).filter(|_| stays) {
            self.not_taken(&user, &room);
        }
    }

    /// Rooms that users were given.
    #[must_use]
    pub fn given(&self) -> usize {
        self.given.rooms
    }

    /// The rooms that a user was given.
    #[must_use]
    pub fn given_to(&self, user: &str) -> &[Name] {
        self.given.by_user.get(user).map_or(&[], Vec::as_slice)
    }
}

impl Users {
    /// A room is taken from a user. If a client of the user is away, or may be, the room is kept in mind: says whether it
    /// is.
    pub(super) fn take_from(&mut self, user: &Name, room: &Name) -> bool {
        let is_away = match self.seek(user) {
            None => false,
            Some(slot) if OfflineUsers::holds(slot) => true,
            Some(slot) => {
                let known = &self.users[slot as usize];
                let devices = known.devices.as_slice();
                // A user who was only watched was never here; one whose line seems dead is back by another
                // connection.
                let was_here = known.version > 0 || known.published.is_here();
                let is_away = |device: &Device| !device.is_live() || device.suspect;
                was_here && (devices.is_empty() || devices.iter().any(is_away))
            }
        };
        if is_away {
            self.taken.take(user, room);
        }
        is_away
    }

    /// A room that was taken is given again.
    pub(super) fn not_taken(&mut self, user: &str, room: &str) {
        self.taken.forget_room(user, room);
    }

    /// A client of a user has come: it is told what was taken while it was away.
    pub(super) fn tell_taken(&mut self, user: &Name, at: ClientRef, turn: &mut Turn<'_>) {
        if self.taken.by_user.is_empty() {
            return;
        }
        let ClientRef { worker, client, .. } = at;
        for room in self.taken.tell(turn.now.tick, user) {
            // It was given anew since, by an order that is yet to be done: the client is told to join.
            if self.given_to(user).contains(&room) {
                continue;
            }
            let what = Moderation::Taken { client, room };
            turn.out.post(worker, Message::Moderate { what, reply_to: None });
        }
    }

    /// Rooms that were taken from users while clients of theirs were away.
    #[must_use]
    pub fn taken(&self) -> usize {
        self.taken.rooms
    }
}
