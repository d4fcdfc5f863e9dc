//! What edges announce to homes, and what comes of it.

use rollcall::internals::presence::message::{Announcement, WorkerRef};
use rollcall::internals::presence::{Message, Reason, Rules};

use super::ask::Ask;
use super::rig::World;

fn room() -> String {
    "r".to_owned()
}

/// A server of three workers: `ann` away from her home, in a room; `eve`, who watches her, at another worker.
fn world() -> (World, usize, usize) {
    let mut world = World::new(3, Rules::default());
    world.be_lossy(Rules::default(), 1);
    world.lossy.as_mut().unwrap().loses = false;
    let home = world.homes.of("ann");
    let (ann, eve) = (world.open((home + 1) % 3, Some("ann")), world.open((home + 2) % 3, Some("eve")));
    for c in [ann, eve] {
        world.ask(c, &Ask::Join(room()));
    }
    world.ask(eve, &Ask::Watch { users: vec!["ann".to_owned()], suspect: false });
    world.rest(500);
    (world, ann, eve)
}

#[test]
fn an_announcement_of_what_is_known_is_told_to_nobody_but_those_who_may_have_missed_it() {
    let (mut world, ann, eve) = world();
    let (home, edge) = (world.homes.of("ann"), world.clients[ann].worker);
    let before = world.nodes[usize::from(home)].users().view("ann", world.now);
    world.inbox(eve);
    let now = world.now;
    for _ in 0..2 {
        world.nodes[usize::from(edge)].announce(now, home);
        world.after(edge);
        world.pass(5);
        world.settle();
        world.pass(5);
        world.settle();
    }
    assert!(!world.nodes[usize::from(edge)].is_unheard(home));
    let after = world.nodes[usize::from(home)].users().view("ann", world.now);
    assert_eq!((after.version, after.connections), (before.version, 1));
    let events: Vec<_> = world.inbox(eve).into_iter().filter(|json| json["event"] == "presence").collect();
    assert!(events.is_empty(), "{events:?}");
}

#[test]
fn who_is_not_in_an_announcement_is_gone_a_grace_later() {
    let (mut world, ann, eve) = world();
    let (home, edge) = (world.homes.of("ann"), world.clients[ann].worker);
    world.inbox(eve);
    let edge = WorkerRef::here(edge);
    let now = world.now;
    for what in [Announcement::Begin { edge, told: Default::default() }, Announcement::End { edge }] {
        world.arrives(home, &Message::Announce(what.clone()));
        world.nodes[usize::from(home)].mail(now, Message::Announce(what));
        world.after(home);
    }
    world.pass(498);
    world.settle();
    assert_eq!(world.inbox(eve).iter().filter(|json| json["event"] == "presence").count(), 0);
    world.pass(4);
    world.settle();
    let told = world.inbox(eve);
    let told = told.iter().find(|json| json["event"] == "presence").unwrap();
    assert_eq!((&told["state"], &told["reason"]), (&"offline".into(), &"lost".into()));
}

#[test]
fn what_waits_for_a_home_that_is_lost_is_answered_once_and_versions_go_on_above() {
    let (mut world, ann, eve) = world();
    let home = world.homes.of("ann");
    let before = world.nodes[usize::from(home)].users().view("ann", world.now).version;
    let who = |world: &mut World| {
        world.inbox(eve);
        let seq = world.ask(eve, &Ask::Who { room: room(), limit: 9, after: None });
        world.settle();
        let answer = world.inbox(eve).into_iter().find(|json| json["seq"] == seq).unwrap();
        ["epoch", "membership", "count"].map(|field| answer["body"][field].as_u64().unwrap())
    };
    let [epoch, membership, _] = who(&mut world);
    // Ahead of the clock that the new home goes by.
    world.now.unix_millis -= 86_400_000;
    if world.homes.of("r") != home {
        world.lose_homes(world.homes.of("r"));
        world.rest(500);
    }
    let seq = world.ask(eve, &Ask::Tell { user: "ann".to_owned(), data: "1".to_owned() });
    world.lose_homes(home);
    world.settle();
    let answers: Vec<_> = world.inbox(eve).into_iter().filter(|json| json["seq"] == seq).collect();
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert_eq!(answers[0]["body"]["code"], 503);
    let late = world.ask(eve, &Ask::Presence(vec!["ann".to_owned()]));
    assert_eq!(world.inbox(eve).iter().find(|json| json["seq"] == late).unwrap()["body"]["code"], 503);
    world.rest(500);
    let told = world.inbox(eve);
    let told = told.iter().rfind(|json| json["event"] == "presence").unwrap();
    assert_eq!(told["state"], "online");
    assert!(told["version"].as_u64().unwrap() > before, "{told} after {before}");
    let now = who(&mut world);
    assert!(now[0] > epoch && now[1] > membership, "{now:?} after {epoch}, {membership}");
    assert_eq!(now[2], 2);
    world.close(ann, Reason::Kicked);
    world.rest(500);
    assert!(world.inbox(eve).iter().any(|json| json["state"] == "offline"));
}

#[test]
fn a_worker_that_is_started_anew_takes_its_clients_along() {
    let (mut world, ann, eve) = world();
    world.inbox(eve);
    world.restart(world.clients[ann].worker);
    world.rest(500);
    let told = world.inbox(eve);
    let offline = |json: &&serde_json::Value| json["event"] == "presence" && json["state"] == "offline";
    assert_eq!(told.iter().filter(offline).count(), 1, "{told:?}");
}
