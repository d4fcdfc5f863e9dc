//! Pages of a room while it goes on: an answer to `who` says what is true at its position, and never less than its client has
//! heard.

use rollcall::internals::limits::{PAGE_CHANGES_MAX, PAGE_ROUNDS_MAX, REPLIES_PER_CONNECTION_MAX};
use rollcall::internals::presence::admin::{AdminReply, AdminRequest as Order};
use rollcall::internals::presence::{Reason, Rules};
use serde_json::{Value, json};

use super::ask::Ask;
use super::rig::World;

const ROOM: &str = "room";
/// The worker that does nothing while a page is made: the home of the page's own user.
const LATE: u16 = 2;

/// Worker 0 is the room's home, and the members come in there; the page is at worker 1.
struct Scene {
    world: World,
    page: usize,
    seq: i64,
    secret: u128,
}

/// Names that have their homes at a worker, in order.
fn names_at(world: &World, worker: u16, prefix: &str, n: usize) -> Vec<String> {
    let all = (0..1_000).map(|n| format!("{prefix}{n:03}"));
    all.filter(|name| world.homes.of(name) == worker).take(n).collect()
}

fn join(world: &mut World, worker: u16, user: &str) -> usize {
    let c = world.open(worker, Some(user));
    world.ask(c, &Ask::Join(ROOM.to_owned()));
    world.settle();
    c
}

fn numbers(json: &Value) -> (u64, u64) {
    (json["count"].as_u64().unwrap(), json["membership"].as_u64().unwrap())
}

fn users(json: &Value) -> Vec<&str> {
    json["users"].as_array().unwrap().iter().map(|user| user["user"].as_str().unwrap()).collect()
}

impl Scene {
    /// A page, and these members beside it.
    fn new(rules: Rules, members: &[&str]) -> Scene {
        let secret = (0..).find(|secret: &u128| {
            let homes = rollcall::internals::presence::Homes::new(3, *secret);
            homes.of(ROOM) == 0 && homes.of("late") == LATE
        });
        let secret = secret.unwrap();
        let mut world = World::with_secret(3, rules, secret);
        let page = join(&mut world, 1, "late");
        for user in members {
            join(&mut world, 0, user);
        }
        world.inbox(page);
        Scene { world, page, seq: 0, secret }
    }

    /// The page asks, and all comes but how its own user is.
    fn who(&mut self, limit: usize, after: Option<&str>) {
        self.world.frozen[usize::from(LATE)] = true;
        let ask = Ask::Who { room: ROOM.to_owned(), limit, after: after.map(str::to_owned) };
        self.seq = self.world.ask(self.page, &ask);
        self.world.settle();
    }

    fn comes(&mut self, user: &str) -> usize {
        join(&mut self.world, 0, user)
    }

    fn goes(&mut self, c: usize) {
        self.world.close(c, Reason::Kicked);
        self.world.settle();
    }

    /// What the page was told meanwhile, and the answer.
    fn answer(&mut self) -> (Vec<Value>, Value) {
        let early = self.world.inbox(self.page);
        assert!(early.iter().all(|json| json["seq"] != self.seq), "it is not answered yet: {early:?}");
        self.world.frozen[usize::from(LATE)] = false;
        self.world.settle();
        let told = self.world.inbox(self.page);
        let answer = told.iter().find(|json| json["seq"] == self.seq).expect("an answer");
        (early, answer["body"].clone())
    }
}

#[test]
fn a_page_has_what_its_client_heard_while_it_was_made() {
    let mut scene = Scene::new(Rules::default(), &["cid", "eve"]);
    let bob = scene.comes("bob");
    scene.world.inbox(scene.page);
    scene.who(9, None);
    scene.goes(bob);
    let dan = scene.comes("dan");
    scene.goes(dan);
    scene.comes("fay");
    let (events, body) = scene.answer();
    let told: Vec<(u64, u64)> = events.iter().map(numbers).collect();
    assert_eq!(told, [(3, 5), (4, 6), (3, 7), (4, 8)]);
    assert_eq!((numbers(&body), users(&body)), ((4, 8), vec!["cid", "eve", "fay", "late"]));
    assert!(body["users"].as_array().unwrap().iter().all(|user| user["state"] == "online"), "{body}");
}

#[test]
fn a_page_grows_only_within_its_range_and_to_its_limit() {
    let mut scene = Scene::new(Rules::default(), &["bob", "fay", "gus", "joe", "kim", "zoe"]);
    // "bob" and "late" are at its ends.
    scene.who(5, Some("bob"));
    for user in ["ann", "mia", "cid"] {
        scene.comes(user);
    }
    let (_, body) = scene.answer();
    assert_eq!((numbers(&body), users(&body)), ((10, 10), vec!["cid", "fay", "gus", "joe", "kim"]));
    assert_eq!(body["next"], "kim", "what was pushed out comes on the next page");
    scene.who(5, Some("kim"));
    let (_, body) = scene.answer();
    assert_eq!((users(&body), body["next"].clone()), (vec!["late", "mia", "zoe"], json!(null)));
}

#[test]
fn a_page_that_loses_all_its_users_still_says_where_the_next_begins() {
    let mut scene = Scene::new(Rules::default(), &["zoe"]);
    let user = names_at(&scene.world, LATE, "x", 1).remove(0);
    let leaves = scene.comes(&user);
    scene.world.inbox(scene.page);
    scene.who(1, Some("late"));
    scene.goes(leaves);
    let (_, body) = scene.answer();
    assert_eq!((users(&body).len(), &body["next"]), (0, &json!(user)));
}

#[test]
fn a_user_who_left_and_came_back_is_shown_as_they_are_now() {
    let mut scene = Scene::new(Rules::default(), &[]);
    let bob = scene.comes("bob");
    scene.world.inbox(scene.page);
    scene.who(9, None);
    scene.goes(bob);
    let bob = scene.comes("bob");
    let info = Ask::Status { state: None, info: Some("7".to_owned()), ttl: None };
    scene.world.ask(bob, &info);
    scene.world.settle();
    let (_, body) = scene.answer();
    let shown = &body["users"][0];
    assert_eq!(
        (&shown["user"], &shown["state"], &shown["info"]),
        (&json!("bob"), &json!("online"), &json!(7))
    );
}

#[test]
fn a_client_that_comes_in_meanwhile_gets_a_page_no_older_than_that() {
    let mut scene = Scene::new(Rules::default(), &["bob", "eve"]);
    let world = &mut scene.world;
    // Her second tab is at a worker without members, which is told of no change.
    let eve = world.open(LATE, Some("eve"));
    world.settle();
    world.inbox(eve);
    let seq = world.ask(eve, &Ask::Who { room: ROOM.to_owned(), limit: 9, after: None });
    let lane = |from: u16, to: u16| usize::from(from) * 3 + usize::from(to);
    world.deliver(lane(LATE, 0));
    while world.mail().contains(&lane(0, LATE)) {
        world.deliver(lane(0, LATE));
    }
    // The page is listed, and some views are on their way. Another one comes; then the tab comes in, which changes nothing.
    let cid = world.open(0, Some("cid"));
    world.ask(cid, &Ask::Join(ROOM.to_owned()));
    world.ask(eve, &Ask::Join(ROOM.to_owned()));
    world.deliver(lane(LATE, 0));
    let answers: Vec<Value> = world.inbox(eve);
    assert!(answers.is_empty(), "{answers:?}");
    while world.mail().contains(&lane(0, LATE)) {
        world.deliver(lane(0, LATE));
    }
    world.settle();
    let heard = world.inbox(eve);
    let body = |seq: i64| &heard.iter().find(|json| json["seq"] == seq).unwrap()["body"];
    assert_eq!((numbers(body(seq + 1)), numbers(body(seq))), ((4, 4), (4, 4)));
    assert_eq!(users(body(seq)), ["bob", "cid", "eve", "late"]);
}

#[test]
fn a_page_that_is_never_done_is_refused_after_eight_rounds() {
    let mut scene = Scene::new(Rules::default(), &[]);
    let late = names_at(&scene.world, LATE, "x", PAGE_ROUNDS_MAX + 2);
    scene.who(99, None);
    for (round, user) in late.iter().enumerate() {
        // One comes whose view is late again: the page goes on waiting.
        scene.comes(user);
        scene.world.frozen[usize::from(LATE)] = false;
        let to_late = |lane: &usize| lane % 3 == usize::from(LATE);
        while let Some(lane) = scene.world.mail().into_iter().find(to_late) {
            scene.world.deliver(lane);
        }
        scene.world.frozen[usize::from(LATE)] = true;
        scene.world.settle();
        match scene.world.inbox(scene.page).into_iter().find(|json| json["seq"] == scene.seq) {
            None => assert!(round < PAGE_ROUNDS_MAX, "round {round}"),
            Some(answer) => {
                assert_eq!((round, &answer["body"]["code"]), (PAGE_ROUNDS_MAX, &json!(503)), "{answer}");
                return;
            }
        }
    }
    panic!("it is not answered");
}

#[test]
fn a_page_behind_which_a_big_room_lost_count_is_asked_for_anew() {
    let rules = Rules { big_room: 3, big_room_names: 12, ..Rules::default() };
    let mut scene = Scene::new(rules, &["ann", "bob", "cid"]);
    scene.world.pass(200);
    scene.world.settle();
    scene.world.inbox(scene.page);
    scene.who(9, None);
    for user in ["dan", "eve", "fay"] {
        scene.comes(user);
    }
    scene.world.pass(100);
    scene.world.settle();
    let (events, body) = scene.answer();
    let lost: Vec<&Value> = events.iter().filter(|json| json["event"] == "room").collect();
    assert_eq!((lost.len(), &lost[0]["list"], lost[0].get("joined")), (1, &json!(false), None), "{events:?}");
    assert_eq!((numbers(&body), users(&body).len()), (numbers(lost[0]), 7));
}

#[test]
fn names_for_more_pages_than_an_event_may_change_make_the_rest_be_asked_for_anew() {
    let rules = Rules { big_room: 2, commands_per_second: 1_000_000, ..Rules::default() };
    let mut scene = Scene::new(rules, &["ann", "bob"]);
    scene.world.pass(100);
    scene.world.settle();
    (0..REPLIES_PER_CONNECTION_MAX).for_each(|_| scene.who(9, None));
    let names = 1 + PAGE_CHANGES_MAX / (REPLIES_PER_CONNECTION_MAX - 1);
    for n in 0..names {
        let c = scene.comes(&format!("n{n}"));
        scene.goes(c);
    }
    scene.comes("cid");
    scene.world.pass(100);
    scene.world.settle();
    scene.world.frozen[usize::from(LATE)] = false;
    scene.world.settle();
    let heard = scene.world.inbox(scene.page);
    let last = heard.iter().rfind(|json| json["event"] == "room").unwrap();
    assert_eq!(last["left"].as_array().unwrap().len(), names);
    let pages: Vec<&Value> = heard.iter().map(|json| &json["body"]).filter(|body| body.is_object()).collect();
    assert_eq!(pages.len(), REPLIES_PER_CONNECTION_MAX);
    for page in pages {
        assert_eq!((numbers(page), users(page)), (numbers(last), vec!["ann", "bob", "cid", "late"]));
    }
}

#[test]
fn positions_count_users_and_begin_anew_with_the_room() {
    let mut world = World::new(3, Rules::default());
    let a = join(&mut world, 0, "ann");
    let place = |world: &mut World, c: usize, ask: Ask| {
        world.inbox(c);
        let seq = world.ask(c, &ask);
        world.settle();
        let heard = world.inbox(c);
        let body = heard.into_iter().find(|json| json["seq"] == seq).unwrap()["body"].clone();
        numbers(&body)
    };
    let (enter, go) = (Ask::Join(ROOM.to_owned()), Ask::Leave(ROOM.to_owned()));
    assert_eq!(place(&mut world, a, enter.clone()), (1, 1), "again");
    let tab = join(&mut world, 1, "ann");
    assert_eq!(place(&mut world, tab, go.clone()), (1, 1), "a second tab changes nothing");
    let b = join(&mut world, 2, "bob");
    assert_eq!(place(&mut world, b, go.clone()), (1, 3));
    let ticket = world.order(1, Order::Members { room: ROOM.into(), limit: 9, after: None });
    world.settle();
    let reply = world.replies.iter().find(|(answered, _)| *answered == ticket).map(|(_, reply)| reply);
    let Some(AdminReply::Members(page, _)) = reply else { panic!("{reply:?}") };
    assert_eq!((page.place.count, page.place.membership), (1, 3));
    assert_eq!(place(&mut world, a, go), (0, 0));
    assert_eq!(place(&mut world, a, enter), (1, 1), "another epoch");
}

#[test]
fn one_that_leaves_and_joins_in_one_go_hears_nothing_in_between() {
    let mut world = World::with_secret(3, Rules::default(), Scene::new(Rules::default(), &[]).secret);
    let (ann, mut seen) = (join(&mut world, 1, "ann"), Vec::new());
    world.inbox(ann);
    let lane = |from: usize, to: usize| from * 3 + to;
    for ask in [Ask::Join(ROOM.to_owned()), Ask::Leave(ROOM.to_owned()), Ask::Join(ROOM.to_owned())] {
        world.ask(ann, &ask);
    }
    // Its edge has ended its place: it does not hear of the first, nor may it of the second.
    let mut comes = |world: &mut World, user: &str| {
        let c = world.open(0, Some(user));
        world.ask(c, &Ask::Join(ROOM.to_owned()));
        while world.mail().contains(&lane(0, 1)) {
            world.deliver(lane(0, 1));
        }
        let events = world.inbox(ann).into_iter().filter(|json| json["event"] == "join");
        seen.extend(events.map(|json| json["user"].as_str().unwrap().to_owned()));
    };
    comes(&mut world, "u1");
    world.deliver(lane(1, 0));
    comes(&mut world, "u2");
    world.settle();
    comes(&mut world, "u3");
    assert_eq!(seen, ["u3"]);
    world.rest(500);
}
