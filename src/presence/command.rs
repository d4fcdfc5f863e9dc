//! The commands of clients, as data. Reading them is a codec's business.

use std::borrow::Cow;

#[cfg(doc)]
use crate::limits::{INFO_TTL_SECONDS_MAX, PAGE_MAX, PAST_MAX, SAY_ID_CHARS_MAX};
use crate::presence::data::SentData;
use crate::presence::past::{HistoryFrom, Since};
use crate::presence::refusal::CommandRefusal;
use crate::presence::view::State;

/// A command with its number as a codec has read it; or that number, and why the text is no command.
pub type Read<'a> = Result<(i64, Command<'a>), (i64, CommandRefusal)>;

/// A command.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Command<'a> {
    /// I am here.
    Heartbeat,
    /// This is my token.
    Auth {
        /// As sent.
        token: Cow<'a, str>,
    },
    /// Come into a room.
    Join {
        /// The room.
        room: Cow<'a, str>,
        /// Messages since then are wanted, too.
        since: Option<Since>,
    },
    /// Go out of a room.
    Leave {
        /// The room.
        room: Cow<'a, str>,
    },
    /// The members of a room.
    Who {
        /// The room.
        room: Cow<'a, str>,
        /// Members at most: 1 to [`PAGE_MAX`].
        limit: usize,
        /// Only names after this one.
        after: Option<Cow<'a, str>>,
    },
    /// A part of a room's history.
    History {
        /// The room.
        room: Cow<'a, str>,
        /// The part that is asked for.
        from: HistoryFrom,
        /// Messages at most: 1 to [`PAST_MAX`].
        limit: usize,
    },
    /// Say something in a room.
    Say {
        /// The room.
        room: Cow<'a, str>,
        /// As sent.
        data: SentData<'a>,
        /// Whether the speaking connection hears itself.
        echo: bool,
        /// Names it among what its user says there, so that it is said once: 1 to [`SAY_ID_CHARS_MAX`] characters.
        id: Option<Cow<'a, str>>,
    },
    /// Tell one user something.
    Tell {
        /// The user.
        user: Cow<'a, str>,
        /// As sent.
        data: SentData<'a>,
    },
    /// Views of users now, and every change from then on.
    Watch {
        /// The users.
        users: Vec<Cow<'a, str>>,
        /// Suspicions too.
        suspect: bool,
    },
    /// No changes any more.
    Unwatch {
        /// The users.
        users: Vec<Cow<'a, str>>,
    },
    /// Views of users now.
    Presence {
        /// The users.
        users: Vec<Cow<'a, str>>,
    },
    /// Sets my own state and info.
    Status {
        /// `Online`, `Away`, `Busy` or `Invisible`; `None` leaves it.
        state: Option<State>,
        /// JSON, as sent; `None` leaves it.
        info: Option<Cow<'a, str>>,
        /// For how long `info` counts: at most [`INFO_TTL_SECONDS_MAX`]; `None`: as long as the connection is there.
        ttl_seconds: Option<u32>,
        /// Whether the connection is sent binary data as such; `None` leaves it.
        binary: Option<bool>,
    },
}

impl<'a> Command<'a> {
    /// The data to relay.
    pub(crate) fn data(&self) -> Option<&SentData<'a>> {
        match self {
            Command::Say { data, .. } | Command::Tell { data, .. } => Some(data),
            _ => None,
        }
    }

    /// The same, for longer than what it was read from.
    #[must_use]
    pub fn into_owned(self) -> Command<'static> {
        let text = |text: Cow<'a, str>| Cow::Owned(text.into_owned());
        let all = |texts: Vec<Cow<'a, str>>| texts.into_iter().map(text).collect();
        match self {
            Command::Heartbeat => Command::Heartbeat,
            Command::Auth { token } => Command::Auth { token: text(token) },
            Command::Join { room, since } => Command::Join { room: text(room), since },
            Command::History { room, from, limit } => Command::History { room: text(room), from, limit },
            Command::Leave { room } => Command::Leave { room: text(room) },
            Command::Who { room, limit, after } => {
                Command::Who { room: text(room), limit, after: after.map(text) }
            }
            Command::Say { room, data, echo, id } => {
                Command::Say { room: text(room), data: data.into_owned(), echo, id: id.map(text) }
            }
            Command::Tell { user, data } => Command::Tell { user: text(user), data: data.into_owned() },
            Command::Watch { users, suspect } => Command::Watch { users: all(users), suspect },
            Command::Unwatch { users } => Command::Unwatch { users: all(users) },
            Command::Presence { users } => Command::Presence { users: all(users) },
            Command::Status { state, info, ttl_seconds, binary } => {
                Command::Status { state, info: info.map(text), ttl_seconds, binary }
            }
        }
    }

    /// Whether its answer is made of what several homes say.
    #[must_use]
    pub const fn gathers(&self) -> bool {
        matches!(self, Command::Who { .. } | Command::Watch { .. } | Command::Presence { .. })
    }

    /// Whether its answer has much to say, what was said before.
    #[must_use]
    pub const fn catches_up(&self) -> bool {
        matches!(self, Command::Join { since: Some(_), .. } | Command::History { .. })
    }

    /// Whether its answer is what one home says.
    #[must_use]
    pub const fn asks(&self) -> bool {
        matches!(
            self,
            Command::Join { .. }
                | Command::Leave { .. }
                | Command::History { .. }
                | Command::Say { .. }
                | Command::Tell { .. }
                | Command::Status { .. }
        )
    }

    /// Whether something is kept for it that was not before.
    #[must_use]
    pub const fn grows(&self) -> bool {
        matches!(self, Command::Join { .. } | Command::Watch { .. } | Command::Status { info: Some(_), .. })
    }
}
