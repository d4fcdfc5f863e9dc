//! Records of homes: what each brings about where it is taken over, early, late and twice; and the slices that they come in.

use rollcall::internals::limits::{GIVEN_UP_PER_TURN_MAX, LAST_SEEN_MAX};
use rollcall::internals::presence::record::{
    ConnectionRecord, Cursor, MemberRecord, PlaceRecord, Sight, UserRecord,
};
use rollcall::internals::presence::{ClientId, ClientRef, Name, Reason, Record, Rules, State};
use rollcall::internals::time::Now;
use serde_json::Value;

use super::clock::{FIRST, UNIX_MILLIS};
use super::rig::command;
use super::server::{Server, WAIT, names, say};

fn server(workers: u16) -> Server {
    let now = Now { tick: FIRST, micros: 0, unix_millis: UNIX_MILLIS };
    Server::new(workers, 7, Rules::default(), now)
}

fn member(room: &str, user: &str, epoch: u64) -> Record {
    let (room, user, places) =
        (room.into(), user.into(), vec![PlaceRecord { sight: Sight::Visible, ticks: None }]);
    let (offset, membership, told, is_seen) = (5, 3, None, true);
    Record::Member(Box::new(MemberRecord { room, epoch, offset, membership, told, user, is_seen, places }))
}

fn user(name: &str, connections: u32) -> Record {
    let connection = |slot| ConnectionRecord {
        at: ClientRef::here(0, ClientId { slot, serial: 1 }),
        away: false,
        silent: false,
        suspect: false,
        has_token: false,
        gone: None,
    };
    Record::User(Box::new(UserRecord {
        user: name.into(),
        version: 7,
        since_millis: 5,
        last_seen_millis: 6,
        reason: None,
        own: None,
        connections: (0..connections).map(connection).collect(),
        words: Vec::new(),
        rooms: Vec::new(),
        left: Vec::new(),
    }))
}

#[test]
fn a_slice_misses_nobody_who_is_there_all_the_while() {
    let mut server = server(1);
    let stay: Vec<Name> = names("stays", 200);
    let visit = |server: &mut Server, user: &str, ends: bool| {
        let slot = server.nodes[0].open(server.now, 1, Some(user.into()), false);
        command(&mut server.nodes[0], server.now, slot, r#"{"cmd":"join","params":{"room":"r"}}"#);
        if ends {
            server.nodes[0].closed(server.now, slot, Reason::Kicked, server.now.unix_millis);
        }
        server.settle();
    };
    stay.iter().for_each(|user| visit(&mut server, user, false));
    let (mut cursor, mut all, mut n) = (Some(Cursor::default()), Vec::new(), 0);
    while let Some(from) = cursor {
        let (records, next) = server.nodes[0].export(server.now, from, 3);
        all.extend(records);
        cursor = next;
        for start in ["a", "stays1", "z"] {
            n += 1;
            visit(&mut server, &format!("{start}-{n}"), n % 2 == 0);
        }
        server.pass(1);
        assert!(n < 10_000, "it comes to no end");
    }
    let of = |is_it: &dyn Fn(&Record) -> Option<Name>| {
        let mut names: Vec<Name> = all.iter().filter_map(is_it).filter(|name| stay.contains(name)).collect();
        names.sort();
        names
    };
    let mut stay_sorted = stay.clone();
    stay_sorted.sort();
    let users = of(&|record| if let Record::User(user) = record { Some(user.user.clone()) } else { None });
    let members =
        of(&|record| if let Record::Member(member) = record { Some(member.user.clone()) } else { None });
    assert_eq!(users, stay_sorted);
    assert_eq!(members, stay_sorted);
}

#[test]
fn those_who_do_not_come_back_go_a_share_at_a_time() {
    let mut server = server(1);
    for name in names("u", 3 * GIVEN_UP_PER_TURN_MAX) {
        assert!(server.nodes[0].import(server.now, user(&name, 1), WAIT));
    }
    server.nodes[0].imported(server.now);
    assert_eq!(server.nodes[0].users().present(), 3 * GIVEN_UP_PER_TURN_MAX);
    server.now.tick = server.now.tick.after(WAIT);
    for left in [2, 1, 0] {
        assert!(server.nodes[0].next_due().is_some_and(|due| server.now.tick.has_reached(due)));
        server.nodes[0].due(server.now);
        assert_eq!(server.nodes[0].users().present(), left * GIVEN_UP_PER_TURN_MAX);
    }
    let view = server.nodes[0].users().view("u0", server.now);
    assert_eq!((view.reason, view.last_seen_millis), (Some(Reason::Lost), 6));
}

#[test]
fn of_several_connections_the_one_from_the_same_address_goes_on() {
    let mut server = server(1);
    let Record::User(mut ann) = user("ann", 2) else { unreachable!() };
    // The second connection that the edge will open.
    ann.connections[0].at.client = ClientId { slot: 1, serial: 2 };
    ann.connections[0].away = true;
    ann.connections[1].at.client = ClientId { slot: 0, serial: 9 };
    server.nodes[0].import(server.now, Record::User(ann), WAIT);
    let there = server.nodes[0].open(server.now, 1, None, false);
    let second = server.nodes[0].open(server.now, 2, Some("ann".into()), false);
    assert_eq!((there, second), (0, 1));
    let states = |server: &Server| server.nodes[0].users().view("ann", server.now);
    server.nodes[0].closed(server.now, second, Reason::Kicked, 0);
    assert_eq!((states(&server).state, states(&server).connections), (State::Online, 1), "the away one went");
    server.pass(WAIT);
    assert_eq!(states(&server).state, State::Offline);
}

#[test]
fn a_room_that_has_ended_since_begins_anew_and_one_that_goes_on_is_left_alone() {
    let mut server = server(1);
    let (room, epoch) = (Name::from("r"), UNIX_MILLIS * 1_000 + 70);
    assert!(server.nodes[0].import(server.now, member("r", "ann", epoch), WAIT));
    assert_eq!(say(&mut server, &room), (epoch, 6));
    // Late, and once more.
    server.nodes[0].import(server.now, member("r", "ann", epoch), WAIT);
    server.nodes[0].import(server.now, member("r", "bob", epoch + 5), WAIT);
    assert_eq!(say(&mut server, &room), (epoch, 7));
    assert_eq!(server.nodes[0].rooms().members("r").count(), 1);
    server.pass(WAIT);
    assert_eq!(server.nodes[0].rooms().len(), 0);
    server.nodes[0].import(server.now, member("r", "ann", epoch), WAIT);
    let (after, _) = say(&mut server, &room);
    assert!(after > epoch, "{after}: offset 6 of {epoch} was said");
}

#[test]
fn who_watches_already_is_told_of_a_user_that_is_handed_over() {
    let mut server = server(1);
    let watch = server.nodes[0].open(server.now, 1, None, true);
    let text = r#"{"seq":1,"cmd":"watch","params":{"users":["ann"]}}"#;
    command(&mut server.nodes[0], server.now, watch, text);
    server.settle();
    server.heard.clear();
    for _ in 0..2 {
        server.nodes[0].import(server.now, user("ann", 1), WAIT);
    }
    server.settle();
    let [(1, told)] = &server.heard[..] else { panic!("{:?}", server.heard) };
    let told: Value = serde_json::from_str(told).unwrap();
    assert_eq!((&told["state"], &told["version"]), (&"online".into(), &7.into()));
    assert_eq!(server.nodes[0].users().view("ann", server.now).since_millis, 5);
    server.nodes[0].open(server.now, 2, Some("ann".into()), false);
    server.settle();
    assert_eq!(server.heard.len(), 1, "who comes back is no news");
}

#[test]
fn the_offline_who_went_first_make_way_first() {
    let most = LAST_SEEN_MAX;
    let mut server = server(1);
    // By name, as they are exported: who went last comes first.
    for n in 0..=most as u64 {
        let Record::User(mut one) = user(&format!("{n:07}"), 0) else { unreachable!() };
        one.version = 1_000_000 - n;
        server.nodes[0].import(server.now, Record::User(one), WAIT);
    }
    server.nodes[0].imported(server.now);
    let users = server.nodes[0].users();
    let is_known = |n: usize| users.view(&format!("{n:07}"), server.now).version > 0;
    assert_eq!((users.len(), is_known(most), is_known(most - 1), is_known(0)), (most, false, true, true));
}

#[test]
fn a_big_room_hears_that_somebody_came_or_went_meanwhile() {
    let mut server = Server::new(1, 7, Rules { big_room: 2, ..Rules::default() }, server(1).now);
    for user in ["ann", "bob", "cid"] {
        let Record::Member(mut record) = member("r", user, UNIX_MILLIS * 1_000 + 7) else { unreachable!() };
        record.told = Some(1);
        server.nodes[0].import(server.now, Record::Member(record), WAIT);
    }
    let slot = server.nodes[0].open(server.now, 1, Some("ann".into()), false);
    command(&mut server.nodes[0], server.now, slot, r#"{"cmd":"join","params":{"room":"r"}}"#);
    server.settle();
    server.heard.clear();
    (0..100).for_each(|_| server.pass(1));
    let [(1, told)] = &server.heard[..] else { panic!("{:?}", server.heard) };
    let told: Value = serde_json::from_str(told).unwrap();
    let says = [&told["since"], &told["membership"], &told["list"]];
    assert_eq!(says, [&Value::from(1), &Value::from(3), &Value::from(false)]);
}

#[test]
fn no_number_begins_below_those_that_were_given() {
    let mut server = server(1);
    let (version, epoch, serial) = (UNIX_MILLIS + 5_000, UNIX_MILLIS * 1_000 + 9_000, 70);
    for _ in 0..2 {
        server.nodes[0].import(server.now, Record::Floors { version, epoch, serial }, WAIT);
    }
    server.nodes[0].imported(server.now);
    let slot = server.nodes[0].open(server.now, 1, Some("ann".into()), false);
    command(&mut server.nodes[0], server.now, slot, r#"{"cmd":"join","params":{"room":"r"}}"#);
    server.settle();
    assert!(server.nodes[0].users().view("ann", server.now).version > version);
    assert!(say(&mut server, &"r".into()).0 > epoch);
    assert!(server.nodes[0].edge().is_here(ClientId { slot, serial: 71 }));
}
