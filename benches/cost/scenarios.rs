//! What is measured: each scenario prepares its connections, warms up, and then does so many operations with the worker's
//! turns counted.

use std::time::Duration;

use rollcall::internals::wire::close::{Close, CloseCode};
use rollcall::internals::wire::frame::Opcode;

use super::world::{Client, World, masked, request};

/// A scenario: its name, what one operation of it is, and how it is done. `rounds` bounds how often; it returns how many
/// operations were counted.
pub(super) struct Scenario {
    pub(super) name: &'static str,
    pub(super) what: &'static str,
    pub(super) run: fn(&mut World, usize) -> u64,
}

/// All of them, as the figures list them.
pub(super) const SCENARIOS: [Scenario; 9] = [
    Scenario {
        name: "echo-20",
        what: "a message of 20 B comes back; 200 connections are ready together",
        run: |world, rounds| echo(world, rounds, 200, 20, 1),
    },
    Scenario {
        name: "echo-1k-text",
        what: "the same with 1 KiB of ASCII text",
        run: |world, rounds| echo(world, rounds, 200, 1 << 10, 1),
    },
    Scenario {
        name: "echo-16k",
        what: "the same with 16 KiB",
        run: |world, rounds| echo(world, rounds, 50, 16 << 10, 1),
    },
    Scenario {
        name: "echo-20-alone",
        what: "a message of 20 B comes back; one connection, so that each has a turn of its own",
        run: |world, rounds| echo(world, 40 * rounds, 1, 20, 1),
    },
    Scenario {
        name: "echo-20-deep",
        what: "one of 16 messages of 20 B that arrive together comes back; 200 connections",
        run: |world, rounds| echo(world, rounds, 200, 20, 16),
    },
    Scenario {
        name: "fan-out",
        what: "a member of a room of 200 gets 20 B that another says",
        run: |world, rounds| chat(world, rounds, 200, 1),
    },
    Scenario {
        name: "chat",
        what: "a member of a room of 50 gets 20 B; all of them speak in each turn",
        run: |world, rounds| chat(world, rounds, 50, 50),
    },
    Scenario { name: "churn", what: "connect, upgrade, close; 100 connections together", run: churn },
    Scenario { name: "heartbeat", what: "an idle connection gets its Ping and answers it", run: heartbeat },
];

/// Members that join a room together.
const JOINING: usize = 25;
/// Rounds before those that count.
const WARM_UP: usize = 3;

fn echo(world: &mut World, rounds: usize, connections: usize, size: usize, depth: usize) -> u64 {
    let mut clients = world.open(connections, |_| "/echo".to_owned());
    let opcode = if size == 1 << 10 { Opcode::Text } else { Opcode::Binary };
    let messages = masked(opcode, &vec![b'e'; size]).repeat(depth);
    let mut round = |world: &mut World| {
        world.until(
            |counters| counters.messages_sent.get(),
            connections * depth,
            || clients.iter_mut().for_each(|client| client.send(&messages)),
        );
        clients.iter_mut().for_each(Client::swallow);
    };
    (0..WARM_UP).for_each(|_| round(world));
    world.counted(|world| (0..rounds).for_each(|_| round(world)));
    (rounds * connections * depth) as u64
}

fn chat(world: &mut World, rounds: usize, members: usize, speakers: usize) -> u64 {
    let mut clients = world.open(members, |i| format!("/ws?user=user-{i}"));
    let join = masked(Opcode::Text, br#"{"seq":1,"cmd":"join","params":{"room":"lobby"}}"#);
    for some in 0..members.div_ceil(JOINING) {
        let joining = clients.iter_mut().skip(some * JOINING).take(JOINING);
        joining.for_each(|client| client.send(&join));
        for _ in 0..3 {
            world.turn();
        }
        clients.iter_mut().for_each(Client::swallow);
    }
    let say = br#"{"seq":2,"cmd":"say","params":{"room":"lobby","data":"eeeeeeeeeeeeeeeeee"}}"#;
    let say = masked(Opcode::Text, say);
    let mut round = |world: &mut World| {
        // Each gets what each says, and each speaker an answer.
        world.until(
            |counters| counters.messages_sent.get(),
            speakers * members + speakers,
            || clients[..speakers].iter_mut().for_each(|client| client.send(&say)),
        );
        clients.iter_mut().for_each(Client::swallow);
        world.advance(Duration::from_millis(10));
    };
    (0..WARM_UP).for_each(|_| round(world));
    world.counted(|world| (0..rounds).for_each(|_| round(world)));
    (rounds * members * speakers) as u64
}

fn churn(world: &mut World, rounds: usize) -> u64 {
    const TOGETHER: usize = 100;
    let request = request("/echo");
    let (payload, len) = Close::new(CloseCode(1000), "").payload();
    let close = masked(Opcode::Close, &payload[..len]);
    let mut clients = Vec::new();
    let mut round = |world: &mut World| {
        clients.clear();
        world.dial(TOGETHER, &mut clients);
        // They are taken in before they say anything, as over any network.
        let accepted = world.counters().accepts.get();
        world.turn_until(|counters| counters.accepts.get(), accepted, TOGETHER as u64);
        world.until(
            |counters| counters.upgrades.get(),
            TOGETHER,
            || clients.iter_mut().for_each(|client| client.send(request.as_bytes())),
        );
        clients.iter_mut().for_each(Client::swallow);
        world.until(
            |counters| counters.accepts.get() - counters.connections.get(),
            TOGETHER,
            || clients.iter_mut().for_each(|client| client.send(&close)),
        );
        clients.iter_mut().for_each(Client::swallow);
    };
    (0..WARM_UP).for_each(|_| round(world));
    world.counted(|world| (0..rounds).for_each(|_| round(world)));
    (rounds * TOGETHER) as u64
}

fn heartbeat(world: &mut World, rounds: usize) -> u64 {
    const IDLE: usize = 100;
    // Some two Pings for each step.
    const STEP: Duration = Duration::from_millis(500);
    let mut clients = world.open(IDLE, |_| "/echo".to_owned());
    let mut pass = |world: &mut World, pongs: u64| {
        let before = world.counters().pongs_received.get();
        while world.counters().pongs_received.get() - before < pongs {
            world.advance(STEP);
            world.turn();
            let answered: usize = clients.iter_mut().map(Client::pong).sum();
            if answered > 0 {
                world.turn();
            }
        }
        world.counters().pongs_received.get() - before
    };
    pass(world, 2 * IDLE as u64);
    let mut beats = 0;
    world.counted(|world| beats = pass(world, (rounds * 50) as u64));
    beats
}
