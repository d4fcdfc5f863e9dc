//! Tokens in presence: who sees whom, what claims forbid, and what comes of a token's end.

use std::sync::Arc;

use rollcall::internals::presence::{Entry, Reason, Rules};
use serde_json::{Value, json};

use super::ask::Ask;
use super::comings::grants;
use super::rig::World;

/// A restricted server with a watcher of ben, who is there, and ben: they share no room.
fn strangers(workers: u16, see: &[&str]) -> (World, usize, usize) {
    let mut world = World::new(workers, Rules { restricted: true, ..Rules::default() });
    let ann = world.open_seeing(0, "ann", see);
    let ben = world.open_seeing(workers - 1, "ben", &[]);
    world.settle();
    world.ask(ann, &Ask::Watch { users: vec!["ben".to_owned()], suspect: false });
    world.settle();
    (world, ann, ben)
}

fn join(world: &mut World, c: usize, room: &str) {
    world.ask(c, &Ask::Join(room.to_owned()));
    world.settle();
}

fn leave(world: &mut World, c: usize, room: &str) {
    world.ask(c, &Ask::Leave(room.to_owned()));
    world.settle();
}

/// State and reason of what was told of ben.
fn told(world: &mut World, c: usize) -> Vec<(String, Value)> {
    world.settle();
    let events = world.inbox(c).into_iter().filter(|json| json["event"] == "presence");
    events.map(|json| (json["state"].as_str().unwrap().to_owned(), json["reason"].clone())).collect()
}

fn code(world: &mut World, c: usize, ask: &Ask) -> u64 {
    world.inbox(c);
    world.ask(c, ask);
    world.settle();
    let inbox = world.inbox(c);
    inbox.iter().find_map(|json| json["body"]["code"].as_u64()).unwrap()
}

#[test]
fn who_shares_a_room_is_seen_and_who_does_not_is_nobody() {
    for workers in [1, 3, 7] {
        let (mut world, ann, ben) = strangers(workers, &[]);
        let nobody = json!({"user":"ben","state":"offline","last_seen_ms":null,"connections":0,"version":0,"info":null});
        let snapshot = world.inbox(ann).pop().unwrap();
        assert_eq!(snapshot["body"]["users"][0], nobody);
        join(&mut world, ben, "room");
        assert_eq!(told(&mut world, ann), []);
        join(&mut world, ann, "room");
        assert_eq!(told(&mut world, ann), [("online".to_owned(), Value::Null)]);
        world.ask(
            ben,
            &Ask::Status { state: Some(rollcall::internals::presence::State::Away), info: None, ttl: None },
        );
        assert_eq!(told(&mut world, ann), [("away".to_owned(), Value::Null)]);
        leave(&mut world, ben, "room");
        assert_eq!(told(&mut world, ann), [("offline".to_owned(), json!("hidden"))]);
        world.ask(
            ben,
            &Ask::Status { state: Some(rollcall::internals::presence::State::Online), info: None, ttl: None },
        );
        assert_eq!(told(&mut world, ann), []);
        join(&mut world, ben, "room");
        assert_eq!(told(&mut world, ann), [("online".to_owned(), Value::Null)]);
        leave(&mut world, ann, "room");
        assert_eq!(told(&mut world, ann), [("offline".to_owned(), json!("hidden"))]);
        join(&mut world, ann, "room");
        world.inbox(ann);
        // Gone for good is told with its reason, though the room is left as well; and coming back is.
        world.close(ben, Reason::Closed);
        world.settle();
        world.pass(600);
        assert_eq!(told(&mut world, ann), [("offline".to_owned(), json!("closed"))]);
        let ben = world.open_seeing(0, "ben", &[]);
        assert_eq!(told(&mut world, ann), []);
        join(&mut world, ben, "room");
        assert_eq!(told(&mut world, ann), [("online".to_owned(), Value::Null)]);
        world.close(ben, Reason::Timeout);
        assert_eq!(told(&mut world, ann), [("offline".to_owned(), json!("timeout"))]);
    }
}

#[test]
fn a_claim_sees_without_a_room_and_oneself_is_always_seen() {
    let (mut world, ann, ben) = strangers(3, &["be*"]);
    assert_eq!(world.inbox(ann).pop().unwrap()["body"]["users"][0]["state"], "online");
    world.close(ben, Reason::Kicked);
    assert_eq!(told(&mut world, ann), [("offline".to_owned(), json!("kicked"))]);
    world.ask(ann, &Ask::Presence(vec!["ann".to_owned()]));
    world.settle();
    assert_eq!(world.inbox(ann).pop().unwrap()["body"]["users"][0]["state"], "online");
}

#[test]
fn tell_and_who_reach_those_who_are_seen() {
    let (mut world, ann, ben) = strangers(3, &[]);
    let tell = Ask::Tell { user: "ben".to_owned(), data: "1".to_owned() };
    let who = Ask::Who { room: "room".to_owned(), limit: 9, after: None };
    join(&mut world, ben, "room");
    assert_eq!((code(&mut world, ann, &tell), code(&mut world, ann, &who)), (403, 403));
    let nobody = Ask::Tell { user: "nobody".to_owned(), data: "1".to_owned() };
    assert_eq!(code(&mut world, ann, &nobody), 403, "who is out of sight may as well not be there");
    join(&mut world, ann, "room");
    assert_eq!((code(&mut world, ann, &tell), code(&mut world, ann, &who)), (200, 200));
    // From outside a claim shows those whom it names, and no others.
    let eve = world.open_seeing(1, "eve", &["b*"]);
    world.ask(eve, &who);
    world.settle();
    let users = world.inbox(eve).pop().unwrap()["body"]["users"].clone();
    assert_eq!((users.as_array().unwrap().len(), &users[0]["user"]), (1, &json!("ben")));
}

#[test]
fn a_room_that_one_may_not_join_is_a_room_that_is_not() {
    for workers in [1, 3, 7] {
        let (mut world, _ann, ben) = strangers(workers, &[]);
        for room in ["lobby", "secret"] {
            join(&mut world, ben, room);
            world.ask(ben, &Ask::Say { room: room.to_owned(), data: "1".to_owned(), echo: false });
            world.settle();
        }
        let eve = world.open_seeing(workers - 1, "eve", &["b*"]);
        let rooms = ["lobby".to_owned()];
        let grants =
            rollcall::internals::presence::Grants::new(Some(&rooms), &["b*".to_owned()], None, u64::MAX)
                .unwrap();
        let (now, slot) = (world.now, world.clients[eve].slot);
        world.nodes[usize::from(workers - 1)].authenticate(now, slot, -1, "eve".into(), Arc::new(grants));
        let _ = world.nodes[usize::from(workers - 1)].effects();
        let mut who = |room: &str| {
            world.inbox(eve);
            world.ask(eve, &Ask::Who { room: room.to_owned(), limit: 9, after: None });
            world.settle();
            let mut body = world.inbox(eve).pop().unwrap()["body"].take();
            assert_eq!(body["room"].take(), room);
            body
        };
        let open = who("lobby");
        assert_eq!((&open["count"], &open["users"][0]["user"]), (&json!(1), &json!("ben")));
        let nowhere = json!({"code":200,"room":null,"count":0,"epoch":0,"offset":0,"membership":0,"users":[],"next":null});
        assert_eq!([who("secret"), who("nowhere")], [nowhere.clone(), nowhere]);
    }
}

#[test]
fn a_new_token_shows_others_and_a_shorter_one_ends_sooner() {
    let (mut world, ann, _ben) = strangers(3, &[]);
    world.inbox(ann);
    let (now, slot) = (world.now, world.clients[ann].slot);
    let renew = |world: &mut World, see: &[&str], expires_millis| {
        let grants = Arc::new(grants(see, expires_millis));
        world.nodes[0].authenticate(now, slot, -1, "ann".into(), grants);
        let _ = world.nodes[0].effects();
    };
    renew(&mut world, &["ben"], now.unix_millis + 2_000);
    assert_eq!(world.nodes[0].next_due(), Some(now.tick.after(200)));
    renew(&mut world, &[], now.unix_millis + 10_000);
    world.pass(999);
    assert_eq!(world.clients[ann].closing, None);
    world.pass(1);
    assert_eq!(world.clients[ann].closing, Some(4401));
}

#[test]
fn who_owes_a_token_is_nobody_until_it_comes_or_is_too_late() {
    let mut world = World::new(1, Rules { restricted: true, ..Rules::default() });
    let now = world.now;
    let node = &mut world.nodes[0];
    let late = node.enter(now, 0, Entry::Late(now.tick.after(100)), None, true);
    let never = node.enter(now, 1, Entry::Late(now.tick.after(100)), None, true);
    assert!(!node.identify(now, late, "ann".into()));
    node.authenticate(now, late, 1, "ann".into(), Arc::new(grants(&[], u64::MAX)));
    assert_eq!(node.edge().user(late).map(|user| &**user), Some("ann"));
    node.effects();
    let mut after = now;
    after.tick = now.tick.after(100);
    node.due(after);
    let effects = format!("{:?}", node.effects());
    assert!(effects.contains("session: 1, why: NoToken") && !effects.contains("session: 0"), "{effects}");
    assert_eq!(node.edge().user(never), None);
}

/// Codes with which clients with tokens were sent away.
fn closings(world: &World) -> Vec<Option<u16>> {
    world.clients.iter().map(|peer| peer.closing).collect()
}

/// A server of three whose clients have tokens that end in an hour, an hour and a half, and two hours.
fn holders() -> World {
    let mut world = World::new(3, Rules { restricted: true, ..Rules::default() });
    for (worker, user, minutes) in [(0, "ann", 60), (1, "ben", 90), (2, "cat", 120)] {
        let c = world.open_seeing(worker, user, &[]);
        let grants = Arc::new(grants(&[], world.now.unix_millis + minutes * 60_000));
        let (now, slot) = (world.now, world.clients[c].slot);
        world.nodes[usize::from(worker)].authenticate(now, slot, -1, user.into(), grants);
        let _ = world.nodes[usize::from(worker)].effects();
    }
    world.settle();
    world
}

#[test]
fn a_clock_that_steps_ahead_ends_tokens_a_minute_later() {
    let mut world = holders();
    world.pass(1_000);
    world.now.unix_millis += 100 * 60_000;
    world.pass(5_900);
    assert_eq!(closings(&world), [None; 3]);
    // And as long as it takes until a worker that has nothing to do looks at the clock.
    world.pass(1_500);
    assert_eq!(closings(&world), [Some(4401), Some(4401), None], "by the clock as it is");
    // What is left of the third token is twenty minutes less what has passed.
    world.pass(20 * 6_000 - 8_400 - 10);
    assert_eq!(closings(&world)[2], None);
    world.pass(20);
    assert_eq!(closings(&world)[2], Some(4401));
}

#[test]
fn a_step_ahead_that_is_taken_back_ends_no_token() {
    let mut world = holders();
    world.now.unix_millis += 100 * 60_000;
    world.pass(5_000);
    world.now.unix_millis -= 100 * 60_000;
    world.pass(10_000);
    assert_eq!(closings(&world), [None; 3]);
    // Small steps count at once.
    world.pass(60 * 6_000 - 15_000 - 5_000);
    world.now.unix_millis += 50_000;
    world.pass(1_000);
    assert_eq!(closings(&world), [Some(4401), None, None]);
}

#[test]
fn a_clock_that_steps_back_lets_tokens_last() {
    let mut world = holders();
    world.now.unix_millis -= 30 * 60_000;
    world.pass(60 * 6_000 + 100);
    assert_eq!(closings(&world), [None; 3]);
    world.pass(30 * 6_000);
    assert_eq!(closings(&world), [Some(4401), None, None]);
}

/// Clients of a worker that watch 1,024 users each, none of whom the others do.
fn watchers(
    world: &mut World,
    clients: usize,
    see: Option<&[&str]>,
    name: impl Fn(usize) -> String,
) -> Vec<usize> {
    let name = &name;
    let watch = |n: usize| {
        let c = match see {
            Some(see) => world.open_seeing(0, "ann", see),
            None => world.open(0, Some("ann")),
        };
        for part in 0..4 {
            let users = (0..256).map(|user| name(1_024 * n + 256 * part + user)).collect();
            world.ask(c, &Ask::Watch { users, suspect: false });
            world.settle();
        }
        c
    };
    (0..clients).map(watch).collect()
}

#[test]
fn what_watches_took_is_given_back_when_they_are_gone() {
    let rules = Rules { restricted: true, commands_per_second: 100_000, ..Rules::default() };
    let mut world = World::new(1, rules);
    for n in 0..2_048 {
        world.open_seeing(0, &format!("u{n}"), &[]);
    }
    world.settle();
    let before = world.nodes[0].edge().bytes();
    let clients = watchers(&mut world, 2, Some(&["*"]), |n| format!("u{n}"));
    let held = world.nodes[0].edge().bytes();
    clients.into_iter().for_each(|c| world.close(c, Reason::Closed));
    world.settle();
    world.nodes[0].shrink();
    let after = world.nodes[0].edge().bytes();
    assert!(held > before + 400_000 && after < before + 100_000, "{before}, {held}, {after} bytes");
}

#[test]
fn a_watch_of_a_stranger_takes_no_more_where_sight_is_restricted() {
    const WATCHES: usize = 8 * 1_024;
    let taken = |workers: u16, restricted: bool| {
        let rules = Rules { restricted, commands_per_second: 100_000, ..Rules::default() };
        let mut world = World::new(workers, rules);
        let bytes = |world: &World| -> usize {
            world.nodes.iter().map(|node| node.edge().bytes() + node.users().bytes()).sum()
        };
        let before = bytes(&world);
        watchers(&mut world, 8, restricted.then_some(&["*"][..]), |n| format!("stranger-{n:07}"));
        (bytes(&world) - before) / WATCHES
    };
    for workers in [1, 3] {
        let (open, restricted) = (taken(workers, false), taken(workers, true));
        println!("{open} and {restricted} bytes a watch, {workers} workers");
        assert!(open <= 300 && restricted <= open + 16, "{open} and {restricted} bytes a watch");
    }
}

#[test]
fn an_answer_in_the_making_is_not_older_than_what_its_client_is_told_of_who_comes_into_sight() {
    let homes = |secret: u128| rollcall::internals::presence::Homes::new(3, secret);
    let fits = |secret: &u128| {
        let homes = homes(*secret);
        (homes.of("ann"), homes.of("room"), homes.of("late")) == (0, 0, 2)
    };
    let rules = Rules { restricted: true, ..Rules::default() };
    let mut world = World::with_secret(3, rules, (0..).find(fits).unwrap());
    let (ann, ben) = (world.open_seeing(0, "ann", &[]), world.open_seeing(1, "ben", &[]));
    let cat = world.open_seeing(1, "cat", &["ann"]);
    world.ask(ann, &Ask::Join("room".to_owned()));
    world.ask(ben, &Ask::Watch { users: vec!["ann".to_owned()], suspect: false });
    world.settle();
    world.frozen[2] = true;
    let seq = world.ask(ben, &Ask::Presence(vec!["ann".to_owned(), "late".to_owned()]));
    world.settle();
    // A suspicion is told to no worker where nobody asks for those; but what another client looks at comes with it.
    world.suspect(ann, true);
    world.ask(cat, &Ask::Presence(vec!["ann".to_owned()]));
    world.ask(ben, &Ask::Join("room".to_owned()));
    world.settle();
    world.frozen[2] = false;
    world.inbox(ben);
    world.settle();
    let answer = world.inbox(ben).into_iter().find(|json| json["seq"] == seq).unwrap();
    let home = world.nodes[0].users();
    assert_eq!(answer["body"]["users"][0]["version"], home.view("ann", world.now).version);
    world.rest(500);
}
