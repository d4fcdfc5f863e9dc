//! Clients that PROXY headers have named, until their connections are WebSockets or gone.

use std::collections::HashMap;
use std::net::IpAddr;

use crate::limits::INTRODUCED_KEPT;
use crate::reactor::ids::ConnId;

/// By their connections' places in the slab.
#[derive(Debug, Default)]
pub(crate) struct Introduced {
    named: HashMap<u32, IpAddr>,
}

impl Introduced {
    pub(crate) fn insert(&mut self, id: ConnId, client: IpAddr) {
        self.named.insert(id.key, client);
    }

    pub(crate) fn get(&self, id: ConnId) -> Option<IpAddr> {
        self.named.get(&id.key).copied()
    }

    /// The connection is a WebSocket now, or gone.
    pub(crate) fn forget(&mut self, id: ConnId) {
        if !self.named.is_empty() {
            self.named.remove(&id.key);
            if self.named.is_empty() {
                // The table of a reconnect herd is given back.
                self.named.shrink_to(INTRODUCED_KEPT);
            }
        }
    }
}
