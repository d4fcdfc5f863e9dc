//! The rules of RFC 6455 that a peer can break on an open connection, one variant a rule.

use crate::wire::close_code::CloseCode;

/// A broken rule. The connection ends with [`ProtocolError::close_code`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum ProtocolError {
    /// §5.2: a reserved bit that no extension has claimed, or on a frame that may not carry it.
    ReservedBit,
    /// §5.2: opcode 3–7 or 11–15.
    ReservedOpcode,
    /// §5.1: a client's frame must be masked.
    UnmaskedFromClient,
    /// §5.1: a server's frame must not be masked.
    MaskedFromServer,
    /// §5.2: the length must be in its shortest encoding.
    LengthNotMinimal,
    /// §5.2: a 64-bit length with its highest bit set.
    LengthTooLarge,
    /// §5.5: a control frame over 125 bytes.
    ControlTooLong,
    /// §5.5: a control frame must not be fragmented.
    ControlFragmented,
    /// §5.4: a continuation frame with no message to continue.
    NothingToContinue,
    /// §5.4: a new message inside a fragmented one.
    MessageInterrupted,
    /// §8.1: text that isn't UTF-8.
    NotUtf8,
    /// §5.5.1: a Close payload of one byte.
    CloseTooShort,
    /// §7.4: a close code that may not be sent.
    CloseCodeInvalid,
    /// §5.5.1: a close reason that isn't UTF-8.
    CloseReasonNotUtf8,
    /// A frame over the limit.
    FrameTooBig,
    /// A message over the limit.
    MessageTooBig,
    /// A message in more frames than the limit.
    TooManyFragments,
    /// An extension could not decode a message.
    ExtensionData,
}

impl ProtocolError {
    /// The code of the Close frame that answers it: 1002, 1007 or 1009.
    #[must_use]
    pub const fn close_code(self) -> CloseCode {
        match self {
            ProtocolError::NotUtf8 | ProtocolError::CloseReasonNotUtf8 | ProtocolError::ExtensionData => {
                CloseCode::INVALID_DATA
            }
            ProtocolError::FrameTooBig | ProtocolError::MessageTooBig | ProtocolError::TooManyFragments => {
                CloseCode::TOO_BIG
            }
            _ => CloseCode::PROTOCOL,
        }
    }

    /// One line for the Close frame's reason and for logs.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            ProtocolError::ReservedBit => "reserved bit set",
            ProtocolError::ReservedOpcode => "reserved opcode",
            ProtocolError::UnmaskedFromClient => "frame from a client must be masked",
            ProtocolError::MaskedFromServer => "frame from a server must not be masked",
            ProtocolError::LengthNotMinimal => "length not in its shortest encoding",
            ProtocolError::LengthTooLarge => "length over 63 bits",
            ProtocolError::ControlTooLong => "control frame over 125 bytes",
            ProtocolError::ControlFragmented => "control frame fragmented",
            ProtocolError::NothingToContinue => "continuation without a message",
            ProtocolError::MessageInterrupted => "new message inside a fragmented one",
            ProtocolError::NotUtf8 => "text is not UTF-8",
            ProtocolError::CloseTooShort => "close payload of one byte",
            ProtocolError::CloseCodeInvalid => "close code may not be sent",
            ProtocolError::CloseReasonNotUtf8 => "close reason is not UTF-8",
            ProtocolError::FrameTooBig => "frame too big",
            ProtocolError::MessageTooBig => "message too big",
            ProtocolError::TooManyFragments => "message in too many fragments",
            ProtocolError::ExtensionData => "message can't be decoded",
        }
    }
}

impl std::fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.reason())
    }
}

impl std::error::Error for ProtocolError {}
