//! Users that are sent away, for a while or not, put out of rooms and brought in.

use std::sync::Arc;

use rollcall::internals::presence::admin::{AdminReply, AdminRequest as Order};
use rollcall::internals::presence::{Grants, Reason, Rules};
use serde_json::Value;

use super::ask::Ask;
use super::rig::{World, command, refusal_code};

pub(super) fn world(workers: u16) -> World {
    World::new(workers, Rules::default())
}

/// A client at a worker, in a room.
pub(super) fn member(world: &mut World, worker: u16, user: &str, room: &str) -> usize {
    let c = world.open(worker % world.nodes.len() as u16, Some(user));
    world.ask(c, &Ask::Join(room.to_owned()));
    world.settle();
    world.inbox(c);
    c
}

/// An order, and its answer.
pub(super) fn order(world: &mut World, ask: Order) -> AdminReply {
    world.replies.clear();
    world.order(0, ask);
    world.settle();
    world.replies.pop().expect("an answer").1
}

fn kick(world: &mut World, user: &str) -> AdminReply {
    order(world, Order::Disconnect { user: user.into(), seconds: None, reason: "be kind".into() })
}

/// The names that `who` lists.
pub(super) fn who(world: &mut World, c: usize, room: &str) -> Vec<String> {
    world.inbox(c);
    let seq = world.ask(c, &Ask::Who { room: room.to_owned(), limit: 10, after: None });
    world.settle();
    let answer = world.inbox(c).into_iter().find(|json| json["seq"] == seq).unwrap();
    let name = |user: &Value| user["user"].as_str().unwrap().to_owned();
    answer["body"]["users"].as_array().unwrap().iter().map(name).collect()
}

fn events(world: &mut World, c: usize, name: &str) -> Vec<Value> {
    world.inbox(c).into_iter().filter(|json| json["event"] == name).collect()
}

#[test]
fn who_is_kicked_is_in_no_room_though_the_connection_takes_its_time_to_close() {
    for workers in [1, 3] {
        let mut world = world(workers);
        let w = member(&mut world, 0, "watcher", "lobby");
        world.ask(w, &Ask::Watch { users: vec!["ann".to_owned()], suspect: false });
        let devices = [member(&mut world, 1, "ann", "lobby"), member(&mut world, 2, "ann", "lobby")];
        world.inbox(w);
        assert!(matches!(kick(&mut world, "ann"), AdminReply::Disconnected(2, None)));
        let left = events(&mut world, w, "leave");
        assert!(left.len() == 1 && left[0]["user"] == "ann" && left[0]["count"] == 1, "{left:?}");
        assert_eq!(who(&mut world, w, "lobby"), ["watcher"]);
        world.check_gone("ann");
        // What they still say, and what they ask for, counts for nothing.
        for c in devices {
            assert_eq!(world.clients[c].closing, Some(4403));
            world.send(c, r#"{"seq":90,"cmd":"join","params":{"room":"lobby"}}"#);
            world.settle();
        }
        assert_eq!(who(&mut world, w, "lobby"), ["watcher"]);
        devices.into_iter().for_each(|c| world.close(c, Reason::Closed));
        world.rest(500);
    }
}

#[test]
fn a_kick_ends_graces_everywhere() {
    for workers in [1, 3] {
        let mut world = world(workers);
        let w = member(&mut world, 0, "watcher", "lobby");
        world.ask(w, &Ask::Watch { users: vec!["ann".to_owned()], suspect: false });
        let rooms = ["lobby", "r1", "r2", "r3"];
        let c = member(&mut world, 1, "ann", "lobby");
        for room in rooms {
            world.ask(c, &Ask::Join(room.to_owned()));
        }
        world.settle();
        world.close(c, Reason::Closed);
        world.settle();
        world.pass(100);
        // It is back at another worker, and in none of its rooms yet.
        let back = world.open(2 % workers, Some("ann"));
        world.settle();
        world.close(back, Reason::Lost);
        world.settle();
        world.inbox(w);
        assert!(
            matches!(kick(&mut world, "ann"), AdminReply::Disconnected(0, None)),
            "it is in its grace alone"
        );
        world.check_gone("ann");
        let events = world.inbox(w);
        let left: Vec<&Value> = events.iter().filter(|json| json["event"] == "leave").collect();
        assert!(left.len() == 1 && left[0]["user"] == "ann", "{events:?}");
        let told: Vec<&Value> = events.iter().filter(|json| json["event"] == "presence").collect();
        assert!(
            told.len() == 1 && told[0]["state"] == "offline" && told[0]["reason"] == "kicked",
            "{events:?}"
        );
        let again = kick(&mut world, "ann");
        assert!(refusal_code(&again) == Some(404), "{again:?}");
        world.rest(500);
    }
}

#[test]
fn what_an_edge_knows_of_those_who_went_is_forgotten() {
    let mut world = world(3);
    let clients: Vec<usize> = (0..30).map(|n| member(&mut world, n % 3, &format!("u{n}"), "lobby")).collect();
    clients.into_iter().for_each(|c| world.close(c, Reason::Closed));
    world.settle();
    assert_eq!(world.nodes.iter().map(|node| node.edge().departed()).sum::<usize>(), 30);
    world.pass(2_000);
    for node in &mut world.nodes {
        node.due(world.now);
        node.shrink();
        assert_eq!(node.edge().departed(), 0);
    }
}

fn ban(world: &mut World, user: &str, seconds: u32) -> AdminReply {
    order(world, Order::Disconnect { user: user.into(), seconds: Some(seconds), reason: "be kind".into() })
}

fn ban_from(world: &mut World, user: &str, room: &str, seconds: u32) -> AdminReply {
    order(world, Order::Ban { room: room.into(), user: user.into(), seconds })
}

pub(super) fn bring(world: &mut World, user: &str, room: &str, joins: bool) -> AdminReply {
    order(world, Order::ForceJoin { user: user.into(), room: room.into(), joins })
}

/// The code that a `join` is answered with.
pub(super) fn join(world: &mut World, c: usize, room: &str) -> u64 {
    world.inbox(c);
    let seq = world.ask(c, &Ask::Join(room.to_owned()));
    world.settle();
    let answer = world.inbox(c).into_iter().find(|json| json["seq"] == seq).unwrap();
    answer["body"]["code"].as_u64().unwrap()
}

#[test]
fn who_is_banned_comes_in_nowhere_until_the_ban_ends_or_is_lifted() {
    for workers in [1, 3] {
        let mut world = world(workers);
        let w = member(&mut world, 0, "watcher", "lobby");
        let c = member(&mut world, 1, "ann", "lobby");
        // On its way already when the ban is set.
        let home = world.homes.of("ann");
        let coming = world.open((home + 1) % workers, Some("ann"));
        let AdminReply::Disconnected(_, Some(until)) = ban(&mut world, "ann", 60) else { panic!("no ban") };
        assert_eq!(until, world.now.unix_millis + 60_000);
        assert_eq!([c, coming].map(|c| world.clients[c].closing), [Some(4403); 2]);
        for worker in 0..workers {
            let c = world.open(worker, Some("ann"));
            world.ask(c, &Ask::Join("lobby".to_owned()));
            world.settle();
            assert_eq!(world.clients[c].closing, Some(4403));
            // One that says later who it is.
            let c = world.open(worker, None);
            world.identify(c, "ann");
            world.settle();
            assert_eq!(world.clients[c].closing, Some(4403));
        }
        assert_eq!(who(&mut world, w, "lobby"), ["watcher"]);
        world.check_gone("ann");
        // To the moment.
        world.pass(5_999);
        let early = world.open(1 % workers, Some("ann"));
        world.settle();
        assert_eq!(world.clients[early].closing, Some(4403));
        world.pass(1);
        let back = world.open(1 % workers, Some("ann"));
        world.settle();
        assert_eq!((world.clients[back].closing, join(&mut world, back, "lobby")), (None, 200));
        // Somebody who is not there, and a ban that is lifted.
        assert!(matches!(ban(&mut world, "bob", 60), AdminReply::Disconnected(0, Some(_))));
        let lift = |world: &mut World| order(world, Order::Lift { user: "bob".into(), room: None });
        assert!(matches!(lift(&mut world), AdminReply::Lifted));
        let again = lift(&mut world);
        assert!(refusal_code(&again) == Some(404), "{again:?}");
        let bob = world.open(0, Some("bob"));
        world.rest(500);
        assert_eq!(world.clients[bob].closing, None);
    }
}

#[test]
fn who_is_banned_from_a_room_is_put_out_and_stays_out() {
    for workers in [1, 3] {
        let mut world = world(workers);
        let w = member(&mut world, 0, "watcher", "lobby");
        let devices = [member(&mut world, 1, "ann", "lobby"), member(&mut world, 2, "ann", "lobby")];
        let gone = member(&mut world, 2, "bob", "lobby");
        world.close(gone, Reason::Closed);
        world.settle();
        // One that comes while the ban is set.
        let coming = world.open(2 % workers, Some("ann"));
        world.ask(coming, &Ask::Join("lobby".to_owned()));
        let AdminReply::Banned(until) = ban_from(&mut world, "ann", "lobby", 60) else { panic!("no ban") };
        assert_eq!(until, world.now.unix_millis + 60_000);
        assert!(matches!(ban_from(&mut world, "bob", "lobby", 60), AdminReply::Banned(_)));
        assert_eq!(who(&mut world, w, "lobby"), ["watcher"]);
        for c in devices {
            let left = events(&mut world, c, "leave");
            let own = left.last().expect("it is told");
            assert!(own["user"] == "ann" && own["by"] == "server" && own["epoch"].is_u64(), "{left:?}");
            assert_eq!([join(&mut world, c, "lobby"), join(&mut world, c, "other")], [403, 200]);
        }
        let refused = bring(&mut world, "ann", "lobby", true);
        assert!(refusal_code(&refused) == Some(403), "{refused:?}");
        assert_eq!(who(&mut world, w, "lobby"), ["watcher"]);
        let lift = order(&mut world, Order::Lift { user: "ann".into(), room: Some("lobby".into()) });
        assert!(matches!(lift, AdminReply::Lifted));
        assert_eq!(devices.map(|c| join(&mut world, c, "lobby")), [200; 2]);
        world.pass(6_000);
        let bob = world.open(0, Some("bob"));
        assert_eq!(join(&mut world, bob, "lobby"), 200);
        world.rest(500);
        assert_eq!(who(&mut world, w, "lobby"), ["ann", "bob", "watcher"]);
    }
}

#[test]
fn a_room_that_was_given_is_joined_by_each_later_connection_until_it_is_taken() {
    for workers in [1, 3] {
        let mut world = world(workers);
        let w = member(&mut world, 0, "watcher", "stage");
        let first = world.open(1 % workers, Some("ann"));
        world.settle();
        assert!(matches!(bring(&mut world, "ann", "stage", true), AdminReply::Forced(1, _)));
        let told = events(&mut world, first, "join");
        assert!(told.len() == 1 && told[0]["by"] == "server" && told[0]["count"] == 2, "{told:?}");
        // One that leaves by itself has it again when it is back.
        world.ask(first, &Ask::Leave("stage".to_owned()));
        world.settle();
        world.close(first, Reason::Closed);
        world.settle();
        world.pass(10_000);
        assert_eq!(who(&mut world, w, "stage"), ["watcher"]);
        let back: Vec<usize> = (0..workers).map(|worker| world.open(worker, Some("ann"))).collect();
        world.settle();
        for c in &back {
            let told = events(&mut world, *c, "join");
            let own = told.iter().filter(|json| json["by"] == "server").count();
            assert!(own == 1 && told[0]["room"] == "stage" && told[0]["epoch"].is_u64(), "{told:?}");
        }
        assert_eq!(who(&mut world, w, "stage"), ["ann", "watcher"]);
        // Taken between two connections: nobody waits for it in the room, and the next one is not in it.
        back.into_iter().for_each(|c| world.close(c, Reason::Closed));
        world.settle();
        assert_eq!(who(&mut world, w, "stage"), ["ann", "watcher"], "within the grace");
        assert!(matches!(bring(&mut world, "ann", "stage", false), AdminReply::Forced(0, _)));
        assert_eq!(who(&mut world, w, "stage"), ["watcher"]);
        // Given between two connections.
        assert!(matches!(bring(&mut world, "ann", "hall", true), AdminReply::Forced(0, _)));
        let next = world.open(2 % workers, Some("ann"));
        world.settle();
        assert_eq!(world.clients[next].ears.rooms.iter().collect::<Vec<_>>(), ["hall"]);
        assert!(matches!(bring(&mut world, "ann", "hall", false), AdminReply::Forced(1, _)));
        assert_eq!(events(&mut world, next, "leave")[0]["by"], "server");
        let nowhere = bring(&mut world, "ann", "hall", false);
        assert!(
            matches!(nowhere, AdminReply::Forced(0, _)) || refusal_code(&nowhere) == Some(404),
            "{nowhere:?}"
        );
        world.rest(500);
    }
}

#[test]
fn rooms_are_given_to_who_is_known_and_as_many_as_a_connection_may_be_in() {
    let mut world = world(1);
    let c = world.open(0, Some("ann"));
    for n in 0..64 {
        assert!(matches!(bring(&mut world, "ann", &format!("r{n}"), true), AdminReply::Forced(1, _)));
    }
    let more = bring(&mut world, "ann", "one-more", true);
    assert!(refusal_code(&more) == Some(429), "{more:?}");
    let nobody = bring(&mut world, "nobody", "r1", true);
    assert!(refusal_code(&nobody) == Some(404), "{nobody:?}");
    world.close(c, Reason::Kicked);
    assert_eq!(world.nodes[0].users().given(), 64);
    // They go with the user, when a hundred thousand others have gone since.
    let (node, now) = (&mut world.nodes[0], world.now);
    for n in 0..=rollcall::internals::limits::LAST_SEEN_MAX {
        let slot = node.open(now, 0, Some(format!("u{n}").into()), false);
        node.closed(now, slot, Reason::Kicked, now.unix_millis);
        node.effects();
    }
    assert_eq!(node.users().given(), 0);
}

#[test]
fn who_is_banned_from_a_room_does_not_speak_in_it_by_its_token_either() {
    for workers in [1, 3] {
        let mut world = World::new(workers, Rules { restricted: true, ..Rules::default() });
        let w = world.open_seeing(0, "watcher", &["*"]);
        world.ask(w, &Ask::Join("lobby".to_owned()));
        let c = world.open_seeing(1 % workers, "ben", &["*"]);
        world.settle();
        let rooms = ["lobby".to_owned()];
        let grants = Grants::new(Some(&rooms), &["*".to_owned()], None, u64::MAX).unwrap();
        let (now, slot) = (world.now, world.clients[c].slot);
        let node = &mut world.nodes[usize::from(1 % workers)];
        node.authenticate(now, slot, -1, "ben".into(), Arc::new(grants));
        node.effects();
        let said = |world: &mut World| {
            world.inbox(w);
            let say = Ask::Say { room: "lobby".to_owned(), data: "1".to_owned(), echo: true };
            let seq = world.ask(c, &say);
            world.settle();
            let code = world.inbox(c).iter().find(|json| json["seq"] == seq).unwrap()["body"]["code"].clone();
            (code, events(world, w, "say").len())
        };
        assert_eq!(said(&mut world), (200.into(), 1));
        assert!(matches!(ban_from(&mut world, "ben", "lobby", 60), AdminReply::Banned(_)));
        assert_eq!(said(&mut world), (403.into(), 0));
        let lift = Order::Lift { user: "ben".into(), room: Some("lobby".into()) };
        assert!(matches!(order(&mut world, lift), AdminReply::Lifted));
        assert_eq!(said(&mut world), (200.into(), 1));
    }
}

#[test]
fn who_comes_and_goes_all_the_time_leaves_no_more_behind_than_who_went_once() {
    let mut world = World::new(1, Rules { grace: 60_000, ..Rules::default() });
    member(&mut world, 0, "watcher", "lobby");
    let (node, mut now) = (&mut world.nodes[0], world.now);
    let mut flap = |times: u32| {
        for n in 0..times {
            // Some within the same tick.
            now.tick = now.tick.after(n % 2);
            let slot = node.open(now, 0, Some("ann".into()), false);
            command(node, now, slot, r#"{"seq":1,"cmd":"join","params":{"room":"lobby"}}"#);
            node.closed(now, slot, Reason::Closed, now.unix_millis);
            node.effects();
        }
        node.rooms().bytes()
    };
    let few = flap(200);
    assert!(flap(5_000) <= few + 4_096, "{} bytes, and {few} before", flap(1));
}
