//! `rollcall.v1` as the server reads it: `{"seq":N,"cmd":C,"params":{…}}`.

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::json::{self, is_object};
use crate::limits::{
    INFO_BYTES_MAX, INFO_TTL_SECONDS_MAX, PAGE_DEFAULT, PAGE_MAX, PAST_DEFAULT, PAST_MAX, SAY_ID_CHARS_MAX,
};
use crate::presence::command::{Command, Read};
use crate::presence::{CommandRefusal, HistoryFrom, NAME_RULE, SentData, Since, State, is_name};
use crate::protocol::refusal::TOO_MANY_USERS;
use crate::protocol::rollcall_v1::shape::{
    ClientMessage, CommandParts, Object, Params, Position, TextField, UserList,
};

/// Reads a command and its `seq`.
///
/// # Errors
/// Why it can't be read, and the `seq` to answer with: 0 where it has none that can be read.
pub fn decode(text: &str) -> Read<'_> {
    read(text, None)
}

/// The same, with the bytes that came behind the text.
pub(super) fn read<'a>(text: &'a str, bytes: Option<&'a [u8]>) -> Read<'a> {
    // A good command is read in one go. A bad one is read once more, to find its fault.
    if !is_object(text) {
        return Err((0, unreadable(NOT_A_COMMAND)));
    }
    let Ok(message) = serde_json::from_str::<ClientMessage<'_>>(text) else {
        return parse_parts(text, bytes);
    };
    let (seq, name) = numbered(message.seq, message.cmd)?;
    let mut params = message.params.map(|params| params.0).unwrap_or_default();
    params.bytes = bytes;
    let command = command(&name, params);
    command.map(|command| (seq, command)).map_err(|why| (seq, why))
}

/// A command that the protocol does not have: its name, and its `params` as they were sent.
#[must_use]
pub fn foreign(text: &str) -> Option<(Cow<'_, str>, &str)> {
    let parts = serde_json::from_str::<CommandParts<'_>>(text).ok().filter(|_| is_object(text))?;
    let name = parts.cmd?.0;
    let params = parts.params.map_or("{}", RawValue::get);
    (!COMMANDS.contains(&&*name) && is_object(params)).then_some((name, params))
}

/// All commands of the protocol.
const COMMANDS: [&str; 12] = [
    "heartbeat",
    "join",
    "leave",
    "who",
    "say",
    "tell",
    "watch",
    "unwatch",
    "presence",
    "status",
    "auth",
    "history",
];

/// Those whose `data` may be bytes.
const TAKE_BYTES: [&str; 2] = ["say", "tell"];

const NOT_A_COMMAND: &str = r#"not a command: send {"seq":1,"cmd":"…","params":{…}}"#;

/// Reads `params` by themselves, so that an error in them is told with the command's `seq`.
fn parse_parts<'a>(text: &'a str, bytes: Option<&'a [u8]>) -> Read<'a> {
    let parts: CommandParts<'_> = serde_json::from_str(text).map_err(|_| (0, unreadable(NOT_A_COMMAND)))?;
    let (seq, name) = numbered(parts.seq, parts.cmd)?;
    let params = match parts.params.map(RawValue::get) {
        None | Some("null") => Params::default(),
        Some(text) => serde_json::from_str::<Object<'_>>(text).map_err(|error| (seq, misshapen(&error)))?.0,
    };
    command(&name, Params { bytes, ..params }).map(|command| (seq, command)).map_err(|why| (seq, why))
}

fn numbered<'a>(
    seq: Option<&RawValue>,
    cmd: Option<TextField<'a>>,
) -> Result<(i64, Cow<'a, str>), (i64, CommandRefusal)> {
    let seq = match seq.map(|seq| seq.get().parse()) {
        None => 0,
        Some(Ok(seq)) => seq,
        Some(Err(_)) => return Err((0, unreadable("`seq` has to be a whole number"))),
    };
    cmd.map(|name| (seq, name.0)).ok_or_else(|| (seq, unreadable("`cmd` is missing")))
}

fn unreadable(words: impl Into<Cow<'static, str>>) -> CommandRefusal {
    CommandRefusal::Unreadable(words.into())
}

fn misshapen(error: &serde_json::Error) -> CommandRefusal {
    let cause = cause(error);
    match cause.as_str() {
        TOO_MANY_USERS => CommandRefusal::TooManyUsers,
        cause => unreadable(format!("`params` can't be read: {cause}")),
    }
}

fn command<'a>(name: &str, params: Params<'a>) -> Result<Command<'a>, CommandRefusal> {
    if params.bytes.is_some() && !TAKE_BYTES.contains(&name) && COMMANDS.contains(&name) {
        return Err(unreadable(format!("`{name}` takes no bytes: send it as text")));
    }
    Ok(match name {
        "heartbeat" => Command::Heartbeat,
        "join" => Command::Join { room: named("room", params.room)?, since: since(params.since)? },
        "history" => history(params)?,
        "leave" => Command::Leave { room: named("room", params.room)? },
        "who" => Command::Who {
            room: named("room", params.room)?,
            limit: limit(params.limit, (PAGE_DEFAULT, PAGE_MAX))?,
            after: name_behind(params.after)?,
        },
        "say" => Command::Say {
            room: named("room", params.room)?,
            data: data(params.data, params.bytes)?,
            echo: flag("echo", params.echo)?.unwrap_or(true),
            id: params.id.map(id).transpose()?,
        },
        "tell" => Command::Tell { user: named("user", params.user)?, data: data(params.data, params.bytes)? },
        "watch" => Command::Watch {
            users: users(params.users)?,
            suspect: flag("suspect", params.suspect)?.unwrap_or(false),
        },
        "unwatch" => Command::Unwatch { users: users(params.users)? },
        "presence" => Command::Presence { users: users(params.users)? },
        "status" => status(&params)?,
        "auth" => {
            let token = params.token.ok_or_else(|| unreadable("`token` is missing"))?;
            Command::Auth { token: token.0 }
        }
        _ => return Err(unreadable(format!("unknown command `{}`", shortened(name)))),
    })
}

fn status<'a>(params: &Params<'a>) -> Result<Command<'a>, CommandRefusal> {
    let state = match params.state.as_ref().map(|state| &*state.0) {
        None => None,
        Some("online") => Some(State::Online),
        Some("away") => Some(State::Away),
        Some("busy") => Some(State::Busy),
        Some("invisible") => Some(State::Invisible),
        Some(_) => return Err(unreadable("`state` is `online`, `away`, `busy` or `invisible`")),
    };
    let info = params.info.map(RawValue::get);
    if info.is_some_and(|info| info.len() > INFO_BYTES_MAX) {
        return Err(CommandRefusal::InfoTooLong);
    }
    let info = info.map(|info| readable("info", info)).transpose()?;
    let binary = flag("binary", params.binary)?;
    if state.is_none() && info.is_none() && binary.is_none() {
        return Err(unreadable("`state` or `info` is missing"));
    }
    let ttl_seconds = ttl(params.info_ttl)?;
    if ttl_seconds.is_some() && info.is_none() {
        return Err(unreadable("`info_ttl` comes with `info`"));
    }
    Ok(Command::Status { state, info, ttl_seconds, binary })
}

fn ttl(seconds: Option<&RawValue>) -> Result<Option<u32>, CommandRefusal> {
    match seconds.map(RawValue::get) {
        None | Some("null") => Ok(None),
        Some(seconds) => match seconds.parse() {
            Ok(seconds @ 1..=INFO_TTL_SECONDS_MAX) => Ok(Some(seconds)),
            _ => {
                let error =
                    format!("`info_ttl` is a whole number of seconds from 1 to {INFO_TTL_SECONDS_MAX}");
                Err(unreadable(error))
            }
        },
    }
}

fn named<'a>(field: &str, name: Option<TextField<'a>>) -> Result<Cow<'a, str>, CommandRefusal> {
    match name {
        None => Err(unreadable(format!("`{field}` is missing"))),
        Some(name) if is_name(&name.0) => Ok(name.0),
        Some(_) => Err(misnamed(field)),
    }
}

/// The field `after` where it is a name.
fn name_behind(after: Option<&RawValue>) -> Result<Option<Cow<'_, str>>, CommandRefusal> {
    let Some(text) = after.map(RawValue::get).filter(|text| *text != "null") else { return Ok(None) };
    let name = serde_json::from_str::<TextField<'_>>(text).map_err(|error| misshapen(&error))?;
    named("after", Some(name)).map(Some)
}

/// A number that is too great for any page is as good as the greatest.
fn limit(limit: Option<&RawValue>, (default, most): (usize, usize)) -> Result<usize, CommandRefusal> {
    let number = |limit: &RawValue| limit.get().parse::<u64>();
    match limit.filter(|limit| limit.get() != "null").map(number) {
        None => Ok(default),
        Some(Ok(limit)) => Ok(usize::try_from(limit).unwrap_or(most).clamp(1, most)),
        Some(Err(_)) => Err(unreadable("`limit` has to be a whole number")),
    }
}

fn flag(field: &str, flag: Option<&RawValue>) -> Result<Option<bool>, CommandRefusal> {
    match flag.map(RawValue::get) {
        None | Some("null") => Ok(None),
        Some("true") => Ok(Some(true)),
        Some("false") => Ok(Some(false)),
        Some(_) => Err(unreadable(format!("`{field}` has to be true or false"))),
    }
}

fn misnamed(field: &str) -> CommandRefusal {
    unreadable(format!("`{field}` has to be {NAME_RULE}"))
}

fn users(users: Option<UserList<'_>>) -> Result<Vec<Cow<'_, str>>, CommandRefusal> {
    let users = users.ok_or_else(|| unreadable("`users` is missing"))?.0;
    if users.iter().all(|user| is_name(user)) { Ok(users) } else { Err(misnamed("users")) }
}

fn data<'a>(data: Option<&'a RawValue>, bytes: Option<&'a [u8]>) -> Result<SentData<'a>, CommandRefusal> {
    match (data, bytes) {
        (None, Some(bytes)) => return Ok(SentData::Binary(bytes.into())),
        (Some(_), Some(_)) => return Err(unreadable("`data` is there twice: as JSON, and as bytes")),
        (_, None) => {}
    }
    let data = data.map(RawValue::get).ok_or_else(|| unreadable("`data` is missing"))?;
    readable("data", data).map(SentData::Json)
}

fn id(id: TextField<'_>) -> Result<Cow<'_, str>, CommandRefusal> {
    // A text of more bytes than that has too many characters, and is not to be counted.
    let is_short = id.0.len() <= 4 * SAY_ID_CHARS_MAX;
    if is_short && (1..=SAY_ID_CHARS_MAX).contains(&id.0.chars().count()) {
        return Ok(id.0);
    }
    Err(unreadable(format!("`id` has to be 1 to {SAY_ID_CHARS_MAX} characters")))
}

/// A number that is too great for any offset is as good as the greatest.
fn number(field: &str, number: Option<&RawValue>) -> Result<Option<u64>, CommandRefusal> {
    match number.map(RawValue::get) {
        None | Some("null") => Ok(None),
        Some(number) if !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()) => {
            Ok(Some(number.parse().unwrap_or(u64::MAX)))
        }
        Some(_) => Err(unreadable(format!("`{field}` has to be a whole number"))),
    }
}

fn since(since: Option<&RawValue>) -> Result<Option<Since>, CommandRefusal> {
    let Some(text) = since.map(RawValue::get).filter(|text| *text != "null") else { return Ok(None) };
    let position: Option<Position<'_>> = serde_json::from_str(text).ok().filter(|_| is_object(text));
    let position =
        position.map(|position| (number("epoch", position.epoch), number("offset", position.offset)));
    match position {
        Some((Ok(Some(epoch)), Ok(Some(offset)))) => Ok(Some(Since { epoch, offset })),
        _ => {
            Err(unreadable(r#"`since` has to be {"epoch":N,"offset":N}, as an answer or a message had them"#))
        }
    }
}

fn history(params: Params<'_>) -> Result<Command<'_>, CommandRefusal> {
    let room = named("room", params.room)?;
    let (before, after) = (number("before", params.before)?, number("after", params.after)?);
    let from = match (before, after) {
        (Some(_), Some(_)) => return Err(unreadable("`before` or `after`, and not both")),
        (before, None) => HistoryFrom::Before(before),
        (None, Some(after)) => HistoryFrom::After(after),
    };
    Ok(Command::History { room, from, limit: limit(params.limit, (PAST_DEFAULT, PAST_MAX))? })
}

/// JSON that others are sent beside what is theirs.
fn readable<'a>(field: &str, text: &'a str) -> Result<Cow<'a, str>, CommandRefusal> {
    json::judge(text).map(|()| text.into()).map_err(|fault| unreadable(format!("`{field}` {fault}")))
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
    use crate::limits::USERS_PER_COMMAND_MAX;
    use crate::protocol::refusal;

    #[test]
    fn data_travels_byte_for_byte() {
        let text = r#"{"seq":7,"cmd":"say","params":{"room":"r","data":{ "b":1e2,  "a":"\u00e4" }}}"#;
        let Ok((7, Command::Say { data: SentData::Json(data), echo: true, .. })) = decode(text) else {
            panic!()
        };
        assert_eq!(data, r#"{ "b":1e2,  "a":"\u00e4" }"#);
    }

    #[test]
    fn null_is_data_too() {
        let text = r#"{"cmd":"say","params":{"room":"r","data":null}}"#;
        assert!(
            matches!(decode(text), Ok((0, Command::Say { data: SentData::Json(data), .. })) if data == "null")
        );
        let text = r#"{"cmd":"status","params":{"info":null}}"#;
        assert!(
            matches!(decode(text), Ok((0, Command::Status { state: None, info: Some(info), .. })) if info == "null")
        );
    }

    #[test]
    fn every_refusal_says_what_to_do() {
        let nested = "[".repeat(33) + &"]".repeat(33);
        let deep = |cmd: &str, fields: &str| format!(r#"{{"cmd":"{cmd}","params":{{"{fields}":{nested}}}}}"#);
        for (text, code, error) in [
            ("hello", 400, "not a command"),
            ("[1]", 400, "not a command"),
            (r#"{"seq":1}"#, 400, "`cmd` is missing"),
            (r#"{"seq":1.5,"cmd":"heartbeat"}"#, 400, "whole number"),
            (r#"{"seq":1,"cmd":"fly"}"#, 400, "unknown command `fly`"),
            (r#"{"seq":1,"cmd":"join"}"#, 400, "`room` is missing"),
            (r#"{"seq":1,"cmd":"auth"}"#, 400, "`token` is missing"),
            (r#"{"seq":1,"cmd":"join","params":{"room":"a*"}}"#, 400, "1 to 128"),
            (r#"{"seq":1,"cmd":"join","params":{"room":"a\n"}}"#, 400, "1 to 128"),
            (r#"{"seq":1,"cmd":"join","params":{"room":5}}"#, 400, "invalid type"),
            (r#"{"seq":1,"cmd":"say","params":{"room":"a"}}"#, 400, "`data` is missing"),
            (
                r#"{"seq":1,"cmd":"status","params":{"state":"dead"}}"#,
                400,
                "`online`, `away`, `busy` or `inv",
            ),
            (
                r#"{"cmd":"status","params":{"state":"busy","info_ttl":5}}"#,
                400,
                "`info_ttl` comes with `info`",
            ),
            (r#"{"cmd":"status","params":{"info":1,"info_ttl":0}}"#, 400, "`info_ttl` is a whole number"),
            (r#"{"cmd":"status","params":{"info":1,"info_ttl":2592001}}"#, 400, "from 1 to 2592000"),
            (r#"{"cmd":"status","params":{"info":1,"info_ttl":"1h"}}"#, 400, "`info_ttl` is a whole number"),
            (r#"{"seq":1,"cmd":"status"}"#, 400, "`state` or `info`"),
            (r#"{"cmd":"status","params":{"info":"\udead"}}"#, 400, "`info` has half a surrogate pair"),
            (r#"{"cmd":"status","params":{"info":[1e999]}}"#, 400, "`info` has a number"),
            (
                r#"{"cmd":"tell","params":{"user":"a","data":{"\udead":1}}}"#,
                400,
                "`data` has half a surrogate",
            ),
            (&deep("status", "info"), 400, "`info` is more than 32 deep"),
            (&deep("say", "room\":\"r\",\"data"), 400, "`data` is more than 32 deep"),
        ] {
            let (_, why) = decode(text).expect_err(text);
            assert_eq!(refusal::code(&why), code, "{text}");
            assert!(refusal::sentence(&why).contains(error), "{text}: {why:?}");
        }
        let users = vec!["\"u\""; USERS_PER_COMMAND_MAX + 1].join(",");
        let text = format!(r#"{{"seq":3,"cmd":"watch","params":{{"users":[{users}]}}}}"#);
        assert_eq!(decode(&text).map(|_| ()), Err((3, CommandRefusal::TooManyUsers)));
    }

    #[test]
    fn a_foreign_command_is_one_that_the_protocol_does_not_have() {
        for name in COMMANDS {
            let text = format!(r#"{{"seq":1,"cmd":"{name}","params":{{}}}}"#);
            assert!(foreign(&text).is_none());
            let unknown =
                |why| matches!(why, CommandRefusal::Unreadable(words) if words.contains("unknown command"));
            assert!(!decode(&text).is_err_and(|(_, why)| unknown(why)), "{name}");
        }
        assert_eq!(foreign(r#"{"seq":1,"cmd":"fly"}"#), Some(("fly".into(), "{}")));
        assert_eq!(foreign(r#"{"cmd":"fl\u0079","params":{"to": 1}}"#), Some(("fly".into(), r#"{"to": 1}"#)));
        for text in [r#"{"cmd":"fly","params":[]}"#, r#"{"seq":1}"#, "[]", "fly"] {
            assert!(foreign(text).is_none(), "{text}");
        }
    }

    #[test]
    fn no_refusal_quotes_what_was_sent() {
        let long = "\\n".repeat(10_000);
        for text in [
            format!(r#""{long}""#),
            format!(r#"{{"cmd":"{long}"}}"#),
            format!(r#"{{"cmd":"join","params":"{long}"}}"#),
            format!(r#"{{"cmd":"join","params":{{"room":"{long}"}}}}"#),
            format!(r#"{{"cmd":"watch","params":{{"users":"{long}"}}}}"#),
            format!(r#"{{"cmd":"watch","params":{{"users":["{long}"]}}}}"#),
            format!(r#"{{"cmd":"watch","params":{{"users":[],"suspect":"{long}"}}}}"#),
            format!(r#"{{"cmd":"who","params":{{"room":"a","limit":"{long}"}}}}"#),
            format!(r#"{{"cmd":"say","params":{{"room":"a","data":1,"echo":"{long}"}}}}"#),
            format!(r#"{{"cmd":"status","params":{{"state":"{long}"}}}}"#),
            format!(r#"{{"seq":"{long}","cmd":"heartbeat"}}"#),
        ] {
            let (_, why) = decode(&text).map(|_| ()).expect_err(&text[..40]);
            let (code, sentence) = (refusal::code(&why), refusal::sentence(&why));
            assert!(code == 400 && sentence.len() < 150, "{text:.60}: {sentence:.200}");
        }
    }

    #[test]
    fn a_list_of_users_is_read_as_far_as_it_may_be() {
        let users = vec!["\"u\""; USERS_PER_COMMAND_MAX].join(",");
        let broken = format!(r#"{{"params":{{"users":[{users},"u",}}"#);
        let Err(error) = serde_json::from_str::<ClientMessage<'_>>(&broken) else { panic!("it is read") };
        assert!(error.to_string().starts_with(TOO_MANY_USERS), "{error}");
        let text = format!(r#"{{"cmd":"watch","params":{{"users":[{users}]}}}}"#);
        let Ok((0, Command::Watch { users, .. })) = decode(&text) else { panic!("256 are not too many") };
        assert!(users.iter().all(|user| matches!(user, Cow::Borrowed("u"))), "nothing is copied");
    }

    #[test]
    fn seq_may_be_missing_and_params_too() {
        assert!(matches!(decode(r#"{"cmd":"heartbeat"}"#), Ok((0, Command::Heartbeat))));
        assert!(matches!(
            decode(r#"{"cmd":"heartbeat","params":null,"seq":-3,"more":[]}"#),
            Ok((-3, Command::Heartbeat))
        ));
    }
}
