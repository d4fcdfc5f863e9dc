//! The requests that a worker serves: what the next one is numbered, and where the one that is being served comes from.

use std::net::IpAddr;

use crate::reactor::ids::{ConnId, RequestId};

/// It.
#[derive(Debug, Default)]
pub(crate) struct Asking {
    next: u32,
    requester: Option<IpAddr>,
}

impl Asking {
    /// The number that a connection's next request will have, unless others are served before its body has come. Counted over the
    /// worker: an answer that comes too late finds no later request of its number.
    pub(crate) const fn next(&self, conn: ConnId) -> RequestId {
        RequestId { conn, serial: self.next }
    }

    /// The service is asked for somebody at that address, by a request that is to be answered where it is `numbered`.
    pub(crate) const fn begin(&mut self, requester: Option<IpAddr>, numbered: bool) {
        self.requester = requester;
        if numbered {
            self.next = self.next.wrapping_add(1);
        }
    }

    /// It has been asked.
    pub(crate) const fn end(&mut self) {
        self.requester = None;
    }

    /// The address of the request that the service is being asked for.
    pub(crate) const fn requester(&self) -> Option<IpAddr> {
        self.requester
    }
}
