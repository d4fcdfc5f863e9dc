//! Big rooms: who came and went once a second, while that is cheap, and the whole list when the room is small again.

use rollcall::internals::limits::{BIG_ROOM_BYTES_MAX, BIG_ROOM_MEMBERS, BIG_ROOM_NAMES_PER_SECOND};
use rollcall::internals::presence::{Reason, Rules};
use serde_json::{Value, json};

use super::ask::Ask;
use super::clock::UNIX_MILLIS;
use super::page::{Manner, Page};
use super::rig::World;

const ROOM: &str = "room";

/// A room of so many members over three workers; the first of them is a page that trusts what it hears.
fn crowd(rules: Rules, members: usize) -> (World, Vec<usize>) {
    let mut world = World::new(3, Rules { commands_per_second: 1_000_000, ..rules });
    let clients = (0..members).map(|n| join(&mut world, &format!("m{n:04}"))).collect();
    (world, clients)
}

fn join(world: &mut World, user: &str) -> usize {
    let c = world.open((world.clients.len() % 3) as u16, Some(user));
    if c == 0 {
        world.clients[c].ears.page = Page::new(Manner::Comparing, user);
    }
    world.ask(c, &Ask::Join(ROOM.to_owned()));
    world.settle();
    world.pages_ask();
    world.settle();
    c
}

/// What a client was told of the room's members since the last look.
fn told(world: &mut World, c: usize) -> Vec<Value> {
    world.settle();
    let of_members = |json: &Value| ["join", "leave", "room"].iter().any(|event| json["event"] == *event);
    world.inbox(c).into_iter().filter(of_members).collect()
}

fn second(world: &mut World) {
    world.settle();
    world.pass(100);
    world.settle();
    world.pages_ask();
    world.settle();
}

/// Two seconds later every page has the right list.
fn come_to_rest(world: &mut World) {
    world.rest(0);
}

#[test]
fn a_big_room_is_told_who_came_and_went_and_a_small_one_its_list() {
    let (mut world, clients) = crowd(Rules { grace: 0, ..Rules::default() }, BIG_ROOM_MEMBERS);
    let first = clients[0];
    assert_eq!(told(&mut world, first).len(), BIG_ROOM_MEMBERS - 1, "each join");
    let (yes, no) = (join(&mut world, "yes"), join(&mut world, "no"));
    assert_eq!(told(&mut world, first).len(), 0);
    world.close(no, Reason::Closed);
    second(&mut world);
    let heard = told(&mut world, first);
    let epoch = heard.last().unwrap()["epoch"].as_u64().unwrap();
    assert!(epoch > UNIX_MILLIS * 1_000, "{epoch}");
    let event = json!({
        "event": "room", "room": ROOM, "count": 101, "membership": 103, "epoch": epoch, "offset": 0,
        "since": 100, "list": true, "joined": ["yes"], "left": ["no"],
    });
    assert_eq!(heard.last(), Some(&event));
    assert_eq!(told(&mut world, yes).last(), Some(&event), "who made it big too");
    second(&mut world);
    assert_eq!(told(&mut world, first).len(), 0, "nothing has changed");

    // Not small yet, at four fifths.
    for c in &clients[1..22] {
        world.close(*c, Reason::Closed);
    }
    second(&mut world);
    let last = told(&mut world, first);
    assert_eq!((last.len(), &last[0]["count"], &last[0]["since"]), (1, &json!(80), &json!(103)));
    world.close(clients[22], Reason::Closed);
    let last = told(&mut world, first);
    assert_eq!((last.len(), &last[0]["count"], &last[0]["list"]), (1, &json!(79), &json!(true)));
    let members = last[0]["members"].as_array().unwrap();
    assert_eq!((members.len(), &members[1], &members[78]), (79, &json!("m0023"), &json!("yes")));
    world.close(yes, Reason::Closed);
    let last = told(&mut world, first);
    assert_eq!((&last[0]["event"], &last[0]["membership"]), (&json!("leave"), &json!(126)));
    come_to_rest(&mut world);
}

#[test]
fn what_a_room_was_to_be_told_is_superseded_when_it_is_small_again() {
    let (mut world, clients) = crowd(Rules { grace: 0, big_room: 5, ..Rules::default() }, 6);
    let first = clients[0];
    // Small again, and big again, before the second is over that began with the sixth.
    world.pass(50);
    for c in &clients[1..4] {
        world.close(*c, Reason::Closed);
    }
    let lists = told(&mut world, first);
    assert_eq!(lists.last().unwrap()["members"], json!(["m0000", "m0004", "m0005"]));
    for n in 6..9 {
        join(&mut world, &format!("m{n:04}"));
    }
    assert_eq!(told(&mut world, first).len(), 2, "five are few");
    world.pass(50);
    assert_eq!(told(&mut world, first).len(), 0, "a second begins with the sixth");
    world.pass(50);
    let events = told(&mut world, first);
    assert_eq!((events.len(), &events[0]["joined"]), (1, &json!(["m0008"])));
    second(&mut world);
    assert_eq!(told(&mut world, first).len(), 0);
    come_to_rest(&mut world);
}

#[test]
fn a_room_that_is_big_and_small_in_turn_has_one_timer() {
    let (mut world, _) = crowd(Rules { grace: 0, big_room: 2, ..Rules::default() }, 1);
    let home = usize::from(world.homes.of(ROOM));
    let flip = |world: &mut World| {
        let others = ["bob", "cid"].map(|user| join(world, user));
        for c in others {
            world.close(c, Reason::Closed);
        }
        world.settle();
    };
    flip(&mut world);
    let bytes = world.nodes[home].timer_bytes();
    (0..500).for_each(|_| flip(&mut world));
    assert_eq!(world.nodes[home].timer_bytes(), bytes);
    come_to_rest(&mut world);
}

#[test]
fn what_is_too_much_to_say_is_said_to_be_too_much_and_nothing_of_it_is_kept() {
    let rules = Rules { grace: 0, big_room: 3, big_room_names: 20, ..Rules::default() };
    let (mut world, clients) = crowd(rules, 4);
    let first = clients[0];
    second(&mut world);
    told(&mut world, first);
    for second_of in 0..2 {
        for n in 0..5 {
            let c = join(&mut world, &format!("n{second_of}{n}"));
            world.close(c, Reason::Closed);
        }
        second(&mut world);
        let events = told(&mut world, first);
        let keys: Vec<&String> = events[0].as_object().unwrap().keys().collect();
        assert_eq!((events.len(), &events[0]["list"], &events[0]["count"]), (1, &json!(false), &json!(4)));
        assert!(!keys.iter().any(|key| ["joined", "left", "members"].contains(&key.as_str())), "{keys:?}");
    }
    // The page has asked again, and goes on with what comes.
    join(&mut world, "new");
    second(&mut world);
    let events = told(&mut world, first);
    assert_eq!((events.len(), &events[0]["list"], &events[0]["joined"]), (1, &json!(true), &json!(["new"])));
    come_to_rest(&mut world);
}

#[test]
fn names_that_no_backlog_takes_are_too_much_whoever_is_there() {
    let rules = Rules { grace: 0, big_room: 1, ..Rules::default() };
    // In JSON a quote of a name is two bytes.
    for (letter, bytes_in_json) in [("x", 127), ("\"", 247)] {
        let (mut world, clients) = crowd(rules.clone(), 2);
        second(&mut world);
        told(&mut world, clients[0]);
        let most = BIG_ROOM_BYTES_MAX / bytes_in_json;
        assert!((most + 1) * 3 < BIG_ROOM_NAMES_PER_SECOND);
        for (names, is_told) in [(most, true), (most + 1, false)] {
            for n in 0..names {
                let c = join(&mut world, &format!("{}{n:04}", letter.repeat(120)));
                world.close(c, Reason::Closed);
            }
            second(&mut world);
            let events = told(&mut world, clients[0]);
            assert_eq!((events.len(), &events[0]["list"]), (1, &json!(is_told)), "{names} of {letter}");
            let left = events[0]["left"].as_array().map_or(0, Vec::len);
            assert_eq!(left, if is_told { names } else { 0 });
        }
    }
}

#[test]
fn a_second_of_names_costs_by_who_hears_them() {
    let cost = |members: usize, names: usize| {
        let (mut world, _) = crowd(Rules { grace: 0, big_room: 2, ..Rules::default() }, members);
        second(&mut world);
        for n in 0..names {
            let c = join(&mut world, &format!("n{n}"));
            world.close(c, Reason::Closed);
        }
        world.settle();
        for node in &mut world.nodes {
            node.take_cost();
        }
        second(&mut world);
        world.nodes.iter_mut().map(rollcall::internals::presence::Node::take_cost).sum::<u32>()
    };
    let (few, many) = (cost(100, 10), cost(100, 510));
    // Five nanoseconds for each of 100 members, and what it is to write the list once.
    assert!(many - few >= 500 * 100 * 5 / 1_000, "{few} {many}");
}
