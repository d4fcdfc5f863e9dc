//! The state that all workers of a server share and anybody may read: their counters, whether they turn, whether
//! they drain.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering::Relaxed};

use crate::limits::{MEMORY_TICKS, STUCK_TURN_MILLIS};
use crate::reactor::addresses::Addresses;
use crate::reactor::counters::Counters;
use crate::reactor::handshake_rate::HandshakeRate;
use crate::reactor::heaviest::{Heaviest, ShedRounds};
use crate::reactor::ids::WorkerId;
use crate::reactor::live::{Limits, Live};
use crate::time::{Clock, Now, TICK_MICROS, Tick};

/// One worker as seen from outside.
#[derive(Debug, Default)]
pub struct WorkerState {
    /// Its figures.
    pub counters: Counters,
    /// Microseconds of the clock at which the turn it is in began, plus one; 0 while it waits for events.
    pub(crate) turn_began: AtomicU64,
    /// The [`TurnPart`] that the turn is at.
    turn_part: AtomicU8,
    /// It found no descriptor or memory for the last connection it tried to accept.
    pub(crate) accept_blocked: AtomicBool,
    /// Hardly a descriptor was left for the last connection it accepted, and none has ended since.
    pub(crate) scarce: AtomicBool,
    /// The rate of its handshakes.
    pub(crate) handshake_rate: HandshakeRate,
    /// Its heaviest connection, while memory is short.
    pub(crate) heaviest: Heaviest,
}

/// The part of a turn that a worker is in: where one is stuck, it is stuck here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum TurnPart {
    /// Mail for the service.
    Mail,
    /// Accepting, requests, messages and pongs, what the service makes of them, and writing mere answers.
    Connections,
    /// Deadlines, and telling of deaths.
    Deadlines,
    /// Writing.
    Flush,
    /// The service's own work of each turn.
    Tick,
}

impl TurnPart {
    const ALL: [TurnPart; 5] =
        [TurnPart::Mail, TurnPart::Connections, TurnPart::Deadlines, TurnPart::Flush, TurnPart::Tick];

    /// In a word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            TurnPart::Mail => "mail",
            TurnPart::Connections => "connections",
            TurnPart::Deadlines => "deadlines",
            TurnPart::Flush => "flush",
            TurnPart::Tick => "tick",
        }
    }
}

impl WorkerState {
    /// The part of a turn that it is in, or was in last.
    #[must_use]
    pub fn turn_part(&self) -> TurnPart {
        TurnPart::ALL[usize::from(self.turn_part.load(Relaxed)).min(TurnPart::ALL.len() - 1)]
    }

    pub(crate) fn is_at(&self, part: TurnPart) {
        self.turn_part.store(part as u8, Relaxed);
    }
}

/// All workers of a server.
#[derive(Debug)]
pub struct Shared {
    clock: Clock,
    workers: Box<[WorkerState]>,
    max_connections: AtomicUsize,
    /// Limits that were changed since the start.
    pub(crate) live: Live,
    connections: AtomicUsize,
    draining: AtomicBool,
    /// Connections when the drain began.
    drained: AtomicUsize,
    addresses: Addresses,
    /// Bytes of what is half read of all connections.
    pub(crate) half_read: AtomicUsize,
    cores: usize,
    /// Resident bytes of the process when they were last read, and when they may be again, in microseconds.
    resident: AtomicU64,
    read_again: AtomicU64,
    /// Readings that found memory short.
    pub(crate) rounds: ShedRounds,
}

impl Shared {
    /// The shared state of a server with so many workers. [`Server`](crate::reactor::Server) makes its own; a test that
    /// drives a [`Worker`](crate::reactor::Worker) by hand needs one.
    #[must_use]
    pub fn new(workers: usize, max_connections: usize, first_tick: Tick) -> Shared {
        Shared {
            clock: Clock::starting_at(first_tick),
            workers: (0..workers).map(|_| WorkerState::default()).collect(),
            max_connections: AtomicUsize::new(max_connections),
            live: Live::default(),
            connections: AtomicUsize::new(0),
            draining: AtomicBool::new(false),
            drained: AtomicUsize::new(0),
            addresses: Addresses::new(max_connections),
            half_read: AtomicUsize::new(0),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            resident: AtomicU64::new(0),
            read_again: AtomicU64::new(0),
            rounds: ShedRounds::default(),
        }
    }

    /// The workers, by [`WorkerId`].
    #[must_use]
    pub fn workers(&self) -> &[WorkerState] {
        &self.workers
    }

    /// The clock that all workers read.
    #[must_use]
    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// Connections of any kind that are held at once; past it a request gets 503.
    #[must_use]
    pub fn max_connections(&self) -> usize {
        self.max_connections.load(Relaxed)
    }

    /// Connections of any kind, now.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.connections.load(Relaxed)
    }

    /// The sum of a figure over all workers.
    pub fn sum(&self, figure: impl Fn(&Counters) -> u64) -> u64 {
        self.workers.iter().map(|worker| figure(&worker.counters)).sum()
    }

    /// Whether the server is going away.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.draining.load(Relaxed)
    }

    /// Whether some worker can't accept for want of descriptors or memory.
    #[must_use]
    pub fn is_accept_blocked(&self) -> bool {
        self.workers.iter().any(|worker| worker.accept_blocked.load(Relaxed))
    }

    /// Workers that had hardly a descriptor left for the last connection they accepted.
    pub fn scarce_workers(&self) -> impl Iterator<Item = WorkerId> {
        self.workers
            .iter()
            .zip(0_u16..)
            .filter_map(|(worker, id)| worker.scarce.load(Relaxed).then_some(WorkerId(id)))
    }

    /// Resident bytes of the process when a worker last looked, a second ago or so; 0 where they can't be known.
    #[must_use]
    pub fn resident_bytes(&self) -> u64 {
        self.resident.load(Relaxed)
    }

    /// The table of addresses.
    #[must_use]
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// Handshakes that the workers together can do in a second, as measured.
    #[must_use]
    pub fn handshakes_per_second(&self) -> u64 {
        HandshakeRate::per_second(self.workers.iter().map(|worker| &worker.handshake_rate), self.cores)
    }

    /// Workers that have been in one turn for longer than [`STUCK_TURN_MILLIS`], and for how many milliseconds.
    pub fn stuck_workers(&self, now: Now) -> impl Iterator<Item = (WorkerId, u64)> {
        self.workers.iter().zip(0_u16..).filter_map(move |(worker, id)| {
            let began = worker.turn_began.load(Relaxed).checked_sub(1)?;
            let millis = now.micros.saturating_sub(began) / 1_000;
            (millis > STUCK_TURN_MILLIS).then_some((WorkerId(id), millis))
        })
    }

    /// Changes limits: each worker takes them over in its next turn, which [`Handle::change`](crate::reactor::Handle::change)
    /// also brings about.
    pub fn change(&self, limits: Limits) {
        self.max_connections.store(limits.max_connections, Relaxed);
        self.live.set(limits);
    }

    /// Makes each worker begin to go away at its next turn.
    pub fn begin_drain(&self) {
        self.drained.fetch_max(self.connections(), Relaxed);
        self.draining.store(true, Relaxed);
    }

    /// Notes the resident memory that `read` gives, where nobody has for a second; says whether it did.
    pub(crate) fn read_memory(&self, now: Now, read: impl FnOnce() -> Option<u64>) -> bool {
        let due = self.read_again.load(Relaxed);
        let next = now.micros + u64::from(MEMORY_TICKS) * TICK_MICROS;
        // The others are told by the one who is first.
        let first = || self.read_again.compare_exchange(due, next, Relaxed, Relaxed).is_ok();
        let read = || read().inspect(|bytes| self.resident.store(*bytes, Relaxed)).is_some();
        now.micros >= due && first() && read()
    }

    /// How many may come back at once, now that some are sent away: in a drain all who were here when it began.
    pub(crate) fn reconnect_herd(&self) -> usize {
        self.connections().max(self.drained.load(Relaxed))
    }

    pub(crate) fn connection_opened(&self) -> usize {
        self.connections.fetch_add(1, Relaxed) + 1
    }

    pub(crate) fn connection_ended(&self) {
        self.connections.fetch_sub(1, Relaxed);
    }
}
