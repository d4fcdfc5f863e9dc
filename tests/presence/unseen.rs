//! Users that are invisible: offline to others, served as before.

use rollcall::internals::presence::admin::{AdminReply, AdminRequest as Order};
use rollcall::internals::presence::{Reason, Rules, State};
use serde_json::{Value, json};

use super::ask::Ask;
use super::comings::Come;
use super::people::{GRACE, one, told, watcher};
use super::rig::World;

const INVISIBLE: Come<'_> =
    Come { user: Some("ann"), see: None, info: None, state: Some(State::Invisible), manner: None };

fn says(world: &mut World, c: usize, state: State) {
    if state != State::Invisible {
        // One who hides stays hidden for a second.
        world.pass(100);
    }
    world.inbox(c);
    world.ask(c, &Ask::Status { state: Some(state), info: None, ttl: None });
    world.settle();
    let answer = world.inbox(c).into_iter().find(|json| json["seq"].is_i64()).unwrap();
    assert_eq!(answer["body"]["state"], state.name());
}

fn join(world: &mut World, c: usize) {
    world.ask(c, &Ask::Join("room".to_owned()));
    world.settle();
}

/// The body of the answer to a command.
fn answer(world: &mut World, c: usize, ask: &Ask) -> Value {
    world.settle();
    world.inbox(c);
    let seq = world.ask(c, ask);
    world.settle();
    world.inbox(c).into_iter().find(|json| json["seq"] == seq).unwrap()["body"].take()
}

/// Who came into the room and went out of it, as a member was told.
fn moves(world: &mut World, c: usize) -> Vec<String> {
    world.settle();
    let events = world.inbox(c).into_iter().filter(|json| json["room"] == "room" && json["user"].is_string());
    events
        .map(|json| format!("{} {} {}", json["event"], json["user"], json["count"]).replace('"', ""))
        .collect()
}

fn who() -> Ask {
    Ask::Who { room: "room".to_owned(), limit: 9, after: None }
}

#[test]
fn who_is_invisible_is_offline_to_others_and_served_as_before() {
    for workers in [1, 3] {
        let mut world = World::new(workers, Rules::default());
        let w = watcher(&mut world, &["ann"], workers == 3);
        let (ann, ben) = (world.open(0, Some("ann")), world.open(workers - 1, Some("ben")));
        join(&mut world, ben);
        join(&mut world, ann);
        assert_eq!(moves(&mut world, ben), ["join ben 1", "join ann 2"][1..]);
        told(&mut world, w);
        world.inbox(ann);
        says(&mut world, ann, State::Invisible);
        let version = world.nodes[usize::from(world.homes.of("ann"))].users().view("ann", world.now).version;
        assert_eq!(told(&mut world, w), one("offline", 0, "hidden"));
        assert_eq!(moves(&mut world, ben), ["leave ann 1"]);
        let page = answer(&mut world, ben, &who());
        assert_eq!((&page["count"], &page["users"][0]["user"]), (&json!(1), &json!("ben")));
        assert_eq!(page["users"].as_array().unwrap().len(), 1);
        // Nothing of what it does from then on shows, nor when it was last heard.
        let seen =
            |world: &mut World| answer(world, w, &Ask::Presence(vec!["ann".to_owned()]))["users"][0].take();
        let frozen = seen(&mut world);
        assert_eq!((&frozen["state"], &frozen["connections"]), (&json!("offline"), &json!(0)));
        world.pass(1_000);
        let phone = world.open(0, Some("ann"));
        world.ask(phone, &Ask::Status { state: Some(State::Away), info: Some("1".to_owned()), ttl: None });
        world.settle();
        world.suspect(phone, true);
        join(&mut world, phone);
        world.close(phone, Reason::Timeout);
        assert_eq!((seen(&mut world), told(&mut world, w)), (frozen, vec![]));
        let now = world.nodes[usize::from(world.homes.of("ann"))].users().view("ann", world.now).version;
        assert_eq!((now, moves(&mut world, ben)), (version, vec![]));
        // It hears and speaks; who tells it something does not learn that it came.
        world.ask(ben, &Ask::Say { room: "room".to_owned(), data: "1".to_owned(), echo: false });
        world.settle();
        assert_eq!(world.inbox(ann).pop().unwrap()["event"], "say");
        world.ask(ann, &Ask::Say { room: "room".to_owned(), data: "2".to_owned(), echo: false });
        world.settle();
        assert_eq!(world.inbox(ben).pop().unwrap()["from"], "ann");
        world.inbox(ann);
        let tell = Ask::Tell { user: "ann".to_owned(), data: "3".to_owned() };
        assert_eq!(answer(&mut world, ben, &tell)["code"], 404);
        assert_eq!(world.inbox(ann).pop().unwrap()["event"], "tell");
        // Who runs the server sees it.
        for state in [None, Some(State::Invisible)] {
            world.order(0, Order::Users { state, limit: 9, after: None });
            world.settle();
            let Some((_, AdminReply::Users(page))) = world.replies.pop() else { panic!("no page") };
            let ann = page.rows.iter().find(|(name, _)| **name == *"ann").expect("it is on the page");
            assert_eq!((ann.1.state, ann.1.unseen), (State::Offline, 1));
        }
        says(&mut world, ann, State::Online);
        assert_eq!(told(&mut world, w), one("online", 1, Value::Null));
        assert_eq!(moves(&mut world, ben), ["join ann 2"]);
        world.rest(GRACE);
    }
}

#[test]
fn who_is_invisible_and_connects_anew_is_not_seen_for_a_moment() {
    for workers in [1, 3] {
        let mut world = World::new(workers, Rules::default());
        let w = watcher(&mut world, &["ann"], false);
        let ben = world.open(0, Some("ben"));
        join(&mut world, ben);
        let mut ann = world.come(workers - 1, INVISIBLE);
        join(&mut world, ann);
        for n in 0..3 {
            world.close(ann, Reason::Lost);
            world.settle();
            world.pass(100);
            ann = world.open(n % workers, Some("ann"));
            join(&mut world, ann);
            world.pass(GRACE);
            assert_eq!((told(&mut world, w), moves(&mut world, ben)), (vec![], vec![]));
        }
        world.close(ann, Reason::Closed);
        world.rest(GRACE);
        assert_eq!((told(&mut world, w), moves(&mut world, ben)), (vec![], vec![]), "nor when it goes");
        // A new session is visible.
        ann = world.open(0, Some("ann"));
        join(&mut world, ann);
        assert_eq!(told(&mut world, w), one("online", 1, Value::Null));
        assert_eq!(moves(&mut world, ben), ["join ann 2"]);
        world.rest(GRACE);
    }
}

#[test]
fn a_new_session_is_seen_once_its_room_waits_no_more_for_the_one_that_was_invisible() {
    let mut world = World::new(3, Rules::default());
    let room = world.homes.of("room");
    let ben = world.open(0, Some("ben"));
    join(&mut world, ben);
    let ann = world.come((room + 1) % 3, INVISIBLE);
    join(&mut world, ann);
    moves(&mut world, ben);
    // The user's home hears that it is gone, for good, long before the room's does.
    world.full[usize::from(room)] = true;
    world.close(ann, Reason::Lost);
    world.settle();
    world.pass(GRACE);
    world.full[usize::from(room)] = false;
    let ann = world.open((room + 2) % 3, Some("ann"));
    world.settle();
    join(&mut world, ann);
    assert_eq!(
        moves(&mut world, ben),
        Vec::<String>::new(),
        "it may be invisible, for all that the room knows"
    );
    world.pass(GRACE);
    assert_eq!(moves(&mut world, ben), ["join ann 2"]);
    world.rest(GRACE);
}

#[test]
fn where_sight_is_restricted_nobody_can_tell_invisible_from_offline() {
    let mut world = World::new(3, Rules { restricted: true, ..Rules::default() });
    let (ann, cat) = (world.open_seeing(0, "ann", &[]), world.open_seeing(1, "cat", &[]));
    let ben = world.open_seeing(2, "ben", &[]);
    for c in [ann, cat, ben] {
        join(&mut world, c);
    }
    world.ask(ben, &Ask::Watch { users: vec!["ann".to_owned(), "cat".to_owned()], suspect: false });
    world.settle();
    world.inbox(ben);
    says(&mut world, ann, State::Invisible);
    world.close(cat, Reason::Kicked);
    world.settle();
    let heard = world.inbox(ben);
    let hidden = heard.iter().find(|json| json["user"] == "ann" && json["event"] == "presence").unwrap();
    assert_eq!((&hidden["state"], &hidden["reason"]), (&json!("offline"), &json!("hidden")));
    let both = Ask::Presence(vec!["ann".to_owned(), "cat".to_owned()]);
    let mut views = answer(&mut world, ben, &both)["users"].take();
    let [ann_s, cat_s] = [0, 1].map(|i| {
        views[i]["user"] = Value::Null;
        views[i].take()
    });
    assert_eq!(ann_s, cat_s);
    let [to_ann, to_cat] = ["ann", "cat"].map(|user| {
        answer(&mut world, ben, &Ask::Tell { user: user.to_owned(), data: format!("\"{user}\"") })
    });
    assert_eq!(to_ann, to_cat);
    assert_eq!(world.inbox(ann).pop().unwrap()["event"], "tell", "and yet it came");
    says(&mut world, ann, State::Online);
    let heard = world.inbox(ben);
    assert!(heard.iter().any(|json| json["state"] == "online"), "{heard:?}");
    world.rest(GRACE);
}

/// What the API says of ann: state offline to others, and so many connections.
fn unseen(world: &mut World) -> u8 {
    world.order(0, Order::User { user: "ann".into() });
    world.settle();
    let Some((_, AdminReply::User(_, view))) = world.replies.pop() else { panic!("nobody is known") };
    assert_eq!(view.state, State::Offline);
    view.unseen
}

#[test]
fn all_devices_of_one_who_is_invisible_are_and_those_within_their_grace() {
    for workers in [1, 3] {
        let mut world = World::new(workers, Rules::default());
        let ben = world.open(0, Some("ben"));
        join(&mut world, ben);
        let phone = world.open(workers - 1, Some("ann"));
        let laptop = world.open(0, Some("ann"));
        join(&mut world, laptop);
        join(&mut world, phone);
        moves(&mut world, ben);
        world.close(laptop, Reason::Closed);
        world.settle();
        says(&mut world, phone, State::Invisible);
        assert_eq!(moves(&mut world, ben), ["leave ann 1"], "with the place that waits for the laptop");
        // The laptop is back, and knows nothing; nor does it end that by how it comes.
        let busy = Come { user: Some("ann"), state: Some(State::Busy), ..Come::default() };
        let laptop = world.come(0, busy);
        join(&mut world, laptop);
        world.pass(GRACE);
        assert_eq!((moves(&mut world, ben), unseen(&mut world)), (vec![], 2));
        world.close(phone, Reason::Lost);
        world.settle();
        says(&mut world, laptop, State::Online);
        assert_eq!(moves(&mut world, ben), ["join ann 2"]);
        world.ask(laptop, &Ask::Leave("room".to_owned()));
        assert_eq!(moves(&mut world, ben), Vec::<String>::new(), "the place of the phone shows it too");
        world.pass(GRACE);
        assert_eq!(moves(&mut world, ben), ["leave ann 1"]);
        world.rest(GRACE);
    }
}

#[test]
fn one_that_hides_and_asks_for_more_at_once_is_not_seen_in_it() {
    for workers in [1, 3] {
        let mut world = World::new(workers, Rules::default());
        let ben = world.open(0, Some("ben"));
        join(&mut world, ben);
        let ann = world.open(workers - 1, Some("ann"));
        moves(&mut world, ben);
        world.ask(ann, &Ask::Status { state: Some(State::Invisible), info: None, ttl: None });
        world.ask(ann, &Ask::Join("room".to_owned()));
        assert_eq!(moves(&mut world, ben), Vec::<String>::new());
        // One that can't be hidden is told so, and is not.
        if workers == 3 {
            let home = usize::from(world.homes.of("ann"));
            says(&mut world, ann, State::Online);
            assert_eq!(moves(&mut world, ben), ["join ann 2"]);
            let far = world.open((world.homes.of("ann") + 1) % 3, Some("ann"));
            join(&mut world, far);
            world.close(ann, Reason::Kicked);
            world.settle();
            moves(&mut world, ben);
            world.inbox(far);
            world.full[home] = true;
            world.ask(far, &Ask::Status { state: Some(State::Invisible), info: None, ttl: None });
            let refused = world.inbox(far).into_iter().find(|json| json["seq"].is_i64()).unwrap();
            assert_eq!(refused["body"]["code"], 503);
            world.full[home] = false;
            moves(&mut world, ben);
            let page = answer(&mut world, ben, &who());
            assert_eq!((&page["count"], page["users"].as_array().unwrap().len()), (&json!(2), 2));
        }
        world.rest(GRACE);
    }
}

#[test]
fn its_own_connections_see_it_as_invisible_and_nobody_in_lists() {
    for (workers, restricted) in [(1, false), (3, false), (1, true), (3, true)] {
        let mut world = World::new(workers, Rules { restricted, ..Rules::default() });
        let comes = |world: &mut World, worker, user| {
            let see = restricted.then_some(&["ann"][..]);
            world.come(worker, Come { user: Some(user), see, ..Come::default() })
        };
        let (phone, laptop) = (comes(&mut world, 0, "ann"), comes(&mut world, workers - 1, "ann"));
        let ben = comes(&mut world, 0, "ben");
        for c in [laptop, ben] {
            world.ask(c, &Ask::Watch { users: vec!["ann".to_owned()], suspect: false });
        }
        join(&mut world, phone);
        told(&mut world, laptop);
        told(&mut world, ben);
        says(&mut world, phone, State::Invisible);
        assert_eq!(told(&mut world, ben), one("offline", 0, "hidden"));
        assert_eq!(told(&mut world, laptop), one("invisible", 0, "hidden"));
        let look = Ask::Presence(vec!["ann".to_owned()]);
        assert_eq!(answer(&mut world, phone, &look)["users"][0]["state"], "invisible");
        assert_eq!(answer(&mut world, ben, &look)["users"][0]["state"], "offline");
        // It is in its room, of which others see nothing.
        let page = answer(&mut world, phone, &who());
        assert_eq!((&page["count"], &page["users"]), (&json!(0), &json!([])));
        assert!(page["epoch"].as_u64() > Some(0), "where it stands: {page}");
        if !restricted {
            let page = answer(&mut world, ben, &who());
            assert_eq!(
                (&page["count"], &page["epoch"], &page["membership"]),
                (&json!(0), &json!(0), &json!(0))
            );
        }
        world.order(0, Order::Members { room: "room".into(), limit: 9, after: None });
        world.settle();
        let Some((_, AdminReply::Members(page, views))) = world.replies.pop() else { panic!("no page") };
        assert_eq!((page.place.count, &*views[0].0, views[0].1.unseen), (0, "ann", 2));
        says(&mut world, laptop, State::Online);
        assert_eq!(told(&mut world, ben), one("online", 2, Value::Null));
        world.rest(GRACE);
    }
}

#[test]
fn a_big_room_counts_and_names_nobody_invisible() {
    for workers in [1, 3] {
        let mut world = World::new(workers, Rules { big_room: 3, ..Rules::default() });
        let all: Vec<usize> = (0..5).map(|n| world.open(n % workers, Some(&format!("u{n}")))).collect();
        all.iter().for_each(|c| join(&mut world, *c));
        let ann = world.come(0, INVISIBLE);
        join(&mut world, ann);
        world.pass(200);
        world.settle();
        world.inbox(all[0]);
        let heard = |world: &mut World| {
            world.pass(200);
            world.settle();
            let events = world.inbox(all[0]).into_iter().filter(|json| json["event"] == "room");
            events
                .map(|json| format!("{} {} {}", json["count"], json["joined"], json["left"]))
                .collect::<Vec<_>>()
        };
        assert_eq!(heard(&mut world), Vec::<String>::new());
        says(&mut world, ann, State::Online);
        assert_eq!(heard(&mut world), [r#"6 ["ann"] []"#]);
        says(&mut world, ann, State::Invisible);
        assert_eq!(heard(&mut world), [r#"5 [] ["ann"]"#]);
        let page = answer(&mut world, ann, &who());
        assert_eq!((&page["count"], page["users"].as_array().unwrap().len()), (&json!(5), 5));
        world.rest(GRACE);
    }
}

#[test]
fn one_who_is_invisible_is_kept_in_order_as_others_are() {
    for workers in [1, 3] {
        let mut world = World::new(workers, Rules::default());
        let ben = world.open(0, Some("ben"));
        join(&mut world, ben);
        let ann = world.come(workers - 1, INVISIBLE);
        moves(&mut world, ben);
        let order = |world: &mut World, ask: Order| {
            world.order(0, ask);
            world.settle();
            world.replies.pop().unwrap().1
        };
        let bring = |joins| Order::ForceJoin { user: "ann".into(), room: "room".into(), joins };
        assert!(matches!(order(&mut world, bring(true)), AdminReply::Forced(1, place) if place.count == 1));
        assert!(matches!(order(&mut world, bring(false)), AdminReply::Forced(1, place) if place.count == 1));
        order(&mut world, bring(true));
        let tell = Order::Tell { user: "ann".into(), data: "1".into() };
        assert!(matches!(order(&mut world, tell), AdminReply::Told(1)));
        let ban = Order::Ban { room: "room".into(), user: "ann".into(), seconds: 60 };
        assert!(matches!(order(&mut world, ban), AdminReply::Banned(_)));
        assert_eq!(world.nodes.iter().map(|node| node.rooms().unseen("room").count()).sum::<usize>(), 0);
        assert_eq!(unseen(&mut world), 1);
        let kick = Order::Disconnect { user: "ann".into(), seconds: None, reason: "out".into() };
        assert!(matches!(order(&mut world, kick), AdminReply::Disconnected(1, None)));
        world.close(ann, Reason::Kicked);
        assert_eq!(moves(&mut world, ben), Vec::<String>::new(), "nobody saw it, nor that it went");
        world.rest(GRACE);
    }
}

#[test]
fn one_who_hides_stays_hidden_for_a_second() {
    for workers in [1, 3] {
        let mut world = World::new(workers, Rules::default());
        let (ann, ben) = (world.open(0, Some("ann")), world.open(workers - 1, Some("ben")));
        join(&mut world, ben);
        join(&mut world, ann);
        let status = |state| Ask::Status { state: Some(state), info: None, ttl: None };
        world.pass(500);
        moves(&mut world, ben);
        for _ in 0..20 {
            assert_eq!(answer(&mut world, ann, &status(State::Invisible))["code"], 200);
            for state in [State::Online, State::Busy] {
                let body = answer(&mut world, ann, &status(state));
                assert_eq!(body["code"], 429, "{body}");
            }
        }
        assert_eq!(moves(&mut world, ben), ["leave ann 1"]);
        world.pass(100);
        assert_eq!(answer(&mut world, ann, &status(State::Online))["code"], 200);
        assert_eq!(moves(&mut world, ben), ["join ann 2"]);
    }
}

#[test]
fn listeners_whom_nobody_sees_make_a_room_big_too() {
    let mut world = World::new(1, Rules { big_room: 10, ..Rules::default() });
    let ben = world.open(0, Some("ben"));
    join(&mut world, ben);
    for n in 0..12 {
        let (user, come) = (format!("u{n}"), INVISIBLE);
        let hidden = world.come(0, Come { user: Some(&user), ..come });
        join(&mut world, hidden);
    }
    world.inbox(ben);
    let cleo = world.open(0, Some("cleo"));
    join(&mut world, cleo);
    assert_eq!(moves(&mut world, ben), Vec::<String>::new());
    world.pass(200);
    let told: Vec<Value> = world.inbox(ben).into_iter().filter(|json| json["event"] == "room").collect();
    assert_eq!((told.len(), &told[0]["count"]), (1, &json!(2)), "{told:?}");
}

#[test]
fn a_page_that_asks_to_be_seen_too_soon_is_silent_no_more() {
    let mut world = World::new(3, Rules { page_silence: Some(100), ..Rules::default() });
    let w = watcher(&mut world, &["ann"], false);
    let (page, other) = (world.open(0, Some("ann")), world.open(1, Some("ann")));
    world.page_heartbeat(page);
    world.settle();
    world.pass(100);
    says(&mut world, other, State::Invisible);
    let busy = Ask::Status { state: Some(State::Busy), info: None, ttl: None };
    assert_eq!(answer(&mut world, page, &busy)["code"], 429);
    world.pass(50);
    world.page_heartbeat(page);
    world.settle();
    world.pass(50);
    for state in [State::Online, State::Away] {
        let said = Ask::Status { state: Some(state), info: None, ttl: None };
        assert_eq!(answer(&mut world, other, &said)["code"], 200);
    }
    assert_eq!(told(&mut world, w).pop(), one("online", 2, Value::Null).pop(), "the page is here");
}
