//! `rollcall.v1` as the server writes it: answers and events, JSON in text messages.
//!
//! Names are text, and quoted as that; `data` and `info` are JSON that was checked when it came in, and travel byte for byte.

use std::fmt::Write;

use crate::json::{Quoted, QuotedOrNull};
use crate::presence::envelope::{Answer, MembershipChange, Page, Place};
use crate::presence::name::Name;
use crate::presence::view::{State, View};
use crate::time::Now;

/// `welcome`: the first message of a connection that speaks `rollcall.v1`. `id` names the connection, and counts nothing.
#[must_use]
pub fn welcome(
    id: u64,
    user: Option<&str>,
    (interval_millis, timeout_millis): (u64, u64),
    now: Now,
) -> String {
    let user = QuotedOrNull(user);
    let time = now.unix_millis;
    format!(
        r#"{{"event":"welcome","id":"{id:016x}","user":{user},"heartbeat":{{"interval_ms":{interval_millis},"timeout_ms":{timeout_millis}}},"time_ms":{time}}}"#
    )
}

/// `presence`: a user has changed. `state` is what the watcher gets to see.
#[must_use]
pub fn presence(user: &str, view: &View, state: State) -> String {
    let mut json = format!(
        r#"{{"event":"presence","user":{},"state":"{}","version":{},"last_seen_ms":{}"#,
        Quoted(user),
        state.name(),
        view.version,
        Known(view.last_seen_millis)
    );
    if let Some(reason) = view.reason {
        let _ = write!(json, r#","reason":"{}""#, reason.name());
    }
    let _ = write!(json, r#","connections":{}"#, view.connections);
    if let Some(info) = &view.info {
        let _ = write!(json, r#","info":{info}"#);
    }
    json.push('}');
    json
}

/// `join`: a user came into a room, which stands there now.
#[must_use]
pub fn join(room: &str, user: &str, place: Place) -> String {
    let (room, user) = (Quoted(room), Quoted(user));
    let Place { count, membership, .. } = place;
    format!(r#"{{"event":"join","room":{room},"user":{user},"count":{count},"membership":{membership}}}"#)
}

/// `leave`: a user went out of a room, which stands there now.
#[must_use]
pub fn leave(room: &str, user: &str, place: Place) -> String {
    let (room, user) = (Quoted(room), Quoted(user));
    let Place { count, membership, .. } = place;
    format!(r#"{{"event":"leave","room":{room},"user":{user},"count":{count},"membership":{membership}}}"#)
}

/// `room`: how many members a big room has, and who came and went since the last event, unless that is too much to say: then
/// no list of the room is right any more.
#[must_use]
pub fn room(room: &str, change: &MembershipChange) -> String {
    let of = |users: &[(Name, bool)], is_in| {
        let names = users.iter().filter(|(_, is)| *is == is_in);
        joined(names.map(|(name, _)| Quoted(name).to_string()))
    };
    let lists = change.users.as_deref().map_or_else(
        || r#""list":false"#.to_owned(),
        |users| {
            let (joined, left) = (of(users, true), of(users, false));
            format!(r#""list":true,"joined":[{joined}],"left":[{left}]"#)
        },
    );
    stands(room, change, &lists)
}

/// `room`: a room that was big is small again, with all its members.
#[must_use]
pub fn room_again_small<'a>(
    room: &str,
    change: &MembershipChange,
    members: impl Iterator<Item = &'a Name>,
) -> String {
    let members = joined(members.map(|name| Quoted(name).to_string()));
    stands(room, change, &format!(r#""list":true,"members":[{members}]"#))
}

/// Bytes of a name in a list of these, unless some have to be escaped.
pub(crate) fn listed_bytes(name: &str) -> usize {
    name.len() + r#""","#.len()
}

fn stands(room: &str, change: &MembershipChange, lists: &str) -> String {
    let MembershipChange { since, place: Place { count, membership, .. }, .. } = change;
    let room = Quoted(room);
    format!(
        r#"{{"event":"room","room":{room},"count":{count},"membership":{membership},"since":{since},{lists}}}"#
    )
}

/// `join` or `leave` to the client itself, which did not ask for it: with its place, as an answer would have, and by whom that is.
#[must_use]
pub fn brought(user: &str, answer: &Answer) -> Option<String> {
    let (event, room, place) = match answer {
        Answer::Joined(room, place) => ("join", room, place),
        Answer::Left(room, place) => ("leave", room, place),
        _ => return None,
    };
    let Place { count, epoch, offset, membership } = place;
    let (room, user) = (Quoted(room), Quoted(user));
    Some(format!(
        r#"{{"event":"{event}","room":{room},"user":{user},"count":{count},"membership":{membership},"epoch":{epoch},"offset":{offset},"by":"server"}}"#
    ))
}

/// `say`: what a member said, or nobody: then it came from outside.
#[must_use]
pub fn say(room: &str, from: Option<&str>, data: &str, place: Place, now: Now) -> String {
    let Place { epoch, offset, .. } = place;
    let (room, from, time) = (Quoted(room), QuotedOrNull(from), now.unix_millis);
    format!(
        r#"{{"event":"say","room":{room},"from":{from},"data":{data},"epoch":{epoch},"offset":{offset},"time_ms":{time}}}"#
    )
}

/// `tell`: what one user told another, or nobody: then it came from outside.
#[must_use]
pub fn tell(from: Option<&str>, data: &str, now: Now) -> String {
    format!(r#"{{"event":"tell","from":{},"data":{data},"time_ms":{}}}"#, QuotedOrNull(from), now.unix_millis)
}

/// `broadcast`: for everybody.
#[must_use]
pub fn broadcast(data: &str, now: Now) -> String {
    format!(r#"{{"event":"broadcast","data":{data},"time_ms":{}}}"#, now.unix_millis)
}

/// `heartbeat`: for clients that can't see Pings.
#[must_use]
pub fn heartbeat(now: Now) -> String {
    format!(r#"{{"event":"heartbeat","time_ms":{}}}"#, now.unix_millis)
}

/// `goodbye`: the server closes the connection; without `retry_millis`: do not come back.
#[must_use]
pub fn goodbye(code: u16, reason: &str, retry_millis: Option<u64>) -> String {
    let retry = retry_millis.map_or_else(String::new, |millis| format!(r#","retry_ms":{millis}"#));
    let reason = Quoted(reason);
    format!(r#"{{"event":"goodbye","code":{code},"reason":{reason}{retry}}}"#)
}

/// An answer that refuses. The error is a sentence of ours, or quotes what was sent.
#[must_use]
pub fn refusal(seq: i64, code: u16, error: &str) -> String {
    let error = Quoted(error);
    format!(r#"{{"seq":{seq},"body":{{"code":{code},"error":{error}}}}}"#)
}

/// To a `tell` that finds nobody.
pub(crate) const NOT_CONNECTED: &str = "nobody of that name is connected";
/// To a `join` of a user that the room bans.
pub(crate) const BARRED: &str = "you are banned from that room for a while";
/// To a `say` in a room that can't carry it now.
pub(crate) const NOT_SAID: &str = "too much is said in that room at once: say it again later";
/// To a `tell` that finds no room.
pub(crate) const TOO_SLOW: &str = "the user reads too slowly: nothing was delivered, try again later";

/// The answer of a home to a client's command.
#[must_use]
pub fn answer(seq: i64, answer: &Answer) -> Option<String> {
    let body = match answer {
        Answer::Joined(_, place) | Answer::Left(_, place) => {
            let Place { count, epoch, offset, membership } = place;
            format!(r#""count":{count},"epoch":{epoch},"offset":{offset},"membership":{membership}"#)
        }
        Answer::Said(Place { epoch, offset, .. }) => format!(r#""epoch":{epoch},"offset":{offset}"#),
        Answer::Barred(..) => return Some(refusal(seq, 403, BARRED)),
        Answer::NotSaid => return Some(refusal(seq, 503, NOT_SAID)),
        Answer::Told { to: 0, without: 0 } => return Some(refusal(seq, 404, NOT_CONNECTED)),
        Answer::Told { to: 0, .. } => return Some(refusal(seq, 503, TOO_SLOW)),
        Answer::Unseen => {
            let error = "you do not see that user: share a room, or have a token whose claim see names them";
            return Some(refusal(seq, 403, error));
        }
        Answer::Told { to, .. } => format!(r#""delivered":{to}"#),
        Answer::Status(state) => format!(r#""state":"{}""#, state.name()),
        // Those are for desks.
        Answer::Kicked(..)
        | Answer::Banned(_)
        | Answer::Lifted(_)
        | Answer::Bringing(..)
        | Answer::NotGiven(_)
        | Answer::Busy
        | Answer::NotBrought(_)
        | Answer::Spread { .. } => return None,
    };
    Some(success(seq, &body))
}

/// The answer to `auth`.
#[must_use]
pub fn authenticated(seq: i64, user: &str, expires_millis: u64) -> String {
    success(seq, &format!(r#""user":{},"expires_ms":{expires_millis}"#, Quoted(user)))
}

/// The answer to `heartbeat`.
#[must_use]
pub fn heartbeat_answer(seq: i64, now: Now) -> String {
    success(seq, &format!(r#""time_ms":{}"#, now.unix_millis))
}

/// An answer with nothing more to say.
#[must_use]
pub fn done(seq: i64) -> String {
    format!(r#"{{"seq":{seq},"body":{{"code":200}}}}"#)
}

/// The answer to `watch` and `presence`: views, with suspicions or without.
#[must_use]
pub fn views(seq: i64, views: &[(Name, View)], suspect: bool) -> String {
    let users = views.iter().map(|(user, view)| {
        let state = if suspect { view.state } else { view.plain };
        format!(
            r#"{{"user":{},"state":"{}","last_seen_ms":{},"connections":{},"version":{},"info":{}}}"#,
            Quoted(user),
            state.name(),
            Known(view.last_seen_millis),
            view.connections,
            view.version,
            Json(view.info.as_deref())
        )
    });
    success(seq, &format!(r#""users":[{}]"#, joined(users)))
}

/// The answer to `who`: a page of a room's members.
#[must_use]
pub fn who(seq: i64, page: &Page, views: &[(Name, View)]) -> String {
    let users = views.iter().map(|(user, view)| {
        format!(
            r#"{{"user":{},"state":"{}","since_ms":{},"connections":{},"info":{}}}"#,
            Quoted(user),
            view.plain.name(),
            Known(view.since_millis),
            view.connections,
            Json(view.info.as_deref())
        )
    });
    let Place { count, epoch, offset, membership } = page.place;
    let (room, next) = (QuotedOrNull(page.room.as_deref()), QuotedOrNull(page.next.as_deref()));
    let users = joined(users);
    success(
        seq,
        &format!(
            r#""room":{room},"count":{count},"epoch":{epoch},"offset":{offset},"membership":{membership},"users":[{users}],"next":{next}"#
        ),
    )
}

fn success(seq: i64, body: &str) -> String {
    format!(r#"{{"seq":{seq},"body":{{"code":200,{body}}}}}"#)
}

fn joined(parts: impl Iterator<Item = String>) -> String {
    let mut all = String::new();
    for part in parts {
        if !all.is_empty() {
            all.push(',');
        }
        all.push_str(&part);
    }
    all
}

/// JSON, or `null`.
struct Json<'a>(Option<&'a str>);

impl std::fmt::Display for Json<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0.unwrap_or("null"))
    }
}

/// A time, or `null` where it is 0: unknown.
struct Known(u64);

impl std::fmt::Display for Known {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            0 => f.write_str("null"),
            millis => write!(f, "{millis}"),
        }
    }
}
