//! Whether there is room for one more, and when who is sent away should come back.
//!
//! A shortage refuses upgrades; what one of memory means for those who are in is in `shed`.

use std::fmt::{Display, Formatter};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use crate::limits::{DESCRIPTORS_FLOOR, MAIL_ADMISSION_MAX, MAIL_BYTES_ADMISSION_MAX, RETRY_MILLIS};
use crate::reactor::addresses::Over;
use crate::reactor::core::{Core, Letter};
use crate::reactor::ids::WorkerId;
use crate::reactor::mailbox::Mailbox;
use crate::wire::http::{Refusal, Response};

/// What there isn't enough of, with figures.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Shortage {
    /// The server goes away.
    Draining,
    /// So many connections are held, of so many.
    Connections(usize, usize),
    /// So many bytes are resident, of so many.
    Memory(u64, u64),
    /// A worker has hardly a descriptor left.
    Descriptors(WorkerId),
    /// So many letters wait for a worker, of so many bytes.
    Mail(WorkerId, usize, usize),
    /// The client's address has too many connections.
    AddressConnections,
    /// The client's address has come too often.
    AddressHandshakes,
}

impl Shortage {
    /// The values of the metric's label `reason`.
    pub const LABELS: [&str; 7] =
        ["draining", "full", "memory", "descriptors", "mail", "address_connections", "address_handshakes"];

    /// Which of [`Shortage::LABELS`] it counts as.
    #[must_use]
    pub const fn index(&self) -> usize {
        match self {
            Shortage::Draining => 0,
            Shortage::Connections(..) => 1,
            Shortage::Memory(..) => 2,
            Shortage::Descriptors(_) => 3,
            Shortage::Mail(..) => 4,
            Shortage::AddressConnections => 5,
            Shortage::AddressHandshakes => 6,
        }
    }

    /// What a client is told; figures are for who runs the server.
    pub(crate) const fn refusal(&self) -> Refusal {
        let (status, reason) = match self {
            Shortage::Draining => (503, "the server is going away"),
            Shortage::Connections(..) => (503, "the server is full"),
            Shortage::Memory(..) => (503, "the server is short of memory"),
            Shortage::Descriptors(_) => (503, "the server is short of descriptors"),
            Shortage::Mail(..) => (503, "the server is behind with its work"),
            Shortage::AddressConnections => (429, "too many connections from your address"),
            Shortage::AddressHandshakes => (429, "too many new connections from your address"),
        };
        Refusal { status, reason }
    }
}

impl From<Over> for Shortage {
    fn from(over: Over) -> Shortage {
        match over {
            Over::Connections => Shortage::AddressConnections,
            Over::Handshakes => Shortage::AddressHandshakes,
        }
    }
}

impl Display for Shortage {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        match self {
            Shortage::Draining => f.write_str("draining: this server goes away"),
            Shortage::Connections(held, most) => write!(f, "full: {held} of {most} connections"),
            Shortage::Memory(held, most) => {
                write!(f, "out of memory: {} of {} MiB resident (--max-memory)", held >> 20, most >> 20)
            }
            Shortage::Descriptors(worker) => {
                write!(f, "out of descriptors: worker {worker} has at most {DESCRIPTORS_FLOOR} left")
            }
            Shortage::Mail(worker, waiting, bytes) => {
                let (mib, most) = (bytes >> 20, MAIL_BYTES_ADMISSION_MAX >> 20);
                write!(f, "behind: {waiting} letters wait for worker {worker}, {mib} MiB, ")?;
                write!(f, "over {MAIL_ADMISSION_MAX} or {most} MiB")
            }
            Shortage::AddressConnections | Shortage::AddressHandshakes => f.write_str(self.refusal().reason),
        }
    }
}

/// Why a connection that was accepted may not be let in: what was found then, in a byte. It is looked at again when it asks to
/// be, which may be long after on a connection that a proxy keeps.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Unwanted {
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

impl<M> Core<M> {
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
        let is_behind = |(_, mailbox): &(u16, &Mailbox<Letter<M>>)| {
            mailbox.waiting() > MAIL_ADMISSION_MAX || mailbox.bytes() > MAIL_BYTES_ADMISSION_MAX
        };
        let (worker, mailbox) = (0_u16..).zip(self.mailboxes.iter()).find(is_behind)?;
        Some(Shortage::Mail(WorkerId(worker), mailbox.waiting(), mailbox.bytes()))
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

/// What a handshake costs a worker, measured where there is something to measure: in turns with several of them, as the turn's
/// time by their number. A moving average; a single slow turn changes it by an eighth.
#[derive(Debug)]
pub(crate) struct Pace {
    nanos: AtomicU32,
}

impl Pace {
    /// Handshakes in a turn from which on it says something of their cost.
    const HANDSHAKES_MIN: u64 = 8;
    /// Until something was measured, and the bounds of what can be: 5,000, 200 and 200,000 a second.
    const NANOS_DEFAULT: u32 = 200_000;
    const NANOS_MAX: u64 = 5_000_000;
    const NANOS_MIN: u64 = 5_000;

    /// A turn took so long, in which so many connections were upgraded.
    pub(crate) fn turn(&self, micros: u64, handshakes: u64) {
        if handshakes < Pace::HANDSHAKES_MIN {
            return;
        }
        let nanos = (micros * 1_000 / handshakes).clamp(Pace::NANOS_MIN, Pace::NANOS_MAX);
        let before = u64::from(self.nanos.load(Relaxed));
        let next = (before * 7 + nanos) / 8;
        self.nanos.store(u32::try_from(next).unwrap_or(u32::MAX), Relaxed);
    }

    /// What workers with these paces do together; no more of them at a time than there are cores.
    pub(crate) fn per_second<'p>(paces: impl Iterator<Item = &'p Pace>, cores: usize) -> u64 {
        let (mut sum, mut workers) = (0, 0);
        for pace in paces {
            sum += 1_000_000_000 / u64::from(pace.nanos.load(Relaxed)).max(1);
            workers += 1;
        }
        sum * (cores as u64).min(workers) / workers.max(1)
    }
}

impl Default for Pace {
    fn default() -> Self {
        Pace { nanos: AtomicU32::new(Pace::NANOS_DEFAULT) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_shortage_has_its_label() {
        let all = [
            Shortage::Draining,
            Shortage::Connections(10, 10),
            Shortage::Memory(2 << 20, 1 << 20),
            Shortage::Descriptors(WorkerId(3)),
            Shortage::Mail(WorkerId(1), 40_000, 3 << 20),
            Shortage::AddressConnections,
            Shortage::AddressHandshakes,
        ];
        for (i, shortage) in all.iter().enumerate() {
            assert_eq!(shortage.index(), i, "{}", Shortage::LABELS[i]);
            assert!(matches!(shortage.refusal().status, 429 | 503));
        }
        assert_eq!(all[1].to_string(), "full: 10 of 10 connections");
        assert_eq!(all[2].to_string(), "out of memory: 2 of 1 MiB resident (--max-memory)");
    }

    #[test]
    fn the_pace_follows_what_turns_cost() {
        let pace = Pace::default();
        let rate = || Pace::per_second(std::iter::once(&pace), 2);
        assert_eq!(rate(), 5_000, "as long as nothing is known");
        pace.turn(50_000, 7);
        assert_eq!(rate(), 5_000, "too few to tell");
        for _ in 0..100 {
            pace.turn(2_000, 100);
        }
        assert!((49_000..51_000).contains(&rate()), "{}", rate());
        pace.turn(u64::MAX / 10_000, 8);
        assert!(rate() > 1_500, "one bad turn is not the end: {}", rate());
        for _ in 0..100 {
            pace.turn(0, 1_000);
        }
        assert!(rate() <= 200_000, "{}", rate());
        let four: [Pace; 4] = Default::default();
        assert_eq!(Pace::per_second(four.iter(), 2), 10_000, "two cores do no more");
    }

    #[test]
    fn they_come_back_over_as_long_as_it_takes() {
        assert_eq!(retry_span_millis(0, 5_000), RETRY_SPAN_MILLIS_MIN);
        assert_eq!(retry_span_millis(50_000, 10_000), 10_000);
        assert_eq!(retry_span_millis(1_000_000, 10_000), 59_500, "a minute at most");
        assert_eq!(retry_span_millis(u64::MAX, 0), 59_500);
    }
}
