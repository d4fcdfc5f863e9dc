//! What a message is about.

use crate::presence::name::Name;

/// Which later message makes up for this one, where a client is too slow for all of them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ConflationKey {
    /// How a user is. The next one says all that this one does.
    User(Name),
    /// What happens in a room. There is an order, and a number for each.
    Room(Name),
}
