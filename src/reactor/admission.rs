//! Whether there is room for one more, and when who is sent away should come back.
//!
//! A shortage refuses upgrades; what one of memory means for those who are in is in `shed`.

use std::sync::atomic::Ordering::Relaxed;

use crate::conn::origin::RejectReason;
use crate::limits::{MAIL_ADMISSION_MAX, MAIL_BYTES_ADMISSION_MAX, RETRY_MILLIS};
use crate::reactor::ids::WorkerId;
use crate::reactor::overload::Overload;
use crate::reactor::shard::Shard;
use crate::wire::http::Response;

impl Shard {
    /// All that there isn't enough of, for anybody.
    pub(crate) fn shortages(&self) -> impl Iterator<Item = Overload> {
        let shared = &self.shared;
        let (held, most) = (shared.connections(), shared.max_connections());
        let draining = shared.is_draining().then_some(Overload::Draining);
        let full = (held >= most).then_some(Overload::Connections(held, most));
        let scarce = shared.scarce_workers().next().map(Overload::Descriptors);
        [draining, full, self.memory_shortage(), scarce, self.mail_shortage()].into_iter().flatten()
    }

    /// Why an upgrade is refused, if it is.
    pub(crate) fn overload(&self, reject_reason: RejectReason) -> Option<Overload> {
        if self.shared.is_draining() {
            return Some(Overload::Draining);
        }
        let found = match reject_reason {
            RejectReason::Surplus => self.surplus(),
            RejectReason::Scarce => self.is_scarce().then_some(Overload::Descriptors(self.id)),
            RejectReason::Over(over) => Some(over.into()),
            RejectReason::No => None,
        };
        found.or_else(|| self.memory_shortage()).or_else(|| self.mail_shortage())
    }

    /// Whether the worker still has hardly a descriptor left.
    fn is_scarce(&self) -> bool {
        self.shared.workers()[self.id.index()].scarce.load(Relaxed)
    }

    /// Whether one that came as one too many still is: it is counted among those that are held.
    fn surplus(&self) -> Option<Overload> {
        let (held, most) = (self.shared.connections(), self.shared.max_connections());
        (held > most).then_some(Overload::Connections(held, most))
    }

    pub(crate) fn memory_shortage(&self) -> Option<Overload> {
        let most = self.config.max_memory_bytes?;
        let held = self.shared.resident_bytes();
        (held > most).then_some(Overload::Memory(held, most))
    }

    fn mail_shortage(&self) -> Option<Overload> {
        let is_behind =
            |(envelopes, bytes)| envelopes > MAIL_ADMISSION_MAX || bytes > MAIL_BYTES_ADMISSION_MAX;
        let waiting = |worker| Some((worker, self.mail.waiting(worker)?));
        let mut all = (0..).map(WorkerId).map_while(waiting);
        let (worker, (envelopes, bytes)) = all.find(|(_, waiting)| is_behind(*waiting))?;
        Some(Overload::Mail(worker, envelopes, bytes))
    }

    /// The answer to an upgrade for which there is no room. It is counted.
    pub(crate) fn refusal(&mut self, overload: Overload) -> Response {
        self.counters().short[overload.index()].add(1);
        let millis = self.retry_millis();
        // RFC 9110 §10.2.3: whole seconds.
        let seconds = millis.div_ceil(1000);
        Response::refusal(&overload.refusal()).with("Retry-After", seconds.to_string())
    }

    /// When a client that is sent away should come back, in milliseconds: each is told another moment, spread over the time
    /// that it takes to let in as many as are here now.
    pub(crate) fn retry_millis(&mut self) -> u64 {
        let (least, most) = (*RETRY_MILLIS.start(), *RETRY_MILLIS.end());
        let span =
            retry_span_millis(self.shared.reconnect_herd() as u64, self.shared.handshakes_per_second());
        let random = u64::from(self.random.below(u32::try_from(span).unwrap_or(u32::MAX)));
        (least + random).min(most)
    }
}

/// Over how long so many clients come back at such a rate, within the bounds.
fn retry_span_millis(clients: u64, per_second: u64) -> u64 {
    let most = RETRY_MILLIS.end() - RETRY_MILLIS.start();
    // A handshake is not all that a client that comes back costs: it joins its rooms, and others are told. Half is for that.
    (clients.saturating_mul(2_000) / per_second.max(1)).clamp(RETRY_SPAN_MILLIS_MIN, most)
}

/// However few they are, they don't come in the same moment.
const RETRY_SPAN_MILLIS_MIN: u64 = 4_500;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_come_back_over_as_long_as_it_takes() {
        assert_eq!(retry_span_millis(0, 5_000), RETRY_SPAN_MILLIS_MIN);
        assert_eq!(retry_span_millis(50_000, 10_000), 10_000);
        assert_eq!(retry_span_millis(1_000_000, 10_000), 59_500, "a minute at most");
        assert_eq!(retry_span_millis(u64::MAX, 0), 59_500);
    }
}
