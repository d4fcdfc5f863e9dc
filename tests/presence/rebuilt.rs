//! Homes that are rebuilt while much goes on: what is known by records, what was given, who is gone for good, and how much one turn does.

use rollcall::internals::limits::SWEPT_PER_TURN_MAX;
use rollcall::internals::presence::message::{Announcement, ClientId, ReplyTo, RequestRef, WorkerRef};
use rollcall::internals::presence::{
    ClientRef, CommandRefusal, Effect, Event, Homes, Message, Name, Node, Reason, Record, Rules,
};
use rollcall::internals::time::Now;

use super::clock::{FIRST, UNIX_MILLIS};
use super::dice::Dice;
use super::rig::command;
use super::server::{Server, WAIT, names};

const NOW: Now = Now { tick: FIRST, micros: 0, unix_millis: UNIX_MILLIS };
const WATCH: &str = r#"{"cmd":"watch","seq":1,"params":{"users":["ann"]}}"#;

fn announce(node: &mut Node, what: Announcement) {
    node.mail(NOW, Message::Announce(what));
}

fn says_heard(node: &mut Node) -> bool {
    let is_heard = |effect: &Effect| {
        matches!(effect, Effect::Post { to: 1, message: Message::Announce(Announcement::Heard { .. }) })
    };
    node.effects().iter().any(is_heard)
}

#[test]
fn one_who_is_known_by_a_record_is_told_of_though_edges_have_yet_to_speak() {
    let mut server = Server::new(3, 7, Rules::default(), NOW);
    let home = server.homes.of("ann");
    let (here, there) = (usize::from((home + 1) % 3), usize::from((home + 2) % 3));
    let ann = server.nodes[here].open(NOW, 1, Some("ann".into()), false);
    let eve = server.nodes[there].open(NOW, 2, Some("eve".into()), false);
    command(&mut server.nodes[there], NOW, eve, WATCH);
    server.settle();
    let records = server.export_of(usize::from(home), &mut Dice::new(1));
    server.nodes[usize::from(home)].lose_homes(NOW);
    for record in records {
        server.nodes[usize::from(home)].import(NOW, record, WAIT);
    }
    server.nodes[here].announce(NOW, home);
    server.settle();
    server.pass(5);
    assert!(server.nodes[usize::from(home)].is_rebuilding());
    let now = server.now;
    server.nodes[here].closed(now, ann, Reason::Kicked, now.unix_millis);
    server.settle();
    server.nodes[there].announce(now, home);
    server.settle();
    server.pass(5);
    assert!(!server.nodes[usize::from(home)].is_rebuilding());
    let told: Vec<_> =
        server.heard.iter().filter(|(session, text)| *session == 2 && text.contains("offline")).collect();
    assert_eq!(told.len(), 1, "{:?}", server.heard);
}

#[test]
fn nobody_is_told_of_one_who_was_only_given_rooms() {
    let mut server = Server::new(1, 7, Rules::default(), NOW);
    server.nodes[0].lose_homes(NOW);
    server.nodes[0].import(NOW, Record::Given { user: "bob".into(), rooms: vec!["r".into()] }, WAIT);
    server.pass(5);
    assert!(!server.nodes[0].is_rebuilding());
    assert_eq!(server.nodes[0].users().view("bob", server.now).version, 0);
    assert_eq!(server.nodes[0].users().given_to("bob").len(), 1);
}

#[test]
fn a_turn_looks_at_so_many_members_whatever_rooms_they_are_in() {
    let rules = Rules { grace: 0, ..Rules::default() };
    let mut node = Node::new(0, Homes::new(2, 7), rules, NOW);
    let rooms: Vec<Name> = names("r", 60).into_iter().chain(["hidden".into()]).collect();
    let most = |room: &Name| if &**room == "hidden" { 3_000 } else { 100 };
    let reply_to = |slot| ReplyTo {
        at: ClientRef::here(1, ClientId { slot, serial: 1 }),
        request: RequestRef::Command(1),
    };
    for room in &rooms {
        for (slot, user) in (0..).zip(names("u", most(room))) {
            let (room, hides) = (room.clone(), &**room == "hidden");
            node.mail(
                NOW,
                Message::Join {
                    room,
                    user,
                    again: false,
                    visit: 1,
                    hides,
                    catchup: None,
                    reply_to: reply_to(slot),
                },
            );
            drop(node.effects());
        }
    }
    let count = |node: &Node| -> usize {
        rooms.iter().map(|room| node.rooms().members(room).count() + node.rooms().unseen(room).count()).sum()
    };
    let edge = WorkerRef::here(1);
    announce(&mut node, Announcement::Begin { edge, told: Default::default() });
    announce(&mut node, Announcement::End { edge });
    let mut left = count(&node);
    assert_eq!(left, 9_000);
    for _ in 0..100 {
        node.due(NOW);
        drop(node.effects());
        let now = count(&node);
        assert!(left - now <= SWEPT_PER_TURN_MAX + 1, "{} in one turn", left - now);
        left = now;
    }
    assert_eq!(left, 0);
}

#[test]
fn an_announcement_that_ended_before_another_one_was_due_is_not_the_one_that_is_heard() {
    let mut node = Node::new(0, Homes::new(2, 7), Rules::default(), NOW);
    let edge = WorkerRef::here(1);
    announce(&mut node, Announcement::Begin { edge, told: Default::default() });
    announce(&mut node, Announcement::End { edge });
    // The streams of the two begin anew: the other one will announce too.
    node.announce(NOW, 1);
    (0..3).for_each(|_| node.due(NOW));
    assert!(!says_heard(&mut node));
    announce(&mut node, Announcement::Begin { edge, told: Default::default() });
    announce(&mut node, Announcement::End { edge });
    (0..3).for_each(|_| node.due(NOW));
    assert!(says_heard(&mut node));
}

#[test]
fn nobody_waits_for_a_worker_that_is_gone() {
    let homes = Homes::new(2, 7);
    let mut node = Node::new(0, homes, Rules::default(), NOW);
    let eve = node.open(NOW, 1, Some("eve".into()), false);
    let away: Name = names("u", 50).into_iter().find(|user| homes.of(user) == 1).unwrap();
    let tell = format!(r#"{{"cmd":"tell","seq":4,"params":{{"user":"{away}","data":1}}}}"#);
    command(&mut node, NOW, eve, &tell);
    drop(node.effects());
    let is_refused = |node: &mut Node| {
        let is_it = |effect: &Effect| {
            matches!(effect, Effect::Send { event: Event::Refused { seq: 4, why: CommandRefusal::Busy }, .. })
        };
        node.effects().iter().filter(|effect| is_it(effect)).count()
    };
    assert_eq!(node.edge().awaiting(), 1);
    node.gone(NOW, 1);
    assert_eq!((is_refused(&mut node), node.edge().awaiting()), (1, 0));
    command(&mut node, NOW, eve, &tell);
    assert_eq!((is_refused(&mut node), node.edge().awaiting()), (1, 0));
}
