//! The hook for extensions, §5.8 and §9: a toy one that claims RSV1 and says every byte twice.

use super::{Raw, SMALL, Seen, bytes, read};
use rollcall::internals::wire::error::ProtocolError;
use rollcall::internals::wire::frame::Opcode::{Binary, Continuation, Ping, Text};
use rollcall::internals::wire::session::{Extension, Role, Session};

#[derive(Default)]
struct Twice {
    ends: usize,
    /// It minds no limit.
    careless: bool,
}

impl Extension for Twice {
    fn reserved(&self) -> u8 {
        4
    }

    fn decode(
        &mut self,
        part: &[u8],
        end: bool,
        message: &mut Vec<u8>,
        limit: usize,
    ) -> Result<usize, ProtocolError> {
        if part.contains(&b'!') {
            return Err(ProtocolError::ExtensionData);
        }
        if !self.careless && message.len() + 2 * part.len() > limit {
            return Err(ProtocolError::MessageTooBig);
        }
        self.ends += usize::from(end);
        message.extend(part.iter().flat_map(|byte| [*byte; 2]));
        Ok(part.len())
    }
}

/// What arrives whole and byte by byte, and how many messages the extension saw end.
fn decode(frames: &[Raw]) -> (Vec<Seen>, Option<ProtocolError>, usize) {
    let input = bytes(frames);
    let run = |parts: Vec<&[u8]>| {
        let mut twice = Twice::default();
        let (seen, error) = read(&mut Session::new(Role::Server), &SMALL, Some(&mut twice), parts);
        (seen, error, twice.ends)
    };
    let (seen, error, ends) = run(vec![&input]);
    // Byte by byte, a message that fails may do so before its end.
    let (bytewise, bytewise_error, bytewise_ends) = run(input.chunks(1).collect());
    assert_eq!((&seen, error), (&bytewise, bytewise_error));
    assert!(bytewise_ends == ends || error.is_some());
    (seen, error, ends)
}

fn claimed(frame: Raw) -> Raw {
    Raw { reserved: 4, ..frame }
}

#[test]
fn claimed_message_is_decoded_and_others_are_not() {
    let frames = [claimed(Raw::new(Text, "ab")), Raw::new(Text, "cd"), claimed(Raw::new(Binary, ""))];
    assert_eq!(decode(&frames), (vec![Seen::text("aabb"), Seen::text("cd"), Seen::Binary(vec![])], None, 2));
}

#[test]
fn claimed_message_may_be_fragmented_around_control_frames() {
    let frames = [
        claimed(Raw::new(Text, "a")).more(),
        Raw::new(Ping, "p"),
        Raw::new(Continuation, "b").more(),
        Raw::new(Continuation, ""),
    ];
    assert_eq!(decode(&frames), (vec![Seen::Ping(b"p".to_vec()), Seen::text("aabb")], None, 1));
}

#[test]
fn bits_it_did_not_claim_are_refused() {
    // §5.2
    let more = claimed(Raw::new(Text, "a")).more();
    for frames in [
        vec![Raw { reserved: 2, ..Raw::new(Text, "a") }],
        vec![Raw { reserved: 5, ..Raw::new(Text, "a") }],
        vec![claimed(Raw::new(Ping, ""))],
        vec![more, claimed(Raw::new(Continuation, "b"))],
    ] {
        assert_eq!(decode(&frames), (vec![], Some(ProtocolError::ReservedBit), 0), "{frames:?}");
    }
}

#[test]
fn decoded_message_is_held_to_the_limit() {
    // §10.4
    let frames = [claimed(Raw::new(Binary, [1; 500]))];
    assert_eq!(decode(&frames), (vec![Seen::Binary(vec![1; 1000])], None, 1));
    let frames = [claimed(Raw::new(Binary, [1; 300])).more(), Raw::new(Continuation, [1; 201])];
    assert_eq!(decode(&frames), (vec![], Some(ProtocolError::MessageTooBig), 0));
    // Nobody relies on the extension for that.
    let mut careless = Twice { careless: true, ..Twice::default() };
    let input = bytes(&[claimed(Raw::new(Binary, [1; 501]))]);
    let read = read(&mut Session::new(Role::Server), &SMALL, Some(&mut careless), [&input[..]]);
    assert_eq!(read, (vec![], Some(ProtocolError::MessageTooBig)));
}

#[test]
fn decoded_text_must_be_utf8() {
    // §8.1
    let (seen, error, _) = decode(&[claimed(Raw::new(Text, "é"))]);
    assert_eq!((seen, error), (vec![], Some(ProtocolError::NotUtf8)));
}

#[test]
fn failure_to_decode_ends_the_session() {
    let frames = [claimed(Raw::new(Text, "oh!")), Raw::new(Text, "late")];
    assert_eq!(decode(&frames), (vec![], Some(ProtocolError::ExtensionData), 0));
}
