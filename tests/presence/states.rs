//! States that clients say of themselves, over reconnects and several devices.

use rollcall::internals::presence::{Reason, Rules, State};
use serde_json::Value;

use super::ask::Ask;
use super::comings::Come;
use super::people::{GRACE, one, told, watcher};
use super::rig::World;

#[test]
fn who_is_away_and_connects_anew_is_not_online_for_a_moment() {
    for workers in [1, 3] {
        let mut world = World::new(workers, Rules::default());
        let w = watcher(&mut world, &["ann"], false);
        let c = world.open(0, Some("ann"));
        world.ask(c, &Ask::Status { state: Some(State::Away), info: None, ttl: None });
        world.settle();
        let since = |world: &World| {
            let home = usize::from(world.homes.of("ann"));
            world.nodes[home].users().view("ann", world.now).since_millis
        };
        told(&mut world, w);
        let (mut c, before) = (c, since(&world));
        for n in 0..3 {
            world.close(c, Reason::Lost);
            world.settle();
            world.pass(100);
            c = world.open(n % workers, Some("ann"));
            world.settle();
            world.pass(GRACE);
            assert_eq!((told(&mut world, w), since(&world)), (vec![], before));
        }
        // What it comes with counts more; and with the grace over there is nothing to go on with.
        world.close(c, Reason::Closed);
        let online = Come { user: Some("ann"), state: Some(State::Online), ..Come::default() };
        let c = world.come(0, online);
        assert_eq!(told(&mut world, w), one("online", 1, Value::Null));
        world.close(c, Reason::Kicked);
        told(&mut world, w);
        let c = world.come(0, Come { state: Some(State::Away), ..online });
        assert_eq!(told(&mut world, w), one("away", 1, Value::Null));
        world.close(c, Reason::Kicked);
        told(&mut world, w);
        world.open(0, Some("ann"));
        assert_eq!(told(&mut world, w), one("online", 1, Value::Null));
    }
}

#[test]
fn who_is_named_late_comes_as_the_upgrade_said() {
    let mut world = World::new(3, Rules::default());
    let w = watcher(&mut world, &["ann"], false);
    let c = world.come(1, Come { state: Some(State::Away), ..Come::default() });
    assert!(world.identify(c, "ann"));
    assert_eq!(told(&mut world, w), one("away", 1, Value::Null));
}

#[test]
fn a_page_that_was_silent_and_connects_anew_is_not_silent_and_no_less_away() {
    let mut world = World::new(3, Rules { page_silence: Some(1_000), ..Rules::default() });
    let w = watcher(&mut world, &["ann"], false);
    for (said, then) in [(State::Online, "online"), (State::Away, "away")] {
        let c = world.open(1, Some("ann"));
        world.ask(c, &Ask::Status { state: Some(said), info: None, ttl: None });
        world.page_heartbeat(c);
        world.settle();
        world.pass(1_000);
        assert_eq!(told(&mut world, w).pop(), one("away", 1, Value::Null).pop());
        world.close(c, Reason::Lost);
        world.settle();
        let c = world.open(2, Some("ann"));
        let back = told(&mut world, w).pop();
        assert_eq!(back, one(then, 1, Value::Null).pop().filter(|_| said == State::Online));
        // A page that stops and goes on is as it said before.
        world.page_heartbeat(c);
        world.settle();
        world.pass(1_000);
        world.page_heartbeat(c);
        let back = told(&mut world, w).pop();
        assert_eq!(back, one(then, 1, Value::Null).pop().filter(|_| said == State::Online));
        world.close(c, Reason::Kicked);
        told(&mut world, w);
    }
}

fn says(world: &mut World, c: usize, state: State) -> Value {
    world.inbox(c);
    world.ask(c, &Ask::Status { state: Some(state), info: None, ttl: None });
    world.settle();
    let answer = world.inbox(c).into_iter().find(|json| json["seq"].is_i64()).unwrap();
    answer["body"]["state"].clone()
}

#[test]
fn busy_is_the_user_s_and_the_last_word_counts() {
    for workers in [1, 3] {
        let mut world = World::new(workers, Rules::default());
        let w = watcher(&mut world, &["ann"], false);
        let (phone, laptop) = (world.open(0, Some("ann")), world.open(workers - 1, Some("ann")));
        told(&mut world, w);
        assert_eq!(says(&mut world, phone, State::Busy), "busy");
        assert_eq!(told(&mut world, w), one("busy", 2, Value::Null));
        // A page that is hidden, and looked at again, ends nothing.
        assert_eq!(says(&mut world, laptop, State::Away), "away");
        assert_eq!(says(&mut world, laptop, State::Online), "busy");
        assert_eq!(told(&mut world, w), []);
        // The best of the devices is here, and then none is.
        says(&mut world, laptop, State::Away);
        assert_eq!(told(&mut world, w), []);
        says(&mut world, phone, State::Away);
        assert_eq!(told(&mut world, w), one("away", 2, Value::Null));
        assert_eq!(says(&mut world, phone, State::Online), "busy");
        assert_eq!(told(&mut world, w), one("busy", 2, Value::Null));
        world.close(phone, Reason::Lost);
        world.settle();
        let phone = world.open(0, Some("ann"));
        assert_eq!(told(&mut world, w), [], "nor does it end with a reconnect");
        says(&mut world, laptop, State::Online);
        assert_eq!(says(&mut world, laptop, State::Online), "online");
        assert_eq!(told(&mut world, w), one("online", 2, Value::Null));
        says(&mut world, laptop, State::Busy);
        world.close(laptop, Reason::Kicked);
        world.close(phone, Reason::Kicked);
        told(&mut world, w);
        let c = world.open(0, Some("ann"));
        assert_eq!(told(&mut world, w), one("online", 1, Value::Null), "with the last of them it is over");
        world.close(c, Reason::Kicked);
        told(&mut world, w);
        let c = world.come(0, Come { user: Some("ann"), state: Some(State::Busy), ..Come::default() });
        assert_eq!(told(&mut world, w), one("busy", 1, Value::Null));
        world.suspect(c, true);
        assert_eq!(told(&mut world, w), []);
    }
}
