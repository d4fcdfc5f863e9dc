//! TLS under a worker's connections: rustls without its buffers, in the worker's own turn.
//!
//! ```text
//! socket -> records (shared) -> TlsSession::open -> the worker's read buffer -> HTTP, frames
//! arena, outbox -> TlsSession::seal -> out (shared) -> socket
//! ```
//!
//! It knows no worker and no connection: the worker reads and writes by a `Transport`, plain or over this, and asks
//! `state` for what there is beside the bytes.
//!
//! A connection owns rustls's state, and beside it only what has no other place: the part of a record that has come, and
//! the records that its socket did not take, which lie in its outbox. Plain connections pay for none of it: the
//! sessions stand in a table of their own, which a server without a TLS listener doesn't have.
//!
//! | file | subject |
//! |---|---|
//! | [`acceptor`] | certificates, keys and versions: what a handshake goes by, and their replacement |
//! | `keys` | what an idle connection keeps to open records with |
//! | `names` | which names a certificate is for, and whose it is |
//! | `session` | one connection's records: bytes in, bytes out |
//! | `state` | what a worker keeps for all its sessions |

pub mod acceptor;
mod keys;
mod names;
pub(crate) mod session;
pub(crate) mod state;

pub use acceptor::{Acceptor, Credentials, Pem, TlsError};
pub use names::Certified;
