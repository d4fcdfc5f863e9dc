//! Clients whose users are invisible: they are served as before, and the rooms that they are in show them to nobody.

use crate::presence::cost;
use crate::presence::edge::{Edge, Seat};
use crate::presence::envelope::{Client, Envelope};
use crate::presence::name::Name;
use crate::presence::turn::Turn;
use crate::presence::veil::Veil;
use crate::presence::view::State;

impl Seat {
    /// Whether its user is invisible, as far as the edge knows.
    pub(super) fn is_hidden(&self) -> bool {
        self.comes == Some(State::Invisible)
    }
}

impl Edge {
    /// A client's user is invisible, or no more: the homes of the client's rooms are told.
    pub(crate) fn hide(&mut self, client: Client, hides: bool, turn: &mut Turn<'_>) {
        let at = self.address(client.slot);
        let Some(seat) = self.seat_mut(client).filter(|seat| seat.is_hidden() != hides) else { return };
        seat.comes = hides.then_some(State::Invisible);
        let Some(seat) = self.seat(client) else { return };
        let Some(user) = &seat.user else { return };
        turn.out.spend(seat.rooms.len(), cost::NAME_NANOS);
        for place in seat.rooms.as_slice() {
            let (room, user) = (self.rooms.name(place.group).clone(), user.clone());
            let (home, visit) = (self.homes.of(&room), self.rooms.member(*place).visit());
            turn.out.post(home, Envelope::Veil(Veil::Member { room, user, at, visit, hides }));
        }
    }

    /// A user is invisible, or no more, whose clients went lately: the homes of the rooms that wait for these are told.
    pub(crate) fn hide_departed(&mut self, user: &Name, hides: bool, turn: &mut Turn<'_>) {
        let rooms = self.departed.rooms(turn.now.tick, user);
        turn.out.spend(rooms.len(), cost::NAME_NANOS);
        for room in rooms {
            let (home, user) = (self.homes.of(&room), user.clone());
            turn.out.post(home, Envelope::Veil(Veil::Lingering { room, user, hides }));
        }
    }
}
