//! Clients whose users are invisible: they are served as before, and the rooms that they are in show them to nobody.

use crate::presence::cost;
use crate::presence::edge::{Client, Edge};
use crate::presence::message::{ClientId, Message};
use crate::presence::name::Name;
use crate::presence::turn::Turn;
use crate::presence::veil::Veil;
use crate::presence::view::State;

impl Client {
    /// Whether its user is invisible, as far as the edge knows.
    pub(super) fn is_hidden(&self) -> bool {
        self.comes == Some(State::Invisible)
    }
}

impl Edge {
    /// A client's user is invisible, or no more: the homes of the client's rooms are told.
    pub(crate) fn hide(&mut self, client: ClientId, hides: bool, turn: &mut Turn<'_>) {
        let at = self.address(client.slot);
        let Some(known) = self.known_mut(client).filter(|known| known.is_hidden() != hides) else { return };
        known.comes = hides.then_some(State::Invisible);
        let Some(known) = self.known(client) else { return };
        let Some(user) = &known.user else { return };
        turn.out.spend(known.rooms.len(), cost::NAME_NANOS);
        for place in known.rooms.as_slice() {
            let (room, user) = (self.rooms.name(place.topic).clone(), user.clone());
            let (home, visit) = (self.homes.of(&room), self.rooms.member(*place).visit());
            turn.out.post(home, Message::Veil(Veil::Member { room, user, at, visit, hides }));
        }
    }

    /// A user is invisible, or no more, whose clients went lately: the homes of the rooms that wait for these are told.
    pub(crate) fn hide_departed(&mut self, user: &Name, hides: bool, turn: &mut Turn<'_>) {
        let rooms = self.departed.rooms(turn.now.tick, user);
        turn.out.spend(rooms.len(), cost::NAME_NANOS);
        for room in rooms {
            let (home, user) = (self.homes.of(&room), user.clone());
            turn.out.post(home, Message::Veil(Veil::Lingering { room, user, hides }));
        }
    }
}
