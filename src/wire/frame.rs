//! Frame headers (RFC 6455 §5.2).

use serde::{Deserialize, Serialize};

use crate::limits::FRAME_HEADER_BYTES_MAX;
use crate::wire::error::ProtocolError;
use crate::wire::mask;

/// The opcode of a frame.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
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

    const fn from_bits(bits: u8) -> Result<Opcode, ProtocolError> {
        Ok(match bits {
            0 => Opcode::Continuation,
            1 => Opcode::Text,
            2 => Opcode::Binary,
            8 => Opcode::Close,
            9 => Opcode::Ping,
            10 => Opcode::Pong,
            // RFC 6455 §5.2: 3–7 and 11–15 are reserved; an unknown opcode fails the connection.
            _ => return Err(ProtocolError::ReservedOpcode),
        })
    }
}

/// A frame header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// Last frame of its message.
    pub fin: bool,
    /// RSV1, RSV2, RSV3 as 4, 2, 1.
    pub reserved: u8,
    /// The frame's opcode.
    pub opcode: Opcode,
    /// The mask key of a client's frame.
    pub mask: Option<[u8; 4]>,
    /// Bytes of payload that follow; under 2^63.
    pub len: u64,
}

/// The outcome of [`Header::parse`].
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
    #[inline(always)]
    pub fn parse(bytes: &[u8]) -> Result<Parsed, ProtocolError> {
        let Some(&first) = bytes.first() else { return Ok(Parsed::NeedMore(2)) };
        let fin = first & 0x80 != 0;
        let opcode = Opcode::from_bits(first & 0x0f)?;
        // RFC 6455 §5.5: control frames must not be fragmented.
        if opcode.is_control() && !fin {
            return Err(ProtocolError::ControlFragmented);
        }
        let Some(&second) = bytes.get(1) else { return Ok(Parsed::NeedMore(2)) };
        // RFC 6455 §5.5: control frames carry at most 125 bytes, and thus never an extended length.
        if opcode.is_control() && second & 0x7f > 125 {
            return Err(ProtocolError::ControlTooLong);
        }
        let Some((len, at)) = extended_len(second & 0x7f, &bytes[2..])? else {
            return Ok(Parsed::NeedMore(size(second)));
        };
        let mask = if second & 0x80 == 0 {
            None
        } else {
            let Some(key) = bytes[2 + at..].first_chunk() else { return Ok(Parsed::NeedMore(size(second))) };
            Some(*key)
        };
        Ok(Parsed::Header(Header { fin, reserved: first >> 4 & 7, opcode, mask, len }, size(second)))
    }

    /// The header's bytes: the first `.1` of `.0`.
    #[must_use]
    pub fn encode(&self) -> ([u8; FRAME_HEADER_BYTES_MAX], usize) {
        let mut bytes = [0; FRAME_HEADER_BYTES_MAX];
        bytes[0] = u8::from(self.fin) << 7 | self.reserved << 4 | self.opcode as u8;
        let wide = self.len.to_be_bytes();
        let mut len = match self.len {
            0..=125 => {
                bytes[1] = wide[7];
                2
            }
            126..=0xffff => {
                bytes[1] = 126;
                bytes[2..4].copy_from_slice(&wide[6..]);
                4
            }
            _ => {
                bytes[1] = 127;
                bytes[2..10].copy_from_slice(&wide);
                10
            }
        };
        if let Some(key) = self.mask {
            bytes[1] |= 0x80;
            bytes[len..len + 4].copy_from_slice(&key);
            len += 4;
        }
        (bytes, len)
    }
}

/// The size of a header whose second byte is `second`.
const fn size(second: u8) -> usize {
    let extended = match second & 0x7f {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    2 + extended + if second & 0x80 == 0 { 0 } else { 4 }
}

/// The payload's length and how many bytes it took beyond the `short` one; `None` where `bytes` are too few to tell,
/// an error already where they show one.
#[inline]
fn extended_len(short: u8, bytes: &[u8]) -> Result<Option<(u64, usize)>, ProtocolError> {
    match short {
        126 => {
            let Some(len) = bytes.first_chunk() else { return Ok(None) };
            let len = u16::from_be_bytes(*len);
            // RFC 6455 §5.2: the minimal number of bytes must be used.
            if len < 126 { Err(ProtocolError::LengthNotMinimal) } else { Ok(Some((len.into(), 2))) }
        }
        127 => {
            // RFC 6455 §5.2: the most significant bit must be 0.
            if bytes.first().is_some_and(|byte| byte & 0x80 != 0) {
                return Err(ProtocolError::LengthTooLarge);
            }
            // RFC 6455 §5.2: the minimal number of bytes must be used; six zeros leave no more than 16 bits.
            if bytes.first_chunk() == Some(&[0; 6]) {
                return Err(ProtocolError::LengthNotMinimal);
            }
            Ok(bytes.first_chunk().map(|len| (u64::from_be_bytes(*len), 8)))
        }
        _ => Ok(Some((short.into(), 0))),
    }
}

/// Appends a whole frame to `out`: header and payload, masked where `mask` is given.
pub fn write(out: &mut Vec<u8>, opcode: Opcode, payload: &[u8], mask: Option<[u8; 4]>) {
    write_reserved(out, opcode, 0, payload, mask);
}

/// As [`write()`], with reserved bits as in [`Header::reserved`].
pub fn write_reserved(
    out: &mut Vec<u8>,
    opcode: Opcode,
    reserved: u8,
    payload: &[u8],
    mask: Option<[u8; 4]>,
) {
    if let (None, Ok(len @ 0..=125)) = (mask, u8::try_from(payload.len())) {
        // Most of what a server sends. The header is two bytes then, not an array of which some are copied.
        out.reserve(2 + payload.len());
        out.extend_from_slice(&[0x80 | reserved << 4 | opcode as u8, len]);
        return out.extend_from_slice(payload);
    }
    let (header, len) = Header { fin: true, reserved, opcode, mask, len: payload.len() as u64 }.encode();
    out.reserve(len + payload.len());
    out.extend_from_slice(&header[..len]);
    out.extend_from_slice(payload);
    if let Some(key) = mask {
        let start = out.len() - payload.len();
        mask::apply(&mut out[start..], key);
    }
}

/// The length in bytes of the whole frame, header included, that starts at the front of `bytes`.
/// For walking over frames that this crate wrote; `None` where the header is incomplete or broken.
#[must_use]
pub fn whole_len(bytes: &[u8]) -> Option<usize> {
    match Header::parse(bytes) {
        Ok(Parsed::Header(header, at)) => usize::try_from(header.len).ok()?.checked_add(at),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_reads_back_at_every_length_boundary() {
        for len in [0, 1, 125, 126, 127, 255, 256, 65_535, 65_536, 65_537, 1 << 32, (1 << 63) - 1] {
            for mask in [None, Some([1, 2, 3, 4])] {
                let header = Header { fin: true, reserved: 5, opcode: Opcode::Binary, mask, len };
                let (bytes, size) = header.encode();
                assert_eq!(Header::parse(&bytes[..size]), Ok(Parsed::Header(header, size)), "{len}");
                for cut in 0..size {
                    let Ok(Parsed::NeedMore(more)) = Header::parse(&bytes[..cut]) else {
                        panic!("{len} {cut}")
                    };
                    assert!(more > cut && more <= size, "{len} {cut} {more}");
                }
            }
        }
    }

    #[test]
    fn written_frame_is_walked_over() {
        let mut out = Vec::new();
        write(&mut out, Opcode::Text, b"hello", Some([9, 8, 7, 6]));
        write(&mut out, Opcode::Binary, &[0; 70_000], None);
        assert_eq!(whole_len(&out), Some(2 + 4 + 5));
        assert_eq!(whole_len(&out[11..]), Some(10 + 70_000));
        assert_eq!(whole_len(&out[..1]), None);
    }

    #[test]
    fn frame_of_the_specification_is_written_byte_for_byte() {
        // §5.7
        let mut out = Vec::new();
        write(&mut out, Opcode::Text, b"Hello", Some([0x37, 0xfa, 0x21, 0x3d]));
        assert_eq!(out, b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58");
    }
}
