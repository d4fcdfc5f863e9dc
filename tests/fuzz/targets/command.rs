//! What clients say, to a server of three workers: each command is answered once, to who asked, in JSON that names its
//! `seq`; and when all are gone nothing is left.

use rollcall::internals::presence::Reason;
use rollcall::internals::protocol::rollcall_v1;
use rollcall::internals::service::legacy_heartbeats::{LegacyHeartbeats, TextKind};
use serde_json::Value;

use super::cursor::Cursor;
use super::messages::{World, command};

const CLIENTS: usize = 6;

pub(super) fn run(data: &[u8]) {
    let mut cursor = Cursor::new(data);
    let mut world = World::new(3);
    for client in 0..CLIENTS {
        // The last is nobody.
        let user = ["anna", "ben", "anna", "cleo", "dora"].get(client).copied();
        world.open(client % 3, user);
    }
    let choices = cursor.take(4);
    for (i, line) in cursor.rest().split(|byte| *byte == b'\n').take(200).enumerate() {
        let choice = choices.get(i % 4).map_or(i, |choice| usize::from(*choice).wrapping_add(i));
        if let Ok(text) = std::str::from_utf8(line) {
            say(&mut world, choice % CLIENTS, text);
        }
        world.pass(10);
    }
    world.leave(Reason::Closed);
    world.assert_empty();
}

/// As the service does it: what is no heartbeat and no name is a command.
fn say(world: &mut World, client: usize, text: &str) {
    let said = LegacyHeartbeats::default().tell(text);
    if !matches!(said, TextKind::Command) && rollcall_v1::decode(text).is_ok() {
        assert!(!matches!(said, TextKind::Name(_)), "a command that is a name");
    }
    if world.clients[client].closing {
        return;
    }
    world.heard.clear();
    let worker = world.clients[client].worker;
    let slot = world.clients[client].slot;
    command(&mut world.nodes[worker], world.now, slot, text);
    world.settle();
    let mut answers = 0;
    for (session, json) in &world.heard {
        let value: Value = serde_json::from_str(json).expect("JSON");
        assert!(value.is_object(), "{json}");
        assert!(!json.contains(['\n', '\r']) || text.contains(['\n', '\r']), "{json}");
        if let Some(body) = value.get("body") {
            assert_eq!(*session, client as u64, "an answer to somebody else");
            assert!(body["code"].is_u64() && value["seq"].is_i64(), "{json}");
            assert!(body["code"] == 200 || body["error"].is_string(), "{json}");
            answers += 1;
        } else {
            assert!(value["event"].is_string(), "{json}");
        }
    }
    if !world.clients[client].closing {
        assert_eq!(answers, 1, "answers to {text:.200}");
    }
    if let (Ok(asked), 1) = (serde_json::from_str::<Value>(text), answers) {
        let answer =
            world.heard.iter().find(|(session, json)| *session == client as u64 && json.contains("\"body\""));
        let value: Value = serde_json::from_str(&answer.expect("counted").1).expect("JSON");
        // Of what can't be read as a command the `seq` may not be read either.
        let unread = rollcall_v1::decode(text).is_err() && value["seq"] == 0;
        assert!(unread || value["seq"] == asked["seq"].as_i64().unwrap_or(0), "the answer's seq");
    }
}
