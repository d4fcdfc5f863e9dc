//! The query of an upgrade: the user that the client names, and the state that it comes with.

use crate::presence::{NAME_RULE, Name, State, is_name};
use crate::wire::http::query_decoded;

/// The user that the query names: `user`, else `userid`, else `id`; empty ones don't count.
pub(super) fn user_of_query(query: &str) -> Result<Option<Name>, String> {
    for key in ["user", "userid", "id"] {
        let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        let Some((_, value)) = pairs.find(|(name, value)| *name == key && !value.is_empty()) else {
            continue;
        };
        let name = query_decoded(value).filter(|name| is_name(name));
        return name.map(|name| Some(name.into())).ok_or_else(|| format!("a user's name is {NAME_RULE}"));
    }
    Ok(None)
}

/// The session that the client's WebSocket is to carry: `session`.
pub(super) fn session_of_query(query: &str) -> Option<&str> {
    query.split('&').find_map(|pair| pair.strip_prefix("session=")).filter(|name| !name.is_empty())
}

/// How the client comes: `state`. One that is away and connects anew is not online for a moment.
pub(super) fn state_of_query(query: &str) -> Result<Option<State>, &'static str> {
    match query.split('&').find_map(|pair| pair.strip_prefix("state=")) {
        None => Ok(None),
        Some("online") => Ok(Some(State::Online)),
        Some("away") => Ok(Some(State::Away)),
        Some("busy") => Ok(Some(State::Busy)),
        Some("invisible") => Ok(Some(State::Invisible)),
        Some(_) => Err("`state` is online, away, busy or invisible"),
    }
}

/// Whether the client takes bytes as they are: `binary`.
pub(super) fn takes_bytes_of_query(query: &str) -> Result<bool, &'static str> {
    match query.split('&').find_map(|pair| pair.strip_prefix("binary=")) {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => Err("`binary` is true or false"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_query_names_the_user() {
        let user = |query| user_of_query(query).map(|user| user.map(|user| user.to_string()));
        assert_eq!(user(""), Ok(None));
        assert_eq!(user("encoding=text"), Ok(None));
        assert_eq!(user("userid=u-7&token=&version=2"), Ok(Some("u-7".into())));
        assert_eq!(user("id=c&userid=b&user=a"), Ok(Some("a".into())));
        assert_eq!(user("user=&id=c"), Ok(Some("c".into())));
        assert_eq!(user("user=a%40b"), Ok(Some("a@b".into())));
        assert_eq!(user("user=Anna+Maria"), Ok(Some("Anna Maria".into())), "as URLSearchParams has it");
        assert_eq!(user("id=auth0%7C5f%2B7"), Ok(Some("auth0|5f+7".into())));
        for query in
            ["user=a%00b", "user=%4", "user=%zz", "user=%ff", "user=%+f", "id=%2a", "user=+a", "id=a%20"]
        {
            assert!(user(query).is_err(), "{query}");
        }
    }

    #[test]
    fn the_query_says_whether_the_client_takes_bytes() {
        for (query, takes) in [("", false), ("user=a&binary=true", true), ("binary=false", false)] {
            assert_eq!(takes_bytes_of_query(query), Ok(takes), "{query}");
        }
        assert!(takes_bytes_of_query("binary=1").is_err());
    }

    #[test]
    fn the_query_says_how_the_client_comes() {
        for (query, state) in [
            ("user=a", Ok(None)),
            ("user=a&state=away", Ok(Some(State::Away))),
            ("state=busy", Ok(Some(State::Busy))),
            ("state=invisible", Ok(Some(State::Invisible))),
            ("state=online&state=away", Ok(Some(State::Online))),
            ("xstate=away&state", Ok(None)),
        ] {
            assert_eq!(state_of_query(query), state, "{query}");
        }
        for query in
            ["state=", "state=offline", "state=suspect", "state=Away", "state=%61way", "a=b&state=dead"]
        {
            assert!(state_of_query(query).is_err(), "{query}");
        }
    }
}
