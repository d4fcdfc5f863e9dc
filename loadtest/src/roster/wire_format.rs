//! `rollcall.v1` as these scenarios speak it: what is sent, and the little that is read from what comes.

use std::borrow::Cow;
use std::fmt::Write as _;

use serde::Deserialize;

use crate::engine::link::text_frame;
use crate::roster::population::Role;

/// The subprotocol that is offered.
pub const SUBPROTOCOL: &str = "rollcall.v1";
/// The `seq` of each command, which comes back with the answer.
pub const JOIN: i64 = 1;
pub const WATCH: i64 = 2;
pub const SAY: i64 = 3;

/// Path and query with which a connection's user upgrades.
pub fn path(plain: &str, names: &str, role: Role) -> String {
    let sign = if plain.contains('?') { '&' } else { '?' };
    format!("{plain}{sign}user={}", name(names, role))
}

/// The name of a connection's user; `names` begins the names of all users of the run.
pub fn name(names: &str, role: Role) -> String {
    match role {
        Role::Watcher(index) => format!("w-{names}-{index}"),
        Role::User(number) => format!("{names}-{number}"),
    }
}

/// The user of that name; `None` where it is none of ours.
pub fn number(names: &str, name: &str) -> Option<usize> {
    name.strip_prefix(names)?.strip_prefix('-')?.parse().ok()
}

pub fn join(room: usize) -> Vec<u8> {
    text_frame(format!(r#"{{"seq":{JOIN},"cmd":"join","params":{{"room":"room-{room}"}}}}"#).as_bytes())
}

pub fn watch(names: &str, users: &[usize]) -> Vec<u8> {
    let mut text = format!(r#"{{"seq":{WATCH},"cmd":"watch","params":{{"users":["#);
    for (at, user) in users.iter().enumerate() {
        let _ = write!(text, "{}\"{names}-{user}\"", if at == 0 { "" } else { "," });
    }
    text.push_str("]}}");
    text_frame(text.as_bytes())
}

/// Says in a room when this message was due: its data is the moment.
pub fn say(room: usize, due: u64) -> Vec<u8> {
    let params = format!(r#"{{"room":"room-{room}","data":"{due:016x}"}}"#);
    text_frame(format!(r#"{{"seq":{SAY},"cmd":"say","params":{params}}}"#).as_bytes())
}

/// What came, as far as it matters here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Heard {
    /// The server's greeting: whether it knows us by our name, and its heartbeat in milliseconds.
    Welcome { named: bool, interval_ms: u64, timeout_ms: u64 },
    /// The answer to a command, and how many of the users in it are online.
    Answer { seq: i64, code: u16, online: usize },
    /// A user is gone, and whether for not answering.
    Offline { user: usize, silent: bool },
    /// A message in a room, due at that moment, and its place in the room's order.
    Said { due: u64, offset: u64 },
    /// A message to everybody.
    Broadcast,
    /// Anything else that is well-formed.
    Other,
    /// No JSON of the protocol.
    Nonsense,
}

#[derive(Deserialize)]
struct Message<'a> {
    seq: Option<i64>,
    #[serde(borrow)]
    body: Option<Body<'a>>,
    #[serde(borrow)]
    event: Option<Cow<'a, str>>,
    #[serde(borrow)]
    user: Option<Cow<'a, str>>,
    #[serde(borrow)]
    state: Option<Cow<'a, str>>,
    #[serde(borrow)]
    reason: Option<Cow<'a, str>>,
    #[serde(borrow)]
    data: Option<Cow<'a, str>>,
    heartbeat: Option<Heartbeat>,
    offset: Option<u64>,
}

#[derive(Deserialize)]
struct Body<'a> {
    code: u16,
    #[serde(borrow, default)]
    users: Vec<View<'a>>,
}

#[derive(Deserialize)]
struct View<'a> {
    #[serde(borrow)]
    state: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Heartbeat {
    interval_ms: u64,
    timeout_ms: u64,
}

/// How a message to everybody begins: it is not read any further, for it comes to all at once.
const BROADCAST: &[u8] = br#"{"event":"broadcast","#;

/// Reads one message to the connection of this role.
pub fn hear(payload: &[u8], names: &str, role: Role) -> Heard {
    if payload.starts_with(BROADCAST) {
        return Heard::Broadcast;
    }
    let Ok(message) = serde_json::from_slice::<Message<'_>>(payload) else { return Heard::Nonsense };
    if let (Some(seq), Some(body)) = (message.seq, &message.body) {
        let online = body.users.iter().filter(|view| view.state == "online").count();
        return Heard::Answer { seq, code: body.code, online };
    }
    let user = message.user.as_deref();
    match message.event.as_deref() {
        Some("say") => {
            let due = message.data.and_then(|data| u64::from_str_radix(&data, 16).ok());
            due.zip(message.offset).map_or(Heard::Other, |(due, offset)| Heard::Said { due, offset })
        }
        Some("presence") if message.state.as_deref() == Some("offline") => {
            let silent = message.reason.as_deref() == Some("timeout");
            user.and_then(|user| number(names, user))
                .map_or(Heard::Other, |user| Heard::Offline { user, silent })
        }
        Some("welcome") => {
            let named = user == Some(name(names, role).as_str());
            let beat = message.heartbeat.unwrap_or(Heartbeat { interval_ms: 0, timeout_ms: 0 });
            Heard::Welcome { named, interval_ms: beat.interval_ms, timeout_ms: beat.timeout_ms }
        }
        _ => Heard::Other,
    }
}

#[cfg(test)]
mod tests {
    use rollcall::internals::wire::frame::{Header, Parsed};
    use rollcall::internals::wire::mask;

    use super::*;

    #[test]
    fn a_request_names_its_user() {
        assert_eq!(path("/ws", "u", Role::User(7)), "/ws?user=u-7");
        assert_eq!(path("/ws?a=1", "u", Role::User(7)), "/ws?a=1&user=u-7");
    }

    #[test]
    fn commands_are_the_protocols_json() {
        let commands = [
            (join(3), r#"{"seq":1,"cmd":"join","params":{"room":"room-3"}}"#),
            (watch("u", &[1, 20]), r#"{"seq":2,"cmd":"watch","params":{"users":["u-1","u-20"]}}"#),
            (say(0, 255), r#"{"seq":3,"cmd":"say","params":{"room":"room-0","data":"00000000000000ff"}}"#),
        ];
        for (mut frame, text) in commands {
            let Ok(Parsed::Header(header, at)) = Header::parse(&frame) else { panic!("no header") };
            mask::apply(&mut frame[at..], header.mask.expect("a client masks"));
            assert_eq!(std::str::from_utf8(&frame[at..]), Ok(text));
        }
    }

    #[test]
    fn what_comes_is_told_apart() {
        let heard = |text: &str| hear(text.as_bytes(), "u", Role::User(7));
        let welcome = r#"{"event":"welcome","id":"1f","user":"u-7","heartbeat":{"interval_ms":2000,"timeout_ms":1000},"time_ms":1}"#;
        assert_eq!(heard(welcome), Heard::Welcome { named: true, interval_ms: 2000, timeout_ms: 1000 });
        let other = welcome.replace("u-7", "u-8");
        assert!(matches!(heard(&other), Heard::Welcome { named: false, .. }));
        let gone = r#"{"event":"presence","user":"u-42","state":"offline","version":3,"last_seen_ms":5,"reason":"timeout","connections":0}"#;
        assert_eq!(heard(gone), Heard::Offline { user: 42, silent: true });
        assert_eq!(heard(&gone.replace("timeout", "closed")), Heard::Offline { user: 42, silent: false });
        assert_eq!(heard(&gone.replace("offline", "away")), Heard::Other);
        assert_eq!(heard(&gone.replace("u-42", "w-1")), Heard::Other);
        let answer = r#"{"seq":2,"body":{"code":200,"users":[{"user":"u-1","state":"online","last_seen_ms":null},{"user":"u-2","state":"offline"}]}}"#;
        assert_eq!(heard(answer), Heard::Answer { seq: 2, code: 200, online: 1 });
        let said = r#"{"event":"say","room":"room-0","from":"u-1","data":"00000000000000ff","epoch":1,"offset":2,"time_ms":3}"#;
        assert_eq!(heard(said), Heard::Said { due: 255, offset: 2 });
        assert_eq!(heard(r#"{"event":"join","room":"room-0","user":"u-3","count":2}"#), Heard::Other);
        assert_eq!(heard(r#"{"event":"broadcast","data":1,"time_ms":3}"#), Heard::Broadcast);
        assert_eq!(heard("pong"), Heard::Nonsense);
    }
}
