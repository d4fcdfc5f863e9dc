//! How slowly a client may take what it is sent: one rule for responses and messages, plain and over TLS.

use std::time::Duration;

use rollcall::internals::limits::BACKLOG_HALVES_TICKS;
use rollcall::internals::reactor::{Cause, Config};
use rollcall::internals::wire::frame::Opcode;

use super::kit::{Stage, close_frame, config, masked, seconds};
use super::tls::kit::Secure;

const LENGTH: usize = 100_000;

/// A request whose answer is as long as its target.
fn request(close: bool) -> Vec<u8> {
    let close = if close { "Connection: close\r\n" } else { "" };
    format!("GET /{} HTTP/1.1\r\nHost: x\r\n{close}\r\n", "a".repeat(LENGTH)).into_bytes()
}

fn roomy() -> Config {
    Config { max_head_bytes: 2 * LENGTH, ..config() }
}

/// Takes so many bytes each time, with so long between them, until it has the response or the connection ends; the kernel tells
/// of that or (not `told`) doesn't. Returns how many it got.
fn read_slowly(stage: &mut Stage, id: usize, bytes: usize, pause: Duration, told: bool) -> usize {
    let mut got = 0;
    for _ in 0..2 * LENGTH / bytes {
        stage.pass(pause);
        if told {
            stage.script.make_room(id, bytes);
        } else {
            stage.script.peer(id, |peer| peer.room += bytes);
        }
        stage.settle();
        got += stage.script.written(id).len();
        if stage.script.is_closed(id) || got > LENGTH {
            break;
        }
    }
    got
}

#[test]
fn a_response_is_not_cut_off_while_some_of_it_is_taken() {
    for (close, pause) in [(true, seconds(4)), (false, seconds(10))] {
        let mut stage = Stage::new(&roomy());
        let id = stage.script.connect();
        stage.script.peer(id, |peer| peer.room = 0);
        stage.send(id, &request(close));
        let got = read_slowly(&mut stage, id, 5_000, pause, true);
        assert!(got > LENGTH, "{got} bytes, {close}");
        // It has a while for the next request from when it has the last answer.
        if !close {
            stage.pass(seconds(70));
            stage.script.make_room(id, usize::MAX);
            stage.send(id, b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n");
            assert!(stage.script.written(id).ends_with(b"/a\n"));
        }
    }
}

#[test]
fn a_response_is_not_cut_off_where_the_kernel_does_not_say_that_some_was_taken() {
    let mut stage = Stage::new(&roomy());
    let id = stage.script.connect();
    stage.script.peer(id, |peer| peer.room = 0);
    stage.send(id, &request(true));
    let got = read_slowly(&mut stage, id, 5_000, seconds(4), false);
    assert!(got > LENGTH, "{got} bytes");
}

#[test]
fn pipelined_answers_are_not_cut_off_while_some_of_them_is_taken() {
    let mut stage = Stage::new(&roomy());
    let id = stage.script.connect();
    stage.script.peer(id, |peer| peer.room = 0);
    stage.send(id, &request(false).repeat(4));
    let mut got = 0;
    while got <= 4 * LENGTH {
        stage.pass(seconds(10));
        stage.script.make_room(id, 20_000);
        stage.settle();
        got += stage.script.written(id).len();
        assert!(!stage.script.is_closed(id), "after {got} bytes");
    }
}

#[test]
fn a_response_over_tls_is_not_cut_off_while_some_of_it_is_taken() {
    for close in [true, false] {
        let mut secure = Secure::with(&roomy(), rustls::ALL_VERSIONS);
        let mut client = secure.connect();
        client.settle(&mut secure.stage);
        secure.stage.script.peer(client.id, |peer| peer.room = 0);
        client.send(&mut secure.stage, &request(close));
        for _ in 0..24 {
            secure.stage.pass(seconds(4));
            secure.stage.script.make_room(client.id, 5_000);
            secure.stage.settle();
            client.take(&secure.stage.script);
        }
        let got = client.received();
        assert!(got.len() > LENGTH && got.ends_with(b"a\n"), "{} bytes", got.len());
        assert_eq!(client.ended, close);
    }
}

#[test]
fn half_an_empty_line_behind_a_request_does_not_cut_its_response_off() {
    let mut stage = Stage::new(&roomy());
    let id = stage.script.connect();
    stage.script.peer(id, |peer| peer.room = 0);
    stage.send(id, b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n\r");
    for _ in 0..12 {
        stage.pass(seconds(10));
        stage.script.make_room(id, 4);
        stage.settle();
        assert!(!stage.script.is_closed(id));
    }
}

#[test]
fn a_close_behind_a_backlog_is_heard_by_one_that_reads() {
    let mut stage = Stage::new(&Config { max_backlog_bytes: 1 << 20, ..config() });
    let id = stage.open();
    stage.script.peer(id, |peer| peer.room = 0);
    stage.send(id, &masked(Opcode::Binary, &vec![b'x'; 50_000]));
    stage.send(id, &masked(Opcode::Text, b"close me"));
    let mut got = Vec::new();
    for _ in 0..12 {
        stage.pass(seconds(4));
        stage.script.make_room(id, 5_000);
        stage.settle();
        got.extend(stage.script.written(id));
    }
    assert!(got.ends_with(&close_frame(4403, "as you wish")), "{} bytes", got.len());
    // From then on the client's Close is waited for.
    assert!(!stage.script.is_closed(id));
    stage.pass(seconds(6));
    assert!(stage.script.is_closed(id));
}

#[test]
fn one_that_takes_nothing_is_not_waited_for() {
    for (close, time) in [(true, 21), (false, 21)] {
        let mut stage = Stage::new(&roomy());
        let id = stage.script.connect();
        stage.script.peer(id, |peer| peer.room = 0);
        stage.send(id, &request(close));
        stage.pass(seconds(time));
        assert!(stage.script.is_closed(id));
    }
}

#[test]
fn a_backlog_of_which_not_half_is_taken_in_two_minutes_ends() {
    // Half of it is 12,000 bytes, 100 in each second.
    for (each, stays) in [(101, true), (99, false)] {
        let mut stage = Stage::new(&Config { max_backlog_bytes: 1 << 20, ..config() });
        let id = stage.open();
        stage.script.peer(id, |peer| peer.room = 10);
        stage.send(id, &masked(Opcode::Binary, &vec![b'x'; 24_000]));
        let mut open = true;
        for _ in 0..BACKLOG_HALVES_TICKS / 100 + 2 {
            stage.script.make_room(id, each);
            stage.pass(seconds(1));
            stage.send(id, &masked(Opcode::Pong, b""));
            open &= !stage.script.is_closed(id);
        }
        assert_eq!(open, stays, "{each} bytes a second");
        assert_eq!(stage.worker.service().causes(), if stays { vec![] } else { vec![Cause::Slow] });
    }
}

#[test]
fn one_that_reads_is_not_ended_by_what_comes_meanwhile() {
    let mut stage = Stage::new(&Config { max_backlog_bytes: 1 << 20, ..config() });
    let id = stage.open();
    stage.script.peer(id, |peer| peer.room = 0);
    stage.send(id, &masked(Opcode::Binary, &vec![b'x'; 30_000]));
    // It reads as fast as it is sent more: the backlog stays as long as it is, and none of it for long.
    for _ in 0..300 {
        stage.script.make_room(id, 1_004);
        stage.pass(seconds(1));
        stage.send(id, &masked(Opcode::Binary, &[b'x'; 1_000]));
        assert!(!stage.script.is_closed(id));
    }
}
