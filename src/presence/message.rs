//! The messages between an edge (where a socket lives) and a home (where a name's truth lives): plain data, in order
//! between a pair of workers. A node is to a cluster what a worker is to a node: the same messages can cross a broker.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::presence::address::NOBODY;
pub use crate::presence::address::{ClientId, ClientRef, ReplyTo, RequestRef, WorkerRef};
use crate::presence::admin::Listing;
pub use crate::presence::announce::{Announced, Announcement, Highest};
pub use crate::presence::answer::{Giving, HomeAnswer};
pub use crate::presence::claim::Claim;
use crate::presence::data::Data;
use crate::presence::event::SharedEvent;
use crate::presence::grants::Pattern;
pub use crate::presence::membership::{MemberPage, MembershipChange, RoomPosition};
use crate::presence::moderation::Moderation;
use crate::presence::name::Name;
use crate::presence::past::{Catchup, HistoryFrom};
use crate::presence::veil::Veil;
use crate::presence::view::{Reason, State, View};

/// How a client leaves a room.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Leaving {
    /// It is gone for certain, or said so: told at once.
    Now,
    /// Its connection broke or closed: it may be back within the grace.
    Perhaps,
}

/// A message between an edge and a home.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Message {
    /// To a user's home: a connection of the user's is there.
    Up {
        /// The user.
        user: Name,
        /// The connection.
        at: ClientRef,
        /// The claim of its token.
        claim: Claim,
        /// How it comes, `Online`, `Away`, `Busy` or `Invisible`; `None`: as the one was whose place it takes.
        state: Option<State>,
    },
    /// To a user's home: a connection has shown another token.
    Renewed {
        /// The user.
        user: Name,
        /// The connection.
        at: ClientRef,
        /// The claim of the new token.
        claim: Claim,
    },
    /// To a user's home: a connection is gone.
    Down {
        /// The user.
        user: Name,
        /// The connection.
        at: ClientRef,
        /// Why.
        reason: Reason,
        /// When it was last heard, in Unix milliseconds.
        seen_millis: u64,
    },
    /// To a user's home: what a connection says of itself.
    Status {
        /// The user.
        user: Name,
        /// The connection.
        at: ClientRef,
        /// `Online`, `Away`, `Busy` or `Invisible`; `None` leaves it.
        state: Option<State>,
        /// JSON; `None` leaves it.
        info: Option<Box<str>>,
        /// For how long `info` counts; `None`: as long as the connection is there.
        ttl_seconds: Option<u32>,
        /// Gets the answer.
        reply_to: ReplyTo,
    },
    /// To a user's home: a connection's page has stopped sending its heartbeats, or sends them again.
    Silent {
        /// The user.
        user: Name,
        /// The connection.
        at: ClientRef,
        /// Whether it has stopped.
        silent: bool,
    },
    /// To a user's home: a Ping is unanswered, or something was heard after all.
    Suspect {
        /// The user.
        user: Name,
        /// The connection.
        at: ClientRef,
        /// Whether it is suspect.
        suspect: bool,
    },
    /// To a user's home: send a view now, and every change of it from then on to the worker of `reply_to`.
    Watch {
        /// The user.
        user: Name,
        /// Gets the view.
        reply_to: ReplyTo,
        /// Suspicions too.
        suspect: bool,
    },
    /// To a user's home: a client of that worker watches no more.
    Unwatch {
        /// The user.
        user: Name,
        /// The worker that has one client fewer there.
        worker: WorkerRef,
        /// As in `Watch`.
        suspect: bool,
    },
    /// To a user's home: send a view, once.
    Look {
        /// The user.
        user: Name,
        /// Gets the view.
        reply_to: ReplyTo,
    },
    /// To a user's home: tell all connections of the user's.
    Tell {
        /// The user.
        user: Name,
        /// The sender; `None`: it came from outside.
        from: Option<Name>,
        /// The data.
        data: Data,
        /// Only where the user is in one of these; `None`: anyway.
        within: Option<Box<[Name]>>,
        /// Gets the answer.
        reply_to: ReplyTo,
    },
    /// To a user's home, where sight is restricted: the user is in a room, or no more.
    Place {
        /// The user.
        user: Name,
        /// The room.
        room: Name,
        /// In, or no more.
        is_in: bool,
    },
    /// To a room's home: a client comes in.
    Join {
        /// The room.
        room: Name,
        /// The user.
        user: Name,
        /// The client is in already: it only wants the answer.
        again: bool,
        /// The edge's number for it: where it is in already, that of when it came in.
        visit: u16,
        /// Its user is invisible, as far as the edge knows.
        hides: bool,
        /// It wants to be told what it has missed.
        catchup: Option<Box<Catchup>>,
        /// Gets the answer.
        reply_to: ReplyTo,
    },
    /// To a room's home: what was said?
    History {
        /// The room.
        room: Name,
        /// The user who asks; `None`: it is asked from outside.
        user: Option<Name>,
        /// The part that is asked for.
        from: HistoryFrom,
        /// Messages at most, and bytes of them when they are written.
        most: (u32, u32),
        /// Gets the answer.
        reply_to: ReplyTo,
    },
    /// To a room's home: a client goes out.
    Leave {
        /// The room.
        room: Name,
        /// The user.
        user: Name,
        /// The connection.
        at: ClientRef,
        /// The edge's number for its `join`.
        visit: u16,
        /// Whether it was invisible, as the room's home was told last.
        hides: bool,
        /// Whether it may be back.
        leaving: Leaving,
        /// Gets the answer.
        reply_to: Option<ReplyTo>,
    },
    /// To a room's home: a member speaks.
    Say {
        /// The room.
        room: Name,
        /// The sender; `None`: it came from outside.
        from: Option<Name>,
        /// The data.
        data: Data,
        /// Whether the speaking connection hears itself.
        echo: bool,
        /// Names it among what its sender says there, so that it is said once.
        id: Option<Box<str>>,
        /// Gets the answer.
        reply_to: ReplyTo,
    },
    /// To a room's home: who is in?
    List {
        /// The room.
        room: Name,
        /// Members at most.
        limit: usize,
        /// Only names after this one.
        after: Option<Name>,
        /// Only names that fit one of these; `None`: all.
        only: Option<Arc<[Pattern]>>,
        /// Gets the page.
        reply_to: ReplyTo,
    },
    /// To a home: which users are there?
    ListUsers {
        /// Only users in this state; `None`: everybody who is not offline.
        state: Option<State>,
        /// Users at most.
        limit: usize,
        /// Only names after this one.
        after: Option<Name>,
        /// Gets the page.
        reply_to: ReplyTo,
    },
    /// To a home: which rooms are there?
    ListRooms {
        /// Rooms at most.
        limit: usize,
        /// Only names after this one.
        after: Option<Name>,
        /// Gets the page.
        reply_to: ReplyTo,
    },
    /// To a user's home: send all connections of the user's away.
    Kick {
        /// The user.
        user: Name,
        /// The reason that they are told.
        reason: Arc<str>,
        /// How long the user is to stay away.
        seconds: Option<u32>,
        /// Gets the answer.
        reply_to: ReplyTo,
    },
    /// To a user's home: have all connections of the user's come into a room, or go out of it.
    ForceJoin {
        /// The user.
        user: Name,
        /// The room.
        room: Name,
        /// In, or out.
        joins: bool,
        /// Gets the answers.
        reply_to: ReplyTo,
    },
    /// To an edge: have a client do so.
    ForceJoinClient {
        /// The client.
        client: ClientId,
        /// The room.
        room: Name,
        /// In, or out.
        joins: bool,
        /// Is told what came of it.
        reply_to: ReplyTo,
    },
    /// To an edge: a message for all its clients.
    Broadcast {
        /// The message.
        event: SharedEvent,
        /// Is told how far it has come.
        reply_to: ReplyTo,
    },
    /// To an admin request: a home's part of a page of users.
    UsersListed {
        /// Gets the part.
        reply_to: ReplyTo,
        /// The part.
        part: Listing<View>,
    },
    /// To an admin request: a home's part of a page of rooms.
    RoomsListed {
        /// Gets the part.
        reply_to: ReplyTo,
        /// The part.
        part: Listing<usize>,
    },
    /// To an edge: a view that was asked for.
    Seen {
        /// By whom.
        reply_to: ReplyTo,
        /// Of whom.
        user: Name,
        /// The user's view now.
        view: View,
    },
    /// To an edge: a user that clients of that worker watch has changed.
    Changed {
        /// The user.
        user: Name,
        /// The user's view now, suspicion included.
        view: View,
        /// For those who don't ask for suspicions; `None` where they see no change.
        plain: Option<SharedEvent>,
        /// For those who do; `None` where they see none either: only the rooms have changed.
        full: Option<SharedEvent>,
    },
    /// To an edge: a message for one client, if its socket has room for it.
    Told {
        /// The client that gets it.
        client: ClientId,
        /// The message.
        event: SharedEvent,
        /// Is told whether it was queued: the sender, or the user's home where several connections are told.
        reply_to: ReplyTo,
    },
    /// To an edge: a client has to go.
    Evict {
        /// The client.
        client: ClientId,
        /// Why.
        reason: Reason,
        /// The words that it is told in place of that.
        words: Option<Arc<str>>,
    },
    /// To an edge: the answer to a command.
    Answered {
        /// Asked for it.
        reply_to: ReplyTo,
        /// The answer.
        answer: HomeAnswer,
    },
    /// To an edge: a page of a room's members, whose states are yet to be asked for.
    Listed {
        /// Asked for it.
        reply_to: ReplyTo,
        /// The page.
        page: MemberPage,
    },
    /// Somebody has turned invisible, or visible again.
    Veil(Veil),
    /// A step of an order to send somebody away.
    Moderate {
        /// The step, and who takes it.
        what: Moderation,
        /// Gets the answer.
        reply_to: Option<ReplyTo>,
    },
    /// To an edge: a message for all its clients in a room.
    Deliver {
        /// The room.
        room: Name,
        /// The message.
        event: SharedEvent,
        /// The client that does not get it.
        except: Option<ClientId>,
        /// The changes of its members that it tells of.
        change: Option<Arc<MembershipChange>>,
    },
    /// An edge's announcement to a home.
    Announce(Announcement),
}

impl Message {
    /// The waiting side of a home's answer to a client's own command.
    pub(crate) const fn asker_mut(&mut self) -> Option<&mut ReplyTo> {
        match self {
            Message::Say { reply_to, .. }
            | Message::Tell { reply_to, .. }
            | Message::Join { reply_to, .. }
            | Message::History { reply_to, .. }
            | Message::Status { reply_to, .. }
            | Message::Leave { reply_to: Some(reply_to), .. } => Some(reply_to),
            _ => None,
        }
    }

    /// Whether a client waits for this to be done and can be told that it was not. Everything else has to arrive.
    pub const fn reply_to(&self) -> Option<ReplyTo> {
        match self {
            // Nobody would hear that a room that was given is not joined.
            Message::Join {
                reply_to: ReplyTo { request: RequestRef::Forced { request: NOBODY, .. }, .. },
                ..
            } => None,
            Message::Watch { reply_to, .. }
            | Message::Look { reply_to, .. }
            | Message::Tell { reply_to, .. }
            | Message::Told { reply_to, .. }
            | Message::Join { reply_to, .. }
            | Message::Say { reply_to, .. }
            | Message::History { reply_to, .. }
            | Message::List { reply_to, .. }
            | Message::ListUsers { reply_to, .. }
            | Message::ListRooms { reply_to, .. }
            | Message::Kick { reply_to, .. }
            | Message::ForceJoin { reply_to, .. }
            | Message::Status { reply_to, .. } => Some(*reply_to),
            Message::Moderate { reply_to, .. } => *reply_to,
            // A client that leaves is gone here whatever its home can take: that has to arrive.
            _ => None,
        }
    }
}
