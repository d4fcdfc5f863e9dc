//! For whom a connection is counted, and whether it may be let in: what is noted when it comes and looked at when it asks.

use crate::conn::flags::Flag;
use crate::conn::origin::{Over, PeerKind, RejectReason};
use crate::conn::{Conn, NONE};

impl Conn {
    /// Notes the kind of peer, and the slot of the address table where it is counted. `over`: it is one too
    /// many there.
    pub(crate) fn count(&mut self, peer_kind: PeerKind, place: Option<u32>, over: Option<Over>) {
        self.peer_kind = peer_kind;
        if let Some(place) = place {
            self.origin = place;
        }
        if let Some(over) = over {
            self.reject_reason = RejectReason::Over(over);
        }
    }

    /// It has come from elsewhere, and is counted here in that place.
    pub(crate) const fn count_again(&mut self, place: u32) {
        self.origin = place;
    }

    /// It is no longer counted where it was, which is returned. Whatever its address has, it may be one too many for the server,
    /// which is looked at when it asks.
    pub(crate) fn uncount(&mut self) -> Option<u32> {
        if self.is_over() {
            self.reject_reason = RejectReason::Surplus;
        }
        let place = std::mem::replace(&mut self.origin, NONE);
        (place != NONE).then_some(place)
    }

    /// The slot of the address table where it is counted.
    pub(crate) fn counted_at(&self) -> Option<u32> {
        (self.origin != NONE).then_some(self.origin)
    }

    /// Hardly a descriptor was left for it.
    pub(crate) const fn find_scarce(&mut self) {
        self.reject_reason = RejectReason::Scarce;
    }

    /// It is one more than `max_connections`. The limit of its address counts for more.
    pub(crate) fn find_surplus(&mut self) {
        if !self.is_over() {
            self.reject_reason = RejectReason::Surplus;
        }
    }

    const fn is_over(&self) -> bool {
        matches!(self.reject_reason, RejectReason::Over(_))
    }

    /// Whether its address, which had too many, is to be looked at once more: it was kept, and may ask long after it came.
    pub(crate) const fn may_be_wanted_again(&self) -> bool {
        self.is_over() && self.flags.has(Flag::Served)
    }

    /// Why it may not be let in.
    pub(crate) const fn reject_reason(&self) -> RejectReason {
        self.reject_reason
    }

    /// The kind of peer.
    pub(crate) const fn peer_kind(&self) -> PeerKind {
        self.peer_kind
    }

    /// Its proxy begins with a PROXY header, where it is one.
    pub(crate) fn expect_preface(&mut self) {
        if self.peer_kind == PeerKind::Proxy {
            self.peer_kind = PeerKind::Preface;
        }
    }

    /// Whether a PROXY header comes before anything else.
    pub(crate) fn awaits_preface(&self) -> bool {
        self.peer_kind == PeerKind::Preface
    }

    /// The PROXY header has come.
    pub(crate) const fn end_preface(&mut self) {
        self.peer_kind = PeerKind::Proxy;
    }
}
