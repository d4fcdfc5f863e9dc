//! The type of a message, and what an extension makes of it.

use serde::{Deserialize, Serialize};

use crate::wire::error::ProtocolError;
use crate::wire::frame::Opcode;

/// A message's type.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Kind {
    /// UTF-8.
    Text,
    /// Bytes.
    Binary,
}

impl Kind {
    /// The opcode of its first frame.
    #[must_use]
    pub const fn opcode(self) -> Opcode {
        match self {
            Kind::Text => Opcode::Text,
            Kind::Binary => Opcode::Binary,
        }
    }
}

/// An extension: its changes to the messages of a session (§9). Shared by sessions: what belongs to one connection
/// lives with that connection.
pub trait Extension {
    /// The reserved bits (as in [`Header::reserved`](crate::wire::frame::Header)) that the first frame of a message may carry.
    fn reserved(&self) -> u8;

    /// Decodes the next part of a message whose first frame carried such a bit, appending to `message`; `end` with
    /// the last part. The session then checks text for UTF-8 and holds `message` to its limit. Returns how much of the
    /// part was taken: less than all puts the rest off to the next [`Session::read`](crate::wire::session::Session::read).
    ///
    /// # Errors
    /// The part can't be decoded, or the message would pass `limit` bytes.
    fn decode(
        &mut self,
        part: &[u8],
        end: bool,
        message: &mut Vec<u8>,
        limit: usize,
    ) -> Result<usize, ProtocolError>;
}
