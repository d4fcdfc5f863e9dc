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
//! | `terms` | numbers of the RFC |
//! | [`decoder`] | the [`Extension`](crate::wire::session::Extension) of a session |

pub mod context;
pub mod decoder;
pub mod deflater;
pub mod inflater;
pub mod offer;
mod terms;

pub use context::DeflateContext;
pub use decoder::{Decoder, Inflaters, UnderWay};
pub use deflater::Deflater;
pub use inflater::Inflater;
pub use offer::{Agreement, Direction, Mode, Offer};
pub use terms::{RSV1, WINDOW_BITS};
