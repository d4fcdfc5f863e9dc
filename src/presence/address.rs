//! Who is meant and who waits: the addresses that letters carry.

use serde::{Deserialize, Serialize};

/// A client as its edge knows it: a slot, and the serial number that tells it from an earlier client in the same slot.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Client {
    /// The edge's slot.
    pub slot: u32,
    /// Counted up with each client.
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
pub struct Address {
    /// The node that the worker is of: 0, as long as there is one.
    pub node: u16,
    /// The worker whose edge it is at.
    pub worker: u16,
    /// There.
    pub client: Client,
}

impl Address {
    /// A client of this node.
    #[must_use]
    pub const fn here(worker: u16, client: Client) -> Address {
        Address { node: 0, worker, client }
    }

    /// The worker whose edge it is at.
    #[must_use]
    pub const fn edge(self) -> WorkerRef {
        WorkerRef { node: self.node, worker: self.worker }
    }
}

/// Who waits for an answer, and for which.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Asker {
    /// Where the answer goes.
    pub at: Address,
    /// What it answers.
    pub ticket: Ticket,
}

/// What an answer answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Ticket {
    /// The client's command with that `seq`.
    Command(i64),
    /// A part of something that the edge gathers from several homes.
    Part {
        /// The edge's place for it.
        gather: u32,
        /// Tells it from an earlier one in the same place.
        serial: u32,
        /// Which part.
        index: u32,
    },
    /// A message that a user's home has sent to one of several connections.
    Tell {
        /// The home's number for it.
        tell: u32,
    },
    /// A part of what was asked at a worker's desk, from outside.
    Job {
        /// The desk's number for it.
        job: u32,
        /// Which part.
        index: u32,
    },
    /// What a client does because a desk had it do so.
    Brought {
        /// The worker of the desk, which is told what came of it.
        desk: WorkerRef,
        /// The desk's number for it.
        job: u32,
        /// The client doesn't expect it, and is told by an event.
        news: bool,
    },
    /// A client's command that the home of another worker is to answer.
    Awaited {
        /// The edge's place for it.
        slot: u32,
        /// Tells it from an earlier one in the same place.
        serial: u32,
    },
}

/// What stands for the desk where a client is named: no client has that slot.
const DESK: Client = Client { slot: u32::MAX, serial: 0 };

/// The job of nobody: what comes of it is told to no desk.
pub(crate) const NOBODY: u32 = 0;

/// Who waits for an answer to a desk's job.
pub(crate) const fn asker(worker: u16, job: u32) -> Asker {
    Asker { at: Address::here(worker, DESK), ticket: Ticket::Job { job, index: 0 } }
}
