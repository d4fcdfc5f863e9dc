//! Clients that no WebSocket carries: by event streams and polls, on any worker, and over to a WebSocket.

mod bounds;
mod client;
mod house;
mod order;
mod rules;
mod simulation;

use std::time::Duration;

use rollcall::internals::presence::Rules;
use rollcall::internals::service::presence::PresenceSettings;

use super::kit::{config, seconds};
use house::{House, Line, events, field, request};

fn house(workers: usize) -> House {
    House::new(workers, Rules { grace: 0, ..Rules::default() })
}

impl House {
    /// A session that is carried by polls: its name.
    fn open_polls(&mut self, worker: usize, user: &str) -> String {
        let (status, lines) = self.answer(worker, "POST", &format!("/poll?user={user}"), "");
        assert_eq!(status, 200);
        field(&lines, "session").unwrap().to_owned()
    }

    fn post(&mut self, worker: usize, session: &str, query: &str, body: &str) -> (u16, String) {
        self.answer(worker, "POST", &format!("/poll/{session}?{query}"), body)
    }

    /// An event stream: its connection, and the name of its session.
    fn open_stream(&mut self, worker: usize, query: &str) -> (Line, String) {
        let line = self.ask(worker, "GET", &format!("/events?{query}"), "");
        self.settle();
        let text = self.read(line);
        assert!(text.contains("\r\nContent-Type: text/event-stream\r\n"), "{text}");
        let session = field(&text, "session").unwrap().to_owned();
        (line, session)
    }

    /// How a user is, as another one is answered.
    fn state(&mut self, user: &str) -> String {
        let line = self.upgrade(0, "/ws?user=observer");
        self.settle();
        self.say(line, &format!(r#"{{"seq":1,"cmd":"presence","params":{{"users":["{user}"]}}}}"#));
        self.settle();
        let texts = self.texts(line);
        self.reset(line);
        self.settle();
        field(texts.last().unwrap(), "state").unwrap().to_owned()
    }
}

fn join(room: &str) -> String {
    format!(r#"{{"seq":1,"cmd":"join","params":{{"room":"{room}"}}}}"#)
}

fn say(room: &str, data: &str) -> String {
    format!(r#"{{"seq":2,"cmd":"say","params":{{"room":"{room}","data":{data}}}}}"#)
}

#[test]
fn a_poll_is_answered_by_any_worker_when_there_is_something() {
    let mut house = house(3);
    let anna = house.open_polls(0, "anna");
    assert_eq!(house.post(1, &anna, "n=1", &join("r")).0, 200);
    let poll = house.ask(2, "POST", &format!("/poll/{anna}?ack=1&wait=25s"), "");
    house.settle();
    house.pass(seconds(10));
    assert_eq!(house.answers(poll), []);
    let ben = house.open_polls(1, "ben");
    house.post(0, &ben, "n=1", &[join("r"), say("r", "7")].join("\n"));
    let answers = house.answers(poll);
    assert_eq!(answers.len(), 1, "{answers:?}");
    let lines: Vec<&str> = answers[0].1.lines().collect();
    assert!(lines[0].starts_with(r#"{"n":2,"event":"join","room":"r","user":"ben""#), "{lines:?}");
    // The rest is there with the next one, and what has not arrived comes again.
    let (_, again) = house.post(1, &anna, "ack=1&wait=0", "");
    assert!(again.contains(r#""data":7"#) && again.starts_with(r#"{"n":2,"#), "{again}");
    let (_, none) = house.post(1, &anna, "ack=3&wait=0", "");
    assert_eq!(none, "");
}

#[test]
fn a_poll_that_waits_is_answered_with_nothing_when_its_time_is_over() {
    for worker in [0, 1] {
        let mut house = house(2);
        let anna = house.open_polls(0, "anna");
        let poll = house.ask(worker, "POST", &format!("/poll/{anna}?ack=1&wait=3s"), "");
        house.settle();
        house.pass(Duration::from_millis(2_900));
        assert_eq!(house.answers(poll), []);
        house.pass(Duration::from_millis(150));
        assert_eq!(house.answers(poll), [(200, String::new())]);
    }
}

#[test]
fn the_newer_poll_wins_and_a_post_that_comes_again_is_not_done_again() {
    let mut house = house(3);
    let anna = house.open_polls(0, "anna");
    let target = format!("/poll/{anna}?ack=1&wait=25s");
    let [first, second] = [1, 2].map(|worker| {
        let line = house.ask(worker, "POST", &target, "");
        house.settle();
        line
    });
    assert_eq!(house.answers(first)[0].0, 409);
    assert_eq!(house.answers(second), []);
    let body = [join("r"), say("r", "1")].join("\n");
    let [once, twice] = [1, 2].map(|worker| house.post(worker, &anna, "n=1", &body));
    assert_eq!((once.0, once.1.lines().count()), (200, 2));
    assert_eq!(once, twice);
    assert!(once.1.contains(r#""offset":1"#), "{}", once.1);
    let heard = house.answers(second).remove(0).1;
    assert_eq!(heard.matches(r#""event":"say""#).count(), 1, "{heard}");
    assert_eq!(house.post(0, &anna, "n=2", "").0, 200);
    assert_eq!(house.post(0, &anna, "n=1", &body).0, 409, "it was overtaken");
}

#[test]
fn nobody_is_there_a_gap_after_the_last_poll() {
    let mut house = house(2);
    let anna = house.open_polls(0, "anna");
    house.pass(seconds(9));
    assert_eq!(house.state("anna"), "online");
    house.post(1, &anna, "ack=1&wait=0&gap=5s", "");
    house.pass(Duration::from_millis(4_900));
    assert_eq!(house.state("anna"), "online");
    house.pass(Duration::from_millis(150));
    assert_eq!(house.state("anna"), "offline");
    assert_eq!(house.post(1, &anna, "ack=1&wait=0", "").0, 404);
}

#[test]
fn a_client_that_gives_up_its_poll_frees_it_at_once() {
    let mut house = house(2);
    let anna = house.open_polls(0, "anna");
    let poll = house.ask(1, "POST", &format!("/poll/{anna}?ack=1&wait=60s"), "");
    house.settle();
    house.reset(poll);
    house.settle();
    house.pass(Duration::from_millis(9_900));
    assert_eq!(house.state("anna"), "online");
    house.pass(Duration::from_millis(150));
    assert_eq!(house.state("anna"), "offline", "its wait counts no more");
}

#[test]
fn a_heartbeat_by_request_is_a_line_of_curl() {
    let mut house = house(3);
    for round in 0..5 {
        let (status, lines) = house.answer(round % 3, "POST", "/poll?user=carl&wait=0&gap=30s", "");
        assert_eq!((status, lines.is_empty()), (200, round > 0), "{lines}");
        house.pass(seconds(20));
        assert_eq!(house.state("carl"), "online");
    }
    house.pass(Duration::from_millis(10_100));
    assert_eq!(house.state("carl"), "offline");
}

#[test]
fn a_heartbeat_is_answered_with_what_was_told_meanwhile() {
    let mut house = house(3);
    let beat = |house: &mut House| house.answer(1, "POST", "/poll?user=carl&wait=0&gap=30s", "");
    let opened = beat(&mut house).1;
    let session = field(&opened, "session").unwrap();
    let ben = house.upgrade(0, "/ws?user=ben");
    house.settle();
    for data in 1..3 {
        house.say(
            ben,
            &format!(r#"{{"seq":1,"cmd":"tell","params":{{"user":"carl","event":"ring","data":{data}}}}}"#),
        );
        house.settle();
        let lines = beat(&mut house).1;
        assert!(lines.lines().count() == 1 && lines.contains(&format!(r#""data":{data}"#)), "{lines}");
    }
    let poll = house.ask(0, "POST", &format!("/poll/{session}?ack=3&wait=25s"), "");
    house.settle();
    assert_eq!(beat(&mut house), (200, String::new()));
    assert_eq!(house.answers(poll).remove(0).0, 409, "a poll that is open is not forgotten");
}

#[test]
fn a_poll_that_waits_for_nothing_gets_what_is_there() {
    let mut house = house(3);
    for worker in 0..3 {
        let anna = house.open_polls(0, &format!("anna{worker}"));
        for _ in 0..3 {
            let (status, lines) = house.post(worker, &anna, "ack=0&wait=0", "");
            assert!(status == 200 && lines.contains(r#""event":"welcome""#), "{status} {lines}");
            house.pass(Duration::from_millis(20));
        }
        assert_eq!(house.post(worker, &anna, "ack=1&wait=0", ""), (200, String::new()));
    }
}

#[test]
fn no_command_is_left_undone_without_a_word() {
    let mut house = house(2);
    let many = "{\"cmd\":\"heartbeat\"}\n".repeat(257);
    assert_eq!(house.answer(0, "POST", "/poll?user=dora", &many).0, 413);
    let anna = house.open_polls(0, "anna");
    assert_eq!(house.post(1, &anna, "ack=1&wait=25s", &many).0, 413);
    for query in ["n=0", "ack=1&n=0"] {
        assert_eq!(house.post(1, &anna, query, &join("r")).0, 400, "numbers begin at 1");
    }
    assert_eq!(house.post(1, &anna, "ack=1&n=5", &join("r")).0, 200);
    assert_eq!(house.post(1, &anna, "ack=2&n=4", &join("s")).0, 409, "as a post of its own is refused");
    let again = house.ask(1, "POST", &format!("/poll/{anna}?ack=2&n=5&wait=1s"), &join("r"));
    house.pass(Duration::from_millis(1_100));
    assert_eq!(house.answers(again), [(200, String::new())], "it is not done again");
}

#[test]
fn an_event_stream_carries_all_of_presence() {
    let mut house = house(3);
    let (stream, session) = house.open_stream(0, "user=anna&room=r&watch=ben");
    let ben = house.upgrade(1, "/ws?user=ben");
    house.settle();
    house.say(ben, &join("r"));
    house.say(ben, &say("r", "[1,\n2]"));
    house.settle();
    let heard = events(&house.read(stream));
    assert!(
        heard[0].starts_with("event: presence\ndata: {\"event\":\"presence\",\"user\":\"ben\""),
        "{heard:?}"
    );
    assert!(heard[1].starts_with("event: join\n") && heard[2].contains("\"data\":[1, 2]"), "{heard:?}");
    // Commands by POST, wherever that lands; answers are its answer.
    let (status, lines) = house.answer(2, "POST", &format!("/events/{session}?n=1"), &say("r", "3"));
    assert!(status == 200 && lines.contains(r#"{"seq":2,"body":{"code":200,"#), "{lines}");
    assert!(house.texts(ben).last().unwrap().contains(r#""data":3"#));
    assert!(events(&house.read(stream)).last().unwrap().contains(r#""data":3"#), "it hears itself");
    // It is found within a comment's interval and this that its other end is gone.
    let within = house.scripts[0].peer(stream.1, |peer| peer.acknowledges_within);
    assert_eq!(within, Some(seconds(10)));
    // Comments.
    house.pass(seconds(31));
    let comments: Vec<String> = events(&house.read(stream));
    assert_eq!(comments, [":", ":"]);
    house.reset(stream);
    house.settle();
    assert_eq!(house.state("anna"), "offline");
    assert_eq!(house.answer(1, "POST", &format!("/events/{session}"), "").0, 404);
}

#[test]
fn a_stream_that_ends_for_good_says_so_and_its_client_is_told_204() {
    let rules = Rules { grace: 0, connections_per_user: 1, ..Rules::default() };
    let mut house = House::new(2, rules);
    let (stream, _) = house.open_stream(0, "user=anna");
    let polls = house.open_polls(1, "ben");
    house.open_stream(1, "user=anna");
    let heard = events(&house.read(stream));
    assert!(heard[0].starts_with("id: final\nevent: goodbye\n") && heard[0].contains("4409"), "{heard:?}");
    assert_eq!(heard[1], "end");
    let id = house.scripts[0].connect();
    let again = "GET /events?user=anna HTTP/1.1\r\nHost: h\r\nLast-Event-ID: final\r\n\r\n";
    house.arrive((0, id), again.as_bytes());
    house.settle();
    assert!(house.read((0, id)).starts_with("HTTP/1.1 204 "));
    // One that polls fetches it.
    house.open_polls(0, "ben");
    let (status, lines) = house.post(0, &polls, "ack=1&wait=25s", "");
    assert!(status == 200 && lines.contains(r#""event":"goodbye","code":4409"#), "{lines}");
}

#[test]
fn a_session_goes_over_to_a_websocket_and_nothing_is_lost_or_comes_twice() {
    for (owner, socket) in [(0, 0), (0, 1), (2, 1)] {
        let mut house = house(3);
        let ben = house.upgrade(0, "/ws?user=ben");
        house.settle();
        house.say(ben, &join("r"));
        let anna = house.open_polls(owner, "anna");
        house.post(owner, &anna, "n=1", &join("r"));
        house.settle();
        house.say(ben, &say("r", "1"));
        house.settle();
        let poll = house.ask(1, "POST", &format!("/poll/{anna}?ack=1&wait=25s"), "");
        house.settle();
        house.answers(poll);
        house.say(ben, &say("r", "2"));
        house.settle();
        house.texts(ben);
        let line = house.upgrade(socket, &format!("/ws?session={anna}"));
        house.settle();
        assert_eq!(house.texts(line), Vec::<String>::new(), "nothing before it says how far it is");
        house.say(line, r#"{"seq":9,"cmd":"resume","params":{"ack":2}}"#);
        house.settle();
        let texts = house.texts(line);
        assert_eq!(texts[0], r#"{"seq":9,"body":{"code":200,"next":3}}"#);
        assert!(texts.len() == 2 && texts[1].contains(r#""data":2"#), "{texts:?}");
        house.say(ben, &say("r", "3"));
        house.say(line, &say("r", "4"));
        house.settle();
        let texts = house.texts(line);
        let data: Vec<&str> = texts.iter().filter_map(|text| field(text, "data")).collect();
        assert_eq!((data, texts.len()), (vec!["3", "4"], 3), "{texts:?}");
        assert!(!house.texts(ben).iter().any(|text| text.contains("leave")), "presence hears nothing of it");
        assert_eq!(house.post(1, &anna, "ack=2&wait=0", "").0, if owner == socket { 404 } else { 409 });
        house.reset(line);
        house.settle();
        assert!(house.texts(ben).iter().any(|text| text.contains("leave")), "it goes with its WebSocket");
        assert_eq!(house.state("anna"), "offline");
    }
}

#[test]
fn a_stream_goes_over_to_a_websocket_behind_its_last_event() {
    for socket in [0, 1] {
        let mut house = house(2);
        let (stream, session) = house.open_stream(0, "user=anna&room=r");
        let line = house.upgrade(socket, &format!("/ws?session={session}"));
        house.settle();
        house.say(line, r#"{"seq":1,"cmd":"resume"}"#);
        house.settle();
        let heard = events(&house.read(stream));
        assert_eq!(heard, ["event: moved\ndata: {\"event\":\"moved\"}", "end"]);
        assert_eq!(house.texts(line), [r#"{"seq":1,"body":{"code":200,"next":0}}"#]);
        house.say(line, &say("r", "1"));
        house.settle();
        assert_eq!(house.texts(line).len(), 2, "heard, and answered");
        assert_eq!(house.state("anna"), "online");
    }
}

#[test]
fn a_websocket_that_names_no_session_is_closed() {
    let mut house = house(2);
    let anna = house.open_polls(0, "anna");
    let mut unknown = anna.clone().into_bytes();
    unknown[30] = if unknown[30] == b'A' { b'B' } else { b'A' };
    let unknown = String::from_utf8(unknown).unwrap();
    for (session, first, code) in [
        (&unknown, r#"{"seq":1,"cmd":"resume","params":{"ack":0}}"#, "close 4404"),
        (&anna, r#"{"seq":1,"cmd":"resume","params":{"ack":9}}"#, "close 4404"),
        (&anna, r#"{"seq":1,"cmd":"who","params":{"room":"r"}}"#, "close 1002"),
    ] {
        for worker in [0, 1] {
            let line = house.upgrade(worker, &format!("/ws?session={session}"));
            house.settle();
            house.say(line, first);
            house.settle();
            assert_eq!(house.texts(line).last().map(String::as_str), Some(code), "{first}");
        }
    }
    let line = house.upgrade(1, &format!("/ws?session={anna}"));
    house.settle();
    house.pass(seconds(9));
    house.post(0, &anna, "ack=1&wait=0", "");
    house.pass(seconds(2));
    assert_eq!(house.texts(line).last().map(String::as_str), Some("close 4408"));
    assert_eq!(house.post(0, &anna, "ack=1&wait=0", "").0, 200, "the session is as it was");
}

#[test]
fn in_a_drain_each_session_is_told_when_to_come_back() {
    let mut house = house(2);
    let (stream, _) = house.open_stream(0, "user=anna");
    let ben = house.open_polls(1, "ben");
    let poll = house.ask(1, "POST", &format!("/poll/{ben}?ack=1&wait=60s"), "");
    house.settle();
    house.shared.begin_drain();
    house.settle();
    let heard = events(&house.read(stream));
    assert!(heard[0].starts_with("retry: ") && heard[1].contains(r#""code":1001"#), "{heard:?}");
    assert!(heard[1].contains("retry_ms") && heard[2] == "end", "{heard:?}");
    let answers = house.answers(poll);
    assert!(answers[0].1.contains(r#""event":"goodbye","code":1001"#), "{answers:?}");
}

#[test]
fn a_form_of_strangers_and_a_cookie_of_theirs_do_nothing() {
    let mut house = house(1);
    for (kind, status) in [("text/plain", 415), ("application/json", 200)] {
        let id = house.scripts[0].connect();
        let text = request("POST", "/poll?user=anna", "").replace(
            "\r\nHost: h",
            &format!("\r\nHost: h\r\nOrigin: http://evil.example\r\nContent-Type: {kind}"),
        );
        house.arrive((0, id), text.as_bytes());
        house.settle();
        let text = house.read((0, id));
        assert!(text.starts_with(&format!("HTTP/1.1 {status} ")), "{text}");
        assert!(text.contains("\r\nAccess-Control-Allow-Origin: *\r\n") && !text.contains("Credentials"));
    }
}

#[test]
fn requests_behave_as_elsewhere() {
    let mut house = house(2);
    let anna = house.open_polls(0, "anna");
    for (method, target, status) in [
        ("GET", "/poll", 405),
        ("GET", &*format!("/poll/{anna}"), 405),
        ("POST", "/events", 405),
        ("OPTIONS", "/events", 204),
        ("POST", "/poll/xyz?ack=1", 404),
        ("POST", &format!("/poll/{anna}?ack=x"), 400),
        ("POST", &format!("/poll/{anna}?ack=1&wait=soon"), 400),
        ("POST", &format!("/poll/{anna}?ack=77&wait=0"), 400),
        ("POST", "/poll?user=%00", 400),
        ("GET", "/events?user=*", 400),
    ] {
        assert_eq!(house.answer(1, method, target, "").0, status, "{method} {target}");
    }
    // Pipelined, and the last of its connection.
    let id = house.scripts[1].connect();
    let poll = request("POST", &format!("/poll/{anna}?ack=1&wait=1s"), "");
    let last = request("POST", &format!("/poll/{anna}?n=5"), r#"{"seq":1,"cmd":"heartbeat"}"#)
        .replace("Host: h", "Host: h\r\nConnection: close");
    house.arrive((1, id), format!("{poll}{last}").as_bytes());
    house.settle();
    house.pass(Duration::from_millis(1_100));
    let answers = house.answers((1, id));
    assert_eq!((answers.len(), &*answers[0].1), (2, ""));
    assert!(answers[1].1.contains("time_ms"), "{answers:?}");
    assert!(house.scripts[1].peer(id, |peer| peer.finished));
}

#[test]
fn a_long_answer_is_compressed_where_its_client_takes_that() {
    let mut house = House::with(1, &config(), PresenceSettings::default());
    let anna = house.open_polls(0, "anna");
    house.post(0, &anna, "n=1", &[join("r"), say("r", &format!("\"{}\"", "x".repeat(2_000)))].join("\n"));
    let id = house.scripts[0].connect();
    let poll = request("POST", &format!("/poll/{anna}?ack=1&wait=0"), "")
        .replace("Host: h", "Host: h\r\nAccept-Encoding: gzip, br");
    house.arrive((0, id), poll.as_bytes());
    house.settle();
    let bytes = house.scripts[0].written(id);
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    assert!(head.contains("\r\nContent-Encoding: gzip"), "{head}");
    assert!(bytes[end + 4..].starts_with(&[0x1f, 0x8b]) && bytes.len() - end < 500);
}
