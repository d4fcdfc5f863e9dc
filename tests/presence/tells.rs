//! What users are told, by whom they are told it, and what came of it: the answer to a `tell` is what was done.

use std::collections::BTreeMap;

use rollcall::internals::presence::admin::{AdminReply, AdminRequest};
use rollcall::internals::presence::{Data, Event, Reason, Rules, SharedEvent};
use serde_json::Value;

use super::ask::Ask as Command;
use super::ears::Ears;
use super::model::{Judge, Model};
use super::rig::{World, refusal_code, written};

/// What was told and is not answered: to how many connections, and how many had no room, by what was said.
#[derive(Debug, Default)]
pub(super) struct Tells(BTreeMap<String, (u64, u64)>);

impl Tells {
    /// A `tell` is answered.
    pub(super) fn answered(&mut self, ears: &Ears, text: &str, model: &Model, judge: &mut Judge) {
        let json: Value = serde_json::from_str(text).unwrap();
        let Some((user, data)) = json["seq"].as_i64().and_then(|seq| ears.telling(seq)) else { return };
        let (to, without) = self.0.remove(data).unwrap_or_default();
        let is_right = match json["body"]["code"].as_u64() {
            // What an edge said of it may be lost.
            Some(200) if ears.lossy => json["body"]["delivered"].as_u64() <= Some(to),
            Some(503) if ears.lossy => true,
            Some(200) => to > 0 && json["body"]["delivered"] == to,
            // To one who is invisible it comes, and is answered as if it had not.
            Some(403 | 404) => (to, without) == (0, 0) || model.was_unseen(user),
            // A home or an edge may not have been reached.
            _ => to == 0,
        };
        judge.holds("delivered_is_delivered", is_right, || {
            format!("{}: told {to}, {without} had no room: {text}", ears.name)
        });
    }

    /// The same, from outside. What was not answered in time may come yet.
    pub(super) fn replied(&mut self, ask: &AdminRequest, reply: &AdminReply, lossy: bool, judge: &mut Judge) {
        let AdminRequest::Tell { data, .. } = ask else { return };
        let (to, _) = self.0.remove(text(data)).unwrap_or_default();
        let is_right = match reply {
            AdminReply::Told(delivered) if lossy => *delivered as u64 <= to,
            AdminReply::Told(delivered) => *delivered as u64 == to,
            _ => true,
        };
        judge.holds("delivered_is_delivered", is_right, || format!("told {to}: {ask:?}: {reply:?}"));
    }
}

fn text(data: &Data) -> &str {
    std::str::from_utf8(data.as_bytes()).expect("JSON")
}

impl World {
    /// A user's client is told something: to how many that comes, and how many have no room for it.
    pub(super) fn tell(&mut self, session: u64, event: &SharedEvent) -> (usize, usize) {
        let Event::Told { data, .. } = event.event() else { panic!("{event:?}") };
        let (to, without) = self.tells.0.entry(text(data).to_owned()).or_default();
        if self.clients[session as usize].stalled {
            *without += 1;
            return (0, 1);
        }
        *to += 1;
        self.hear(session, written(event));
        (1, 0)
    }
}

fn tell(user: &str, number: usize) -> Command {
    Command::Tell { user: user.to_owned(), data: number.to_string() }
}

/// The body of the answer to a `tell` of a number.
fn answer(world: &mut World, c: usize, user: &str, number: usize) -> Value {
    world.inbox(c);
    let seq = world.ask(c, &tell(user, number));
    world.settle();
    let answers = world.inbox(c).into_iter().filter(|json| json["seq"] == seq);
    let [answer] = answers.collect::<Vec<_>>().try_into().unwrap();
    answer["body"].clone()
}

#[test]
fn who_tells_one_that_takes_nothing_is_refused_and_nobody_is_closed() {
    for (workers, devices) in [(1, 1), (1, 3), (3, 1), (3, 3)] {
        let mut world = World::new(workers, Rules::default());
        let eve = world.open(0, Some("eve"));
        let anna: Vec<usize> = (0..devices).map(|n| world.open(n % workers, Some("anna"))).collect();
        world.settle();
        anna.iter().for_each(|c| world.clients[*c].stalled = true);
        let refused = answer(&mut world, eve, "anna", 1);
        assert_eq!(refused["code"], 503, "{refused}");
        assert!(refused["error"].as_str().unwrap().contains("nothing was delivered"), "{refused}");
        // Where one of several takes it, it is delivered, to that one.
        world.clients[anna[0]].stalled = false;
        assert_eq!(answer(&mut world, eve, "anna", 2)["delivered"], 1);
        anna.iter().for_each(|c| world.clients[*c].stalled = false);
        assert_eq!(answer(&mut world, eve, "anna", 3)["delivered"], devices);
        assert!(world.clients.iter().all(|peer| peer.closing.is_none()));
    }
}

#[test]
fn who_tells_from_outside_is_refused_too() {
    for devices in [1, 3] {
        let mut world = World::new(3, Rules::default());
        let anna: Vec<usize> = (0..devices).map(|n| world.open(n, Some("anna"))).collect();
        world.settle();
        anna.iter().for_each(|c| world.clients[*c].stalled = true);
        world.order(1, AdminRequest::Tell { user: "anna".into(), data: "1".into() });
        world.settle();
        let (_, reply) = world.replies.pop().unwrap();
        assert!(refusal_code(&reply) == Some(503), "{reply:?}");
    }
}

#[test]
fn a_worker_whose_mailbox_is_full_is_answered_for_at_once() {
    let mut world = World::new(3, Rules::default());
    let home = world.homes.of("anna");
    let far = (home + 1) % 3;
    let eve = world.open(home, Some("eve"));
    let (near, anna) = (world.open(home, Some("anna")), world.open(far, Some("anna")));
    world.settle();
    world.full[usize::from(far)] = true;
    assert_eq!(
        answer(&mut world, eve, "anna", 4)["delivered"],
        1,
        "what can't be posted is no part that never comes"
    );
    world.close(near, Reason::Kicked);
    world.settle();
    assert_eq!(answer(&mut world, eve, "anna", 5)["code"], 503);
    world.full[usize::from(far)] = false;
    world.settle();
    assert!(world.inbox(anna).iter().all(|json| json["event"] != "tell"), "nor is it told late");
}

#[test]
fn one_that_goes_while_it_is_told_counts_as_one_that_was_not_there() {
    let mut world = World::new(3, Rules::default());
    let home = world.homes.of("anna");
    let eve = world.open(home, Some("eve"));
    let anna = world.open((home + 1) % 3, Some("anna"));
    world.settle();
    world.inbox(eve);
    let seq = world.ask(eve, &tell("anna", 1));
    world.close(anna, Reason::Closed);
    world.settle();
    let answers = world.inbox(eve);
    assert_eq!((&answers[0]["seq"], &answers[0]["body"]["code"]), (&seq.into(), &404.into()), "{answers:?}");
}
