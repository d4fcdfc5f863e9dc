//! Tokens against the real server: who comes in, by which carrier, for how long, and what claims forbid. With one worker,
//! with three and with 52.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rollcall::internals::identity::{Claims, Key, Keys, SigningKey, token};
use rollcall::internals::reactor::Server;
use rollcall::internals::service::authenticator::{Auth, Authenticator};
use rollcall::internals::time::{Clock, Tick, ticks};
use serde_json::json;

use super::{P256, RSA, SECRET};
use crate::bounds::PATIENCE;
use crate::clients::api::post;
use crate::clients::client::{Client, Times, look, millis, start_for, start_with, until, with_workers};

pub(super) fn unix_millis() -> u64 {
    Clock::starting_at(Tick(0)).now().unix_millis
}

pub(crate) fn claims(user: &str) -> Claims {
    Claims {
        user: user.to_owned(),
        expires_millis: unix_millis() + 3_600_000,
        rooms: None,
        see: vec!["*".to_owned()],
        info: None,
    }
}

pub(crate) fn signed(claims: &Claims) -> String {
    token::sign(claims, &SigningKey::from_secret(SECRET).unwrap(), unix_millis()).unwrap()
}

pub(super) fn token(user: &str) -> String {
    signed(&claims(user))
}

fn secret() -> Option<Arc<Keys>> {
    Some(Arc::new(Keys::new(vec![Key::from_secret(SECRET).unwrap()])))
}

pub(crate) fn server(workers: usize, auth: Auth) -> Server {
    let authenticator =
        Authenticator { auth, keys: secret(), timeout: ticks(millis(400)), certificates: false };
    start_with(workers, &Times::default(), authenticator)
}

/// The same, with origins that are named.
pub(crate) fn server_for(workers: usize, auth: Auth, origins: Vec<String>) -> Server {
    let authenticator =
        Authenticator { auth, keys: secret(), timeout: ticks(millis(400)), certificates: false };
    start_for(workers, &Times::default(), authenticator, origins)
}

fn connect(server: &Server, token: &str) -> Client {
    let mut client = Client::connect(server, &format!("/ws?token={token}"), Some("rollcall.v1"));
    assert_eq!(client.event()["event"], "welcome");
    client
}

#[test]
fn each_carrier_brings_a_token_in() {
    let server = server(1, Auth::Early);
    let token = token("anna");
    let subprotocols = format!("rollcall.v1, bearer.{token}");
    for (target, field, value) in [
        (format!("/ws?token={token}&user=ben"), "X-Nothing", String::new()),
        ("/ws".to_owned(), "Authorization", format!("Bearer {token}")),
        ("/ws?user=ben".to_owned(), "Cookie", format!("a=b; rollcall_token={token}")),
        ("/".to_owned(), "X-Nothing", String::new()),
    ] {
        let subprotocols = if target == "/" { &subprotocols } else { "rollcall.v1" };
        let fields = [("Sec-WebSocket-Protocol", subprotocols), (field, value.as_str())];
        let mut client = Client::try_connect(&server, &target, &fields).unwrap();
        assert_eq!(client.subprotocol.as_deref(), Some("rollcall.v1"), "the token is never echoed");
        assert_eq!(client.event()["user"], "anna", "{field}: a token wins over names");
    }
}

#[test]
fn nobody_comes_in_early_without_a_good_token() {
    let server = server(1, Auth::Early);
    let mut expired = claims("anna");
    expired.expires_millis = unix_millis() - 2_000;
    let other = SigningKey::from_private_pem(P256[1]).unwrap();
    let foreign = token::sign(&claims("anna"), &other, unix_millis()).unwrap();
    let spoken = |rooms: &str| Claims { rooms: Some(vec![rooms.to_owned()]), ..claims("anna") };
    let long = "x".repeat(10 << 10);
    for (token, status, words) in [
        (None, 401, "a token is needed"),
        (Some("garbage"), 401, "not a JSON Web Token"),
        (Some(&*long), 401, "over 4 KiB"),
        (Some(&*signed(&expired)), 401, "has expired"),
        (Some(&*foreign), 401, "algorithm"),
        (Some(&*signed(&claims("a*"))), 401, "not a name"),
        (Some(&*signed(&spoken("a*b"))), 401, "pattern"),
    ] {
        let target = token.map_or("/ws?user=anna".to_owned(), |token| format!("/ws?token={token}"));
        let (refused, body) = Client::try_connect(&server, &target, &[]).map(|_| ()).unwrap_err();
        assert_eq!(refused, status, "{words}");
        assert!(body.contains(words), "{words}: {body}");
        assert!(token.is_none_or(|token| !body.contains(&token[..5])), "no part of a token: {body}");
    }
    let fields = [("Sec-WebSocket-Protocol", format!("bearer.{}", token("anna")))];
    let fields = fields.each_ref().map(|(name, value)| (*name, value.as_str()));
    let (status, body) = Client::try_connect(&server, "/ws", &fields).map(|_| ()).unwrap_err();
    assert!(status == 400 && body.contains("rollcall.v1"), "{body}");
    // The echo knows nobody anyway.
    Client::plain(&server, "/echo");
}

#[test]
fn who_comes_late_shows_a_token_before_anything_else() {
    with_workers(|workers| {
        let server = server(workers, Auth::Late);
        let mut anna = Client::connect(&server, "/ws?user=zoe", Some("rollcall.v1"));
        assert!(anna.event()["user"].is_null(), "nobody is taken at their word");
        let body = anna.command("join", r#"{"room":"lobby"}"#);
        assert_eq!(body["code"], 401);
        anna.done("heartbeat", "{}");
        let body = anna.done("auth", &format!(r#"{{"token":"{}"}}"#, token("anna")));
        assert_eq!(body["user"], "anna");
        assert!(body["expires_ms"].as_u64() > Some(unix_millis()));
        anna.done("join", r#"{"room":"lobby"}"#);
        // The time to show a token is over, and is not this one's any more.
        anna.linger(millis(600));
        assert_eq!(look(&mut anna, "anna"), ("online".into(), 1));

        let mut bad = Client::connect(&server, "/ws", Some("rollcall.v1"));
        assert_eq!(bad.event()["event"], "welcome");
        assert_eq!(bad.command("auth", r#"{"token":"garbage"}"#)["code"], 401);
        assert_eq!(bad.event()["code"], 4401);
        assert_eq!(bad.close_code(), 4401);

        let begun = Instant::now();
        let mut silent = Client::plain(&server, "/ws");
        silent.send("mallory");
        assert_eq!(silent.close_code(), 4408);
        assert!(begun.elapsed() >= millis(390));
        assert_eq!(look(&mut anna, "mallory").0, "offline");
    });
}

#[test]
fn a_token_that_ends_takes_its_connection_along_and_a_new_one_keeps_it() {
    with_workers(|workers| {
        let server = server(workers, Auth::Early);
        let mut watcher = connect(&server, &token("watcher"));
        watcher.done("watch", r#"{"users":["anna","ben"]}"#);
        // Whole seconds, since tokens have no others; at least one of them from now.
        let soon = |user: &str, seconds: u64| Claims {
            expires_millis: (unix_millis() / 1_000 + seconds) * 1_000,
            ..claims(user)
        };
        let (short, shorter) = (soon("ben", 3), soon("anna", 2));
        let mut ben = connect(&server, &signed(&short));
        let mut anna = connect(&server, &signed(&shorter));
        let body = ben.done("auth", &format!(r#"{{"token":"{}"}}"#, token("ben")));
        assert_eq!(body["user"], "ben");
        assert_eq!(ben.command("auth", &format!(r#"{{"token":"{}"}}"#, token("eve")))["code"], 403);
        assert_eq!(ben.command("auth", r#"{"token":"garbage"}"#)["code"], 401);
        let goodbye = anna.event_named("goodbye");
        assert_eq!((&goodbye["code"], &goodbye["retry_ms"]), (&4401.into(), &json!(null)));
        assert_eq!(anna.close_code(), 4401);
        assert!(unix_millis() + 20 >= shorter.expires_millis);
        let gone = loop {
            let event = watcher.event_named("presence");
            if event["user"] == "anna" && event["state"] == "offline" {
                break event;
            }
        };
        assert_eq!(gone["reason"], "expired", "at once, without a grace");
        let left = short.expires_millis.saturating_sub(unix_millis());
        ben.linger(Duration::from_millis(left + 300));
        assert_eq!(look(&mut ben, "ben"), ("online".into(), 1));
    });
}

#[test]
fn claims_say_which_rooms_and_what_is_shown() {
    with_workers(|workers| {
        let server = server(workers, Auth::Early);
        let info = r#"{ "role":"staff",  "n":1e2 }"#;
        let rooms = Some(vec!["support.*".to_owned(), "lobby".to_owned()]);
        let mut anna =
            connect(&server, &signed(&Claims { rooms, info: Some(info.into()), ..claims("anna") }));
        let mut ben = connect(&server, &token("ben"));
        assert_eq!(anna.command("join", r#"{"room":"elsewhere"}"#)["code"], 403);
        anna.done("join", r#"{"room":"lobby"}"#);
        ben.done("join", r#"{"room":"support.1"}"#);
        // A claim speaks where its holder is not.
        anna.done("say", r#"{"room":"support.1","data":"hello"}"#);
        assert_eq!(ben.event_named("say")["data"], "hello");
        assert_eq!(ben.command("say", r#"{"room":"lobby","data":1}"#)["code"], 403);
        assert_eq!(anna.command("say", r#"{"room":"elsewhere","data":1}"#)["code"], 403);
        assert_eq!(anna.command("status", r#"{"info":{"role":"boss"}}"#)["code"], 403);
        anna.done("status", r#"{"state":"away"}"#);
        until(&mut ben, "anna", "away");
        ben.send(r#"{"seq":900,"cmd":"presence","params":{"users":["anna"]}}"#);
        let answer = loop {
            let text = ben.text();
            if text.starts_with(r#"{"seq":900"#) {
                break text;
            }
        };
        assert!(answer.contains(&format!(r#""info":{info}"#)), "{answer}");
    });
}

#[test]
fn who_shares_no_room_is_not_seen() {
    with_workers(|workers| {
        let server = server(workers, Auth::Early);
        let blind = |user: &str| signed(&Claims { see: Vec::new(), ..claims(user) });
        let (mut anna, mut ben) = (connect(&server, &blind("anna")), connect(&server, &blind("ben")));
        let body = anna.done("watch", r#"{"users":["ben"]}"#);
        assert_eq!(
            (&body["users"][0]["state"], &body["users"][0]["version"]),
            (&"offline".into(), &0.into())
        );
        assert_eq!(anna.command("tell", r#"{"user":"ben","data":1}"#)["code"], 403);
        ben.done("join", r#"{"room":"lobby"}"#);
        assert_eq!(anna.command("who", r#"{"room":"lobby"}"#)["code"], 403);
        anna.assert_quiet();
        anna.done("join", r#"{"room":"lobby"}"#);
        assert_eq!(anna.event_named("presence")["state"], "online");
        anna.done("tell", r#"{"user":"ben","data":1}"#);
        assert_eq!(ben.event_named("tell")["from"], "anna");
        assert_eq!(anna.done("who", r#"{"room":"lobby"}"#)["users"][1]["state"], "online");
        ben.done("leave", r#"{"room":"lobby"}"#);
        let hidden = anna.event_named("presence");
        assert_eq!((&hidden["state"], &hidden["reason"]), (&"offline".into(), &"hidden".into()));
    });
}

#[test]
fn new_keys_count_from_the_next_token_on_and_send_nobody_away() {
    with_workers(|workers| {
        let keys = Arc::new(Keys::new(vec![Key::from_secret(SECRET).unwrap()]));
        let authenticator =
            Authenticator { auth: Auth::Early, keys: Some(keys.clone()), timeout: 100, certificates: false };
        let server = start_with(workers, &Times::default(), authenticator);
        let mut anna = connect(&server, &token("anna"));
        keys.replace(vec![Key::from_public_pem(RSA[0]).unwrap()]);
        let target = format!("/ws?token={}", token("ben"));
        assert_eq!(Client::try_connect(&server, &target, &[]).map(|_| ()).unwrap_err().0, 401);
        let rsa = SigningKey::from_private_pem(RSA[1]).unwrap();
        connect(&server, &token::sign(&claims("ben"), &rsa, unix_millis()).unwrap());
        anna.done("heartbeat", "{}");
    });
}

#[test]
fn the_seventeenth_token_of_a_user_takes_the_place_of_the_first() {
    with_workers(|workers| {
        let server = server(workers, Auth::Early);
        let token = token("anna");
        let mut first = connect(&server, &token);
        let _others: Vec<Client> = (0..16).map(|_| connect(&server, &token)).collect();
        assert_eq!(first.event_named("goodbye")["code"], 4409);
        assert_eq!(first.close_code(), 4409);
    });
}

#[test]
fn without_the_need_for_a_token_a_good_one_wins_and_a_bad_one_is_refused() {
    let server = server(1, Auth::None);
    let mut anna =
        Client::connect(&server, &format!("/ws?user=ben&token={}", token("anna")), Some("rollcall.v1"));
    assert_eq!(anna.event()["user"], "anna");
    let target = "/ws?user=ben&token=garbage";
    assert_eq!(Client::try_connect(&server, target, &[]).map(|_| ()).unwrap_err().0, 401);
    let mut ben = Client::named(&server, "ben");
    assert_eq!(look(&mut ben, "anna"), ("online".into(), 1), "everybody sees everybody");
}

#[test]
fn a_banned_user_is_nobody_by_whatever_token() {
    with_workers(|workers| {
        for auth in [Auth::Early, Auth::Late] {
            let authenticator =
                Authenticator { auth, keys: secret(), timeout: ticks(PATIENCE), certificates: false };
            let server = start_with(workers, &Times::default(), authenticator);
            let token = token("anna");
            post(&server, "users/anna/disconnect", r#"{"for":"1d"}"#);
            let banned = json!({"event":"goodbye","code":4403,"reason":"banned"});
            let mut early = Client::connect(&server, &format!("/ws?token={token}"), Some("rollcall.v1"));
            assert_eq!((early.event_named("goodbye"), early.close_code()), (banned.clone(), 4403));
            // A worker gets to know of the ban in its own time.
            let refused = loop {
                match Client::try_connect(&server, &format!("/ws?token={token}"), &[]) {
                    Ok(mut early) => assert_eq!(early.close_code(), 4403),
                    Err(refused) => break refused,
                }
            };
            assert_eq!(refused.0, 403);
            if auth == Auth::Late {
                let mut late = Client::connect(&server, "/ws", Some("rollcall.v1"));
                assert_eq!(late.event()["event"], "welcome");
                late.send(&format!(r#"{{"seq":1,"cmd":"auth","params":{{"token":"{token}"}}}}"#));
                assert_eq!((late.event_named("goodbye"), late.close_code()), (banned, 4403));
            }
        }
    });
}
