//! For whom a connection is, and why it may not be let in: what is found when it comes.

use serde::{Deserialize, Serialize};

/// The kind of peer at the other end.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) enum PeerKind {
    /// The client, or who can't be told from it.
    #[default]
    Client,
    /// A proxy whose word is taken for whom it speaks.
    Proxy,
    /// Such a proxy, which has yet to send its PROXY header.
    Preface,
}

/// The limit that an address is over.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) enum Over {
    /// Connections at once.
    Connections,
    /// Handshakes in a second.
    Handshakes,
}

/// Why a connection that was accepted may not be let in: what was found then, in a byte. It is looked at again when it asks to
/// be, which may be long after on a connection that a proxy keeps.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) enum RejectReason {
    /// Nothing was found.
    #[default]
    No,
    /// It is one more than `max_connections`.
    Surplus,
    /// Hardly a descriptor was left.
    Scarce,
    /// Its address has a limit.
    Over(Over),
}
