//! The `info` of a user: said by connections or by their tokens, and whose word counts.
//!
//! `info` belongs to the connection that said it, and goes with it. If connections have tokens, the newest of these decides:
//! its token's claim is the user's `info`. If that token has no such claim, or nobody has a token, the latest info from the
//! connections themselves counts. A connection that takes the place of one within its grace goes on with what that one said for
//! as long as the grace would have lasted: a page that reloads says it again, and nobody sees it gone meanwhile.

use std::sync::Arc;

use crate::presence::device::Device;
use crate::presence::message::ClientRef;
use crate::time::Tick;

/// The info from one connection, or from its token.
#[derive(Debug)]
pub(super) struct InfoClaim {
    pub(super) at: ClientRef,
    /// JSON; `None`: that there is nothing to know.
    pub(super) text: Option<Arc<str>>,
    pub(super) is_claim: bool,
    /// It counts until then.
    pub(super) until: Option<Tick>,
}

/// The info from a user's connections, the latest last: at most one of each.
#[derive(Debug, Default)]
pub(super) struct Info {
    pub(super) said: Vec<InfoClaim>,
    pub(super) shown: Option<Arc<str>>,
    /// The timer that is filed for the first `until`.
    pub(super) timer: Option<Tick>,
}

impl Info {
    /// JSON that others are shown.
    pub(super) fn shown(&self) -> Option<&Arc<str>> {
        self.shown.as_ref()
    }

    /// Decides whose word counts, and returns it.
    pub(super) fn decide(&self, devices: &[Device]) -> Option<Arc<str>> {
        let decides = devices.iter().rev().find(|device| device.has_token).map(Device::address);
        let claim = self.said.iter().find(|said| said.is_claim && Some(said.at) == decides);
        let said = claim.or_else(|| self.said.iter().rev().find(|said| !said.is_claim));
        said.and_then(|said| said.text.clone())
    }
}
