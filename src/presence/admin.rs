//! The admin's side of presence: questions about anybody, and orders that need no connection. The answers are plain
//! data; writing them is the caller's business.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::presence::data::Data;
use crate::presence::message::{MemberPage, RoomPosition};
use crate::presence::name::Name;
use crate::presence::past::{HistoryFrom, HistoryPage};
use crate::presence::refusal::CommandRefusal;
use crate::presence::view::{State, View};

/// A question or an order.
#[derive(Clone, Debug)]
pub enum AdminRequest {
    /// The users who are there, by name.
    Users {
        /// Only users in this state; `None`: everybody who is not offline.
        state: Option<State>,
        /// At most so many: 1 to [`PAGE_MAX`](crate::limits::PAGE_MAX).
        limit: usize,
        /// Only names after this one.
        after: Option<Name>,
    },
    /// The view of one user.
    User {
        /// The user.
        user: Name,
    },
    /// Tell all connections of a user.
    Tell {
        /// The user.
        user: Name,
        /// The data.
        data: Data,
    },
    /// Send all connections of a user away, for good, and have the user stay away for a while.
    Disconnect {
        /// The user.
        user: Name,
        /// How long, at most [`BAN_SECONDS_MAX`](crate::limits::BAN_SECONDS_MAX); `None`: the user may be back at once.
        seconds: Option<u32>,
        /// The reason that they are told: at most
        /// [`CLOSE_REASON_BYTES_MAX`](crate::limits::CLOSE_REASON_BYTES_MAX) bytes.
        reason: Arc<str>,
    },
    /// Put all connections of a user out of a room, and have the user stay out of it for a while.
    Ban {
        /// Of where.
        room: Name,
        /// The user.
        user: Name,
        /// How long, at most [`BAN_SECONDS_MAX`](crate::limits::BAN_SECONDS_MAX).
        seconds: u32,
    },
    /// End a ban.
    Lift {
        /// The user.
        user: Name,
        /// Of where; `None`: of the server.
        room: Option<Name>,
    },
    /// The rooms that have members.
    Rooms {
        /// At most so many.
        limit: usize,
        /// Only names after this one.
        after: Option<Name>,
    },
    /// The members of a room.
    Members {
        /// The room.
        room: Name,
        /// At most so many.
        limit: usize,
        /// Only names after this one.
        after: Option<Name>,
    },
    /// Say something in a room, as nobody.
    Say {
        /// The room.
        room: Name,
        /// The data.
        data: Data,
        /// Names it among what is said there from outside, so that it is said once: 1 to
        /// [`SAY_ID_CHARS_MAX`](crate::limits::SAY_ID_CHARS_MAX) characters.
        id: Option<Box<str>>,
    },
    /// A part of a room's history.
    History {
        /// The room.
        room: Name,
        /// The part that is asked for.
        from: HistoryFrom,
        /// At most so many messages: 1 to [`PAST_MAX`](crate::limits::PAST_MAX).
        limit: usize,
    },
    /// End a room: its members are told `leave`, what was said there is forgotten, and its next life has a new epoch.
    DeleteRoom {
        /// The room.
        room: Name,
    },
    /// Forget a user: the user's connections are sent away, the user's info and last-seen time are forgotten, and what the user said
    /// stays in every room as deleted.
    DeleteUser {
        /// The user.
        user: Name,
    },
    /// Bring all connections of a user into a room, and those that come later, or all of them out of it.
    ForceJoin {
        /// The user.
        user: Name,
        /// The room.
        room: Name,
        /// In, or out.
        joins: bool,
    },
    /// Send something to every connection there is.
    Broadcast {
        /// JSON.
        data: Box<str>,
    },
}

impl AdminRequest {
    /// Bytes of the data to relay.
    pub(crate) fn data_bytes(&self) -> usize {
        match self {
            AdminRequest::Tell { data, .. } | AdminRequest::Say { data, .. } => data.len(),
            AdminRequest::Broadcast { data } => data.len(),
            _ => 0,
        }
    }

    /// Whether it makes something grow that stays.
    pub(crate) const fn grows(&self) -> bool {
        matches!(self, AdminRequest::ForceJoin { joins: true, .. })
    }
}

/// The answer.
#[derive(Clone, Debug)]
pub enum AdminReply {
    /// A page of users.
    Users(Listing<View>),
    /// A user.
    User(Name, View),
    /// To how many connections it was told.
    Told(usize),
    /// How many connections are sent away, and until when the user is banned, in Unix milliseconds.
    Disconnected(usize, Option<u64>),
    /// Until when the user is banned, in Unix milliseconds.
    Banned(u64),
    /// A ban is over.
    Lifted,
    /// A page of rooms, with their numbers of members.
    Rooms(Listing<usize>),
    /// A page of a room's members.
    Members(MemberPage, Vec<(Name, View)>),
    /// The message's position in the room.
    Said(RoomPosition),
    /// A part of a room's history.
    History(HistoryPage),
    /// A room is no more, and so many users were in it.
    RoomDeleted(usize),
    /// A user is forgotten.
    UserDeleted {
        /// Connections that were sent away.
        connections: usize,
        /// Messages of the user's that are deleted.
        messages: usize,
        /// Whether all rooms have been looked through; else it goes on.
        done: bool,
    },
    /// How many connections came in or went out, and where the room stands.
    Forced(usize, RoomPosition),
    /// How far a broadcast has come.
    Broadcast {
        /// Connections that it was queued for.
        delivered: usize,
        /// Connections whose backlog had no room for it.
        missed: usize,
        /// Whether all have had their turn; else it goes on.
        done: bool,
    },
    /// It was not done.
    Refused(CommandRefusal),
}

/// A page of names with what is known of each, in the order of the names, over all homes.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Listing<T> {
    /// At most as many as asked for. It may be fewer, or none, where many had to be passed over.
    pub rows: Vec<(Name, T)>,
    /// Everything up to this name has been looked at, and more lies behind; `None`: that was all.
    pub next: Option<Name>,
}

/// A page in the making: what each home has of it.
#[derive(Debug)]
pub(crate) struct Merge<T> {
    limit: usize,
    left: usize,
    listing: Listing<T>,
}

impl<T> Merge<T> {
    pub(crate) fn new(limit: usize, homes: usize) -> Merge<T> {
        Merge { limit, left: homes, listing: Listing { rows: Vec::new(), next: None } }
    }

    /// A home's part has come. Returns the page where it was the last.
    ///
    /// Each home has looked at its names up to its `next`: what lies behind the least of these may be incomplete, and is
    /// left for the page after.
    pub(crate) fn part(&mut self, part: Listing<T>) -> Option<Listing<T>> {
        let all = &mut self.listing;
        all.next = [all.next.take(), part.next].into_iter().flatten().min();
        all.rows.extend(part.rows);
        if let Some(next) = &all.next {
            all.rows.retain(|(name, _)| name <= next);
        }
        // A row beyond the limit now is beyond it at the end: nothing grows with the number of homes.
        all.rows.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        if all.rows.len() > self.limit {
            all.rows.truncate(self.limit);
            all.next = all.rows.last().map(|(name, _)| name.clone());
        }
        self.left -= 1;
        let empty = Listing { rows: Vec::new(), next: None };
        (self.left == 0).then(|| std::mem::replace(&mut self.listing, empty))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_over_homes_lose_nobody_and_name_nobody_twice() {
        // Homes that look at two names for each page, and give one of them.
        let homes = [vec!["a", "d", "e", "k"], vec!["b", "c"], vec![], vec!["f", "g", "h", "i", "j"]];
        let part = |home: &Vec<&str>, after: Option<&Name>| {
            let mut behind = home.iter().filter(|name| after.is_none_or(|after| ***name > **after));
            let rows: Vec<(Name, ())> = behind.by_ref().take(2).map(|name| ((*name).into(), ())).collect();
            let next = behind.next().and(rows.last().map(|(name, ())| name.clone()));
            Listing { rows, next }
        };
        for limit in 1..6 {
            let (mut after, mut seen) = (None, Vec::new());
            for _ in 0..30 {
                let mut merge = Merge::new(limit, homes.len());
                let parts = homes.iter().filter_map(|home| merge.part(part(home, after.as_ref())));
                let page = parts.last().expect("the last part completes it");
                assert!(page.rows.len() <= limit);
                seen.extend(page.rows.into_iter().map(|(name, ())| name.to_string()));
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
            assert_eq!(seen.concat(), "abcdefghijk", "limit {limit}");
        }
    }
}
