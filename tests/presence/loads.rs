//! How much a room carries.

use rollcall::internals::limits::DATA_BYTES_MAX;
use rollcall::internals::presence::Rules;

use super::ask::Ask;
use super::rig::World;

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
