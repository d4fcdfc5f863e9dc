//! What a client without a WebSocket may have, and what it gets of what was said while it was away.

use std::sync::Arc;
use std::time::Duration;

use rollcall::internals::presence::{HistoryRule, Pattern, Rules};
use rollcall::internals::reactor::{AddressLimits, Config};
use rollcall::internals::service::presence::PresenceSettings;

use super::house::{House, events, field, request};
use super::{join, say};
use crate::reactor::kit::{config, seconds};

#[test]
fn sessions_count_for_the_address_that_began_them() {
    let addresses = AddressLimits { connections: 3, handshakes: 0 };
    let mut house = House::with(2, &Config { addresses, ..config() }, PresenceSettings::default());
    let id = house.scripts[0].connect_from("192.0.2.1");
    let open = |house: &mut House| {
        house.arrive((0, id), request("POST", "/poll", "").as_bytes());
        house.settle();
        house.answers((0, id)).remove(0).0
    };
    // One place is the connection's.
    assert_eq!([(); 3].map(|()| open(&mut house)), [200, 200, 429]);
    house.pass(Duration::from_millis(10_100));
    assert_eq!([(); 3].map(|()| open(&mut house)), [200, 200, 429], "nobody polled them");
}

#[test]
fn a_client_that_polls_no_more_is_sent_away_at_the_bound() {
    let config = Config { max_backlog_bytes: 100_000, ..config() };
    let rules = Rules { grace: 0, ..Rules::default() };
    let mut house = House::with(1, &config, PresenceSettings { rules, ..PresenceSettings::default() });
    let anna = house.open_polls(0, "anna");
    house.post(0, &anna, "n=1", &join("r"));
    let ben = house.upgrade(0, "/ws?user=ben");
    house.settle();
    house.say(ben, &join("r"));
    for _ in 0..12 {
        house.say(ben, &say("r", &format!("\"{}\"", "x".repeat(10_000))));
        house.settle();
    }
    assert!(house.texts(ben).iter().any(|text| text.contains(r#""event":"leave""#)), "anna is gone");
    let (status, lines) = house.post(0, &anna, "ack=1&wait=25s", "");
    assert!(status == 200 && lines.lines().count() > 5, "what waited is there: {lines:.200}");
    assert!(!lines.contains("goodbye"), "an answer has its bound: {}", lines.len());
    let last = lines.lines().last().and_then(|line| field(line, "n")).unwrap().to_owned();
    let (_, rest) = house.post(0, &anna, &format!("ack={last}&wait=25s"), "");
    assert!(rest.contains(r#""event":"goodbye","code":1013"#) && rest.contains("retry_ms"), "{rest:.200}");
}

#[test]
fn a_session_that_is_over_has_a_place_until_its_end() {
    let config = Config { max_backlog_bytes: 100_000, max_connections: 2, ..config() };
    let rules = Rules { grace: 0, commands_per_second: 1_000_000, ..Rules::default() };
    let mut house = House::with(1, &config, PresenceSettings { rules, ..PresenceSettings::default() });
    let id = house.scripts[0].connect();
    let ask = |house: &mut House, target: &str, body: &str| {
        house.arrive((0, id), request("POST", target, body).as_bytes());
        house.settle();
        house.answers((0, id)).remove(0)
    };
    let (_, lines) = ask(&mut house, "/poll?user=anna", "");
    let anna = field(&lines, "session").unwrap().to_owned();
    ask(&mut house, &format!("/poll/{anna}"), &join("r"));
    let long = say("r", &format!("\"{}\"", "x".repeat(10_000)));
    let said = (0..20).take_while(|_| ask(&mut house, &format!("/poll/{anna}"), &long).0 == 200).count();
    assert!((5..20).contains(&said), "{said}");
    let open = |house: &mut House, user: &str| ask(house, &format!("/poll?user={user}"), "").0;
    assert_eq!(["ben", "carl"].map(|user| open(&mut house, user)), [200, 503]);
    house.pass(Duration::from_millis(10_100));
    assert_eq!(["dora", "emil"].map(|user| open(&mut house, user)), [200, 200], "nobody polled them");
}

#[test]
fn where_memory_is_short_what_waits_for_polls_grows_no_more_and_goes() {
    let config = Config { max_memory_bytes: Some(100 << 20), ..config() };
    let rules = Rules { grace: 0, commands_per_second: 1_000_000, ..Rules::default() };
    let mut house = House::with(1, &config, PresenceSettings { rules, ..PresenceSettings::default() });
    let [anna, carl] = ["anna", "carl"].map(|user| house.open_polls(0, user));
    let ben = house.upgrade(0, "/ws?user=ben");
    house.settle();
    let tells = |house: &mut House, to: &str| {
        let data = "x".repeat(10_000);
        let tell = format!(r#"{{"seq":1,"cmd":"tell","params":{{"user":"{to}","data":"{data}"}}}}"#);
        let is_taken = |_: &i32| {
            house.say(ben, &tell);
            house.settle();
            house.texts(ben).pop().unwrap().contains(r#""code":200"#)
        };
        (0..20).take_while(is_taken).count()
    };
    assert_eq!(tells(&mut house, "anna"), 20);
    house.scripts[0].set_resident((100 << 20) + 1);
    house.pass(Duration::from_millis(2_500));
    assert_eq!(house.post(0, &anna, "ack=0&wait=0", "").0, 404, "what waited is gone");
    assert_eq!(house.post(0, &carl, "ack=1&wait=0", "").0, 200, "who has nothing waiting stays");
    assert_eq!(tells(&mut house, "carl"), 3, "of half of what an answer holds");
    house.scripts[0].set_resident(1);
    house.pass(Duration::from_millis(2_500));
    assert_eq!(house.post(0, &carl, "ack=1&wait=0", "").0, 404, "carl was the next");
    house.open_polls(0, "dora");
    assert_eq!(tells(&mut house, "dora"), 20, "there is memory again");
}

#[test]
fn a_stream_that_is_not_read_is_closed_at_the_bound_of_a_websocket() {
    let config = Config { max_backlog_bytes: 100_000, ..config() };
    let rules = Rules { commands_per_second: 1_000_000, ..Rules::default() };
    let mut house = House::with(1, &config, PresenceSettings { rules, ..PresenceSettings::default() });
    let (stream, _) = house.open_stream(0, "user=anna&room=r");
    house.read(stream);
    house.scripts[0].peer(stream.1, |peer| peer.room = 0);
    let ben = house.upgrade(0, "/ws?user=ben");
    house.settle();
    house.say(ben, &join("r"));
    for _ in 0..200 {
        house.say(ben, &say("r", &format!("\"{}\"", "x".repeat(10_000))));
        house.settle();
        house.pass(Duration::from_millis(100));
    }
    assert!(house.texts(ben).iter().any(|text| text.contains(r#""event":"leave""#)), "anna is gone");
    assert_eq!(house.workers[0].service().session_counts()[0], 0);
}

#[test]
fn a_stream_that_comes_back_gets_what_was_said_meanwhile_as_events() {
    let rule = HistoryRule { pattern: Pattern::new("kept*").unwrap(), count: 100, age: 360_000 };
    let rules = Rules { history: Arc::new([rule]), ..Rules::default() };
    let mut house = House::with(2, &config(), PresenceSettings { rules, ..PresenceSettings::default() });
    let (stream, _) = house.open_stream(0, "user=anna&room=kept1&room=kept2&room=other");
    let ben = house.upgrade(1, "/ws?user=ben");
    house.settle();
    let speak = |house: &mut House, room: &str, data: &str| {
        house.say(ben, &say(room, data));
        house.settle();
        house.pass(Duration::from_millis(50));
    };
    for room in ["kept1", "kept2", "other"] {
        house.say(ben, &join(room));
    }
    house.settle();
    house.read(stream);
    speak(&mut house, "kept1", "1");
    speak(&mut house, "kept2", "2");
    speak(&mut house, "other", "3");
    let heard = events(&house.read(stream));
    assert!(!heard[2].contains("id: "), "{heard:?}");
    let id = heard[1].lines().next().unwrap().strip_prefix("id: ").unwrap().to_owned();
    house.reset(stream);
    house.settle();
    speak(&mut house, "kept1", "4");
    speak(&mut house, "kept2", "5");
    speak(&mut house, "other", "6");
    for (query, fields) in
        [("", format!("Last-Event-ID: {id}\r\n")), (&*format!("&last_event_id={id}"), String::new())]
    {
        let line = (0, house.scripts[0].connect());
        let target = format!("/events?user=anna&room=kept1&room=kept2&room=other{query}");
        house.arrive(line, format!("GET {target} HTTP/1.1\r\nHost: h\r\n{fields}\r\n").as_bytes());
        house.settle();
        let heard = events(&house.read(line));
        let said = heard.iter().filter(|event| event.contains("event: say"));
        let mut data: Vec<&str> = said.filter_map(|event| field(event, "data")).collect();
        data.sort_unstable();
        assert_eq!(data, ["4", "5"], "each once, as an event: {heard:?}");
        assert!(
            heard.iter().filter(|event| event.contains("event: say")).all(|event| event.starts_with("id: "))
        );
        house.reset(line);
        house.settle();
    }
}

#[test]
fn a_stream_to_an_old_client_or_for_its_head_alone() {
    let mut house = House::new(1, Rules { grace: 0, ..Rules::default() });
    let line = (0, house.scripts[0].connect());
    house.arrive(line, b"GET /events?user=anna HTTP/1.0\r\n\r\n");
    house.settle();
    let text = house.read(line);
    assert!(text.contains("\r\nConnection: close\r\n") && !text.contains("chunked"), "{text}");
    assert!(text.contains("\n\nevent: welcome\ndata: {"), "{text}");
    house.reset(line);
    let line = (0, house.scripts[0].connect());
    house.arrive(line, b"HEAD /events?user=ben HTTP/1.1\r\nHost: h\r\n\r\n");
    house.settle();
    let text = house.read(line);
    assert!(text.contains("text/event-stream") && text.ends_with("\r\n\r\n"), "{text}");
    house.pass(seconds(1));
    assert_eq!(house.state("ben"), "offline");
    assert_eq!(house.workers[0].service().session_counts(), [0; 3]);
}
