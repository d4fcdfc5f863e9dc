//! The addresses that messages carry: of clients, of workers, and of whoever waits for an answer.

use serde::{Deserialize, Serialize};

/// A client as its edge knows it: a slot, and the serial number that tells it from an earlier client in the same slot.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct ClientId {
    /// The edge's slot.
    pub slot: u32,
    /// Counted up with each client, and not from the same number after the worker was
    /// [started anew](crate::presence::Node::set_incarnation).
    pub serial: u32,
}

/// A worker as others know it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct WorkerRef {
    /// The node that it is of: 0, as long as there is one.
    pub node: u16,
    /// Its number there.
    pub worker: u16,
}

impl WorkerRef {
    /// A worker of this node.
    #[must_use]
    pub const fn here(worker: u16) -> WorkerRef {
        WorkerRef { node: 0, worker }
    }
}

/// A client as others know it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct ClientRef {
    /// The node that the worker is of: 0, as long as there is one.
    pub node: u16,
    /// The worker whose edge it is at.
    pub worker: u16,
    /// There.
    pub client: ClientId,
}

impl ClientRef {
    /// A client of this node.
    #[must_use]
    pub const fn here(worker: u16, client: ClientId) -> ClientRef {
        ClientRef { node: 0, worker, client }
    }

    /// The worker whose edge it is at.
    #[must_use]
    pub const fn edge(self) -> WorkerRef {
        WorkerRef { node: self.node, worker: self.worker }
    }
}

/// The waiting side of a request: where its answer goes, and which request it answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ReplyTo {
    /// The client that gets the answer.
    pub at: ClientRef,
    /// The request that it answers.
    pub request: RequestRef,
}

/// The request that an answer belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum RequestRef {
    /// The client's command with that `seq`.
    Command(i64),
    /// A part of a reply that the edge puts together from several homes.
    Part {
        /// The edge's place for it.
        pending_reply: u32,
        /// Tells it from an earlier one in the same place.
        serial: u32,
        /// The part's number.
        index: u32,
    },
    /// A message that a user's home has sent to one of several connections.
    Tell {
        /// The home's number for it.
        tell: u32,
    },
    /// A part of an admin request.
    Admin {
        /// The number of the admin request at its worker.
        request: u32,
        /// The part's number.
        index: u32,
    },
    /// A join or a leave that an admin request made a client do.
    Forced {
        /// The worker of the admin request, which is told what came of it.
        admin: WorkerRef,
        /// The number of the admin request at its worker.
        request: u32,
        /// The client doesn't expect it, and is told by an event.
        change: bool,
    },
    /// A client's command that the home of another worker is to answer.
    Awaited {
        /// The edge's place for it.
        slot: u32,
        /// Tells it from an earlier one in the same place.
        serial: u32,
    },
    /// The client's command with that `seq`, to which the answer has much to say: one at a time.
    CatchUp(i64),
}

impl RequestRef {
    /// The `seq` of a client's own command.
    pub(crate) const fn seq(self) -> Option<i64> {
        match self {
            RequestRef::Command(seq) | RequestRef::CatchUp(seq) => Some(seq),
            _ => None,
        }
    }
}

/// Stands for the admin side where a client is named: no client has that slot.
const ADMIN: ClientId = ClientId { slot: u32::MAX, serial: 0 };

/// The number of no admin request: nobody is told what comes of it.
pub(crate) const NOBODY: u32 = 0;

/// The address for answers to an admin request.
pub(crate) const fn reply_to(worker: u16, request: u32) -> ReplyTo {
    ReplyTo { at: ClientRef::here(worker, ADMIN), request: RequestRef::Admin { request, index: 0 } }
}
