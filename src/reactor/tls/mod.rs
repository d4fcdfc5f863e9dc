//! TLS under a worker's connections: rustls without its buffers, in the worker's own turn.
//!
//! ```text
//! socket -> records (shared) -> Link::open -> the worker's read buffer -> HTTP, frames
//! arena, outbox -> Link::seal -> out (shared) -> socket
//! ```
//!
//! It knows no worker and no connection: the worker reads and writes by a `Transport`, plain or over this, and asks
//! `side` for what there is beside the bytes.
//!
//! A connection owns rustls's state, and beside it only what has no other place: the part of a record that has come, and
//! the records that its socket did not take, which lie in its outbox. Plain connections pay for none of it: the
//! links stand in a table of their own, which a server without a TLS listener doesn't have.
//!
//! | file | subject |
//! |---|---|
//! | [`acceptor`] | certificates, keys and versions: what a handshake goes by, and their replacement |
//! | `keys` | what an idle connection keeps to open records with |
//! | `names` | which names a certificate is for, and whose it is |
//! | `link` | one connection's records: bytes in, bytes out |
//! | `side` | what a worker keeps for all its links |

pub mod acceptor;
mod keys;
pub(crate) mod link;
mod names;
pub(crate) mod side;

pub use acceptor::{Acceptor, Credentials, Pem, TlsError};
pub use names::Certified;
