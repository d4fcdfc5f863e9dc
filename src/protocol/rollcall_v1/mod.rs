//! `rollcall.v1`: JSON in text messages; in binary ones, bytes behind it.
//!
//! | file | subject |
//! |---|---|
//! | `decode`, `shape` | commands, as clients send them |
//! | `encode` | events, answers and endings, as they are written |
//! | `framed` | commands and events with bytes |

mod decode;
mod encode;
mod framed;
mod shape;

pub use decode::{decode, foreign};
pub use encode::{answer, closing, encode, goodbye, heartbeat, write_history};
pub use framed::{decode_framed, encode_framed};

/// The subprotocol of clients that know what they speak.
pub const SUBPROTOCOL: &str = "rollcall.v1";

/// Its number among the codecs that write [shared events](crate::presence::event::SharedEvent).
pub const CODEC: usize = 0;
/// The same for the form with bytes behind it.
pub const FRAMED_CODEC: usize = 1;
