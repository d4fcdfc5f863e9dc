//! What all workers of a server share, and anybody may read: their counters, whether they turn, whether they drain.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering::Relaxed};

use crate::limits::STUCK_TURN_MILLIS;
use crate::reactor::counters::Counters;
use crate::reactor::ids::WorkerId;
use crate::time::{Clock, Now, Tick};

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
}

/// What a worker does in its turn: where one is stuck, this is where.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum TurnPart {
    /// Mail for the service.
    Mail,
    /// Accepting, requests, messages and pongs, and what the service makes of them.
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
    /// What it does, or did last.
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
pub struct Fleet {
    clock: Clock,
    workers: Box<[WorkerState]>,
    max_connections: usize,
    connections: AtomicUsize,
    draining: AtomicBool,
}

impl Fleet {
    /// The shared state of a server with so many workers. [`Server`](crate::reactor::Server) makes its own; a test that
    /// drives a [`Worker`](crate::reactor::Worker) by hand needs one.
    #[must_use]
    pub fn new(workers: usize, max_connections: usize, first_tick: Tick) -> Fleet {
        Fleet {
            clock: Clock::starting_at(first_tick),
            workers: (0..workers).map(|_| WorkerState::default()).collect(),
            max_connections,
            connections: AtomicUsize::new(0),
            draining: AtomicBool::new(false),
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
        self.max_connections
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

    /// Workers that have been in one turn for longer than [`STUCK_TURN_MILLIS`], and for how many milliseconds.
    pub fn stuck_workers(&self, now: Now) -> impl Iterator<Item = (WorkerId, u64)> {
        self.workers.iter().zip(0_u16..).filter_map(move |(worker, id)| {
            let began = worker.turn_began.load(Relaxed).checked_sub(1)?;
            let millis = now.micros.saturating_sub(began) / 1_000;
            (millis > STUCK_TURN_MILLIS).then_some((WorkerId(id), millis))
        })
    }

    /// Makes each worker begin to go away at its next turn.
    pub fn begin_drain(&self) {
        self.draining.store(true, Relaxed);
    }

    pub(crate) fn connection_opened(&self) -> usize {
        self.connections.fetch_add(1, Relaxed) + 1
    }

    pub(crate) fn connection_ended(&self) {
        self.connections.fetch_sub(1, Relaxed);
    }
}
