//! Mail between workers is bounded by its bytes too: who waits for an answer is told that there is no room, what may be missed
//! is dropped and counted, and nothing else is lost.

use std::sync::Arc;
use std::time::Duration;

use rollcall::internals::http::{Router, RouterSettings, SiteMail};
use rollcall::internals::limits::{MAILBOX_BYTES_MAX, RETRY_QUEUE_BYTES_MAX};
use rollcall::internals::presence::{Homes, Rules};
use rollcall::internals::reactor::mail::Mailboxes;
use rollcall::internals::reactor::{Config, Shared, Worker, WorkerId};
use rollcall::internals::service::presence::PresenceSettings;
use rollcall::internals::wire::frame::Opcode;
use serde_json::Value;

use super::kit::{config, frames, masked, upgrade_request};
use super::script::{Script, mailboxes};

/// Two workers with the binary's site; the second one takes part only when it is told to.
struct Pair {
    scripts: [Script; 2],
    workers: [Worker<Script, Router>; 2],
    shared: Arc<Shared>,
    boxes: Mailboxes<SiteMail>,
}

const DATA_BYTES: usize = 60_000;

impl Pair {
    fn new() -> Pair {
        let config = Config { max_backlog_bytes: 1 << 30, ..config() };
        let shared = Arc::new(Shared::new(2, 1_000, config.first_tick));
        let boxes = mailboxes(2);
        let rules = Rules { commands_per_second: 1_000_000, ..Rules::default() };
        let presence = Arc::new(PresenceSettings { rules, ..PresenceSettings::default() });
        let subprotocols = vec!["rollcall.v1".to_owned()];
        let settings = Arc::new(RouterSettings { presence, subprotocols, ..RouterSettings::default() });
        let scripts = [0, 1].map(|_| Script::new(config.first_tick));
        let workers = [0, 1].map(|id: u16| {
            let site = Router::new(settings.clone(), WorkerId(id), &shared);
            scripts[usize::from(id)].worker_of(WorkerId(id), &config, &shared, &boxes, site)
        });
        Pair { scripts, workers, shared, boxes }
    }

    fn settle(&mut self, workers: usize) {
        for _ in 0..10 {
            for (script, worker) in self.scripts.iter().zip(&mut self.workers).take(workers) {
                script.settle(worker);
                worker.turn().unwrap();
            }
        }
    }

    fn come(&mut self, worker: usize, name: &str) -> usize {
        let id = self.scripts[worker].connect();
        self.scripts[worker].arrive(id, &upgrade_request(&format!("/ws?user={name}")));
        self.settle(2);
        assert!(self.scripts[worker].written(id).starts_with(b"HTTP/1.1 101 "));
        id
    }

    /// A command to the first worker, which alone works on it.
    fn command(&mut self, id: usize, command: &str, params: &str) {
        let text = format!(r#"{{"seq":1,"cmd":"{command}","params":{params}}}"#);
        let script = &self.scripts[0];
        script.arrive(id, &masked(Opcode::Text, text.as_bytes()));
        script.advance(Duration::from_millis(20));
        script.settle(&mut self.workers[0]);
    }

    fn texts(&self, worker: usize, id: usize) -> Vec<Value> {
        let frames = frames(&self.scripts[worker].written(id)).into_iter();
        let texts = frames.filter(|(opcode, _)| *opcode == Opcode::Text);
        texts.map(|(_, text)| serde_json::from_slice(&text).unwrap()).collect()
    }
}

/// A name whose home is that worker.
fn name_at(worker: u16) -> String {
    let homes = Homes::new(2, 0);
    (0..).map(|n| format!("n{n}")).find(|name| homes.of(name) == worker).unwrap()
}

#[test]
fn who_tells_what_a_mailbox_has_no_room_for_is_answered_503_and_it_holds_no_more() {
    let mut pair = Pair::new();
    let far = name_at(1);
    let (ann, bob) = (pair.come(0, "ann"), pair.come(1, &far));
    pair.texts(1, bob);
    let data = "x".repeat(DATA_BYTES);
    let fits = MAILBOX_BYTES_MAX / DATA_BYTES;
    let mut codes = Vec::new();
    for _ in 0..fits + 20 {
        pair.command(ann, "tell", &format!(r#"{{"user":"{far}","data":"{data}"}}"#));
        codes.extend(pair.texts(0, ann).into_iter().filter_map(|json| json["body"]["code"].as_u64()));
    }
    assert!(codes.iter().all(|code| *code == 503) && (15..=20).contains(&codes.len()), "{codes:?}");
    assert!((MAILBOX_BYTES_MAX - DATA_BYTES..=MAILBOX_BYTES_MAX).contains(&pair.boxes[1].bytes()));
    // What was taken on is done.
    pair.settle(2);
    let told = pair.texts(1, bob).into_iter().filter(|json| json["event"] == "tell").count();
    assert_eq!((told + codes.len(), pair.boxes[1].bytes()), (fits + 20, 0));
}

#[test]
fn what_is_held_back_is_bounded_by_bytes_and_what_is_dropped_is_counted() {
    let mut pair = Pair::new();
    let room = name_at(0);
    let (ann, bob) = (pair.come(0, "ann"), pair.come(1, "bob"));
    let join = format!(r#"{{"seq":1,"cmd":"join","params":{{"room":"{room}"}}}}"#);
    for (worker, id) in [(0, ann), (1, bob)] {
        pair.scripts[worker].arrive(id, &masked(Opcode::Text, join.as_bytes()));
        pair.settle(2);
        pair.texts(worker, id);
    }
    let data = "x".repeat(DATA_BYTES);
    let fits = (MAILBOX_BYTES_MAX + RETRY_QUEUE_BYTES_MAX) / DATA_BYTES;
    for _ in 0..fits + 20 {
        pair.command(ann, "say", &format!(r#"{{"room":"{room}","data":"{data}","echo":false}}"#));
        pair.texts(0, ann);
    }
    let lost = pair.shared.workers()[0].counters.mail_lost.get();
    assert!((15..=25).contains(&lost), "{lost} are lost of {} bytes", fits * DATA_BYTES);
    pair.settle(2);
    let said = pair.texts(1, bob).into_iter().filter(|json| json["event"] == "say").count();
    assert_eq!(said as u64 + lost, (fits + 20) as u64);
}
