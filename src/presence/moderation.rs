//! Messages of who keeps order: bans, and what follows from an order to send somebody away or to bring somebody in.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::presence::address::ClientId;
use crate::presence::name::Name;

/// A step for a home or an edge.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Moderation {
    /// To an edge: the graces of a user's clients that were there are over.
    EndGraces {
        /// The user.
        user: Name,
        /// In that room; `None`: everywhere.
        room: Option<Name>,
    },
    /// To a room's home: the graces of a user are over.
    EndGrace {
        /// The room.
        room: Name,
        /// The user.
        user: Name,
    },
    /// To a room's home: a user is to stay out of it.
    Ban {
        /// Of where.
        room: Name,
        /// The user.
        user: Name,
        /// How long: at most [`BAN_SECONDS_MAX`](crate::limits::BAN_SECONDS_MAX).
        seconds: u32,
    },
    /// To a user's home, or to a room's: a ban is over.
    Lift {
        /// The user.
        user: Name,
        /// Of where; `None`: of the server.
        room: Option<Name>,
    },
    /// To a room's home: a user is to be brought in, which the user's home does, unless the room bans the user.
    Invite {
        /// The room.
        room: Name,
        /// The user.
        user: Name,
    },
    /// To an edge: a room was taken from a client's user while the client was away. It goes out, or is refused there once.
    Taken {
        /// The client.
        client: ClientId,
        /// Out of where.
        room: Name,
    },
    /// To a user's home: what came of an order for which it gave a room.
    Given {
        /// The [`Giving`](crate::presence::message::Giving)'s number.
        order: u32,
        /// Whether the order was done; else the user was not given the room by it.
        stays: bool,
    },
    /// To an edge: a user is banned from the server, or no more. The user's home sends away those who come nevertheless.
    Banned {
        /// The user.
        user: Name,
        /// Until when, in [`Now::micros`](crate::time::Now::micros), and what the user is told; `None`: the ban is over.
        ban: Option<(u64, Arc<str>)>,
    },
    /// To a room's home: the room ends.
    DeleteRoom {
        /// The room.
        room: Name,
    },
    /// To a user's home: the user is sent away, and nothing is kept of the user.
    DeleteUser {
        /// The user.
        user: Name,
    },
    /// To a home of rooms, by each edge and behind all that the user's clients there have said: what a user said in its rooms is deleted.
    Erase {
        /// The user.
        user: Name,
    },
    /// To an edge: a room has ended, and all clients go out of it that were told that they are in.
    Disband {
        /// The room.
        room: Name,
    },
    /// To an edge: all of a user's clients there go out of a room.
    Expel {
        /// Out of where.
        room: Name,
        /// The user.
        user: Name,
    },
    /// To an edge: a user's clients were sent away, and say nothing more. It is to tell all homes of rooms to erase what they have said.
    Silenced {
        /// The user.
        user: Name,
    },
}

impl Moderation {
    /// Bytes of the names and the words in it.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Moderation::EndGraces { user, room } | Moderation::Lift { user, room } => {
                user.len() + room.as_ref().map_or(0, |room| room.len())
            }
            Moderation::EndGrace { room, user }
            | Moderation::Ban { room, user, .. }
            | Moderation::Invite { room, user }
            | Moderation::Expel { room, user } => room.len() + user.len(),
            Moderation::Given { .. } => 0,
            Moderation::Taken { room, .. }
            | Moderation::DeleteRoom { room }
            | Moderation::Disband { room } => room.len(),
            Moderation::DeleteUser { user } | Moderation::Erase { user } | Moderation::Silenced { user } => {
                user.len()
            }
            Moderation::Banned { user, ban } => user.len() + ban.as_ref().map_or(0, |(_, words)| words.len()),
        }
    }
}
