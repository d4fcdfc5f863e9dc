//! The frames of one open connection, both roles: messages, control frames, the closing handshake.
//!
//! The session reads from the caller's buffer in place. A message that lies whole in it is handed on where it lies; only
//! half a frame, or the first fragments of a message, are kept (in a box that is gone when the message is complete), and
//! what is kept grows with what has *arrived*, never from a declared length.

use crate::limits::MessageLimits;
use crate::wire::close::Close;
use crate::wire::error::ProtocolError;

/// Which side this is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// Reads masked frames, writes plain ones.
    Server,
    /// Reads plain frames, writes masked ones.
    Client,
}

/// A message's type.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// UTF-8.
    Text,
    /// Bytes.
    Binary,
}

/// What arrived.
#[derive(Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A whole message. A text's payload has been checked to be UTF-8.
    Message(Kind, &'a [u8]),
    /// A Ping; answer with a Pong that carries the same payload (§5.5.3).
    Ping(&'a [u8]),
    /// A Pong.
    Pong(&'a [u8]),
    /// A Close. Nothing that follows it is read; answer with a Close unless one was sent (§5.5.1).
    Close(Close<'a>),
}

/// What an extension does to the messages of a session (§9). Shared by sessions: what belongs to one connection lives
/// with that connection.
pub trait Extension {
    /// The reserved bits (as in [`Header::reserved`](crate::wire::frame::Header)) that the first frame of a message may carry.
    fn reserved(&self) -> u8;

    /// Decodes the next part of a message whose first frame carried such a bit, appending to `message`; `end` with
    /// the last part. The session then checks text for UTF-8 and holds `message` to its limit.
    ///
    /// # Errors
    /// The part can't be decoded, or the message would pass `limit` bytes.
    fn decode(
        &mut self,
        part: &[u8],
        end: bool,
        message: &mut Vec<u8>,
        limit: usize,
    ) -> Result<(), ProtocolError>;
}

/// The protocol state of one connection. 16 bytes while no message is half received.
#[derive(Debug)]
pub struct Session {
    role: Role,
}

impl Session {
    /// An open session; the opening handshake is done.
    #[must_use]
    pub const fn new(role: Role) -> Session {
        Session { role }
    }

    /// Reads from the front of `input` up to and including the next event. Returns how many bytes were taken, and the
    /// event; with no event, all bytes were taken. Unmasks in place. After a Close was received, everything is taken
    /// and nothing comes of it.
    ///
    /// # Errors
    /// The peer broke a rule: send a Close with its code ([`Session::close`]) and read no more.
    pub fn read<'a>(
        &'a mut self,
        limits: &MessageLimits,
        extension: Option<&mut dyn Extension>,
        input: &'a mut [u8],
    ) -> Result<(usize, Option<Event<'a>>), ProtocolError> {
        let _ = (self.role, limits, extension, input);
        todo!()
    }

    /// Appends a Close frame to `out`, masked where `mask` is given, unless one was sent before; says whether it did.
    /// Nothing may be sent after it.
    pub fn close(&mut self, close: &Close<'_>, mask: Option<[u8; 4]>, out: &mut Vec<u8>) -> bool {
        let _ = (close, mask, out);
        todo!()
    }

    /// A Close was sent: nothing more may be.
    #[must_use]
    pub const fn close_sent(&self) -> bool {
        todo!()
    }

    /// A Close was received: nothing more will be read.
    #[must_use]
    pub const fn close_received(&self) -> bool {
        todo!()
    }

    /// Bytes of heap this session holds: half a message, or zero.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        todo!()
    }
}
