//! What homes answer.

use crate::presence::envelope::Place;
use crate::presence::name::Name;
use crate::presence::view::State;

/// The answer of a home to a command.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    /// To `join`; the client hears what is said from then on.
    Joined(Name, Place),
    /// To `leave`; where the client has joined again since, it hears nothing from here to the next `Joined`.
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
    /// To a desk: so many connections are sent away, or, where there was none, graces ended; `None`: there was nothing of the user.
    Kicked(Option<usize>),
    /// To a desk: so many connections are bidden, and each one's edge tells what came of it.
    Bringing(usize),
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
