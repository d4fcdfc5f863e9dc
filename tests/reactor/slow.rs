//! Readers that are too slow for presence: who is closed, who loses what, and what that costs.

use std::sync::Arc;
use std::time::Duration;

use rollcall::internals::http::{Router, RouterSettings};
use rollcall::internals::limits::{
    BACKLOG_BYTES_PAUSE, CHUNKS_PER_REMOVAL, REMOVED_PER_TURN_MAX, SLOW_MESSAGES_MAX,
};
use rollcall::internals::presence::{HistoryRule, Pattern, Rules};
use rollcall::internals::reactor::mail::Mailboxes;
use rollcall::internals::reactor::mailbox::Mailbox;
use rollcall::internals::reactor::{Config, Shared, Worker, WorkerId};
use rollcall::internals::service::presence::PresenceSettings;
use rollcall::internals::wire::frame::Opcode;
use rustix::event::{EventfdFlags, eventfd};
use serde_json::Value;

use super::kit::{SECOND, config, frames, masked, upgrade_request};
use super::script::Script;

/// A world with the binary's site in it.
pub(super) struct House {
    pub(super) script: Script,
    pub(super) worker: Worker<Script, Router>,
    pub(super) shared: Arc<Shared>,
}

impl House {
    pub(super) fn new(config: &Config) -> House {
        let script = Script::new(config.first_tick);
        let shared = Arc::new(Shared::new(1, config.max_connections, config.first_tick));
        let mailboxes: Mailboxes<_> = vec![Mailbox::new(eventfd(0, EventfdFlags::NONBLOCK).unwrap())].into();
        let pattern = Pattern::new("kept-*").unwrap();
        let history = [HistoryRule { pattern, count: 1_000, age: 1 << 20 }].into();
        let rules = Rules { commands_per_second: 1_000_000, history, ..Rules::default() };
        let presence = PresenceSettings { rules, drop_oldest: vec!["ticker.*".into()], ..Default::default() };
        let subprotocols = vec!["rollcall.v1".to_owned()];
        let settings =
            RouterSettings { presence: Arc::new(presence), subprotocols, ..RouterSettings::default() };
        let site = Router::new(Arc::new(settings), WorkerId(0), &shared);
        let worker = Worker::new(WorkerId(0), config, shared.clone(), mailboxes, script.clone(), site, 42);
        House { script, worker, shared }
    }

    pub(super) fn user(&mut self, name: &str) -> usize {
        self.come(&upgrade_request(&format!("/ws?user={name}")))
    }

    pub(super) fn come(&mut self, request: &[u8]) -> usize {
        let id = self.script.connect();
        self.script.arrive(id, request);
        self.script.settle(&mut self.worker);
        assert!(self.script.written(id).starts_with(b"HTTP/1.1 101 "));
        id
    }

    pub(super) fn command(&mut self, id: usize, command: &str, params: &str) {
        let text = format!(r#"{{"seq":1,"cmd":"{command}","params":{params}}}"#);
        self.script.arrive(id, &masked(Opcode::Text, text.as_bytes()));
        self.script.settle(&mut self.worker);
    }

    /// From now on its socket takes nothing.
    pub(super) fn stall(&mut self, id: usize) {
        self.script.written(id);
        self.script.peer(id, |peer| peer.room = 0);
    }

    /// It reads all that there is.
    pub(super) fn reads(&mut self, id: usize) -> Vec<Value> {
        self.script.make_room(id, usize::MAX);
        self.script.settle(&mut self.worker);
        let texts =
            frames(&self.script.written(id)).into_iter().filter(|(opcode, _)| *opcode == Opcode::Text);
        texts.map(|(_, text)| serde_json::from_slice(&text).unwrap()).collect()
    }

    fn withheld(&self) -> [u64; 2] {
        [0, 1].map(|policy| self.shared.workers()[0].counters.withheld[policy].get())
    }

    /// Ben and cleo are in a room, cleo reads nothing, and ben says so much, at this pace. What ben hears is read.
    fn talk(&mut self, room: &str, messages: usize, size: usize, pace: Duration) -> usize {
        let (ben, cleo) = (self.user("ben"), self.user("cleo"));
        for id in [ben, cleo] {
            self.command(id, "join", &format!(r#"{{"room":"{room}"}}"#));
        }
        self.stall(cleo);
        let data = "x".repeat(size);
        for _ in 0..messages {
            self.command(ben, "say", &format!(r#"{{"room":"{room}","data":"{data}"}}"#));
            self.script.written(ben);
            self.script.advance(pace);
        }
        cleo
    }
}

#[test]
fn a_slow_member_of_a_room_is_closed_and_what_it_holds_is_bounded() {
    let config = Config { max_backlog_bytes: 100_000, ..config() };
    let mut house = House::new(&config);
    let cleo = house.talk("lobby", 300, 1_000, Duration::from_millis(20));
    assert!(house.worker.held_bytes() < 2 * 100_000, "{}", house.worker.held_bytes());
    assert_eq!(house.withheld(), [0, 0]);
    house.script.make_room(cleo, usize::MAX);
    house.script.settle(&mut house.worker);
    let written = house.script.written(cleo);
    let last = frames(&written).pop().unwrap();
    assert_eq!((last.0, u16::from_be_bytes([last.1[0], last.1[1]])), (Opcode::Close, 1013));
}

/// So many slow members of a room are closed together after as many messages as they may wait for. By how many connections
/// there are fewer after each turn of the time in which they end together.
fn ends_of_slow_members(members: usize, messages: usize) -> Vec<u64> {
    let config = Config { max_backlog_bytes: messages * 1_100, ..config() };
    let mut house = House::new(&config);
    let ben = house.user("ben");
    house.command(ben, "join", r#"{"room":"lobby"}"#);
    for n in 0..members {
        let slow = house.user(&format!("slow-{n}"));
        house.command(slow, "join", r#"{"room":"lobby"}"#);
        house.stall(slow);
    }
    let data = "x".repeat(1_000);
    let closed = |house: &House| house.shared.workers()[0].counters.open.get() == 1;
    while !closed(&house) {
        house.command(ben, "say", &format!(r#"{{"room":"lobby","data":"{data}"}}"#));
        house.script.written(ben);
        // The room waits for them until it knows that they don't read.
        house.script.advance(Duration::from_millis(2));
    }
    let connections = |house: &House| house.shared.workers()[0].counters.connections.get();
    assert_eq!(connections(&house), members as u64 + 1);
    house.script.pass(&mut house.worker, config.close_timeout - Duration::from_millis(20));
    house.script.advance(Duration::from_millis(30));
    let mut ended = Vec::new();
    while connections(&house) > 1 {
        let before = connections(&house);
        house.worker.turn().unwrap();
        ended.push(before - connections(&house));
    }
    ended
}

#[test]
fn slow_members_that_end_together_are_removed_a_turns_share_at_a_time() {
    let share = REMOVED_PER_TURN_MAX as u64;
    let ended = ends_of_slow_members(3 * REMOVED_PER_TURN_MAX, 3);
    assert!(ended.iter().all(|ended| *ended <= share) && ended.len() <= 5, "{ended:?}");
    // What waits for them has to be forgotten too: that counts as two more at least.
    let ended = ends_of_slow_members(2 * REMOVED_PER_TURN_MAX, 3 * CHUNKS_PER_REMOVAL);
    assert!(ended.iter().all(|ended| *ended <= share / 2), "{ended:?}");
}

#[test]
fn a_slow_member_of_a_room_that_asks_for_it_loses_the_oldest_and_stays() {
    let mut house = House::new(&config());
    let cleo = house.talk("ticker.eu", 1_000, 1_000, Duration::ZERO);
    assert!(house.worker.held_bytes() < 2 * BACKLOG_BYTES_PAUSE, "{}", house.worker.held_bytes());
    let events = house.reads(cleo);
    let offsets: Vec<u64> = events.iter().filter_map(|event| event["offset"].as_u64()).collect();
    assert!(offsets.is_sorted_by(|a, b| a < b), "in order, each once");
    // What had been queued before it was too slow, then the newest.
    let newest = offsets.len() - SLOW_MESSAGES_MAX;
    assert!(newest * 1_000 < 2 * BACKLOG_BYTES_PAUSE, "{newest} had been queued");
    assert_eq!(offsets[newest..], (1_001 - SLOW_MESSAGES_MAX as u64..=1_000).collect::<Vec<_>>()[..]);
    assert_eq!(offsets[..newest], (1..=newest as u64).collect::<Vec<_>>()[..]);
    assert_eq!(house.withheld(), [1_000 - offsets.len() as u64, 0]);
    // It keeps up again: nothing waits.
    let ben = house.user("ben");
    house.command(ben, "join", r#"{"room":"ticker.eu"}"#);
    house.command(ben, "say", r#"{"room":"ticker.eu","data":1}"#);
    let last = house.reads(cleo).pop().unwrap();
    assert_eq!((&last["event"], &last["offset"]), (&"say".into(), &1_001.into()));
}

#[test]
fn a_thousand_who_read_nothing_hold_references_and_the_others_hear_all() {
    const STUCK: usize = 1_000;
    const MESSAGES: u64 = 400;
    let config = Config { max_backlog_bytes: 100_000, ..config() };
    for (room, stay) in [("lobby", false), ("ticker.eu", true)] {
        let mut house = House::new(&config);
        let [ben, anna] = ["ben", "anna"].map(|name| house.user(name));
        let stuck: Vec<usize> = (0..STUCK).map(|n| house.user(&format!("stuck-{n}"))).collect();
        for id in stuck.iter().chain(&[ben, anna]) {
            house.command(*id, "join", &format!(r#"{{"room":"{room}"}}"#));
        }
        stuck.iter().for_each(|id| house.stall(*id));
        house.reads(anna);
        let data = "x".repeat(1_000);
        for offset in 1..=MESSAGES {
            if offset == 10 {
                // Who took nothing for so long does not read: nothing is kept for it beside its backlog.
                house.script.pass(&mut house.worker, 6 * SECOND);
            }
            house.command(ben, "say", &format!(r#"{{"room":"{room}","data":"{data}"}}"#));
            house.script.written(ben);
            let heard = house.reads(anna);
            let heard = heard.iter().filter(|event| event["event"] == "say");
            let heard: Vec<u64> = heard.filter_map(|event| event["offset"].as_u64()).collect();
            assert_eq!(heard, [offset]);
            // What is said is there once, whoever waits for it; each holds its place in the line.
            let (held, queued) =
                (house.worker.held_bytes(), house.shared.sum(|counters| counters.backlog_bytes.get()));
            assert!(held < STUCK * 8_192, "{held} bytes after {offset} messages");
            assert!(queued <= (STUCK * config.max_backlog_bytes) as u64, "{queued} bytes are queued");
        }
        let (open, [dropped, _]) = (house.shared.sum(|counters| counters.open.get()), house.withheld());
        assert_eq!((open, dropped > 0), if stay { (2 + STUCK as u64, true) } else { (2, false) }, "{room}");
    }
}

#[test]
fn of_each_users_states_a_slow_watcher_gets_the_latest() {
    let config = Config { max_backlog_bytes: BACKLOG_BYTES_PAUSE, ..config() };
    let mut house = House::new(&config);
    let watcher = house.user("anna");
    house.command(watcher, "watch", r#"{"users":["ben","cleo"]}"#);
    let (ben, cleo) = (house.user("ben"), house.user("cleo"));
    house.stall(watcher);
    for n in 0..2_000 {
        for id in [ben, cleo] {
            let state = if n % 2 == 0 { "away" } else { "online" };
            house.command(id, "status", &format!(r#"{{"state":"{state}","info":{n}}}"#));
            house.script.written(id);
        }
    }
    // One is queued, then one a user waits.
    assert!(house.worker.held_bytes() < 4_096, "{}", house.worker.held_bytes());
    assert_eq!(house.withheld(), [0, 2 * 2_000 - 3]);
    let events = house.reads(watcher);
    assert_eq!(events.len(), 3);
    for user in ["ben", "cleo"] {
        let last = events.iter().rfind(|event| event["user"] == user).unwrap();
        assert_eq!((&last["state"], &last["info"]), (&"online".into(), &1_999.into()), "{user}");
    }
    let versions =
        events.iter().filter(|event| event["user"] == "ben").map(|event| event["version"].as_u64());
    assert!(versions.is_sorted_by(|a, b| a < b));
    // It keeps up again.
    house.command(ben, "status", r#"{"state":"away"}"#);
    assert_eq!(house.reads(watcher).len(), 1);
}

#[test]
fn a_herd_that_is_sent_away_comes_back_flat() {
    const HERD: usize = 1_000;
    let mut house = House::new(&Config { drain: SECOND, ..config() });
    let mut request = upgrade_request("/ws");
    request.truncate(request.len() - 2);
    request.extend_from_slice(b"Sec-WebSocket-Protocol: rollcall.v1\r\n\r\n");
    let ids: Vec<usize> = (0..HERD).map(|_| house.come(&request)).collect();
    ids.iter().for_each(|id| drop(house.script.written(*id)));
    house.shared.begin_drain();
    // In which half second each is back.
    let mut back = vec![0; 20];
    for step in 0..150 {
        house.script.pass(&mut house.worker, Duration::from_millis(10));
        for id in &ids {
            let written = house.script.written(*id);
            let text = String::from_utf8_lossy(&written);
            let Some((_, retry)) = text.split_once(r#""retry_ms":"#) else { continue };
            let millis: usize = retry.split('}').next().unwrap().parse().unwrap();
            back[(step * 10 + millis) / 500] += 1;
        }
    }
    assert_eq!(back.iter().sum::<usize>(), HERD, "{back:?}");
    // Without the spreading all would be back within the second of the drain, 500 in each half.
    assert!(back.iter().all(|count| *count < HERD / 6), "{back:?}");
}

#[test]
fn what_a_turn_has_no_room_for_comes_in_the_next_and_closes_nobody() {
    // The answer to the upgrade fills the turn: `welcome` has no room behind it.
    let mut house = House::new(&Config { max_call_bytes: 150, ..config() });
    let request = String::from_utf8(upgrade_request("/ws?user=anna")).unwrap();
    let offer = "\r\nSec-WebSocket-Protocol: rollcall.v1\r\n\r\n";
    let id = house.script.connect();
    house.script.arrive(id, request.replace("\r\n\r\n", offer).as_bytes());
    house.script.settle(&mut house.worker);
    house.script.pass(&mut house.worker, Duration::from_millis(50));
    house.command(id, "join", r#"{"room":"lobby"}"#);
    let written = house.script.written(id);
    let head = written.windows(4).position(|end| end == b"\r\n\r\n").unwrap() + 4;
    let frames = frames(&written[head..]);
    assert!(frames.iter().all(|(opcode, _)| *opcode == Opcode::Text), "{frames:?}");
    let texts: Vec<Value> = frames.iter().map(|(_, text)| serde_json::from_slice(text).unwrap()).collect();
    assert_eq!(
        (&texts[0]["event"], &texts[1]["body"]["code"]),
        (&"welcome".into(), &200.into()),
        "{texts:?}"
    );
}

#[test]
fn what_waits_for_one_who_goes_is_forgotten() {
    let mut house = House::new(&config());
    let cleo = house.talk("ticker.eu", 300, 1_000, Duration::ZERO);
    house.script.peer(cleo, |peer| peer.reset_on_write = true);
    house.script.make_room(cleo, usize::MAX);
    house.script.settle(&mut house.worker);
    assert_eq!(house.worker.held_bytes(), 0);
    assert!(!house.worker.service().holds_for_slow());
}
