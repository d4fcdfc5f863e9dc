//! What we compress: inflated by flate2 as a stream, within the window that was agreed; and once for many.

use super::Seen;
use super::deflate::{Server, Stream, WIDE, lines};
use flate2::{Decompress, FlushDecompress};
use rollcall::internals::wire::deflate::{DeflateContext, Deflater};
use rollcall::internals::wire::session::{Kind, Role, Session};
use rollcall::internals::wire::shared::SharedFrame;

/// What zlib makes of messages that share a stream, with a window of so many bits.
struct Sink(Decompress);

impl Sink {
    fn new(window_bits: u8) -> Sink {
        Sink(Decompress::new_with_window_bits(false, window_bits))
    }

    fn message(&mut self, data: &[u8]) -> Vec<u8> {
        let data = [data, &[0, 0, 0xff, 0xff]].concat();
        let mut message = Vec::with_capacity(1 << 21);
        let before = self.0.total_in();
        self.0.decompress_vec(&data, &mut message, FlushDecompress::Sync).unwrap();
        assert_eq!(self.0.total_in() - before, data.len() as u64);
        message
    }
}

#[test]
fn our_messages_are_inflated_within_every_window() {
    // §7.1.2: what is compressed for a window needs no greater one.
    for bits in 9..=15 {
        let mut deflater = Deflater::new(bits);
        let (mut sink, mut context) = (Sink::new(bits), DeflateContext::default());
        let mut data = Vec::new();
        for n in 0..40 {
            let message = lines(n * 20, 10 + n);
            assert!(deflater.deflate(context.bytes(), &message, &mut data));
            assert!(sink.message(&data) == message, "{bits} {n}");
            context.push(&message, 4096.min(1 << bits));
            if n % 5 == 4 {
                // What refers to nothing is understood by who remembers, and passes through the window.
                let message = lines(n, 30);
                assert!(deflater.deflate(&[], &message, &mut data));
                assert!(sink.message(&data) == message, "{bits} {n}");
                context.forget();
            }
        }
    }
}

#[test]
fn a_context_makes_messages_shorter() {
    let mut deflater = Deflater::new(15);
    let (mut alone, mut after) = (Vec::new(), Vec::new());
    let (first, second) = (lines(0, 10), lines(10, 10));
    assert!(deflater.deflate(&[], &second, &mut alone));
    assert!(deflater.deflate(&first, &second, &mut after));
    assert!(alone.len() < second.len() / 2 && after.len() < alone.len(), "{} {}", alone.len(), after.len());
}

#[test]
fn what_does_not_get_shorter_is_left_as_it_is() {
    let noise = Stream::new(15).message(&lines(0, 200));
    let mut data = Vec::new();
    assert!(!Deflater::new(15).deflate(&[], &noise, &mut data));
    assert!(!Deflater::new(15).deflate(&[], b"short", &mut data));
    // §7.2.3.6
    assert!(Deflater::new(15).deflate(&[], b"", &mut data));
    assert_eq!(data, [0]);
}

#[test]
fn a_shared_frame_is_compressed_once_for_a_window() {
    let message = lines(0, 20);
    let frame = SharedFrame::new(Kind::Text, &message).unwrap();
    let mut asked = 0;
    for bits in [15, 9, 15, 9, 15] {
        let mut deflater = Deflater::new(bits);
        let form = frame.deflated(bits, |payload, out| {
            asked += 1;
            deflater.deflate(&[], payload, out)
        });
        let form = form.unwrap().clone();
        let mut input = form.bytes().to_vec();
        let mut client = Server::new(false);
        client.session = Session::new(Role::Client);
        let mut budget = usize::MAX;
        let (session, mut decoder) = client.decoder(&mut budget);
        let (_, event) = session.read(&WIDE, Some(&mut decoder), &mut input).unwrap();
        assert_eq!(Seen::of(&event.unwrap()), Seen::Text(String::from_utf8(message.clone()).unwrap()));
    }
    assert_eq!(asked, 2);
    for (payload, asks) in [(&b"too short to be worth it"[..], 0), (&[0x5a; 600], 1)] {
        let frame = SharedFrame::new(Kind::Binary, payload).unwrap();
        let mut asked = 0;
        for _ in 0..2 {
            let form = frame.deflated(15, |_, _| {
                asked += 1;
                false
            });
            assert!(form.is_none());
        }
        assert_eq!(asked, asks);
    }
}

#[test]
fn what_does_not_compress_leaves_nothing_behind() {
    // Bytes of a xorshift generator.
    let noise = |seed: u64, len: usize| {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        std::iter::repeat_with(move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()
        })
        .flatten()
        .take(len)
        .collect::<Vec<u8>>()
    };
    for bits in 9..=15 {
        let mut deflater = Deflater::new(bits);
        for len in [600, 10_000, 70_000] {
            // In a row: a message that does compress would make good what one before it has left.
            for round in 1..=20 {
                let mut data = Vec::new();
                assert!(!deflater.deflate(&[], &noise(round, len), &mut data), "{bits} {len}");
            }
            let (message, mut data) = (lines(len, 20), Vec::new());
            assert!(deflater.deflate(&[], &message, &mut data));
            assert!(Sink::new(bits).message(&data) == message, "{bits} {len}");
        }
    }
}
