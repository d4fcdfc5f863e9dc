//! Clients that end their streams behind what they said, and read on: all that came before is served and answered.

use std::sync::Arc;

use rollcall::internals::http::{Router, RouterSettings};
use rollcall::internals::reactor::{Cause, Config, Deflate, Shared, Worker, WorkerId};
use rollcall::internals::service::presence::PresenceSettings;
use rollcall::internals::wire::frame::Opcode;
use serde_json::Value;

use super::kit::{Stage, Told, close_frame, config, frames, masked, plain, seconds, upgrade_request};
use super::script::{Script, mailboxes};

const GET: &[u8] = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n";
const LATER: &[u8] = b"GET /later HTTP/1.1\r\nHost: x\r\n\r\n";

#[test]
fn a_message_before_the_end_is_answered_and_the_end_is_told_once() {
    for deflate in [Deflate::Off, Deflate::Shared, Deflate::PerConnection] {
        let mut stage = Stage::new(&Config { deflate, ..config() });
        let id = stage.open();
        stage.script.arrive(id, &masked(Opcode::Text, b"hi"));
        stage.script.end(id);
        stage.settle();
        assert_eq!(stage.script.written(id), plain(Opcode::Text, b"hi"));
        assert!(stage.script.is_closed(id));
        assert_eq!(stage.told(), [Told::Open, Told::Message(b"hi".to_vec()), Told::Closed(Cause::Lost)]);
        assert_eq!(stage.shared.connections(), 0);
    }
}

#[test]
fn an_upgrade_before_the_end_is_answered() {
    let mut stage = Stage::new(&config());
    let id = stage.script.connect();
    stage.script.arrive(id, &[upgrade_request("/"), masked(Opcode::Text, b"hi")].concat());
    stage.script.end(id);
    stage.settle();
    let written = stage.script.written(id);
    assert!(written.starts_with(b"HTTP/1.1 101 ") && written.ends_with(&plain(Opcode::Text, b"hi")));
    assert_eq!(stage.worker.service().causes(), [Cause::Lost]);
}

#[test]
fn an_upgrade_behind_a_request_that_waits_ends_with_its_stream() {
    let mut stage = Stage::new(&config());
    let id = stage.script.connect();
    stage.script.arrive(id, &[LATER, &upgrade_request("/"), &masked(Opcode::Text, b"hi")].concat());
    stage.script.end(id);
    let (mut told, mut written) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        stage.settle();
        told.extend(stage.told());
        written.extend(stage.script.written(id));
    }
    assert!(written.ends_with(&plain(Opcode::Text, b"hi")), "{}", String::from_utf8_lossy(&written));
    assert_eq!(told.last(), Some(&Told::Closed(Cause::Lost)), "{told:?}");
    assert!(stage.script.is_closed(id));
}

#[test]
fn all_that_was_said_is_answered_however_little_is_read_at_once() {
    const MESSAGES: usize = 500;
    let mut stage = Stage::new(&Config { max_backlog_bytes: 16 << 20, ..config() });
    let id = stage.open();
    stage.script.peer(id, |peer| peer.room = 0);
    stage.script.arrive(id, &masked(Opcode::Binary, &[b'x'; 1_000]).repeat(MESSAGES));
    stage.script.end(id);
    stage.settle();
    let mut written = Vec::new();
    for _ in 0..MESSAGES {
        stage.script.make_room(id, 2_000);
        stage.settle();
        written.extend(stage.script.written(id));
    }
    assert_eq!(written, plain(Opcode::Binary, &[b'x'; 1_000]).repeat(MESSAGES));
    assert!(stage.script.is_closed(id));
    assert_eq!(stage.worker.service().causes(), [Cause::Lost]);
}

#[test]
fn answers_that_are_read_slowly_are_not_cut_off_by_the_clock() {
    let mut stage = Stage::new(&config());
    let id = stage.open();
    stage.script.peer(id, |peer| peer.room = 0);
    stage.script.arrive(id, &masked(Opcode::Binary, &[b'x'; 1_000]).repeat(20));
    stage.script.end(id);
    stage.settle();
    let mut written = Vec::new();
    for _ in 0..20 {
        stage.pass(seconds(4));
        stage.script.make_room(id, 1_004);
        stage.settle();
        written.extend(stage.script.written(id));
    }
    assert_eq!(written, plain(Opcode::Binary, &[b'x'; 1_000]).repeat(20));
    assert!(stage.script.is_closed(id));
}

#[test]
fn one_that_takes_nothing_of_its_answers_is_not_waited_for() {
    let mut stage = Stage::new(&config());
    let id = stage.open();
    stage.script.peer(id, |peer| peer.room = 0);
    stage.script.arrive(id, &masked(Opcode::Text, b"hi"));
    stage.script.end(id);
    stage.settle();
    assert_eq!(stage.worker.service().causes(), [Cause::Lost], "it is gone for the others at once");
    stage.pass(seconds(6));
    assert!(stage.script.is_closed(id));
}

#[test]
fn our_close_is_not_lost_when_the_end_comes_first() {
    let mut stage = Stage::new(&config());
    let id = stage.open();
    stage.script.arrive(id, &masked(Opcode::Text, b"close me"));
    stage.script.end(id);
    stage.settle();
    assert_eq!(stage.script.written(id), close_frame(4403, "as you wish"));
    assert!(stage.script.is_closed(id));
    assert_eq!(stage.worker.service().causes(), [Cause::ServiceClosed]);
}

/// The bodies of the responses.
fn paths(written: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(written).into_owned();
    text.split("HTTP/1.1 200 OK")
        .skip(1)
        .map(|one| one.rsplit("\r\n").next().unwrap().trim().to_owned())
        .collect()
}

#[test]
fn pipelined_requests_before_the_end_are_all_answered() {
    for room in [usize::MAX, 100] {
        let mut stage = Stage::new(&config());
        let id = stage.script.connect();
        stage.script.peer(id, |peer| peer.room = room);
        stage.script.arrive(id, &[GET, LATER, GET, LATER, GET, &GET[..9]].concat());
        stage.script.end(id);
        stage.settle();
        let mut written = Vec::new();
        for _ in 0..100 {
            stage.told();
            stage.script.make_room(id, room);
            stage.settle();
            written.extend(stage.script.written(id));
        }
        assert_eq!(paths(&written), ["/a", "at last", "/a", "at last", "/a"]);
        assert!(stage.script.is_closed(id));
        assert_eq!((stage.shared.connections(), stage.worker.held_bytes()), (0, 0));
    }
}

/// Workers with the binary's site.
struct House {
    scripts: Vec<Script>,
    workers: Vec<Worker<Script, Router>>,
    shared: Arc<Shared>,
}

impl House {
    fn new(workers: usize) -> House {
        let config = config();
        let shared = Arc::new(Shared::new(workers, 1_000, config.first_tick));
        let mailboxes = mailboxes(workers);
        let presence = Arc::new(PresenceSettings::default());
        let subprotocols = vec!["rollcall.v1".to_owned()];
        let settings = Arc::new(RouterSettings { presence, subprotocols, ..RouterSettings::default() });
        let scripts: Vec<Script> = (0..workers).map(|_| Script::new(config.first_tick)).collect();
        let of = |(script, id): (&Script, u16)| {
            let site = Router::new(settings.clone(), WorkerId(id), &shared);
            script.worker_of(WorkerId(id), &config, &shared, &mailboxes, site)
        };
        let workers = scripts.iter().zip(0..).map(of).collect();
        House { scripts, workers, shared }
    }

    /// Each worker turns until it has nothing to do, as often as mail may have to go round.
    fn settle(&mut self) {
        for _ in 0..20 {
            for (script, worker) in self.scripts.iter().zip(&mut self.workers) {
                script.settle(worker);
                worker.turn().unwrap();
            }
        }
    }

    fn user(&mut self, worker: usize, name: &str) -> usize {
        let id = self.scripts[worker].connect();
        self.scripts[worker].arrive(id, &upgrade_request(&format!("/ws?user={name}")));
        self.settle();
        assert!(self.scripts[worker].written(id).starts_with(b"HTTP/1.1 101 "));
        id
    }

    fn texts(&self, worker: usize, id: usize) -> Vec<Value> {
        let texts = frames(&self.scripts[worker].written(id)).into_iter();
        texts.map(|(_, text)| serde_json::from_slice(&text).unwrap()).collect()
    }
}

/// Commands of each kind, about names whose homes are anywhere.
fn commands() -> Vec<String> {
    let mut commands = Vec::new();
    for n in 0..6 {
        let (room, user) = (format!(r#""room":"room-{n}""#), format!(r#"{{"users":["ben","user-{n}"]}}"#));
        for (cmd, params) in [
            ("join", format!("{{{room}}}")),
            ("say", format!(r#"{{{room},"data":1}}"#)),
            ("who", format!("{{{room}}}")),
            ("watch", user.clone()),
            ("presence", user.clone()),
            ("unwatch", user),
            ("tell", r#"{"user":"ben","data":2}"#.to_owned()),
            ("tell", format!(r#"{{"user":"nobody-{n}","data":2}}"#)),
            ("status", r#"{"state":"away"}"#.to_owned()),
            ("heartbeat", "{}".to_owned()),
            ("leave", format!("{{{room}}}")),
        ] {
            let seq = commands.len();
            commands.push(format!(r#"{{"seq":{seq},"cmd":"{cmd}","params":{params}}}"#));
        }
    }
    commands
}

#[test]
fn answers_that_other_workers_have_a_part_in_come_after_the_end() {
    for workers in [1, 3] {
        let mut house = House::new(workers);
        let ben = house.user(workers - 1, "ben");
        let anna = house.user(0, "anna");
        let commands = commands();
        for command in &commands {
            house.scripts[0].arrive(anna, &masked(Opcode::Text, command.as_bytes()));
        }
        house.scripts[0].end(anna);
        house.scripts[0].settle(&mut house.workers[0]);
        assert_eq!(
            house.scripts[0].is_closed(anna),
            workers == 1,
            "it is open for as long as it is owed answers"
        );
        house.settle();
        let mut answered: Vec<u64> = house
            .texts(0, anna)
            .iter()
            .filter_map(|text| text["seq"].as_u64().filter(|_| text["body"].is_object()))
            .collect();
        answered.sort_unstable();
        assert_eq!(answered, (0..commands.len() as u64).collect::<Vec<_>>(), "{workers} workers");
        assert!(house.scripts[0].is_closed(anna));
        assert_eq!(house.texts(workers - 1, ben).iter().filter(|text| text["event"] == "tell").count(), 6);
        assert_eq!(house.shared.connections(), 1);
    }
}

#[test]
fn answers_of_a_worker_that_stands_still_are_not_waited_for_longer_than_a_close() {
    let mut house = House::new(3);
    let anna = house.user(0, "anna");
    for command in commands() {
        house.scripts[0].arrive(anna, &masked(Opcode::Text, command.as_bytes()));
    }
    house.scripts[0].end(anna);
    house.scripts[0].pass(&mut house.workers[0], seconds(4));
    assert!(!house.scripts[0].is_closed(anna));
    house.scripts[0].pass(&mut house.workers[0], seconds(2));
    assert!(house.scripts[0].is_closed(anna));
    house.settle();
    assert_eq!(house.shared.connections(), 0);
}

#[test]
fn one_that_is_owed_nothing_is_gone_at_once() {
    let mut house = House::new(3);
    let anna = house.user(0, "anna");
    house.scripts[0]
        .arrive(anna, &masked(Opcode::Text, br#"{"seq":1,"cmd":"join","params":{"room":"lobby"}}"#));
    house.settle();
    house.scripts[0].end(anna);
    house.scripts[0].settle(&mut house.workers[0]);
    assert!(house.scripts[0].is_closed(anna));
}
