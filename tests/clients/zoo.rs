//! The clients in the field, each speaking as it does, to the server as it starts: how they say who they are, how they
//! say that they are there, and what they wait for.

use rollcall::internals::reactor::HeartbeatMode;
use serde_json::Value;

use super::client::{Client, Times, look, millis, start, until, with_workers};

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// Times that let a test see several heartbeats of the server.
fn quick() -> Times {
    Times { interval: millis(200), timeout: millis(20_000), ..Times::default() }
}

#[test]
fn c1_a_bare_id_and_ping() {
    with_workers(|workers| {
        let server = start(workers, &Times::default());
        let mut observer = Client::named(&server, "observer");
        let mut client = Client::plain(&server, "/");
        client.send("u-1001");
        for _ in 0..3 {
            client.send("ping");
            assert_eq!(client.text(), "pong");
        }
        until(&mut observer, "u-1001", "online");
        client.close();
        until(&mut observer, "u-1001", "offline");
    });
}

#[test]
fn c2_an_object_with_an_id_and_a_heart_and_only_json_ever() {
    with_workers(|workers| {
        let server = start(workers, &quick());
        let mut observer = Client::named(&server, "observer");
        let mut client = Client::plain(&server, "/");
        client.send(r#"{"id":"a1b2c3"}"#);
        client.send(r#"{"heart":1}"#);
        // It parses everything: the server's own heartbeats too.
        let heard: Vec<Value> = (0..4).map(|_| json(&client.text())).collect();
        assert_eq!(heard.iter().filter(|message| **message == json(r#"{"heart":1}"#)).count(), 1);
        until(&mut observer, "a1b2c3", "online");
    });
}

#[test]
fn c3_identity_in_the_query_and_json_from_the_server_by_itself() {
    with_workers(|workers| {
        let server = start(workers, &quick());
        let mut observer = Client::named(&server, "observer");
        let mut client = Client::plain(&server, "/?userid=u7&token=&version=3&platform=web");
        until(&mut observer, "u7", "online");
        for heartbeat in
            [r#"{"req_type":8,"req_no":"1700000000000"}"#, r#"{"req_type":1,"timestamp":1700000000000}"#]
        {
            client.send(heartbeat);
            while client.text() != heartbeat {}
        }
        // After its one heartbeat it says nothing more, and needs to be spoken to.
        for _ in 0..3 {
            assert_eq!(json(&client.text())["event"], "heartbeat");
        }
    });
}

#[test]
fn c4_and_c5_a_text_that_comes_back() {
    with_workers(|workers| {
        let server = start(workers, &Times::default());
        for text in ["123456789", "HeartBeat"] {
            let mut client = Client::plain(&server, "/");
            for _ in 0..3 {
                client.send(text);
                assert_eq!(client.text(), text);
            }
        }
    });
}

#[test]
fn c6_commands_by_seq_whose_heartbeat_is_always_seq_0() {
    with_workers(|workers| {
        let server = start(workers, &Times::default());
        let mut client = Client::plain(&server, "/?id=c6");
        for seq in 0..3 {
            client.send(&format!(r#"{{"cmd":"presence","params":{{"users":["c6"]}},"seq":{seq}}}"#));
            let answer = json(&client.text());
            assert_eq!((&answer["seq"], &answer["body"]["code"]), (&seq.into(), &200.into()));
            client.send(r#"{"cmd":"heartbeat","params":{},"seq":0}"#);
            let answer = json(&client.text());
            assert_eq!((&answer["seq"], &answer["body"]["code"]), (&0.into(), &200.into()));
        }
        client.send(r#"{"cmd":"fly","params":{},"seq":9}"#);
        let answer = json(&client.text());
        assert_eq!((&answer["seq"], &answer["body"]["code"]), (&9.into(), &400.into()));
    });
}

#[test]
fn c6_a_heartbeat_is_never_429() {
    let server = start(1, &Times::default());
    let mut client = Client::plain(&server, "/?id=c6");
    for _ in 0..1000 {
        client.send(r#"{"cmd":"heartbeat","params":{},"seq":0}"#);
    }
    for _ in 0..1000 {
        assert_eq!(json(&client.text())["body"]["code"], 200);
    }
}

#[test]
fn c7_answers_for_itself_and_news_of_another_device() {
    with_workers(|workers| {
        let server = start(workers, &Times::default());
        let mut desktop = Client::plain(&server, "/?user=anna");
        desktop.send(r#"{"cmd":"watch","params":{"users":["anna"]},"seq":1}"#);
        let answer = json(&desktop.text());
        assert_eq!(answer["body"]["users"][0]["connections"], 1);
        let phone = Client::plain(&server, "/?user=anna");
        let news = json(&desktop.text());
        assert_eq!(
            (&news["event"], &news["user"], &news["connections"]),
            (&"presence".into(), &"anna".into(), &2.into())
        );
        desktop.send(r#"{"cmd":"heartbeat","params":{},"seq":2}"#);
        assert_eq!(json(&desktop.text())["body"]["code"], 200);
        phone.close();
        let news = json(&desktop.text());
        assert_eq!((&news["state"], &news["connections"]), (&"online".into(), &1.into()));
    });
}

#[test]
fn c8_ping_at_once_after_each_pong() {
    with_workers(|workers| {
        let server = start(workers, &Times::default());
        let mut client = Client::plain(&server, "/");
        for _ in 0..500 {
            client.send("ping");
            assert_eq!(client.text(), "pong");
        }
    });
}

#[test]
fn c9_a_frozen_page_whose_browser_answers_pings_lives_and_is_away_with_mode_both() {
    with_workers(|workers| {
        let mode = HeartbeatMode::Both;
        let times = Times {
            mode,
            interval: millis(150),
            timeout: millis(20_000),
            silence: millis(400),
            ..Times::default()
        };
        let server = start(workers, &times);
        let mut observer = Client::named(&server, "observer");
        let mut page = Client::plain(&server, "/?user=page");
        let mut quiet = Client::plain(&server, "/?user=quiet");
        page.send("ping");
        // On a busy machine a heartbeat of the server's may come before.
        while page.text() != "pong" {}
        assert_eq!(look(&mut observer, "page").0, "online");
        // Its script is frozen; Pings go on being answered.
        page.linger(millis(600));
        quiet.linger(millis(20));
        until(&mut observer, "page", "away");
        assert_eq!(
            look(&mut observer, "quiet").0,
            "online",
            "who never sent a heartbeat is not judged by them"
        );
        page.send("ping");
        until(&mut observer, "page", "online");
    });
}

#[test]
fn c10_sends_the_servers_heartbeat_back_and_that_is_never_answered() {
    with_workers(|workers| {
        let server = start(workers, &quick());
        let mut client = Client::plain(&server, "/");
        for _ in 0..4 {
            let heartbeat = client.text();
            assert_eq!(json(&heartbeat)["event"], "heartbeat");
            client.send(&heartbeat);
            client.send("ping");
            assert_eq!(client.text(), "pong", "the copy was not answered");
        }
    });
}

#[test]
fn subprotocols_are_chosen_as_the_client_prefers() {
    let server = start(1, &quick());
    for (offered, chosen) in
        [("chat, superchat", Some("chat")), ("x, rollcall.v1, chat", Some("rollcall.v1"))]
    {
        let client = Client::connect(&server, "/ws?encoding=text", Some(offered));
        assert_eq!(client.subprotocol.as_deref(), chosen, "{offered}");
    }
    // Who chose rollcall.v1 is not sent heartbeat messages.
    let mut client = Client::named(&server, "v1");
    client.linger(millis(700));
    client.assert_quiet();
}

#[test]
fn heartbeats_win_over_identities_and_a_name_is_never_changed() {
    with_workers(|workers| {
        let server = start(workers, &Times::default());
        let mut observer = Client::named(&server, "observer");
        let mut client = Client::plain(&server, "/");
        client.send("ping");
        assert_eq!(client.text(), "pong");
        client.send("late-name");
        client.send("ping");
        assert_eq!(client.text(), "pong");
        assert_eq!(look(&mut observer, "late-name").0, "offline", "only a first message names");
        let mut named = Client::plain(&server, "/?user=first");
        named.send("second");
        named.send("ping");
        assert_eq!(named.text(), "pong");
        until(&mut observer, "first", "online");
        assert_eq!(look(&mut observer, "second").0, "offline");
    });
}
