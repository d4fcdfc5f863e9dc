//! What holds for a client whatever carries it: tokens and their end, the pace of commands, its state.

use std::sync::Arc;
use std::time::Duration;

use rollcall::internals::identity::{Claims, Key, Keys, SigningKey, token};
use rollcall::internals::presence::Rules;
use rollcall::internals::service::authenticator::{Auth, Authenticator};
use rollcall::internals::service::presence::PresenceSettings;
use rollcall::internals::time::ticks;

use super::house::{House, Line, events, field};
use super::{house, join};
use crate::reactor::kit::{config, seconds};

const SECRET: &[u8] = b"a secret of at least 32 bytes, as all are";

/// A client without a WebSocket: its session, and its stream where it has one.
struct Guest {
    session: String,
    stream: Option<Line>,
    posts: u64,
}

impl Guest {
    /// One that comes with this query, by an event stream or by polls.
    fn enter(house: &mut House, streams: bool, query: &str) -> Guest {
        if streams {
            let (line, session) = house.open_stream(0, query);
            return Guest { session, stream: Some(line), posts: 0 };
        }
        let (status, lines) = house.answer(1, "POST", &format!("/poll?{query}"), "");
        assert_eq!(status, 200, "{lines}");
        Guest { session: field(&lines, "session").unwrap().to_owned(), stream: None, posts: 0 }
    }

    /// What commands are answered, a line each; they are posted to a worker that is not its own.
    fn post(&mut self, house: &mut House, body: &str) -> String {
        self.posts += 1;
        let carrier = if self.stream.is_some() { "events" } else { "poll" };
        let target = format!("/{carrier}/{}?n={}", self.session, self.posts);
        let (status, lines) = house.answer(2, "POST", &target, body);
        assert_eq!(status, 200, "{lines}");
        lines
    }

    /// What it has heard since it came.
    fn hear(&self, house: &mut House) -> String {
        match self.stream {
            Some(line) => events(&house.read(line)).join("\n"),
            None => house.answer(2, "POST", &format!("/poll/{}?ack=0&wait=0", self.session), "").1,
        }
    }
}

fn guarded(auth: Auth) -> House {
    let keys = Some(Arc::new(Keys::new(vec![Key::from_secret(SECRET).unwrap()])));
    let authenticator = Authenticator { auth, keys, timeout: ticks(seconds(5)), certificates: false };
    let rules = Rules { grace: 0, ..Rules::default() };
    House::with(3, &config(), PresenceSettings { rules, authenticator, ..PresenceSettings::default() })
}

/// A token that is good for so many seconds from `now`.
fn token_for(user: &str, now: u64, good_for: u64) -> String {
    let expires_millis = now + good_for * 1_000;
    let claims =
        Claims { user: user.to_owned(), expires_millis, rooms: None, see: vec!["*".to_owned()], info: None };
    token::sign(&claims, &SigningKey::from_secret(SECRET).unwrap(), now).unwrap()
}

/// The time of the house, by what it tells a client that shows a token which is good for ever.
fn now(house: &mut House) -> u64 {
    let target = format!("/poll?token={}", token_for("clock", 1_000_000_000_000, 1 << 40));
    let (_, lines) = house.answer(0, "POST", &target, "");
    field(&lines, "time_ms").unwrap_or_else(|| panic!("{lines}")).parse().unwrap()
}

#[test]
fn a_token_that_ends_takes_its_session_along_and_a_new_one_keeps_it() {
    for streams in [true, false] {
        let mut house = guarded(Auth::Early);
        let began = now(&mut house);
        let mut guest = Guest::enter(&mut house, streams, &format!("token={}", token_for("anna", began, 6)));
        let renewed = token_for("anna", began, 12);
        let auth = format!(r#"{{"seq":1,"cmd":"auth","params":{{"token":"{renewed}"}}}}"#);
        house.pass(seconds(4));
        assert!(guest.post(&mut house, &auth).contains(r#""code":200"#));
        house.pass(seconds(4));
        assert!(guest.post(&mut house, &join("r")).contains(r#""code":200"#), "the first one has ended");
        house.pass(seconds(5));
        let heard = guest.hear(&mut house);
        assert!(heard.contains(r#""event":"goodbye","code":4401"#), "{streams}: {heard}");
    }
}

#[test]
fn who_comes_late_shows_a_token_in_time() {
    for streams in [true, false] {
        let mut house = guarded(Auth::Late);
        let mut guest = Guest::enter(&mut house, streams, "user=zoe");
        let silent = Guest::enter(&mut house, streams, "");
        assert!(guest.post(&mut house, &join("r")).contains(r#""code":401"#));
        let token = token_for("anna", 1_000_000_000_000, 1 << 40);
        let auth = format!(r#"{{"seq":1,"cmd":"auth","params":{{"token":"{token}"}}}}"#);
        assert!(guest.post(&mut house, &auth).contains(r#""user":"anna""#));
        assert!(guest.post(&mut house, &join("r")).contains(r#""code":200"#));
        house.pass(seconds(6));
        assert!(guest.post(&mut house, &join("r")).contains(r#""code":200"#), "its time is over");
        let heard = silent.hear(&mut house);
        assert!(heard.contains(r#""event":"goodbye","code":4408"#), "{streams}: {heard}");
    }
}

#[test]
fn commands_keep_to_the_pace_of_a_connection() {
    for streams in [true, false] {
        let rules = Rules { commands_per_second: 10, ..Rules::default() };
        let mut house = House::with(3, &config(), PresenceSettings { rules, ..PresenceSettings::default() });
        let mut guest = Guest::enter(&mut house, streams, "user=anna");
        let many = [r#"{"seq":1,"cmd":"presence","params":{"users":["ben"]}}"#; 200].join("\n");
        let lines = guest.post(&mut house, &many);
        let refused = lines.lines().filter(|line| line.contains(r#""code":429"#)).count();
        assert!((100..200).contains(&refused) && lines.lines().count() == 200, "{streams}: {refused}");
        house.pass(seconds(5));
        assert!(guest.post(&mut house, &join("r")).contains(r#""code":200"#));
    }
}

#[test]
fn a_client_says_how_its_user_is() {
    for streams in [true, false] {
        let mut house = house(3);
        let mut guest = Guest::enter(&mut house, streams, "user=anna&state=busy");
        assert_eq!(house.state("anna"), "busy");
        guest.post(&mut house, r#"{"seq":1,"cmd":"status","params":{"state":"away"}}"#);
        assert_eq!(house.state("anna"), "away");
    }
}

#[test]
fn one_who_polls_late_is_suspect_to_those_who_ask() {
    let mut house = house(2);
    let watcher = house.upgrade(0, "/ws?user=watcher");
    house.settle();
    house.say(watcher, r#"{"seq":1,"cmd":"watch","params":{"users":["anna"],"suspect":true}}"#);
    let anna = house.open_polls(1, "anna");
    let states = |house: &mut House| {
        let texts = house.texts(watcher);
        let told = texts.iter().filter(|text| text.contains(r#""event":"presence""#));
        told.map(|text| field(text, "state").unwrap().to_owned()).collect::<Vec<_>>()
    };
    house.settle();
    assert_eq!(states(&mut house), ["online"]);
    house.pass(Duration::from_millis(7_400));
    assert_eq!(states(&mut house), [""; 0]);
    house.pass(Duration::from_millis(150));
    assert_eq!(states(&mut house), ["suspect"]);
    house.post(0, &anna, "n=1", &join("r"));
    house.pass(Duration::from_millis(50));
    assert_eq!(states(&mut house), ["online"]);
    house.pass(Duration::from_millis(7_550));
    assert_eq!(states(&mut house), ["suspect"]);
    house.post(0, &anna, "ack=1&wait=0", "");
    house.pass(Duration::from_millis(10_100));
    assert_eq!(states(&mut house), ["online", "suspect", "offline"]);
}
