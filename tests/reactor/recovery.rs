//! Clients that have missed much: they are told as they read, however little room they have, and nobody is closed for it.

use std::collections::BTreeMap;

use rollcall::internals::limits::{BACKLOG_BYTES_PAUSE, PAST_BYTES_MAX};
use rollcall::internals::reactor::Config;
use rollcall::internals::wire::frame::Opcode;
use serde_json::Value;

use super::kit::{config, frames};
use super::slow::House;

const ROOMS: usize = 30;
const MESSAGES: u64 = 20;
const DATA_BYTES: usize = 3_000;

fn room(n: usize) -> String {
    format!("kept-{n}")
}

/// A house where ben has said so much in every room.
fn house(max_backlog_bytes: usize) -> (House, usize) {
    let mut house = House::new(&Config { max_backlog_bytes, ..config() });
    let ben = house.user("ben");
    let data = "x".repeat(DATA_BYTES);
    for n in 0..ROOMS {
        house.command(ben, "join", &format!(r#"{{"room":"{}"}}"#, room(n)));
        for _ in 0..MESSAGES {
            house.command(ben, "say", &format!(r#"{{"room":"{}","data":"{data}","echo":false}}"#, room(n)));
            house.script.written(ben);
            // A room carries so much in a second.
            house.script.advance(std::time::Duration::from_millis(4));
        }
    }
    (house, ben)
}

/// Cleo comes back to all rooms at once, and reads so many bytes at a time. Returns all that cleo hears.
fn comes_back(house: &mut House, at_once: usize) -> Vec<Value> {
    let cleo = house.user("cleo");
    let epochs: Vec<u64> = (0..ROOMS)
        .map(|n| {
            house.command(cleo, "who", &format!(r#"{{"room":"{}"}}"#, room(n)));
            let answer = house.reads(cleo).pop().unwrap();
            answer["body"]["epoch"].as_u64().unwrap()
        })
        .collect();
    house.stall(cleo);
    for (n, epoch) in epochs.iter().enumerate() {
        let since = format!(r#"{{"epoch":{epoch},"offset":0}}"#);
        house.command(cleo, "join", &format!(r#"{{"room":"{}","since":{since}}}"#, room(n)));
    }
    let mut bytes = Vec::new();
    for _ in 0..100_000 {
        house.script.make_room(cleo, at_once);
        house.script.settle(&mut house.worker);
        bytes.extend(house.script.written(cleo));
        house.script.pass(&mut house.worker, std::time::Duration::from_millis(10));
        let most = house.worker.held_bytes();
        assert!(most < 2 * PAST_BYTES_MAX + 256 * 1024, "{most} bytes are held");
        let answers = bytes.windows(13).filter(|part| part == b"\"recovered\":t").count();
        if answers == ROOMS {
            // The rest of the last one.
            house.script.make_room(cleo, usize::MAX);
            house.script.settle(&mut house.worker);
            bytes.extend(house.script.written(cleo));
            let texts = frames(&bytes).into_iter().filter(|(opcode, _)| *opcode == Opcode::Text);
            return texts.map(|(_, text)| serde_json::from_slice(&text).unwrap()).collect();
        }
    }
    panic!("{} bytes came", bytes.len());
}

#[test]
fn a_client_with_thirty_rooms_to_catch_up_with_is_told_as_it_reads_and_never_closed() {
    for (max_backlog, at_once) in
        [(BACKLOG_BYTES_PAUSE, 20_000), (BACKLOG_BYTES_PAUSE, 3_000_000), (1 << 20, 50_000)]
    {
        let (mut house, _) = house(max_backlog);
        let heard = comes_back(&mut house, at_once);
        let mut messages = BTreeMap::new();
        for (n, body) in
            heard.iter().map(|json| &json["body"]).filter(|body| body["recovered"].is_boolean()).enumerate()
        {
            let told = body["messages"].as_array().unwrap();
            assert!(body["recovered"] == true, "{max_backlog}: {n}");
            let first = told.first().map_or(MESSAGES + 1, |message| message["offset"].as_u64().unwrap());
            let gap = (first > 1).then(|| serde_json::json!({"from": 1, "to": first - 1}));
            assert_eq!(body.get("gap"), gap.as_ref(), "{max_backlog}: {n}");
            assert!(told.iter().map(|message| message["offset"].as_u64().unwrap()).eq(first..=MESSAGES));
            assert!(!told.is_empty(), "{max_backlog}: there is room for a message");
            messages.insert(n, told.len());
        }
        assert_eq!(messages.len(), ROOMS);
        let all = messages.values().filter(|told| **told as u64 == MESSAGES).count();
        assert_eq!(
            all == ROOMS,
            max_backlog == 1 << 20,
            "a smaller backlog has smaller answers: {messages:?}"
        );
    }
}

#[test]
fn who_is_told_of_the_past_hears_what_is_said_meanwhile_behind_it() {
    let (mut house, ben) = house(BACKLOG_BYTES_PAUSE);
    let cleo = house.user("cleo");
    house.command(cleo, "who", &format!(r#"{{"room":"{}"}}"#, room(0)));
    let epoch = house.reads(cleo).pop().unwrap()["body"]["epoch"].as_u64().unwrap();
    house.stall(cleo);
    for n in 0..3 {
        let params = format!(r#"{{"room":"{}","since":{{"epoch":{epoch},"offset":15}}}}"#, room(n));
        house.command(cleo, "join", &params);
        house.command(ben, "say", &format!(r#"{{"room":"{}","data":"live"}}"#, room(0)));
    }
    let heard = house.reads(cleo);
    let mut offsets = Vec::new();
    for json in &heard {
        let body = &json["body"];
        if body["epoch"] == epoch && body["messages"].is_array() {
            let told = body["messages"].as_array().unwrap();
            offsets.extend(told.iter().map(|message| message["offset"].as_u64().unwrap()));
        } else if json["event"] == "say" && json["room"] == "kept-0" {
            offsets.push(json["offset"].as_u64().unwrap());
        }
    }
    assert_eq!(offsets, (16..=MESSAGES + 3).collect::<Vec<_>>(), "{heard:?}");
}
