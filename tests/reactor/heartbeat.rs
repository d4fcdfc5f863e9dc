//! Who lives and who is dead, on a virtual clock that crosses the wrap of the tick.

use std::time::Duration;

use rollcall::internals::reactor::{Cause, Config, Heartbeat, HeartbeatMode};
use rollcall::internals::time::Tick;
use rollcall::internals::wire::frame::Opcode;

use super::kit::{SECOND, Stage, Told, close_frame, config, masked, plain, seconds};

/// Lets time pass until the connection is sent a Ping; returns its payload and how long that took.
fn next_ping(stage: &mut Stage, id: usize) -> (Vec<u8>, Duration) {
    let start = stage.script.tick();
    loop {
        stage.pass(Duration::from_millis(10));
        if let Some((_, payload)) = stage.frames(id).into_iter().find(|(opcode, _)| *opcode == Opcode::Ping) {
            return (payload, Duration::from_millis(10) * stage.script.tick().since(start));
        }
    }
}

#[test]
fn the_first_ping_comes_at_a_random_point_of_the_second_half() {
    let mut stage = Stage::new(&config());
    let ids: Vec<usize> = (0..200).map(|_| stage.open()).collect();
    stage.pass(Duration::from_millis(12_400));
    assert!(ids.iter().all(|id| stage.frames(*id).is_empty()), "none in the first half");
    let mut by_quarter = [0; 4];
    for quarter in &mut by_quarter {
        stage.pass(Duration::from_millis(3_320));
        *quarter = ids.iter().filter(|id| !stage.frames(**id).is_empty()).count();
    }
    assert_eq!(by_quarter.iter().sum::<usize>(), 200);
    assert!(by_quarter.iter().all(|count| *count > 20), "spread evenly: {by_quarter:?}");
}

#[test]
fn after_its_first_ping_only_a_silent_connection_is_pinged() {
    let mut stage = Stage::new(&config());
    let id = stage.open();
    let (payload, _) = next_ping(&mut stage, id);
    stage.send(id, &masked(Opcode::Pong, &payload));
    for _ in 0..10 {
        stage.pass(seconds(20));
        stage.send(id, &masked(Opcode::Text, b"still here"));
        assert_eq!(stage.frames(id).len(), 1, "the echo and no Ping");
    }
    let (_, silent) = next_ping(&mut stage, id);
    // It waits for the worker's next round of Pings: 640 ms at most.
    assert!((seconds(25)..seconds(25) + Duration::from_millis(670)).contains(&silent), "{silent:?}");
}

#[test]
fn pings_leave_in_rounds() {
    let mut stage = Stage::new(&config());
    let ids: Vec<usize> = (0..200).map(|_| stage.open()).collect();
    let mut turns = 0;
    // Every connection's first Ping, at 200 points of 12.5 s, in turns that are 640 ms apart.
    for _ in 0..2_570 {
        let pinged = |stage: &Stage| ids.iter().filter(|id| !stage.frames(**id).is_empty()).count();
        let before = pinged(&stage);
        stage.pass(Duration::from_millis(10));
        if pinged(&stage) > before {
            turns += 1;
            assert_eq!(stage.script.tick().0 % 64, 0, "worker 0's");
        }
    }
    assert!((15..=21).contains(&turns), "{turns} turns");
}

#[test]
fn the_service_is_told_of_a_ping_and_what_it_sends_leaves_in_the_same_write() {
    let mut stage = Stage::new(&config());
    let id = stage.open();
    let writes = stage.script.peer(id, |peer| peer.writes);
    stage.pass(seconds(26));
    assert_eq!(stage.script.peer(id, |peer| peer.writes), writes + 1);
    let frames = stage.frames(id);
    assert_eq!(frames[0].0, Opcode::Ping);
    assert_eq!(frames[1], (Opcode::Text, b"beat".to_vec()));
    assert!(stage.told().contains(&Told::Beat));
}

#[test]
fn a_pong_with_our_timestamp_gives_the_round_trip() {
    let mut stage = Stage::new(&config());
    let id = stage.open();
    let (payload, _) = next_ping(&mut stage, id);
    stage.script.advance(Duration::from_millis(70));
    stage.send(id, &masked(Opcode::Pong, &payload));
    stage.send(id, &masked(Opcode::Pong, &payload));
    let pongs: Vec<Told> = stage.told().into_iter().filter(|told| matches!(told, Told::Pong(_))).collect();
    let [Told::Pong(round_trip)] = pongs[..] else { panic!("one Pong counts: {pongs:?}") };
    assert!((70..=90).contains(&round_trip.as_millis()), "{round_trip:?}");
}

#[test]
fn a_missing_pong_closes_at_the_deadline() {
    let mut stage = Stage::new(&config());
    let id = stage.open();
    next_ping(&mut stage, id);
    stage.pass(seconds(20) - Duration::from_millis(20));
    assert!(!stage.script.is_closed(id));
    stage.pass(Duration::from_millis(40));
    assert!(stage.script.is_closed(id));
    assert_eq!(stage.script.written(id), close_frame(4408, "no heartbeat in time"));
    assert_eq!(stage.worker.service().causes(), [Cause::Timeout]);
}

#[test]
fn any_byte_is_life_even_a_part_of_a_header() {
    let mut stage = Stage::new(&Config { message_timeout: seconds(86_400), ..config() });
    let id = stage.open();
    let message = masked(Opcode::Text, &[b'a'; 200]);
    for byte in &message {
        next_ping(&mut stage, id);
        stage.pass(seconds(19));
        stage.send(id, &[*byte]);
    }
    assert!(!stage.script.is_closed(id));
    assert_eq!(stage.worker.service().causes(), []);
}

#[test]
fn a_stall_of_the_server_kills_nobody_who_answered() {
    let mut stage = Stage::new(&config());
    let ids: Vec<usize> = (0..50).map(|_| stage.open()).collect();
    stage.pass(seconds(26));
    // All were pinged; all but one answer, and then the server sleeps for a minute.
    for id in &ids[1..] {
        let (_, payload) = stage.frames(*id).swap_remove(0);
        stage.script.arrive(*id, &masked(Opcode::Pong, &payload));
    }
    stage.script.advance(seconds(60));
    stage.settle();
    stage.pass(SECOND);
    assert_eq!(stage.worker.service().causes(), [Cause::Timeout]);
    assert!(stage.script.is_closed(ids[0]) && ids[1..].iter().all(|id| !stage.script.is_closed(*id)));
}

#[test]
fn an_answer_that_no_event_told_of_is_found_before_death_is_declared() {
    let mut stage = Stage::new(&config());
    let id = stage.open();
    let (payload, _) = next_ping(&mut stage, id);
    stage
        .script
        .peer(id, |peer| peer.inbound.push_back(super::script::In::Bytes(masked(Opcode::Pong, &payload))));
    stage.pass(seconds(21));
    assert!(!stage.script.is_closed(id));
}

#[test]
fn the_time_out_runs_from_when_the_ping_left() {
    let mut stage = Stage::new(&config());
    let id = stage.open();
    stage.script.peer(id, |peer| peer.room = 5);
    stage.send(id, &masked(Opcode::Text, &[b'a'; 100]));
    stage.send(id, &masked(Opcode::Text, &[b'b'; 100]));
    // The socket takes a byte every ten seconds: it makes progress, and the Ping waits behind a cut frame.
    for _ in 0..6 {
        stage.pass(seconds(10));
        stage.script.make_room(id, 1);
        stage.settle();
    }
    assert!(!stage.script.is_closed(id));
    stage.script.make_room(id, usize::MAX);
    stage.settle();
    let written = stage.script.written(id);
    let ping = written.windows(2).position(|window| window == [0x89, 8]).expect("a Ping");
    assert!(ping < 110, "ahead of the second message");
    stage.pass(Duration::from_millis(19_900));
    assert!(!stage.script.is_closed(id));
    stage.pass(Duration::from_millis(200));
    assert_eq!(stage.worker.service().causes(), [Cause::Timeout]);
}

#[test]
fn the_time_of_a_ping_that_is_cut_runs_from_its_last_byte() {
    let mut stage = Stage::new(&config());
    let id = stage.open();
    stage.script.peer(id, |peer| peer.room = 5);
    while stage.script.peer(id, |peer| peer.outbound.is_empty()) {
        stage.pass(Duration::from_millis(100));
    }
    stage.pass(seconds(15));
    stage.script.make_room(id, usize::MAX);
    stage.settle();
    stage.pass(seconds(19));
    assert_eq!(stage.worker.service().causes(), []);
    stage.pass(seconds(2));
    assert_eq!(stage.worker.service().causes(), [Cause::Timeout]);
}

#[test]
fn a_peer_that_takes_nothing_is_given_up() {
    let mut stage = Stage::new(&config());
    let id = stage.open();
    stage.script.peer(id, |peer| peer.room = 5);
    stage.send(id, &masked(Opcode::Text, &[b'a'; 100]));
    stage.pass(Duration::from_millis(19_900));
    assert!(!stage.script.is_closed(id));
    stage.pass(Duration::from_millis(200));
    assert!(stage.script.is_closed(id));
    assert_eq!(stage.worker.service().causes(), [Cause::Slow]);
}

#[test]
fn a_backlog_has_its_deadline_at_once_though_the_next_ping_is_far() {
    let heartbeat = Heartbeat { interval: seconds(60), timeout: seconds(5), ..Heartbeat::default() };
    let mut stage = Stage::new(&Config { heartbeat, ..config() });
    let id = stage.open();
    stage.pass(seconds(11));
    assert!(stage.script.timeout().unwrap() > seconds(15), "{:?}", stage.script.timeout());
    stage.script.peer(id, |peer| peer.room = 5);
    stage.send(id, &masked(Opcode::Text, &[b'a'; 100]));
    stage.pass(Duration::from_millis(5100));
    assert_eq!(stage.worker.service().causes(), [Cause::Slow]);
}

#[test]
fn a_socket_that_has_room_again_unheard_is_tried_before_its_peer_is_given_up() {
    let mut stage = Stage::new(&config());
    let id = stage.open();
    stage.script.peer(id, |peer| peer.room = 5);
    stage.send(id, &masked(Opcode::Text, &[b'a'; 100]));
    stage.pass(seconds(10));
    stage.script.peer(id, |peer| peer.room = usize::MAX);
    stage.pass(seconds(11));
    assert!(!stage.script.is_closed(id));
    assert!(stage.script.written(id).starts_with(&plain(Opcode::Text, &[b'a'; 100])));
}

#[test]
fn a_slow_reader_that_answers_is_not_dead_though_it_is_not_read() {
    for mode in [HeartbeatMode::Server, HeartbeatMode::Client] {
        let heartbeat = Heartbeat { mode, ..Heartbeat::default() };
        let mut stage = Stage::new(&Config { heartbeat, ..config() });
        let id = stage.open();
        stage.script.peer(id, |peer| peer.room = 5);
        stage.send(id, &masked(Opcode::Text, b"flood"));
        // It takes a little every five seconds and answers every Ping, but past the pause nothing of it is read.
        for _ in 0..40 {
            stage.pass(seconds(5));
            stage.script.make_room(id, 22_000);
            stage.script.arrive(id, &masked(Opcode::Pong, b"alive"));
            stage.settle();
        }
        assert_eq!(stage.worker.service().causes(), [], "{mode:?}");
        stage.script.make_room(id, usize::MAX);
        stage.settle();
        stage.script.written(id);
        stage.pass(seconds(140));
        assert_eq!(stage.worker.service().causes(), [Cause::Timeout], "{mode:?}: now it is silent");
    }
}

#[test]
fn in_mode_client_silence_is_death_and_no_ping_is_sent() {
    let heartbeat = Heartbeat { mode: HeartbeatMode::Client, ..Heartbeat::default() };
    let mut stage = Stage::new(&Config { heartbeat, ..config() });
    let (silent, alive) = (stage.open(), stage.open());
    for _ in 0..2 {
        stage.pass(seconds(44));
        stage.send(alive, &masked(Opcode::Text, b"ping"));
        assert_eq!(stage.frames(alive), [(Opcode::Text, b"ping".to_vec())]);
        assert_eq!(stage.frames(silent), []);
    }
    stage.pass(seconds(3));
    assert!(stage.script.is_closed(silent) && !stage.script.is_closed(alive));
    assert_eq!(stage.frames(silent)[0].0, Opcode::Close);
}

#[test]
fn in_mode_both_pings_decide() {
    let heartbeat = Heartbeat { mode: HeartbeatMode::Both, ..Heartbeat::default() };
    let mut stage = Stage::new(&Config { heartbeat, ..config() });
    let id = stage.open();
    next_ping(&mut stage, id);
    stage.pass(seconds(21));
    assert!(stage.script.is_closed(id));
}

#[test]
fn receiving_never_touches_the_wheel() {
    let mut stage = Stage::new(&config());
    let id = stage.open();
    stage.pass(SECOND);
    let bytes = || stage.shared.sum(|counters| counters.memory.wheel.get());
    let before = bytes();
    for _ in 0..10_000 {
        stage.script.arrive(id, &masked(Opcode::Text, b"x"));
        stage.script.settle(&mut stage.worker);
    }
    stage.script.pass(&mut stage.worker, SECOND);
    assert_eq!(stage.shared.sum(|counters| counters.memory.wheel.get()), before);
}

#[test]
fn an_idle_worker_sleeps_until_the_next_deadline() {
    let mut stage = Stage::new(&config());
    stage.settle();
    assert_eq!(stage.script.timeout(), None, "with no connection there is nothing to wake for");
    let id = stage.open();
    let timeout = stage.script.timeout().unwrap();
    assert!(timeout > seconds(9), "the handshake's entry is the first to fire: {timeout:?}");
    stage.script.advance(timeout);
    stage.settle();
    let timeout = stage.script.timeout().unwrap();
    assert!(timeout > SECOND && stage.frames(id).is_empty(), "{timeout:?}");
    stage.script.advance(timeout);
    stage.settle();
    assert_eq!(stage.frames(id)[0].0, Opcode::Ping);
    assert_eq!(stage.shared.sum(|counters| counters.timer_lateness.bucket(0)), 1, "not a microsecond late");
    assert_ne!(stage.script.tick(), Tick(0));
}

#[test]
fn a_suspect_is_told_of_and_cleared_by_any_byte() {
    let heartbeat = Heartbeat { suspect_after: Some(seconds(8)), ..Heartbeat::default() };
    let mut stage = Stage::new(&Config { heartbeat, ..config() });
    let id = stage.open();
    next_ping(&mut stage, id);
    stage.told();
    stage.pass(Duration::from_millis(7_900));
    assert_eq!(stage.told(), []);
    stage.pass(Duration::from_millis(200));
    assert_eq!(stage.told(), [Told::Suspect(true)]);
    stage.pass(seconds(5));
    assert_eq!(stage.told(), [], "told once");
    stage.send(id, &[0x81]);
    assert_eq!(stage.told(), [Told::Suspect(false)]);
    stage.pass(seconds(10));
    assert!(!stage.script.is_closed(id));
}

#[test]
fn an_interval_shorter_than_the_time_out_is_kept() {
    let heartbeat = Heartbeat { interval: seconds(2), timeout: seconds(20), ..Heartbeat::default() };
    let mut stage = Stage::new(&Config { heartbeat, ..config() });
    let id = stage.open();
    let (mut payload, _) = next_ping(&mut stage, id);
    for _ in 0..5 {
        stage.send(id, &masked(Opcode::Pong, &payload));
        let (next, after) = next_ping(&mut stage, id);
        assert!((seconds(2)..seconds(2) + Duration::from_millis(30)).contains(&after), "{after:?}");
        payload = next;
    }
}
