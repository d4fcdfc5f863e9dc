//! Rooms that keep what was said, from outside: by clients that come back, and by the API.

use serde_json::{Value, json};

use super::api::{call, get, post};
use super::client::{Client, Times, start_keeping, with_workers};

fn data(messages: &Value) -> Vec<Value> {
    messages.as_array().unwrap().iter().map(|message| message["data"].clone()).collect()
}

#[test]
fn who_comes_back_is_told_what_was_missed() {
    with_workers(|workers| {
        let server = start_keeping(workers, &Times::default(), &[("kept*", 3)]);
        let mut ben = Client::named(&server, "ben");
        let mut anna = Client::named(&server, "anna");
        let came = anna.done("join", r#"{"room":"kept"}"#);
        let since = format!(r#"{{"epoch":{},"offset":{}}}"#, came["epoch"], came["offset"]);
        // Nobody says goodbye.
        drop(anna);
        ben.done("join", r#"{"room":"kept"}"#);
        ben.done("say", r#"{"room":"kept","data":{"a": 1}}"#);
        assert_eq!(ben.command_with("say", r#"{"room":"kept"}"#, &[0, 9])["code"], 200);
        let mut anna = Client::named(&server, "anna");
        let back = anna.done("join", &format!(r#"{{"room":"kept","since":{since}}}"#));
        assert_eq!(back["recovered"], true, "{back}");
        assert_eq!(data(&back["messages"]), [json!({ "a": 1 }), json!({ "$binary": "AAk=" })]);
        assert_eq!(
            (&back["messages"][0]["from"], &back["messages"][1]["offset"]),
            (&json!("ben"), &json!(2))
        );
        // What is live follows.
        ben.done("say", r#"{"room":"kept","data":3}"#);
        assert_eq!(anna.event_named("say")["offset"], 3);
        // More than the room keeps: the gap is named.
        ben.done("say", r#"{"room":"kept","data":4}"#);
        let back = anna.done("join", &format!(r#"{{"room":"kept","since":{since}}}"#));
        assert_eq!((&back["recovered"], &back["gap"]), (&json!(false), &json!({ "from": 1, "to": 1 })));
        assert_eq!(back["messages"].as_array().unwrap().len(), 3);
        let page = anna.done("history", r#"{"room":"kept","before":4,"limit":1}"#);
        assert_eq!(
            (data(&page["messages"]), &page["first"], &page["last"]),
            (vec![json!(3)], &json!(2), &json!(4))
        );
        // A room that keeps nothing says so.
        let came = anna.done("join", r#"{"room":"bare"}"#);
        anna.done("say", r#"{"room":"bare","data":1,"echo":false}"#);
        let since = format!(r#"{{"epoch":{},"offset":{}}}"#, came["epoch"], came["offset"]);
        let back = anna.done("join", &format!(r#"{{"room":"bare","since":{since}}}"#));
        assert_eq!((&back["recovered"], &back["messages"]), (&json!(false), &json!([])));
    });
}

#[test]
fn the_api_reads_says_once_and_deletes() {
    with_workers(|workers| {
        let server = start_keeping(workers, &Times::default(), &[("kept*", 100)]);
        let (mut anna, mut ben) = (Client::named(&server, "anna"), Client::named(&server, "ben"));
        for client in [&mut anna, &mut ben] {
            client.done("join", r#"{"room":"kept 1"}"#);
        }
        anna.done("say", r#"{"room":"kept 1","data":"mine"}"#);
        let first = post(&server, "rooms/kept%201/say", r#"{"data":"news","id":"n-1"}"#);
        assert_eq!(post(&server, "rooms/kept%201/say", r#"{"data":"news","id":"n-1"}"#), first);
        let said = ["mine", "news"].map(|data| {
            let said = ben.event_named("say");
            assert_eq!(said["data"], data);
            said["offset"].clone()
        });
        assert_eq!(said[1], first["offset"]);
        ben.assert_quiet();
        let kept = get(&server, "rooms/kept%201/history");
        assert_eq!(data(&kept["messages"]), ["mine", "news"]);
        assert_eq!((&kept["first"], &kept["last"], &kept["room"]), (&json!(1), &json!(2), &json!("kept 1")));
        assert_eq!(data(&get(&server, "rooms/kept%201/history?after=1")["messages"]), ["news"]);
        assert_eq!(data(&get(&server, "rooms/kept%201/history?before=2&limit=5")["messages"]), ["mine"]);
        assert_eq!(call(&server, "GET", "rooms/nowhere/history", "").0, 404);
        // A user who is forgotten leaves gaps, and goes.
        let (status, deleted) = call(&server, "DELETE", "users/anna", "");
        assert_eq!(
            (status, &deleted["messages"], &deleted["disconnected"]),
            (200, &json!(1), &json!(1)),
            "{deleted}"
        );
        assert_eq!(anna.close_code(), 4403);
        let kept = get(&server, "rooms/kept%201/history");
        assert_eq!(kept["messages"][0]["deleted"], true, "{kept}");
        assert_eq!((&kept["messages"][0]["offset"], kept["messages"][0].get("data")), (&json!(1), None));
        assert_eq!(call(&server, "GET", "users/anna", "").0, 404);
        // A room that is deleted begins anew.
        assert_eq!(call(&server, "DELETE", "rooms/kept%201", ""), (200, json!({ "members": 1 })));
        let left = loop {
            let left = ben.event_named("leave");
            if left["user"] == "ben" {
                break left;
            }
        };
        assert_eq!((&left["room"], &left["by"]), (&json!("kept 1"), &json!("server")));
        assert_eq!(call(&server, "GET", "rooms/kept%201/history", "").0, 404);
        assert_eq!(call(&server, "DELETE", "rooms/kept%201", "").0, 404);
        let again = ben.done("join", r#"{"room":"kept 1"}"#);
        assert!(again["epoch"].as_u64() > kept["epoch"].as_u64() && again["offset"] == 0, "{again}");
    });
}
