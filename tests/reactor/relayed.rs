//! What others send to a client: it closes nobody who reads, and who sends too much of it is told.

use std::time::Duration;

use rollcall::internals::limits::BACKLOG_BYTES_MAX;
use rollcall::internals::reactor::{Config, Deflate};
use serde_json::Value;

use super::kit::{config, upgrade_request};
use super::slow::House;

const DATA: usize = 60_000;

/// The codes of the answers among what was read.
pub(super) fn codes(texts: &[Value]) -> Vec<u64> {
    texts.iter().filter_map(|text| text["body"]["code"].as_u64()).collect()
}

/// Events of that name among what was read.
fn count(texts: &[Value], event: &str) -> usize {
    texts.iter().filter(|text| text["event"] == event).count()
}

fn open(house: &House) -> u64 {
    house.shared.workers()[0].counters.open.get()
}

#[test]
fn who_is_told_too_much_stays_and_who_tells_it_is_refused() {
    for attackers in [1, 5] {
        let mut house = House::new(&config());
        let victim = house.user("anna");
        let attackers: Vec<usize> = (0..attackers).map(|n| house.user(&format!("eve-{n}"))).collect();
        house.stall(victim);
        let data = "x".repeat(DATA);
        let mut answers = Vec::new();
        for n in 0..60 {
            let attacker = attackers[n % attackers.len()];
            house.command(attacker, "tell", &format!(r#"{{"user":"anna","data":"{data}"}}"#));
            answers.extend(codes(&house.reads(attacker)));
        }
        let delivered = BACKLOG_BYTES_MAX / 2 / (DATA + 100);
        let expected: Vec<u64> = (0..60).map(|n| if n < delivered { 200 } else { 503 }).collect();
        assert_eq!(answers, expected);
        // What it asks for itself still has room.
        for _ in 0..20 {
            house.command(victim, "presence", r#"{"users":["anna"]}"#);
        }
        assert_eq!(open(&house), attackers.len() as u64 + 1);
        let texts = house.reads(victim);
        assert_eq!((count(&texts, "tell"), codes(&texts).len()), (delivered, 20));
        // It reads again, and is told again.
        house.command(attackers[0], "tell", r#"{"user":"anna","data":1}"#);
        assert_eq!(codes(&house.reads(attackers[0])), [200]);
    }
}

#[test]
fn what_is_compressed_counts_by_what_is_queued_of_it() {
    for deflate in [Deflate::Shared, Deflate::PerConnection] {
        let mut house = House::new(&Config { deflate, ..config() });
        let mut request = upgrade_request("/ws?user=anna");
        request.truncate(request.len() - 2);
        request.extend_from_slice(b"Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n");
        let victim = house.come(&request);
        let eve = house.user("eve");
        house.stall(victim);
        let data = "x".repeat(DATA);
        for _ in 0..60 {
            house.command(eve, "tell", &format!(r#"{{"user":"anna","data":"{data}"}}"#));
            assert_eq!(codes(&house.reads(eve)), [200], "{deflate:?}");
        }
        assert_eq!(open(&house), 2);
    }
}

/// So many say so much in a room, for so many times 100 ms, in each of which a member's socket takes `pace` bytes. Returns how many
/// messages were said.
fn flood((speakers, each): (usize, usize), pace: usize, times: usize) -> usize {
    let mut house = House::new(&config());
    let member = house.user("anna");
    let speakers: Vec<usize> = (0..speakers).map(|n| house.user(&format!("eve-{n}"))).collect();
    for id in speakers.iter().chain(&[member]) {
        house.command(*id, "join", r#"{"room":"lobby"}"#);
    }
    speakers.iter().for_each(|id| drop(house.script.written(*id)));
    house.stall(member);
    let data = "x".repeat(DATA);
    let (mut said, mut written) = (0, Vec::new());
    for _ in 0..times {
        for id in &speakers {
            for _ in 0..each {
                house.command(*id, "say", &format!(r#"{{"room":"lobby","data":"{data}"}}"#));
            }
            let codes = codes(&house.reads(*id));
            said += codes.iter().filter(|code| **code == 200).count();
        }
        house.script.make_room(member, pace);
        house.script.pass(&mut house.worker, Duration::from_millis(100));
        written.extend(house.script.written(member));
    }
    assert_eq!(open(&house), speakers.len() as u64 + 1, "nobody is closed");
    house.script.make_room(member, usize::MAX);
    house.script.settle(&mut house.worker);
    written.extend(house.script.written(member));
    let texts = super::kit::frames(&written).into_iter().map(|(_, text)| text);
    let texts: Vec<Value> = texts.filter_map(|text| serde_json::from_slice(&text).ok()).collect();
    let offsets: Vec<u64> = texts.iter().filter_map(|text| text["offset"].as_u64()).collect();
    assert_eq!(offsets, (1..=said as u64).collect::<Vec<_>>(), "every message that was said, once, in order");
    said
}

#[test]
fn a_member_that_reads_is_not_closed_by_what_is_said_and_hears_all_of_it() {
    // More in a second than a backlog holds, to a member that reads 30 kB of it; and for longer, to those that read as fast as is
    // said.
    assert_eq!(flood((1, 3), 3_000, 10), 30);
    assert_eq!(flood((1, 1), 61_000, 100), 100);
    assert!(flood((5, 1), 310_000, 100) > 300, "a room carries 2 MB a second");
}

#[test]
fn a_member_that_does_not_read_is_closed_at_the_bound_and_the_room_goes_on() {
    let mut house = House::new(&config());
    let (ben, cleo) = (house.user("ben"), house.user("cleo"));
    for id in [ben, cleo] {
        house.command(id, "join", r#"{"room":"lobby"}"#);
    }
    house.stall(cleo);
    let data = "x".repeat(DATA);
    for _ in 0..100 {
        house.command(ben, "say", &format!(r#"{{"room":"lobby","data":"{data}"}}"#));
        assert!(
            codes(&house.reads(ben)).iter().all(|code| [200, 429].contains(code)),
            "nobody is made to wait"
        );
        house.script.pass(&mut house.worker, Duration::from_millis(100));
    }
    assert_eq!(open(&house), 1, "it is closed");
}
