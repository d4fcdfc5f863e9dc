//! Clients that send others as much as they can: nobody is closed for it, and each answer is true.

use std::thread;

use serde_json::Value;

use super::client::{Client, Times, start};

const ATTACKERS: usize = 4;
const EACH: usize = 12;

fn params(to: &str, name: &str) -> String {
    format!(r#"{{"{to}":"{name}","data":"{}"}}"#, "x".repeat(60_000))
}

/// Each attacker sends its commands, each after the answer to the one before. How many were answered 200; the others were
/// refused for what there is no room for.
fn attack(attackers: Vec<Client>, command: &'static str, params: &str) -> usize {
    let all: Vec<_> = attackers
        .into_iter()
        .map(|mut attacker| {
            let params = params.to_owned();
            thread::spawn(move || {
                let codes = (0..EACH).map(|_| attacker.command(command, &params)["code"].as_u64());
                let codes: Vec<u64> = codes.map(|code| code.unwrap()).collect();
                assert!(codes.iter().all(|code| [200, 503].contains(code)), "{codes:?}");
                (attacker, codes.iter().filter(|code| **code == 200).count())
            })
        })
        .collect();
    // They stay until all are done: who leaves would be told of.
    let done: Vec<_> = all.into_iter().map(|one| one.join().unwrap()).collect();
    done.iter().map(|(_, sent)| sent).sum()
}

#[test]
fn one_that_reads_nothing_for_a_while_gets_what_was_delivered_and_stays() {
    for workers in [1, 3] {
        let server = start(workers, &Times::default());
        let mut victim = Client::named(&server, "anna");
        let attackers = (0..ATTACKERS).map(|n| Client::named(&server, &format!("eve-{n}"))).collect();
        let delivered = attack(attackers, "tell", &params("user", "anna"));
        assert!(delivered >= 8, "{delivered}");
        for _ in 0..delivered {
            assert_eq!(victim.event()["event"], "tell");
        }
        victim.assert_quiet();
        server.handle().drain();
    }
}

#[test]
fn a_member_that_reads_hears_all_that_was_said_and_stays() {
    for workers in [1, 3] {
        let server = start(workers, &Times::default());
        let mut victim = Client::named(&server, "anna");
        let mut attackers: Vec<Client> =
            (0..ATTACKERS).map(|n| Client::named(&server, &format!("eve-{n}"))).collect();
        for client in attackers.iter_mut().chain([&mut victim]) {
            client.done("join", r#"{"room":"lobby"}"#);
        }
        let reader = thread::spawn(move || {
            let mut offsets: Vec<Value> = Vec::new();
            loop {
                let event = victim.event();
                match event["event"].as_str() {
                    Some("say") => offsets.push(event["offset"].clone()),
                    Some("join") if event["user"] == "ben" => return (victim, offsets),
                    _ => {}
                }
            }
        });
        let said = attack(attackers, "say", &params("room", "lobby"));
        Client::named(&server, "ben").done("join", r#"{"room":"lobby"}"#);
        let (_victim, offsets) = reader.join().unwrap();
        assert_eq!(offsets, (1..=said).map(Value::from).collect::<Vec<_>>(), "with {workers} workers");
        assert!(said >= 4, "a room carries so much at once: {said}");
        server.handle().drain();
    }
}
