//! Bans, and rooms that the API gives and takes, against the real server.

use std::time::Duration;

use serde_json::{Value, json};

use super::api::{call, get, post};
use super::client::{Client, Times, start, with_workers};

#[test]
fn a_banned_user_is_refused_at_the_door_until_the_ban_is_lifted() {
    with_workers(|workers| {
        let server = start(workers, &Times::default());
        let mut anna = Client::named(&server, "anna");
        let banned = post(&server, "users/anna/disconnect", r#"{"reason":"be kind","for":"2h"}"#);
        assert_eq!(banned["disconnected"], 1);
        assert!(banned["until_ms"].as_u64().unwrap() > 1_700_000_000_000, "{banned}");
        assert_eq!((anna.event()["code"].clone(), anna.close_code()), (json!(4403), 4403));
        // Who can be told is told, wherever it comes in, and everybody else gets the status.
        for _ in 0..4 {
            let mut told = Client::connect(&server, "/ws?user=anna", Some("rollcall.v1"));
            assert_eq!(
                told.event_named("goodbye"),
                json!({"event":"goodbye","code":4403,"reason":"be kind"})
            );
            assert_eq!(told.close_code(), 4403);
            // A worker gets to know of the ban in its own time, and until then lets in who is then sent away.
            let refused = loop {
                match Client::try_connect(&server, "/ws?user=anna", &[]) {
                    Ok(mut early) => assert_eq!(early.close_code(), 4403),
                    Err(refused) => break refused,
                }
            };
            assert!(refused.0 == 403 && refused.1.contains("be kind"), "{refused:?}");
            let mut late = Client::plain(&server, "/ws");
            late.send("anna");
            assert_eq!(late.close_code(), 4403);
        }
        assert_eq!(get(&server, "users/anna")["state"], "offline");
        assert_eq!(call(&server, "DELETE", "users/anna/ban", ""), (200, json!({"lifted":true})));
        assert_eq!(call(&server, "DELETE", "users/anna/ban", "").0, 404);
        while let Err(refused) = Client::try_connect(&server, "/ws?user=anna", &[]) {
            assert_eq!(refused.0, 403, "a worker hears of that in its own time, too");
        }
        // Somebody who is not there, and for a moment only.
        assert_eq!(post(&server, "users/ben/disconnect", r#"{"for":1}"#)["disconnected"], 0);
        let end = std::time::Instant::now() + crate::bounds::PATIENCE;
        while let Err((status, body)) = Client::try_connect(&server, "/ws?user=ben", &[]).map(|_| ()) {
            assert!(status == 403 && body.contains("banned"), "{status} {body}");
            assert!(std::time::Instant::now() < end, "the ban never ends");
        }
    });
}

#[test]
fn a_kick_between_two_connections_is_no_404() {
    with_workers(|workers| {
        let server = start(workers, &Times { grace: Duration::from_secs(60), ..Times::default() });
        let mut watcher = Client::named(&server, "watcher");
        watcher.done("join", r#"{"room":"lobby"}"#);
        let mut anna = Client::named(&server, "anna");
        anna.done("join", r#"{"room":"lobby"}"#);
        assert_eq!(watcher.event_named("join")["user"], "anna");
        anna.close();
        // Its home hears of it some time.
        let kicked = || call(&server, "POST", "users/anna/disconnect", "");
        let (mut status, mut body) = kicked();
        while (status, &body["disconnected"]) == (200, &json!(1)) {
            (status, body) = kicked();
        }
        assert_eq!(watcher.event_named("leave")["user"], "anna");
        let listed = watcher.done("who", r#"{"room":"lobby"}"#);
        assert_eq!(listed["count"], 1, "{listed}");
        assert_eq!(get(&server, "users/anna")["state"], "offline");
        assert!(status == 200 || (status == 404 && body["error"].is_string()), "{status} {body}");
    });
}

#[test]
fn who_is_banned_from_a_room_is_put_out_and_refused() {
    with_workers(|workers| {
        let server = start(workers, &Times::default());
        let mut ben = Client::named(&server, "ben");
        ben.done("join", r#"{"room":"lobby"}"#);
        let mut anna = Client::named(&server, "anna");
        anna.done("join", r#"{"room":"lobby"}"#);
        assert_eq!(ben.event_named("join")["user"], "anna");
        let body = r#"{"user":"anna","for":"10m"}"#;
        assert!(post(&server, "rooms/lobby/ban", body)["until_ms"].is_u64());
        let left = anna.event_named("leave");
        assert_eq!((&left["user"], &left["by"]), (&json!("anna"), &json!("server")));
        let left = ben.event_named("leave");
        assert_eq!((&left["user"], &left["by"]), (&json!("anna"), &Value::Null));
        let refused = anna.command("join", r#"{"room":"lobby"}"#);
        assert_eq!(refused["code"], 403, "{refused}");
        assert!(refused["error"].as_str().unwrap().contains("banned"), "{refused}");
        let (status, error) = call(&server, "POST", "rooms/lobby/join", r#"{"user":"anna"}"#);
        assert!(status == 403 && error["error"].as_str().unwrap().contains("lift"), "{error}");
        assert_eq!(call(&server, "DELETE", "rooms/lobby/ban/anna", "").0, 200);
        anna.done("join", r#"{"room":"lobby"}"#);
    });
}

#[test]
fn a_room_that_the_api_gives_is_there_after_a_reconnect_and_one_it_takes_is_not() {
    with_workers(|workers| {
        let server = start(workers, &Times::default());
        let mut anna = Client::named(&server, "anna");
        let given = post(&server, "rooms/stage/join", r#"{"user":"anna"}"#);
        assert_eq!(given["connections"], 1);
        for _ in 0..3 {
            let told = anna.event_named("join");
            let shown = (&told["room"], &told["user"], &told["by"], told["offset"].is_u64());
            assert_eq!(shown, (&json!("stage"), &json!("anna"), &json!("server"), true));
            anna.close();
            anna = Client::named(&server, "anna");
        }
        anna.event_named("join");
        assert_eq!(post(&server, "rooms/stage/leave", r#"{"user":"anna"}"#)["connections"], 1);
        assert_eq!(anna.event_named("leave")["by"], "server");
        anna.close();
        let mut anna = Client::named(&server, "anna");
        let refused = anna.command("say", r#"{"room":"stage","data":1}"#);
        assert_eq!(refused["code"], 403, "{refused}");
        anna.assert_quiet();
    });
}
