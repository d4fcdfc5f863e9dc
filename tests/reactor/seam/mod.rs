//! The service seam over real sockets: plain, TLS and Unix, three workers, with and without compression. Answers that come later
//! or in pieces, clients that leave meanwhile, timers, pauses, terms of one connection.

mod client;
mod probe;

use std::io::Write as _;

use rollcall::internals::reactor::{Cause, Deflate};
use rollcall::internals::wire::close::CloseCode;
use rollcall::internals::wire::frame::Opcode;

use self::client::{CARRIERS, Carrier, House, Leave};
use self::probe::{PIECE_BYTES, Told, piece};
use super::wires::{MODES, text};

/// Connections enough for all workers to have some.
const SOME: usize = 12;

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n")
}

fn on_each(modes: &[Deflate], test: impl Fn(&mut House)) {
    for carrier in CARRIERS {
        for deflate in modes {
            // The harness shows it where the test fails.
            eprintln!("over {carrier:?}, deflate {deflate:?}");
            let mut house = House::start(carrier, *deflate);
            test(&mut house);
            house.end();
        }
    }
}

#[test]
fn answers_come_later_from_other_workers_in_order_and_late_ones_are_told() {
    on_each(&[Deflate::Off], |house| {
        let mut clients: Vec<_> = (0..SOME).map(|_| house.connect()).collect();
        let requests = [get("/relay"), get("/now"), get("/relay"), get("/late/3"), get("/relay")].concat();
        for client in &mut clients {
            client.write_all(requests.as_bytes()).unwrap();
        }
        let mut workers = Vec::new();
        for client in &mut clients {
            let answers: Vec<_> = (0..5).map(|_| client.response()).collect();
            let bodies: Vec<_> = answers.iter().map(|(_, body)| String::from_utf8_lossy(body)).collect();
            assert!(bodies[0].starts_with("from ") && bodies[0] == bodies[2], "{bodies:?}");
            assert!(bodies[1] == "now 0\n" && bodies[4] == bodies[0], "{bodies:?}");
            assert!(answers[3].0.starts_with("HTTP/1.1 503 ") && answers[3].0.contains("Retry-After: 1"));
            assert_eq!(house.next(), Told::Abandoned("/late/3".to_owned()));
            workers.push(bodies[0].clone().into_owned());
        }
        workers.sort();
        workers.dedup();
        // The kernel spreads TCP connections, and one worker may take all of a Unix socket's.
        assert!(workers.len() > 1 || house.carrier == Carrier::Unix, "{workers:?}");
    });
}

#[test]
fn a_stream_arrives_whole_however_slowly_it_is_read_and_the_next_answer_behind_it() {
    const PIECES: usize = 800;
    on_each(&[Deflate::Off], |house| {
        let mut client = house.connect();
        client.write_all((get(&format!("/feed/{PIECES}")) + &get("/now")).as_bytes()).unwrap();
        // Nobody reads: all buffers between here and there are full.
        assert_eq!(house.next(), Told::Backlogged);
        let (head, body) = client.response();
        assert!(head.contains("\r\nTransfer-Encoding: chunked\r\n"), "{head}");
        assert_eq!(body.len(), PIECES * PIECE_BYTES);
        assert!(body.chunks(PIECE_BYTES).enumerate().all(|(n, part)| part == piece(n)));
        assert_eq!(client.response().1, b"now 0\n");
        let mut old = house.connect();
        old.write_all(b"GET /feed/30 HTTP/1.0\r\n\r\n").unwrap();
        let (head, body) = old.response();
        assert!(!head.contains("chunked") && body.len() == 30 * PIECE_BYTES, "{head}: {}", body.len());
    });
}

#[test]
fn a_service_hears_that_a_client_has_left_however_it_leaves() {
    on_each(&[Deflate::Off], |house| {
        for leave in [Leave::Reset, Leave::Closed, Leave::Ended] {
            eprintln!("{leave:?}");
            let mut client = house.connect();
            client.write_all(get("/drip").as_bytes()).unwrap();
            client.read_head();
            client.read_bytes(3 * PIECE_BYTES);
            let kept = client.leave(leave);
            assert_eq!(house.next(), Told::Abandoned("/drip".to_owned()), "{leave:?}");
            drop(kept);
        }
        // A Unix socket knows no reset where nothing is unread.
        if house.carrier != Carrier::Unix {
            let mut client = house.connect();
            client.write_all(get("/wait/100000").as_bytes()).unwrap();
            assert_eq!(house.next(), Told::Waits);
            assert!(client.leave(Leave::Reset).is_none());
            assert_eq!(house.next(), Told::Abandoned("/wait/100000".to_owned()));
        }
        // One that has only ended its stream still reads.
        let mut client = house.connect();
        client.write_all(get("/relay").as_bytes()).unwrap();
        let mut client = client.leave(Leave::Ended).unwrap();
        assert!(client.response().1.starts_with(b"from "), "it was asked for before");
    });
}

#[test]
fn timers_and_pauses_hold_on_every_wire() {
    on_each(&MODES, |house| {
        let mut clients: Vec<_> = (0..SOME).map(|_| house.open("/")).collect();
        for (n, client) in clients.iter_mut().enumerate() {
            client.say(Opcode::Text, b"timer 2");
            assert_eq!(client.hear(), b"time");
            // More than all buffers hold, while it is not read.
            client.say(Opcode::Text, b"pause 5");
            let message = [b"count ", &text(n, 20_000)[..]].concat();
            for _ in 0..if n == 0 { 400 } else { 5 } {
                client.say(Opcode::Text, &message);
            }
            client.say(Opcode::Text, &message[..3_000]);
            assert_eq!(client.hear(), b"time");
            for _ in 0..if n == 0 { 400 } else { 5 } {
                assert_eq!(client.hear(), format!("{} bytes", message.len()).into_bytes());
            }
            assert_eq!(client.hear(), b"3000 bytes");
            // And back, compressed where that was agreed.
            let message = text(n, 9_000);
            client.say(Opcode::Text, &message);
            assert!(client.hear() == message);
        }
    });
}

#[test]
fn terms_of_one_connection_hold_on_every_wire() {
    on_each(&MODES, |house| {
        let mut usual = house.open("/");
        let mut small = house.open("/small");
        let mut narrow = house.open("/narrow");
        let _quick = house.open("/quick");
        assert_eq!(house.next(), Told::Closed("/quick".to_owned(), Cause::Timeout), "it answers no Ping");
        small.say(Opcode::Text, b"0123456789");
        assert_eq!(small.hear(), b"0123456789");
        small.say(Opcode::Text, &[b'x'; 2_000]);
        assert_eq!(small.close_code(), CloseCode::TOO_BIG.0);
        assert_eq!(house.next(), Told::Closed("/small".to_owned(), Cause::Protocol));
        narrow.say(Opcode::Text, b"flood 50");
        assert_eq!(house.next(), Told::Queued(10));
        usual.say(Opcode::Text, b"flood 50");
        assert_eq!(house.next(), Told::Queued(50));
        usual.say(Opcode::Text, &[b'x'; 2_000]);
        (0..50).for_each(|_| assert_eq!(usual.hear(), [b'x'; 96]));
        assert_eq!(usual.hear(), [b'x'; 2_000]);
    });
}
