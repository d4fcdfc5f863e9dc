//! Refusals that a page can see: who offers `rollcall.v1` is told on a connection, everybody else by the status.

use rollcall::internals::http::RouterSettings;
use rollcall::internals::reactor::Config;
use rollcall::internals::service::authenticator::Auth;
use serde_json::Value;

use super::server::{claims, server, server_for, signed, token, unix_millis};
use crate::clients::client::{Client, with_workers};
use crate::face::client::{get, open_site};
use crate::face::http::start_site;

/// What a client is told that offers these subprotocols: the code and reason of the `goodbye`, and the code of the Close.
fn told(client: &mut Client) -> (Value, String, u16) {
    assert_eq!(client.subprotocol.as_deref(), Some("rollcall.v1"));
    let goodbye = client.event();
    assert_eq!(
        (&goodbye["event"], &goodbye["retry_ms"]),
        (&"goodbye".into(), &Value::Null),
        "nothing else is said"
    );
    let reason = goodbye["reason"].as_str().unwrap().to_owned();
    (goodbye["code"].clone(), reason, client.close_code())
}

#[test]
fn a_bad_token_is_told_to_who_can_hear_it_and_answered_401_to_others() {
    with_workers(|workers| {
        let server = server(workers, Auth::Early);
        let mut expired = claims("anna");
        expired.expires_millis = unix_millis() - 2_000;
        let (expired, long) = (signed(&expired), "x".repeat(10 << 10));
        for (token, words) in [
            (None, "a token is needed"),
            (Some("garbage"), "not a JSON Web Token"),
            (Some(&*long), "over 4 KiB"),
            (Some(&*expired), "has expired"),
            (Some(&*signed(&claims("a*"))), "not a name"),
        ] {
            let target = token.map_or("/ws".to_owned(), |token| format!("/ws?token={token}"));
            for offered in ["rollcall.v1", "chat, rollcall.v1"] {
                let (code, reason, close) = told(&mut Client::connect(&server, &target, Some(offered)));
                assert_eq!((code, close), (4401.into(), 4401), "{words}");
                assert!(reason.contains(words), "{words}: {reason}");
            }
            for offered in [None, Some("chat")] {
                let fields = offered.map(|offered| ("Sec-WebSocket-Protocol", offered));
                let refused =
                    Client::try_connect(&server, &target, fields.as_slice()).map(|_| ()).unwrap_err();
                assert!(refused.0 == 401 && refused.1.contains(words), "{refused:?}");
            }
        }
    });
}

#[test]
fn a_cookie_counts_for_pages_of_the_server_and_of_named_origins_alone() {
    for origins in [vec![], vec!["https://named.example".to_owned()]] {
        with_workers(|workers| {
            let server = server_for(workers, Auth::Early, origins.clone());
            let cookie = format!("rollcall_token={}", token("anna"));
            let own = format!("http://{}", server.addresses()[0]);
            let named = origins.first().cloned();
            let connect = |origin: Option<&str>, offered| {
                let fields = [("Cookie", &*cookie), ("Sec-WebSocket-Protocol", offered)];
                let origin = origin.map(|origin| ("Origin", origin));
                Client::try_connect(&server, "/ws", &[&fields[..], origin.as_slice()].concat())
            };
            for origin in
                [None, Some(own.as_str())].into_iter().chain(named.iter().map(|named| Some(&**named)))
            {
                let mut client = connect(origin, "rollcall.v1").unwrap();
                assert_eq!(client.event()["user"], "anna", "{origin:?}");
            }
            // Where origins are named, others are told before that they may not connect.
            let (status, code) = if origins.is_empty() { (401, 4401) } else { (403, 4403) };
            for origin in ["https://foreign.example", "https://named.example:8443", "null"] {
                let (goodbye, reason, close) = told(&mut connect(Some(origin), "rollcall.v1").unwrap());
                assert_eq!((goodbye, close), (code.into(), code), "{origin}");
                assert!(reason.contains("--origin"), "{reason}");
                let refused = connect(Some(origin), "chat").map(|_| ()).unwrap_err();
                assert!(refused.0 == status && refused.1.contains("--origin"), "{refused:?}");
            }
        });
    }
}

#[test]
fn who_is_refused_is_nobody_and_is_heard_by_nobody() {
    let server = server(3, Auth::Early);
    let mut refused = Client::connect(&server, "/ws?token=garbage&user=mallory", Some("rollcall.v1"));
    refused.send(r#"{"seq":1,"cmd":"heartbeat"}"#);
    refused.send("mallory");
    assert_eq!(told(&mut refused).2, 4401);
    let mut anna = Client::connect(&server, &format!("/ws?token={}", token("anna")), Some("rollcall.v1"));
    assert_eq!(anna.event()["event"], "welcome");
    let body = anna.done("presence", r#"{"users":["mallory"]}"#);
    assert_eq!(body["users"][0]["state"], "offline");
}

#[test]
fn a_foreign_origin_is_told_and_the_servers_own_is_let_in() {
    let origins = vec!["https://named.example".to_owned()];
    let subprotocols = vec!["rollcall.v1".to_owned()];
    let server = start_site(Config::default(), RouterSettings { origins, subprotocols, ..open_site() });
    let address = server.addresses()[0];
    let own = format!("http://{address}");
    for path in ["/ws", "/echo"] {
        let connect = |origin: &str, offered: &str| {
            let fields = [("Origin", origin), ("Sec-WebSocket-Protocol", offered)];
            Client::try_connect(&server, path, &fields)
        };
        for origin in ["https://foreign.example", "null", "https://named.example:8443"] {
            let (code, reason, close) = told(&mut connect(origin, "rollcall.v1").unwrap());
            assert_eq!((code, close), (4403.into(), 4403), "{origin}");
            assert!(reason.contains("--origin"), "{reason}");
            assert_eq!(connect(origin, "chat").map(|_| ()).unwrap_err().0, 403);
        }
        for origin in [&*own, "https://named.example"] {
            let mut client = connect(origin, "rollcall.v1").unwrap();
            if path == "/ws" {
                assert_eq!(client.event()["event"], "welcome", "{origin}");
            }
        }
    }
    let metrics = get(address, "/metrics").body;
    assert!(metrics.contains("rollcall_handshakes_refused_total{reason=\"forbidden\"} 12\n"), "{metrics}");
}
