//! For whom requests and connections come, as a service sees it: their addresses, what is counted by them, and who is one too many.

use std::net::IpAddr;

use crate::reactor::addresses::{AddressLimits, Entered};
use crate::reactor::ids::ConnId;
use crate::reactor::overload::Overload;
use crate::reactor::shard::Shard;
use crate::wire::http::Response;

/// A part of a [`Context`](crate::reactor::Context).
pub struct Addressing<'s>(&'s Shard);

impl std::fmt::Debug for Addressing<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Addressing").finish_non_exhaustive()
    }
}

impl<'s> Addressing<'s> {
    pub(super) const fn new(shard: &'s Shard) -> Addressing<'s> {
        Addressing(shard)
    }

    /// The address of the client whose request [`Service::request`](crate::reactor::Service::request) or
    /// [`Service::admit`](crate::reactor::Service::admit) is called for: the client that a trusted proxy names, else the peer. `None` for a
    /// Unix socket, and outside of such a call.
    #[must_use]
    pub fn requester(&self) -> Option<IpAddr> {
        self.0.asking.requester()
    }

    /// The key that the connection's address is counted under; `None` where it isn't counted, as loopback and trusted
    /// proxies.
    #[must_use]
    pub fn peer_key(&self, conn: ConnId) -> Option<u64> {
        Some(self.0.shared.addresses().key(self.0.get(conn)?.counted_at()?))
    }

    /// Why a further client on the connection of a request is refused, as an upgrade would be: the server is short of something, or its
    /// address has too many already. The answer lacks when to come back.
    #[must_use]
    pub fn refusal(&self, conn: ConnId) -> Option<Response> {
        let found = self.0.get(conn)?.reject_reason();
        let overload = self.0.overload(found)?;
        Some(self.refuse(overload))
    }

    /// Counts something that a request has begun for the address that it comes from, as a connection of that; [`Addressing::uncount`]
    /// ends it. `None`: that address isn't counted.
    ///
    /// # Errors
    /// The address has too many: the answer, which lacks when to come back.
    pub fn count(&self) -> Result<Option<u32>, Response> {
        let shard = self.0;
        let Some(address) = shard.asking.requester().map(|address| address.to_canonical()) else {
            return Ok(None);
        };
        let is_trusted = shard.config.trusted_proxies.iter().any(|network| network.contains(address));
        if is_trusted || address.is_loopback() {
            return Ok(None);
        }
        let limits = AddressLimits { handshakes: 0, ..shard.config.addresses };
        match shard.shared.addresses().enter(address, shard.now.tick, limits) {
            Entered::In(place) => Ok(Some(place)),
            Entered::Uncounted => Ok(None),
            Entered::Surplus(place, over) => {
                shard.shared.addresses().leave(place);
                Err(self.refuse(over.into()))
            }
            Entered::Flood(over) => Err(self.refuse(over.into())),
        }
    }

    /// Something that [`Addressing::count`] has counted, at any worker, is over.
    pub fn uncount(&self, place: u32) {
        self.0.shared.addresses().leave(place);
    }

    fn refuse(&self, overload: Overload) -> Response {
        self.0.counters().short[overload.index()].add(1);
        Response::refusal(&overload.refusal())
    }
}
