//! What bytes cost that were made to be expensive: work grows with how many there are, and not with their square. The inputs
//! are so long that the square would take hours; what they may take is bounded so generously that no busy machine is near.

use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use super::Raw;
use rollcall::internals::limits::MessageLimits;
use rollcall::internals::wire::deflate::offer::{self, Mode};
use rollcall::internals::wire::frame::Opcode::{Continuation, Text};
use rollcall::internals::wire::http::{Fields, Head};
use rollcall::internals::wire::session::{Role, Session, SessionEvent};
use rollcall::internals::wire::upgrade::Upgrade;

const MOST: Duration = Duration::from_secs(60);

/// Feeds a session the same frame over and over.
fn repeat(session: &mut Session, frame: &[u8], times: usize) {
    let limits =
        MessageLimits { max_message_bytes: 64 << 20, max_frame_bytes: 1 << 20, max_fragments: u32::MAX };
    let begun = Instant::now();
    let mut buffer = Vec::new();
    for done in 0..times {
        buffer.clear();
        buffer.extend_from_slice(frame);
        assert!(matches!(
            session.read(&limits, None, &mut buffer),
            Ok((_, None | Some(SessionEvent::Ping(_))))
        ));
        if done % 4096 == 0 {
            assert!(begun.elapsed() < MOST, "{done} of {times} after {MOST:?}");
        }
    }
}

#[test]
fn a_text_in_fragments_of_one_byte_is_checked_once() {
    let mut session = Session::new(Role::Server);
    repeat(&mut session, &Raw::new(Text, "").more().bytes(), 1);
    repeat(&mut session, &Raw::new(Continuation, "x").more().bytes(), 3_000_000);
    // A character that is cut over and over: it is mended, not looked for from the start.
    for byte in "€".bytes().cycle().take(300_000) {
        repeat(&mut session, &Raw::new(Continuation, [byte]).more().bytes(), 1);
    }
    assert!(session.held_bytes() < 8 << 20, "{}", session.held_bytes());
}

#[test]
fn fields_of_websockets_are_read_in_one_pass() {
    let (done, is_done) = channel();
    thread::spawn(move || {
        read_fields();
        done.send(()).unwrap();
    });
    // Another thread waits: one that is lost in a field says nothing any more.
    is_done.recv_timeout(MOST).expect("read, and in time");
}

fn read_fields() {
    const LEN: usize = 4 << 20;
    let quoted = |inside: &str| {
        format!("permessage-deflate; server_max_window_bits=\"{}", inside.repeat(LEN / inside.len()))
    };
    let hard = [
        "a,".repeat(LEN / 2),
        ",".repeat(LEN),
        " ".repeat(LEN),
        " ,\t".repeat(LEN / 3),
        "a;a=a;".repeat(LEN / 6),
        format!("permessage-deflate{}", "; client_max_window_bits".repeat(LEN / 24)),
        "a".repeat(LEN),
        quoted("\\"),
        quoted("\\\""),
        quoted("1"),
    ];
    for field in &hard {
        let _ = offer::accept([field.as_bytes()].into_iter(), Mode::PerConnection);
    }
    // All that may stand in such a field of a request, in the most fields that a request may have.
    let fields = ["Extensions", "Protocol", "Key", "Version"];
    for (field, hard) in fields.iter().flat_map(|field| hard.iter().map(move |hard| (field, hard))) {
        let line = format!("Sec-WebSocket-{field}: {}\r\n", &hard[..240]);
        let head = format!(
            "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n{}\r\n",
            line.repeat(60)
        );
        for _ in 0..20 {
            let mut fields = Fields::new();
            if let Ok(head) = Head::parse(head.as_bytes(), &mut fields) {
                let _ = Upgrade::check(&head).map(|upgrade| upgrade.subprotocol(&[]).is_some());
                let _ = head.list("Sec-WebSocket-Protocol").count();
            }
        }
    }
}
