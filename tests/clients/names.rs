//! Names of all kinds, through every way in and out of the real server: each comes out byte for byte as it went in.

use rollcall::internals::limits::NAME_BYTES_MAX;
use rollcall::internals::presence::is_name;
use rollcall::internals::reactor::Server;
use rollcall::internals::service::authenticator::Auth;
use serde_json::{Value, json};

use super::api::{call, get, post};
use super::client::{Client, Times, start, with_workers};
use crate::identity::server as tokens;

/// What identity providers give, and what is likely to be taken for something else on its way.
const GIVEN: [&str; 16] = [
    "auth0|5f7c",
    "google-oauth2|1157",
    "anna+test@example.org",
    "Jörg",
    "Jo\u{308}rg",
    "李雷",
    "user/42",
    "../..",
    "Anna Maria",
    r#""quoted\""#,
    r"\u0041\",
    "50%25&a=b#c?d;e",
    "__proto__",
    "<b>&amp;</b>",
    "\u{1f600}\u{2028}\u{202e}\u{a0}",
    "null",
];

/// Names of any characters that names may have; the same for the same seed.
fn random_names(seed: u64) -> impl Iterator<Item = String> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut below = move |bound: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % bound
    };
    let name = move || {
        let mut name = String::new();
        for _ in 0..=below(40) {
            let most = [0x80, 0x80, 0x250, 0x1_0000, 0x11_0000][below(5) as usize];
            name.extend(char::from_u32(below(most) as u32));
        }
        name.truncate(name.floor_char_boundary(NAME_BYTES_MAX));
        name
    };
    std::iter::repeat_with(name).filter(|name| is_name(name))
}

/// As `encodeURIComponent` writes it, or with every byte escaped.
fn encoded(name: &str, all: bool) -> String {
    let plain = |byte: u8| !all && (byte.is_ascii_alphanumeric() || b"-_.!~'()".contains(&byte));
    let byte = |byte: u8| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    name.bytes().map(byte).collect()
}

fn come(server: &Server, target: &str) -> Client {
    Client::connect(server, target, Some("rollcall.v1"))
}

/// Everything that has a name in it, with the name of a user and that of a room.
fn goes_everywhere(server: &Server, user: &str, room: &str) {
    let in_room = json!({ "room": room }).to_string();
    let mut other = come(server, "/ws?user=other");
    other.event();
    let body = other.done("watch", &json!({ "users": [user] }).to_string());
    assert_eq!(body["users"][0]["user"], user);
    other.done("join", &in_room);
    let mut client = come(server, &format!("/ws?user={}", encoded(user, room.len().is_multiple_of(2))));
    assert_eq!(client.event()["user"], user);
    assert_eq!(other.event_named("presence")["user"], user);
    let is_of = |event: &Value| event["user"] == user && event["room"] == room;
    client.done("join", &in_room);
    assert!(is_of(&other.event_named("join")));
    client.done("say", &json!({ "room": room, "data": 1 }).to_string());
    let said = other.event_named("say");
    assert_eq!((&said["from"], &said["room"]), (&json!(user), &json!(room)));
    other.done("tell", &json!({ "user": user, "data": 1 }).to_string());
    assert_eq!(client.event_named("tell")["from"], "other");
    client.done("tell", &json!({ "user": "other", "data": 1 }).to_string());
    assert_eq!(other.event_named("tell")["from"], user);
    let named =
        |rows: &Value, key: &str, name: &str| rows.as_array().unwrap().iter().any(|row| row[key] == name);
    let who = other.done("who", &in_room);
    assert!(who["room"] == room && named(&who["users"], "user", user), "{who}");
    let after = other.done("who", &json!({ "room": room, "limit": 1 }).to_string())["next"].clone();
    let rest = other.done("who", &json!({ "room": room, "after": after }).to_string());
    assert_eq!(rest["users"].as_array().unwrap().len(), 1, "{rest}");
    // The API.
    let (user_path, room_path) = (encoded(user, false), encoded(room, true));
    assert_eq!(get(server, &format!("users/{user_path}"))["user"], user);
    assert!(named(&get(server, "users")["users"], "user", user));
    assert!(named(&get(server, "rooms")["rooms"], "room", room));
    let members = get(server, &format!("rooms/{room_path}"));
    assert!(members["room"] == room && named(&members["users"], "user", user), "{members}");
    let behind = get(server, &format!("rooms/{room_path}?after={}", encoded(user, true).replace("%20", "+")));
    assert!(!named(&behind["users"], "user", user), "{behind}");
    post(server, &format!("users/{user_path}/tell"), r#"{"data":2}"#);
    assert_eq!(client.event_named("tell")["data"], 2);
    post(server, &format!("rooms/{room_path}/say"), r#"{"data":2}"#);
    let said = client.event_named("say");
    assert_eq!((&said["data"], &said["room"]), (&json!(2), &json!(room)));
    post(server, &format!("rooms/{room_path}/leave"), &json!({ "user": user }).to_string());
    assert!(is_of(&client.event_named("leave")) && is_of(&other.event_named("leave")));
    post(server, &format!("users/{user_path}/disconnect"), "{}");
    assert_eq!(client.close_code(), 4403);
    let gone = other.event_named("presence");
    let gone = if gone["state"] == "offline" { gone } else { other.event_named("presence") };
    assert_eq!((&gone["user"], &gone["state"]), (&json!(user), &json!("offline")));
    // A first message says it, too.
    let mut late = come(server, "/ws");
    late.event();
    late.send(&json!({ "id": user }).to_string());
    assert_eq!(other.event_named("presence")["user"], user);
    for client in [late, other] {
        client.close();
    }
}

#[test]
fn every_name_comes_out_as_it_went_in() {
    with_workers(|workers| {
        let server = start(workers, &Times::default());
        let random: Vec<String> =
            random_names(workers as u64).take(if workers == 3 { 40 } else { 4 }).collect();
        let names: Vec<&str> = GIVEN.into_iter().chain(random.iter().map(String::as_str)).collect();
        for (i, user) in names.iter().enumerate() {
            eprintln!("{user:?}");
            goes_everywhere(&server, user, names[(i + 5) % names.len()]);
        }
    });
}

#[test]
fn a_token_may_be_any_names_and_a_grant_of_one_is_no_pattern() {
    let server = tokens::server(3, Auth::Early);
    for user in GIVEN.into_iter().map(str::to_owned).chain(random_names(7).take(20)) {
        let mut claims = tokens::claims(&user);
        let (own, prefix) = (format!("dm:{user}"), format!("{user}/"));
        claims.rooms = Some(vec![own.clone(), format!("{prefix}*")]);
        let sign = |claims| format!("/ws?token={}", tokens::signed(claims));
        if !is_name(&own) {
            continue;
        }
        let mut client = come(&server, &sign(&claims));
        assert_eq!(client.event()["user"], *user);
        let mut code =
            |room: &str| client.command("join", &json!({ "room": room }).to_string())["code"].clone();
        assert_eq!(code(&own), 200);
        let longer = own.clone() + "x";
        assert!(!is_name(&longer) || code(&longer) == 403, "{own}");
        let within = prefix + "1";
        assert!(!is_name(&within) || code(&within) == 200, "{within}");
        client.close();
    }
}

#[test]
fn what_is_no_name_is_refused_with_what_one_is() {
    let server = start(3, &Times::default());
    let mut client = Client::named(&server, "anna");
    let long = "ä".repeat(65);
    for name in ["", " a", "a ", "a*", "a\nb", "\u{7f}", "\u{85}", &long] {
        for (command, params) in [
            ("join", json!({ "room": name })),
            ("tell", json!({ "user": name, "data": 1 })),
            ("watch", json!({ "users": ["ben", name] })),
        ] {
            let body = client.command(command, &params.to_string());
            assert!(body["code"] == 400 && body["error"].as_str().unwrap().contains("1 to 128"), "{body}");
        }
        let (status, body) = call(&server, "GET", &format!("users/{}", encoded(name, true)), "");
        assert!(status == 400 && body["error"].as_str().unwrap().contains("1 to 128"), "{name:?}: {body}");
        if !name.is_empty() {
            let target = format!("/ws?user={}", encoded(name, true));
            let Err((status, body)) = Client::try_connect(&server, &target, &[]) else { panic!("{name:?}") };
            assert!(status == 400 && body.contains("1 to 128"), "{name:?}: {body}");
        }
    }
    // A bare text says who one is only where it can't be anything else.
    let mut bare = Client::connect(&server, "/ws", None);
    bare.send("auth0|5f7c");
    bare.send("ping");
    assert_eq!(bare.text(), "pong");
    assert_eq!(call(&server, "GET", "users/auth0%7C5f7c", "").0, 404);
}
