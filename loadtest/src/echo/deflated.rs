//! The messages of an echo run that offers compression: lines of a chat, each with a stamp of its connection and number.

use rollcall::internals::wire::frame::Opcode;

use crate::chatter::{Chatter, MARK_AT};
use crate::engine::codec::Codec;
use crate::group::protocol::{MARK, Stamp};

/// One thread's messages.
#[derive(Debug)]
pub struct Deflated {
    chatter: Chatter,
    opcode: Opcode,
    message: Vec<u8>,
    /// How they are sent and read.
    pub codec: Codec,
}

impl Deflated {
    /// Messages of `size` bytes, at least [`SIZE_MIN`](crate::chatter::SIZE_MIN).
    pub fn new(size: usize, text: bool) -> Deflated {
        Deflated {
            chatter: Chatter::new(size),
            opcode: if text { Opcode::Text } else { Opcode::Binary },
            message: Vec::new(),
            codec: Codec::default(),
        }
    }

    /// Message `seq` of connection `id`.
    pub fn message(&mut self, id: usize, seq: u32) -> &[u8] {
        self.message.clear();
        self.message.extend_from_slice(self.chatter.line((id as u64) << 32 | u64::from(seq)));
        let stamp = Stamp { round: seq % Stamp::ROUNDS, sender: id as u16 };
        self.message[MARK_AT + MARK.len()..][..Stamp::BYTES].copy_from_slice(&stamp.encode());
        &self.message
    }

    /// Message `seq` of connection `id` as a masked frame.
    pub fn frame(&mut self, id: usize, seq: u32) -> &[u8] {
        self.message(id, seq);
        self.codec.frame(id, self.opcode, &self.message)
    }
}
