//! The answers of homes.

use serde::{Deserialize, Serialize};

use crate::presence::address::WorkerRef;
use crate::presence::membership::RoomPosition;
use crate::presence::name::Name;
use crate::presence::past::{HistoryPage, Recovery};
use crate::presence::refusal::CommandRefusal;
use crate::presence::view::State;

/// The answer of a home to a command.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum HomeAnswer {
    /// To a `join`, by the number that the edge gave it: the client hears what is said from then on, unless it has left since;
    /// and what it has missed, where it asked for that.
    Joined(Name, RoomPosition, u16, Option<Box<Recovery>>),
    /// To `history`; `None`: it was taken out.
    History(Option<Box<HistoryPage>>),
    /// To `history`, or to an admin request: there is no such room.
    NoRoom,
    /// To `leave`.
    Left(Name, RoomPosition),
    /// To `say`.
    Said(RoomPosition),
    /// To `say`: too much is said in the room at once. Nobody has heard it.
    NotSaid,
    /// To `tell`.
    Told {
        /// Connections that it was queued for.
        to: usize,
        /// Connections without room for it.
        without: usize,
    },
    /// To `tell`: the client does not see the user.
    Unseen,
    /// To `status`.
    Status(State),
    /// To `status`: the user has only just hidden. Nothing has changed.
    TooSoon,
    /// To an admin request: so many connections are sent away, or, where there was none, graces ended (`None`: there was nothing of the
    /// user); and until when the user is banned, in Unix milliseconds.
    Kicked(Option<usize>, Option<u64>),
    /// To an admin request: until when a user is banned, in Unix milliseconds; `None`: there is no room for
    /// another ban.
    Banned(Option<u64>),
    /// To an admin request: whether there was a ban to end.
    Lifted(bool),
    /// To a `join`, by the number that the edge gave it: the room bans the user. `None`: the client had come in before, or
    /// is yet to be told that it had not.
    Barred(Name, Option<u16>),
    /// To an admin request: so many connections are told to join, and each one's edge reports what came of it; and whether
    /// the home keeps the room for later connections, or kept it until now; and the giving that waits for what comes of it.
    ForcingJoins(usize, bool, Option<Giving>),
    /// To an admin request: a home could not be asked, or can't do it now.
    Busy,
    /// To an admin request: the home can't keep the room for later connections. Nobody is brought in.
    NotGiven(CommandRefusal),
    /// To an admin request: a connection did not come in or go out.
    NotForced(CommandRefusal),
    /// To an admin request: a broadcast was queued for so many clients.
    Spread {
        /// Clients.
        to: usize,
        /// Clients without room for it.
        without: usize,
        /// All of that edge's have had their turn.
        done: bool,
    },
    /// To an admin request: a room is no more, and so many users were in it.
    RoomDeleted(usize),
    /// To an admin request: so many messages of a deleted user are deleted at one worker.
    Erased {
        /// Messages.
        messages: usize,
    },
}

/// A room that a user's home gave for an order, which is taken back where the order is refused after all.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Giving {
    /// The home's worker.
    pub home: WorkerRef,
    /// Its number there.
    pub order: u32,
}
