//! Rooms that the API gives to users: what counts after an order that was refused.

use rollcall::limits::ADMIN_TICKS_MAX;
use rollcall::presence::Reason;
use rollcall::presence::admin::{Ask as Order, Reply};

use super::moderation::{bring, join, world};
use super::rig::World;

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
        let is_refused = |reply: &Reply| matches!(reply, Reply::Refused { code: 429, .. });
        assert!(is_refused(&bring(&mut world, "ann", "hall", true)));
        assert_eq!(given(&world), 0);
        let next = world.open(2 % workers, Some("ann"));
        world.settle();
        assert!(world.clients[next].ears.rooms.is_empty(), "it is brought nowhere");
        // What an earlier order has given stays.
        assert!(matches!(bring(&mut world, "ann", "hall", true), Reply::Brought(1, _)));
        world.close(next, Reason::Goodbye);
        world.settle();
        assert!(is_refused(&bring(&mut world, "ann", "hall", true)));
        assert_eq!(given(&world), 1);
        // Two at once.
        world.replies.clear();
        for worker in [0, workers - 1] {
            let (user, room) = ("ann".into(), "den".into());
            world.order(worker, Order::Bring { user, room, joins: true });
        }
        world.settle();
        assert!(world.replies.len() == 2 && world.replies.iter().all(|(_, reply)| is_refused(reply)));
        assert_eq!(given(&world), 1);
        assert!(matches!(bring(&mut world, "ann", "hall", false), Reply::Brought(..)));
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
    world.order(0, Order::Bring { user: user.as_str().into(), room: room.as_str().into(), joins: true });
    world.settle();
    assert_eq!((given(&world), world.replies.len()), (1, 0), "it may yet be done");
    world.pass(ADMIN_TICKS_MAX);
    world.settle();
    let refused = &world.replies[0].1;
    assert!(matches!(refused, Reply::Refused { code: 503, .. }), "{refused:?}");
    assert_eq!(given(&world), 0);
    world.full[2] = false;
    world.settle();
    assert_eq!(given(&world), 0);
    let next = world.open(0, Some(&user));
    world.settle();
    assert!(world.clients[next].ears.rooms.is_empty(), "it is brought nowhere");
    world.rest(500);
}
