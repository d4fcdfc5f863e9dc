//! Which connection is opened next: how many may be, how fast, and from which source address and port.
//!
//! Ports are bound one by one and not left to the kernel, whose search gets slower the fuller its range is and which
//! knows only the range of `ip_local_port_range`. A port that is taken is skipped.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::net::SocketAddrV4;
use std::os::fd::OwnedFd;

use crate::engine::Plan;
use crate::engine::link::End;
use crate::run_state::share;
use crate::sys;

/// The ports used of each source address: clear of the ones that services like to have.
pub const PORTS: std::ops::RangeInclusive<u16> = 10_000..=65_535;
/// Source ports tried for one connection before it is given up.
const PORT_TRIES: usize = 2_000;
/// How long nothing is opened after a connection could not be, in nanoseconds.
const RETREAT: u64 = 10_000_000;

/// One thread's connector.
#[derive(Debug)]
pub struct Connector {
    sources: Option<Sources>,
    /// Connections under way in the order in which they were begun, with the moment; some have since opened.
    under_way: VecDeque<(u32, u64)>,
    /// Connections that are opening now.
    pub opening: usize,
    /// Connections begun so far, not counting those that a reopening run has replaced.
    pub begun: usize,
    opening_max: usize,
    timeout: u64,
    /// Nanoseconds between two connections where a rate was asked for.
    gap: u64,
    /// Nothing is opened before this moment.
    not_before: u64,
}

impl Connector {
    pub fn new(plan: &Plan, index: usize) -> Connector {
        let gap = plan.ramp_per_second.map_or(0.0, |rate| 1e9 * plan.threads as f64 / rate);
        Connector {
            sources: (plan.sources > 0).then(|| Sources::new(plan.sources, index, plan.threads)),
            under_way: VecDeque::new(),
            opening: 0,
            begun: 0,
            opening_max: plan.opening.max(1),
            timeout: plan.open_timeout,
            gap: gap as u64,
            not_before: 0,
        }
    }

    /// Whether another one may be begun, with `share` allowed so far.
    pub fn may_open(&self, share: usize, now: u64) -> bool {
        self.begun < share && self.opening < self.opening_max && now >= self.not_before
    }

    /// When to look again, where the rate is why nothing was opened.
    pub fn next_open(&self, share: usize) -> Option<u64> {
        (self.begun < share && self.opening < self.opening_max).then_some(self.not_before)
    }

    pub fn connect(&mut self, plan: &Plan, now: u64) -> Result<OwnedFd, End> {
        self.begun += 1;
        self.not_before =
            if self.gap > 0 { self.not_before.max(now.saturating_sub(self.gap)) + self.gap } else { 0 };
        let tries = if self.sources.is_some() { PORT_TRIES } else { 1 };
        for _ in 0..tries {
            match sys::connect(plan.target.address, self.sources.as_mut().map(Sources::next)) {
                Ok(socket) => {
                    self.opening += 1;
                    return Ok(socket);
                }
                Err(error) if matches!(error.kind(), ErrorKind::AddrInUse | ErrorKind::AddrNotAvailable) => {}
                Err(error) => {
                    self.retreat(now);
                    return Err(error.raw_os_error().map_or(End::NoPort, |errno| {
                        End::System(rustix::io::Errno::from_raw_os_error(errno))
                    }));
                }
            }
        }
        self.retreat(now);
        Err(End::NoPort)
    }

    /// Waits a moment: an opened connection failed, and the next one would too.
    pub fn retreat(&mut self, now: u64) {
        self.not_before = self.not_before.max(now + RETREAT);
    }

    /// Remembers when a connection was begun.
    pub fn watch(&mut self, id: usize, now: u64) {
        self.under_way.push_back((id as u32, now));
    }

    /// The connection that was begun first of those that are remembered, and when.
    pub fn oldest(&self) -> Option<(usize, u64)> {
        self.under_way.front().map(|&(id, since)| (id as usize, since))
    }

    pub fn forget_oldest(&mut self) {
        self.under_way.pop_front();
    }

    /// Whether what was begun at `since` has taken too long.
    pub fn is_overdue(&self, since: u64, now: u64) -> bool {
        now.saturating_sub(since) > self.timeout
    }
}

/// The source ports of one thread: its part of the port range, over all addresses.
#[derive(Debug)]
struct Sources {
    addresses: u32,
    first: u16,
    count: u32,
    next: u32,
}

impl Sources {
    fn new(addresses: u32, index: usize, threads: usize) -> Sources {
        let ports = PORTS.len();
        let first = ports * index / threads;
        let count = share(ports, index, threads).max(1) as u32;
        // Begin elsewhere than the last run did: its ports may be in TIME-WAIT.
        let salt = std::process::id().wrapping_mul(2_654_435_761);
        Sources { addresses, first: PORTS.start() + first as u16, count, next: salt % (count * addresses) }
    }

    /// Round robin: all addresses with one port, then with the next.
    fn next(&mut self) -> SocketAddrV4 {
        let at = self.next;
        self.next = (at + 1) % (self.count * self.addresses);
        let port = self.first + (at / self.addresses) as u16;
        SocketAddrV4::new(sys::source_address(at % self.addresses), port)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn threads_never_share_a_source_port() {
        let mut seen = HashSet::new();
        let threads = 7;
        for index in 0..threads {
            let mut sources = Sources::new(2, index, threads);
            for _ in 0..sources.count * 2 {
                assert!(seen.insert(sources.next()));
            }
        }
        assert_eq!(seen.len(), 2 * PORTS.len());
    }
}
