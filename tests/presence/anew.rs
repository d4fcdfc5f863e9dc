//! Workers that are started anew while homes of others know clients still that were there before: what these are sent reaches nobody
//! who came since.

use rollcall::internals::presence::admin::AdminRequest;
use rollcall::internals::presence::{Name, Node, Rules};
use rollcall::internals::time::Now;

use super::clock::{FIRST, UNIX_MILLIS};
use super::rig::command;
use super::server::{Server, names};

const NOW: Now = Now { tick: FIRST, micros: 0, unix_millis: UNIX_MILLIS };
/// The sessions of the one who was there, of the same user at home, and of the one who comes.
const WAS: u64 = 1;
const HOME: u64 = 2;
const COMES: u64 = 3;

/// A server of two workers, both of whose users have their home at the first. One of them is there, and at the other worker.
fn server() -> (Server, u32, [Name; 2]) {
    let mut server = Server::new(2, 7, Rules::default(), NOW);
    let homes = server.homes;
    let at_home: Vec<Name> = names("u", 50).into_iter().filter(|user| homes.of(user) == 0).collect();
    let [ann, eve] = [0, 1].map(|n| at_home[n].clone());
    server.nodes[1].set_incarnation(1);
    server.nodes[1].open(NOW, WAS, Some(ann.clone()), false);
    let here = server.nodes[0].open(NOW, HOME, Some(ann.clone()), false);
    server.settle();
    assert_eq!(server.nodes[0].users().view(&ann, NOW).connections, 2);
    (server, here, [ann, eve])
}

/// The second worker is started anew, and somebody comes to where the other one was. Returns the slot.
fn start_anew(server: &mut Server, user: &Name) -> u32 {
    server.nodes[1] = Node::new(1, server.homes, Rules::default(), NOW);
    server.nodes[1].set_incarnation(2);
    server.nodes[1].lose_homes(NOW);
    let slot = server.nodes[1].open(NOW, COMES, Some(user.clone()), false);
    assert_eq!(slot, 0, "the slot that the other one had");
    slot
}

fn disconnect(user: &Name) -> AdminRequest {
    AdminRequest::Disconnect { user: user.clone(), seconds: None, reason: "out".into() }
}

#[test]
fn one_whose_coming_was_not_heard_of_is_not_sent_away_for_another_user_who_was_kicked() {
    let (mut server, _, [ann, eve]) = server();
    server.nodes[0].ask(NOW, 1, disconnect(&ann));
    drop(server.nodes[0].effects());
    assert_eq!(server.nodes[0].users().kicked(), 1, "the order was lost");
    let slot = start_anew(&mut server, &eve);
    drop(server.nodes[1].effects());
    assert_eq!(server.nodes[0].users().view(&eve, NOW).connections, 0, "that it came was lost");
    server.nodes[1].announce(NOW, 0);
    server.nodes[0].announce(NOW, 1);
    server.settle();
    (0..3).for_each(|_| server.pass(1));
    assert!(server.nodes[1].edge().announced(slot).is_some(), "sent away");
    let now = server.now;
    let of = |user: &Name| server.nodes[0].users().view(user, now).connections;
    assert_eq!((of(&ann), of(&eve), server.nodes[0].users().kicked()), (0, 1, 0));
}

#[test]
fn nothing_that_is_for_one_who_was_there_reaches_one_who_comes() {
    let (mut server, here, [ann, eve]) = server();
    let slot = start_anew(&mut server, &eve);
    // All of this before anybody has said anew who is there.
    server.settle();
    let tell = format!(r#"{{"cmd":"tell","seq":1,"params":{{"user":"{ann}","data":"for ann"}}}}"#);
    command(&mut server.nodes[0], NOW, here, &tell);
    server.settle();
    assert_eq!(server.heard.pop().unwrap().1, r#"{"seq":1,"body":{"code":200,"delivered":1}}"#);
    let room = names("r", 50).into_iter().find(|room| server.homes.of(room) == 0).unwrap();
    let brings = AdminRequest::ForceJoin { user: ann.clone(), room: room.clone(), joins: true };
    server.nodes[0].ask(NOW, 2, brings);
    command(&mut server.nodes[0], NOW, here, r#"{"cmd":"status","params":{"state":"invisible"}}"#);
    server.settle();
    assert!(server.nodes[0].users().view(&ann, NOW).unseen > 0);
    let is = server.nodes[1].edge().announced(slot).expect("it is here");
    assert!(!is.hides, "another one is invisible");
    assert_eq!(server.nodes[1].edge().hears_in(slot, &room), None, "another one was brought there");
    server.nodes[0].ask(NOW, 3, disconnect(&ann));
    server.settle();
    assert!(server.nodes[1].edge().announced(slot).is_some(), "another one was sent away");
    let heard: Vec<_> = server.heard.iter().filter(|(session, _)| *session == COMES).collect();
    assert!(heard.is_empty(), "{heard:?}");
    assert_eq!(server.nodes[0].users().view(&eve, NOW).connections, 1);
}
