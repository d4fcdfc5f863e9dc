//! Refusals as codecs write them: a code and a sentence each. Clients of every protocol and those of the API read the same.

use std::borrow::Cow;

use crate::limits::{
    DATA_BYTES_PER_COMMAND, INFO_BYTES_MAX, ROOMS_PER_CONNECTION_MAX, USERS_PER_COMMAND_MAX,
    WAITING_BYTES_MAX, WAITING_COMMANDS_MAX, WATCHES_PER_CONNECTION_MAX,
};
use crate::presence::Refusal;
use crate::presence::grants::BadClaim;

/// The sentence of [`Refusal::TooManyUsers`].
pub(super) const TOO_MANY_USERS: &str = "more than 256 `users` in one command";
const _: () = assert!(USERS_PER_COMMAND_MAX == 256);

/// The code of a refusal, as HTTP would have it: 400, 401, 403, 404, 413, 429 or 503.
#[must_use]
pub const fn code(why: &Refusal) -> u16 {
    match why {
        Refusal::Unreadable(_) | Refusal::NoTokens => 400,
        Refusal::Nobody | Refusal::TokenAwaited | Refusal::BadToken { pending: false, .. } => 401,
        Refusal::OtherUser
        | Refusal::NotInRoom
        | Refusal::PutOut
        | Refusal::RoomNotGranted
        | Refusal::InfoByToken
        | Refusal::Banned
        | Refusal::NotAllowed(_)
        | Refusal::Unseen
        | Refusal::UserBanned => 403,
        Refusal::NotConnected
        | Refusal::Unknown
        | Refusal::EmptyRoom
        | Refusal::NoBan
        | Refusal::UserNotInRoom => 404,
        Refusal::TooManyUsers | Refusal::InfoTooLong | Refusal::DataTooLong { .. } => 413,
        Refusal::TooManyCommands { .. }
        | Refusal::TooManyWaiting
        | Refusal::TooManyRooms
        | Refusal::TooManyWatches
        | Refusal::TooSoon
        | Refusal::UserGivenTooMany
        | Refusal::UserInTooManyRooms => 429,
        Refusal::BadToken { pending: true, .. }
        | Refusal::RoomOverloaded
        | Refusal::TooSlow
        | Refusal::Busy
        | Refusal::Scarce
        | Refusal::TooManyBans
        | Refusal::TooManyGiven => 503,
    }
}

/// The sentence of a refusal, for the author of the client.
#[must_use]
pub fn sentence(why: &Refusal) -> Cow<'_, str> {
    let sentence = match why {
        Refusal::Unreadable(words) => words,
        Refusal::BadToken { words, .. } | Refusal::NotAllowed(words) => &**words,
        Refusal::TooManyUsers => TOO_MANY_USERS,
        Refusal::InfoTooLong
        | Refusal::DataTooLong { .. }
        | Refusal::TooManyCommands { .. }
        | Refusal::TooManyWaiting
        | Refusal::TooManyRooms
        | Refusal::TooManyWatches => return bound(why).into(),
        Refusal::Nobody => "nobody knows who you are: connect with ?user=NAME",
        Refusal::TokenAwaited => "show a token first: the command auth, with `token`",
        Refusal::NoTokens => "this server knows no tokens: connect with ?user=NAME",
        Refusal::OtherUser => "the token is another user's: connect anew to be that one",
        Refusal::NotInRoom => "you are not in that room: join it first",
        Refusal::PutOut => "you were put out of that room while you were away: join again to come back",
        Refusal::RoomNotGranted => "your token does not let you into that room: see its claim rooms",
        Refusal::InfoByToken => "your info is what your token says: leave `info` out",
        Refusal::Banned => "you are banned from that room for a while",
        Refusal::RoomOverloaded => "too much is said in that room at once: say it again later",
        Refusal::NotConnected => "nobody of that name is connected",
        Refusal::TooSlow => "the user reads too slowly: nothing was delivered, try again later",
        Refusal::Unseen => {
            "you do not see that user: share a room, or have a token whose claim see names them"
        }
        Refusal::TooSoon => "you were hidden a moment ago: show yourself again in a second",
        Refusal::Busy => "the server is busy: try again",
        Refusal::Scarce => "the server is short of memory: try again later",
        Refusal::Unknown => "nobody of that name has been here lately: see /api/v1/users",
        Refusal::EmptyRoom => "nobody is in that room",
        Refusal::NoBan => "there is no such ban",
        Refusal::TooManyBans => "there are as many bans as there may be: lift some, or wait until some end",
        Refusal::UserGivenTooMany => "the user was given too many rooms",
        Refusal::TooManyGiven => "users were given as many rooms as they may be: nobody was brought in",
        Refusal::UserBanned => "the room bans the user: lift the ban first",
        Refusal::UserInTooManyRooms => "the user's connections are in too many rooms",
        Refusal::UserNotInRoom => "the user is not in that room",
    };
    sentence.into()
}

/// The sentence of a refusal that names a bound; empty where it names none.
fn bound(why: &Refusal) -> String {
    match why {
        Refusal::InfoTooLong => format!("`info` is over {INFO_BYTES_MAX} bytes"),
        Refusal::DataTooLong { most } => format!("`data` is over {most} bytes, see --max-data"),
        Refusal::TooManyCommands { per_second, by_data: false } => {
            format!("more than {per_second} commands a second")
        }
        Refusal::TooManyCommands { per_second, by_data: true } => format!(
            "more than {per_second} commands a second: `data` counts as one for each {DATA_BYTES_PER_COMMAND} bytes"
        ),
        Refusal::TooManyWaiting => {
            let bytes = WAITING_BYTES_MAX >> 10;
            format!("more than {WAITING_COMMANDS_MAX} commands, or {bytes} KiB of them, wait for answers")
        }
        Refusal::TooManyRooms => format!("more than {ROOMS_PER_CONNECTION_MAX} rooms"),
        Refusal::TooManyWatches => format!("more than {WATCHES_PER_CONNECTION_MAX} watches"),
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
            (Refusal::Unreadable("`cmd` is missing".into()), 400, "`cmd` is missing"),
            (Refusal::TooManyUsers, 413, "more than 256 `users` in one command"),
            (Refusal::InfoTooLong, 413, "`info` is over 1024 bytes"),
            (Refusal::DataTooLong { most: 7 }, 413, "`data` is over 7 bytes, see --max-data"),
            (
                Refusal::TooManyCommands { per_second: 5, by_data: false },
                429,
                "more than 5 commands a second",
            ),
            (
                Refusal::TooManyCommands { per_second: 5, by_data: true },
                429,
                "more than 5 commands a second: `data` counts as one for each 4096 bytes",
            ),
            (Refusal::TooManyWaiting, 429, "more than 256 commands, or 128 KiB of them, wait for answers"),
            (Refusal::TooManyRooms, 429, "more than 64 rooms"),
            (Refusal::TooManyWatches, 429, "more than 1024 watches"),
            (Refusal::BadToken { pending: false, words: "it is bad".into() }, 401, "it is bad"),
            (Refusal::BadToken { pending: true, words: "in a moment".into() }, 503, "in a moment"),
            (Refusal::Busy, 503, "the server is busy: try again"),
            (Refusal::NoBan, 404, "there is no such ban"),
        ] {
            assert_eq!((code(&why), &*sentence(&why)), (its_code, its_sentence), "{why:?}");
        }
    }
}
