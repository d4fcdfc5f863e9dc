//! The payload of a Close frame (RFC 6455 §5.5.1).

use crate::limits::{CLOSE_REASON_BYTES_MAX, CONTROL_BYTES_MAX};
pub use crate::wire::close_code::CloseCode;
use crate::wire::error::ProtocolError;

/// The content of a Close frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Close<'a> {
    /// Absent where the payload was empty.
    pub code: Option<CloseCode>,
    /// At most 123 bytes; empty where there is no code.
    pub reason: &'a str,
}

impl<'a> Close<'a> {
    /// A close with `code` and a reason, which is cut at a character boundary where it is over 123 bytes.
    #[must_use]
    pub fn new(code: CloseCode, reason: &'a str) -> Close<'a> {
        let mut end = reason.len().min(CLOSE_REASON_BYTES_MAX);
        while !reason.is_char_boundary(end) {
            end -= 1;
        }
        Close { code: Some(code), reason: &reason[..end] }
    }

    /// Reads the payload of a Close frame.
    ///
    /// # Errors
    /// A payload of one byte, a code that may not be sent, a reason that isn't UTF-8 (RFC 6455 §5.5.1, §7.4).
    pub fn parse(payload: &'a [u8]) -> Result<Close<'a>, ProtocolError> {
        let Some((code, reason)) = payload.split_first_chunk::<2>() else {
            // RFC 6455 §5.5.1: if there is a body, its first two bytes are the code.
            return if payload.is_empty() { Ok(Close::default()) } else { Err(ProtocolError::CloseTooShort) };
        };
        let code = CloseCode(u16::from_be_bytes(*code));
        if !code.may_be_sent() {
            return Err(ProtocolError::CloseCodeInvalid);
        }
        // RFC 6455 §5.5.1: what follows the code is UTF-8.
        let reason = std::str::from_utf8(reason).map_err(|_| ProtocolError::CloseReasonNotUtf8)?;
        Ok(Close { code: Some(code), reason })
    }

    /// The payload: `.1` bytes of `.0`. A reason that was not cut by [`Close::new`] is cut here.
    #[must_use]
    pub fn payload(&self) -> ([u8; CONTROL_BYTES_MAX], usize) {
        let mut payload = [0; CONTROL_BYTES_MAX];
        let Some(code) = self.code else { return (payload, 0) };
        let reason = Close::new(code, self.reason).reason.as_bytes();
        payload[..2].copy_from_slice(&code.0.to_be_bytes());
        payload[2..2 + reason.len()].copy_from_slice(reason);
        (payload, 2 + reason.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_codes_that_may_be_sent_are_accepted() {
        // §7.4.1, §7.4.2
        for code in 0..=u16::MAX {
            let sendable = match code {
                1004..=1006 | 1015 => false,
                1000..=1014 | 3000..=4999 => true,
                _ => false,
            };
            let expected =
                if sendable { Ok(Some(CloseCode(code))) } else { Err(ProtocolError::CloseCodeInvalid) };
            assert_eq!(Close::parse(&code.to_be_bytes()).map(|close| close.code), expected, "{code}");
        }
    }

    #[test]
    fn payload_of_one_byte_is_refused() {
        // §5.5.1
        assert_eq!(Close::parse(b"\x03"), Err(ProtocolError::CloseTooShort));
    }

    #[test]
    fn reason_must_be_utf8() {
        // §5.5.1
        assert_eq!(Close::parse(b"\x03\xe8\xff"), Err(ProtocolError::CloseReasonNotUtf8));
        assert_eq!(Close::parse(b"\x03\xe8\xe2\x82"), Err(ProtocolError::CloseReasonNotUtf8));
    }

    #[test]
    fn payload_reads_back() {
        for close in
            [Close::default(), Close::new(CloseCode::NORMAL, ""), Close::new(CloseCode(4999), "später")]
        {
            let (payload, len) = close.payload();
            assert_eq!(Close::parse(&payload[..len]), Ok(close));
        }
    }

    #[test]
    fn long_reason_is_cut_between_characters() {
        let reason = "€".repeat(50);
        let (payload, len) = Close { code: Some(CloseCode::NORMAL), reason: &reason }.payload();
        assert_eq!(len, 2 + 41 * 3);
        assert_eq!(Close::parse(&payload[..len]).unwrap().reason, &reason[..123]);
    }
}
