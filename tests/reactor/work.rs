//! Work is paid for: what one connection asks for is served in shares, and those that ask for little come first.

use rollcall::internals::limits::{CONNECTION_UNITS_PER_TURN, HEARD_UNITS_PER_TURN, OVERTIME_UNITS_PER_TURN};
use rollcall::internals::reactor::counters::Deferred;
use rollcall::internals::wire::frame::Opcode;

use super::kit::{Stage, Told, config, masked, number};

const SHARE: usize = CONNECTION_UNITS_PER_TURN as usize;

/// What a quiet client waits for at most between two services, in units.
const WAIT_MAX: usize = 50_000;

fn text(text: &str) -> Vec<u8> {
    masked(Opcode::Text, text.as_bytes())
}

/// The messages that the service was told of since the last time.
fn messages(stage: &mut Stage) -> Vec<String> {
    let message = |told| match told {
        Told::Message(payload) => Some(String::from_utf8(payload).unwrap()),
        _ => None,
    };
    stage.told().into_iter().filter_map(message).collect()
}

fn requests(stage: &mut Stage) -> usize {
    stage.told().iter().filter(|told| matches!(told, Told::Request(..))).count()
}

fn deferred(stage: &Stage, kind: Deferred) -> u64 {
    stage.shared.workers()[0].counters.deferred[kind as usize].get()
}

#[test]
fn short_frames_of_one_connection_are_served_in_shares_and_in_order() {
    const FRAMES: usize = 8_000;
    let mut stage = Stage::new(&config());
    let (flood, other) = (stage.open(), stage.open());
    stage.told();
    let all: Vec<u8> = (0..FRAMES).flat_map(|n| text(&n.to_string())).collect();
    stage.script.arrive(flood, &all);
    let mut served = Vec::new();
    while served.len() < FRAMES {
        stage.script.arrive(other, &text("me too"));
        stage.worker.turn().unwrap();
        let (quiet, flooded): (Vec<_>, Vec<_>) =
            messages(&mut stage).into_iter().partition(|message| message == "me too");
        assert_eq!(quiet.len(), 1, "served in every turn");
        assert!(!flooded.is_empty() && flooded.len() <= 4 * SHARE, "{} in a turn", flooded.len());
        served.extend(flooded);
    }
    assert!(served.iter().enumerate().all(|(n, message)| *message == n.to_string()));
    assert!(deferred(&stage, Deferred::Input) >= (FRAMES / (4 * SHARE) - 1) as u64);
    stage.settle();
    assert_eq!(stage.worker.held_bytes(), 0);
}

#[test]
fn pipelined_requests_are_served_in_shares_and_all_of_them_before_the_end() {
    const REQUESTS: usize = 1_000;
    let mut stage = Stage::new(&config());
    let (flood, other) = (stage.script.connect(), stage.open());
    stage.told();
    stage.script.arrive(flood, &b"HEAD /a HTTP/1.1\r\nHost: a\r\n\r\n".repeat(REQUESTS));
    stage.script.end(flood);
    let mut served = 0;
    while served < REQUESTS {
        stage.script.arrive(other, &text("me too"));
        stage.worker.turn().unwrap();
        let told = stage.told();
        let now = told.iter().filter(|told| matches!(told, Told::Request(..))).count();
        assert_eq!(told.len(), now + 1, "and one message");
        assert!(now > 0 && now <= SHARE / 4, "{now} in a turn");
        served += now;
    }
    stage.settle();
    let answers = String::from_utf8(stage.script.written(flood)).unwrap();
    assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), REQUESTS);
    assert!(stage.script.is_closed(flood));
}

#[test]
fn what_a_service_charges_is_paid_by_the_connection_that_asked() {
    let mut stage = Stage::new(&config());
    let flood = stage.open();
    stage.told();
    stage.script.arrive(flood, &text("cost 100").repeat(23));
    let per_turn: Vec<usize> = (0..6)
        .map(|_| {
            stage.worker.turn().unwrap();
            messages(&mut stage).len()
        })
        .collect();
    assert_eq!(per_turn, [5, 5, 5, 5, 3, 0]);
    let http = stage.script.connect();
    stage.script.arrive(http, &b"GET /cost/200 HTTP/1.1\r\nHost: a\r\n\r\n".repeat(4));
    let per_turn = [(); 3].map(|()| {
        stage.worker.turn().unwrap();
        requests(&mut stage)
    });
    assert_eq!(per_turn, [0, 3, 1], "accepted in the first");
}

#[test]
fn who_was_served_far_more_than_a_share_comes_behind_who_was_not() {
    let mut stage = Stage::new(&config());
    let (heavy, light) = (stage.open(), stage.open());
    stage.told();
    let mut served = [0, 0];
    for _ in 0..100 {
        stage.script.arrive(heavy, &text("cost 5000"));
        stage.script.arrive(light, &text("cost 499"));
        stage.worker.turn().unwrap();
        for message in messages(&mut stage) {
            served[usize::from(message == "cost 499")] += 1;
        }
    }
    assert_eq!(served, [10, 100], "one in ten: each was ten shares");
}

#[test]
fn connections_that_are_ready_are_heard_in_the_order_they_came_though_a_turn_is_not_enough() {
    const CROWD: usize = 100;
    let mut stage = Stage::new(&config());
    let ids: Vec<usize> = (0..CROWD).map(|_| stage.open()).collect();
    stage.told();
    ids.iter().for_each(|id| stage.script.arrive(*id, &text("cost 499")));
    let share = HEARD_UNITS_PER_TURN as usize / SHARE;
    let per_turn = [(); 4].map(|()| {
        stage.worker.turn().unwrap();
        messages(&mut stage).len()
    });
    assert_eq!(per_turn, [share, share, CROWD - 2 * share, 0]);
    assert_eq!(deferred(&stage, Deferred::Ready), 2);
}

#[test]
fn a_hundred_that_want_more_are_served_in_turn() {
    const CROWD: usize = 100;
    const MESSAGES: usize = 10;
    let mut stage = Stage::new(&config());
    let ids: Vec<usize> = (0..CROWD).map(|_| stage.open()).collect();
    stage.told();
    for (n, id) in ids.iter().enumerate() {
        stage.script.arrive(*id, &text(&format!("cost {}", 600 + n)).repeat(MESSAGES));
    }
    let mut served = [0; CROWD];
    while served.iter().sum::<usize>() < CROWD * MESSAGES {
        stage.worker.turn().unwrap();
        let costs = messages(&mut stage).into_iter().map(|message| number(&message.as_bytes()[5..]));
        let costs: Vec<usize> = costs.map(|cost| cost as usize).collect();
        let units: usize = costs.iter().sum();
        let most = (HEARD_UNITS_PER_TURN + OVERTIME_UNITS_PER_TURN) as usize + 2 * (600 + CROWD);
        assert!(units > 0 && units <= most, "{units} in a turn");
        costs.iter().for_each(|cost| served[cost - 600] += 1);
        let (least, most) = (served.iter().min().unwrap(), served.iter().max().unwrap());
        assert!(most - least <= 2, "{served:?}");
    }
}

/// What an offender sends, as often as it is read.
#[derive(Clone, Copy, Debug)]
enum Offence {
    Frames,
    Requests,
    /// Messages that cost so much.
    Costs(u32),
}

impl Offence {
    fn bytes(self) -> Vec<u8> {
        match self {
            Offence::Frames => text("").repeat(20_000),
            Offence::Requests => b"GET /cost/60 HTTP/1.1\r\nHost: a\r\n\r\n".repeat(1_000),
            Offence::Costs(units) => text(&format!("cost {units}")).repeat(20),
        }
    }

    /// What the service was told has cost so many quarters of a unit, or a little more.
    fn quarters(told: &Told) -> usize {
        match told {
            Told::Request(..) => 4 * 64,
            Told::Message(payload) if payload.starts_with(b"cost ") => 4 * number(&payload[5..]) as usize,
            _ => 1,
        }
    }
}

#[test]
fn a_quiet_client_waits_for_so_much_work_and_not_for_more() {
    let offences = [Offence::Frames, Offence::Requests, Offence::Costs(10), Offence::Costs(400)];
    for offence in offences {
        for offenders in [1, 100] {
            let worst = worst_wait(offence, offenders, 0);
            assert!(worst <= WAIT_MAX, "{offenders} with {offence:?}: {worst} units");
        }
    }
    // What costs many shares at once can be seen when it has been asked for once.
    for offenders in [1, 100] {
        let worst = worst_wait(Offence::Costs(8_000), offenders, offenders);
        assert!(worst <= WAIT_MAX, "{offenders}: {worst} units");
    }
}

/// The most units between two services of a quiet client, beside so many that offend, after so many turns of that.
fn worst_wait(offence: Offence, offenders: usize, after: usize) -> usize {
    let mut stage = Stage::new(&config());
    let connect = |stage: &mut Stage| match offence {
        Offence::Requests => stage.script.connect(),
        _ => stage.open(),
    };
    let ids: Vec<usize> = (0..offenders).map(|_| connect(&mut stage)).collect();
    let quiet = stage.open();
    stage.settle();
    stage.told();
    let bytes = offence.bytes();
    let (mut worst, mut since) = (0, 0);
    for turn in 0..after + 30 {
        for id in &ids {
            if stage.script.peer(*id, |peer| peer.unread()) < bytes.len() {
                stage.script.arrive(*id, &bytes);
            }
            stage.script.written(*id);
        }
        stage.script.arrive(quiet, &text("quiet"));
        stage.worker.turn().unwrap();
        for told in stage.told() {
            if told == Told::Message(b"quiet".to_vec()) {
                let waited = std::mem::take(&mut since);
                worst = worst.max(if turn < after { 0 } else { waited });
            } else {
                since += Offence::quarters(&told);
            }
        }
    }
    worst.max(since) / 4
}
