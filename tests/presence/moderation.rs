//! Users that are sent away.

use rollcall::presence::admin::{Ask as Order, Reply};
use rollcall::presence::{Reason, Rules};
use serde_json::Value;

use super::ask::Ask;
use super::rig::World;

fn world(workers: u16) -> World {
    World::new(workers, Rules::default())
}

/// A client at a worker, in a room.
fn member(world: &mut World, worker: u16, user: &str, room: &str) -> usize {
    let c = world.open(worker % world.nodes.len() as u16, Some(user));
    world.ask(c, &Ask::Join(room.to_owned()));
    world.settle();
    world.inbox(c);
    c
}

/// An order, and its answer.
fn order(world: &mut World, ask: Order) -> Reply {
    world.replies.clear();
    world.order(0, ask);
    world.settle();
    world.replies.pop().expect("an answer").1
}

fn kick(world: &mut World, user: &str) -> Reply {
    order(world, Order::Disconnect { user: user.into(), reason: "be kind".into() })
}

/// The names that `who` lists.
fn who(world: &mut World, c: usize, room: &str) -> Vec<String> {
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
        assert!(matches!(kick(&mut world, "ann"), Reply::Disconnected(2)));
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
        rooms.iter().for_each(|room| drop(world.ask(c, &Ask::Join((*room).to_owned()))));
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
        assert!(matches!(kick(&mut world, "ann"), Reply::Disconnected(0)), "it is in its grace alone");
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
        assert!(matches!(again, Reply::Refused { code: 404, .. }), "{again:?}");
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
        node.give_back();
        assert_eq!(node.edge().departed(), 0);
    }
}
