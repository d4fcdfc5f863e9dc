//! A worker: one thread's loop over its connections, and the turn it takes.

use std::collections::VecDeque;
use std::io;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use crate::conn::timing::Round;
use crate::limits::{MAIL_PER_TURN_MAX, MAIL_UNITS_PER_TURN, READ_BUFFER_BYTES, WRITEV_BYTES_MIN};
use crate::reactor::config::Config;
use crate::reactor::context::Context;
use crate::reactor::core::Core;
use crate::reactor::counters::{Cause, Deferred};
use crate::reactor::deadline_budget::DeadlineBudget;
use crate::reactor::fleet::{Fleet, TurnPart};
use crate::reactor::ids::{ConnId, WorkerId};
use crate::reactor::inbox::Inbox;
use crate::reactor::mail::Mailboxes;
use crate::reactor::reaper::Reaper;
use crate::reactor::service::Service;
use crate::reactor::weighing::Weighing;
use crate::reactor::work::parts;
use crate::slots::Side;
use crate::sys::net::{Net, Ready};
use crate::time::{TICK_MICROS, Tick};

/// An arena that is not worth waking for.
const IDLE_ARENA_BYTES: usize = 64 << 10;
/// Places of a queue that outlast a burst.
const KEPT: usize = 64;

/// A worker over the world `N`, whose connections are for `S`.
pub struct Worker<N: Net, S: Service> {
    pub(crate) net: N,
    pub(crate) service: S,
    pub(crate) core: Core,
    /// Of all workers.
    pub(crate) mailboxes: Mailboxes<S::Mail>,
    /// The sockets, by the keys of `core.conns`.
    pub(crate) sockets: Side<N::Socket>,
    /// One buffer for every read.
    pub(crate) buffer: Box<[u8]>,
    /// Where small pieces of one connection's output are put side by side.
    pub(crate) scratch: Vec<u8>,
    pub(crate) ready: Vec<Ready>,
    /// Some that are ready were left for this turn.
    pub(crate) crowded: bool,
    /// Connections that may have more to read than their share of a turn, or that are no longer paused.
    pub(crate) unread: VecDeque<ConnId>,
    /// Connections that writing has brought to their end.
    pub(crate) doomed: Vec<(ConnId, Cause)>,
    /// Open connections whose clients have ended their streams and are still answered, with what they will have ended by.
    pub(crate) half_closed: Vec<(ConnId, Cause)>,
    /// Entries of the arena under way whose connections have a backlog.
    pub(crate) backlogged: Vec<usize>,
    inbox: Inbox<S::Mail>,
    pub(crate) accepting: Accepting,
    pub(crate) next_generation: u32,
    /// When the service wants to be called.
    service_due: Option<Tick>,
    /// When the service was called last.
    pub(crate) service_called: Tick,
    pub(crate) reaper: Reaper,
    /// What the turn does about deadlines.
    pub(crate) budget: DeadlineBudget,
    /// The tick by which a drain is over at the latest.
    pub(crate) drained_by: Option<Tick>,
    weighing: Weighing,
    /// Upgrades before this turn.
    upgrades: u64,
}

/// Whether connections wait to be accepted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Accepting {
    /// None that we know of.
    Idle,
    /// Some may.
    Waiting,
    /// Some do, and there was no descriptor or memory for them; to be tried again then, or when a connection ends.
    Blocked(Tick),
    /// Nobody is accepted any more.
    Closed,
}

/// What a turn leaves the worker as.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Turned {
    /// There will be more turns.
    Running,
    /// The drain is over: the worker is done.
    Drained,
}

impl<N: Net, S: Service> Worker<N, S> {
    /// A worker of a fleet; its mailbox is `mailboxes[id]`. The same `seed` gives the same random choices.
    pub fn new(
        id: WorkerId,
        config: &Config,
        fleet: Arc<Fleet>,
        mailboxes: Mailboxes<S::Mail>,
        net: N,
        service: S,
        seed: u64,
    ) -> Worker<N, S> {
        let now = net.now();
        Worker {
            core: Core::new(id, config, fleet, Arc::new(Arc::clone(&mailboxes)), now, seed),
            mailboxes,
            net,
            service,
            sockets: Side::default(),
            buffer: vec![0; READ_BUFFER_BYTES].into(),
            scratch: Vec::new(),
            ready: Vec::new(),
            crowded: false,
            unread: VecDeque::new(),
            doomed: Vec::new(),
            half_closed: Vec::new(),
            backlogged: Vec::new(),
            inbox: Inbox::new(now.tick),
            accepting: Accepting::Waiting,
            next_generation: 0,
            service_due: Some(now.tick),
            service_called: now.tick,
            reaper: Reaper::new(now.tick),
            budget: DeadlineBudget::new(now.tick),
            drained_by: None,
            weighing: Weighing::new(now.tick),
            upgrades: 0,
        }
    }

    /// One turn. Everything in it happens at one reading of the clock.
    ///
    /// # Errors
    /// The system refuses to wait for events: the worker can't go on.
    pub fn turn(&mut self) -> io::Result<Turned> {
        self.poll()?;
        self.at(TurnPart::Mail).mailbox();
        self.at(TurnPart::Connections).connections();
        self.at(TurnPart::Deadlines).deadlines();
        self.ring();
        self.clear_away();
        self.at(TurnPart::Flush).flush();
        Ok(self.at(TurnPart::Tick).finish_turn())
    }

    /// Notes what the turn is at, for who watches over it.
    fn at(&mut self, part: TurnPart) -> &mut Self {
        self.state().is_at(part);
        self
    }

    /// The world it works in.
    pub fn net(&mut self) -> &mut N {
        &mut self.net
    }

    /// Its service.
    pub fn service(&mut self) -> &mut S {
        &mut self.service
    }

    /// Bytes of heap that belong to single connections: half messages, and what sockets did not take. Walks them all.
    pub fn held_bytes(&self) -> usize {
        let conns: usize = self.core.conns.iter().map(|(_, conn)| conn.held_bytes()).sum();
        let tls = self.core.tls.as_ref().map_or(0, |side| side.held_bytes());
        conns + tls + self.core.deflate.held_bytes() + self.core.unserved.bytes()
    }

    /// Deadlines in its wheel, those that no longer count among them.
    pub fn filed_deadlines(&self) -> usize {
        self.core.wheel.len()
    }

    fn poll(&mut self) -> io::Result<()> {
        // What the last turn had no time for comes first.
        if self.ready.is_empty() {
            let timeout = self.timeout();
            self.net.wait(&mut self.ready, timeout)?;
        }
        self.core.now = self.net.now();
        self.state().turn_began.store(self.core.now.micros + 1, Relaxed);
        self.core.follow_limits();
        Ok(())
    }

    /// How long nothing can be due; `None` where nothing ever is.
    fn timeout(&self) -> Option<Duration> {
        let waiting = self.accepting == Accepting::Waiting || self.budget.is_overdue();
        let shaking = self.core.tls.as_ref().is_some_and(|side| side.has_waiting());
        if waiting || shaking || !self.unread.is_empty() || !self.inbox.is_empty() {
            return Some(Duration::ZERO);
        }
        let retry = match self.accepting {
            Accepting::Blocked(at) => Some(at),
            _ => None,
        };
        let (clearing, mail) = (self.reaper.due(), self.inbox.due());
        let weighing =
            self.weighing.wakes(self.core.now.tick, || self.is_worth_weighing() || self.may_have_grown());
        let next =
            [self.core.wheel.next(), self.service_due, retry, clearing, mail, self.drained_by, weighing];
        let next = next.into_iter().flatten().reduce(Tick::min)?;
        // The turn's own time has passed since its reading of the clock: a deadline may be due by now.
        let now = self.net.now();
        let micros = u64::from(next.since(now.tick)) * TICK_MICROS;
        Some(Duration::from_micros(micros.saturating_sub(now.micros % TICK_MICROS)))
    }

    fn mailbox(&mut self) {
        if self.inbox.is_empty() {
            self.inbox.fill(&self.mailboxes[self.core.id.index()], self.core.now.tick);
            // Behind the mailbox, which silences the bell: who rang for a drain would else be heard and not listened to.
            if self.drained_by.is_none() && self.core.fleet.is_draining() {
                self.begin_drain();
            }
        }
        let mut spent = 0;
        for _ in 0..MAIL_PER_TURN_MAX {
            if spent >= parts(MAIL_UNITS_PER_TURN) {
                return self.count_deferred(Deferred::Mail);
            }
            let Some(letter) = self.inbox.next() else { break };
            self.core.work.begin();
            self.core.work.charge(1);
            self.service.mail(&mut Context::new(&mut self.core, &self.mailboxes), letter.from, letter.mail);
            self.settle();
            spent += self.core.work.spent();
        }
    }

    /// What every call of the service is followed by: tells it which connections ended, writes answers, and makes room
    /// where a lot was sent.
    #[inline]
    pub(crate) fn settle(&mut self) {
        // It is asked after every message, and there is hardly ever anything.
        if self.core.early || !self.core.gone.is_empty() || !self.core.answers.is_empty() {
            self.settle_all();
        }
    }

    fn settle_all(&mut self) {
        while let Some((id, cause)) = self.core.gone.pop_front() {
            self.tell_gone(id, cause);
        }
        while let Some((request, response)) = self.core.answers.pop_front() {
            self.answer(request, response);
        }
        if self.core.early {
            self.flush();
        }
    }

    /// Tells the service that an open connection is gone.
    pub(crate) fn tell_gone(&mut self, id: ConnId, cause: Cause) {
        let counters = self.core.counters();
        counters.end(cause);
        counters.open.sub(1);
        self.service.closed(&mut Context::new(&mut self.core, &self.mailboxes), id, cause);
    }

    fn finish_turn(&mut self) -> Turned {
        self.service_due = self.service.tick(&mut Context::new(&mut self.core, &self.mailboxes));
        self.service_called = self.core.now.tick;
        self.settle();
        self.shed();
        self.end_half_closed();
        self.ring();
        self.flush();
        // A write that failed may have moved the service to end or answer others: nothing would wake us for them.
        while !self.core.gone.is_empty() || !self.core.answers.is_empty() {
            self.settle();
            self.flush();
        }
        self.ring();
        if self.weighing.is_due(self.core.now.tick) {
            self.weigh();
        }
        let micros = self.net.now().micros.saturating_sub(self.core.now.micros);
        self.core.counters().turn.record(micros);
        let upgrades = self.core.counters().upgrades.get();
        let before = mem::replace(&mut self.upgrades, upgrades);
        self.state().pace.turn(micros, upgrades.wrapping_sub(before));
        self.state().turn_began.store(0, Relaxed);
        match self.drained_by {
            Some(by) if self.core.conns.is_empty() || self.core.now.tick.has_reached(by) => Turned::Drained,
            _ => Turned::Running,
        }
    }

    /// Whether a burst has left something to give back, or many came or went: an idle worker wakes for nothing less.
    fn is_worth_weighing(&self) -> bool {
        self.core.arena.held_bytes() > IDLE_ARENA_BYTES
            || self.inbox.is_large()
            || self.weighing.has_moved(self.core.conns.len())
            || self.core.memory_shortage().is_some()
    }

    /// Whether what was received since memory was looked at may have brought it past its ceiling.
    fn may_have_grown(&self) -> bool {
        self.core.config.max_memory_bytes.is_some()
            && self.weighing.has_heard(self.core.counters().received_bytes.get())
    }

    /// Gives back what a burst has left, and sets the gauges of memory: once a second, while anything happens, and for a
    /// minute behind many who came or went.
    fn weigh(&mut self) {
        let count = self.core.conns.len();
        let received = self.core.counters().received_bytes.get();
        self.weighing.done(self.core.now.tick, count, received, self.is_worth_weighing());
        self.core.timing.round = Round::of(self.core.timing.interval, self.core.id.0, count);
        self.core.conns.give_back();
        self.sockets.give_back();
        self.core.wheel.give_back();
        self.core.arena.give_back();
        self.reaper.give_back();
        self.unread.shrink_to(KEPT);
        self.doomed.shrink_to(KEPT);
        self.half_closed.shrink_to(KEPT);
        self.backlogged.shrink_to(KEPT);
        self.scratch.shrink_to(WRITEV_BYTES_MIN);
        let mailbox = &self.mailboxes[self.core.id.index()];
        self.inbox.give_back(mailbox);
        let queues = self.inbox.bytes(mailbox)
            + self.reaper.bytes()
            + self.unread.capacity() * size_of::<ConnId>()
            + self.core.unserved.bytes();
        let buffers = self.buffer.len() + self.scratch.capacity() + self.core.arena.held_bytes();
        let connections = self.core.conns.bytes() + self.sockets.bytes();
        let counters = self.core.counters();
        counters.memory.connections.set(connections as u64);
        counters.memory.wheel.set(self.core.wheel.bytes() as u64);
        counters.memory.buffers.set(buffers as u64);
        counters.memory.queues.set(queues as u64);
        counters.memory.deflate.set(self.core.deflate.bytes() as u64);
        counters.memory.tls.set(self.core.tls.as_ref().map_or(0, |side| side.bytes()) as u64);
        self.service.weigh(&mut Context::new(&mut self.core, &self.mailboxes));
        if self.core.fleet.read_memory(self.core.now, || self.net.resident_bytes()) {
            self.ask_all();
        }
    }

    /// Wakes the workers that have mail from this turn.
    pub(crate) fn ring(&mut self) {
        for to in self.core.unrung.drain(..) {
            self.mailboxes[to.index()].ring();
        }
    }

    pub(crate) fn state(&self) -> &crate::reactor::fleet::WorkerState {
        &self.core.fleet.workers()[self.core.id.index()]
    }
}

impl<N: Net, S: Service> std::fmt::Debug for Worker<N, S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let connections = self.core.conns.len();
        f.debug_struct("Worker")
            .field("id", &self.core.id)
            .field("connections", &connections)
            .finish_non_exhaustive()
    }
}
