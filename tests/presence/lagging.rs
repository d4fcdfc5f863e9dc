//! Rooms that wait for members who read and can't keep up, and how much a room carries.

use rollcall::limits::DATA_BYTES_MAX;
use rollcall::presence::admin::{Ask as Order, Reply};
use rollcall::presence::{Name, Reason, Rules};

use super::ask::Ask;
use super::rig::World;

impl World {
    /// A client has too much queued of what is said in a room.
    pub(super) fn lag(&mut self, c: usize, room: &str) {
        self.note(|| format!("c{c} can't keep up with {room}"));
        let (worker, slot) = (self.clients[c].worker, self.clients[c].slot);
        self.nodes[usize::from(worker)].lags(self.now, slot, &Name::from(room));
        self.after(worker);
    }

    /// It has caught up.
    pub(super) fn catch_up(&mut self, c: usize) {
        self.note(|| format!("c{c} has caught up"));
        let (worker, slot) = (self.clients[c].worker, self.clients[c].slot);
        self.nodes[usize::from(worker)].caught_up(self.now, slot);
        self.after(worker);
    }
}

fn room() -> String {
    "room".to_owned()
}

/// The code that a `say` is answered with.
fn say(world: &mut World, c: usize, data: &str) -> u64 {
    world.inbox(c);
    let seq = world.ask(c, &Ask::Say { room: room(), data: data.to_owned(), echo: false });
    world.settle();
    let answer = world.inbox(c).into_iter().find(|json| json["seq"] == seq).unwrap();
    answer["body"]["code"].as_u64().unwrap()
}

/// A server of so many workers, and three members of a room.
fn members(workers: u16) -> (World, [usize; 3]) {
    let mut world = World::new(workers, Rules::default());
    let members = ["ann", "bob", "cid"].map(|user| {
        let c = world.open(world.clients.len() as u16 % workers, Some(user));
        world.ask(c, &Ask::Join(room()));
        c
    });
    world.settle();
    (world, members)
}

#[test]
fn a_room_waits_for_a_member_until_it_has_caught_up_left_or_gone() {
    for workers in [1, 3] {
        let (mut world, [ann, bob, cid]) = members(workers);
        for end in ["catches up", "leaves", "goes"] {
            world.lag(bob, "room");
            world.lag(bob, "room");
            world.lag(cid, "room");
            world.settle();
            assert_eq!(say(&mut world, ann, "1"), 503);
            world.order(0, Order::Say { room: "room".into(), data: "1".into() });
            world.settle();
            let (_, reply) = world.replies.pop().unwrap();
            assert!(matches!(reply, Reply::Refused { code: 503, .. }), "{reply:?}");
            world.catch_up(cid);
            world.settle();
            assert_eq!(say(&mut world, ann, "1"), 503, "it waits for each of them");
            match end {
                "catches up" => world.catch_up(bob),
                "leaves" => drop(world.ask(bob, &Ask::Leave(room()))),
                _ => world.close(bob, Reason::Lost),
            }
            world.settle();
            assert_eq!(say(&mut world, ann, "1"), 200, "{end}");
            if end == "leaves" {
                // Where it no longer is nobody waits for it.
                world.lag(bob, "room");
                world.settle();
                assert_eq!(say(&mut world, ann, "1"), 200);
                world.ask(bob, &Ask::Join(room()));
                world.settle();
            }
        }
        world.rest(500);
    }
}

#[test]
fn a_room_carries_what_ten_may_say_and_refuses_the_rest() {
    let (mut world, [ann, ..]) = members(3);
    let data = format!("\"{}\"", "x".repeat(DATA_BYTES_MAX - 2));
    let codes = [(); 4].map(|()| say(&mut world, ann, &data));
    assert_eq!(codes, [200, 200, 200, 503]);
    // 20 KiB are earned in a tick.
    world.pass(1);
    assert_eq!([(); 2].map(|()| say(&mut world, ann, &data)), [200, 503]);
    assert_eq!(say(&mut world, ann, "1"), 200, "a short line still fits");
}
