//! Refusals as codecs write them: a code and a sentence each. Clients of every protocol and those of the API read the same.

use std::borrow::Cow;

use crate::limits::{
    DATA_BYTES_PER_COMMAND, INFO_BYTES_MAX, ROOMS_PER_CONNECTION_MAX, USERS_PER_COMMAND_MAX,
    WAITING_BYTES_MAX, WAITING_COMMANDS_MAX, WATCHES_PER_CONNECTION_MAX,
};
use crate::presence::CommandRefusal;
use crate::presence::grants::BadClaim;

/// The sentence of [`CommandRefusal::TooManyUsers`].
pub(super) const TOO_MANY_USERS: &str = "more than 256 `users` in one command";
const _: () = assert!(USERS_PER_COMMAND_MAX == 256);

/// The code of a refusal, as HTTP would have it: 400, 401, 403, 404, 413, 429 or 503.
#[must_use]
pub const fn code(why: &CommandRefusal) -> u16 {
    match why {
        CommandRefusal::Unreadable(_) | CommandRefusal::NoTokens => 400,
        CommandRefusal::Nobody
        | CommandRefusal::TokenAwaited
        | CommandRefusal::BadToken { pending: false, .. } => 401,
        CommandRefusal::OtherUser
        | CommandRefusal::NotInRoom
        | CommandRefusal::PutOut
        | CommandRefusal::RoomNotGranted
        | CommandRefusal::InfoByToken
        | CommandRefusal::Banned
        | CommandRefusal::NotAllowed(_)
        | CommandRefusal::Unseen
        | CommandRefusal::UserBanned => 403,
        CommandRefusal::NotConnected
        | CommandRefusal::Unknown
        | CommandRefusal::EmptyRoom
        | CommandRefusal::NoRoom
        | CommandRefusal::NoBan
        | CommandRefusal::UserNotInRoom => 404,
        CommandRefusal::TooManyUsers | CommandRefusal::InfoTooLong | CommandRefusal::DataTooLong { .. } => {
            413
        }
        CommandRefusal::TooManyCommands { .. }
        | CommandRefusal::TooManyWaiting
        | CommandRefusal::TooManyRooms
        | CommandRefusal::TooManyWatches
        | CommandRefusal::TooSoon
        | CommandRefusal::UserGivenTooMany
        | CommandRefusal::UserInTooManyRooms => 429,
        CommandRefusal::BadToken { pending: true, .. }
        | CommandRefusal::RoomOverloaded
        | CommandRefusal::TooSlow
        | CommandRefusal::Busy
        | CommandRefusal::Scarce
        | CommandRefusal::TooManyBans
        | CommandRefusal::TooManyGiven => 503,
    }
}

/// The sentence of a refusal, for the author of the client.
#[must_use]
pub fn sentence(why: &CommandRefusal) -> Cow<'_, str> {
    let sentence = match why {
        CommandRefusal::Unreadable(words) => words,
        CommandRefusal::BadToken { words, .. } | CommandRefusal::NotAllowed(words) => &**words,
        CommandRefusal::TooManyUsers => TOO_MANY_USERS,
        CommandRefusal::InfoTooLong
        | CommandRefusal::DataTooLong { .. }
        | CommandRefusal::TooManyCommands { .. }
        | CommandRefusal::TooManyWaiting
        | CommandRefusal::TooManyRooms
        | CommandRefusal::TooManyWatches => return bound(why).into(),
        CommandRefusal::Nobody => "nobody knows who you are: connect with ?user=NAME",
        CommandRefusal::TokenAwaited => "show a token first: the command auth, with `token`",
        CommandRefusal::NoTokens => "this server knows no tokens: connect with ?user=NAME",
        CommandRefusal::OtherUser => "the token is another user's: connect anew to be that one",
        CommandRefusal::NotInRoom => "you are not in that room: join it first",
        CommandRefusal::PutOut => {
            "you were put out of that room while you were away: join again to come back"
        }
        CommandRefusal::RoomNotGranted => "your token does not let you into that room: see its claim rooms",
        CommandRefusal::InfoByToken => "your info is what your token says: leave `info` out",
        CommandRefusal::Banned => "you are banned from that room for a while",
        CommandRefusal::RoomOverloaded => "too much is said in that room at once: say it again later",
        CommandRefusal::NotConnected => "nobody of that name is connected",
        CommandRefusal::TooSlow => "the user reads too slowly: nothing was delivered, try again later",
        CommandRefusal::Unseen => {
            "you do not see that user: share a room, or have a token whose claim see names them"
        }
        CommandRefusal::TooSoon => "you were hidden a moment ago: show yourself again in a second",
        CommandRefusal::Busy => "the server is busy: try again",
        CommandRefusal::Scarce => "the server is short of memory: try again later",
        CommandRefusal::Unknown => "nobody of that name has been here lately: see /api/v1/users",
        CommandRefusal::EmptyRoom => "nobody is in that room",
        CommandRefusal::NoRoom => "there is no such room",
        CommandRefusal::NoBan => "there is no such ban",
        CommandRefusal::TooManyBans => {
            "there are as many bans as there may be: lift some, or wait until some end"
        }
        CommandRefusal::UserGivenTooMany => "the user was given too many rooms",
        CommandRefusal::TooManyGiven => {
            "users were given as many rooms as they may be: nobody was brought in"
        }
        CommandRefusal::UserBanned => "the room bans the user: lift the ban first",
        CommandRefusal::UserInTooManyRooms => "the user's connections are in too many rooms",
        CommandRefusal::UserNotInRoom => "the user is not in that room",
    };
    sentence.into()
}

/// The sentence of a refusal that names a bound; empty where it names none.
fn bound(why: &CommandRefusal) -> String {
    match why {
        CommandRefusal::InfoTooLong => format!("`info` is over {INFO_BYTES_MAX} bytes"),
        CommandRefusal::DataTooLong { most } => format!("`data` is over {most} bytes, see --max-data"),
        CommandRefusal::TooManyCommands { per_second, by_data: false } => {
            format!("more than {per_second} commands a second")
        }
        CommandRefusal::TooManyCommands { per_second, by_data: true } => format!(
            "more than {per_second} commands a second: `data` counts as one for each {DATA_BYTES_PER_COMMAND} bytes"
        ),
        CommandRefusal::TooManyWaiting => {
            let bytes = WAITING_BYTES_MAX >> 10;
            format!("more than {WAITING_COMMANDS_MAX} commands, or {bytes} KiB of them, wait for answers")
        }
        CommandRefusal::TooManyRooms => format!("more than {ROOMS_PER_CONNECTION_MAX} rooms"),
        CommandRefusal::TooManyWatches => format!("more than {WATCHES_PER_CONNECTION_MAX} watches"),
        _ => String::new(),
    }
}

/// The sentence for a claim of a token that is out of its bounds.
#[must_use]
pub const fn of_claim(bad: BadClaim) -> &'static str {
    match bad {
        BadClaim::InfoTooLong => "the token's info is over 1 KiB",
        BadClaim::TooManyPatterns => "the token has more than 64 patterns in rooms or see",
        BadClaim::NoPattern => {
            "a pattern in the token's rooms or see is neither a name nor its beginning and a * at the end"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_has_a_code_and_a_sentence() {
        for (why, its_code, its_sentence) in [
            (CommandRefusal::Unreadable("`cmd` is missing".into()), 400, "`cmd` is missing"),
            (CommandRefusal::TooManyUsers, 413, "more than 256 `users` in one command"),
            (CommandRefusal::InfoTooLong, 413, "`info` is over 1024 bytes"),
            (CommandRefusal::DataTooLong { most: 7 }, 413, "`data` is over 7 bytes, see --max-data"),
            (
                CommandRefusal::TooManyCommands { per_second: 5, by_data: false },
                429,
                "more than 5 commands a second",
            ),
            (
                CommandRefusal::TooManyCommands { per_second: 5, by_data: true },
                429,
                "more than 5 commands a second: `data` counts as one for each 4096 bytes",
            ),
            (
                CommandRefusal::TooManyWaiting,
                429,
                "more than 256 commands, or 128 KiB of them, wait for answers",
            ),
            (CommandRefusal::TooManyRooms, 429, "more than 64 rooms"),
            (CommandRefusal::TooManyWatches, 429, "more than 1024 watches"),
            (CommandRefusal::BadToken { pending: false, words: "it is bad".into() }, 401, "it is bad"),
            (CommandRefusal::BadToken { pending: true, words: "in a moment".into() }, 503, "in a moment"),
            (CommandRefusal::Busy, 503, "the server is busy: try again"),
            (CommandRefusal::NoBan, 404, "there is no such ban"),
        ] {
            assert_eq!((code(&why), &*sentence(&why)), (its_code, its_sentence), "{why:?}");
        }
    }
}
