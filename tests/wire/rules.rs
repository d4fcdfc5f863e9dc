//! Every rule of RFC 6455 that a peer can break on an open connection, and what is right beside it.

use super::{KEY, Raw, SMALL, Seen, bytes, read, receive, serve};
use rollcall::internals::limits::MessageLimits;
use rollcall::internals::wire::close::{Close, CloseCode};
use rollcall::internals::wire::error::ProtocolError;
use rollcall::internals::wire::frame::Opcode::{self, Binary, Continuation, Ping, Pong, Text};
use rollcall::internals::wire::session::{Role, Session, SessionEvent};

fn refused(input: &[u8]) -> ProtocolError {
    let (seen, error) = serve(input);
    assert_eq!(seen, [], "an event came before the error");
    error.expect("an error")
}

#[test]
fn whole_messages_are_handed_on_in_place() {
    // §5.6
    let mut input = bytes(&[Raw::new(Text, "one"), Raw::new(Binary, [2; 300]), Raw::new(Text, "")]);
    let range = input.as_ptr_range();
    let mut session = Session::new(Role::Server);
    let mut at = 0;
    for _ in 0..3 {
        let (taken, event) = session.read(&SMALL, None, &mut input[at..]).unwrap();
        let Some(SessionEvent::Message(_, payload)) = event else { panic!("no message") };
        assert!(range.contains(&payload.as_ptr()) || payload.is_empty());
        at += taken;
        assert_eq!(session.held_bytes(), 0);
    }
    assert_eq!(at, input.len());
}

#[test]
fn unmasked_client_frame_is_refused() {
    // §5.1
    let frame = Raw { mask: None, ..Raw::new(Text, "a") };
    assert_eq!(refused(&frame.bytes()), ProtocolError::UnmaskedFromClient);
}

#[test]
fn masked_server_frame_is_refused() {
    // §5.1
    let frame = Raw { mask: Some(KEY), ..Raw::new(Text, "a") };
    assert_eq!(receive(Role::Client, &frame.bytes()), (vec![], Some(ProtocolError::MaskedFromServer)));
    let frame = Raw { mask: None, ..Raw::new(Text, "a") };
    assert_eq!(receive(Role::Client, &frame.bytes()), (vec![Seen::text("a")], None));
}

#[test]
fn reserved_bit_that_nobody_claimed_is_refused() {
    // §5.2
    for reserved in 1..8 {
        for opcode in [Text, Binary, Ping, Pong, Opcode::Close] {
            let frame = Raw { reserved, ..Raw::new(opcode, "") };
            assert_eq!(refused(&frame.bytes()), ProtocolError::ReservedBit);
        }
        let input = bytes(&[Raw::new(Text, "a").more(), Raw { reserved, ..Raw::new(Continuation, "b") }]);
        assert_eq!(refused(&input), ProtocolError::ReservedBit);
    }
}

#[test]
fn reserved_opcode_is_refused_from_its_first_byte() {
    // §5.2
    for opcode in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] {
        assert_eq!(refused(&[0x80 | opcode]), ProtocolError::ReservedOpcode);
        assert_eq!(refused(&[opcode]), ProtocolError::ReservedOpcode);
    }
}

#[test]
fn length_not_in_its_shortest_encoding_is_refused() {
    // §5.2
    for len in [0u16, 1, 125] {
        let [high, low] = len.to_be_bytes();
        assert_eq!(refused(&[0x82, 0xfe, high, low]), ProtocolError::LengthNotMinimal);
        assert_eq!(refused(&[0x82, 0xff, 0, 0, 0, 0, 0, 0, high, low]), ProtocolError::LengthNotMinimal);
    }
    assert_eq!(refused(&[0x82, 0xff, 0, 0, 0, 0, 0, 0]), ProtocolError::LengthNotMinimal);
}

#[test]
fn length_of_64_bits_is_refused_from_its_first_byte() {
    // §5.2
    assert_eq!(refused(&[0x82, 0xff, 0x80]), ProtocolError::LengthTooLarge);
}

#[test]
fn frame_over_the_limit_is_refused_from_its_header_and_allocates_nothing() {
    // §10.4
    for header in [
        &[0x82, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4][..],
        &[0x82, 0xff, 0, 0, 0, 0, 0, 1, 0, 0, 1, 2, 3, 4],
        &[0x82, 0xfe, 0x02, 0x59, 1, 2, 3, 4],
    ] {
        let mut session = Session::new(Role::Server);
        let result = read(&mut session, &SMALL, None, [header]);
        assert_eq!(result, (vec![], Some(ProtocolError::FrameTooBig)));
        assert_eq!(session.held_bytes(), 0);
    }
    assert_eq!(refused(&[0x82, 0xfe, 0x02, 0x59, 1, 2, 3, 4]), ProtocolError::FrameTooBig);
    assert_eq!(serve(&Raw::new(Binary, [0; 600]).bytes()), (vec![Seen::Binary(vec![0; 600])], None));
}

#[test]
fn message_over_the_limit_is_refused_from_the_header_that_would_pass_it() {
    // §10.4
    let within = [Raw::new(Binary, [1; 600]).more(), Raw::new(Continuation, [1; 400])];
    assert_eq!(serve(&bytes(&within)), (vec![Seen::Binary(vec![1; 1000])], None));
    let over = bytes(&[Raw::new(Binary, [1; 600]).more(), Raw::new(Continuation, [1; 401])]);
    assert_eq!(refused(&over[..over.len() - 401]), ProtocolError::MessageTooBig);
}

#[test]
fn memory_grows_with_what_arrived_not_with_what_was_declared() {
    // §10.4
    let limits = MessageLimits { max_message_bytes: 1 << 30, max_frame_bytes: 1 << 30, max_fragments: 2 };
    let mut session = Session::new(Role::Server);
    let header = [0x82, 0xff, 0, 0, 0, 0, 0x3f, 0xff, 0xff, 0xff, 1, 2, 3, 4];
    read(&mut session, &limits, None, [&header[..]]);
    let empty = session.held_bytes();
    assert!(empty <= 200, "{empty}");
    for arrived in (1000..200_000).step_by(1000) {
        read(&mut session, &limits, None, [&[0; 1000][..]]);
        assert!(session.held_bytes() <= empty + 2 * arrived, "{arrived}: {}", session.held_bytes());
    }
}

#[test]
fn buffer_of_a_message_never_passes_the_limit() {
    // §10.4
    let limits = MessageLimits { max_message_bytes: 1000, max_frame_bytes: 1000, max_fragments: 2000 };
    let mut session = Session::new(Role::Server);
    read(&mut session, &limits, None, [&Raw::new(Binary, "").more().bytes()[..]]);
    let empty = session.held_bytes();
    for _ in 0..1000 {
        read(&mut session, &limits, None, [&Raw::new(Continuation, "x").more().bytes()[..]]);
        assert!(session.held_bytes() <= empty + 1000);
    }
    assert!(session.held_bytes() >= empty + 1000);
}

#[test]
fn session_holds_nothing_once_its_message_is_handled() {
    let input =
        bytes(&[Raw::new(Text, "split over").more(), Raw::new(Ping, "p"), Raw::new(Continuation, " reads")]);
    for cut in 1..input.len() {
        let mut session = Session::new(Role::Server);
        let (seen, error) = read(&mut session, &SMALL, None, [&input[..cut], &input[cut..]]);
        assert_eq!((seen, error), (vec![Seen::Ping(b"p".to_vec()), Seen::text("split over reads")], None));
        assert_eq!(session.held_bytes(), 0, "{cut}");
    }
}

#[test]
fn finished_message_is_freed_by_the_next_read_too() {
    let mut input = bytes(&[Raw::new(Text, "a").more(), Raw::new(Continuation, "b"), Raw::new(Text, "c")]);
    let mut session = Session::new(Role::Server);
    let (taken, event) = session.read(&SMALL, None, &mut input).unwrap();
    assert!(event.is_some());
    assert!(session.held_bytes() > 0);
    let (_, event) = session.read(&SMALL, None, &mut input[taken..]).unwrap();
    assert!(event.is_some());
    assert_eq!(session.held_bytes(), 0);
}

#[test]
fn fragments_make_one_message() {
    // §5.4
    let frames = [Raw::new(Text, "a").more(), Raw::new(Continuation, "").more(), Raw::new(Continuation, "b")];
    assert_eq!(serve(&bytes(&frames)), (vec![Seen::text("ab")], None));
    let empty = [Raw::new(Binary, "").more(), Raw::new(Continuation, "")];
    assert_eq!(serve(&bytes(&empty)), (vec![Seen::Binary(vec![])], None));
}

#[test]
fn control_frames_may_come_between_fragments() {
    // §5.4, §5.5
    let frames = [
        Raw::new(Text, "a").more(),
        Raw::new(Ping, "1"),
        Raw::new(Pong, [7; 125]),
        Raw::new(Continuation, "b"),
        Raw::new(Ping, ""),
    ];
    let expected =
        vec![Seen::Ping(b"1".to_vec()), Seen::Pong(vec![7; 125]), Seen::text("ab"), Seen::Ping(vec![])];
    assert_eq!(serve(&bytes(&frames)), (expected, None));
}

#[test]
fn continuation_without_a_message_is_refused() {
    // §5.4
    assert_eq!(refused(&Raw::new(Continuation, "a").bytes()), ProtocolError::NothingToContinue);
    assert_eq!(refused(&Raw::new(Continuation, "").more().bytes()), ProtocolError::NothingToContinue);
    let (seen, error) = serve(&bytes(&[Raw::new(Text, "a"), Raw::new(Continuation, "b")]));
    assert_eq!((seen, error), (vec![Seen::text("a")], Some(ProtocolError::NothingToContinue)));
}

#[test]
fn message_inside_a_fragmented_one_is_refused() {
    // §5.4
    for opcode in [Text, Binary] {
        let input = bytes(&[Raw::new(Text, "a").more(), Raw::new(opcode, "b")]);
        assert_eq!(refused(&input), ProtocolError::MessageInterrupted);
    }
}

#[test]
fn fragments_are_counted_empty_ones_too() {
    // §10.4
    let mut frames =
        vec![Raw::new(Text, "").more(), Raw::new(Continuation, "").more(), Raw::new(Continuation, "").more()];
    frames.push(Raw::new(Continuation, ""));
    assert_eq!(serve(&bytes(&frames)), (vec![Seen::text("")], None));
    frames[3] = Raw::new(Continuation, "").more();
    frames.push(Raw::new(Continuation, ""));
    assert_eq!(refused(&bytes(&frames)), ProtocolError::TooManyFragments);
}

#[test]
fn control_frame_over_125_bytes_is_refused_from_two_bytes() {
    // §5.5
    for opcode in [0x88, 0x89, 0x8a] {
        assert_eq!(refused(&[opcode, 0xfe]), ProtocolError::ControlTooLong);
        assert_eq!(refused(&[opcode, 0xff]), ProtocolError::ControlTooLong);
    }
    assert_eq!(serve(&Raw::new(Ping, [1; 125]).bytes()), (vec![Seen::Ping(vec![1; 125])], None));
}

#[test]
fn fragmented_control_frame_is_refused_from_its_first_byte() {
    // §5.5
    for opcode in [0x08, 0x09, 0x0a] {
        assert_eq!(refused(&[opcode]), ProtocolError::ControlFragmented);
    }
}

#[test]
fn text_that_is_not_utf8_is_refused() {
    // §8.1
    for text in [&b"\xff"[..], b"a\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"cut \xe2\x82"] {
        assert_eq!(refused(&Raw::new(Text, text).bytes()), ProtocolError::NotUtf8);
        assert_eq!(serve(&Raw::new(Binary, text).bytes()), (vec![Seen::Binary(text.to_vec())], None));
    }
}

#[test]
fn character_may_be_cut_by_fragments_but_not_by_the_end() {
    // §5.6, §8.1
    let [first, second] = ["\u{20ac}".as_bytes().split_at(1).0, "\u{20ac}".as_bytes().split_at(1).1];
    let frames = [Raw::new(Text, first).more(), Raw::new(Continuation, second)];
    assert_eq!(serve(&bytes(&frames)), (vec![Seen::text("€")], None));
    let frames = [Raw::new(Text, first).more(), Raw::new(Continuation, "")];
    assert_eq!(refused(&bytes(&frames)), ProtocolError::NotUtf8);
}

#[test]
fn bad_byte_fails_before_the_rest_of_its_frame_arrives() {
    // §8.1
    let frame = Raw::new(Text, [b"good \xc3\x28".as_slice(), &[b'x'; 500]].concat()).bytes();
    let bad = 8 + 6;
    let mut session = Session::new(Role::Server);
    assert_eq!(read(&mut session, &SMALL, None, [&frame[..bad]]), (vec![], None));
    let result = read(&mut session, &SMALL, None, [&frame[bad..=bad]]);
    assert_eq!(result, (vec![], Some(ProtocolError::NotUtf8)));
}

#[test]
fn close_carries_its_code_and_reason() {
    // §5.5.1
    assert_eq!(serve(&Raw::new(Opcode::Close, "").bytes()), (vec![Seen::Close(None, String::new())], None));
    let close = Raw::new(Opcode::Close, b"\x03\xe9bye");
    assert_eq!(serve(&close.bytes()), (vec![Seen::Close(Some(CloseCode::GOING_AWAY), "bye".into())], None));
}

#[test]
fn close_with_a_broken_payload_is_refused() {
    // §5.5.1, §7.4
    for (payload, error) in [
        (&b"\x03"[..], ProtocolError::CloseTooShort),
        (b"\x03\xed", ProtocolError::CloseCodeInvalid),
        (b"\x03\xe8\xff", ProtocolError::CloseReasonNotUtf8),
    ] {
        let mut session = Session::new(Role::Server);
        let frame = Raw::new(Opcode::Close, payload).bytes();
        assert_eq!(read(&mut session, &SMALL, None, [&frame[..]]), (vec![], Some(error)));
        assert!(!session.close_received());
        assert_eq!(refused(&frame), error);
    }
}

#[test]
fn nothing_after_close_is_read() {
    // §5.5.1
    let frames = bytes(&[Raw::new(Text, "half").more(), Raw::new(Opcode::Close, "")]);
    let after = bytes(&[Raw::new(Text, "late"), Raw::new(Opcode::Close, "")]);
    let garbage = [0xff; 40];
    let mut session = Session::new(Role::Server);
    let result = read(&mut session, &SMALL, None, [&frames[..], &after, &garbage]);
    assert_eq!(result, (vec![Seen::Close(None, String::new())], None));
    assert!(session.close_received());
    assert_eq!(session.held_bytes(), 0);
}

#[test]
fn nothing_after_an_error_is_read() {
    // §7.1.7
    let mut session = Session::new(Role::Server);
    let (_, error) = read(&mut session, &SMALL, None, [&bytes(&[Raw::new(Text, "x").more()])[..], &[0x83]]);
    assert_eq!(error, Some(ProtocolError::ReservedOpcode));
    assert_eq!(session.held_bytes(), 0);
    assert_eq!(read(&mut session, &SMALL, None, [&Raw::new(Text, "late").bytes()[..]]), (vec![], None));
    assert!(!session.close_received());
}

#[test]
fn close_is_sent_once() {
    // §5.5.1
    let mut session = Session::new(Role::Server);
    let mut out = Vec::new();
    assert!(session.close(&Close::new(CloseCode::NORMAL, "done"), None, &mut out));
    assert!(session.close_sent());
    assert_eq!(out, b"\x88\x06\x03\xe8done");
    assert!(!session.close(&Close::default(), None, &mut out));
    assert_eq!(out.len(), 8);
    // What the peer sent before it saw the Close is still read.
    let (seen, _) =
        read(&mut session, &SMALL, None, [&bytes(&[Raw::new(Text, "a"), Raw::new(Opcode::Close, "")])[..]]);
    assert_eq!(seen, [Seen::text("a"), Seen::Close(None, String::new())]);
}

#[test]
fn session_is_sixteen_bytes() {
    assert!(size_of::<Session>() <= 16);
}
