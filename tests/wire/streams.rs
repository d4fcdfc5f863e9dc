//! A stream of frames is the same stream however it is cut into reads, and is what was meant.

use super::{Raw, SMALL, Seen, bytes, cases, read, read_onto};
use proptest::prelude::*;
use rollcall::internals::wire::frame::Opcode::{self, Binary, Continuation, Ping, Pong, Text};
use rollcall::internals::wire::session::{Role, Session};

/// One message or control frame, as it is meant.
fn meant() -> impl Strategy<Value = Seen> {
    let payload = prop::collection::vec(any::<u8>(), 0..=130);
    let control = prop::collection::vec(any::<u8>(), 0..=125);
    prop_oneof![
        "[ -~é€😀]{0,40}".prop_map(Seen::Text),
        payload.prop_map(Seen::Binary),
        control.clone().prop_map(Seen::Ping),
        control.prop_map(Seen::Pong),
    ]
}

/// The frames of a message, cut at `cuts` (they may be equal: an empty fragment).
fn fragments(opcode: Opcode, payload: &[u8], cuts: &[prop::sample::Index]) -> Vec<Raw> {
    let mut ends: Vec<usize> = cuts.iter().map(|cut| cut.index(payload.len() + 1)).collect();
    ends.sort_unstable();
    ends.push(payload.len());
    let mut start = 0;
    let mut frames = Vec::new();
    for end in ends {
        let opcode = if frames.is_empty() { opcode } else { Continuation };
        frames.push(Raw::new(opcode, &payload[start..end]).more());
        start = end;
    }
    if let Some(last) = frames.last_mut() {
        last.fin = true;
    }
    frames
}

fn frames(seen: &Seen, cuts: &[prop::sample::Index]) -> Vec<Raw> {
    match seen {
        Seen::Text(text) => fragments(Text, text.as_bytes(), cuts),
        Seen::Binary(payload) => fragments(Binary, payload, cuts),
        Seen::Ping(payload) => vec![Raw::new(Ping, payload)],
        Seen::Pong(payload) => vec![Raw::new(Pong, payload)],
        Seen::Close(..) => vec![Raw::new(Opcode::Close, "")],
    }
}

/// `input` cut into reads of the given sizes, over and over.
fn parts<'i>(mut input: &'i [u8], sizes: &'i [usize]) -> impl Iterator<Item = &'i [u8]> {
    sizes.iter().cycle().map_while(move |size| {
        let (part, rest) = input.split_at_checked(*size).unwrap_or((input, &[]));
        input = rest;
        (!part.is_empty()).then_some(part)
    })
}

proptest! {
    #![proptest_config(cases(256))]

    #[test]
    fn messages_arrive_as_they_were_meant(
        messages in prop::collection::vec((meant(), prop::collection::vec(any::<prop::sample::Index>(), 0..3)), 0..8),
        keys in any::<[u8; 4]>(),
        sizes in prop::collection::vec(1..200usize, 1..6),
    ) {
        let mut stream: Vec<Raw> = messages.iter().flat_map(|(message, cuts)| frames(message, cuts)).collect();
        for frame in &mut stream {
            frame.mask = Some(keys);
        }
        let input = bytes(&stream);
        let expected: Vec<Seen> = messages.into_iter().map(|(message, _)| message).collect();
        let mut session = Session::new(Role::Server);
        prop_assert_eq!(read_onto(&mut session, parts(&input, &sizes)), (expected.clone(), None));
        prop_assert_eq!(session.held_bytes(), 0);
        prop_assert_eq!(read(&mut session, &SMALL, None, parts(&input, &sizes)), (expected, None));
        prop_assert_eq!(session.held_bytes(), 0);
    }

    #[test]
    fn client_reads_what_a_server_may_send(message in meant(), sizes in prop::collection::vec(1..50usize, 1..6)) {
        let frames: Vec<Raw> = frames(&message, &[]).into_iter().map(|frame| Raw { mask: None, ..frame }).collect();
        let input = bytes(&frames);
        let seen = read(&mut Session::new(Role::Client), &SMALL, None, parts(&input, &sizes));
        prop_assert_eq!(seen, (vec![message], None));
    }

    #[test]
    fn any_bytes_give_the_same_events_and_error_under_any_chunking(
        noise in prop::collection::vec(noise(), 0..12),
        sizes in prop::collection::vec(1..40usize, 1..6),
    ) {
        let input = noise.concat();
        let whole = read(&mut Session::new(Role::Server), &SMALL, None, [&input[..]]);
        let cut = read(&mut Session::new(Role::Server), &SMALL, None, parts(&input, &sizes));
        prop_assert_eq!(&whole, &cut);
        let bytewise = read(&mut Session::new(Role::Server), &SMALL, None, input.chunks(1));
        prop_assert_eq!(&whole, &bytewise);
        let straight = read_onto(&mut Session::new(Role::Server), parts(&input, &sizes));
        prop_assert_eq!(&whole, &straight);
    }
}

/// Mostly frames, some of them against the rules; now and then anything.
fn noise() -> impl Strategy<Value = Vec<u8>> {
    let opcode = prop::sample::select(vec![Continuation, Text, Text, Binary, Ping, Pong, Opcode::Close]);
    let payload = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..8),
        prop::collection::vec(prop::sample::select(vec![b'a', 0xc3, 0xa9, 0xe2, 0x82, 0xac, 3, 0xe8]), 0..8),
        prop::collection::vec(0x20..0x7fu8, 0..140),
    ];
    let frame = (
        any::<bool>(),
        prop::bool::weighted(0.05),
        opcode,
        prop::bool::weighted(0.95),
        any::<[u8; 4]>(),
        payload,
    )
        .prop_map(|(fin, reserved, opcode, masked, key, payload)| {
            let fin = fin || opcode.is_control();
            Raw { fin, reserved: reserved.into(), opcode, mask: masked.then_some(key), payload }.bytes()
        });
    prop_oneof![12 => frame, 1 => prop::collection::vec(any::<u8>(), 0..20)]
}

#[test]
fn two_cuts_anywhere_change_nothing() {
    let stream = bytes(&[
        Raw::new(Text, "é€").more(),
        Raw::new(Ping, "ping"),
        Raw::new(Continuation, "").more(),
        Raw::new(Continuation, "😀"),
        Raw::new(Binary, [9; 130]),
        Raw::new(Opcode::Close, b"\x03\xe8bye"),
    ]);
    let whole = read(&mut Session::new(Role::Server), &SMALL, None, [&stream[..]]);
    assert_eq!((whole.0.len(), whole.1), (4, None));
    for first in 0..=stream.len() {
        for second in first..=stream.len() {
            let parts = [&stream[..first], &stream[first..second], &stream[second..]];
            assert_eq!(read(&mut Session::new(Role::Server), &SMALL, None, parts), whole, "{first} {second}");
        }
    }
}
