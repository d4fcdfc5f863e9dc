//! What a home knows and no edge does: records, each addressed by a name, that hand it over to another home. So the homes of a worker
//! can become those of one worker, two or five, whatever the secret that names are hashed by.
//!
//! [`Node::export`](crate::presence::Node::export) says all of a worker's in slices; each record goes to the worker that
//! [its key](Record::key) has its home at there, to [`Node::import`](crate::presence::Node::import). Clients come afterwards: a
//! connection that was there is waited for, as one that is within its grace, and the one that comes from the same address, or the
//! first of its user that comes, goes on in its place: nothing of it is told to anybody. Times are remaining ticks.
//!
//! | of | field | |
//! |---|---|---|
//! | a user | name, version, since, last seen, reason, `busy` or `invisible` | [`UserRecord`] |
//! | | a connection that is there: away, silent, suspect, with a token; and its place in the order of them | [`ConnectionRecord`]; its edge knows the rest of it |
//! | | a connection within its grace: the same, why it went, and ticks that are left | [`ConnectionRecord`] |
//! | | `info` that connections said or their tokens did, and for how long it counts | [`WordRecord`] |
//! | | where sight is restricted: rooms, and rooms that it is in no more but still seen in | [`UserRecord`] |
//! | | what watchers were told; timers; slot and serial; its place in tables, in the archive and among the offline | made anew; the order of the offline by their versions |
//! | | watchers | their edges know them |
//! | | rooms that were given | [`Record::Given`]; one of an order that is not done yet too, since nobody would hear of what is lost |
//! | | rooms that were taken while clients were away | [`Record::Taken`]; which of two users' is the older one is not kept |
//! | | bans | [`Record::Ban`]; the edges are told anew |
//! | | messages to several connections that are on their way | nobody: they are answered, or their tellers are told 503 |
//! | a room | name, epoch, offset, membership, what a big room was told of last | each [`MemberRecord`] and each [`HistoryRecord`]; a room without either is none |
//! | | users who came or went since a big room was told | only that somebody did: it is told `list` false |
//! | | members, seen or not, the places of their connections | [`MemberRecord`]; edges know those that are there |
//! | | bans | [`Record::Ban`] |
//! | | clients that were refused and whose edges have not ended their places | nobody: they are on their way |
//! | | messages that it keeps, and ids | [`HistoryRecord`]s, some messages each; a room without members is there for them |
//! | | bytes that it may carry | made anew: a handover gives a room one burst more at the most |
//! | a home | the highest version of a user that is forgotten, the highest epoch | [`Record::Floors`] |
//! | an edge | the last client's serial number | [`Record::Floors`] |
//! | | rooms that clients went out of that may be back | [`Record::Departed`]: no session has it |
//! | | everything else of its clients | their sessions |

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::presence::address::ClientRef;
use crate::presence::data::Data;
use crate::presence::name::Name;
use crate::presence::view::{Reason, State};

/// A record. Names and JSON in it were checked when they came in.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Record {
    /// A user who is here, or was lately.
    User(Box<UserRecord>),
    /// Rooms that a user was given.
    Given {
        /// The user.
        user: Name,
        /// Which.
        rooms: Vec<Name>,
    },
    /// Rooms that were taken from a user while a client of the user's was away.
    Taken {
        /// From whom.
        user: Name,
        /// Which, the latest last; and ticks for which it counts on; `None`: until the first client is back, and a while longer.
        rooms: Vec<(Name, Option<u32>)>,
    },
    /// A ban.
    Ban {
        /// The user.
        user: Name,
        /// From where; `None`: from the server.
        room: Option<Name>,
        /// Microseconds that are left of it.
        micros: u64,
        /// What the user is told.
        words: Arc<str>,
    },
    /// A member of a room.
    Member(Box<MemberRecord>),
    /// Rooms that clients of a user went out of, and may come back to.
    Departed {
        /// The user.
        user: Name,
        /// Which, and ticks for which that is kept.
        rooms: Vec<(Name, u32)>,
    },
    /// A part of what a room keeps.
    History(Box<HistoryRecord>),
    /// What no new number may be below: to every worker.
    Floors {
        /// The highest version of a user that was forgotten.
        version: u64,
        /// The highest epoch of a room.
        epoch: u64,
        /// The last client's serial number: with others, no client that comes has the address of one that was handed over.
        serial: u32,
    },
}

/// A user who is here, or was lately.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct UserRecord {
    /// The user.
    pub user: Name,
    /// The version of what others were told last.
    pub version: u64,
    /// Since when, in Unix milliseconds.
    pub since_millis: u64,
    /// When it was last heard, in Unix milliseconds.
    pub last_seen_millis: u64,
    /// Why the last connection that is gone went.
    pub reason: Option<Reason>,
    /// `Busy` or `Invisible`, where a connection said so.
    pub own: Option<State>,
    /// Its connections, the oldest first.
    pub connections: Vec<ConnectionRecord>,
    /// What they said in `info`, the latest last.
    pub words: Vec<WordRecord>,
    /// Where sight is restricted, the rooms that it is seen in.
    pub rooms: Vec<Name>,
    /// Those of them that it is in no more.
    pub left: Vec<Name>,
}

/// A connection, as its user's home knows it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ConnectionRecord {
    /// As its edge knew it.
    pub at: ClientRef,
    /// It said that it is away.
    pub away: bool,
    /// Its page has stopped sending heartbeats.
    pub silent: bool,
    /// A Ping to it is unanswered.
    pub suspect: bool,
    /// It has shown a token.
    pub has_token: bool,
    /// Why it closed or broke, and ticks that are left of its grace; `None`: it is there.
    pub gone: Option<(Reason, u32)>,
}

/// What a connection said of its user in `info`, or its token does.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct WordRecord {
    /// Which, of the user's connections.
    pub connection: u16,
    /// JSON; `None`: that there is nothing to know.
    pub text: Option<Arc<str>>,
    /// Its token says so.
    pub is_claim: bool,
    /// Ticks for which it counts on; `None`: as long as the connection is there.
    pub ticks: Option<u32>,
}

/// A member of a room, and where the room stands: so each record of it stands for itself.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct MemberRecord {
    /// The room.
    pub room: Name,
    /// Which life of the room it is.
    pub epoch: u64,
    /// Messages said in it so far.
    pub offset: u64,
    /// Changes of its members so far.
    pub membership: u64,
    /// Of a big room: `membership` as it was told last.
    pub told: Option<u64>,
    /// The user.
    pub user: Name,
    /// Whether others see the user there.
    pub is_seen: bool,
    /// Its connections there.
    pub places: Vec<PlaceRecord>,
}

/// A part of what a room keeps, and where the room stands.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct HistoryRecord {
    /// The room.
    pub room: Name,
    /// Which life of the room it is.
    pub epoch: u64,
    /// Messages said in it so far.
    pub offset: u64,
    /// Changes of its members so far.
    pub membership: u64,
    /// The offset of the first message.
    pub first: u64,
    /// The messages, in order: those of a room come in order, too.
    pub messages: Vec<PastRecord>,
}

/// A message that a room keeps, or its id.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PastRecord {
    /// The sender; `None`: it came from outside, or is deleted.
    pub from: Option<Name>,
    /// The id that its sender gave it.
    pub id: Option<Box<str>>,
    /// Its data; `None`: that is not kept.
    pub data: Option<Data>,
    /// Its author was deleted.
    pub is_deleted: bool,
    /// When it was said, in Unix milliseconds.
    pub unix_millis: u64,
    /// Ticks since then.
    pub ticks: u32,
}

/// The place of a connection in a room.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PlaceRecord {
    /// How it is seen.
    pub sight: Sight,
    /// Ticks that are left of its grace; `None`: it is there.
    pub ticks: Option<u32>,
}

/// How a connection in a room is seen.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Sight {
    /// By everybody there.
    Visible,
    /// By nobody: its user is invisible.
    Hidden,
    /// It was invisible, and another one has taken its place of which that is not known yet.
    Doubt,
}

impl Record {
    /// The name whose home it is for; `None`: it is for every worker.
    #[must_use]
    pub fn key(&self) -> Option<&Name> {
        match self {
            Record::User(record) => Some(&record.user),
            Record::Given { user, .. } | Record::Taken { user, .. } | Record::Departed { user, .. } => {
                Some(user)
            }
            Record::Ban { user, room, .. } => Some(room.as_ref().unwrap_or(user)),
            Record::Member(record) => Some(&record.room),
            Record::History(record) => Some(&record.room),
            Record::Floors { .. } => None,
        }
    }
}

/// How far an export has come: the beginning, by default.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Cursor(pub(super) Part);

/// What an export comes to next.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Part {
    /// Users behind this name.
    Users(Option<Name>),
    /// Members behind this one.
    Members(Option<Reached>),
    /// The history of rooms behind this one, or from that offset of it on.
    Histories(Option<(Name, Option<u64>)>),
    /// Bans of users behind this one.
    UserBans(Option<BanKey>),
    /// Bans from rooms behind this one.
    RoomBans(Option<BanKey>),
    /// Users whose clients went lately, from that number on.
    Departed(u64),
    /// What is left.
    Floors,
}

impl Default for Part {
    fn default() -> Part {
        Part::Users(None)
    }
}

/// A room, and the last of its members that was looked at: of those that are seen, or of the others.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Reached {
    pub(crate) room: Name,
    /// `None`: all of them were.
    pub(crate) member: Option<(bool, Name)>,
}

/// A ban, in the order of their ends.
pub(crate) type BanKey = (u64, Name, Option<Name>);

/// Versions, epochs, offsets and memberships are at most 2^53 - 1, the greatest number that JavaScript counts to; a record that
/// says otherwise is not believed.
pub(crate) fn number(number: u64) -> u64 {
    number.min((1 << 53) - 1)
}
