//! What is refused, with which code, and that a refusal changes nothing.

use rollcall::internals::limits::{
    COMMANDS_BURST_SECONDS, COMMANDS_PER_SECOND_MAX, COMMANDS_REFUSED_MAX, DATA_BYTES_MAX,
    DATA_BYTES_PER_COMMAND, INFO_BYTES_MAX, ROOMS_PER_CONNECTION_MAX, USERS_PER_COMMAND_MAX,
    WATCHES_PER_CONNECTION_MAX,
};
use rollcall::internals::presence::admin::AdminRequest as Order;
use rollcall::internals::presence::{Reason, Rules, State};

use super::ask::Ask;
use super::rig::{World, command};

/// The code that a command is answered with.
fn code(world: &mut World, c: usize, ask: &Ask) -> u64 {
    world.inbox(c);
    let seq = world.ask(c, ask);
    world.settle();
    let answers: Vec<_> = world.inbox(c).into_iter().filter(|json| json["seq"] == seq).collect();
    assert_eq!(answers.len(), 1, "{ask:?}: {answers:?}");
    answers[0]["body"]["code"].as_u64().unwrap()
}

fn room(n: usize) -> String {
    format!("r{n}")
}

fn watch(users: impl IntoIterator<Item = usize>) -> Ask {
    Ask::Watch { users: users.into_iter().map(|n| format!("u{n}")).collect(), suspect: false }
}

#[test]
fn commands_have_a_rate_and_those_who_ignore_it_are_closed() {
    for text in [r#"{"seq":-1,"cmd":"unwatch","params":{"users":[]}}"#, "what is this?"] {
        let mut world = World::new(1, Rules::default());
        let c = world.open(0, Some("ann"));
        world.inbox(c);
        let burst = COMMANDS_PER_SECOND_MAX * COMMANDS_BURST_SECONDS;
        for _ in 0..burst {
            command(&mut world.nodes[0], world.now, world.clients[c].slot, text);
        }
        let count = |world: &mut World| {
            let effects = format!("{:?}", world.nodes[0].effects());
            (effects.matches("why: TooManyCommands").count() as u32, effects.matches("Flooding").count())
        };
        assert_eq!(count(&mut world), (0, 0), "{text}");
        command(&mut world.nodes[0], world.now, world.clients[c].slot, text);
        assert_eq!(count(&mut world), (1, 0));
        world.send(c, r#"{"seq":-1,"cmd":"heartbeat"}"#);
        assert_eq!(world.inbox(c)[0]["body"]["code"], 200, "heartbeats have a budget of their own");
        world.pass(100);
        for _ in 0..COMMANDS_PER_SECOND_MAX {
            command(&mut world.nodes[0], world.now, world.clients[c].slot, text);
        }
        assert_eq!(count(&mut world), (0, 0), "a second later");
        for _ in 0..COMMANDS_REFUSED_MAX {
            command(&mut world.nodes[0], world.now, world.clients[c].slot, text);
        }
        assert_eq!(count(&mut world), (COMMANDS_REFUSED_MAX, 0));
        for _ in 0..70_000 {
            command(&mut world.nodes[0], world.now, world.clients[c].slot, text);
        }
        assert_eq!(count(&mut world).1, 1, "closed once, whatever it sends until it is");
    }
}

/// JSON of so many bytes, which says a number: nobody is told the same twice.
fn data(number: u32, len: usize) -> String {
    format!("\"{number:x<width$}\"", width = len - 2)
}

#[test]
fn data_is_bounded_on_its_own_and_the_answer_names_the_flag() {
    let mut world = World::new(3, Rules::default());
    let c = world.open(0, Some("ann"));
    assert_eq!(code(&mut world, c, &Ask::Join(room(0))), 200);
    let asks = |len: usize| {
        let tell = Ask::Tell { user: "ann".to_owned(), data: data(1, len) };
        [tell, Ask::Say { room: room(0), data: data(1, len), echo: true }]
    };
    for (len, expected) in [(DATA_BYTES_MAX, 200), (DATA_BYTES_MAX + 1, 413)] {
        for ask in asks(len) {
            assert_eq!(code(&mut world, c, &ask), expected, "{len}");
        }
    }
    let data = data(1, DATA_BYTES_MAX + 1);
    let seq = world.ask(c, &Ask::Tell { user: "ann".to_owned(), data: data.clone() });
    let answer = world.inbox(c).into_iter().find(|json| json["seq"] == seq).unwrap();
    assert!(answer["body"]["error"].as_str().unwrap().contains("--max-data"), "{answer}");
    let (data, user): (Box<str>, _) = (data.into(), "ann".into());
    for ask in [
        Order::Tell { user, data: data.clone().into() },
        Order::Say { room: room(0).into(), data: data.clone().into(), id: None },
        Order::Broadcast { data },
    ] {
        world.nodes[1].ask(world.now, 1, ask);
        let effects = format!("{:?}", world.nodes[1].effects());
        assert!(effects.contains("Refused(DataTooLong { most: 65536 })"), "{effects:.200}");
    }
}

#[test]
fn what_is_relayed_is_paid_for_by_its_bytes_and_short_lines_do_not_feel_it() {
    let mut world = World::new(1, Rules::default());
    let (c, _) = (world.open(0, Some("ann")), world.open(0, Some("bob")));
    let tells = |world: &mut World, len: usize, tries: u32| {
        let tell = |n| Ask::Tell { user: "bob".to_owned(), data: data(n, len) };
        (0..tries).filter(|n| code(world, c, &tell(*n)) == 200).count() as u32
    };
    let burst = COMMANDS_PER_SECOND_MAX * COMMANDS_BURST_SECONDS;
    assert_eq!(tells(&mut world, DATA_BYTES_PER_COMMAND, burst + 1), burst);
    world.pass(100 * COMMANDS_BURST_SECONDS);
    let commands = (DATA_BYTES_MAX / DATA_BYTES_PER_COMMAND) as u32;
    assert_eq!(tells(&mut world, DATA_BYTES_MAX, burst), burst / commands);
    world.pass(100);
    assert_eq!(
        tells(&mut world, DATA_BYTES_MAX - 1, burst),
        COMMANDS_PER_SECOND_MAX / commands,
        "a second later"
    );
}

#[test]
fn data_that_costs_more_than_may_be_sent_at_once_takes_all_of_that() {
    let mut world = World::new(1, Rules { commands_per_second: 1, ..Rules::default() });
    let c = world.open(0, Some("ann"));
    let tell = |n| Ask::Tell { user: "ann".to_owned(), data: data(n, DATA_BYTES_MAX) };
    assert_eq!([1, 2].map(|n| code(&mut world, c, &tell(n))), [200, 429]);
    world.pass(100 * COMMANDS_BURST_SECONDS);
    assert_eq!(code(&mut world, c, &tell(3)), 200);
}

#[test]
fn a_connection_is_in_so_many_rooms_and_watches_so_many() {
    let mut world = World::new(3, Rules { commands_per_second: 1_000_000, ..Rules::default() });
    let c = world.open(0, Some("ann"));
    for n in 0..ROOMS_PER_CONNECTION_MAX {
        assert_eq!(code(&mut world, c, &Ask::Join(room(n))), 200);
    }
    assert_eq!(code(&mut world, c, &Ask::Join(room(999))), 429);
    assert_eq!(code(&mut world, c, &Ask::Join(room(0))), 200, "it is in already");
    assert_eq!(code(&mut world, c, &Ask::Leave(room(0))), 200);
    assert_eq!(code(&mut world, c, &Ask::Join(room(999))), 200);

    for n in (0..WATCHES_PER_CONNECTION_MAX).step_by(USERS_PER_COMMAND_MAX) {
        assert_eq!(code(&mut world, c, &watch(n..n + USERS_PER_COMMAND_MAX)), 200);
    }
    assert_eq!(code(&mut world, c, &watch([9_999])), 429);
    assert_eq!(code(&mut world, c, &watch(0..10)), 200, "it watches them already");
    assert_eq!(code(&mut world, c, &Ask::Unwatch(vec!["u0".to_owned()])), 200);
    assert_eq!(code(&mut world, c, &watch([9_999, 9_999])), 200);
    assert_eq!(code(&mut world, c, &watch(0..=USERS_PER_COMMAND_MAX)), 413);
    world.rest(500);
    world.close(c, Reason::Kicked);
    world.rest(500);
    world.check_empty();
}

#[test]
fn names_and_infos_have_their_lengths() {
    let mut world = World::new(3, Rules::default());
    let c = world.open(0, Some("ann"));
    for (name, expected) in [
        ("x".repeat(128), 200),
        ("ä".repeat(64), 200),
        ("ä".repeat(65), 400),
        ("x".repeat(129), 400),
        ("a*".to_owned(), 400),
        (String::new(), 400),
    ] {
        assert_eq!(code(&mut world, c, &Ask::Join(name.clone())), expected, "{name}");
        assert_eq!(code(&mut world, c, &Ask::Presence(vec![name])), expected);
    }
    for (len, expected) in [(INFO_BYTES_MAX, 200), (INFO_BYTES_MAX + 1, 413)] {
        let info = Some(format!("\"{}\"", "x".repeat(len - 2)));
        assert_eq!(code(&mut world, c, &Ask::Status { state: None, info, ttl: None }), expected);
    }
}

#[test]
fn strangers_are_refused() {
    let mut world = World::new(3, Rules::default());
    let (nobody, ann) = (world.open(0, None), world.open(1, Some("ann")));
    let data = "1".to_owned();
    let say = Ask::Say { room: room(1), data: data.clone(), echo: true };
    let tell = |user: &str| Ask::Tell { user: user.to_owned(), data: "1".to_owned() };
    let status = Ask::Status { state: None, info: Some(data), ttl: None };
    for ask in [Ask::Join(room(1)), Ask::Leave(room(1)), say.clone(), tell("ann"), status] {
        assert_eq!(code(&mut world, nobody, &ask), 401, "{ask:?}");
    }
    assert_eq!(code(&mut world, nobody, &watch([1])), 200);
    assert_eq!(code(&mut world, ann, &say), 403);
    assert_eq!(code(&mut world, ann, &Ask::Leave(room(1))), 403);
    assert_eq!(code(&mut world, ann, &tell("bob")), 404);
    world.identify(nobody, "bob");
    assert!(!world.identify(nobody, "carl"), "a named connection is never renamed");
    world.settle();
    assert_eq!(code(&mut world, ann, &tell("bob")), 200);
    world.close(nobody, Reason::Closed);
    world.settle();
    assert_eq!(code(&mut world, ann, &tell("bob")), 404, "nobody is there to read it, grace or not");
}

#[test]
fn a_full_home_refuses_and_nothing_has_happened() {
    let mut world = World::new(3, Rules::default());
    let home = world.homes.of("room");
    let c = world.open((home + 1) % 3, Some("ann"));
    world.settle();
    world.full[usize::from(home)] = true;
    let say = Ask::Say { room: "room".to_owned(), data: "1".to_owned(), echo: true };
    let seqs = [world.ask(c, &Ask::Join("room".to_owned())), world.ask(c, &say)];
    let codes: Vec<_> =
        world.inbox(c).into_iter().skip(1).map(|json| json["body"]["code"].as_u64()).collect();
    assert_eq!((seqs.len(), codes), (2, vec![Some(503), Some(403)]));
    world.full[usize::from(home)] = false;
    assert_eq!(code(&mut world, c, &Ask::Join("room".to_owned())), 200);

    // Of three users two can be asked: the watch fails as a whole, and leaves no home thinking that it holds.
    let users: Vec<String> = (0..100).map(|n| format!("u{n}")).collect();
    let at = |worker: u16| users.iter().find(|user| world.homes.of(user) == worker).unwrap().clone();
    let three = [at(0), at(1), at(2)];
    world.full[usize::from(home)] = true;
    let ask = Ask::Watch { users: three.to_vec(), suspect: false };
    assert_eq!(code(&mut world, c, &ask), 503);
    world.full[usize::from(home)] = false;
    world.settle();
    for user in &three {
        let user = world.open(0, Some(user));
        world.settle();
        world.close(user, Reason::Kicked);
    }
    world.rest(500);
    assert!(world.inbox(c).iter().all(|json| json["event"] != "presence"));
    world.close(c, Reason::Kicked);
    world.rest(500);
    world.check_empty();
}

#[test]
fn a_watch_whose_second_kind_is_refused_goes_on_as_the_first() {
    let mut world = World::new(3, Rules::default());
    let home = world.homes.of("ann");
    let c = world.open((home + 1) % 3, None);
    let ask = |suspect| Ask::Watch { users: vec!["ann".to_owned()], suspect };
    assert_eq!(code(&mut world, c, &ask(false)), 200);
    world.full[usize::from(home)] = true;
    assert_eq!(code(&mut world, c, &ask(true)), 503);
    world.full[usize::from(home)] = false;
    let ann = world.open(home, Some("ann"));
    world.suspect(ann, true);
    world.settle();
    let states: Vec<_> =
        world.inbox(c).iter().map(|json| json["state"].as_str().unwrap().to_owned()).collect();
    assert_eq!(states, ["online"]);
}

#[test]
fn where_memory_is_short_nothing_grows_and_all_else_goes_on() {
    let mut world = World::new(1, Rules::default());
    let c = world.open(0, Some("ann"));
    let growing = [
        Ask::Join(room(1)),
        watch([1]),
        Ask::Status { state: None, info: Some(r#"{"a":1}"#.into()), ttl: None },
    ];
    let others = [
        Ask::Status { state: Some(State::Away), info: None, ttl: None },
        Ask::Presence(vec!["u1".into()]),
        Ask::Heartbeat,
    ];
    assert_eq!(code(&mut world, c, &Ask::Join("hall".into())), 200);
    world.nodes[0].set_scarce(true);
    for ask in &growing {
        world.inbox(c);
        // Past the model, which takes what is asked for done.
        world.send(c, &ask.text(-1));
        world.settle();
        assert_eq!(world.inbox(c)[0]["body"]["code"], 503, "{ask:?}");
    }
    assert_eq!(others.each_ref().map(|ask| code(&mut world, c, ask)), [200; 3]);
    let bring = |joins| Order::ForceJoin { user: "ann".into(), room: "hall".into(), joins };
    world.nodes[0].ask(world.now, 1, bring(true));
    let effects = format!("{:?}", world.nodes[0].effects());
    assert!(effects.contains("Refused(Scarce)"), "{effects}");
    let told = |world: &mut World, order| {
        world.order(0, order);
        world.settle();
        format!("{:?}", world.replies.pop())
    };
    assert!(told(&mut world, bring(false)).contains("Forced(1"), "who goes out makes nothing grow");
    world.nodes[0].set_scarce(false);
    assert!(told(&mut world, bring(true)).contains("Forced(1"));
    assert_eq!(growing.each_ref().map(|ask| code(&mut world, c, ask)), [200; 3]);
}
