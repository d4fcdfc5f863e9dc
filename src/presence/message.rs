//! What crosses between an edge (where a socket lives) and a home (where a name's truth lives): plain data, in order
//! between a pair of workers. A node is to a cluster what a worker is to a node: the same messages can cross a broker.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::presence::address::NOBODY;
pub use crate::presence::address::{ClientId, ClientRef, ReplyTo, RequestRef, WorkerRef};
use crate::presence::admin::Listing;
pub use crate::presence::announce::{Announced, Announcement, Highest};
pub use crate::presence::answer::{Giving, HomeAnswer};
pub use crate::presence::claim::Claim;
use crate::presence::event::SharedEvent;
use crate::presence::grants::Pattern;
pub use crate::presence::membership::{MemberPage, MembershipChange, RoomPosition};
use crate::presence::moderation::Moderation;
use crate::presence::name::Name;
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
        /// Whose.
        user: Name,
        /// Which.
        at: ClientRef,
        /// What its token says.
        claim: Claim,
        /// How it comes, `Online`, `Away`, `Busy` or `Invisible`; `None`: as the one was whose place it takes.
        state: Option<State>,
    },
    /// To a user's home: a connection has shown another token.
    Renewed {
        /// Whose.
        user: Name,
        /// Which.
        at: ClientRef,
        /// What it says now.
        claim: Claim,
    },
    /// To a user's home: a connection is gone.
    Down {
        /// Whose.
        user: Name,
        /// Which.
        at: ClientRef,
        /// Why.
        reason: Reason,
        /// When it was last heard, in Unix milliseconds.
        seen_millis: u64,
    },
    /// To a user's home: what a connection says of itself.
    Status {
        /// Whose.
        user: Name,
        /// Which.
        at: ClientRef,
        /// `Online`, `Away`, `Busy` or `Invisible`; `None` leaves it.
        state: Option<State>,
        /// JSON; `None` leaves it.
        info: Option<Box<str>>,
        /// For how long `info` counts; `None`: as long as the connection is there.
        ttl_seconds: Option<u32>,
        /// Who waits for the answer.
        reply_to: ReplyTo,
    },
    /// To a user's home: a connection's page has stopped sending its heartbeats, or sends them again.
    Silent {
        /// Whose.
        user: Name,
        /// Which.
        at: ClientRef,
        /// Whether it has stopped.
        silent: bool,
    },
    /// To a user's home: a Ping is unanswered, or something was heard after all.
    Suspect {
        /// Whose.
        user: Name,
        /// Which.
        at: ClientRef,
        /// Whether it is suspect.
        suspect: bool,
    },
    /// To a user's home: send a view now, and every change of it from then on to the asker's worker.
    Watch {
        /// Whom.
        user: Name,
        /// Who gets the view.
        reply_to: ReplyTo,
        /// Suspicions too.
        suspect: bool,
    },
    /// To a user's home: a client of that worker watches no more.
    Unwatch {
        /// Whom.
        user: Name,
        /// Whose clients are one fewer.
        worker: WorkerRef,
        /// As in `Watch`.
        suspect: bool,
    },
    /// To a user's home: send a view, once.
    Look {
        /// At whom.
        user: Name,
        /// Who gets the view.
        reply_to: ReplyTo,
    },
    /// To a user's home: tell all connections of the user's.
    Tell {
        /// Whom.
        user: Name,
        /// Who tells; nobody where it came from outside.
        from: Option<Name>,
        /// JSON.
        data: Box<str>,
        /// Only where the user is in one of these; `None`: anyway.
        within: Option<Box<[Name]>>,
        /// Who waits for the answer.
        reply_to: ReplyTo,
    },
    /// To a user's home, where sight is restricted: the user is in a room, or no more.
    Place {
        /// Who.
        user: Name,
        /// Where.
        room: Name,
        /// In, or no more.
        is_in: bool,
    },
    /// To a room's home: a client comes in.
    Join {
        /// Where.
        room: Name,
        /// Who.
        user: Name,
        /// The client is in already: it only wants the answer.
        again: bool,
        /// The edge's number for it: where it is in already, that of when it came in.
        visit: u16,
        /// Its user is invisible, as far as the edge knows.
        hides: bool,
        /// Who waits for the answer.
        reply_to: ReplyTo,
    },
    /// To a room's home: a client goes out.
    Leave {
        /// Where.
        room: Name,
        /// Who.
        user: Name,
        /// Which.
        at: ClientRef,
        /// The edge's number for its `join`.
        visit: u16,
        /// Whether it was invisible, as the room's home was told last.
        hides: bool,
        /// Whether it may be back.
        leaving: Leaving,
        /// Who waits for the answer.
        reply_to: Option<ReplyTo>,
    },
    /// To a room's home: a member speaks.
    Say {
        /// Where.
        room: Name,
        /// Who; nobody where it came from outside.
        from: Option<Name>,
        /// JSON.
        data: Box<str>,
        /// Whether the speaking connection hears itself.
        echo: bool,
        /// Who waits for the answer.
        reply_to: ReplyTo,
    },
    /// To a room's home: who is in?
    List {
        /// Where.
        room: Name,
        /// Members at most.
        limit: usize,
        /// Those behind this name.
        after: Option<Name>,
        /// Those whose names fit one of these; `None`: all.
        only: Option<Arc<[Pattern]>>,
        /// Who gets the page.
        reply_to: ReplyTo,
    },
    /// To a home: which users are there?
    ListUsers {
        /// Those that are seen so; `None`: all that are not offline.
        state: Option<State>,
        /// Users at most.
        limit: usize,
        /// Those behind this name.
        after: Option<Name>,
        /// Which desk gets the page.
        reply_to: ReplyTo,
    },
    /// To a home: which rooms are there?
    ListRooms {
        /// Rooms at most.
        limit: usize,
        /// Those behind this name.
        after: Option<Name>,
        /// Which desk gets the page.
        reply_to: ReplyTo,
    },
    /// To a user's home: send all connections of the user's away.
    Kick {
        /// Whose.
        user: Name,
        /// What they are told.
        reason: Arc<str>,
        /// How long the user is to stay away.
        seconds: Option<u32>,
        /// Which desk waits for the answer.
        reply_to: ReplyTo,
    },
    /// To a user's home: have all connections of the user's come into a room, or go out of it.
    ForceJoin {
        /// Whose.
        user: Name,
        /// Where.
        room: Name,
        /// In, or out.
        joins: bool,
        /// Which desk waits for the answers.
        reply_to: ReplyTo,
    },
    /// To an edge: have a client do so.
    ForceJoinClient {
        /// Which.
        client: ClientId,
        /// Where.
        room: Name,
        /// In, or out.
        joins: bool,
        /// Which desk is told what came of it.
        reply_to: ReplyTo,
    },
    /// To an edge: a message for all its clients.
    Broadcast {
        /// The message.
        event: SharedEvent,
        /// Which desk is told how far it has come.
        reply_to: ReplyTo,
    },
    /// To a desk: a home's part of a page of users.
    UsersListed {
        /// Which desk.
        reply_to: ReplyTo,
        /// The part.
        part: Listing<View>,
    },
    /// To a desk: a home's part of a page of rooms.
    RoomsListed {
        /// Which desk.
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
        /// What is true now.
        view: View,
    },
    /// To an edge: a user that clients of that worker watch has changed.
    Changed {
        /// Who.
        user: Name,
        /// What is true now, suspicion included.
        view: View,
        /// For those who don't ask for suspicions; `None` where they see no change.
        plain: Option<SharedEvent>,
        /// For those who do; `None` where they see none either: only the rooms have changed.
        full: Option<SharedEvent>,
    },
    /// To an edge: a message for one client, if its socket has room for it.
    Told {
        /// Who gets it.
        client: ClientId,
        /// The message.
        event: SharedEvent,
        /// Who waits to hear whether it did: who tells, or the user's home where several connections are told.
        reply_to: ReplyTo,
    },
    /// To an edge: a client has to go.
    Evict {
        /// Which.
        client: ClientId,
        /// Why.
        reason: Reason,
        /// What it is told in place of that.
        words: Option<Arc<str>>,
    },
    /// To an edge: the answer to a command.
    Answered {
        /// Who asked.
        reply_to: ReplyTo,
        /// What is answered.
        answer: HomeAnswer,
    },
    /// To an edge: a page of a room's members, whose states are yet to be asked for.
    Listed {
        /// Who asked.
        reply_to: ReplyTo,
        /// The page.
        page: MemberPage,
    },
    /// Somebody has turned invisible, or visible again.
    Veil(Veil),
    /// What follows from an order to send somebody away.
    Moderate {
        /// What is to be done, and by whom.
        what: Moderation,
        /// Which desk waits for the answer.
        reply_to: Option<ReplyTo>,
    },
    /// To an edge: a message for all its clients in a room.
    Deliver {
        /// Which room.
        room: Name,
        /// The message.
        event: SharedEvent,
        /// Who does not get it.
        except: Option<ClientId>,
        /// Which changes of its members it tells of.
        change: Option<Arc<MembershipChange>>,
    },
    /// What an edge tells a home anew.
    Announce(Announcement),
}

impl Message {
    /// Who waits for a home's answer to a client's own command.
    pub(crate) const fn asker_mut(&mut self) -> Option<&mut ReplyTo> {
        match self {
            Message::Say { reply_to, .. }
            | Message::Tell { reply_to, .. }
            | Message::Join { reply_to, .. }
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
