//! Slow readers over TLS: as those without it.

use std::collections::BTreeSet;
use std::sync::Arc;

use rollcall::internals::limits::{BACKLOG_BYTES_MAX, SLOW_MESSAGES_MAX};
use rollcall::internals::wire::frame::Opcode;
use rustls::ClientConfig;
use serde_json::Value;

use super::kit::{Authority, Client, acceptor};
use crate::reactor::kit::{config, masked, upgrade_request};
use crate::reactor::slow::House;

/// The binary's site, over TLS.
struct Secure {
    house: House,
    client: Arc<ClientConfig>,
}

impl Secure {
    fn new() -> Secure {
        let authority = Authority::new();
        let mut house = House::new(&config());
        house.worker.secure(0, acceptor(&[&authority.pair(&["localhost"])], None));
        Secure { house, client: authority.trusted_by(rustls::ALL_VERSIONS, None) }
    }

    /// Lets a client and the server speak until neither has anything to say.
    fn settle(&mut self, client: &mut Client) {
        loop {
            let records = client.records();
            if !records.is_empty() {
                self.house.script.arrive(client.id, &records);
            }
            self.house.script.settle(&mut self.house.worker);
            if !client.take(&self.house.script) && !client.session.wants_write() {
                return;
            }
        }
    }

    fn user(&mut self, name: &str) -> Client {
        let mut client = Client::over(self.house.script.connect(), &self.client, "localhost");
        client.write(&upgrade_request(&format!("/ws?user={name}")));
        self.settle(&mut client);
        assert!(client.received().starts_with(b"HTTP/1.1 101 "));
        client
    }

    /// Sends a command; returns what came.
    fn command(&mut self, client: &mut Client, command: &str, params: &str) -> Vec<Value> {
        let text = format!(r#"{{"seq":1,"cmd":"{command}","params":{params}}}"#);
        client.write(&masked(Opcode::Text, text.as_bytes()));
        self.settle(client);
        texts(client)
    }

    fn reads(&mut self, client: &mut Client) -> Vec<Value> {
        self.house.script.make_room(client.id, usize::MAX);
        self.settle(client);
        texts(client)
    }
}

fn texts(client: &mut Client) -> Vec<Value> {
    let frames = client.frames().into_iter().filter(|(opcode, _)| *opcode == Opcode::Text);
    frames.map(|(_, text)| serde_json::from_slice(&text).unwrap()).collect()
}

#[test]
fn who_is_told_too_much_stays_and_who_tells_it_is_refused() {
    let mut secure = Secure::new();
    let (mut anna, mut eve) = (secure.user("anna"), secure.user("eve"));
    secure.house.script.make_room(anna.id, 0);
    let data = "x".repeat(60_000);
    let tell = format!(r#"{{"user":"anna","data":"{data}"}}"#);
    let answers =
        (0..20).map(|_| secure.command(&mut eve, "tell", &tell)[0]["body"]["code"].as_u64().unwrap());
    let answers: Vec<u64> = answers.collect();
    let delivered = answers.iter().take_while(|code| **code == 200).count();
    assert!(
        (BACKLOG_BYTES_MAX / 2 / 70_000..=BACKLOG_BYTES_MAX / 2 / 60_000).contains(&delivered),
        "{answers:?}"
    );
    assert!(answers[delivered..].iter().all(|code| *code == 503), "{answers:?}");
    assert_eq!(secure.reads(&mut anna).len(), delivered);
    assert_eq!(secure.command(&mut eve, "tell", &tell)[0]["body"]["code"], 200);
}

#[test]
fn what_waits_for_a_slow_reader_comes_when_it_reads() {
    let mut secure = Secure::new();
    let (mut anna, mut ben) = (secure.user("anna"), secure.user("ben"));
    secure.command(&mut anna, "watch", r#"{"users":["ben"]}"#);
    for client in [&mut anna, &mut ben] {
        secure.command(client, "join", r#"{"room":"ticker.eu"}"#);
    }
    secure.reads(&mut anna);
    secure.house.script.make_room(anna.id, 0);
    let data = "x".repeat(60_000);
    for info in 0..10 {
        secure.command(&mut ben, "say", &format!(r#"{{"room":"ticker.eu","data":"{data}"}}"#));
        secure.command(&mut ben, "status", &format!(r#"{{"info":{info}}}"#));
    }
    let texts = secure.reads(&mut anna);
    let last = texts.iter().rfind(|text| text["event"] == "presence").unwrap();
    assert_eq!(last["info"], 9, "of its states the last");
    assert_eq!(texts.iter().filter(|text| text["event"] == "say").count(), 10);
    assert!(!secure.house.worker.service().holds_for_slow());
}

#[test]
fn the_list_of_a_slow_reader_who_loses_events_still_ends_right() {
    let mut secure = Secure::new();
    let (mut anna, mut ben) = (secure.user("anna"), secure.user("ben"));
    let room = r#"{"room":"ticker.eu"}"#;
    for client in [&mut anna, &mut ben] {
        secure.command(client, "join", room);
    }
    secure.reads(&mut anna);
    secure.house.script.make_room(anna.id, 0);
    let say = format!(r#"{{"room":"ticker.eu","data":"{}"}}"#, "x".repeat(60_000));
    for _ in 0..3 {
        secure.command(&mut ben, "say", &say);
    }
    // They come and go more often than what waits for her has room for; some of it before she asks, some behind that.
    let mut others: Vec<Client> = (0..30).map(|n| secure.user(&format!("u{n}"))).collect();
    for n in 0..SLOW_MESSAGES_MAX + 60 {
        let command = if (n / others.len()).is_multiple_of(2) { "join" } else { "leave" };
        let nth = n % others.len();
        secure.command(&mut others[nth], command, room);
        if n == SLOW_MESSAGES_MAX + 20 {
            assert!(secure.command(&mut anna, "who", room).is_empty(), "she does not read");
        }
    }
    let heard = secure.reads(&mut anna);
    let page = &heard.iter().find(|text| text["body"]["users"].is_array()).unwrap()["body"];
    let moves = || heard.iter().filter(|text| text["event"] == "join" || text["event"] == "leave");
    let numbers: Vec<u64> = moves().map(|event| event["membership"].as_u64().unwrap()).collect();
    let first = numbers[0];
    assert!(first > 3 && numbers.iter().copied().eq(first..first + numbers.len() as u64), "{numbers:?}");
    let mut list = names(page);
    for event in moves().filter(|event| event["membership"].as_u64() > page["membership"].as_u64()) {
        let user = event["user"].as_str().unwrap().to_owned();
        if event["event"] == "join" {
            list.insert(user)
        } else {
            list.remove(&user)
        };
    }
    let answers = secure.command(&mut ben, "who", room);
    let truth = names(&answers.iter().find(|text| text["body"]["users"].is_array()).unwrap()["body"]);
    assert!(truth.len() > 10, "{truth:?}");
    assert_eq!(list, truth);
}

/// The users of a page, which is the only one.
fn names(page: &Value) -> BTreeSet<String> {
    assert_eq!(page["next"], Value::Null);
    let users = page["users"].as_array().unwrap().iter();
    users.map(|user| user["user"].as_str().unwrap().to_owned()).collect()
}
