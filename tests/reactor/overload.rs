//! Too much of something: who is in stays in and is served; who is not is told when to come back.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use rollcall::internals::limits::{
    ACCEPTS_PER_TURN_MAX, DEAD_PER_TICK, DEAD_TICKS, DEAD_WAIT_TICKS, MAIL_ADMISSION_MAX,
    REFUSED_CONNECTIONS_MAX,
};
use rollcall::internals::reactor::mail::Mailboxes;
use rollcall::internals::reactor::mailbox::Mailbox;
use rollcall::internals::reactor::{
    AddressLimits, Admission, Answer, Cause, Config, ConnId, Context, Latency, Overload, RequestId, Service,
    Shared, Turned, Worker, WorkerId,
};
use rollcall::internals::time::{TICK_MILLIS, Tick};
use rollcall::internals::wire::frame::Opcode;
use rollcall::internals::wire::http::{Head, Response};
use rollcall::internals::wire::session::Kind;
use rollcall::internals::wire::upgrade::Upgrade;
use rustix::event::{EventfdFlags, eventfd};

use super::kit::{Recorder, SECOND, Stage, config, masked, seconds, upgrade_request};
use super::script::{Script, mailboxes};

/// What the server says to one more: the status, and the `Retry-After` where there is one.
fn come(stage: &mut Stage) -> (u16, Option<u64>) {
    let id = stage.script.connect();
    stage.send(id, &upgrade_request("/"));
    told(&stage.script.written(id))
}

fn told(written: &[u8]) -> (u16, Option<u64>) {
    let text = String::from_utf8_lossy(written);
    let retry = text.lines().find_map(|line| line.strip_prefix("Retry-After: "));
    (text[9..12].parse().unwrap(), retry.map(|seconds| seconds.parse().unwrap()))
}

fn counted(shared: &Shared, label: &str) -> u64 {
    let i = Overload::LABELS.iter().position(|other| *other == label).unwrap();
    shared.workers()[0].counters.short[i].get()
}

fn still_served(stage: &mut Stage, id: usize) {
    stage.send(id, &masked(Opcode::Text, b"still here"));
    assert_eq!(stage.frames(id).last().unwrap().1, b"still here");
}

#[test]
fn each_who_is_sent_away_is_told_another_time() {
    let mut stage = Stage::new(&Config { max_connections: 1, ..config() });
    let held = stage.open();
    let mut times = BTreeSet::new();
    for _ in 0..REFUSED_CONNECTIONS_MAX / 2 {
        let (status, retry) = come(&mut stage);
        assert_eq!(status, 503);
        times.insert(retry.unwrap());
    }
    assert!(times.len() > 2 && times.iter().all(|seconds| (1..=60).contains(seconds)), "{times:?}");
    assert_eq!(counted(&stage.shared, "full"), REFUSED_CONNECTIONS_MAX as u64 / 2);
    still_served(&mut stage, held);
}

#[test]
fn the_more_there_were_the_longer_they_are_asked_to_stay_away() {
    // 5,000 handshakes a second, as long as nothing is known, and half of the time is for what follows: they are back in 8 s.
    const HERD: usize = 20_000;
    let longest = |told: Vec<(u16, Option<u64>)>| {
        assert!(told.iter().all(|(status, _)| *status == 503));
        told.iter().map(|(_, retry)| retry.unwrap()).max().unwrap()
    };
    let mut stage = Stage::new(&Config { max_connections: HERD, ..config() });
    let ids: Vec<usize> = (0..HERD).map(|_| stage.open()).collect();
    let refused = longest((0..20).map(|_| come(&mut stage)).collect());
    assert!((6..=9).contains(&refused), "{refused} s");
    // And also when most of them are gone already.
    let late: Vec<usize> = (0..20).map(|_| stage.script.connect()).collect();
    stage.shared.begin_drain();
    stage.settle();
    ids.iter().for_each(|id| stage.script.end(*id));
    stage.settle();
    let refused = longest(
        late.iter()
            .map(|id| {
                stage.send(*id, &upgrade_request("/"));
                told(&stage.script.written(*id))
            })
            .collect(),
    );
    assert!((6..=9).contains(&refused), "{refused} s");
}

#[test]
fn past_the_memory_ceiling_nobody_is_let_in_and_below_it_all_are() {
    let mut stage = Stage::new(&Config { max_memory_bytes: Some(100 << 20), ..config() });
    let held = stage.open();
    stage.script.set_resident((100 << 20) + 1);
    stage.pass(seconds(2));
    still_served(&mut stage, held);
    assert_eq!((stage.shared.resident_bytes(), come(&mut stage).0), ((100 << 20) + 1, 503));
    assert_eq!(counted(&stage.shared, "memory"), 1);
    stage.script.set_resident(100 << 20);
    stage.pass(seconds(2));
    still_served(&mut stage, held);
    assert_eq!(come(&mut stage).0, 101);
}

#[test]
fn past_the_memory_ceiling_the_one_that_holds_most_ends_each_second_until_it_fits() {
    let mut stage = Stage::new(&Config { max_memory_bytes: Some(100 << 20), ..config() });
    let quiet = stage.open();
    // Two that do not read what they are owed, and one whose message never ends.
    let slow: Vec<usize> = [40_000, 60_000]
        .into_iter()
        .map(|length| {
            let id = stage.open();
            stage.script.peer(id, |peer| peer.room = 0);
            stage.send(id, &masked(Opcode::Binary, &vec![b'x'; length]));
            id
        })
        .collect();
    let half = stage.open();
    let message = masked(Opcode::Binary, &[b'x'; 50_000]);
    stage.send(half, &message[..message.len() - 1]);
    let ended = |stage: &Stage| [slow[1], half, slow[0], quiet].map(|id| stage.script.is_closed(id));
    stage.pass(seconds(3));
    assert_eq!(ended(&stage), [false; 4], "there is enough");
    stage.script.set_resident((100 << 20) + 1);
    let mut seen = Vec::new();
    for _ in 0..12 {
        stage.pass(seconds(1));
        seen.push(ended(&stage).iter().filter(|ended| **ended).count());
    }
    assert_eq!(ended(&stage), [true, true, true, false], "{seen:?}");
    assert!(seen.windows(2).all(|pair| pair[1] <= pair[0] + 1), "one a second: {seen:?}");
    let last = stage.script.written(half);
    assert!(last.windows(2).any(|bytes| bytes == 1013_u16.to_be_bytes()), "it is told why: {last:?}");
    assert_eq!(stage.worker.service().causes(), [Cause::Slow; 3]);
    assert_eq!(stage.worker.service().farewells, [1013], "the one that reads");
    still_served(&mut stage, quiet);
    // Where there is enough again, nobody else ends.
    stage.script.set_resident(100 << 20);
    stage.pass(seconds(2));
    let other = stage.open();
    stage.send(other, &message[..message.len() - 1]);
    stage.pass(seconds(3));
    assert!(!stage.script.is_closed(other));
}

#[test]
fn where_memory_is_short_half_a_request_is_answered_and_ends() {
    let mut stage = Stage::new(&Config { max_memory_bytes: Some(100 << 20), ..config() });
    let id = stage.script.connect();
    stage.send(id, b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 30000\r\n\r\n");
    stage.send(id, &[b'x'; 29_000]);
    stage.script.set_resident((100 << 20) + 1);
    for _ in 0..4 {
        stage.pass(seconds(1));
    }
    let written = String::from_utf8(stage.script.written(id)).unwrap();
    assert!(written.starts_with("HTTP/1.1 503 ") && written.contains("Retry-After: "), "{written}");
    assert!(stage.worker.held_bytes() < 16 << 10, "{} bytes are held", stage.worker.held_bytes());
}

#[test]
fn of_all_workers_connections_the_one_that_holds_most_ends_and_one_a_second() {
    let config = Config { max_memory_bytes: Some(100 << 20), ..config() };
    let shared = Arc::new(Shared::new(2, config.max_connections, config.first_tick));
    let boxes = mailboxes(2);
    let mut stages = [0, 1].map(|id| {
        let script = Script::new(config.first_tick);
        let worker = script.worker_of(WorkerId(id), &config, &shared, &boxes, Recorder::default());
        Stage { script, worker, shared: shared.clone() }
    });
    let mut held: Vec<(usize, usize, usize)> = Vec::new();
    for (worker, length) in [(0, 50_000), (0, 30_000), (1, 40_000), (1, 20_000)] {
        let id = stages[worker].open();
        let message = masked(Opcode::Binary, &vec![b'x'; length]);
        stages[worker].send(id, &message[..length]);
        held.push((length, worker, id));
    }
    stages.iter().for_each(|stage| stage.script.set_resident((100 << 20) + 1));
    let mut ended: Vec<Vec<usize>> = Vec::new();
    for _ in 0..12 {
        stages.iter_mut().for_each(|stage| stage.pass(SECOND));
        let is_told =
            |(_, worker, id): &mut (usize, usize, usize)| !stages[*worker].script.written(*id).is_empty();
        ended.push(held.extract_if(.., is_told).map(|(length, ..)| length).collect());
    }
    assert!(ended.iter().all(|ended| ended.len() <= 1), "one a second: {ended:?}");
    assert_eq!(ended.concat(), [50_000, 40_000, 30_000, 20_000]);
}

#[test]
fn at_the_last_descriptors_an_upgrade_is_refused_and_not_left_in_the_queue() {
    let mut stage = Stage::new(&config());
    let held = stage.open();
    let scarce = stage.script.connect();
    stage.script.peer(scarce, |peer| peer.scarce = true);
    stage.send(scarce, &upgrade_request("/"));
    assert_eq!(told(&stage.script.written(scarce)).0, 503);
    assert_eq!(counted(&stage.shared, "descriptors"), 1);
    assert_eq!(stage.shared.scarce_workers().count(), 1);
    still_served(&mut stage, held);
    // When one goes there is room again, though nobody has come to try.
    stage.script.end(scarce);
    stage.settle();
    assert_eq!(stage.shared.scarce_workers().count(), 0);
    assert_eq!(come(&mut stage).0, 101);
}

/// An upgrade on a connection that was kept, and the status that answers it.
fn ask_again(stage: &mut Stage, kept: usize) -> u16 {
    stage.send(kept, &upgrade_request("/"));
    told(&stage.script.written(kept)).0
}

/// A connection on which a page was asked for: a proxy keeps those for whoever comes next.
fn kept(stage: &mut Stage) -> usize {
    let id = stage.script.connect();
    stage.send(id, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(told(&stage.script.written(id)).0, 200);
    id
}

#[test]
fn a_kept_connection_that_came_while_the_server_was_full_is_let_in_when_it_is_not() {
    let mut stage = Stage::new(&Config { max_connections: 3, ..config() });
    let held: Vec<usize> = (0..3).map(|_| stage.open()).collect();
    let [first, second] = [(); 2].map(|()| kept(&mut stage));
    assert_eq!(ask_again(&mut stage, first), 503, "it still is");
    for id in [first, held[0]] {
        stage.script.end(id);
        stage.settle();
    }
    assert_eq!(stage.shared.connections(), 3);
    assert_eq!(ask_again(&mut stage, second), 101);
    assert_eq!(come(&mut stage).0, 503, "and there is no room for more than there was");
    held[1..].iter().for_each(|id| still_served(&mut stage, *id));
}

#[test]
fn one_that_came_as_one_too_many_is_not_let_in_past_the_limit_of_its_address() {
    let addresses = AddressLimits { connections: 1, handshakes: 0 };
    let mut stage = Stage::new(&Config { max_connections: 2, addresses, ..config() });
    let come_from = |stage: &mut Stage, address: &str, target: &str| {
        let id = stage.script.connect_from(address);
        stage.send(id, &upgrade_request(target));
        assert_eq!(told(&stage.script.written(id)).0, 101);
        id
    };
    come_from(&mut stage, "192.0.2.1", "/");
    let other = come_from(&mut stage, "192.0.2.2", "/");
    let kept = stage.script.connect_from("192.0.2.1");
    stage.send(kept, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(told(&stage.script.written(kept)).0, 200);
    stage.script.end(other);
    stage.settle();
    assert_eq!(ask_again(&mut stage, kept), 429, "there is room, and not for this address");
}

#[test]
fn a_kept_connection_that_came_with_the_last_descriptors_is_let_in_when_there_are_more() {
    let mut stage = Stage::new(&config());
    let held = stage.open();
    let [refused, later] = [(); 2].map(|()| {
        let id = stage.script.connect();
        stage.script.peer(id, |peer| peer.scarce = true);
        stage.send(id, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        assert_eq!(told(&stage.script.written(id)).0, 200);
        id
    });
    assert_eq!(ask_again(&mut stage, refused), 503);
    stage.script.end(held);
    stage.settle();
    assert_eq!(ask_again(&mut stage, later), 101);
}

/// Posts letters to the other worker, which takes none.
struct Poster;

impl Service for Poster {
    type Mail = ();
    type Admitted = ();

    fn admit(&mut self, _: &mut Context<'_, ()>, _: ConnId, _: &Upgrade<'_>) -> Admission {
        Admission::Accept(Default::default())
    }

    fn message(&mut self, cx: &mut Context<'_, ()>, _: ConnId, _: Kind, payload: &[u8]) {
        let letters: usize = std::str::from_utf8(payload).unwrap().parse().unwrap();
        assert!((0..letters).all(|_| cx.post(WorkerId(1), (), Latency::Now).is_ok()));
    }

    fn request(&mut self, cx: &mut Context<'_, ()>, _: RequestId, _: &Head<'_>, _: &[u8]) -> Answer {
        let short: Vec<String> = cx.shortages().map(|shortage| shortage.to_string()).collect();
        Answer::Now(Response::text(200, &short.join("; ")))
    }
}

#[test]
fn while_mail_piles_up_nobody_is_let_in() {
    let script = Script::new(config().first_tick);
    let shared = Arc::new(Shared::new(2, 100, config().first_tick));
    let bell = || eventfd(0, EventfdFlags::NONBLOCK).unwrap();
    let mailboxes: Mailboxes<()> = vec![Mailbox::new(bell()), Mailbox::new(bell())].into();
    let mut worker =
        Worker::new(WorkerId(0), &config(), shared.clone(), mailboxes.clone(), script.clone(), Poster, 1);
    let mut send = |id: usize, bytes: &[u8]| {
        script.arrive(id, bytes);
        script.settle(&mut worker);
        script.written(id)
    };
    let held = script.connect();
    assert_eq!(told(&send(held, &upgrade_request("/"))).0, 101);
    send(held, &masked(Opcode::Text, MAIL_ADMISSION_MAX.to_string().as_bytes()));
    assert_eq!(told(&send(script.connect(), &upgrade_request("/"))).0, 101, "the bound itself is all right");
    send(held, &masked(Opcode::Text, b"1"));
    assert_eq!(told(&send(script.connect(), &upgrade_request("/"))).0, 503);
    assert_eq!(counted(&shared, "mail"), 1);
    let page = send(script.connect(), b"GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    let says = format!("behind: {} letters wait for worker 1", MAIL_ADMISSION_MAX + 1);
    assert!(String::from_utf8_lossy(&page).contains(&says), "{}", page.escape_ascii());
    // The other has come round to it.
    mailboxes[1].take(&mut Default::default(), false);
    assert_eq!(told(&send(script.connect(), &upgrade_request("/"))).0, 101);
}

#[test]
fn a_mass_death_keeps_nobody_from_being_let_in() {
    let mut stage = Stage::new(&Config { max_connections: 10_000, ..config() });
    let silent: Vec<usize> = (0..4_000).map(|_| stage.open()).collect();
    // All are pinged and answer nothing; a turn before the first of them is dead.
    stage.pass(seconds(26));
    stage.script.advance(seconds(40));
    let newcomers: Vec<usize> = (0..ACCEPTS_PER_TURN_MAX).map(|_| stage.script.connect()).collect();
    for id in &newcomers {
        stage.script.arrive(*id, &upgrade_request("/"));
    }
    // Accepted in the turn that finds the first deaths, read in the next: not behind 4,000 of them.
    for _ in 0..2 {
        stage.worker.turn().unwrap();
    }
    let open = newcomers.iter().filter(|id| stage.script.written(**id).starts_with(b"HTTP/1.1 101")).count();
    assert_eq!(open, newcomers.len());
    while stage.worker.service().causes().len() < silent.len() {
        assert_eq!(stage.worker.turn().unwrap(), Turned::Running);
    }
    let cleared = |stage: &Stage| silent.iter().filter(|id| stage.script.is_closed(**id)).count();
    assert_eq!(cleared(&stage), 0, "all are told of first");
    // Then they are cleared away, a share of them in a tick.
    stage.script.advance(TICK * DEAD_WAIT_TICKS);
    stage.worker.turn().unwrap();
    let share = DEAD_PER_TICK.max(4_000 / DEAD_TICKS);
    assert!((1..=share).contains(&cleared(&stage)), "{} in a tick", cleared(&stage));
    // A turn that comes late makes up for the ticks that had none.
    stage.script.advance(TICK * 10);
    stage.worker.turn().unwrap();
    assert!(cleared(&stage) > 5 * share, "{} after eleven ticks", cleared(&stage));
    stage.pass(seconds(2));
    assert_eq!(cleared(&stage), silent.len());
    assert_eq!(stage.shared.connections(), newcomers.len());
}

#[test]
fn a_mass_disconnect_keeps_nobody_from_being_let_in() {
    let mut stage = Stage::new(&Config { max_connections: 10_000, ..config() });
    let gone: Vec<usize> = (0..4_000).map(|_| stage.open()).collect();
    stage.script.tell_at_most(1_024);
    for id in &gone {
        stage.script.reset(*id);
    }
    let newcomer = stage.script.connect();
    stage.script.arrive(newcomer, &upgrade_request("/"));
    let mut turns = 0;
    while stage.script.written(newcomer).is_empty() {
        turns += 1;
        assert!(turns < 8, "it waits behind those who went");
        stage.worker.turn().unwrap();
    }
    stage.pass(SECOND);
    assert_eq!(stage.shared.connections(), 1);
}

const TICK: Duration = Duration::from_millis(TICK_MILLIS);

/// Writes to itself again whenever it has been written to.
struct Correspondent {
    latency: Latency,
    answers: bool,
    read: usize,
}

impl Service for Correspondent {
    type Mail = ();
    type Admitted = ();

    fn admit(&mut self, _: &mut Context<'_, ()>, _: ConnId, _: &Upgrade<'_>) -> Admission {
        Admission::Accept(Default::default())
    }

    fn message(&mut self, _: &mut Context<'_, ()>, _: ConnId, _: Kind, _: &[u8]) {}

    fn mail(&mut self, _: &mut Context<'_, ()>, _: Option<WorkerId>, _: ()) {
        self.read += 1;
        self.answers = true;
    }

    fn tick(&mut self, cx: &mut Context<'_, ()>) -> Option<Tick> {
        if std::mem::take(&mut self.answers) {
            cx.post(WorkerId(0), (), self.latency).unwrap();
        }
        None
    }
}

#[test]
fn patient_mail_is_taken_once_a_tick_and_urgent_mail_in_every_turn() {
    let read_in = |latency: Latency, ticks: usize, turns: usize| {
        let script = Script::new(config().first_tick);
        let service = Correspondent { latency, answers: true, read: 0 };
        let (mut worker, _) = script.worker(&config(), service);
        for _ in 0..ticks {
            (0..turns).for_each(|_| assert_eq!(worker.turn().unwrap(), Turned::Running));
            script.advance(TICK);
        }
        if latency == Latency::NextTick {
            let wait = script.timeout();
            assert!(wait.is_some_and(|wait| wait <= TICK), "it comes back for what waits: {wait:?}");
        }
        worker.service().read
    };
    assert!((9..=10).contains(&read_in(Latency::NextTick, 10, 5)), "one a tick");
    assert!((49..=50).contains(&read_in(Latency::Now, 10, 5)), "one a turn");
}
