//! `info`: whose word counts, and for how long.

use rollcall::internals::presence::{Reason, Rules};
use serde_json::{Value, json};

use super::ask::Ask;
use super::comings::Come;
use super::rig::World;

const GRACE: u32 = 500;
const STAFF: Option<&str> = Some(r#"{"role":"staff"}"#);

fn tokens(workers: u16) -> World {
    World::new(workers, Rules { restricted: true, ..Rules::default() })
}

/// Another client of eve's, whose token has that claim `info`.
fn claiming(world: &mut World, worker: u16, info: Option<&str>) -> usize {
    world.come(worker, Come { user: Some("eve"), see: Some(&[]), info, ..Come::default() })
}

fn says(world: &mut World, c: usize, info: &str) {
    says_for(world, c, info, None);
}

/// For so many seconds.
fn says_for(world: &mut World, c: usize, info: &str, ttl: Option<u32>) {
    world.ask(c, &Ask::Status { state: None, info: Some(info.to_owned()), ttl });
    world.settle();
}

/// What somebody who sees everybody is shown of a user.
fn shown(world: &mut World, user: &str) -> Value {
    world.settle();
    let c = match world.clients.iter().position(|peer| peer.open && peer.user.as_deref() == Some("obs")) {
        Some(c) => c,
        None => world.open_seeing(0, "obs", &["*"]),
    };
    world.ask(c, &Ask::Presence(vec![user.to_owned()]));
    world.settle();
    world.inbox(c).pop().unwrap()["body"]["users"][0]["info"].take()
}

/// How many presence events a watcher has heard.
fn heard(world: &mut World, c: usize) -> usize {
    world.settle();
    world.inbox(c).iter().filter(|json| json["event"] == "presence").count()
}

#[test]
fn a_role_goes_with_the_token_that_gave_it() {
    for workers in [1, 3] {
        let mut world = tokens(workers);
        let eve = claiming(&mut world, workers - 1, STAFF);
        assert_eq!(shown(&mut world, "eve"), json!({"role":"staff"}));
        world.renew(eve, None);
        assert_eq!(shown(&mut world, "eve"), Value::Null, "the next token has no role");
        world.renew(eve, STAFF);
        assert_eq!(shown(&mut world, "eve"), json!({"role":"staff"}));
        world.close(eve, Reason::Closed);
        world.settle();
        assert_eq!(shown(&mut world, "eve"), json!({"role":"staff"}), "it may be back");
        let back = claiming(&mut world, 0, None);
        assert_eq!(shown(&mut world, "eve"), Value::Null, "with another token");
        world.renew(back, STAFF);
        world.close(back, Reason::Kicked);
        assert_eq!(shown(&mut world, "eve"), Value::Null, "nobody is there to be staff");
        claiming(&mut world, 0, None);
        assert_eq!(shown(&mut world, "eve"), Value::Null);
    }
}

#[test]
fn the_newest_connection_s_token_decides_and_then_the_next_one_s() {
    let mut world = tokens(3);
    let first = claiming(&mut world, 0, STAFF);
    let second = claiming(&mut world, 1, Some(r#"{"role":"user"}"#));
    assert_eq!(shown(&mut world, "eve"), json!({"role":"user"}));
    let third = claiming(&mut world, 2, None);
    assert_eq!(shown(&mut world, "eve"), Value::Null, "no claim is none");
    world.renew(first, Some("1"));
    assert_eq!(shown(&mut world, "eve"), Value::Null, "it is not the newest");
    says(&mut world, third, "3");
    assert_eq!(shown(&mut world, "eve"), 3, "without a claim it may say its own");
    world.close(third, Reason::Kicked);
    assert_eq!(shown(&mut world, "eve"), json!({"role":"user"}));
    world.close(second, Reason::Kicked);
    assert_eq!(shown(&mut world, "eve"), 1);
}

#[test]
fn without_tokens_info_goes_with_the_connection_that_said_it() {
    let mut world = World::new(3, Rules::default());
    let (a, b) = (world.open(0, Some("ann")), world.open(1, Some("ann")));
    says(&mut world, a, "1");
    assert_eq!(shown(&mut world, "ann"), 1, "the other one says nothing of it");
    says(&mut world, b, "2");
    assert_eq!(shown(&mut world, "ann"), 2);
    world.close(b, Reason::Kicked);
    assert_eq!(shown(&mut world, "ann"), 1);
    let b = world.open(1, Some("ann"));
    says(&mut world, b, "null");
    assert_eq!(shown(&mut world, "ann"), Value::Null, "the last word counts");
    world.close(a, Reason::Closed);
    world.close(b, Reason::Closed);
    world.settle();
    world.pass(GRACE);
    world.open(0, Some("ann"));
    assert_eq!(shown(&mut world, "ann"), Value::Null);
}

#[test]
fn who_reloads_and_says_the_same_again_is_told_to_nobody() {
    for again in [true, false] {
        let mut world = World::new(3, Rules::default());
        let w = world.open(0, None);
        world.ask(w, &Ask::Watch { users: vec!["ann".to_owned()], suspect: false });
        let c = world.open(1, Some("ann"));
        says(&mut world, c, r#"{"mood":1}"#);
        world.close(c, Reason::Closed);
        world.settle();
        world.pass(GRACE - 100);
        heard(&mut world, w);
        let c = world.open(2, Some("ann"));
        world.settle();
        world.pass(50);
        if again {
            says(&mut world, c, r#"{"mood":1}"#);
        }
        world.pass(49);
        assert_eq!((heard(&mut world, w), shown(&mut world, "ann")), (0, json!({"mood":1})));
        // By the end of the grace it has said so, or has none.
        world.pass(1);
        let expected = if again { (0, json!({"mood":1})) } else { (1, Value::Null) };
        assert_eq!((heard(&mut world, w), shown(&mut world, "ann")), expected);
        world.pass(10 * GRACE);
        assert_eq!(heard(&mut world, w), 0);
    }
}

#[test]
fn info_ends_by_itself_in_its_time_and_no_sooner() {
    // Longer than the wheel looks ahead, too.
    for ttl in [1, 60, 3_600] {
        let mut world = World::new(3, Rules::default());
        let w = world.open(0, None);
        world.ask(w, &Ask::Watch { users: vec!["ann".to_owned()], suspect: false });
        let (a, b) = (world.open(1, Some("ann")), world.open(2, Some("ann")));
        says(&mut world, a, "1");
        says_for(&mut world, b, "2", Some(ttl));
        heard(&mut world, w);
        world.pass(ttl * 100 - 1);
        assert_eq!((heard(&mut world, w), shown(&mut world, "ann")), (0, json!(2)));
        world.pass(1);
        assert_eq!((heard(&mut world, w), shown(&mut world, "ann")), (1, json!(1)), "after {ttl} s");
    }
}

#[test]
fn a_time_that_is_said_anew_counts_from_then_on_and_a_reconnect_lengthens_none() {
    let mut world = World::new(1, Rules { grace: 2_000, ..Rules::default() });
    let a = world.open(0, Some("ann"));
    says_for(&mut world, a, "1", Some(10));
    world.pass(900);
    says_for(&mut world, a, "1", Some(2));
    says_for(&mut world, a, "1", Some(10));
    world.pass(900);
    assert_eq!(shown(&mut world, "ann"), 1);
    world.close(a, Reason::Lost);
    world.settle();
    world.open(0, Some("ann"));
    world.pass(99);
    assert_eq!(shown(&mut world, "ann"), 1);
    world.pass(1);
    assert_eq!(shown(&mut world, "ann"), Value::Null);
}

#[test]
fn a_user_that_says_many_times_one_after_the_other_has_few_timers() {
    let mut world = World::new(1, Rules { commands_per_second: 1_000_000, ..Rules::default() });
    let c = world.open(0, Some("ann"));
    let bytes = |world: &World| world.nodes[0].timer_bytes();
    let before = bytes(&world);
    for ttl in (1_000..3_000).rev() {
        says_for(&mut world, c, "1", Some(ttl));
        world.inbox(c);
    }
    assert!(bytes(&world) <= before + 4_096, "{} and then {}", before, bytes(&world));
}
