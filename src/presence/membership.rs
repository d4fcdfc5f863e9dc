//! Where a room stands, and pages of its members.

use crate::presence::name::Name;

/// Where a room stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Place {
    /// Members.
    pub count: usize,
    /// Which life of the room this is.
    pub epoch: u64,
    /// Messages said in it so far.
    pub offset: u64,
}

/// A page of a room's members.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// Which room.
    pub room: Option<Name>,
    /// Where it stands.
    pub place: Place,
    /// Members, by name.
    pub users: Vec<Name>,
    /// Whether more follow.
    pub more: bool,
}
