//! Whether there is room for one more, and when who is sent away should come back.
//!
//! A shortage refuses upgrades; what one of memory means for those who are in is in `shed`.

use std::sync::atomic::Ordering::Relaxed;

use crate::conn::origin::Unwanted;
use crate::limits::{MAIL_ADMISSION_MAX, MAIL_BYTES_ADMISSION_MAX, RETRY_MILLIS};
use crate::reactor::core::Core;
use crate::reactor::ids::WorkerId;
use crate::reactor::shortage::Shortage;
use crate::wire::http::Response;

impl Core {
    /// All that there isn't enough of, for anybody.
    pub(crate) fn shortages(&self) -> impl Iterator<Item = Shortage> {
        let fleet = &self.fleet;
        let (held, most) = (fleet.connections(), fleet.max_connections());
        let draining = fleet.is_draining().then_some(Shortage::Draining);
        let full = (held >= most).then_some(Shortage::Connections(held, most));
        let scarce = fleet.scarce_workers().next().map(Shortage::Descriptors);
        [draining, full, self.memory_shortage(), scarce, self.mail_shortage()].into_iter().flatten()
    }

    /// Why an upgrade is refused, if it is.
    pub(crate) fn shortage(&self, unwanted: Unwanted) -> Option<Shortage> {
        if self.fleet.is_draining() {
            return Some(Shortage::Draining);
        }
        let found = match unwanted {
            Unwanted::Surplus => self.surplus(),
            Unwanted::Scarce => self.is_scarce().then_some(Shortage::Descriptors(self.id)),
            Unwanted::Over(over) => Some(over.into()),
            Unwanted::No => None,
        };
        found.or_else(|| self.memory_shortage()).or_else(|| self.mail_shortage())
    }

    /// Whether the worker still has hardly a descriptor left.
    fn is_scarce(&self) -> bool {
        self.fleet.workers()[self.id.index()].scarce.load(Relaxed)
    }

    /// Whether one that came as one too many still is: it is counted among those that are held.
    fn surplus(&self) -> Option<Shortage> {
        let (held, most) = (self.fleet.connections(), self.fleet.max_connections());
        (held > most).then_some(Shortage::Connections(held, most))
    }

    pub(crate) fn memory_shortage(&self) -> Option<Shortage> {
        let most = self.config.max_memory_bytes?;
        let held = self.fleet.resident_bytes();
        (held > most).then_some(Shortage::Memory(held, most))
    }

    fn mail_shortage(&self) -> Option<Shortage> {
        let is_behind = |(letters, bytes)| letters > MAIL_ADMISSION_MAX || bytes > MAIL_BYTES_ADMISSION_MAX;
        let waiting = |worker| Some((worker, self.mail.waiting(worker)?));
        let mut all = (0..).map(WorkerId).map_while(waiting);
        let (worker, (letters, bytes)) = all.find(|(_, waiting)| is_behind(*waiting))?;
        Some(Shortage::Mail(worker, letters, bytes))
    }

    /// The answer to an upgrade for which there is no room. It is counted.
    pub(crate) fn refusal(&mut self, shortage: Shortage) -> Response {
        self.counters().short[shortage.index()].add(1);
        let millis = self.retry_millis();
        // RFC 9110 §10.2.3: whole seconds.
        let seconds = millis.div_ceil(1000);
        Response::refusal(&shortage.refusal()).with("Retry-After", seconds.to_string())
    }

    /// When a client that is sent away should come back, in milliseconds: each is told another moment, spread over the time
    /// that it takes to let in as many as are here now.
    pub(crate) fn retry_millis(&mut self) -> u64 {
        let (least, most) = (*RETRY_MILLIS.start(), *RETRY_MILLIS.end());
        let span = retry_span_millis(self.fleet.herd() as u64, self.fleet.handshakes_per_second());
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
