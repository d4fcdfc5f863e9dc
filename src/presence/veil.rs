//! Messages of users that turn invisible, or visible again: from a user's home to edges, and from these to the rooms' homes.
//!
//! Only the user's home knows whether a user is invisible, and only the edges know in which rooms the user's clients are. So
//! an edge keeps for each of its clients what the home said last, and tells the rooms' homes; these count a user as a member
//! that is seen where one of the user's clients is.

use serde::{Deserialize, Serialize};

use crate::presence::address::{ClientId, ClientRef};
use crate::presence::name::Name;

/// A step of turning somebody invisible, or visible again.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Veil {
    /// To an edge: the user of a client.
    Client {
        /// The client.
        client: ClientId,
        /// Whether it is invisible.
        hides: bool,
    },
    /// To an edge: a user whose clients were there lately, and may be back.
    Departed {
        /// The user.
        user: Name,
        /// Whether it is invisible.
        hides: bool,
    },
    /// To a room's home: one client of a member's.
    Member {
        /// The room.
        room: Name,
        /// The user.
        user: Name,
        /// The connection.
        at: ClientRef,
        /// The edge's number for its `join`.
        visit: u16,
        /// Whether it is invisible.
        hides: bool,
    },
    /// To a room's home: those of a member's clients that may be back.
    Lingering {
        /// The room.
        room: Name,
        /// The user.
        user: Name,
        /// Whether they are invisible.
        hides: bool,
    },
}

impl Veil {
    /// Bytes of the names in it.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Veil::Client { .. } => 0,
            Veil::Departed { user, .. } => user.len(),
            Veil::Member { room, user, .. } | Veil::Lingering { room, user, .. } => room.len() + user.len(),
        }
    }
}
