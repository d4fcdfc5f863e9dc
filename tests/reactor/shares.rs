//! What one turn may cost: of accepts, reads, mail and deadlines it takes a share, and the rest is for the next, so that none
//! of them starves the others.

use std::sync::Arc;

use rollcall::internals::limits::{
    ACCEPTS_PER_TURN_MAX, CONNECTION_UNITS_PER_TURN, DEADLINES_PER_TURN_MAX, HEARD_PER_FLUSH,
    MAIL_PER_TURN_MAX, MAIL_UNITS_PER_TURN, READ_BUFFER_BYTES, READ_BYTES_PER_UNIT,
};
use rollcall::internals::reactor::{Admission, Config, ConnId, Context, Latency, Service, Shared, WorkerId};
use rollcall::internals::time::Tick;
use rollcall::internals::wire::frame::Opcode;
use rollcall::internals::wire::session::Kind;
use rollcall::internals::wire::upgrade::Upgrade;

use super::kit::{Stage, config, masked, seconds};
use super::script::{Script, mailboxes};

#[test]
fn accepts_of_a_turn_are_bounded() {
    let mut stage = Stage::new(&config());
    for _ in 0..2 * ACCEPTS_PER_TURN_MAX + 1 {
        stage.script.connect();
    }
    for accepted in [1, 2] {
        stage.worker.turn().unwrap();
        assert_eq!(stage.shared.connections(), accepted * ACCEPTS_PER_TURN_MAX);
    }
    stage.worker.turn().unwrap();
    assert_eq!(stage.shared.connections(), 2 * ACCEPTS_PER_TURN_MAX + 1);
}

#[test]
fn reads_of_one_connection_in_a_turn_are_bounded() {
    let units = CONNECTION_UNITS_PER_TURN as usize;
    let share = (units * READ_BYTES_PER_UNIT).next_multiple_of(READ_BUFFER_BYTES);
    let mut stage = Stage::new(&config());
    let (flood, other) = (stage.open(), stage.open());
    // Big ones: of short ones it is the work that has its bound.
    let message = masked(Opcode::Binary, &[0; (32 << 10) - 8]);
    let messages = message.repeat(3 * share / message.len());
    let mut left = 0;
    for _ in 0..2 {
        // More comes, and is told of, while it has not been read to its end.
        stage.script.arrive(flood, &messages);
        stage.script.arrive(other, &masked(Opcode::Text, b"me too"));
        left += messages.len() - share;
        stage.worker.turn().unwrap();
        assert_eq!(stage.script.peer(flood, |peer| peer.unread()), left);
        assert_eq!(stage.frames(other), [(Opcode::Text, b"me too".to_vec())]);
    }
    stage.settle();
    assert_eq!(stage.script.peer(flood, |peer| peer.unread()), 0);
}

/// So many clients say something, all of them before a turn.
fn crowd(stage: &mut Stage, said: &[u8]) -> Vec<usize> {
    let ids: Vec<usize> = (0..3 * HEARD_PER_FLUSH).map(|_| stage.open()).collect();
    ids.iter().for_each(|id| stage.script.arrive(*id, &masked(Opcode::Text, said)));
    ids
}

#[test]
fn answers_leave_before_all_have_been_heard() {
    let mut stage = Stage::new(&config());
    let ids = crowd(&mut stage, b"well?");
    let [_, _, before, _] = stage.script.calls();
    stage.worker.turn().unwrap();
    let after = |id: usize| stage.script.peer(id, |peer| peer.written_after) - before;
    assert_eq!([0, HEARD_PER_FLUSH].map(|n| after(ids[n])), [HEARD_PER_FLUSH, 2 * HEARD_PER_FLUSH]);
}

#[test]
fn what_is_for_others_waits_until_all_have_been_heard() {
    let mut stage = Stage::new(&config());
    let ids = crowd(&mut stage, b"tell all");
    let [.., before] = stage.script.calls();
    stage.worker.turn().unwrap();
    let [.., after] = stage.script.calls();
    assert_eq!(after - before, ids.len(), "one write for all that a client got");
    assert_eq!(stage.frames(ids[0]).len(), ids.len());
}

#[test]
fn deadlines_of_a_turn_are_bounded() {
    let mut stage = Stage::new(&Config { max_connections: 10_000, ..config() });
    let ids: Vec<usize> = (0..DEADLINES_PER_TURN_MAX + 500).map(|_| stage.open()).collect();
    // All of them were to be pinged by then.
    stage.script.advance(seconds(26));
    let mut pinged = 0;
    for _ in 0..2 {
        let before = pinged;
        stage.worker.turn().unwrap();
        pinged += ids.iter().filter(|id| !stage.script.written(**id).is_empty()).count();
        assert!(
            pinged > before && pinged - before <= DEADLINES_PER_TURN_MAX,
            "{} in a turn",
            pinged - before
        );
    }
    stage.settle();
    pinged += ids.iter().filter(|id| !stage.script.written(**id).is_empty()).count();
    assert_eq!(pinged, ids.len());
}

#[test]
fn deadlines_do_not_fall_behind_where_turns_are_long() {
    const TURNS: u64 = 30;
    let mut config = config();
    config.heartbeat.interval = seconds(4);
    config.max_connections = 20_000;
    let mut stage = Stage::new(&config);
    let ids: Vec<usize> = (0..12 * DEADLINES_PER_TURN_MAX).map(|_| stage.open()).collect();
    let pings = |stage: &Stage| stage.shared.workers()[0].counters.pings_sent.get();
    // A turn takes a second, in which a quarter of them are due for a Ping, and as many for a look at the answer.
    for _ in 0..TURNS {
        stage.script.advance(seconds(1));
        stage.worker.turn().unwrap();
        for id in &ids {
            if !stage.script.written(*id).is_empty() {
                stage.script.arrive(*id, &masked(Opcode::Pong, b""));
            }
        }
    }
    // However long the last one took, a turn has its bound.
    stage.script.advance(seconds(60));
    let before = pings(&stage);
    stage.worker.turn().unwrap();
    stage.script.advance(seconds(60));
    stage.worker.turn().unwrap();
    let most = (1 + 8) * DEADLINES_PER_TURN_MAX as u64;
    assert!(
        pings(&stage) - before <= most,
        "one share, and then eight: {} of {most}",
        pings(&stage) - before
    );
    // At its time, or two turns late.
    let least = ids.len() as u64 * (TURNS / 7);
    assert!(pings(&stage) >= least, "{} of {least}", pings(&stage));
}

/// Counts its mail, which costs so much, and writes so many letters to itself.
#[derive(Default)]
struct Reader {
    read: usize,
    letters: usize,
    cost: u32,
}

impl Service for Reader {
    type Mail = ();
    type Admitted = ();

    fn admit(&mut self, _: &mut Context<'_, ()>, _: ConnId, _: &Upgrade<'_>) -> Admission {
        Admission::Accept(Default::default())
    }

    fn message(&mut self, _: &mut Context<'_, ()>, _: ConnId, _: Kind, _: &[u8]) {}

    fn mail(&mut self, cx: &mut Context<'_, ()>, _: Option<WorkerId>, (): ()) {
        self.read += 1;
        cx.charge(self.cost);
    }

    fn tick(&mut self, cx: &mut Context<'_, ()>) -> Option<Tick> {
        // Once, at its first turn.
        if self.read == 0 {
            (0..self.letters).for_each(|_| cx.post(WorkerId(0), (), Latency::Now).unwrap());
        }
        None
    }
}

#[test]
fn mail_of_a_turn_is_bounded() {
    // In letters, and by what they cost beside the unit that each of them is.
    for (cost, share) in [(0, MAIL_PER_TURN_MAX), (999, MAIL_UNITS_PER_TURN as usize / 1_000)] {
        let script = Script::new(config().first_tick);
        let shared = Arc::new(Shared::new(1, 10, config().first_tick));
        let letters = 2 * share + 1;
        let reader = Reader { letters, cost, ..Reader::default() };
        let mut worker = script.worker_of(WorkerId(0), &config(), &shared, &mailboxes(1), reader);
        for turn in [0, 1, 2] {
            worker.turn().unwrap();
            assert_eq!(worker.service().read, turn * share);
        }
        script.settle(&mut worker);
        assert_eq!(worker.service().read, letters);
    }
}
