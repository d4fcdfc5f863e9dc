//! Announcements: an edge tells a home all that it knows: for homes that were lost, and where a message between the two may have
//! been.
//!
//! Between two workers a message may be lost, come twice or come late, if they are no threads of one process;
//! [`Streams`](crate::presence::streams::Streams) make losses of all three and say when there was one. Then
//! [`Node::announce`](crate::presence::Node::announce) is called at both workers, for each other:
//!
//! 1. The edge answers 503 to every command that waits for that home, and undoes what it did for it ahead; one that leaves a
//!    room has left. What the home says of it later finds nobody. Until the home has heard everything, commands that are for it
//!    get 503 at once.
//! 2. It says all that it knows and that has its home there, a share in each turn, between [`Announcement::Begin`] and
//!    [`Announcement::End`]: its users' clients, clients in rooms, and how many watch whom. Whatever happens meanwhile goes out
//!    as always, in between. Each thing that is said stands for itself, and is true when it is said: so saying it twice, or of
//!    what is known, changes nothing and is told to nobody.
//! 3. The home marks what it hears with the number of the announcement. When that is complete it looks through what it knows of
//!    the edge, a share in each turn: what has an older mark is no more, as if its connection had broken just now. The edge's
//!    clients are told how those are whom they watch, with the version that counts, and that changes of the members of
//!    their rooms may be missing, as a big room is told that (`list` false).
//! 4. The home says that it has [heard](Announcement::Heard) it.
//!
//! A home that was lost ([`Node::lose_homes`](crate::presence::Node::lose_homes)) waits for the announcements of all edges, and
//! tells nobody anything before it has them: else one device of two would be seen, and a user offline whose edge is the last to
//! speak. Its versions and epochs begin above the highest that any edge was told, and rooms that come to light so count
//! `membership` from their new epoch on, which is above all that their members have heard.
//!
//! The bound on errors: a user who is gone is shown for one grace after the announcement at the most. So a lost message is made
//! good within: the time between two [beats](crate::presence::streams::Streams::beat), three messages there and back, one turn
//! for each [`ANNOUNCED_PER_TURN_MAX`](crate::limits::ANNOUNCED_PER_TURN_MAX) things that the edge says and each
//! [`SWEPT_PER_TURN_MAX`](crate::limits::SWEPT_PER_TURN_MAX) that the home knows, and the grace.
//!
//! Where sight is restricted, a room's home tells a user's home by [`Place`](crate::presence::Message::Place) which rooms the user is
//! in. Behind what its edge says, the worker says that anew too, between [`Announcement::PlacesBegin`] and
//! [`Announcement::PlacesEnd`], and the user's home then drops those of that worker's rooms that were not named. A home that was lost
//! says it when all edges have told it who is in its rooms, and waits for it from all others before it tells anybody anything.
//!
//! Facts that an edge does not know are not in it: when somebody offline was last seen, `info` that a page said, bans, rooms
//! that were given or taken, and what was said. An order to send a client away is kept by the user's home until the
//! client's edge says that it is gone, or does not announce it any more; one that it does is sent away again. A home that is lost
//! before that has lost the order, unless it came with a ban and is handed over.

use serde::{Deserialize, Serialize};

use crate::presence::address::{ClientRef, WorkerRef};
use crate::presence::claim::Claim;
use crate::presence::name::Name;
use crate::presence::view::State;

/// The largest number that JavaScript counts to. No home has told a greater one.
const NUMBER_MAX: u64 = 1 << 53;

/// The highest numbers that an edge's clients were told, by whichever home.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Highest {
    /// Of a [`View`](crate::presence::View).
    pub version: u64,
    /// Of a room.
    pub epoch: u64,
}

impl Highest {
    /// The same where a home can have told so.
    pub(crate) fn bounded(self) -> Highest {
        Highest { version: self.version.min(NUMBER_MAX), epoch: self.epoch.min(NUMBER_MAX) }
    }
}

/// A client, as its edge knows it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Announced {
    /// The claim of its token.
    pub claim: Claim,
    /// The state that it said last for its user; `None`: none.
    pub said: Option<State>,
    /// Its user is invisible, as far as the edge has heard.
    pub hides: bool,
    /// Its page has stopped sending its heartbeats.
    pub silent: bool,
    /// A Ping to it is unanswered.
    pub suspect: bool,
}

/// A part of what an edge tells a home.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Announcement {
    /// To a home: an edge says from here on all that it knows.
    Begin {
        /// Which.
        edge: WorkerRef,
        /// The highest numbers that its clients were told.
        told: Highest,
    },
    /// To a user's home: a client of the user's.
    User {
        /// The user.
        user: Name,
        /// The connection.
        at: ClientRef,
        /// How it is.
        is: Announced,
    },
    /// To a room's home: a client that is in.
    Member {
        /// The room.
        room: Name,
        /// The user.
        user: Name,
        /// The connection.
        at: ClientRef,
        /// The edge's number for its `join`.
        visit: u16,
        /// Its user is invisible, as far as the edge has heard.
        hides: bool,
    },
    /// To a user's home: so many clients of the edge watch the user.
    Watched {
        /// The user.
        user: Name,
        /// The edge.
        edge: WorkerRef,
        /// Without suspicions.
        plain: u32,
        /// With suspicions.
        full: u32,
    },
    /// To a home: that was all.
    End {
        /// The edge.
        edge: WorkerRef,
    },
    /// To an edge: a home has heard all of it, and answers commands again.
    Heard {
        /// The home's worker.
        home: WorkerRef,
    },
    /// To a user's home, where sight is restricted: a home of rooms says from here on which rooms the users are in.
    PlacesBegin {
        /// Its worker.
        home: WorkerRef,
    },
    /// To a user's home: that was all.
    PlacesEnd {
        /// The worker of the rooms.
        home: WorkerRef,
    },
}

impl Announcement {
    /// Bytes of the names and the text in it.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Announcement::User { user, is, .. } => {
                user.len() + if let Claim::Info(info) = &is.claim { info.len() } else { 0 }
            }
            Announcement::Member { room, user, .. } => room.len() + user.len(),
            Announcement::Watched { user, .. } => user.len(),
            Announcement::Begin { .. }
            | Announcement::End { .. }
            | Announcement::PlacesBegin { .. }
            | Announcement::PlacesEnd { .. }
            | Announcement::Heard { .. } => 0,
        }
    }
}
