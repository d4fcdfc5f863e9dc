//! The most usual input: a whole message in one short frame. It is taken without the steps that any other frame takes, and
//! comes to what these would come to, in a third of their instructions.

use crate::limits::MessageLimits;
use crate::wire::mask;
use crate::wire::message::Kind;

/// Two bytes and the key.
pub(super) const HEADER_BYTES: usize = 6;
/// The longest payload whose length stands in the second byte (RFC 6455 §5.2).
const PAYLOAD_BYTES_MAX: usize = 125;

/// Unmasks a message that a client's frame at the front of `input` is the whole of, where its length is in its second byte and
/// all of it is there. Returns its kind and where it ends; `None` leaves `input` as it was.
#[inline(always)]
pub(super) fn unmask(limits: &MessageLimits, input: &mut [u8]) -> Option<(Kind, usize)> {
    let [first, second, a, b, c, d, rest @ ..] = input else { return None };
    // The last frame of its message, no reserved bit.
    let kind = match *first {
        0x81 => Kind::Text,
        0x82 => Kind::Binary,
        _ => return None,
    };
    // Without the bit that says that it is masked; where that is not set, this is too long.
    let len = usize::from(*second ^ 0x80);
    let most = limits.max_frame_bytes.min(limits.max_message_bytes).min(PAYLOAD_BYTES_MAX);
    if len > most || limits.max_fragments == 0 {
        return None;
    }
    mask::apply(rest.get_mut(..len)?, [*a, *b, *c, *d]);
    Some((kind, HEADER_BYTES + len))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::frame::{self, Opcode};

    const LIMITS: MessageLimits =
        MessageLimits { max_message_bytes: 1000, max_frame_bytes: 1000, max_fragments: 1 };

    fn frame(opcode: Opcode, len: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        frame::write(&mut bytes, opcode, &vec![b'm'; len], Some([1, 2, 3, 4]));
        bytes
    }

    #[test]
    fn every_short_message_is_taken_whole_and_nothing_longer() {
        for len in 0..=130 {
            for (opcode, kind) in [(Opcode::Text, Kind::Text), (Opcode::Binary, Kind::Binary)] {
                let mut bytes = frame(opcode, len);
                bytes.extend_from_slice(b"the next frame");
                let taken = unmask(&LIMITS, &mut bytes);
                assert_eq!(taken, (len <= PAYLOAD_BYTES_MAX).then_some((kind, HEADER_BYTES + len)));
                if taken.is_some() {
                    assert!(bytes[HEADER_BYTES..].starts_with(&vec![b'm'; len]));
                    assert!(bytes.ends_with(b"the next frame"));
                }
            }
        }
    }

    #[test]
    fn what_is_not_taken_is_left_as_it_was() {
        let whole = frame(Opcode::Binary, 20);
        let mut others: Vec<Vec<u8>> = (0..whole.len()).map(|len| whole[..len].to_vec()).collect();
        others.extend([frame(Opcode::Ping, 20), frame(Opcode::Continuation, 20)]);
        for first in [0x02, 0xc2, 0xa2, 0x92] {
            // A fragment, and reserved bits.
            others.push([&[first], &whole[1..]].concat());
        }
        // Not masked.
        others.push([&whole[..1], &[20], &whole[2..]].concat());
        let tight = [
            MessageLimits { max_message_bytes: 19, ..LIMITS },
            MessageLimits { max_frame_bytes: 19, ..LIMITS },
            MessageLimits { max_fragments: 0, ..LIMITS },
        ];
        let limited = tight.map(|limits| (limits, whole.clone()));
        for (limits, bytes) in others.into_iter().map(|bytes| (LIMITS, bytes)).chain(limited) {
            let mut after = bytes.clone();
            assert_eq!(unmask(&limits, &mut after), None, "{bytes:02x?}");
            assert_eq!(after, bytes);
        }
    }
}
