//! How many processes there are, over all workers, and of each address.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;

use crate::limits::exec::EXEC_PROCESSES_MAX;
use crate::reactor::addresses::Addresses;
use crate::time::Tick;

/// The limits on processes at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ProcessCounts {
    /// Of all clients together.
    pub all: usize,
    /// Of one address; loopback and proxies are not counted. 0: no limit.
    pub per_address: u32,
}

impl Default for ProcessCounts {
    fn default() -> Self {
        ProcessCounts { all: 1_000, per_address: 100 }
    }
}

/// The counts, for all workers.
#[derive(Debug)]
pub struct Counts {
    all: AtomicUsize,
    addresses: Addresses,
}

/// A process's place among them; it goes with this value.
#[derive(Debug)]
pub struct Ticket {
    counts: Arc<Counts>,
    place: Option<u32>,
}

/// Why there is no place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Full {
    /// There are as many processes as there may be.
    All,
    /// The address has as many.
    Address,
}

impl Counts {
    /// Counts for a server with these limits.
    #[must_use]
    pub fn new(limits: ProcessCounts) -> Arc<Counts> {
        let addresses = Addresses::new(limits.all.min(EXEC_PROCESSES_MAX));
        Arc::new(Counts { all: AtomicUsize::new(0), addresses })
    }

    /// Processes now.
    #[must_use]
    pub fn now(&self) -> usize {
        self.all.load(Relaxed)
    }

    /// A place for a process of an address, by its key.
    ///
    /// # Errors
    /// There is none.
    pub fn take(
        self: &Arc<Counts>,
        limits: ProcessCounts,
        address: Option<u64>,
        now: Tick,
    ) -> Result<Ticket, Full> {
        if self.all.fetch_add(1, Relaxed) >= limits.all {
            self.all.fetch_sub(1, Relaxed);
            return Err(Full::All);
        }
        let mut ticket = Ticket { counts: Arc::clone(self), place: None };
        if let Some(address) = address.filter(|_| limits.per_address > 0) {
            ticket.place =
                self.addresses.enter_bounded(address, now, limits.per_address).map_err(|()| Full::Address)?;
        }
        Ok(ticket)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.counts.all.fetch_sub(1, Relaxed);
        if let Some(place) = self.place {
            self.counts.addresses.leave(place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_free_again_when_its_process_is_gone() {
        let limits = ProcessCounts { all: 3, per_address: 2 };
        let counts = Counts::new(limits);
        let take = |address| counts.take(limits, address, Tick(7));
        let first = take(Some(1)).unwrap();
        let _second = take(Some(1)).unwrap();
        assert_eq!(take(Some(1)).unwrap_err(), Full::Address);
        assert_eq!(counts.now(), 2, "what is refused is not counted");
        let _third = take(None).unwrap();
        assert_eq!(take(Some(2)).unwrap_err(), Full::All);
        drop(first);
        let _again = take(Some(1)).unwrap();
        assert_eq!(counts.now(), 3);
    }
}
