//! Why a command, or an order from outside, is not done. Presence says which of these it is; a codec gives it a code and a sentence.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// Why something is not done.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum CommandRefusal {
    /// The codec can't read it as a command. The words are the codec's own.
    Unreadable(Cow<'static, str>),
    /// It names more than [`USERS_PER_COMMAND_MAX`](crate::limits::USERS_PER_COMMAND_MAX) users.
    TooManyUsers,
    /// Its `info` is over [`INFO_BYTES_MAX`](crate::limits::INFO_BYTES_MAX).
    InfoTooLong,
    /// Its `data` is over so many bytes.
    DataTooLong {
        /// Bytes that it may be.
        most: usize,
    },
    /// The client sends more commands than it may.
    TooManyCommands {
        /// Commands that it may send in a second.
        per_second: u32,
        /// The command counts as several, for the length of its `data`.
        by_data: bool,
    },
    /// As many of the client's commands wait for answers as may: see
    /// [`WAITING_COMMANDS_MAX`](crate::limits::WAITING_COMMANDS_MAX) and [`WAITING_BYTES_MAX`](crate::limits::WAITING_BYTES_MAX).
    TooManyWaiting,
    /// The client is in [`ROOMS_PER_CONNECTION_MAX`](crate::limits::ROOMS_PER_CONNECTION_MAX) rooms.
    TooManyRooms,
    /// The client would watch more than [`WATCHES_PER_CONNECTION_MAX`](crate::limits::WATCHES_PER_CONNECTION_MAX) users.
    TooManyWatches,
    /// Nobody knows who the client is.
    Nobody,
    /// The client is yet to show a token.
    TokenAwaited,
    /// The client shows a token to a server that looks at none.
    NoTokens,
    /// The client's token is not good.
    BadToken {
        /// Nothing is known against it: the same token may be good in a moment.
        pending: bool,
        /// The fault, in the words of the part that looked at it.
        words: Box<str>,
    },
    /// The client's token is that of another user than the client is.
    OtherUser,
    /// The client is not in the room.
    NotInRoom,
    /// The room was taken from the client while it was away: only its next `join` counts.
    PutOut,
    /// The client's token does not let it into the room.
    RoomNotGranted,
    /// The client's token says what the user's `info` is.
    InfoByToken,
    /// The room bans the client.
    Banned,
    /// The program that presence is a part of does not allow it, and says why.
    NotAllowed(Box<str>),
    /// More is said in the room than it carries. Nobody has heard it.
    RoomOverloaded,
    /// Nobody of the name is connected.
    NotConnected,
    /// No connection of the user has room for it.
    TooSlow,
    /// The client does not see the user.
    Unseen,
    /// The user has only just turned invisible.
    TooSoon,
    /// A home could not be asked.
    Busy,
    /// Memory is short, and it would make something grow.
    Scarce,
    /// There is no such room, or the client may not know of it.
    NoRoom,
    /// An order: nobody of the name has been here lately.
    Unknown,
    /// An order: nobody is in the room.
    EmptyRoom,
    /// An order: there is no such ban.
    NoBan,
    /// An order: there are [`BANS_MAX`](crate::limits::BANS_MAX) bans.
    TooManyBans,
    /// An order: the user was given as many rooms as a connection may be in.
    UserGivenTooMany,
    /// An order: users were given as many rooms as the server keeps.
    TooManyGiven,
    /// An order: the room bans the user.
    UserBanned,
    /// An order: the user's connections are in as many rooms as they may be.
    UserInTooManyRooms,
    /// An order: the user is not in the room.
    UserNotInRoom,
}

impl CommandRefusal {
    /// Whether the client has had too much of something: one that goes on with that is closed.
    pub(crate) const fn is_excess(&self) -> bool {
        matches!(
            self,
            CommandRefusal::TooManyCommands { .. }
                | CommandRefusal::TooManyWaiting
                | CommandRefusal::TooManyRooms
                | CommandRefusal::TooManyWatches
        )
    }

    /// Bytes of the words that it carries.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            CommandRefusal::Unreadable(words) => words.len(),
            CommandRefusal::BadToken { words, .. } | CommandRefusal::NotAllowed(words) => words.len(),
            _ => 0,
        }
    }
}
