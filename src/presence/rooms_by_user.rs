//! The rooms of a home's users, kept only where visibility is restricted: a client that shares none of them does not see
//! the user.
//!
//! A room's home says who came and who went. When a user goes offline both homes let a grace pass, and either may be the
//! first: a user who leaves a room with no live connection left stays visible until offline is told.

use std::collections::HashMap;
use std::sync::Arc;

use crate::presence::name::{Homes, Name};
use crate::presence::rounds::Rounds;

/// Rooms of one user.
#[derive(Debug, Default)]
struct UserRooms {
    /// Sorted, so that one is found fast.
    rooms: Arc<[Name]>,
    /// For each of them: of what the rooms' home says anew, the round in which it said that last.
    rounds: Vec<u8>,
    /// The rooms among them that the user has left.
    left: Vec<Name>,
}

/// The rooms of a home's users, by slot.
#[derive(Debug)]
pub(crate) struct RoomsByUser {
    by_slot: HashMap<u32, UserRooms>,
    nowhere: Arc<[Name]>,
    kept: bool,
    homes: Homes,
    rounds: Rounds,
}

impl RoomsByUser {
    /// `kept`: sight is restricted. If it is not, nothing is ever held.
    pub(crate) fn new(homes: Homes, kept: bool) -> RoomsByUser {
        let rounds = Rounds::new(if kept { homes.workers() } else { 0 });
        RoomsByUser { by_slot: HashMap::new(), nowhere: Arc::default(), kept, homes, rounds }
    }

    /// The home of rooms begins to say anew who is in them.
    pub(crate) fn begin(&mut self, home: u16) {
        self.rounds.begin(home);
    }

    /// The rooms of a user whose home has not named them since it began to say anew who is in which.
    pub(crate) fn stale(&self, slot: u32, home: u16) -> Vec<Name> {
        let Some(user) = self.by_slot.get(&slot) else { return Vec::new() };
        let is_stale = |(room, round): &(&Name, &u8)| {
            **round != self.rounds.of(home) && self.homes.of(room) == home && !user.left.contains(room)
        };
        user.rooms.iter().zip(&user.rounds).filter(is_stale).map(|(room, _)| room.clone()).collect()
    }

    /// The rooms of a user; `None`: everybody sees everybody.
    pub(crate) fn of(&self, slot: u32) -> Option<Arc<[Name]>> {
        let rooms = || self.by_slot.get(&slot).map_or(&self.nowhere, |user| &user.rooms);
        self.kept.then(|| Arc::clone(rooms()))
    }

    /// The rooms of one who is in none.
    pub(crate) fn nowhere(&self) -> Option<Arc<[Name]>> {
        self.kept.then(|| Arc::clone(&self.nowhere))
    }

    /// The user is in a room. Says whether that is news.
    pub(crate) fn enter(&mut self, slot: u32, room: Name) -> bool {
        let round = self.rounds.of(self.homes.of(&room));
        let user = self.by_slot.entry(slot).or_default();
        user.left.retain(|left| *left != room);
        let at = match user.rooms.binary_search(&room) {
            Ok(at) => {
                user.rounds[at] = round;
                return false;
            }
            Err(at) => at,
        };
        let mut rooms = user.rooms.to_vec();
        rooms.insert(at, room);
        user.rounds.insert(at, round);
        user.rooms = rooms.into();
        true
    }

    /// The user is in a room no more; where `later`, that counts from [`RoomsByUser::commit`] on. Says whether it counts.
    pub(crate) fn leave(&mut self, slot: u32, room: Name, later: bool) -> bool {
        let Some(user) = self.by_slot.get_mut(&slot) else { return false };
        user.left.push(room);
        !later && self.commit(slot)
    }

    /// Commits the leaves that were put off. Says whether there was any.
    pub(crate) fn commit(&mut self, slot: u32) -> bool {
        let Some(user) = self.by_slot.get_mut(&slot).filter(|user| !user.left.is_empty()) else {
            return false;
        };
        let left = std::mem::take(&mut user.left);
        let before = user.rooms.len();
        let kept = user.rooms.iter().zip(&user.rounds).filter(|(room, _)| !left.contains(room));
        let (rooms, rounds): (Vec<Name>, Vec<u8>) = kept.map(|(room, round)| (room.clone(), *round)).unzip();
        (user.rooms, user.rounds) = (rooms.into(), rounds);
        let after = user.rooms.len();
        if after == 0 {
            self.by_slot.remove(&slot);
        }
        before != after
    }

    /// The rooms of a user that sees and is seen in them, and those of them that it is in no more.
    pub(crate) fn record(&self, slot: u32) -> (Vec<Name>, Vec<Name>) {
        self.by_slot.get(&slot).map_or_else(Default::default, |user| (user.rooms.to_vec(), user.left.clone()))
    }

    /// The user is in a room, or was until lately, as another home has said.
    pub(crate) fn restore(&mut self, slot: u32, room: &Name, left: bool) {
        if self.kept && self.enter(slot, room.clone()) && left {
            self.leave(slot, room.clone(), true);
        }
    }

    /// In how many rooms a user is known to be.
    pub(crate) fn rooms(&self, slot: u32) -> usize {
        self.by_slot.get(&slot).map_or(0, |user| user.rooms.len())
    }

    /// Whether no room is known that a user is in.
    pub(crate) fn is_nowhere(&self, slot: u32) -> bool {
        !self.by_slot.contains_key(&slot)
    }

    /// Whether a user is in one of these.
    pub(crate) fn shares(&self, slot: u32, rooms: &[Name]) -> bool {
        let user = self.by_slot.get(&slot);
        user.is_some_and(|user| rooms.iter().any(|room| user.rooms.binary_search(room).is_ok()))
    }

    pub(crate) fn bytes(&self) -> usize {
        let rooms: usize = self.by_slot.values().map(|user| user.rooms.len()).sum();
        self.by_slot.capacity() * size_of::<(u32, UserRooms)>() + rooms * size_of::<(Name, u8)>()
    }
}
