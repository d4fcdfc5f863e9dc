//! HTTP through a worker: parts, pipelines, late answers, and what ends the connection.

use std::time::Duration;

use rollcall::internals::limits::HEAD_BYTES_MAX;
use rollcall::internals::reactor::Config;
use rollcall::internals::wire::frame::Opcode;

use super::kit::{SECOND, Stage, Told, config, masked, plain, seconds, upgrade_request};
use super::slow::House;

const GET: &[u8] = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n";

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The statuses of the responses in what was written.
fn statuses(written: &[u8]) -> Vec<u16> {
    let text = text(written);
    text.match_indices("HTTP/1.1 ").map(|(at, _)| text[at + 9..at + 12].parse().unwrap()).collect()
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let mut stage = Stage::new(&config());
    let id = stage.script.connect();
    stage.send(id, b"GET /1 HTTP/1.1\r\nHost: x\r\n\r\nHEAD /2 HTTP/1.1\r\nHost: x\r\n\r\nGET /3 HTTP/1.1\r\nHost: x\r\n\r\n");
    let written = text(&stage.script.written(id));
    assert_eq!(statuses(written.as_bytes()), [200; 3]);
    assert!(written.contains("/1\n") && !written.contains("/2\n") && written.ends_with("/3\n"), "{written}");
    assert!(!stage.script.is_closed(id));
}

#[test]
fn a_request_in_single_bytes_is_one_request() {
    let mut stage = Stage::new(&config());
    let id = stage.script.connect();
    let request = b"POST /p HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\nGET /q HTTP/1.1\r\nHost: x\r\n\r\n";
    for byte in request {
        stage.send(id, &[*byte]);
    }
    let told = stage.told();
    assert_eq!(told, [Told::Request("/p".into(), b"abc".to_vec()), Told::Request("/q".into(), vec![])]);
    assert_eq!(stage.worker.held_bytes(), 0);
}

#[test]
fn a_client_that_expects_it_is_told_once_to_go_on() {
    let mut stage = Stage::new(&config());
    let id = stage.script.connect();
    stage.send(id, b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
    assert_eq!(stage.script.written(id), b"HTTP/1.1 100 Continue\r\n\r\n");
    stage.send(id, b"he");
    assert_eq!(stage.script.written(id), b"");
    stage.send(id, b"llo");
    assert_eq!(statuses(&stage.script.written(id)), [200]);
    assert_eq!(stage.told(), [Told::Request("/".into(), b"hello".to_vec())]);
}

#[test]
fn an_answer_may_come_later_and_what_is_behind_it_waits() {
    let mut stage = Stage::new(&config());
    let id = stage.script.connect();
    stage.send(id, &[b"GET /later HTTP/1.1\r\nHost: x\r\n\r\n", GET].concat());
    assert_eq!(stage.script.written(id), b"");
    stage.told();
    stage.pass(Duration::from_millis(500));
    stage.script.connect();
    stage.settle();
    let written = text(&stage.script.written(id));
    assert!(written.find("at last").unwrap() < written.find("/a\n").unwrap(), "{written}");
}

#[test]
fn a_server_that_was_late_gives_the_service_its_turn_before_it_refuses() {
    let mut stage = Stage::new(&config());
    let id = stage.script.connect();
    stage.settle();
    stage.send(id, b"GET /later HTTP/1.1\r\nHost: x\r\n\r\n");
    // The worker comes back two seconds later; in that turn the service answers.
    stage.script.advance(seconds(2));
    stage.told();
    stage.settle();
    let said = String::from_utf8(stage.script.written(id)).unwrap();
    assert!(said.contains("200 OK") && said.contains("at last") && !said.contains("503"), "{said}");
}

#[test]
fn an_answer_that_does_not_come_is_503_after_a_second() {
    let mut stage = Stage::new(&config());
    let id = stage.script.connect();
    stage.send(id, &[b"GET /later HTTP/1.1\r\nHost: x\r\n\r\n", GET].concat());
    stage.pass(Duration::from_millis(900));
    assert_eq!(stage.script.written(id), b"");
    stage.pass(Duration::from_millis(200));
    assert_eq!(statuses(&stage.script.written(id)), [503, 200]);
}

#[test]
fn no_refusal_of_a_head_request_has_a_body() {
    // RFC 9110 §9.3.2
    let long = format!("HEAD / HTTP/1.1\r\nHost: x\r\nA: {}", "x".repeat(HEAD_BYTES_MAX));
    let upgrade = String::from_utf8(upgrade_request("/")).unwrap().replace("GET", "HEAD");
    for (request, status) in [
        ("HEAD / HTTP/1.1\r\n\r\n", 400),
        ("HEAD / HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n", 400),
        ("HEAD / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n", 413),
        ("HEAD / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
        ("HEAD / HTTP/2.0\r\nHost: x\r\n\r\n", 505),
        (long.as_str(), 431),
        (upgrade.as_str(), 405),
        ("HEAD / HTTP/1.1\r\nHost: x\r\n", 408),
    ] {
        for method in ["HEAD", "GET"] {
            let mut stage = Stage::new(&config());
            let id = stage.script.connect();
            stage.send(id, request.replacen("HEAD", method, 1).as_bytes());
            stage.pass(seconds(11));
            let written = text(&stage.script.written(id));
            if method == "HEAD" || status != 405 {
                assert_eq!(statuses(written.as_bytes()), [status], "{method} {request}");
                assert_eq!(written.ends_with("\r\n\r\n"), method == "HEAD", "{request}: {written}");
            }
        }
    }
}

#[test]
fn an_upgrade_in_http_1_0_is_a_plain_request() {
    // RFC 9110 §7.8
    let mut stage = Stage::new(&config());
    let id = stage.script.connect();
    let request = String::from_utf8(upgrade_request("/a")).unwrap().replace("HTTP/1.1", "HTTP/1.0");
    stage.send(id, request.as_bytes());
    assert_eq!(statuses(&stage.script.written(id)), [200]);
    assert_eq!(stage.told(), [Told::Request("/a".into(), vec![])]);
}

#[test]
fn empty_lines_before_a_request_are_ignored_and_begin_none() {
    // RFC 9112 §2.2
    for lines in [&b"\r\n"[..], b"\r\n\r\n\r\n", b"\r"] {
        let mut stage = Stage::new(&config());
        let id = stage.script.connect();
        stage.send(id, &[&b"\r\n"[..], GET, lines].concat());
        assert_eq!(statuses(&stage.script.written(id)), [200]);
        // The next request has as long as if nothing had come, and the line may come in parts.
        stage.pass(seconds(60));
        assert_eq!(stage.script.written(id), b"");
        let rest = if lines == b"\r" { &b"\n"[..] } else { lines };
        stage.send(id, &[rest, GET].concat());
        assert_eq!(statuses(&stage.script.written(id)), [200]);
        stage.send(id, lines);
        stage.pass(seconds(76));
        assert!(stage.script.is_closed(id));
        assert_eq!(stage.script.written(id), b"", "and none is refused");
    }
}

#[test]
fn the_body_of_a_request_that_is_refused_by_its_head_is_not_read() {
    for framing in ["Content-Length: 100000", "Transfer-Encoding: chunked", "Content-Length: 99999999999"] {
        let mut stage = Stage::new(&config());
        let id = stage.script.connect();
        let head = format!("POST /nowhere HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n{framing}\r\n\r\n");
        stage.send(id, head.as_bytes());
        assert_eq!(statuses(&stage.script.written(id)), [404], "{framing}");
        stage.send(id, &[b'x'; 10_000]);
        assert_eq!((stage.worker.held_bytes(), stage.told()), (0, vec![]), "{framing}");
    }
}

#[test]
fn without_a_key_no_body_is_read_for_the_api() {
    for (line, status) in [
        ("POST /api/v1/broadcast", 401),
        ("GET /api/v1/users", 401),
        ("GET /metrics", 401),
        ("POST /nowhere", 404),
        ("POST /healthz", 405),
    ] {
        for framing in ["Content-Length: 100000", "Transfer-Encoding: chunked", "Content-Length: 99999999999"]
        {
            let mut house = House::new(&config());
            let id = house.script.connect();
            let head = format!("{line} HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n{framing}\r\n\r\n");
            house.script.arrive(id, head.as_bytes());
            house.script.settle(&mut house.worker);
            assert_eq!(statuses(&house.script.written(id)), [status], "{line} {framing}");
            house.script.arrive(id, &[b'x'; 10_000]);
            house.script.settle(&mut house.worker);
            assert_eq!(house.worker.held_bytes(), 0, "{line} {framing}");
        }
    }
}

#[test]
fn nothing_behind_a_refused_upgrade_is_read_as_a_request() {
    let mut stage = Stage::new(&config());
    let id = stage.script.connect();
    stage.send(id, &[upgrade_request("/no"), GET.to_vec()].concat());
    assert_eq!(statuses(&stage.script.written(id)), [404]);
    stage.send(id, GET);
    assert_eq!(stage.script.written(id), b"");
    assert_eq!(stage.told(), []);
    assert!(stage.script.peer(id, |peer| peer.finished));
    stage.pass(seconds(6));
    assert!(stage.script.is_closed(id));
}

#[test]
fn a_head_over_the_limit_is_431_complete_or_not() {
    for request in [
        vec![b'a'; HEAD_BYTES_MAX + 1],
        format!("GET / HTTP/1.1\r\nA: {}\r\n\r\n", "b".repeat(HEAD_BYTES_MAX)).into(),
    ] {
        let mut stage = Stage::new(&config());
        let id = stage.script.connect();
        stage.send(id, &request);
        assert_eq!(statuses(&stage.script.written(id)), [431]);
    }
}

#[test]
fn a_body_over_the_limit_is_413() {
    let mut stage = Stage::new(&Config { max_body_bytes: 10, ..config() });
    let id = stage.script.connect();
    stage.send(id, b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\n");
    assert_eq!(statuses(&stage.script.written(id)), [413]);
}

#[test]
fn a_dribbled_head_has_a_deadline_in_all() {
    let mut stage = Stage::new(&config());
    let id = stage.script.connect();
    for byte in GET.iter().take(20) {
        stage.send(id, &[*byte]);
        stage.pass(Duration::from_millis(600));
    }
    assert_eq!(statuses(&stage.script.written(id)), [408]);
}

#[test]
fn a_dribbled_body_has_a_deadline_in_all() {
    let bodies: [(&[u8], Vec<u8>, usize); 2] = [
        (b"Content-Length: 100\r\n\r\n", vec![b'x'; 100], 1),
        (b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n".repeat(100), 6),
    ];
    for (framing, body, at_a_time) in &bodies {
        for before in [b"", GET] {
            let mut stage = Stage::new(&config());
            let id = stage.script.connect();
            stage.send(id, &[before, b"POST /up HTTP/1.1\r\nHost: x\r\n", framing].concat());
            stage.told();
            for part in body.chunks(*at_a_time).take(20) {
                stage.send(id, part);
                stage.pass(Duration::from_millis(600));
            }
            let expected: &[u16] = if before.is_empty() { &[408] } else { &[200, 408] };
            assert_eq!(statuses(&stage.script.written(id)), expected);
            assert_eq!(stage.told(), []);
        }
    }
}

#[test]
fn a_request_that_completes_in_the_tick_of_its_deadline_is_too_late() {
    let mut stage = Stage::new(&config());
    let id = stage.script.connect();
    stage.settle();
    stage.script.advance(seconds(10));
    stage.send(id, GET);
    assert_eq!(statuses(&stage.script.written(id)), [408]);
}

#[test]
fn a_second_dribbled_request_has_a_deadline_too() {
    let mut stage = Stage::new(&config());
    let id = stage.script.connect();
    stage.send(id, GET);
    stage.pass(seconds(60));
    stage.send(id, &GET[..5]);
    stage.pass(seconds(9));
    assert!(!stage.script.is_closed(id));
    stage.pass(seconds(2));
    assert_eq!(statuses(&stage.script.written(id)), [200, 408]);
}

#[test]
fn a_kept_connection_without_a_request_ends_quietly() {
    let mut stage = Stage::new(&config());
    let id = stage.script.connect();
    stage.send(id, GET);
    stage.script.written(id);
    stage.pass(seconds(74));
    assert!(!stage.script.is_closed(id));
    stage.pass(seconds(2));
    assert!(stage.script.is_closed(id));
    assert_eq!(stage.script.written(id), b"");
}

#[test]
fn a_client_that_ends_its_stream_is_still_answered() {
    let mut stage = Stage::new(&config());
    let id = stage.script.connect();
    stage.script.arrive(id, GET);
    stage.script.end(id);
    stage.settle();
    assert_eq!(statuses(&stage.script.written(id)), [200]);
    assert!(stage.script.is_closed(id));
}

#[test]
fn a_late_answer_reaches_a_client_that_has_ended_its_stream() {
    let mut stage = Stage::new(&config());
    let id = stage.script.connect();
    stage.script.arrive(id, b"GET /later HTTP/1.1\r\nHost: x\r\n\r\n");
    stage.script.end(id);
    stage.settle();
    assert!(!stage.script.is_closed(id));
    stage.pass(SECOND * 2);
    assert_eq!(statuses(&stage.script.written(id)), [503]);
    assert!(stage.script.is_closed(id));
}

#[test]
fn connection_close_and_http_1_0_end_the_connection() {
    for request in [&b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"[..], b"GET / HTTP/1.0\r\n\r\n"]
    {
        let mut stage = Stage::new(&config());
        let id = stage.script.connect();
        stage.send(id, &[request, GET].concat());
        assert_eq!(statuses(&stage.script.written(id)), [200]);
        assert!(stage.script.peer(id, |peer| peer.finished));
    }
}

#[test]
fn a_body_in_small_chunks_is_served_though_its_framing_is_much() {
    let mut stage = Stage::new(&config());
    let id = stage.script.connect();
    stage.send(id, b"POST /up HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
    let chunk = [b"40\r\n", [b'x'; 64].as_slice(), b"\r\n"].concat();
    for _ in 0..100 {
        stage.send(id, &chunk.repeat(160));
    }
    stage.send(id, b"0\r\n\r\n");
    assert_eq!(statuses(&stage.script.written(id)), [200]);
    assert!(stage.told() == [Told::Request("/up".into(), vec![b'x'; 64 * 16_000])]);
}

#[test]
fn framing_that_outweighs_the_body_by_far_is_413() {
    let mut stage = Stage::new(&Config { max_body_bytes: 10_000, ..config() });
    let id = stage.script.connect();
    stage.send(id, b"POST /up HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
    // 5,000 bytes of data in 30,000.
    for _ in 0..50 {
        stage.send(id, &b"1\r\nx\r\n".repeat(100));
    }
    stage.send(id, b"0\r\n\r\n");
    assert_eq!(statuses(&stage.script.written(id)), [413]);
    assert_eq!(stage.told(), []);
}

#[test]
fn an_answer_that_comes_too_late_is_not_the_answer_to_the_next_request() {
    let mut stage = Stage::new(&config());
    let id = stage.script.connect();
    stage.send(id, b"GET /later HTTP/1.1\r\nHost: x\r\n\r\n");
    let first = stage.worker.service().later[0];
    stage.pass(SECOND * 2);
    assert_eq!(statuses(&stage.script.written(id)), [503]);
    stage.send(id, b"GET /later HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_ne!(stage.worker.service().later[1], first);
    stage.worker.service().later.truncate(1);
    stage.told();
    stage.settle();
    assert_eq!(stage.script.written(id), b"");
}

#[test]
fn a_second_request_is_given_no_more_time_for_each_byte_of_it() {
    let mut stage = Stage::new(&config());
    let id = stage.script.connect();
    stage.send(id, GET);
    stage.script.written(id);
    for byte in GET.iter().take(20) {
        stage.send(id, &[*byte]);
        stage.pass(Duration::from_millis(600));
    }
    assert_eq!(statuses(&stage.script.written(id)), [408]);
}

#[test]
fn a_dribbled_request_behind_another_has_a_deadline_of_its_own() {
    let mut stage = Stage::new(&config());
    let id = stage.script.connect();
    let (begun, rest) = GET.split_at(9);
    stage.send(id, begun);
    for _ in 0..2 {
        stage.pass(seconds(5));
        stage.send(id, &[rest, begun].concat());
    }
    stage.pass(seconds(9));
    assert_eq!(statuses(&stage.script.written(id)), [200, 200]);
    stage.pass(seconds(2));
    assert_eq!(statuses(&stage.script.written(id)), [408]);
}

#[test]
fn a_dribbled_request_behind_a_late_answer_has_a_deadline_too() {
    let mut stage = Stage::new(&config());
    let id = stage.script.connect();
    stage.send(id, &[b"GET /later HTTP/1.1\r\nHost: x\r\n\r\n", &GET[..9]].concat());
    stage.pass(seconds(10));
    assert_eq!(statuses(&stage.script.written(id)), [503]);
    stage.pass(seconds(2));
    assert_eq!(statuses(&stage.script.written(id)), [408]);
}

#[test]
fn no_control_frame_overtakes_the_answer_to_the_upgrade() {
    let mut stage = Stage::new(&config());
    let id = stage.script.connect();
    stage.script.peer(id, |peer| peer.room = 20);
    stage.send(id, &[GET, &upgrade_request("/")].concat());
    stage.send(id, &masked(Opcode::Ping, b"early"));
    stage.script.make_room(id, usize::MAX);
    stage.settle();
    let written = stage.script.written(id);
    assert_eq!(statuses(&written), [200, 101]);
    assert!(written.ends_with(&plain(Opcode::Pong, b"early")), "{}", text(&written));
}
