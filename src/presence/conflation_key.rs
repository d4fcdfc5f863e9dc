//! The key by which messages to a slow client replace each other.

use crate::presence::name::Name;

/// Of messages with the same key, only the latest matters to a client that is too slow for all of them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ConflationKey {
    /// How a user is. The next one says all that this one does.
    User(Name),
    /// The messages of a room. They are ordered and numbered.
    Room(Name),
}
