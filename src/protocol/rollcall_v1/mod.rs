//! `rollcall.v1`: JSON in text messages.
//!
//! | file | subject |
//! |---|---|
//! | `decode`, `shape` | commands, as clients send them |
//! | `encode` | events, answers and endings, as they are written |

mod decode;
mod encode;
mod shape;

pub use decode::{decode, foreign};
pub use encode::{answer, closing, encode, goodbye, heartbeat, write_history};

/// The subprotocol of clients that know what they speak.
pub const SUBPROTOCOL: &str = "rollcall.v1";

/// Its number among the codecs that write [shared events](crate::presence::event::SharedEvent).
pub const CODEC: usize = 0;
