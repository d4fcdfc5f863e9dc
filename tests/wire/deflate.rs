//! Compressed messages as they are read, each rule of RFC 7692 by its section, against streams that flate2 compressed without
//! a message in mind.

use super::{Raw, SMALL, Seen, bytes, cases};
use flate2::{Compress, Compression, FlushCompress};
use proptest::prelude::*;
use rollcall::internals::limits::{INFLATERS_MAX, MessageLimits};
use rollcall::internals::wire::deflate::{
    Decoder, DeflateContext, Direction, Inflater, Inflaters, RSV1, UnderWay,
};
use rollcall::internals::wire::error::ProtocolError;
use rollcall::internals::wire::frame::Opcode::{self, Binary, Continuation, Ping, Text};
use rollcall::internals::wire::session::{Role, Session};

pub(super) const WIDE: MessageLimits =
    MessageLimits { max_message_bytes: 1 << 20, max_frame_bytes: 1 << 20, max_fragments: 1000 };

/// A server's side of a connection.
pub(super) struct Server {
    pub(super) session: Session,
    inflaters: Inflaters,
    under_way: Option<UnderWay>,
    context: DeflateContext,
    direction: Direction,
    limits: MessageLimits,
    /// What one read may cost.
    share: usize,
}

impl Server {
    pub(super) fn new(takeover: bool) -> Server {
        Server {
            session: Session::new(Role::Server),
            inflaters: Inflaters::default(),
            under_way: None,
            context: DeflateContext::default(),
            direction: Direction::new(takeover, 15),
            limits: WIDE,
            share: usize::MAX,
        }
    }

    /// What one read is done with.
    pub(super) fn decoder<'d>(&'d mut self, budget: &'d mut usize) -> (&'d mut Session, Decoder<'d>) {
        let decoder = Decoder {
            inflaters: &mut self.inflaters,
            under_way: &mut self.under_way,
            context: &mut self.context,
            direction: self.direction,
            budget,
        };
        (&mut self.session, decoder)
    }

    /// What comes of the parts, each a read, and how many times the rest was put off.
    fn read<'p>(
        &mut self,
        parts: impl IntoIterator<Item = &'p [u8]>,
    ) -> (Vec<Seen>, Option<ProtocolError>, usize) {
        let (mut seen, mut pauses) = (Vec::new(), 0);
        for part in parts {
            let (mut part, len) = (part.to_vec(), part.len());
            let (mut at, mut budget) = (0, self.share);
            while at < len {
                let limits = self.limits;
                let (session, mut decoder) = self.decoder(&mut budget);
                match session.read(&limits, Some(&mut decoder), &mut part[at..]) {
                    Ok((taken, event)) => {
                        at += taken;
                        let paused = event.is_none() && at < len;
                        seen.extend(event.as_ref().map(Seen::of));
                        if paused {
                            pauses += 1;
                            budget = self.share;
                        }
                    }
                    Err(error) => return (seen, Some(error), pauses),
                }
            }
            self.session.release();
        }
        (seen, None, pauses)
    }
}

/// What is read of the frames, whole, byte by byte, and with next to nothing done at a time.
fn serve(takeover: bool, frames: &[Raw]) -> (Vec<Seen>, Option<ProtocolError>) {
    let input = bytes(frames);
    let (seen, error, _) = Server::new(takeover).read([&input[..]]);
    let (bytewise, bytewise_error, _) = Server::new(takeover).read(input.chunks(1));
    assert_eq!((&seen, error), (&bytewise, bytewise_error), "whole, then byte by byte");
    let (slow, slow_error, _) = Server { share: 1, ..Server::new(takeover) }.read([&input[..]]);
    assert_eq!((&seen, error), (&slow, slow_error), "whole, then slowly");
    (seen, error)
}

fn deflated(opcode: Opcode, data: impl AsRef<[u8]>) -> Raw {
    Raw { reserved: RSV1, ..Raw::new(opcode, data) }
}

/// A stream as zlib keeps it: what a client with context takeover has.
pub(super) struct Stream(Compress);

impl Stream {
    pub(super) fn new(window_bits: u8) -> Stream {
        Stream(Compress::new_with_window_bits(Compression::new(9), false, window_bits))
    }

    fn flush(&mut self, message: &[u8], flush: FlushCompress) -> Vec<u8> {
        let mut data = Vec::with_capacity(2 * message.len() + 100);
        self.0.compress_vec(message, &mut data, flush).unwrap();
        data
    }

    /// §7.2.1. Where zlib has nothing to flush, it flushes nothing.
    pub(super) fn message(&mut self, message: &[u8]) -> Vec<u8> {
        let mut data = self.flush(message, FlushCompress::Sync);
        assert!(data.ends_with(&[0, 0, 0xff, 0xff]) || message.is_empty() && data.is_empty());
        data.truncate(data.len().saturating_sub(4));
        data
    }
}

/// Lines as a chat has them; no two alike.
pub(super) fn lines(from: usize, count: usize) -> Vec<u8> {
    let line = |n: usize| {
        format!(
            r#"{{"event":"say","room":"r{}","from":"u{}","offset":{n},"data":"{}"}}"#,
            n % 3,
            n % 7,
            n * n
        )
    };
    (from..from + count).map(line).collect::<Vec<_>>().join("\n").into_bytes()
}

const HELLO: [u8; 7] = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];

#[test]
fn examples_of_the_specification_are_read() {
    let hello = Seen::text("Hello");
    for (section, frames) in [
        ("7.2.3.1", vec![deflated(Text, HELLO)]),
        ("7.2.3.1", vec![deflated(Text, &HELLO[..3]).more(), Raw::new(Continuation, &HELLO[3..])]),
        ("7.2.3.3", vec![deflated(Text, b"\x00\x05\x00\xfa\xffHello\x00")]),
        ("7.2.3.4", vec![deflated(Text, b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00")]),
        ("7.2.3.5", vec![deflated(Text, b"\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00")]),
    ] {
        for takeover in [false, true] {
            assert_eq!(serve(takeover, &frames), (vec![hello.clone()], None), "{section}");
        }
    }
}

#[test]
fn a_message_may_refer_to_the_one_before_where_that_was_agreed() {
    // §7.2.3.2
    let frames = [deflated(Text, HELLO), deflated(Text, [0xf2, 0x00, 0x11, 0x00, 0x00])];
    assert_eq!(serve(true, &frames), (vec![Seen::text("Hello"); 2], None));
    assert_eq!(serve(false, &frames), (vec![Seen::text("Hello")], Some(ProtocolError::ExtensionData)));
}

#[test]
fn uncompressed_messages_do_not_pass_through_the_window() {
    // §6
    let again = deflated(Text, [0xf2, 0x00, 0x11, 0x00, 0x00]);
    let frames = [deflated(Text, HELLO), Raw::new(Text, "Other"), again];
    assert_eq!(serve(true, &frames), (["Hello", "Other", "Hello"].map(Seen::text).to_vec(), None));
}

#[test]
fn empty_messages_are_read() {
    // §7.2.3.6; with no data at all, as from a compressor that had nothing to flush.
    for frames in [
        vec![deflated(Text, [0])],
        vec![deflated(Text, "")],
        vec![deflated(Text, "").more(), Raw::new(Continuation, "")],
        vec![deflated(Text, "").more(), Raw::new(Continuation, [0])],
        vec![deflated(Text, [0]).more(), Raw::new(Continuation, "")],
        vec![deflated(Text, [0x03, 0x00])],
    ] {
        assert_eq!(serve(true, &frames), (vec![Seen::text("")], None), "{frames:?}");
    }
}

#[test]
fn a_last_block_may_be_followed_by_another_and_by_nothing() {
    // §7.2.3.4
    let last = [0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
    for (data, times) in [
        (last.to_vec(), 1),
        ([&last[..], &[0]].concat(), 1),
        ([last, last].concat(), 2),
        ([&last[..], &HELLO].concat(), 2),
        // The second refers to the first.
        ([&last[..], &[0xf2, 0x00, 0x11, 0x00, 0x00]].concat(), 2),
    ] {
        let hello = "Hello".repeat(times);
        let frames = [deflated(Text, &data), deflated(Text, [0xf2, 0x00, 0x11, 0x00, 0x00])];
        assert_eq!(serve(true, &frames), (vec![Seen::text(&hello), Seen::text("Hello")], None), "{data:x?}");
    }
}

#[test]
fn control_frames_come_between_the_fragments() {
    // §6: only the first frame has the bit.
    let frames = [
        deflated(Text, &HELLO[..2]).more(),
        Raw::new(Ping, "there?"),
        Raw::new(Continuation, &HELLO[2..4]).more(),
        Raw::new(Continuation, "").more(),
        Raw::new(Ping, ""),
        Raw::new(Continuation, &HELLO[4..]),
        Raw::new(Text, "plain"),
    ];
    let ping = |payload: &str| Seen::Ping(payload.into());
    let seen = vec![ping("there?"), ping(""), Seen::text("Hello"), Seen::text("plain")];
    assert_eq!(serve(false, &frames), (seen, None));
}

#[test]
fn the_bit_is_refused_wherever_it_means_nothing() {
    // §6; RFC 6455 §5.2
    for frames in [
        vec![deflated(Ping, "")],
        vec![deflated(Opcode::Close, "")],
        vec![deflated(Text, &HELLO[..2]).more(), deflated(Continuation, &HELLO[2..])],
        vec![Raw::new(Text, "a").more(), deflated(Continuation, HELLO)],
        vec![Raw { reserved: RSV1 | 2, ..deflated(Text, HELLO) }],
    ] {
        assert_eq!(serve(false, &frames), (vec![], Some(ProtocolError::ReservedBit)), "{frames:?}");
    }
    let input = bytes(&[deflated(Text, HELLO)]);
    let without = super::read(&mut Session::new(Role::Server), &SMALL, None, [&input[..]]);
    assert_eq!(without, (vec![], Some(ProtocolError::ReservedBit)));
}

#[test]
fn what_is_no_deflate_or_stops_within_a_block_fails() {
    // §7.2.2
    for data in [
        &HELLO[..2],
        &HELLO[..6],
        b"\x06",
        b"\xff\xff",
        b"\x00\x05\x00\xfb\xffHello\x00",
        b"\x00\x20\x00\xdf\xffHello",
        b"\xf3\x48\xcd\xc9\xc9\x07\x00\xff",
    ] {
        let (seen, error) = serve(true, &[deflated(Binary, data)]);
        assert_eq!((seen, error), (vec![], Some(ProtocolError::ExtensionData)), "{data:x?}");
    }
}

#[test]
fn inflated_text_is_checked_as_it_streams() {
    // RFC 6455 §8.1: it fails before it is complete.
    let mut stream = Stream::new(15);
    let good = stream.flush("é€😀".repeat(50).as_bytes(), FlushCompress::Sync);
    let bad = stream.flush(b"\xc3(", FlushCompress::Sync);
    let frames = [deflated(Text, &good).more(), Raw::new(Continuation, &bad).more()];
    assert_eq!(serve(false, &frames), (vec![], Some(ProtocolError::NotUtf8)));
    let cut = Stream::new(15).message("é".as_bytes().split_at(1).0);
    assert_eq!(serve(false, &[deflated(Text, cut)]), (vec![], Some(ProtocolError::NotUtf8)));
}

#[test]
fn a_bomb_is_stopped_at_the_limit() {
    // §8; RFC 6455 §10.4
    let bomb = Stream::new(15).message(&vec![0; 64 << 20]);
    assert!(bomb.len() < 70_000);
    let input = bytes(&[deflated(Binary, &bomb)]);
    for (limit, share) in [(1000, usize::MAX), (1 << 20, usize::MAX), (1 << 20, 10_000)] {
        let limits = MessageLimits { max_message_bytes: limit, ..WIDE };
        let mut server = Server { limits, share, ..Server::new(true) };
        let (seen, error, pauses) = server.read([&input[..]]);
        assert_eq!((seen, error), (vec![], Some(ProtocolError::MessageTooBig)));
        assert_eq!(pauses > 3, share < limit, "{pauses}");
        assert_eq!(server.session.held_bytes(), 0);
    }
    // What is just within it is not stopped, and takes no more memory than it says.
    let just = Stream::new(15).message(&[0; 1000]);
    let limits = MessageLimits { max_message_bytes: 1000, ..WIDE };
    let mut server = Server { limits, ..Server::new(true) };
    assert_eq!(server.read([&bytes(&[deflated(Binary, just)])[..]]).0, [Seen::Binary(vec![0; 1000])]);
}

#[test]
fn a_bomb_has_no_more_room_than_the_limit() {
    let bomb = Stream::new(15).message(&vec![0; 16 << 20]);
    for limit in [0, 1000, 100_000] {
        let (mut inflater, mut message, mut all) = (Inflater::new(), Vec::new(), usize::MAX);
        inflater.begin(&[]).unwrap();
        let stopped = inflater.push(&bomb, &[], &mut message, limit, &mut all);
        assert_eq!(stopped, Err(ProtocolError::MessageTooBig));
        // The byte over it is how it is known to be over.
        assert!(message.capacity() <= limit + 1, "{} bytes of {limit}", message.capacity());
    }
}

#[test]
fn one_read_costs_about_its_share() {
    const SHARE: usize = 10_000;
    let data = Stream::new(15).message(&vec![7; 1 << 20]);
    let input = bytes(&[deflated(Binary, &data)]);
    let mut server = Server { share: SHARE, ..Server::new(true) };
    let (seen, error, pauses) = server.read([&input[..]]);
    assert!(seen == [Seen::Binary(vec![7; 1 << 20])] && error.is_none());
    // A piece of the data comes to some 260 KiB at most.
    assert!(pauses >= 4, "{pauses}");
    // Streams that end again and again cost what it takes to begin them, not their two bytes.
    let data = [0x03, 0x00].repeat(5000);
    let input = bytes(&[deflated(Binary, &data)]);
    let (seen, error, pauses) = server.read([&input[..]]);
    assert_eq!((seen, error), (vec![Seen::Binary(vec![])], None));
    assert!(pauses > 1000, "{pauses}");
}

#[test]
fn messages_beyond_the_inflaters_are_put_together_first() {
    let text = lines(0, 100);
    let data = Stream::new(15).message(&text);
    let half = bytes(&[deflated(Binary, &data[..data.len() / 2]).more()]);
    let rest = bytes(&[Raw::new(Continuation, &data[data.len() / 2..])]);
    let mut inflaters = Inflaters::default();
    let mut servers: Vec<Server> = (0..INFLATERS_MAX + 2).map(|_| Server::new(true)).collect();
    let mut collecting = 0;
    for server in &mut servers {
        std::mem::swap(&mut server.inflaters, &mut inflaters);
        assert_eq!(server.read([&half[..]]), (vec![], None, 0));
        collecting += usize::from(matches!(server.under_way, Some(UnderWay::Collecting(_))));
        std::mem::swap(&mut server.inflaters, &mut inflaters);
    }
    assert_eq!(collecting, 2);
    for server in servers.iter_mut().rev() {
        std::mem::swap(&mut server.inflaters, &mut inflaters);
        let (seen, error, _) = server.read([&rest[..]]);
        assert!(seen == [Seen::Binary(text.clone())] && error.is_none());
        std::mem::swap(&mut server.inflaters, &mut inflaters);
    }
    // What is put together is held to the limit too.
    let limits = MessageLimits { max_message_bytes: 600, ..WIDE };
    let mut over = Server { limits, under_way: Some(UnderWay::Collecting(Vec::new())), ..Server::new(true) };
    let input = bytes(&[deflated(Binary, [0; 400]).more(), Raw::new(Continuation, [0; 201]).more()]);
    assert_eq!(over.read([&input[..]]).1, Some(ProtocolError::MessageTooBig));
}

proptest! {
    #![proptest_config(cases(128))]

    #[test]
    fn a_stream_of_messages_is_read_however_it_is_cut(
        sizes in prop::collection::vec(0_usize..60, 1..6),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..4),
        reads in prop::collection::vec(1_usize..400, 1..5),
        share in 1_usize..5000,
        takeover: bool,
    ) {
        let mut stream = Stream::new(15);
        let (mut frames, mut meant) = (Vec::new(), Vec::new());
        for (n, size) in sizes.iter().enumerate() {
            let message = lines(n * 10, *size);
            let data = if takeover { stream.message(&message) } else { Stream::new(15).message(&message) };
            let mut ends: Vec<usize> = cuts.iter().map(|cut| cut.index(data.len() + 1)).collect();
            ends.sort_unstable();
            ends.push(data.len());
            let mut start = 0;
            for (i, end) in ends.iter().enumerate() {
                let first = deflated(Binary, &data[start..*end]);
                let frame = if i == 0 { first } else { Raw::new(Continuation, &data[start..*end]) };
                frames.push(Raw { fin: i + 1 == ends.len(), ..frame });
                start = *end;
            }
            meant.push(Seen::Binary(message));
        }
        let input = bytes(&frames);
        let mut parts = Vec::new();
        let (mut rest, mut sizes) = (&input[..], reads.iter().cycle());
        while !rest.is_empty() {
            let (part, after) = rest.split_at((*sizes.next().unwrap()).min(rest.len()));
            parts.push(part);
            rest = after;
        }
        let mut server = Server { share, ..Server::new(takeover) };
        let (seen, error, _) = server.read(parts);
        prop_assert!(error.is_none() && seen == meant);
        prop_assert!(server.under_way.is_none() && server.session.held_bytes() == 0);
    }

    #[test]
    fn any_bytes_are_a_message_or_an_error(
        data in prop::collection::vec(any::<u8>(), 0..300),
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut damaged = Stream::new(15).message(&lines(0, 20));
        for (place, bits) in flips {
            let place = place.index(damaged.len());
            damaged[place] ^= bits;
        }
        for data in [data, damaged] {
            let frames = [deflated(Binary, &data), deflated(Text, &data)];
            let (seen, error) = serve(true, &frames);
            prop_assert!(seen.len() == 2 || error.is_some());
        }
    }
}
