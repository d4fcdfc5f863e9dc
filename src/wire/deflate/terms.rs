//! Numbers of RFC 7692.

/// RSV1, as in [`Header::reserved`](crate::wire::frame::Header::reserved): RFC 7692 §6, a compressed message.
pub const RSV1: u8 = 4;
/// The windows that can be compressed for. RFC 7692 §7.1.2 also has 8 bits, for which zlib has no raw deflate.
pub const WINDOW_BITS: std::ops::RangeInclusive<u8> = 9..=15;
