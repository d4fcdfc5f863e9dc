//! The API against the real server, with clients that feel it.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use rollcall::internals::reactor::Server;
use serde_json::{Value, json};

use super::client::{Client, Times, millis, start, until, with_workers};
use crate::bounds::PATIENCE;

/// One request: the status, and the body as JSON.
pub(crate) fn call(server: &Server, method: &str, path: &str, body: &str) -> (u16, Value) {
    let (status, text) = call_raw(server, method, path, body);
    (status, serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}: {text}")))
}

/// As a client has to do, it asks again where the server says so: on a starved machine a round of the workers may take
/// longer than a request waits.
fn call_raw(server: &Server, method: &str, path: &str, body: &str) -> (u16, String) {
    let end = Instant::now() + PATIENCE;
    loop {
        let answer = call_once(server, method, path, body);
        if answer.0 != 503 || !answer.1.contains("try again") || Instant::now() > end {
            return answer;
        }
    }
}

fn call_once(server: &Server, method: &str, path: &str, body: &str) -> (u16, String) {
    let address = server.addresses()[0];
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let length = body.len();
    write!(
        stream,
        "{method} /api/v1/{path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

pub(crate) fn get(server: &Server, path: &str) -> Value {
    let (status, body) = call(server, "GET", path, "");
    assert_eq!(status, 200, "{path}: {body}");
    body
}

pub(crate) fn post(server: &Server, path: &str, body: &str) -> Value {
    let (status, answer) = call(server, "POST", path, body);
    assert_eq!(status, 200, "{path} {body}: {answer}");
    answer
}

/// Asks until the answer is so.
fn get_until(server: &Server, path: &str, is: impl Fn(&Value) -> bool) -> Value {
    let end = Instant::now() + PATIENCE;
    loop {
        let body = get(server, path);
        if is(&body) {
            return body;
        }
        assert!(Instant::now() < end, "{path}: {body}");
        std::thread::sleep(millis(20));
    }
}

#[test]
fn pages_name_everybody_once_and_in_order() {
    with_workers(|workers| {
        let server = start(workers, &Times::default());
        let names: BTreeSet<String> = (0..30).map(|n| format!("user-{:02}", n * 7 % 30)).collect();
        let mut clients: Vec<Client> = names.iter().map(|name| Client::named(&server, name)).collect();
        for (n, client) in clients.iter_mut().enumerate() {
            client.done("join", r#"{"room":"hall"}"#);
            client.done("join", &format!(r#"{{"room":"room-{}"}}"#, n % 5));
            if n % 10 == 0 {
                client.done("status", r#"{"state":"away","info":{ "n":1e1 }}"#);
            }
        }
        let pages = |path: &str, rows: &str, name: &str| {
            let (mut seen, mut after) = (Vec::new(), String::new());
            loop {
                let page = get(&server, &format!("{path}limit=7&after={after}"));
                let rows = page[rows].as_array().unwrap();
                assert!(rows.len() <= 7);
                seen.extend(rows.iter().map(|row| row[name].as_str().unwrap().to_owned()));
                match &page["next"] {
                    Value::Null => return seen,
                    next => after = next.as_str().unwrap().to_owned(),
                }
            }
        };
        assert!(pages("users?", "users", "user").iter().eq(&names));
        assert!(pages("rooms/hall?", "users", "user").iter().eq(&names));
        assert_eq!(pages("users?state=away&", "users", "user"), ["user-00", "user-10", "user-20"]);
        let rooms = pages("rooms?", "rooms", "room");
        assert_eq!(rooms, ["hall", "room-0", "room-1", "room-2", "room-3", "room-4"]);
        assert_eq!(get(&server, "rooms?limit=1")["rooms"][0], json!({"room":"hall","count":30}));
        let (_, text) = call_raw(&server, "GET", "users/user-10", "");
        assert!(text.contains(r#""state":"away""#) && text.contains(r#""info":{ "n":1e1 }"#), "{text}");
        assert_eq!(call(&server, "GET", "users/nobody", "").0, 404);
        let gone = clients.pop().unwrap();
        gone.close();
        get_until(&server, "users/user-29", |user| user["state"] == "offline");
        assert_eq!(pages("users?", "users", "user").len(), 29);
        assert_eq!(pages("users?state=offline&", "users", "user"), ["user-29"]);
    });
}

#[test]
fn one_who_is_invisible_is_seen_by_who_runs_the_server_alone() {
    with_workers(|workers| {
        let server = start(workers, &Times::default());
        let mut ben = Client::named(&server, "ben");
        let mut ann = Client::connect(&server, "/ws?user=ann&state=invisible", Some("rollcall.v1"));
        assert_eq!(ann.event()["event"], "welcome");
        ann.done("join", r#"{"room":"hall"}"#);
        // Its home has heard of it before it answers.
        ann.done("status", r#"{"state":"invisible"}"#);
        let seen = get(&server, "users/ann");
        assert_eq!(seen["connections"], 1);
        assert_eq!((&seen["state"], &seen["last_seen_ms"]), (&json!("invisible"), &Value::Null));
        assert_eq!(get(&server, "users?state=invisible")["users"].as_array().unwrap().len(), 1);
        let hall = get(&server, "rooms/hall");
        assert_eq!((&hall["count"], &hall["users"][0]["state"]), (&json!(0), &json!("invisible")));
        assert_eq!(get(&server, "rooms")["rooms"][0], json!({"room":"hall","count":0}));
        let page = ben.done("who", r#"{"room":"hall"}"#);
        assert_eq!((&page["count"], &page["epoch"], &page["users"]), (&json!(0), &json!(0), &json!([])));
        let views = ben.done("presence", r#"{"users":["ann"]}"#);
        assert_eq!(
            (&views["users"][0]["state"], &views["users"][0]["version"]),
            (&json!("offline"), &json!(0))
        );
    });
}

#[test]
fn what_is_told_said_and_broadcast_arrives_byte_for_byte() {
    with_workers(|workers| {
        let server = start(workers, &Times::default());
        let mut phone = Client::named(&server, "anna");
        let mut laptop = Client::named(&server, "anna");
        let mut ben = Client::named(&server, "ben");
        ben.done("join", r#"{"room":"lobby"}"#);
        let mut plain = Client::plain(&server, "/ws");
        let data = r#"{ "b":1e2,  "a":"\u00e4","a":[ ] }"#;
        let body = format!(r#" {{ "data" : {data} }}"#);
        assert_eq!(post(&server, "users/anna/tell", &body), json!({"delivered": 2}));
        for device in [&mut phone, &mut laptop] {
            let text = device.text();
            assert!(text.starts_with(&format!(r#"{{"event":"tell","from":null,"data":{data},"#)), "{text}");
        }
        let said = post(&server, "rooms/lobby/say", &body);
        assert_eq!(said["offset"], 1);
        let text = ben.text();
        assert!(
            text.contains(&format!(r#""from":null,"data":{data},"epoch":{},"offset":1"#, said["epoch"])),
            "{text}"
        );
        assert_eq!(post(&server, "broadcast", &body), json!({"delivered": 4, "missed": 0, "done": true}));
        for client in [&mut phone, &mut laptop, &mut ben, &mut plain] {
            let text = client.text();
            assert!(
                text.starts_with(&format!(r#"{{"event":"broadcast","data":{data},"time_ms":"#)),
                "{text}"
            );
        }
        for (path, status) in [("users/cleo/tell", 404), ("rooms/empty/say", 404)] {
            assert_eq!(call(&server, "POST", path, &body).0, status, "{path}");
        }
    });
}

#[test]
fn who_is_sent_away_goes_for_good_and_is_told_why() {
    with_workers(|workers| {
        let server = start(workers, &Times { grace: Duration::from_secs(60), ..Times::default() });
        let mut watcher = Client::named(&server, "watcher");
        watcher.done("watch", r#"{"users":["anna"]}"#);
        let mut devices = [Client::named(&server, "anna"), Client::named(&server, "anna")];
        let body = r#"{"reason":"see \"you\" tomorrow"}"#;
        assert_eq!(post(&server, "users/anna/disconnect", body), json!({"disconnected": 2}));
        for device in &mut devices {
            let goodbye = device.event();
            let expected = json!({"event":"goodbye","code":4403,"reason":"see \"you\" tomorrow"});
            assert_eq!(goodbye, expected);
            assert_eq!(device.close_code(), 4403);
        }
        let mut last = watcher.event();
        while last["state"] != "offline" {
            last = watcher.event();
        }
        assert_eq!(last["reason"], "kicked");
        assert_eq!(call(&server, "POST", "users/anna/disconnect", "").0, 404);
        assert_eq!(get(&server, "users/anna")["reason"], "kicked");
    });
}

#[test]
fn users_are_brought_into_rooms_and_out() {
    with_workers(|workers| {
        let server = start(workers, &Times::default());
        let mut ben = Client::named(&server, "ben");
        ben.done("join", r#"{"room":"lobby"}"#);
        let mut devices = [Client::named(&server, "anna"), Client::named(&server, "anna")];
        let anna = r#"{"user":"anna"}"#;
        let joined = post(&server, "rooms/lobby/join", anna);
        assert_eq!((&joined["connections"], &joined["count"]), (&json!(2), &json!(2)));
        assert_eq!(
            ben.event(),
            json!({"event":"join","room":"lobby","user":"anna","count":2,"membership":2})
        );
        for device in &mut devices {
            let event = device.event();
            let shown = (&event["event"], &event["user"], &event["count"], &event["epoch"]);
            assert_eq!(shown, (&json!("join"), &json!("anna"), &json!(2), &joined["epoch"]));
        }
        ben.done("say", r#"{"room":"lobby","data":1}"#);
        for device in &mut devices {
            assert_eq!(device.event()["data"], 1, "who was brought in hears");
        }
        // A second time changes nothing, and is no event.
        assert_eq!(post(&server, "rooms/lobby/join", anna)["connections"], 2);
        let lobby = get(&server, "rooms/lobby");
        assert_eq!((&lobby["count"], &lobby["membership"]), (&json!(2), &joined["membership"]));
        assert_eq!(post(&server, "rooms/lobby/leave", anna)["connections"], 2);
        for device in &mut devices {
            assert_eq!(device.event_named("leave")["user"], "anna");
        }
        assert_eq!(ben.event_named("leave")["user"], "anna");
        for (path, user) in
            [("rooms/lobby/leave", "anna"), ("rooms/lobby/join", "cleo"), ("rooms/lobby/leave", "cleo")]
        {
            let body = format!(r#"{{"user":"{user}"}}"#);
            assert_eq!(call(&server, "POST", path, &body).0, 404, "{path} {user}");
        }
        until(&mut ben, "anna", "online");
    });
}

#[test]
fn a_broadcast_to_more_than_a_turn_takes_reaches_all() {
    let server = start(3, &Times::default());
    let mut clients: Vec<Client> = (0..300).map(|_| Client::plain(&server, "/ws")).collect();
    // 60 KB each: some seventy of them are a turn's share, and each worker has a hundred.
    let data = "x".repeat(60_000);
    let reached = post(&server, "broadcast", &format!(r#"{{"data":"{data}"}}"#));
    assert_eq!(reached, json!({"delivered": 300, "missed": 0, "done": true}));
    for client in &mut clients {
        assert!(client.text().contains(&data));
    }
}

#[test]
fn figures_are_those_of_the_server() {
    let server = start(3, &Times::default());
    let mut clients: Vec<Client> = (0..5).map(|n| Client::named(&server, &format!("u{n}"))).collect();
    clients.iter_mut().for_each(|client| drop(client.done("join", r#"{"room":"r"}"#)));
    let stats = get_until(&server, "stats", |stats| stats["users"] == 5 && stats["rooms"] == 1);
    assert_eq!(stats["websockets"], 5);
    assert_eq!(stats["workers"].as_array().unwrap().len(), 3);
    let of_workers: u64 =
        stats["workers"].as_array().unwrap().iter().map(|w| w["users"].as_u64().unwrap()).sum();
    assert_eq!(of_workers, 5);
    for field in ["uptime_s", "time_ms", "accepts", "messages_received", "sent_bytes", "pings_sent"] {
        assert!(stats[field].is_u64(), "{field}: {stats}");
    }
    assert!(stats["turn"]["p99_ms"].as_f64().unwrap() > 0.0 && stats["ended"]["timeout"] == 0, "{stats}");
    // A worker weighs itself once a second, in a turn that something else is for.
    let weighed = |line: &Value| line["part"] == "connections" && line["bytes"].as_u64() > Some(0);
    let memory =
        get_until(&server, "memory", |memory| memory["parts"].as_array().unwrap().iter().any(weighed));
    assert_eq!(
        (&memory["connections"].as_u64().map(|all| all >= 5), memory["workers"][2]["worker"].as_u64()),
        (&Some(true), Some(2))
    );
}
