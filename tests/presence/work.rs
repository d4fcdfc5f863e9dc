//! What work costs whom: units are counted, so that these hold on any machine. Whoever asks for much pays for much, and what
//! one client has asked for before, or a hundred others have, makes nothing dearer.

use std::sync::Arc;

use rollcall::internals::limits::{
    REPLIES_PER_CONNECTION_MAX, WAITING_BYTES_MAX, WATCHES_PER_CONNECTION_MAX,
};
use rollcall::internals::presence::{Effect, Entry, Homes, Node, Reason, Rules};
use rollcall::internals::protocol::rollcall_v1;
use rollcall::internals::time::Now;

use super::ask::Ask;
use super::comings::grants;
use super::rig::{World, command};

fn rules() -> Rules {
    Rules { commands_per_second: 1_000_000, ..Rules::default() }
}

fn names(n: usize, of: &str) -> Vec<String> {
    (0..n).map(|n| format!("{of}{n}")).collect()
}

fn watch(users: Vec<String>) -> Ask {
    Ask::Watch { users, suspect: false }
}

/// What all workers spend on a command, in units.
fn cost(world: &mut World, c: usize, ask: &Ask) -> u32 {
    let spent = |world: &mut World| world.nodes.iter_mut().map(Node::take_cost).sum::<u32>();
    spent(world);
    let mut units = world.ask_counted(c, ask);
    world.settle();
    units += spent(world);
    world.inbox(c);
    units
}

/// Whether the second is as much as the first, but for a tenth.
fn alike(first: u32, second: u32) -> bool {
    first.abs_diff(second) <= first / 10 + 1
}

#[test]
fn a_command_costs_by_the_names_in_it() {
    for workers in [1, 3] {
        let mut world = World::new(workers, rules());
        let c = world.open(0, Some("ann"));
        for ask in [Ask::Presence, watch, Ask::Unwatch] {
            let few = cost(&mut world, c, &ask(names(32, "u")));
            let many = cost(&mut world, c, &ask(names(256, "u")));
            assert!(few >= 8 && (6 * few..9 * few).contains(&many), "{workers} workers: {few}, {many}");
        }
    }
}

#[test]
fn the_last_watch_costs_what_the_first_does() {
    for workers in [1, 3] {
        let mut world = World::new(workers, rules());
        let c = world.open(0, Some("ann"));
        let parts: Vec<Vec<String>> =
            (0..WATCHES_PER_CONNECTION_MAX / 256).map(|part| names(256, &format!("u{part}-"))).collect();
        let costs = |world: &mut World, ask: fn(Vec<String>) -> Ask| -> Vec<u32> {
            parts.iter().map(|users| cost(world, c, &ask(users.clone()))).collect()
        };
        for costs in [costs(&mut world, watch), costs(&mut world, watch), costs(&mut world, Ask::Unwatch)] {
            assert!(costs.iter().all(|cost| alike(costs[0], *cost)), "{workers} workers: {costs:?}");
        }
    }
}

#[test]
fn a_client_costs_what_it_does_with_a_hundred_others_that_ask_for_much() {
    let mut world = World::new(3, rules());
    let c = world.open(0, Some("ann"));
    let asks = [Ask::Presence(names(3, "x")), watch(names(3, "y")), Ask::Join("quiet".to_owned())];
    let alone: Vec<u32> = asks.iter().map(|ask| cost(&mut world, c, ask)).collect();
    world.frozen[1] = true;
    for _ in 0..100 {
        let other = world.open(0, None);
        for _ in 0..20 {
            world.ask(other, &watch(names(64, "u")));
        }
    }
    world.settle();
    let beside: Vec<u32> = asks.iter().map(|ask| cost(&mut world, c, ask)).collect();
    assert!(alone.iter().zip(&beside).all(|(alone, beside)| *beside <= alone + 2), "{alone:?}, {beside:?}");
}

#[test]
fn what_a_client_leaves_behind_is_paid_for() {
    for workers in [1, 3] {
        let mut world = World::new(workers, rules());
        let c = world.open(0, Some("ann"));
        for part in 0..WATCHES_PER_CONNECTION_MAX / 256 {
            world.ask(c, &watch(names(256, &format!("u{part}-"))));
        }
        world.settle();
        let spent = |world: &mut World| world.nodes.iter_mut().map(Node::take_cost).sum::<u32>();
        spent(&mut world);
        world.close(c, Reason::Kicked);
        world.settle();
        let units = spent(&mut world);
        assert!(units as usize >= WATCHES_PER_CONNECTION_MAX / 8, "{workers} workers: {units} units");
    }
}

#[test]
fn a_message_costs_by_its_bytes_and_by_who_hears_it() {
    let mut world = World::new(1, rules());
    let clients: Vec<usize> = (0..100).map(|n| world.open(0, Some(&format!("u{n}")))).collect();
    let room = |n: usize| Ask::Join(if n < 10 { "small" } else { "large" }.to_owned());
    for c in &clients {
        world.ask(*c, &room(*c));
    }
    let say = |room: &str, bytes: usize| {
        let (room, data) = (room.to_owned(), format!("\"{}\"", "x".repeat(bytes)));
        Ask::Say { room, data, echo: true }
    };
    let small = cost(&mut world, clients[0], &say("small", 10));
    let large = cost(&mut world, clients[99], &say("large", 10));
    assert!(large >= small + 80 / 5, "to 10 {small}, to 90 {large}");
    let long = cost(&mut world, clients[0], &say("small", 100_000));
    assert!(long >= small + 100_000 / 1024, "of 10 bytes {small}, of 100,000 {long}");
    let heartbeat = Ask::Heartbeat.text(-1);
    let padded = format!(r#"{{"x":[{}0],{}"#, "0,".repeat(50_000), &heartbeat[1..]);
    world.send(clients[0], &padded);
    assert!(world.nodes[0].take_cost() >= 100_000 / 1024, "also where they say nothing");
}

/// A room of so many, and a client outside of it whose token names two of them, and 62 of nobody.
fn looked_at_from_outside(members: u32, limit: usize) -> (u32, String) {
    let now = Now::default();
    let mut node: Node = Node::new(0, Homes::new(1, 7), Rules { restricted: true, ..rules() }, now);
    for n in 0..members {
        let (user, grants) = (format!("u{n:05}"), Arc::new(grants(&[], u64::MAX)));
        let slot = node.enter(now, u64::from(n), Entry::Token(user.as_str().into(), grants), None, false);
        command(&mut node, now, slot, &Ask::Join("room".to_owned()).text(1));
        node.effects();
    }
    let see: Vec<String> =
        (0..62).map(|n| format!("u{n}x*")).chain(["u00007", "u0000*"].map(String::from)).collect();
    let see: Vec<&str> = see.iter().map(String::as_str).collect();
    let grants = Arc::new(grants(&see, u64::MAX));
    let slot = node.enter(now, u64::MAX, Entry::Token("eve".into(), grants), None, false);
    node.effects();
    node.take_cost();
    let who = Ask::Who { room: "room".to_owned(), limit, after: Some("u00004".to_owned()) };
    command(&mut node, now, slot, &who.text(1));
    let effects = node.effects();
    let [Effect::Send { event, .. }] = &effects[..] else { panic!("{effects:?}") };
    (node.take_cost(), rollcall_v1::encode(event))
}

#[test]
fn a_page_costs_no_more_in_a_large_room_also_where_a_token_shows_few_of_it() {
    let ((small, _), (large, all)) = (looked_at_from_outside(20, 9), looked_at_from_outside(3_000, 9));
    assert!(alike(small, large), "in a room of 20 {small}, of 3,000 {large}");
    assert!(all.contains(r#""next":null"#) && all.contains("u00009"), "{all}");
    let (_, answer) = looked_at_from_outside(20, 4);
    let named: Vec<&str> = answer.split(r#""user":""#).skip(1).map(|text| &text[..6]).collect();
    assert_eq!(named, ["u00005", "u00006", "u00007", "u00008"]);
    assert!(answer.contains(r#""next":"u00008""#), "u00009 is left: {answer}");
}

#[test]
fn eight_answers_are_in_the_making_and_the_commands_behind_them_wait_in_order() {
    let mut world = World::new(3, Rules::default());
    let c = world.open(0, Some("ann"));
    world.ask(c, &Ask::Join("room".to_owned()));
    world.settle();
    world.inbox(c);
    world.frozen[1..].fill(true);
    let far = ["p", "q", "r", "s"].map(String::from).to_vec();
    assert!(far.iter().any(|name| world.homes.of(name) != 0));
    let mut seqs: Vec<i64> = (0..20).map(|_| world.ask(c, &watch(far.clone()))).collect();
    seqs.push(world.ask(c, &Ask::Unwatch(far.clone())));
    seqs.push(world.ask(c, &Ask::Leave("room".to_owned())));
    let slot = world.clients[c].slot;
    assert_eq!(world.nodes[0].edge().pending_replies(), REPLIES_PER_CONNECTION_MAX);
    assert_eq!(world.nodes[0].edge().waiting(slot), 22 - REPLIES_PER_CONNECTION_MAX);
    assert!(world.inbox(c).is_empty());
    let heartbeat = world.ask(c, &Ask::Heartbeat);
    assert_eq!(world.inbox(c)[0]["seq"], heartbeat, "life is shown at once");
    world.rest(500);
    let answers: Vec<_> = world.inbox(c).into_iter().filter(|json| json["body"].is_object()).collect();
    assert!(answers.iter().all(|json| json["body"]["code"] == 200), "{answers:?}");
    let mut answered: Vec<i64> = answers.iter().map(|json| json["seq"].as_i64().unwrap()).collect();
    assert!(answered.iter().filter(|seq| **seq < seqs[20]).is_sorted(), "{answered:?}");
    answered.sort_unstable();
    assert_eq!(answered, seqs);
    world.open(1, Some("p"));
    world.settle();
    assert!(world.inbox(c).is_empty(), "what it asked for last is that it watches nobody");
    assert_eq!(world.nodes[0].edge().waiting(slot), 0);
}

#[test]
fn a_client_that_waits_with_too_much_is_refused_and_goes_on() {
    let mut world = World::new(3, Rules { data_bytes: 2 * WAITING_BYTES_MAX, ..Rules::default() });
    let c = world.open(0, Some("ann"));
    world.frozen[1..].fill(true);
    let far = ["p", "q", "r", "s"].map(String::from).to_vec();
    for _ in 0..=REPLIES_PER_CONNECTION_MAX {
        world.ask(c, &Ask::Presence(far.clone()));
    }
    world.inbox(c);
    let data = format!("\"{}\"", "x".repeat(WAITING_BYTES_MAX));
    world.ask(c, &Ask::Tell { user: "ben".to_owned(), data });
    assert_eq!(world.inbox(c)[0]["body"]["code"], 429);
    // Who goes while commands wait is no more heard of.
    let other = world.open(0, Some("ben"));
    for _ in 0..20 {
        world.ask(other, &Ask::Presence(far.clone()));
    }
    world.close(other, Reason::Kicked);
    world.rest(500);
    let codes: Vec<_> = world.inbox(c).iter().map(|json| json["body"]["code"].clone()).collect();
    assert_eq!(codes, [200; REPLIES_PER_CONNECTION_MAX + 1]);
    world.close(c, Reason::Kicked);
    world.rest(500);
    world.check_empty();
}
