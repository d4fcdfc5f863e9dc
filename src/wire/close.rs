//! Close codes (RFC 6455 §7.4) and the payload of a Close frame (§5.5.1).

use crate::limits::{CLOSE_REASON_BYTES_MAX, CONTROL_BYTES_MAX};
use crate::wire::error::ProtocolError;

/// The status code of a Close frame.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct CloseCode(pub u16);

impl CloseCode {
    /// 1000: the purpose is fulfilled.
    pub const NORMAL: CloseCode = CloseCode(1000);
    /// 1001: the server goes away (drain), or the page does.
    pub const GOING_AWAY: CloseCode = CloseCode(1001);
    /// 1002: a rule of the protocol was broken.
    pub const PROTOCOL: CloseCode = CloseCode(1002);
    /// 1003: a kind of data that can't be accepted.
    pub const UNSUPPORTED: CloseCode = CloseCode(1003);
    /// 1007: data that doesn't fit its type (text that isn't UTF-8).
    pub const INVALID_DATA: CloseCode = CloseCode(1007);
    /// 1009: too big.
    pub const TOO_BIG: CloseCode = CloseCode(1009);
    /// 1010: the client missed an extension.
    pub const MISSING_EXTENSION: CloseCode = CloseCode(1010);
    /// 1011: the server met a condition it did not expect.
    pub const INTERNAL: CloseCode = CloseCode(1011);
    /// 1013: try again later; here: too slow a reader.
    pub const TRY_AGAIN: CloseCode = CloseCode(1013);
    /// 4000: a client that will not be back: its page was logged out.
    pub const GOODBYE: CloseCode = CloseCode(4000);
    /// 4408: no heartbeat or authentication in time.
    pub const TIMEOUT: CloseCode = CloseCode(4408);

    /// Whether the code may stand in a Close frame.
    ///
    /// RFC 6455 §7.4.1 reserves 1004, 1005, 1006 and 1015; §7.4.2 leaves 0–999 unused, 1016–2999 to later revisions,
    /// and 3000–4999 to libraries and applications. 1012–1014 are registered with IANA.
    #[must_use]
    pub const fn may_be_sent(self) -> bool {
        matches!(self.0, 1000..=1003 | 1007..=1014 | 3000..=4999)
    }
}

/// What a Close frame says.
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
