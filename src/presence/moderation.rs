//! Letters of who keeps order: what follows from an order to send somebody away.

use crate::presence::name::Name;

/// What a home or an edge is to do.
#[derive(Clone, Debug)]
pub enum Moderation {
    /// To an edge: the graces of a user's clients that were there are over.
    EndGraces {
        /// Whose.
        user: Name,
        /// In that room; `None`: everywhere.
        room: Option<Name>,
    },
    /// To a room's home: the graces of a user are over.
    EndGrace {
        /// Where.
        room: Name,
        /// Whose.
        user: Name,
    },
}

impl Moderation {
    /// Bytes of the names in it.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Moderation::EndGraces { user, room } => user.len() + room.as_ref().map_or(0, |room| room.len()),
            Moderation::EndGrace { room, user } => room.len() + user.len(),
        }
    }
}
