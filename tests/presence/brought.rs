//! Rooms that the API gives to users and takes from them: what counts after an order that was refused, and for clients that were away.

use rollcall::internals::limits::ADMIN_TICKS_MAX;
use rollcall::internals::presence::admin::{AdminReply, AdminRequest as Order};
use rollcall::internals::presence::{Reason, State};

use super::ask::Ask;
use super::comings::Come;
use super::moderation::{bring, join, member, who, world};
use super::rig::{World, refusal_code};

fn given(world: &World) -> usize {
    world.nodes.iter().map(|node| node.users().given()).sum()
}

#[test]
fn an_order_that_no_connection_can_follow_gives_nothing() {
    for workers in [1, 3] {
        let mut world = world(workers);
        let full = world.open(1 % workers, Some("ann"));
        for n in 0..64 {
            assert_eq!(join(&mut world, full, &format!("r{n}")), 200);
        }
        let is_refused = |reply: &AdminReply| refusal_code(reply) == Some(429);
        assert!(is_refused(&bring(&mut world, "ann", "hall", true)));
        assert_eq!(given(&world), 0);
        let next = world.open(2 % workers, Some("ann"));
        world.settle();
        assert!(world.clients[next].ears.rooms.is_empty(), "it is brought nowhere");
        // What an earlier order has given stays.
        assert!(matches!(bring(&mut world, "ann", "hall", true), AdminReply::Forced(1, _)));
        world.close(next, Reason::Goodbye);
        world.settle();
        assert!(is_refused(&bring(&mut world, "ann", "hall", true)));
        assert_eq!(given(&world), 1);
        // Two at once.
        world.replies.clear();
        for worker in [0, workers - 1] {
            let (user, room) = ("ann".into(), "den".into());
            world.order(worker, Order::ForceJoin { user, room, joins: true });
        }
        world.settle();
        assert!(world.replies.len() == 2 && world.replies.iter().all(|(_, reply)| is_refused(reply)));
        assert_eq!(given(&world), 1);
        assert!(matches!(bring(&mut world, "ann", "hall", false), AdminReply::Forced(..)));
        world.rest(500);
    }
}

#[test]
fn an_order_that_reaches_no_connection_in_time_gives_nothing() {
    let mut world = world(3);
    // The connection is at the worker whose mailbox is full, and nothing else that takes part.
    let name = |prefix: &str, not: u16| {
        let names = (0..).map(|n| format!("{prefix}{n}"));
        names.into_iter().find(|name| world.homes.of(name) != not).unwrap()
    };
    let (user, room) = (name("ann", 2), name("hall", 2));
    world.open(2, Some(&user));
    world.settle();
    world.full[2] = true;
    world.replies.clear();
    world.order(0, Order::ForceJoin { user: user.as_str().into(), room: room.as_str().into(), joins: true });
    world.settle();
    assert_eq!((given(&world), world.replies.len()), (1, 0), "it may yet be done");
    world.pass(ADMIN_TICKS_MAX);
    world.settle();
    let refused = &world.replies[0].1;
    assert!(refusal_code(refused) == Some(503), "{refused:?}");
    assert_eq!(given(&world), 0);
    world.full[2] = false;
    world.settle();
    assert_eq!(given(&world), 0);
    let next = world.open(0, Some(&user));
    world.settle();
    assert!(world.clients[next].ears.rooms.is_empty(), "it is brought nowhere");
    world.rest(500);
}

#[test]
fn a_room_that_is_taken_while_a_client_is_away_is_not_joined_again_by_itself() {
    for workers in [1, 3] {
        for (away, ticks) in [("within the grace", 10), ("offline", 10_000)] {
            let mut world = world(workers);
            let w = member(&mut world, 0, "watcher", "lobby");
            let c = member(&mut world, 1, "ann", "lobby");
            world.close(c, Reason::Lost);
            world.settle();
            world.pass(ticks);
            assert!(matches!(bring(&mut world, "ann", "lobby", false), AdminReply::Forced(0, _)), "{away}");
            // One that joins when it knows, and one whose `join` is quicker than the word.
            let back = world.open(1 % workers, Some("ann"));
            world.settle();
            assert_eq!(join(&mut world, back, "lobby"), 403, "{away}");
            let quick = world.open(2 % workers, Some("ann"));
            world.ask(quick, &Ask::Join("lobby".to_owned()));
            world.settle();
            assert!(!world.clients[quick].ears.rooms.contains("lobby"), "{away}");
            assert_eq!(who(&mut world, w, "lobby"), ["watcher"], "{away}");
            // A person who means it comes in, at each client.
            assert_eq!([back, quick].map(|c| join(&mut world, c, "lobby")), [200; 2]);
            assert_eq!(who(&mut world, w, "lobby"), ["ann", "watcher"], "{away}");
            // It is over soon, and nobody who was connected all the time is refused anything.
            world.pass(6_000);
            let late = world.open(0, Some("ann"));
            world.settle();
            assert_eq!(join(&mut world, late, "lobby"), 200);
            assert_eq!(world.nodes.iter().map(|node| node.users().taken()).sum::<usize>(), 0);
            assert!(matches!(bring(&mut world, "ann", "lobby", false), AdminReply::Forced(3, _)));
            assert_eq!(join(&mut world, late, "lobby"), 200, "it was told, and joins all the same");
            // What is given again is not taken any more.
            world.close(late, Reason::Lost);
            world.settle();
            assert!(matches!(
                bring(&mut world, "ann", "lobby", false),
                AdminReply::Forced(..) | AdminReply::Refused(_)
            ));
            assert!(matches!(bring(&mut world, "ann", "lobby", true), AdminReply::Forced(2, _)));
            let again = world.open(1 % workers, Some("ann"));
            world.settle();
            assert_eq!(join(&mut world, again, "lobby"), 200);
            world.rest(500);
        }
    }
}

#[test]
fn what_was_taken_from_who_is_away_goes_with_the_user_and_the_client() {
    let mut world = world(1);
    let c = world.open(0, Some("ann"));
    world.settle();
    world.close(c, Reason::Kicked);
    for n in 0..64 {
        assert!(matches!(bring(&mut world, "ann", &format!("r{n}"), false), AdminReply::Forced(0, _)));
    }
    // The oldest makes way.
    assert!(matches!(bring(&mut world, "ann", "one-more", false), AdminReply::Forced(0, _)));
    let nobody = bring(&mut world, "nobody", "r1", false);
    assert!(refusal_code(&nobody) == Some(404), "{nobody:?}");
    assert_eq!(world.nodes[0].users().taken(), 64);
    // A slot that another client has is not refused what was taken from the one before.
    let c = world.open(0, Some("ann"));
    world.close(c, Reason::Kicked);
    let other = world.open(0, Some("ben"));
    assert_eq!(join(&mut world, other, "r1"), 200);
    world.close(other, Reason::Kicked);
    let (node, now) = (&mut world.nodes[0], world.now);
    for n in 0..=rollcall::internals::limits::LAST_SEEN_MAX {
        let slot = node.open(now, 0, Some(format!("u{n}").into()), false);
        node.closed(now, slot, Reason::Kicked, now.unix_millis);
        node.effects();
    }
    assert_eq!(node.users().taken(), 0);
}

#[test]
fn what_is_taken_from_who_came_invisible_or_seems_dead_is_kept_in_mind_too() {
    for workers in [1, 3] {
        let mut world = world(workers);
        let hidden =
            world.come(0, Come { user: Some("ann"), state: Some(State::Invisible), ..Come::default() });
        assert_eq!(join(&mut world, hidden, "lobby"), 200);
        world.close(hidden, Reason::Lost);
        world.settle();
        assert!(matches!(bring(&mut world, "ann", "lobby", false), AdminReply::Forced(0, _)));
        let back = world.open(1 % workers, Some("ann"));
        world.settle();
        assert_eq!(join(&mut world, back, "lobby"), 403);
        let asleep = member(&mut world, 0, "ben", "lobby");
        world.suspect(asleep, true);
        world.settle();
        assert!(matches!(bring(&mut world, "ben", "lobby", false), AdminReply::Forced(1, _)));
        let other = world.open(1 % workers, Some("ben"));
        world.settle();
        assert_eq!([join(&mut world, other, "lobby"), join(&mut world, other, "lobby")], [403, 200]);
        world.rest(500);
    }
}

#[test]
fn an_order_to_come_that_is_refused_ends_nothing_of_one_to_go() {
    for workers in [1, 3] {
        let mut world = world(workers);
        let full = world.open(0, Some("ann"));
        world.settle();
        for n in 0..64 {
            assert_eq!(join(&mut world, full, &format!("r{n}")), 200);
        }
        let away = world.open(1 % workers, Some("ann"));
        world.settle();
        world.close(away, Reason::Lost);
        world.settle();
        assert!(matches!(bring(&mut world, "ann", "lobby", false), AdminReply::Forced(..)));
        let refused = bring(&mut world, "ann", "lobby", true);
        assert!(refusal_code(&refused) == Some(429), "{refused:?}");
        let back = world.open(1 % workers, Some("ann"));
        world.settle();
        assert_eq!([join(&mut world, back, "lobby"), join(&mut world, back, "lobby")], [403, 200]);
        world.rest(500);
    }
}
