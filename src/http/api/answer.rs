//! Replies as JSON. Names are quoted as text; `info` is JSON that was checked when it came in.

use std::fmt::Write as _;

use crate::json::{Quoted, QuotedOrNull};
use crate::limits::API_ERROR_BYTES_MAX;
use crate::presence::admin::{AdminReply, Listing};
use crate::presence::message::RoomPosition;
use crate::presence::{Name, State, View};
use crate::protocol::refusal;
use crate::protocol::rollcall_v1;
use crate::wire::http::Response;

/// A reply of presence.
pub(crate) fn response(reply: AdminReply) -> Response {
    let body = match reply {
        AdminReply::Users(page) => {
            format!(r#"{{"users":[{}],"next":{}}}"#, all(page.rows.iter(), user), next(&page))
        }
        AdminReply::User(name, view) => user(&(name, view)),
        AdminReply::Told(delivered) => format!(r#"{{"delivered":{delivered}}}"#),
        AdminReply::Disconnected(connections, None) => format!(r#"{{"disconnected":{connections}}}"#),
        AdminReply::Disconnected(connections, Some(until)) => {
            format!(r#"{{"disconnected":{connections},"until_ms":{until}}}"#)
        }
        AdminReply::Banned(until) => format!(r#"{{"until_ms":{until}}}"#),
        AdminReply::Lifted => r#"{"lifted":true}"#.to_owned(),
        AdminReply::Rooms(page) => {
            let room =
                |(room, count): &(Name, usize)| format!(r#"{{"room":{},"count":{count}}}"#, Quoted(room));
            format!(r#"{{"rooms":[{}],"next":{}}}"#, all(page.rows.iter(), room), next(&page))
        }
        AdminReply::Members(page, views) => {
            let RoomPosition { count, epoch, offset, membership } = page.place;
            format!(
                r#"{{"room":{},"count":{count},"epoch":{epoch},"offset":{offset},"membership":{membership},"users":[{}],"next":{}}}"#,
                QuotedOrNull(page.room.as_deref()),
                all(views.iter(), user),
                QuotedOrNull(page.next.as_deref())
            )
        }
        AdminReply::Said(RoomPosition { epoch, offset, .. }) => {
            format!(r#"{{"epoch":{epoch},"offset":{offset}}}"#)
        }
        AdminReply::History(page) => {
            let mut body = "{".to_owned();
            rollcall_v1::write_history(&mut body, &page);
            body + "}"
        }
        AdminReply::RoomDeleted(members) => format!(r#"{{"members":{members}}}"#),
        AdminReply::UserDeleted { connections, messages, done } => {
            let body = format!(r#"{{"disconnected":{connections},"messages":{messages},"done":{done}}}"#);
            return json(if done { 200 } else { 202 }, body);
        }
        AdminReply::Forced(0, _) => r#"{"connections":0}"#.to_owned(),
        AdminReply::Forced(connections, RoomPosition { count, epoch, offset, membership }) => {
            format!(
                r#"{{"connections":{connections},"count":{count},"epoch":{epoch},"offset":{offset},"membership":{membership}}}"#
            )
        }
        AdminReply::Broadcast { delivered, missed, done } => {
            let body = format!(r#"{{"delivered":{delivered},"missed":{missed},"done":{done}}}"#);
            // It goes on: the figures are those of now.
            return json(if done { 200 } else { 202 }, body);
        }
        AdminReply::Refused(why) => return error(refusal::code(&why), &refusal::sentence(&why)),
    };
    json(200, body)
}

/// A refusal.
pub(crate) fn error(status: u16, error: &str) -> Response {
    let error = &error[..error.floor_char_boundary(API_ERROR_BYTES_MAX)];
    let response = json(status, format!(r#"{{"error":{}}}"#, Quoted(error)));
    if status == 503 { response.with("Retry-After", "1") } else { response }
}

/// A body of JSON, with the line feed that a terminal wants.
pub(crate) fn json(status: u16, mut body: String) -> Response {
    body.push('\n');
    Response { status, content_type: "application/json", fields: Vec::new(), body: body.into_bytes().into() }
}

/// A user: who runs the server sees also who is invisible, and with how many connections.
fn user((user, view): &(Name, View)) -> String {
    let connections = if view.unseen > 0 { view.unseen.into() } else { view.connections };
    let state = if view.unseen > 0 { State::Invisible } else { view.state };
    let known = |millis: u64| if millis == 0 { "null".to_owned() } else { millis.to_string() };
    let mut json = format!(
        r#"{{"user":{},"state":"{}","since_ms":{},"last_seen_ms":{},"connections":{},"version":{},"info":{}"#,
        Quoted(user),
        state.name(),
        known(view.since_millis),
        known(view.last_seen_millis),
        connections,
        view.version,
        view.info.as_deref().unwrap_or("null")
    );
    if let Some(reason) = view.reason {
        let _ = write!(json, r#","reason":"{}""#, reason.name());
    }
    json.push('}');
    json
}

fn all<'a, T: 'a>(rows: impl Iterator<Item = &'a T>, row: impl Fn(&T) -> String) -> String {
    rows.map(row).collect::<Vec<_>>().join(",")
}

fn next<T>(page: &Listing<T>) -> QuotedOrNull<'_> {
    QuotedOrNull(page.next.as_deref())
}
