//! Any bytes as a record in its binary form: they are none, or a record that is written and read again as it was; and a home that
//! takes it over goes on, whatever it says.

use rollcall::internals::presence::{Reason, Record};

use super::messages::{World, command};

pub(super) fn run(data: &[u8]) {
    let Ok(record) = Record::from_bytes(data) else { return };
    assert_eq!(Record::from_bytes(&record.to_bytes()).as_ref(), Ok(&record));
    let mut world = World::new(3);
    for _ in 0..2 {
        let now = world.now;
        let taken = world.nodes.iter_mut().map(|node| node.import(now, record.clone(), 900));
        assert!(taken.filter(|taken| *taken).count() >= 1, "it is taken somewhere: {record:?}");
        world.settle();
    }
    world.nodes.iter_mut().for_each(|node| node.imported(world.now));
    world.open(0, Some("anna"));
    command(&mut world.nodes[0], world.now, world.clients[0].slot, r#"{"cmd":"join","params":{"room":"r"}}"#);
    world.settle();
    world.pass(500);
    world.leave(Reason::Closed);
    for (worker, node) in world.nodes.iter().enumerate() {
        let held = (node.edge().len(), node.users().present(), node.rooms().len());
        assert_eq!(held, (0, 0, 0), "worker {worker} holds clients, users, rooms");
    }
}
