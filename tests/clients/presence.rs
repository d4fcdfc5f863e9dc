//! `rollcall.v1` against the real server: who is seen how, by whom, and when.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::bounds::PATIENCE;

use super::client::{Client, Times, look, millis, start, until, with_workers};

#[test]
fn who_comes_and_goes_is_seen_by_who_watches() {
    with_workers(|workers| {
        let server = start(workers, &Times::default());
        let mut anna = Client::named(&server, "anna");
        let body = anna.done("watch", r#"{"users":["ben","cleo"]}"#);
        assert_eq!(body["users"][0]["state"], "offline");
        assert_eq!(body["users"][1]["last_seen_ms"], Value::Null);
        let ben = Client::named(&server, "ben");
        let came = anna.event();
        assert_eq!((&came["user"], &came["state"]), (&"ben".into(), &"online".into()));
        ben.close();
        let went = anna.event();
        assert_eq!(
            (&went["state"], &went["reason"], &went["connections"]),
            (&"offline".into(), &"closed".into(), &0.into())
        );
        assert!(went["version"].as_u64() > came["version"].as_u64());
        assert!(went["last_seen_ms"].as_u64() > Some(1_600_000_000_000));
        anna.done("unwatch", r#"{"users":["ben"]}"#);
        let _ben = Client::named(&server, "ben");
        anna.assert_quiet();
    });
}

#[test]
fn a_reload_is_seen_by_nobody() {
    with_workers(|workers| {
        let server = start(workers, &Times { grace: Duration::from_secs(20), ..Times::default() });
        let mut anna = Client::named(&server, "anna");
        anna.done("watch", r#"{"users":["ben"]}"#);
        anna.done("join", r#"{"room":"lobby"}"#);
        let mut ben = Client::named(&server, "ben");
        ben.done("join", r#"{"room":"lobby"}"#);
        // The user and the room may have different homes, between which there is no order.
        let mut news = [anna.event(), anna.event()].map(|event| event["event"].as_str().unwrap().to_owned());
        news.sort();
        assert_eq!(news, ["join", "presence"]);
        for _ in 0..5 {
            ben.close();
            ben = Client::named(&server, "ben");
            ben.done("join", r#"{"room":"lobby"}"#);
        }
        anna.assert_quiet();
        assert_eq!(look(&mut anna, "ben"), ("online".into(), 1));
        let who = anna.done("who", r#"{"room":"lobby"}"#);
        assert_eq!(who["count"], 2);
    });
}

#[test]
fn who_says_goodbye_is_gone_at_once_and_whoever_closes_otherwise_may_be_back() {
    with_workers(|workers| {
        let server = start(workers, &Times { grace: PATIENCE, ..Times::default() });
        let mut anna = Client::named(&server, "anna");
        anna.done("watch", r#"{"users":["ben","cleo"]}"#);
        anna.done("join", r#"{"room":"lobby"}"#);
        for (user, code) in [("cleo", 4001), ("ben", 4000)] {
            let mut client = Client::named(&server, user);
            client.done("join", r#"{"room":"lobby"}"#);
            for _ in 0..2 {
                anna.event();
            }
            client.close_with(code, "logged out");
        }
        let mut news = [anna.event(), anna.event()];
        news.sort_by_key(|event| event["event"].as_str().unwrap().to_owned());
        let [left, went] = news;
        assert_eq!((&left["event"], &left["user"]), (&"leave".into(), &"ben".into()));
        assert_eq!(
            (&went["user"], &went["state"], &went["reason"]),
            (&"ben".into(), &"offline".into(), &"closed".into())
        );
        assert_eq!(look(&mut anna, "cleo"), ("online".into(), 1));
    });
}

#[test]
fn the_upgrade_says_how_a_client_comes() {
    with_workers(|workers| {
        let server = start(workers, &Times::default());
        let mut anna = Client::named(&server, "anna");
        anna.done("watch", r#"{"users":["ben"]}"#);
        let mut ben = Client::connect(&server, "/ws?user=ben&state=away", Some("rollcall.v1"));
        assert_eq!(ben.event()["event"], "welcome");
        assert_eq!(anna.event()["state"], "away");
        for state in ["dead", "", "offline"] {
            let refused = Client::try_connect(&server, &format!("/ws?user=ben&state={state}"), &[]);
            let (status, body) = refused.map(|_| ()).unwrap_err();
            assert!(status == 400 && body.contains("`state`"), "{state}: {body}");
        }
    });
}

#[test]
fn rooms_say_everything_to_everybody_in_one_order() {
    with_workers(|workers| {
        let server = start(workers, &Times::default());
        let mut members: Vec<Client> = (0..6).map(|n| Client::named(&server, &format!("user-{n}"))).collect();
        for member in &mut members {
            member.done("join", r#"{"room":"lobby"}"#);
        }
        let data = r#"{ "z":1,  "a":"\u00e4" }"#;
        for round in 0..20 {
            for (n, member) in members.iter_mut().enumerate() {
                let body = member.done("say", &format!(r#"{{"room":"lobby","data":[{round},{n},{data}]}}"#));
                assert_eq!(body["offset"], round * 6 + n + 1);
            }
        }
        let mut seen: HashMap<u64, Value> = HashMap::new();
        for member in &mut members {
            for offset in 1..=120_u64 {
                let said = member.event_named("say");
                assert_eq!(said["offset"], offset);
                let first = seen.entry(offset).or_insert_with(|| said.clone());
                assert_eq!(*first, said);
            }
        }
    });
}

#[test]
fn data_travels_byte_for_byte() {
    let server = start(1, &Times::default());
    let mut anna = Client::named(&server, "anna");
    anna.done("join", r#"{"room":"r"}"#);
    let data = r#"{ "b":1e2,  "a":"\u00e4","a":[ ] }"#;
    anna.send(&format!(r#"{{"seq":5,"cmd":"say","params":{{"room":"r","data":{data}}}}}"#));
    let texts = [anna.text(), anna.text()];
    assert!(texts.iter().any(|text| text.contains(data)), "{texts:?}");
}

#[test]
fn several_devices_are_one_user_at_their_best() {
    with_workers(|workers| {
        let server = start(workers, &Times::default());
        let mut watcher = Client::named(&server, "watcher");
        watcher.done("watch", r#"{"users":["anna"]}"#);
        let mut laptop = Client::named(&server, "anna");
        let mut phone = Client::named(&server, "anna");
        assert_eq!(watcher.event()["connections"], 1);
        assert_eq!(watcher.event()["connections"], 2);
        laptop.done("status", r#"{"state":"away"}"#);
        watcher.assert_quiet();
        phone.done("status", r#"{"state":"away","info":{"mood":"tired"}}"#);
        let away = watcher.event();
        assert_eq!((&away["state"], &away["info"]), (&"away".into(), &json!({"mood":"tired"})));
        phone.done("status", r#"{"state":"online"}"#);
        assert_eq!(watcher.event()["state"], "online");
        phone.close();
        let gone = watcher.event();
        assert_eq!((&gone["state"], &gone["connections"]), (&"away".into(), &1.into()));
    });
}

#[test]
fn a_dead_heartbeat_is_offline_at_once_and_suspected_before() {
    with_workers(|workers| {
        let times = Times {
            interval: millis(500),
            timeout: Duration::from_secs(4),
            suspect: millis(500),
            grace: Duration::from_secs(60),
            ..Times::default()
        };
        let server = start(workers, &times);
        // It never reads: its Pongs are never sent.
        let _silent = Client::named(&server, "ben");
        let mut anna = Client::named(&server, "anna");
        let mut bold = Client::named(&server, "bold");
        let body = anna.done("watch", r#"{"users":["ben"],"suspect":true}"#);
        assert_eq!(body["users"][0]["state"], "online");
        bold.done("watch", r#"{"users":["ben"]}"#);
        // Each answers its Pings only while it reads.
        let bold = std::thread::spawn(move || bold.event());
        assert_eq!(anna.event()["state"], "suspect");
        assert_eq!(anna.event()["state"], "offline");
        let died = bold.join().unwrap();
        assert_eq!((&died["state"], &died["reason"]), (&"offline".into(), &"timeout".into()));
    });
}

#[test]
fn the_seventeenth_connection_takes_the_place_of_the_first() {
    with_workers(|workers| {
        let server = start(workers, &Times::default());
        let mut first = Client::named(&server, "anna");
        let _others: Vec<Client> = (0..15).map(|_| Client::named(&server, "anna")).collect();
        let mut last = Client::named(&server, "anna");
        let goodbye = first.event_named("goodbye");
        assert_eq!((&goodbye["code"], goodbye.get("retry_ms")), (&4409.into(), None));
        assert_eq!(first.close_code(), 4409);
        assert_eq!(look(&mut last, "anna"), ("online".into(), 16));
    });
}

#[test]
fn telling_reaches_every_device_and_nobody_is_a_404() {
    with_workers(|workers| {
        let server = start(workers, &Times::default());
        let mut anna = Client::named(&server, "anna");
        let mut devices = [Client::named(&server, "ben"), Client::named(&server, "ben")];
        until(&mut anna, "ben", "online");
        while look(&mut anna, "ben").1 < 2 {}
        assert_eq!(anna.done("tell", r#"{"user":"ben","data":"hi"}"#)["delivered"], 2);
        for device in &mut devices {
            let told = device.event_named("tell");
            assert_eq!((&told["from"], &told["data"]), (&"anna".into(), &"hi".into()));
        }
        assert_eq!(anna.command("tell", r#"{"user":"nobody","data":1}"#)["code"], 404);
    });
}

#[test]
fn who_goes_on_behind_a_page() {
    with_workers(|workers| {
        let server = start(workers, &Times::default());
        let mut members: Vec<Client> = (0..7).map(|n| Client::named(&server, &format!("m{n}"))).collect();
        for member in &mut members {
            member.done("join", r#"{"room":"r"}"#);
        }
        let mut names = Vec::new();
        let mut after = String::new();
        loop {
            let page = members[0].done("who", &format!(r#"{{"room":"r","limit":3{after}}}"#));
            assert_eq!(page["count"], 7);
            for user in page["users"].as_array().unwrap() {
                assert_eq!(user["state"], "online");
                names.push(user["user"].as_str().unwrap().to_owned());
            }
            let Some(next) = page["next"].as_str() else { break };
            after = format!(r#","after":"{next}""#);
        }
        assert_eq!(names, ["m0", "m1", "m2", "m3", "m4", "m5", "m6"]);
    });
}

#[test]
fn what_is_not_allowed_is_said_so() {
    with_workers(|workers| {
        let server = start(workers, &Times::default());
        let mut nobody = Client::connect(&server, "/ws", Some("rollcall.v1"));
        assert_eq!(nobody.event()["user"], Value::Null);
        assert_eq!(nobody.command("join", r#"{"room":"r"}"#)["code"], 401);
        assert_eq!(nobody.command("who", r#"{"room":"r"}"#)["count"], 0);
        let mut anna = Client::named(&server, "anna");
        assert_eq!(anna.command("say", r#"{"room":"r","data":1}"#)["code"], 403);
        assert_eq!(anna.command("join", r#"{"room":"no name*"}"#)["code"], 400);
        for n in 0..64 {
            anna.done("join", &format!(r#"{{"room":"r{n}"}}"#));
        }
        assert_eq!(anna.command("join", r#"{"room":"r64"}"#)["code"], 429);
        let mut busy = Client::named(&server, "busy");
        let codes: Vec<Value> =
            (0..400).map(|_| busy.command("leave", r#"{"room":"r"}"#)["code"].clone()).collect();
        assert_eq!(codes[0], 403);
        assert!(codes.contains(&429.into()));
        let mut binary = Client::plain(&server, "/ws");
        binary.send_binary();
        assert_eq!(binary.close_code(), 1003);
    });
}

#[test]
fn a_drain_says_goodbye_and_when_to_come_back() {
    with_workers(|workers| {
        let server = start(workers, &Times::default());
        let mut anna = Client::named(&server, "anna");
        server.handle().drain();
        let goodbye = anna.event_named("goodbye");
        assert_eq!(goodbye["code"], 1001);
        assert!((500..=5000).contains(&goodbye["retry_ms"].as_u64().unwrap()));
        assert_eq!(anna.close_code(), 1001);
    });
}

#[test]
fn a_client_that_connects_anew_again_and_again_may_send_no_more_for_it() {
    const CONNECTIONS: u64 = 10;
    with_workers(|workers| {
        let server = start(workers, &Times::default());
        let begun = Instant::now();
        let mut done = 0;
        for _ in 0..CONNECTIONS {
            let mut client = Client::named(&server, "anna");
            (0..200).for_each(|_| client.send(r#"{"seq":1,"cmd":"unwatch","params":{"users":[]}}"#));
            let is_done = |client: &mut Client| client.event()["body"]["code"] == 200;
            done += (0..200).filter(|_| is_done(&mut client)).count() as u64;
            client.close();
        }
        // Both a connection and what its user has in reserve earn 50 a second, and each connection has 12 at least.
        let most = 400 + 13 * CONNECTIONS + 2 * 50 * (begun.elapsed().as_secs() + 1);
        assert!(done <= most, "{done} commands of {most}");
    });
}
