//! A room's position, pages of its members, and changes of them.

use serde::{Deserialize, Serialize};

use crate::presence::name::Name;

/// A room's position: its size and its numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct RoomPosition {
    /// Members.
    pub count: usize,
    /// The room's epoch: a new one with each life of the room.
    pub epoch: u64,
    /// Messages said in it so far.
    pub offset: u64,
    /// Changes of its members so far: users who came in, and users who went out.
    pub membership: u64,
}

/// A page of a room's members: exactly those of its range at its place.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct MemberPage {
    /// The room.
    pub room: Option<Name>,
    /// The room's position.
    pub place: RoomPosition,
    /// Members, by name.
    pub users: Vec<Name>,
    /// The last name of the range: further members lie behind it; `None`: there are no more.
    pub next: Option<Name>,
}

/// Changes of a room's members, as an edge is told of them beside the event for its clients.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct MembershipChange {
    /// `membership` before the first of them.
    pub since: u64,
    /// The room's position after the last of them.
    pub place: RoomPosition,
    /// Users who came or went, and whether each is a member now: right for any list taken since then. `None`: too many to say.
    pub users: Option<Vec<(Name, bool)>>,
}
