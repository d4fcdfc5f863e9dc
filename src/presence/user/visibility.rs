//! The rooms of users: kept where visibility is restricted, and told to the edges of watchers.

use crate::presence::cost;
use crate::presence::message::{Message, ReplyTo};
use crate::presence::name::Name;
use crate::presence::turn::Turn;
use crate::presence::user::Users;
use crate::presence::user::change::Change;
use crate::presence::user::watchers::Watcher;
use crate::presence::view::{State, View};
use crate::time::Now;

impl Users {
    pub(super) fn view_of(&self, slot: u32, now: Now) -> View {
        let view = self.users[slot as usize].view(now);
        // To others, one who is invisible is in no room.
        let rooms = if view.unseen > 0 { self.rooms_by_user.nowhere() } else { self.rooms_by_user.of(slot) };
        View { rooms, ..view }
    }

    /// A client looks once.
    pub(crate) fn look(&self, user: Name, reply_to: ReplyTo, turn: &mut Turn<'_>) {
        let view = self.view(&user, turn.now);
        turn.out.post(reply_to.at.worker, Message::Seen { reply_to, user, view });
    }

    /// A user is in a room, or no more. The user's first connection may be announced later than that.
    pub(crate) fn place(&mut self, user: &Name, room: Name, is_in: bool, turn: &mut Turn<'_>) {
        let found = if is_in { Some(self.find_or_add(user)) } else { self.find(user) };
        let Some(slot) = found else { return };
        // The list of a user's rooms is made anew with each change, for it is shared with those who watch.
        turn.out.spend(self.rooms_by_user.rooms(slot), cost::LISTED_NANOS);
        let known = &self.users[slot as usize];
        let lingers = !known.devices.is_empty() && known.devices.live().next().is_none();
        let moved = if is_in {
            self.rooms_by_user.enter(slot, room)
        } else {
            self.rooms_by_user.leave(slot, room, lingers)
        };
        match known.published.plain {
            _ if !moved || self.is_quiet(slot) => {}
            State::Offline if known.published.unseen == 0 => self.tell_rooms(slot, turn),
            _ => self.refresh(slot, known.reason, Change { moved }, turn),
        }
        if !is_in {
            self.forget_later(turn.now.tick, slot);
        }
    }

    /// The home of rooms begins to say anew which of the users here are in them.
    pub(crate) fn places_begin(&mut self, home: u16) {
        self.rooms_by_user.begin(home);
    }

    /// It has said so: of so many users, from a slot on, the rooms of its that it has not named are left. Returns the slot to go on
    /// from; `None`: that was all.
    pub(crate) fn sweep_places(
        &mut self,
        home: u16,
        from: usize,
        most: usize,
        turn: &mut Turn<'_>,
    ) -> Option<usize> {
        let end = self.users.end();
        turn.out.spend(most.min(end.saturating_sub(from)), cost::LISTED_NANOS);
        for slot in (0..).skip(from).take(most.min(end.saturating_sub(from))) {
            for room in self.rooms_by_user.stale(slot, home) {
                let Some(known) = self.users.get(slot as usize) else { break };
                let user = known.name.clone();
                self.place(&user, room, false, turn);
            }
        }
        (from + most < end).then_some(from + most)
    }

    /// Of an offline user nobody sees anything new in another room: the edges only get to know. Of one whom nobody has seen here yet
    /// they get to know all at once, for they may have heard more of that one from a home that was lost.
    pub(super) fn tell_rooms(&self, slot: u32, turn: &mut Turn<'_>) {
        let (known, view) = (&self.users[slot as usize], self.view_of(slot, turn.now));
        if known.version == 0 {
            return;
        }
        for Watcher { worker, .. } in known.watchers.as_slice() {
            let (user, view) = (known.name.clone(), view.clone());
            turn.out.post(*worker, Message::Changed { user, view, plain: None, full: None });
        }
    }
}
