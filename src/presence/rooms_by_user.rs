//! The rooms of a home's users, kept only where visibility is restricted: a client that shares none of them does not see
//! the user.
//!
//! A room's home says who came and who went. When a user goes offline both homes let a grace pass, and either may be the
//! first: a user who leaves a room with no live connection left stays visible until offline is told.

use std::collections::HashMap;
use std::sync::Arc;

use crate::presence::name::Name;

/// Rooms of one user.
#[derive(Debug, Default)]
struct UserRooms {
    /// Sorted, so that one is found fast.
    rooms: Arc<[Name]>,
    /// The rooms among them that the user has left.
    left: Vec<Name>,
}

/// The rooms of a home's users, by slot.
#[derive(Debug, Default)]
pub(crate) struct RoomsByUser {
    by_slot: HashMap<u32, UserRooms>,
    nowhere: Arc<[Name]>,
    kept: bool,
}

impl RoomsByUser {
    /// `kept`: sight is restricted. If it is not, nothing is ever held.
    pub(crate) fn new(kept: bool) -> RoomsByUser {
        RoomsByUser { kept, ..RoomsByUser::default() }
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
        let user = self.by_slot.entry(slot).or_default();
        user.left.retain(|left| *left != room);
        let Err(at) = user.rooms.binary_search(&room) else { return false };
        let mut rooms = user.rooms.to_vec();
        rooms.insert(at, room);
        user.rooms = rooms.into();
        true
    }

    /// The user is in a room no more; where `later`, that counts from [`RoomsByUser::settle`] on. Says whether it counts.
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
        user.rooms = user.rooms.iter().filter(|room| !left.contains(room)).cloned().collect();
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
        self.by_slot.capacity() * size_of::<(u32, UserRooms)>() + rooms * size_of::<Name>()
    }
}
