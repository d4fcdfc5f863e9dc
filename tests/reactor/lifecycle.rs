//! Coming and going: accepts, the closing handshake, resets, recycled slots, full tables, the drain.

use std::time::Duration;

use rollcall::internals::limits::{ACCEPT_RETRY_TICKS, REFUSED_CONNECTIONS_MAX};
use rollcall::internals::reactor::{Cause, Config, Turned};
use rollcall::internals::sys::net::Ready;
use rollcall::internals::time::TICK_MILLIS;
use rollcall::internals::wire::frame::Opcode;

use super::kit::{SECOND, Stage, Told, close_frame, config, masked, plain, seconds, upgrade_request};

const EMFILE: i32 = 24;

#[test]
fn the_peers_close_is_echoed_and_the_connection_ends() {
    let mut stage = Stage::new(&config());
    let id = stage.open();
    stage.send(id, &masked(Opcode::Close, &[0x0f, 0xa1, b'b', b'y', b'e']));
    assert_eq!(stage.script.written(id), close_frame(4001, ""));
    assert!(stage.script.is_closed(id));
    assert_eq!(stage.told(), [Told::Open, Told::Closed(Cause::Closed)]);
}

#[test]
fn a_goodbye_is_told_from_a_close_whatever_it_says_and_whatever_is_around_it() {
    let close = |code: u16, reason: &str| {
        masked(Opcode::Close, &[&code.to_be_bytes()[..], reason.as_bytes()].concat())
    };
    for (code, cause) in [(4000, Cause::Goodbye), (1000, Cause::Closed), (4001, Cause::Closed)] {
        for (reason, ends) in [("", false), ("logged out", true), ("später", false), ("", true)] {
            let mut stage = Stage::new(&config());
            let id = stage.open();
            stage.script.arrive(id, &[masked(Opcode::Text, b"hi"), close(code, reason)].concat());
            if ends {
                stage.script.end(id);
            }
            stage.settle();
            let written = [plain(Opcode::Text, b"hi"), close_frame(code, "")].concat();
            assert_eq!(stage.script.written(id), written);
            assert!(stage.script.is_closed(id));
            let told = [Told::Open, Told::Message(b"hi".to_vec()), Told::Closed(cause)];
            assert_eq!(stage.told(), told, "{code} {reason}, ends: {ends}");
        }
    }
}

#[test]
fn after_our_close_the_peers_is_awaited() {
    let mut stage = Stage::new(&config());
    let id = stage.open();
    stage.send(id, &masked(Opcode::Text, b"close me"));
    assert_eq!(stage.script.written(id), close_frame(4403, "as you wish"));
    assert_eq!(stage.worker.service().causes(), [Cause::ServiceClosed]);
    stage.send(id, &masked(Opcode::Text, b"is anybody there?"));
    stage.send(id, &masked(Opcode::Ping, b"?"));
    assert!(!stage.script.is_closed(id));
    assert_eq!(stage.script.written(id), b"", "nothing follows a Close");
    stage.send(id, &masked(Opcode::Close, &4403_u16.to_be_bytes()));
    assert!(stage.script.is_closed(id));
    assert_eq!(stage.script.written(id), b"", "a Close is not answered by a Close for ever");
    assert_eq!(stage.worker.service().causes(), [Cause::ServiceClosed], "told once");
}

#[test]
fn a_peer_that_never_closes_is_cut_at_the_close_time_out() {
    let mut stage = Stage::new(&config());
    let id = stage.open();
    stage.send(id, &masked(Opcode::Text, b"close me"));
    stage.pass(Duration::from_millis(4_900));
    assert!(!stage.script.is_closed(id));
    stage.pass(Duration::from_millis(200));
    assert!(stage.script.is_closed(id));
}

#[test]
fn messages_behind_a_close_in_one_segment_are_not_served() {
    let mut stage = Stage::new(&config());
    let id = stage.open();
    let bytes = [masked(Opcode::Text, b"close me"), masked(Opcode::Text, b"one more")].concat();
    stage.send(id, &bytes);
    assert_eq!(stage.script.written(id), close_frame(4403, "as you wish"));
    assert_eq!(stage.told()[1..], [Told::Message(b"close me".to_vec()), Told::Closed(Cause::ServiceClosed)]);
}

#[test]
fn a_broken_rule_is_answered_with_its_code_and_the_rest_is_read_and_forgotten() {
    let mut stage = Stage::new(&config());
    let id = stage.open();
    let unmasked = plain(Opcode::Text, b"no mask");
    stage.send(id, &[unmasked.clone(), masked(Opcode::Text, b"x")].concat());
    assert_eq!(stage.script.written(id), close_frame(1002, "frame from a client must be masked"));
    assert!(stage.script.peer(id, |peer| peer.finished) && !stage.script.is_closed(id));
    stage.send(id, &unmasked.repeat(100));
    stage.script.end(id);
    stage.settle();
    assert!(stage.script.is_closed(id));
    assert_eq!(stage.told(), [Told::Open, Told::Closed(Cause::Protocol)]);
}

#[test]
fn a_lost_connection_and_a_reset_one_are_told_apart() {
    let mut stage = Stage::new(&config());
    let (lost, reset) = (stage.open(), stage.open());
    stage.script.end(lost);
    stage.settle();
    stage.script.reset(reset);
    stage.settle();
    assert_eq!(stage.worker.service().causes(), [Cause::Lost, Cause::Reset]);
    assert_eq!(stage.shared.connections(), 0);
}

#[test]
fn a_socket_that_breaks_while_it_is_written_ends_its_connection() {
    let mut stage = Stage::new(&config());
    let id = stage.open();
    stage.script.peer(id, |peer| peer.reset_on_write = true);
    stage.send(id, &masked(Opcode::Text, b"echo"));
    assert_eq!(stage.worker.service().causes(), [Cause::Reset]);
    assert!(stage.script.is_closed(id));
}

#[test]
fn an_event_for_a_dead_connection_does_not_reach_the_one_in_its_place() {
    let mut stage = Stage::new(&config());
    let old = stage.open();
    let token = stage.script.peer(old, |peer| peer.token.unwrap());
    stage.script.end(old);
    stage.settle();
    let new = stage.open();
    let new_token = stage.script.peer(new, |peer| peer.token.unwrap());
    assert_eq!(token as u32, new_token as u32, "the same slot");
    assert_ne!(token, new_token);
    let reads = stage.script.peer(new, |peer| peer.reads);
    stage
        .script
        .tell_token(token, Ready { readable: true, writable: true, read_closed: true, ..Ready::default() });
    stage.settle();
    assert_eq!(stage.script.peer(new, |peer| peer.reads), reads);
}

#[test]
fn a_service_may_close_many_connections_from_one_message() {
    let mut stage = Stage::new(&config());
    let ids: Vec<usize> = (0..20).map(|_| stage.open()).collect();
    stage.send(ids[3], &masked(Opcode::Text, b"close all"));
    assert!(ids.iter().all(|id| stage.script.written(*id) == close_frame(1000, "")));
    assert_eq!(stage.worker.service().causes(), [Cause::ServiceClosed; 20]);
}

#[test]
fn a_peer_that_says_nothing_is_cut_at_the_handshake_time_out() {
    let mut stage = Stage::new(&config());
    let id = stage.script.connect();
    stage.pass(Duration::from_millis(9_900));
    assert!(!stage.script.is_closed(id));
    stage.pass(Duration::from_millis(200));
    assert!(stage.script.is_closed(id));
    assert_eq!(stage.script.written(id), b"");
}

/// Whether the worker sleeps, and wakes by itself about when it is to accept again.
fn tries_again(stage: &Stage) -> bool {
    let wait = ACCEPT_RETRY_TICKS * TICK_MILLIS as u32;
    stage.script.timeout().is_some_and(|timeout| (wait - 10..=wait).contains(&(timeout.as_millis() as u32)))
}

#[test]
fn running_out_of_descriptors_neither_spins_nor_ends_accepting() {
    let mut stage = Stage::new(&config());
    let holder = stage.open();
    stage.script.refuse_accept(EMFILE);
    let waiting = stage.script.connect();
    stage.settle();
    assert!(stage.shared.is_accept_blocked());
    assert!(tries_again(&stage), "{:?}", stage.script.timeout());
    // A descriptor is freed: the next turn accepts.
    stage.script.end(holder);
    stage.settle();
    stage.send(waiting, &upgrade_request("/"));
    assert!(stage.script.written(waiting).starts_with(b"HTTP/1.1 101"));
    assert!(!stage.shared.is_accept_blocked());
}

#[test]
fn accepting_is_tried_again_though_no_connection_ends() {
    let mut stage = Stage::new(&config());
    stage.script.refuse_accept(EMFILE);
    let waiting = stage.script.connect();
    stage.settle();
    assert!(tries_again(&stage), "{:?}", stage.script.timeout());
    stage.pass(Duration::from_millis(200));
    stage.send(waiting, &upgrade_request("/"));
    assert!(stage.script.written(waiting).starts_with(b"HTTP/1.1 101"));
}

#[test]
fn past_max_connections_an_upgrade_gets_503_and_the_connected_stay() {
    let mut stage = Stage::new(&Config { max_connections: 3, ..config() });
    let ids: Vec<usize> = (0..3).map(|_| stage.open()).collect();
    let surplus: Vec<usize> = (0..REFUSED_CONNECTIONS_MAX + 10).map(|_| stage.script.connect()).collect();
    for id in &surplus {
        stage.script.arrive(*id, &upgrade_request("/"));
    }
    stage.settle();
    let refused =
        surplus.iter().filter(|id| stage.script.written(**id).starts_with(b"HTTP/1.1 503 ")).count();
    assert_eq!(refused, REFUSED_CONNECTIONS_MAX, "the others wait in the kernel's queue");
    for id in ids {
        stage.send(id, &masked(Opcode::Text, b"still here"));
        assert_eq!(stage.frames(id).len(), 1);
    }
}

#[test]
fn a_drain_spreads_its_closes_over_the_window_and_then_is_over() {
    let mut stage = Stage::new(&config());
    let ids: Vec<usize> = (0..100).map(|_| stage.open()).collect();
    stage.shared.begin_drain();
    stage.settle();
    assert!(!stage.script.is_listening());
    let mut closed_by_second = Vec::new();
    for _ in 0..10 {
        stage.pass(SECOND);
        let closed: Vec<usize> =
            ids.iter().copied().filter(|id| !stage.script.written(*id).is_empty()).collect();
        for id in &closed {
            stage.script.arrive(*id, &masked(Opcode::Close, &1001_u16.to_be_bytes()));
        }
        closed_by_second.push(closed.len());
    }
    let turned = stage.script.pass(&mut stage.worker, SECOND);
    assert_eq!(closed_by_second.iter().sum::<usize>(), 100);
    assert!(closed_by_second.iter().all(|count| (1..30).contains(count)), "{closed_by_second:?}");
    assert_eq!(turned, Turned::Drained);
    assert_eq!(stage.worker.service().causes(), [Cause::Drain; 100]);
}

#[test]
fn a_drain_accepts_what_was_queued_and_answers_it() {
    let mut stage = Stage::new(&config());
    let queued = stage.script.connect();
    stage.shared.begin_drain();
    stage.send(queued, &upgrade_request("/"));
    assert!(stage.script.written(queued).starts_with(b"HTTP/1.1 503 "));
}

#[test]
fn a_drain_ends_though_peers_never_answer() {
    let mut stage = Stage::new(&config());
    let id = stage.open();
    stage.script.peer(id, |peer| peer.room = 0);
    stage.shared.begin_drain();
    assert_eq!(stage.script.pass(&mut stage.worker, seconds(16)), Turned::Drained);
}

#[test]
fn a_drain_of_more_than_its_window_has_time_for_cuts_nobody_off() {
    let mut stage = Stage::new(&Config { drain: SECOND, max_connections: 10_000, ..config() });
    let ids: Vec<usize> = (0..3_000).map(|_| stage.open()).collect();
    stage.shared.begin_drain();
    // Turns that take 4 s each: the window and the time for answers are over after the second.
    let mut turns = 0;
    while stage.worker.turn().unwrap() == Turned::Running && turns < 20 {
        stage.script.advance(seconds(4));
        turns += 1;
    }
    let told = ids.iter().filter(|id| stage.frames(**id).iter().any(|(opcode, _)| *opcode == Opcode::Close));
    assert_eq!(told.count(), 3_000);
    assert!(turns < 10, "it ends: {turns}");
}

#[test]
fn what_a_service_ends_when_a_write_fails_is_told_in_the_same_turn() {
    let mut stage = Stage::new(&config());
    let ids: Vec<usize> = (0..4).map(|_| stage.open()).collect();
    for id in &ids {
        stage.send(*id, &masked(Opcode::Text, b"bind me"));
    }
    stage.script.peer(ids[2], |peer| peer.reset_on_write = true);
    let service = stage.worker.service();
    service.nudged.push(service.conns[2]);
    stage.told();
    // One turn: nothing may wake the worker for a second.
    stage.worker.turn().unwrap();
    let closed = Told::Closed(Cause::ServiceClosed);
    let told = stage.told();
    assert_eq!(told, [Told::Closed(Cause::Reset), closed.clone(), closed.clone(), closed]);
    assert!([0, 1, 3].iter().all(|i| stage.script.written(ids[*i]) == close_frame(1000, "")));
}

#[test]
fn who_is_ended_by_a_service_and_breaks_before_it_is_told_is_told_nevertheless() {
    let mut stage = Stage::new(&config());
    let ids: Vec<usize> = (0..3).map(|_| stage.open()).collect();
    for id in &ids {
        stage.send(*id, &masked(Opcode::Text, b"bind me"));
    }
    // The first to be written to breaks; then those that the service ends for it, by their Closes.
    ids.iter().for_each(|id| stage.script.peer(*id, |peer| peer.reset_on_write = true));
    let service = stage.worker.service();
    service.nudged.push(service.conns[0]);
    stage.told();
    stage.worker.turn().unwrap();
    let told = stage.told();
    let closed = Told::Closed(Cause::ServiceClosed);
    assert_eq!(told, [Told::Closed(Cause::Reset), closed.clone(), closed]);
    assert_eq!(stage.shared.connections(), 0);
}

#[test]
fn connections_that_a_service_closes_are_told_in_that_order() {
    let mut stage = Stage::new(&config());
    let ids: Vec<usize> = (0..5).map(|_| stage.open()).collect();
    let opened = stage.worker.service().conns.clone();
    stage.send(ids[3], &masked(Opcode::Text, b"close all"));
    assert_eq!(stage.worker.service().gone, opened);
}

#[test]
fn a_drain_lets_a_half_written_response_leave() {
    let mut stage = Stage::new(&config());
    let id = stage.script.connect();
    stage.script.peer(id, |peer| peer.room = 20);
    stage.send(id, b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n");
    stage.shared.begin_drain();
    stage.settle();
    assert!(!stage.script.is_closed(id));
    stage.script.make_room(id, usize::MAX);
    stage.settle();
    assert!(stage.script.written(id).ends_with(b"/a\n"));
    assert!(stage.script.peer(id, |peer| peer.finished), "and that was all");
}

#[test]
fn want_of_memory_is_waited_out_and_a_connection_that_can_not_be_watched_is_let_go() {
    // ENOMEM, ENFILE, ENOBUFS; and an errno that says nothing of want.
    for errno in [12, 23, 105, 1] {
        let mut stage = Stage::new(&config());
        let holder = stage.open();
        stage.script.refuse_accept(errno);
        let waiting = stage.script.connect();
        stage.settle();
        assert!(tries_again(&stage), "{errno}: {:?}", stage.script.timeout());
        stage.pass(Duration::from_millis(200));
        stage.send(waiting, &upgrade_request("/"));
        assert!(stage.script.written(waiting).starts_with(b"HTTP/1.1 101"), "{errno}");
        stage.script.refuse_register();
        let unwatched = stage.script.connect();
        stage.settle();
        assert!(stage.script.is_closed(unwatched));
        stage.send(holder, &masked(Opcode::Text, b"still here"));
        assert_eq!(stage.frames(holder).len(), 1);
        assert_eq!(stage.shared.connections(), 2);
    }
}

#[test]
fn a_wall_clock_that_is_set_moves_no_deadline() {
    let mut stage = Stage::new(&config());
    let silent = stage.open();
    for millis_ahead in [1 << 40, 0, 5_000] {
        stage.script.set_the_clock(millis_ahead);
        stage.settle();
        assert_eq!(stage.script.written(silent), b"", "no Ping, no Close");
    }
    stage.pass(seconds(46));
    let opcodes: Vec<Opcode> = stage.frames(silent).into_iter().map(|(opcode, _)| opcode).collect();
    assert_eq!(opcodes.iter().filter(|opcode| **opcode == Opcode::Ping).count(), 1);
}
