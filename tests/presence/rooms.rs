//! Rooms: the grace, who is told what, the order of what is said, big ones, pages of members.

use rollcall::internals::presence::{Reason, Rules};
use serde_json::Value;

use super::ask::Ask;
use super::rig::World;

const GRACE: u32 = 500;

fn join(world: &mut World, worker: u16, user: &str) -> usize {
    let c = world.open(worker, Some(user));
    world.ask(c, &Ask::Join("room".to_owned()));
    world.settle();
    world.inbox(c);
    c
}

fn say(data: &str, echo: bool) -> Ask {
    Ask::Say { room: "room".to_owned(), data: data.to_owned(), echo }
}

/// The events of a kind that came since the last look.
fn events(world: &mut World, c: usize, kind: &str) -> Vec<Value> {
    world.settle();
    world.inbox(c).into_iter().filter(|json| json["event"] == kind).collect()
}

#[test]
fn a_page_that_reloads_stays_in_its_rooms() {
    let mut world = World::new(3, Rules::default());
    let (a, b) = (join(&mut world, 0, "ann"), join(&mut world, 1, "bob"));
    world.close(b, Reason::Closed);
    world.settle();
    world.pass(GRACE - 1);
    join(&mut world, 2, "bob");
    world.pass(10 * GRACE);
    world.settle();
    assert_eq!(world.inbox(a).iter().filter(|json| json["event"] != "join").count(), 0);
}

#[test]
fn who_does_not_come_back_leaves_when_the_grace_is_over() {
    let mut world = World::new(3, Rules::default());
    let (a, b) = (join(&mut world, 0, "ann"), join(&mut world, 1, "bob"));
    world.close(b, Reason::Lost);
    world.settle();
    world.pass(GRACE - 1);
    assert_eq!(events(&mut world, a, "leave").len(), 0);
    world.pass(1);
    assert_eq!(events(&mut world, a, "leave")[0]["count"], 1);
}

#[test]
fn two_tabs_are_one_member() {
    let mut world = World::new(3, Rules::default());
    let a = join(&mut world, 0, "ann");
    let (b, c) = (join(&mut world, 1, "bob"), join(&mut world, 2, "bob"));
    assert_eq!(events(&mut world, a, "join").len(), 1);
    // One reloads while the other is thrown out: the first one's grace still counts.
    world.close(b, Reason::Closed);
    world.close(c, Reason::Kicked);
    assert_eq!(events(&mut world, a, "leave").len(), 0);
    let b = join(&mut world, 1, "bob");
    world.pass(GRACE);
    assert_eq!(world.inbox(a).len(), 0);
    world.ask(b, &Ask::Leave("room".to_owned()));
    assert_eq!(events(&mut world, a, "leave").len(), 1);
}

#[test]
fn data_is_heard_byte_for_byte_and_in_one_order() {
    let mut world = World::new(3, Rules::default());
    let (a, b) = (join(&mut world, 0, "ann"), join(&mut world, 1, "bob"));
    world.inbox(a);
    let data = "{ \"b\":1e2,\t\"a\" : \"\\u00e4ä\" }";
    world.ask(a, &say(data, true));
    world.ask(a, &say("null", false));
    world.settle();
    assert_eq!(world.clients[a].inbox.len(), 3, "two answers and one echo");
    let heard = &world.clients[b].inbox;
    assert!(heard[0].contains(&format!("\"data\":{data},\"epoch\"")), "{heard:?}");
    assert!(heard[1].contains("\"data\":null,") && heard[1].contains("\"offset\":2,"), "{heard:?}");
}

#[test]
fn a_room_that_was_empty_begins_a_new_epoch() {
    let mut world = World::new(3, Rules::default());
    let a = join(&mut world, 0, "ann");
    world.ask(a, &say("1", true));
    let first = events(&mut world, a, "say").remove(0);
    world.ask(a, &Ask::Leave("room".to_owned()));
    world.ask(a, &Ask::Join("room".to_owned()));
    world.ask(a, &say("2", true));
    let second = events(&mut world, a, "say").remove(0);
    assert!(second["epoch"].as_u64() > first["epoch"].as_u64(), "{first} {second}");
    assert_eq!(second["offset"], 1);
}

#[test]
fn who_joins_leaves_and_joins_again_hears_nothing_in_between() {
    let mut world = World::new(3, Rules::default());
    let home = world.homes.of("room");
    let b = join(&mut world, home, "bob");
    let a = world.open((home + 1) % 3, Some("ann"));
    world.ask(a, &Ask::Join("room".to_owned()));
    world.ask(a, &Ask::Leave("room".to_owned()));
    let lane = |world: &World| world.mail().into_iter().find(|lane| lane % 3 == usize::from(home));
    for _ in 0..3 {
        let lane = lane(&world).expect("Up, Join and Leave, unless ann's home is elsewhere");
        world.deliver(lane);
        if world.mail().iter().all(|lane| lane % 3 != usize::from(home)) {
            break;
        }
    }
    world.ask(b, &say("1", true));
    world.ask(a, &Ask::Join("room".to_owned()));
    world.settle();
    assert_eq!(events(&mut world, a, "say").len(), 0);
}

#[test]
fn a_big_room_is_told_its_count_once_a_second() {
    let mut world = World::new(3, Rules::default());
    let clients: Vec<usize> = (0..100).map(|n| join(&mut world, n % 3, &format!("u{n}"))).collect();
    let first = clients[0];
    assert_eq!(events(&mut world, first, "join").len(), 99);
    for n in 100..150 {
        join(&mut world, n % 3, &format!("u{n}"));
    }
    world.settle();
    assert_eq!(world.inbox(first).len(), 0, "nothing yet");
    world.pass(99);
    world.settle();
    assert_eq!(world.inbox(first).len(), 0);
    world.pass(1);
    let counts = events(&mut world, first, "room");
    assert_eq!(counts.iter().map(|json| json["count"].as_u64()).collect::<Vec<_>>(), [Some(150)]);
    // Thirty seconds of coming and going: a message a second, not one a change.
    let mut told = 0;
    for second in 0..30 {
        for n in 0..20 {
            let user = format!("v{}", second * 20 + n);
            let c = join(&mut world, (n % 3) as u16, &user);
            world.close(c, Reason::Kicked);
            world.pass(5);
        }
        told += events(&mut world, first, "room").len();
    }
    assert!((25..=30).contains(&told), "{told}");
}

#[test]
fn members_come_in_pages() {
    let mut world = World::new(3, Rules::default());
    for n in 0..7 {
        join(&mut world, n % 3, &format!("u{n}"));
    }
    let c = world.open(0, None);
    world.inbox(c);
    let (mut after, mut users, mut pages) = (None, Vec::new(), 0);
    loop {
        world.ask(c, &Ask::Who { room: "room".to_owned(), limit: 3, after: after.clone() });
        world.settle();
        let body = world.inbox(c).remove(0)["body"].clone();
        assert_eq!((body["count"].as_u64(), body["room"].as_str()), (Some(7), Some("room")));
        pages += 1;
        users.extend(
            body["users"].as_array().unwrap().iter().map(|user| user["user"].as_str().unwrap().to_owned()),
        );
        after = body["next"].as_str().map(str::to_owned);
        if after.is_none() {
            break;
        }
        assert_eq!(after.as_ref(), users.last());
    }
    assert_eq!((pages, users), (3, (0..7).map(|n| format!("u{n}")).collect()));
    world.ask(c, &Ask::Who { room: "empty".to_owned(), limit: 3, after: None });
    world.settle();
    let body = world.inbox(c).remove(0)["body"].clone();
    assert_eq!((body["count"].as_u64(), body["users"].as_array().map(Vec::len)), (Some(0), Some(0)));
}
