//! Users: the grace, several devices, suspicion, replacement, last-seen times.

use rollcall::internals::presence::{Node, Reason, Rules, State};
use rollcall::internals::time::Now;
use serde_json::{Value, json};

use super::ask::Ask;
use super::rig::{World, command};

pub(super) const GRACE: u32 = 500;

fn world() -> World {
    World::new(3, Rules::default())
}

/// A client that watches these users, its mail delivered.
pub(super) fn watcher(world: &mut World, users: &[&str], suspect: bool) -> usize {
    let c = world.open(0, None);
    let users = users.iter().map(|user| (*user).to_owned()).collect();
    world.ask(c, &Ask::Watch { users, suspect });
    world.settle();
    world.inbox(c);
    c
}

/// What a client was told of users: name, state, connections, reason.
pub(super) fn told(world: &mut World, c: usize) -> Vec<(String, String, u64, Value)> {
    world.settle();
    let events = world.inbox(c).into_iter().filter(|json| json["event"] == "presence");
    let text = |json: &Value| json.as_str().unwrap().to_owned();
    events
        .map(|json| {
            (
                text(&json["user"]),
                text(&json["state"]),
                json["connections"].as_u64().unwrap(),
                json["reason"].clone(),
            )
        })
        .collect()
}

pub(super) fn one(
    state: &str,
    connections: u64,
    reason: impl Into<Value>,
) -> Vec<(String, String, u64, Value)> {
    vec![("ann".to_owned(), state.to_owned(), connections, reason.into())]
}

#[test]
fn a_page_that_reloads_within_the_grace_is_told_to_nobody() {
    let mut world = world();
    let (w, c) = (watcher(&mut world, &["ann"], true), world.open(1, Some("ann")));
    assert_eq!(told(&mut world, w), one("online", 1, Value::Null));
    world.close(c, Reason::Closed);
    world.settle();
    world.pass(GRACE - 1);
    let c = world.open(2, Some("ann"));
    world.settle();
    world.pass(10 * GRACE);
    assert_eq!(told(&mut world, w), []);
    world.close(c, Reason::Lost);
    world.settle();
    world.pass(GRACE - 1);
    assert_eq!(told(&mut world, w), []);
    world.pass(1);
    assert_eq!(told(&mut world, w), one("offline", 0, "lost"));
}

#[test]
fn what_is_final_is_told_at_once_and_why() {
    for reason in [Reason::Goodbye, Reason::Timeout, Reason::Kicked, Reason::Expired, Reason::Drain] {
        let mut world = world();
        let (w, c) = (watcher(&mut world, &["ann"], false), world.open(1, Some("ann")));
        told(&mut world, w);
        world.close(c, reason);
        assert_eq!(told(&mut world, w), one("offline", 0, reason.name()));
    }
}

#[test]
fn a_grace_ends_in_time_after_a_long_quiet() {
    let mut world = world();
    let (w, c) = (watcher(&mut world, &["ann"], false), world.open(1, Some("ann")));
    told(&mut world, w);
    world.pass(100_000);
    world.close(c, Reason::Closed);
    world.settle();
    world.pass(GRACE - 1);
    assert_eq!(told(&mut world, w), []);
    world.pass(1);
    assert_eq!(told(&mut world, w), one("offline", 0, "closed"));
}

#[test]
fn a_grace_may_be_longer_than_the_wheel_looks_ahead() {
    let mut world = World::new(3, Rules { grace: 6_000, ..Rules::default() });
    let (w, c) = (watcher(&mut world, &["ann"], false), world.open(1, Some("ann")));
    world.ask(c, &Ask::Join("room".to_owned()));
    told(&mut world, w);
    world.close(c, Reason::Closed);
    world.settle();
    world.pass(5_999);
    assert_eq!(told(&mut world, w), []);
    world.pass(1);
    assert_eq!(told(&mut world, w), one("offline", 0, "closed"));
    let rooms: usize = world.nodes.iter().map(|node| node.rooms().len()).sum();
    assert_eq!(rooms, 0);
}

#[test]
fn closing_one_tab_of_two_is_not_going_offline() {
    let mut world = world();
    let w = watcher(&mut world, &["ann"], false);
    let (a, b) = (world.open(0, Some("ann")), world.open(1, Some("ann")));
    told(&mut world, w);
    world.close(a, Reason::Closed);
    world.settle();
    world.pass(GRACE);
    assert_eq!(told(&mut world, w), one("online", 1, "closed"));
    world.close(b, Reason::Kicked);
    assert_eq!(told(&mut world, w), one("offline", 0, "kicked"));
}

#[test]
fn the_best_device_counts() {
    let mut world = world();
    let w = watcher(&mut world, &["ann"], false);
    let (a, b) = (world.open(0, Some("ann")), world.open(1, Some("ann")));
    told(&mut world, w);
    let away = Ask::Status { state: Some(State::Away), info: None, ttl: None };
    world.ask(a, &away);
    assert_eq!(told(&mut world, w), []);
    world.ask(b, &away);
    assert_eq!(told(&mut world, w), one("away", 2, Value::Null));
    world.ask(a, &Ask::Status { state: Some(State::Online), info: None, ttl: None });
    assert_eq!(told(&mut world, w), one("online", 2, Value::Null));
    world.close(a, Reason::Timeout);
    assert_eq!(told(&mut world, w), one("away", 1, "timeout"));
}

#[test]
fn a_suspicion_is_told_to_those_who_ask_for_it() {
    let mut world = world();
    let (plain, full) = (watcher(&mut world, &["ann"], false), watcher(&mut world, &["ann"], true));
    let (a, b) = (world.open(0, Some("ann")), world.open(1, Some("ann")));
    told(&mut world, plain);
    told(&mut world, full);
    world.suspect(a, true);
    assert_eq!(told(&mut world, full), [], "the other device is well");
    world.suspect(b, true);
    assert_eq!(told(&mut world, full), one("suspect", 2, Value::Null));
    world.suspect(b, false);
    assert_eq!(told(&mut world, full), one("online", 2, Value::Null));
    assert_eq!(told(&mut world, plain), []);
    // Nothing is told of one that breaks while it is suspect, until its grace is over.
    world.suspect(b, true);
    told(&mut world, full);
    world.close(b, Reason::Lost);
    assert_eq!(told(&mut world, full), []);
    world.pass(GRACE);
    assert_eq!(told(&mut world, full), one("suspect", 1, "lost"));
    assert_eq!(told(&mut world, plain), one("online", 1, "lost"));
}

#[test]
fn one_more_than_the_cap_replaces_the_oldest() {
    let mut world = world();
    let w = watcher(&mut world, &["ann"], false);
    let clients: Vec<usize> = (0..17).map(|n| world.open(n % 3, Some("ann"))).collect();
    for c in &clients {
        world.settle();
        world.ask(*c, &Ask::Join("room".to_owned()));
    }
    told(&mut world, w);
    world.settle();
    let closed: Vec<Option<u16>> = clients.iter().map(|c| world.clients[*c].closing).collect();
    assert_eq!(closed.iter().filter(|code| code.is_some()).count(), 1, "{closed:?}");
    let oldest = closed.iter().position(Option::is_some).unwrap();
    assert_eq!(closed[oldest], Some(4409));
    world.close(clients[oldest], Reason::Closed);
    world.rest(GRACE);
    assert_eq!(told(&mut world, w), [], "sixteen stay");
}

#[test]
fn a_silent_page_is_away_and_a_refused_status_changes_nothing() {
    let mut world = World::new(3, Rules { page_silence: Some(1_000), ..Rules::default() });
    let w = watcher(&mut world, &["ann"], false);
    let home = world.homes.of("ann");
    let c = world.open((home + 1) % 3, Some("ann"));
    told(&mut world, w);
    world.pass(5_000);
    assert_eq!(told(&mut world, w), [], "it never sent a heartbeat of its own");
    world.page_heartbeat(c);
    world.pass(999);
    assert_eq!(told(&mut world, w), []);
    world.pass(1);
    assert_eq!(told(&mut world, w), one("away", 1, Value::Null));
    // Refused: the page is away as before, and its next heartbeat says otherwise.
    world.full[usize::from(home)] = true;
    world.ask(c, &Ask::Status { state: Some(State::Online), info: None, ttl: None });
    assert_eq!(world.inbox(c).last().unwrap()["body"]["code"], 503);
    world.full[usize::from(home)] = false;
    world.page_heartbeat(c);
    assert_eq!(told(&mut world, w), one("online", 1, Value::Null));
    world.full[usize::from(home)] = true;
    world.ask(c, &Ask::Status { state: Some(State::Away), info: None, ttl: None });
    world.full[usize::from(home)] = false;
    world.pass(1_000);
    assert_eq!(told(&mut world, w), one("away", 1, Value::Null));
    world.page_heartbeat(c);
    assert_eq!(told(&mut world, w), one("online", 1, Value::Null));
}

#[test]
fn who_watches_an_offline_user_pushes_nobody_out_of_the_last_seen() {
    let mut world = World::new(1, Rules::default());
    for user in ["ann", "bob"] {
        let c = world.open(0, Some(user));
        world.close(c, Reason::Kicked);
    }
    let w = world.open(0, None);
    for _ in 0..120_000 {
        command(
            &mut world.nodes[0],
            world.now,
            world.clients[w].slot,
            r#"{"cmd":"watch","params":{"users":["bob"]}}"#,
        );
        command(
            &mut world.nodes[0],
            world.now,
            world.clients[w].slot,
            r#"{"cmd":"unwatch","params":{"users":["bob"]}}"#,
        );
        world.nodes[0].effects();
        world.now.tick = world.now.tick.after(10);
    }
    assert!(world.nodes[0].users().bytes() < 64 * 1024, "{}", world.nodes[0].users().bytes());
    for user in ["ann", "bob"] {
        assert_ne!(world.nodes[0].users().view(user, world.now).last_seen_millis, 0, "{user}");
    }
}

#[test]
fn last_seen_times_are_kept_up_to_a_bound_the_oldest_dropped_first() {
    let mut world = World::new(1, Rules::default());
    let (node, now) = (&mut world.nodes[0], world.now);
    let max = rollcall::internals::limits::LAST_SEEN_MAX;
    let mut visit = |user: &str| {
        let slot = node.open(now, 0, Some(user.into()), false);
        node.closed(now, slot, Reason::Kicked, now.unix_millis);
        node.effects();
    };
    visit("flaps");
    (0..max - 1).for_each(|n| visit(&format!("u{n}")));
    (0..1_000).for_each(|_| visit("flaps"));
    visit("last");
    let users = world.nodes[0].users();
    assert_eq!(users.len(), max);
    let known = |user: &str| users.view(user, now).last_seen_millis > 0;
    assert_eq!(["u0", "u1", "flaps", "last"].map(known), [false, true, true, true]);
}

/// Ten seconds in which nothing happens. Returns the bytes that users then take.
fn rest(node: &mut Node, now: &mut Now) -> usize {
    for _ in 0..1_000 {
        now.tick = now.tick.after(1);
        node.due(*now);
    }
    node.effects();
    node.users().bytes()
}

#[test]
fn what_is_kept_of_those_who_left_takes_little_and_is_as_it_was() {
    let mut world = World::new(1, Rules::default());
    let (node, mut now) = (&mut world.nodes[0], world.now);
    let users = 2 * rollcall::internals::limits::LAST_SEEN_MAX;
    let slots: Vec<u32> = (0..users)
        .map(|n| {
            let slot = node.open(now, 0, Some(format!("u{n}").into()), false);
            node.effects();
            slot
        })
        .collect();
    let full = node.users().bytes();
    // Some are watched for longer than they are here.
    let watcher = node.open(now, 0, None, false);
    for some in (0..1_000).collect::<Vec<usize>>().chunks(250) {
        let names: Vec<String> = some.iter().map(|n| format!(r#""u{}""#, n * 200 + 1)).collect();
        let names = names.join(",");
        command(node, now, watcher, &format!(r#"{{"cmd":"watch","params":{{"users":[{names}]}}}}"#));
    }
    now.unix_millis += 60_000;
    // Those who go first are forgotten, and lie all over the place.
    let mut order = (0..users).map(|n| n * 7_919 % users);
    for n in order.clone() {
        node.closed(now, slots[n], Reason::Kicked, now.unix_millis - n as u64);
        node.effects();
    }
    let (first, last) = (order.clone().next().unwrap(), order.next_back().unwrap());
    let before = node.users().view(&format!("u{last}"), now);
    let held_with_watched = rest(node, &mut now);
    node.closed(now, watcher, Reason::Closed, now.unix_millis);
    let held = rest(node, &mut now);
    assert!(held * 3 / 2 < held_with_watched, "{held} of {held_with_watched}");
    let after = node.users();
    assert!(after.bytes() * 2 < full, "{} of {full}", after.bytes());
    assert_eq!(after.len(), rollcall::internals::limits::LAST_SEEN_MAX);
    assert_eq!(after.view(&format!("u{last}"), now), before);
    assert_eq!(before.last_seen_millis, now.unix_millis - last as u64);
    assert_eq!(after.view(&format!("u{first}"), now).version, 0);
    // Who comes back goes on, and goes again.
    let slot = node.open(now, 0, Some(format!("u{last}").into()), false);
    let back = node.users().view(&format!("u{last}"), now);
    assert!(back.version > before.version && back.connections == 1, "{back:?}");
    node.closed(now, slot, Reason::Kicked, now.unix_millis);
    assert_eq!(node.users().len(), rollcall::internals::limits::LAST_SEEN_MAX);
    assert_eq!(node.users().view(&format!("u{last}"), now).last_seen_millis, now.unix_millis);
}

#[test]
fn with_everybody_gone_a_home_takes_little_more_than_what_is_kept_of_them() {
    const HOMES: u16 = 53;
    let mut world = World::new(HOMES, Rules::default());
    let homes = world.homes;
    let (node, mut now) = (&mut world.nodes[0], world.now);
    let kept = rollcall::internals::limits::LAST_SEEN_MAX.div_ceil(usize::from(HOMES));
    // Twice as many as are kept come, all of them watched.
    let names = (0..).map(|n| format!("u{n}")).filter(|name| homes.of(name) == 0).take(2 * kept);
    let names: Vec<String> = names.collect();
    let mut slots = vec![node.open(now, 0, None, false)];
    for some in names.chunks(250) {
        let list = some.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(",");
        command(node, now, slots[0], &format!(r#"{{"cmd":"watch","params":{{"users":[{list}]}}}}"#));
        node.effects();
        now.tick = now.tick.after(1_000);
        slots.extend(some.iter().map(|name| node.open(now, 0, Some(name.as_str().into()), false)));
        node.effects();
    }
    for slot in slots.into_iter().rev() {
        node.closed(now, slot, Reason::Kicked, now.unix_millis);
        node.effects();
    }
    rest(node, &mut now);
    node.shrink();
    let (edge, users, rooms) = (node.edge(), node.users(), node.rooms());
    assert_eq!((users.len(), users.present(), edge.len()), (kept, 0, 0));
    let held = edge.bytes() + edge.room_bytes() + users.bytes() + rooms.bytes();
    assert!(held <= 140 * kept + 1_024, "{held} bytes for {kept}, {} each", held / kept);
}

#[test]
fn no_version_goes_back_though_the_user_was_forgotten_and_the_wall_clock_was_set_back() {
    let mut world = World::new(1, Rules::default());
    let (node, mut now) = (&mut world.nodes[0], world.now);
    let mut visit = |user: &str, now| {
        let slot = node.open(now, 0, Some(user.into()), false);
        let version = node.users().view(user, now).version;
        node.closed(now, slot, Reason::Kicked, now.unix_millis);
        node.effects();
        version
    };
    let before = visit("ann", now);
    (0..=rollcall::internals::limits::LAST_SEEN_MAX).for_each(|n| assert!(visit(&format!("u{n}"), now) > 0));
    now.unix_millis -= 86_400_000;
    let after = visit("ann", now);
    assert!(after > before, "{after} after {before}");
}

#[test]
fn a_clock_that_is_set_back_leaves_versions_ascending_and_no_time_ahead_of_it() {
    let mut world = World::new(1, Rules::default());
    let (node, mut now) = (&mut world.nodes[0], world.now);
    let mut last = 0;
    let mut look = |node: &Node, now: Now, is_new: bool| {
        let view = node.users().view("ann", now);
        assert!(view.version > last || (!is_new && view.version == last), "{view:?} after {last}");
        let latest = view.last_seen_millis.max(view.since_millis);
        assert!(latest > 0 && latest <= now.unix_millis, "at {}: {view:?}", now.unix_millis);
        last = view.version;
        view
    };
    for _ in 0..3 {
        let slot = node.open(now, 0, Some("ann".into()), false);
        look(node, now, true);
        now.unix_millis -= 3_600_000;
        look(node, now, false);
        node.closed(now, slot, Reason::Kicked, now.unix_millis - 7);
        assert_eq!(look(node, now, true).last_seen_millis, now.unix_millis - 7);
        now.unix_millis -= 3_600_000;
        assert_eq!(look(node, now, false).last_seen_millis, now.unix_millis);
        // Among those who are gone for longer, too.
        rest(node, &mut now);
        assert_eq!(look(node, now, false).last_seen_millis, now.unix_millis);
    }
}

#[test]
fn a_view_names_state_connections_version_and_info() {
    let mut world = world();
    let c = world.open(1, Some("ann"));
    world.ask(c, &Ask::Status { state: None, info: Some(r#"{ "Mood" : 1e2 }"#.to_owned()), ttl: None });
    world.settle();
    let w = world.open(2, None);
    world.ask(w, &Ask::Presence(vec!["ann".to_owned(), "nobody".to_owned()]));
    world.settle();
    assert!(
        world.clients[w].inbox[1].contains(r#""info":{ "Mood" : 1e2 }}"#),
        "{:?}",
        world.clients[w].inbox
    );
    let users = world.inbox(w).remove(1)["body"]["users"].clone();
    assert_eq!((&users[0]["state"], &users[0]["connections"]), (&json!("online"), &json!(1)));
    let nobody = json!({"user":"nobody","state":"offline","last_seen_ms":null,"connections":0,"version":0,"info":null});
    assert_eq!(users[1], nobody);
}
