//! permessage-deflate (RFC 7692): messages whose first frame carries RSV1 are compressed.
//!
//! A context, what one message may refer back to, is kept as what RFC 7692 §7.2 says it is: the last bytes that one direction
//! has carried. No compressor belongs to a connection; any of a window that its peer can follow is primed with those bytes,
//! or with none. That makes a context some 4 KiB instead of 300, lets a message be compressed once for many connections, and
//! lets the sending one be forgotten at any time: a message that refers to nothing is always understood.
//!
//! | file | subject |
//! |---|---|
//! | [`offer`] | what is offered and agreed in the handshake, both roles |
//! | [`deflater`] | a message compressed |
//! | [`inflater`] | a message inflated, as far as a limit and a share of time allow |
//! | [`context`] | what a direction has carried last |
//! | [`decoder`] | the [`Extension`](crate::wire::session::Extension) of a session |

pub mod context;
pub mod decoder;
pub mod deflater;
pub mod inflater;
pub mod offer;

pub use context::Context;
pub use decoder::{Decoder, Inflaters, UnderWay};
pub use deflater::Deflater;
pub use inflater::Inflater;
pub use offer::{Agreement, Direction, Mode, Offer};

/// RSV1, as in [`Header::reserved`](crate::wire::frame::Header::reserved): RFC 7692 §6, a compressed message.
pub const RSV1: u8 = 4;
/// The windows that can be compressed for. RFC 7692 §7.1.2 also has 8 bits, for which zlib has no raw deflate.
pub const WINDOW_BITS: std::ops::RangeInclusive<u8> = 9..=15;
