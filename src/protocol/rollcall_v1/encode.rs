//! `rollcall.v1` as the server writes it: answers and events, JSON in text messages.
//!
//! Names are text, and quoted as that; `data` and `info` are JSON that was checked when it came in, and travel byte for byte.

use std::fmt::Write;

use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;

use crate::json::{Quoted, QuotedOrNull};
use crate::limits::SAY_BYTES;
use crate::presence::event::Event;
use crate::presence::message::{MemberPage, MembershipChange, RoomPosition};
use crate::presence::{Data, Ending, HistoryPage, Name, Past, Recovery, State, View};
use crate::protocol::refusal;
use crate::time::Now;
use crate::wire::close::CloseCode;

/// An event or an answer, as its client gets it.
#[must_use]
pub fn encode(event: &Event) -> String {
    match event {
        Event::Welcome { id, user, heartbeat_millis, unix_millis } => {
            welcome(*id, user.as_deref(), *heartbeat_millis, *unix_millis)
        }
        Event::Changed { user, state, view } => presence(user, view, *state),
        Event::Joined { room, user, place } => member("join", room, user, *place),
        Event::Left { room, user, place } => member("leave", room, user, *place),
        Event::Room { room, change, members } => stands(room, change, members.as_deref()),
        Event::Forced { room, user, place, joins } => forced(room, user, *place, *joins),
        Event::Said { room, from, data, place, unix_millis } => {
            say(room, from.as_deref(), Some(data), *place, *unix_millis)
        }
        Event::Told { from, data, unix_millis } => tell(from.as_deref(), Some(data), *unix_millis),
        Event::Broadcast { data, unix_millis } => {
            format!(r#"{{"event":"broadcast","data":{data},"time_ms":{unix_millis}}}"#)
        }
        Event::Refused { seq, why } => {
            let (code, error) = (refusal::code(why), refusal::sentence(why));
            let error = Quoted(&error);
            format!(r#"{{"seq":{seq},"body":{{"code":{code},"error":{error}}}}}"#)
        }
        Event::Done { seq } => format!(r#"{{"seq":{seq},"body":{{"code":200}}}}"#),
        Event::Heard { seq, unix_millis } => success(*seq, &format!(r#""time_ms":{unix_millis}"#)),
        Event::Authenticated { seq, user, expires_millis } => {
            success(*seq, &format!(r#""user":{},"expires_ms":{expires_millis}"#, Quoted(user)))
        }
        Event::Placed { seq, place, recovery } => placed(*seq, *place, recovery.as_deref()),
        Event::History { seq, page } => history(*seq, page),
        Event::Spoken { seq, place: RoomPosition { epoch, offset, .. } } => {
            success(*seq, &format!(r#""epoch":{epoch},"offset":{offset}"#))
        }
        Event::Delivered { seq, to } => success(*seq, &format!(r#""delivered":{to}"#)),
        Event::Stated { seq, state } => success(*seq, &format!(r#""state":"{}""#, state.name())),
        Event::Views { seq, views, suspect } => seen(*seq, views, *suspect),
        Event::Members { seq, page, views } => who(*seq, page, views),
    }
}

fn length(text: Option<&str>) -> usize {
    text.map_or(0, str::len)
}

/// `say`; without its data where these are behind it.
pub(super) fn say(
    room: &str,
    from: Option<&str>,
    data: Option<&Data>,
    RoomPosition { epoch, offset, .. }: RoomPosition,
    time: u64,
) -> String {
    let mut json =
        String::with_capacity(SAY_BYTES + length(Some(room)) + length(from) + data.map_or(0, Data::len));
    let (room, from, data) = (Quoted(room), QuotedOrNull(from), DataField(data));
    let _ = write!(
        json,
        r#"{{"event":"say","room":{room},"from":{from},{data}"epoch":{epoch},"offset":{offset},"time_ms":{time}}}"#
    );
    json
}

/// `tell`; without its data where these are behind it.
pub(super) fn tell(from: Option<&str>, data: Option<&Data>, time: u64) -> String {
    let (from, data) = (QuotedOrNull(from), DataField(data));
    format!(r#"{{"event":"tell","from":{from},{data}"time_ms":{time}}}"#)
}

/// The answer to a command of a program's own, with the JSON `data`.
#[must_use]
pub fn answer(seq: i64, data: &str) -> String {
    success(seq, &format!(r#""data":{data}"#))
}

/// The close code with which a client is closed, and the reason that goes with it.
#[must_use]
pub fn closing(why: &Ending) -> (CloseCode, &str) {
    match why {
        Ending::Flooding => (CloseCode(4429), "too many messages"),
        Ending::Replaced => (CloseCode(4409), "replaced by a newer connection"),
        Ending::Kicked(words) => (CloseCode(4403), words.as_deref().unwrap_or("kicked")),
        Ending::Expired => (CloseCode(4401), "token expired"),
        Ending::NoToken => (CloseCode::TIMEOUT, "no token came in time"),
        Ending::BadToken => (CloseCode(4401), "bad token"),
        Ending::UnknownToken => (CloseCode::TRY_AGAIN, "token not known yet"),
    }
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

fn welcome(id: u64, user: Option<&str>, (interval, timeout): (u64, u64), time: u64) -> String {
    let user = QuotedOrNull(user);
    format!(
        r#"{{"event":"welcome","id":"{id:016x}","user":{user},"heartbeat":{{"interval_ms":{interval},"timeout_ms":{timeout}}},"time_ms":{time}}}"#
    )
}

fn presence(user: &str, view: &View, state: State) -> String {
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

/// `join` or `leave`.
fn member(
    event: &str,
    room: &str,
    user: &str,
    RoomPosition { count, membership, .. }: RoomPosition,
) -> String {
    let (room, user) = (Quoted(room), Quoted(user));
    format!(r#"{{"event":"{event}","room":{room},"user":{user},"count":{count},"membership":{membership}}}"#)
}

/// `join` or `leave` to the client itself: with its place, as an answer would have, and by whom that is.
fn forced(room: &str, user: &str, place: RoomPosition, joins: bool) -> String {
    let event = if joins { "join" } else { "leave" };
    let RoomPosition { count, epoch, offset, membership } = place;
    let (room, user) = (Quoted(room), Quoted(user));
    format!(
        r#"{{"event":"{event}","room":{room},"user":{user},"count":{count},"membership":{membership},"epoch":{epoch},"offset":{offset},"by":"server"}}"#
    )
}

/// The answer to `join` and `leave`.
fn placed(seq: i64, place: RoomPosition, recovery: Option<&Recovery>) -> String {
    let RoomPosition { count, epoch, offset, membership } = place;
    let mut body = String::with_capacity(recovery.map_or(0, Recovery::bytes) + 128);
    let _ = write!(body, r#""count":{count},"epoch":{epoch},"offset":{offset},"membership":{membership}"#);
    if let Some(Recovery { recovered, messages, gap }) = recovery {
        let _ = write!(body, r#","recovered":{recovered},"messages":"#);
        write_past(&mut body, messages);
        if let Some((from, to)) = gap {
            let _ = write!(body, r#","gap":{{"from":{from},"to":{to}}}"#);
        }
    }
    success(seq, &body)
}

fn history(seq: i64, page: &HistoryPage) -> String {
    let mut body = String::with_capacity(page.bytes() + 256);
    write_history(&mut body, page);
    success(seq, &body)
}

/// A part of a room's history, as the fields of an object.
pub fn write_history(json: &mut String, page: &HistoryPage) {
    let HistoryPage { room, epoch, first, last, messages } = page;
    let room = Quoted(room);
    let _ = write!(json, r#""room":{room},"epoch":{epoch},"first":{first},"last":{last},"messages":"#);
    write_past(json, messages);
}

fn write_past(json: &mut String, messages: &[Past]) {
    json.push('[');
    for (i, Past { from, data, offset, unix_millis }) in messages.iter().enumerate() {
        json.push_str(if i > 0 { ",{" } else { "{" });
        let _ = match data {
            Some(data) => {
                write!(json, r#""from":{},"data":{},"#, QuotedOrNull(from.as_deref()), Relayed(data))
            }
            None => write!(json, r#""deleted":true,"#),
        };
        let _ = write!(json, r#""offset":{offset},"time_ms":{unix_millis}}}"#);
    }
    json.push(']');
}

/// `room`: of a big one, or of one that is no more.
fn stands(room: &str, change: &MembershipChange, members: Option<&[Name]>) -> String {
    let of = |users: &[(Name, bool)], is_in| {
        let names = users.iter().filter(|(_, is)| *is == is_in);
        joined(names.map(|(name, _)| Quoted(name).to_string()))
    };
    let lists = match (members, change.users.as_deref()) {
        (Some(members), _) => {
            let members = joined(members.iter().map(|name| Quoted(name).to_string()));
            format!(r#""list":true,"members":[{members}]"#)
        }
        (None, None) => r#""list":false"#.to_owned(),
        (None, Some(users)) => {
            let (joined, left) = (of(users, true), of(users, false));
            format!(r#""list":true,"joined":[{joined}],"left":[{left}]"#)
        }
    };
    let MembershipChange { since, place: RoomPosition { count, epoch, offset, membership }, .. } = change;
    let room = Quoted(room);
    format!(
        r#"{{"event":"room","room":{room},"count":{count},"membership":{membership},"epoch":{epoch},"offset":{offset},"since":{since},{lists}}}"#
    )
}

/// The answer to `watch` and `presence`: views, with suspicions or without.
fn seen(seq: i64, views: &[(Name, View)], suspect: bool) -> String {
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
fn who(seq: i64, page: &MemberPage, views: &[(Name, View)]) -> String {
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
    let RoomPosition { count, epoch, offset, membership } = page.place;
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

/// What one says to others: JSON as it was sent, or bytes in base64 (RFC 4648 §4).
struct Relayed<'a>(&'a Data);

impl std::fmt::Display for Relayed<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Data::Json(text) => f.write_str(text),
            Data::Binary(bytes) => {
                write!(f, r#"{{"$binary":"{}"}}"#, Base64Display::new(bytes, &STANDARD))
            }
        }
    }
}

/// The field `data` with the comma behind it, or nothing.
struct DataField<'a>(Option<&'a Data>);

impl std::fmt::Display for DataField<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.map_or(Ok(()), |data| write!(f, r#""data":{},"#, Relayed(data)))
    }
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
