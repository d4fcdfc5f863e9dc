//! Frame headers (RFC 6455 §5.2).

use crate::limits::FRAME_HEADER_BYTES_MAX;
use crate::wire::error::ProtocolError;

/// What a frame is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum Opcode {
    /// The next part of a fragmented message.
    Continuation = 0,
    /// A text message or its first part.
    Text = 1,
    /// A binary message or its first part.
    Binary = 2,
    /// The closing handshake.
    Close = 8,
    /// Are you there?
    Ping = 9,
    /// I am.
    Pong = 10,
}

impl Opcode {
    /// Whether the frame is a control frame (§5.5).
    #[must_use]
    pub const fn is_control(self) -> bool {
        self as u8 >= 8
    }
}

/// A frame header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// Last frame of its message.
    pub fin: bool,
    /// RSV1, RSV2, RSV3 as 4, 2, 1.
    pub reserved: u8,
    /// What the frame is.
    pub opcode: Opcode,
    /// The mask key of a client's frame.
    pub mask: Option<[u8; 4]>,
    /// Bytes of payload that follow; under 2^63.
    pub len: u64,
}

/// What [`Header::parse`] found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Parsed {
    /// A header in its first `usize` bytes.
    Header(Header, usize),
    /// Not yet: at least so many bytes in all are needed.
    NeedMore(usize),
}

impl Header {
    /// Reads a header from the front of `bytes`. Rules that need no state are checked here, from as few bytes as show
    /// them: opcode, length encoding, control frames. Masking, reserved bits and limits are the session's.
    ///
    /// # Errors
    /// See [`ProtocolError`].
    pub fn parse(bytes: &[u8]) -> Result<Parsed, ProtocolError> {
        let _ = bytes;
        todo!()
    }

    /// The header's bytes: the first `.1` of `.0`.
    #[must_use]
    pub fn encode(&self) -> ([u8; FRAME_HEADER_BYTES_MAX], usize) {
        todo!()
    }
}

/// Appends a whole frame to `out`: header and payload, masked where `mask` is given.
pub fn write(out: &mut Vec<u8>, opcode: Opcode, payload: &[u8], mask: Option<[u8; 4]>) {
    let _ = (out, opcode, payload, mask);
    todo!()
}

/// The length in bytes of the whole frame, header included, that starts at the front of `bytes`.
/// For walking over frames that this crate wrote; `None` where the header is incomplete or broken.
#[must_use]
pub fn whole_len(bytes: &[u8]) -> Option<usize> {
    let _ = bytes;
    todo!()
}
