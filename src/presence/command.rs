//! `rollcall.v1` as the server reads it: `{"seq":N,"cmd":C,"params":{…}}`.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::limits::{INFO_BYTES_MAX, PAGE_DEFAULT, PAGE_MAX, USERS_PER_COMMAND_MAX};
use crate::presence::name::is_name;
use crate::presence::view::State;

/// A command.
#[derive(Debug)]
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
        /// Which.
        room: Cow<'a, str>,
    },
    /// Go out of a room.
    Leave {
        /// Which.
        room: Cow<'a, str>,
    },
    /// Who is in a room?
    Who {
        /// Which.
        room: Cow<'a, str>,
        /// Members at most: 1 to [`PAGE_MAX`].
        limit: usize,
        /// Those behind this name.
        after: Option<Cow<'a, str>>,
    },
    /// Say something in a room.
    Say {
        /// Which.
        room: Cow<'a, str>,
        /// JSON, as sent.
        data: &'a str,
        /// Whether the speaking connection hears itself.
        echo: bool,
    },
    /// Tell one user something.
    Tell {
        /// Whom.
        user: Cow<'a, str>,
        /// JSON, as sent.
        data: &'a str,
    },
    /// Views of users now, and every change from then on.
    Watch {
        /// Whom.
        users: Vec<Cow<'a, str>>,
        /// Suspicions too.
        suspect: bool,
    },
    /// No changes any more.
    Unwatch {
        /// Of whom.
        users: Vec<Cow<'a, str>>,
    },
    /// Views of users now.
    Presence {
        /// Whom.
        users: Vec<Cow<'a, str>>,
    },
    /// What I say of myself.
    Status {
        /// `Online` or `Away`; `None` leaves it.
        state: Option<State>,
        /// JSON, as sent; `None` leaves it.
        info: Option<&'a str>,
    },
}

impl<'a> Command<'a> {
    /// What is to be relayed.
    pub(crate) fn data(&self) -> Option<&'a str> {
        match self {
            Command::Say { data, .. } | Command::Tell { data, .. } => Some(data),
            _ => None,
        }
    }
}

/// Why a command is not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The `seq` it is answered with; 0 where the command has none that can be read.
    pub seq: i64,
    /// 400 401 403 404 413 429 503.
    pub code: u16,
    /// A sentence for who wrote the client.
    pub error: Cow<'static, str>,
}

impl Refusal {
    pub(crate) fn new(seq: i64, code: u16, error: impl Into<Cow<'static, str>>) -> Refusal {
        Refusal { seq, code, error: error.into() }
    }
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    seq: Option<&'a RawValue>,
    #[serde(borrow)]
    cmd: Option<Cow<'a, str>>,
    #[serde(borrow)]
    params: Option<&'a RawValue>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Params<'a> {
    #[serde(borrow)]
    room: Option<Cow<'a, str>>,
    #[serde(borrow)]
    user: Option<Cow<'a, str>>,
    #[serde(borrow)]
    token: Option<Cow<'a, str>>,
    #[serde(borrow)]
    users: Option<Vec<Cow<'a, str>>>,
    #[serde(borrow, deserialize_with = "given")]
    data: Option<&'a RawValue>,
    #[serde(borrow, deserialize_with = "given")]
    info: Option<&'a RawValue>,
    #[serde(borrow)]
    state: Option<Cow<'a, str>>,
    #[serde(borrow)]
    after: Option<Cow<'a, str>>,
    limit: Option<u64>,
    echo: Option<bool>,
    suspect: Option<bool>,
}

/// A `null` that was given is JSON as any other: something to say, or an `info` that is to go.
fn given<'de: 'a, 'a, D: Deserializer<'de>>(from: D) -> Result<Option<&'a RawValue>, D::Error> {
    <&RawValue>::deserialize(from).map(Some)
}

/// Reads a command.
///
/// # Errors
/// What to answer.
pub fn parse(text: &str) -> Result<(i64, Command<'_>), Refusal> {
    let message: Message<'_> = serde_json::from_str(text)
        .map_err(|_| Refusal::new(0, 400, r#"not a command: send {"seq":1,"cmd":"…","params":{…}}"#))?;
    let seq = match message.seq.map(|seq| seq.get().parse()) {
        None => 0,
        Some(Ok(seq)) => seq,
        Some(Err(_)) => return Err(Refusal::new(0, 400, "`seq` has to be a whole number")),
    };
    let Some(name) = message.cmd else { return Err(Refusal::new(seq, 400, "`cmd` is missing")) };
    let params = match message.params.map(RawValue::get) {
        None | Some("null") => Params::default(),
        Some(text) => serde_json::from_str(text)
            .map_err(|error| Refusal::new(seq, 400, format!("`params` can't be read: {}", cause(&error))))?,
    };
    command(&name, params).map(|command| (seq, command)).map_err(|refusal| Refusal { seq, ..refusal })
}

fn command<'a>(name: &str, params: Params<'a>) -> Result<Command<'a>, Refusal> {
    Ok(match name {
        "heartbeat" => Command::Heartbeat,
        "join" => Command::Join { room: named("room", params.room)? },
        "leave" => Command::Leave { room: named("room", params.room)? },
        "who" => Command::Who {
            room: named("room", params.room)?,
            limit: params
                .limit
                .map_or(PAGE_DEFAULT, |limit| usize::try_from(limit).unwrap_or(PAGE_MAX).clamp(1, PAGE_MAX)),
            after: params.after.map(|after| named("after", Some(after))).transpose()?,
        },
        "say" => Command::Say {
            room: named("room", params.room)?,
            data: data(params.data)?,
            echo: params.echo.unwrap_or(true),
        },
        "tell" => Command::Tell { user: named("user", params.user)?, data: data(params.data)? },
        "watch" => Command::Watch { users: users(params.users)?, suspect: params.suspect.unwrap_or(false) },
        "unwatch" => Command::Unwatch { users: users(params.users)? },
        "presence" => Command::Presence { users: users(params.users)? },
        "status" => status(&params)?,
        "auth" => {
            Command::Auth { token: params.token.ok_or_else(|| Refusal::new(0, 400, "`token` is missing"))? }
        }
        _ => return Err(Refusal::new(0, 400, format!("unknown command `{}`", shortened(name)))),
    })
}

fn status<'a>(params: &Params<'a>) -> Result<Command<'a>, Refusal> {
    let state = match params.state.as_deref() {
        None => None,
        Some("online") => Some(State::Online),
        Some("away") => Some(State::Away),
        Some(_) => return Err(Refusal::new(0, 400, "`state` is `online` or `away`")),
    };
    let info = params.info.map(RawValue::get);
    if info.is_some_and(|info| info.len() > INFO_BYTES_MAX) {
        return Err(Refusal::new(0, 413, format!("`info` is over {INFO_BYTES_MAX} bytes")));
    }
    if state.is_none() && info.is_none() {
        return Err(Refusal::new(0, 400, "`state` or `info` is missing"));
    }
    Ok(Command::Status { state, info })
}

fn named<'a>(field: &str, name: Option<Cow<'a, str>>) -> Result<Cow<'a, str>, Refusal> {
    match name {
        None => Err(Refusal::new(0, 400, format!("`{field}` is missing"))),
        Some(name) if is_name(&name) => Ok(name),
        Some(_) => {
            Err(Refusal::new(0, 400, format!("`{field}` has to be 1 to 128 of letters, digits, ._:@-")))
        }
    }
}

fn users(users: Option<Vec<Cow<'_, str>>>) -> Result<Vec<Cow<'_, str>>, Refusal> {
    let users = users.ok_or_else(|| Refusal::new(0, 400, "`users` is missing"))?;
    if users.len() > USERS_PER_COMMAND_MAX {
        return Err(Refusal::new(
            0,
            413,
            format!("more than {USERS_PER_COMMAND_MAX} `users` in one command"),
        ));
    }
    users.into_iter().map(|user| named("users", Some(user))).collect()
}

fn data(data: Option<&RawValue>) -> Result<&str, Refusal> {
    data.map(RawValue::get).ok_or_else(|| Refusal::new(0, 400, "`data` is missing"))
}

/// The error without its line and column, which would be those of a part.
fn cause(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.split(" at line ").next().unwrap_or_default().to_owned()
}

fn shortened(name: &str) -> String {
    name.chars().take(32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_travels_byte_for_byte() {
        let text = r#"{"seq":7,"cmd":"say","params":{"room":"r","data":{ "b":1e2,  "a":"\u00e4" }}}"#;
        let Ok((7, Command::Say { data, echo: true, .. })) = parse(text) else { panic!() };
        assert_eq!(data, r#"{ "b":1e2,  "a":"\u00e4" }"#);
    }

    #[test]
    fn null_is_data_too() {
        let text = r#"{"cmd":"say","params":{"room":"r","data":null}}"#;
        assert!(matches!(parse(text), Ok((0, Command::Say { data: "null", .. }))));
        let text = r#"{"cmd":"status","params":{"info":null}}"#;
        assert!(matches!(parse(text), Ok((0, Command::Status { state: None, info: Some("null") }))));
    }

    #[test]
    fn every_refusal_says_what_to_do() {
        for (text, code, error) in [
            ("hello", 400, "not a command"),
            ("[1]", 400, "not a command"),
            (r#"{"seq":1}"#, 400, "`cmd` is missing"),
            (r#"{"seq":1.5,"cmd":"heartbeat"}"#, 400, "whole number"),
            (r#"{"seq":1,"cmd":"fly"}"#, 400, "unknown command `fly`"),
            (r#"{"seq":1,"cmd":"join"}"#, 400, "`room` is missing"),
            (r#"{"seq":1,"cmd":"auth"}"#, 400, "`token` is missing"),
            (r#"{"seq":1,"cmd":"join","params":{"room":"a b"}}"#, 400, "1 to 128"),
            (r#"{"seq":1,"cmd":"join","params":{"room":5}}"#, 400, "invalid type"),
            (r#"{"seq":1,"cmd":"say","params":{"room":"a"}}"#, 400, "`data` is missing"),
            (r#"{"seq":1,"cmd":"status","params":{"state":"dead"}}"#, 400, "`online` or `away`"),
            (r#"{"seq":1,"cmd":"status"}"#, 400, "`state` or `info`"),
        ] {
            let refusal = parse(text).expect_err(text);
            assert_eq!(refusal.code, code, "{text}");
            assert!(refusal.error.contains(error), "{text}: {}", refusal.error);
        }
        let users = vec!["\"u\""; USERS_PER_COMMAND_MAX + 1].join(",");
        let text = format!(r#"{{"seq":3,"cmd":"watch","params":{{"users":[{users}]}}}}"#);
        assert_eq!(parse(&text).map(|_| ()).unwrap_err().code, 413);
    }

    #[test]
    fn seq_may_be_missing_and_params_too() {
        assert!(matches!(parse(r#"{"cmd":"heartbeat"}"#), Ok((0, Command::Heartbeat))));
        assert!(matches!(
            parse(r#"{"cmd":"heartbeat","params":null,"seq":-3,"more":[]}"#),
            Ok((-3, Command::Heartbeat))
        ));
    }
}
