//! What homes answer.

use serde::{Deserialize, Serialize};

use crate::presence::address::WorkerRef;
use crate::presence::membership::Place;
use crate::presence::name::Name;
use crate::presence::view::State;

/// The answer of a home to a command.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Answer {
    /// To a `join`, by the number that the edge gave it: the client hears what is said from then on, unless it has left since.
    Joined(Name, Place, u16),
    /// To `leave`.
    Left(Name, Place),
    /// To `say`.
    Said(Place),
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
    /// To a desk: so many connections are sent away, or, where there was none, graces ended (`None`: there was nothing of the user); and
    /// until when the user is banned, in Unix milliseconds.
    Kicked(Option<usize>, Option<u64>),
    /// To a desk: until when a user is banned, in Unix milliseconds; `None`: there is no room for another ban.
    Banned(Option<u64>),
    /// To a desk: whether there was a ban to end.
    Lifted(bool),
    /// To a `join`, by the number that the edge gave it: the room bans the user. `None`: the client had come in before, or
    /// is yet to be told that it had not.
    Barred(Name, Option<u16>),
    /// To a desk: so many connections are bidden, and each one's edge tells what came of it; and whether the home keeps the
    /// room for later connections, or kept it until now; and the giving that waits for what comes of it.
    Bringing(usize, bool, Option<Giving>),
    /// To a desk: a home could not be asked.
    Busy,
    /// To a desk: the home can't keep the room for later connections, for this code. Nobody is brought in.
    NotGiven(u16),
    /// To a desk: a connection did not come in or go out, for this code.
    NotBrought(u16),
    /// To a desk: a broadcast was queued for so many clients.
    Spread {
        /// Clients.
        to: usize,
        /// Clients without room for it.
        without: usize,
        /// All of that edge's have had their turn.
        done: bool,
    },
}

/// To a command or an order whose home could not be asked.
pub(crate) const BUSY: &str = "the server is busy: try again";
/// To a command or an order that would make something grow.
pub(crate) const SCARCE: &str = "the server is short of memory: try again later";
/// A room that a user's home gave for an order, which is taken back where the order is refused after all.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Giving {
    /// The home's worker.
    pub home: WorkerRef,
    /// Its number there.
    pub order: u32,
}

/// To a `tell` that finds nobody.
pub(crate) const NOT_CONNECTED: &str = "nobody of that name is connected";
/// To a `tell` of a user out of sight.
pub(crate) const UNSEEN: &str =
    "you do not see that user: share a room, or have a token whose claim see names them";
/// To a `join` of a user that the room bans.
pub(crate) const BARRED: &str = "you are banned from that room for a while";
/// To a `say` in a room that can't carry it now.
pub(crate) const NOT_SAID: &str = "too much is said in that room at once: say it again later";
/// To a `tell` that finds no room.
pub(crate) const TOO_SLOW: &str = "the user reads too slowly: nothing was delivered, try again later";
/// To a `status` that shows a user who has only just hidden.
pub(crate) const TOO_SOON: &str = "you were hidden a moment ago: show yourself again in a second";
