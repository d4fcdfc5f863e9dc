//! Clients that read, and have more queued of what is said in their rooms than is good: the homes of these rooms know of it.
//! A home counts them, so that each that lags has to catch up: before it leaves the room, at the latest.

use std::collections::HashMap;

use crate::presence::edge::Edge;
use crate::presence::envelope::Envelope;
use crate::presence::name::Name;
use crate::presence::node::Outgoing;

/// By slot: the rooms that wait for a client. One that keeps up has no entry.
#[derive(Debug, Default)]
pub(super) struct Lagging(HashMap<u32, Vec<Name>>);

impl Edge {
    /// A client can't keep up with a room.
    pub(crate) fn lags<F>(&mut self, slot: u32, room: &Name, out: &mut Outgoing<F>) {
        if self.seats.get(slot as usize).is_none() || self.place_in_room(slot, room).is_err() {
            return;
        }
        let rooms = self.lagging.0.entry(slot).or_default();
        if !rooms.contains(room) {
            rooms.push(room.clone());
            out.post(self.homes.of(room), Envelope::Lag { room: room.clone(), lags: true });
        }
    }

    /// No room is to wait for a client any more.
    pub(crate) fn caught_up<F>(&mut self, slot: u32, out: &mut Outgoing<F>) {
        // Almost always there is nobody who lags.
        if self.lagging.0.is_empty() {
            return;
        }
        for room in self.lagging.0.remove(&slot).into_iter().flatten() {
            out.post(self.homes.of(&room), Envelope::Lag { room, lags: false });
        }
    }

    /// A client leaves a room.
    pub(super) fn caught_up_with<F>(&mut self, slot: u32, room: &Name, out: &mut Outgoing<F>) {
        let Some(rooms) = self.lagging.0.get_mut(&slot) else { return };
        let before = rooms.len();
        rooms.retain(|other| other != room);
        if rooms.len() < before {
            out.post(self.homes.of(room), Envelope::Lag { room: room.clone(), lags: false });
        }
        if rooms.is_empty() {
            self.lagging.0.remove(&slot);
        }
    }
}
