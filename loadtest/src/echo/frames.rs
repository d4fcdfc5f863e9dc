//! The frames of an echo run, made once: what is sent, masked, and what must come back, plain.
//!
//! A message carries a stamp of connection and sequence number in its first eight bytes, so that a reply that is lost, doubled or
//! crossed shows. Eight bytes are patched into a ready frame per message and nothing else is touched.

use rollcall::internals::wire::frame::{self, Opcode};

use crate::engine::link::MASK;

/// Bytes of frames that are sent with one system call at most.
const BATCH_BYTES: usize = 64 << 10;
/// Bytes of a stamp: 48 bits, 6 in each byte, so that it is text too.
const STAMP_BYTES: usize = 8;

/// One thread's frames.
#[derive(Debug)]
pub struct Frames {
    /// `per_batch` masked frames, one after the other.
    batch: Vec<u8>,
    frame_len: usize,
    per_batch: usize,
    /// The frame that must come back.
    reply: Vec<u8>,
    header_len: usize,
    size: usize,
}

impl Frames {
    /// Frames of `size` bytes of payload, of which up to `depth` are sent at once.
    pub fn new(size: usize, text: bool, depth: usize) -> Frames {
        let opcode = if text { Opcode::Text } else { Opcode::Binary };
        let payload = payload(size);
        let mut batch = Vec::new();
        frame::write(&mut batch, opcode, &payload, Some(MASK));
        let frame_len = batch.len();
        let per_batch = (BATCH_BYTES / frame_len).clamp(1, depth);
        batch = batch.repeat(per_batch);
        let mut reply = Vec::new();
        frame::write(&mut reply, opcode, &payload, None);
        let header_len = reply.len() - size;
        Frames { batch, frame_len, per_batch, reply, header_len, size }
    }

    pub fn frame_len(&self) -> usize {
        self.frame_len
    }

    pub fn per_batch(&self) -> usize {
        self.per_batch
    }

    pub fn header_len(&self) -> usize {
        self.header_len
    }

    /// `count <= per_batch` frames of connection `id`, from sequence number `first` on.
    pub fn stamped(&mut self, id: usize, first: u32, count: usize) -> &[u8] {
        let key = u64::from_ne_bytes([MASK, MASK].concat().try_into().expect("twice four bytes"));
        let (start, len) = (self.frame_len - self.size, self.size.min(STAMP_BYTES));
        for (slot, frame) in self.batch.chunks_exact_mut(self.frame_len).take(count).enumerate() {
            let plain = u64::from_ne_bytes(stamp(id, first.wrapping_add(slot as u32)));
            frame[start..start + len].copy_from_slice(&(plain ^ key).to_ne_bytes()[..len]);
        }
        &self.batch[..count * self.frame_len]
    }

    /// The frame that answers sequence number `seq` of connection `id`.
    pub fn reply(&mut self, id: usize, seq: u32) -> &[u8] {
        let len = self.size.min(STAMP_BYTES);
        self.reply[self.header_len..][..len].copy_from_slice(&stamp(id, seq)[..len]);
        &self.reply
    }
}

/// 24 bits of the sequence number, then 24 of the connection's, six to a byte from `0` to `o`.
pub fn stamp(id: usize, seq: u32) -> [u8; STAMP_BYTES] {
    let bits = u64::from(seq & 0xff_ffff) | (id as u64 & 0xff_ffff) << 24;
    std::array::from_fn(|place| b'0' + ((bits >> (6 * place)) & 63) as u8)
}

/// Letters that do not repeat with the width of any copy loop.
fn payload(size: usize) -> Vec<u8> {
    (0..size).map(|at| b'a' + ((at * 7 + at / 61) % 26) as u8).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use rollcall::internals::wire::frame::Header;
    use rollcall::internals::wire::frame::Parsed;
    use rollcall::internals::wire::mask;

    use super::*;

    #[test]
    fn an_unmasked_frame_is_the_reply_that_is_awaited() {
        for size in [0, 1, 7, 8, 20, 125, 126, 1024, 65_536] {
            let mut frames = Frames::new(size, false, 4);
            let (len, count) = (frames.frame_len(), frames.per_batch());
            let mut sent = frames.stamped(9, u32::MAX, count).to_vec();
            for (slot, frame) in sent.chunks_exact_mut(len).enumerate() {
                let Ok(Parsed::Header(header, at)) = Header::parse(frame) else { panic!("no header") };
                mask::apply(&mut frame[at..], header.mask.unwrap());
                let seq = u32::MAX.wrapping_add(slot as u32);
                let header_len = frames.header_len();
                assert_eq!(frames.reply(9, seq)[header_len..], frame[at..], "size {size}");
            }
        }
    }

    #[test]
    fn stamps_differ_by_connection_and_by_sequence_number() {
        let stamps: HashSet<_> = (0..50).flat_map(|id| (0..200).map(move |seq| stamp(id, seq))).collect();
        assert_eq!(stamps.len(), 50 * 200);
        assert!(stamps.iter().flatten().all(u8::is_ascii_graphic));
    }
}
