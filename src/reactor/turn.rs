//! A worker's turn: `poll -> mailbox -> ready connections -> due deadlines -> flush`, and what follows it.

pub(crate) mod calls;

use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use crate::limits::{MAIL_PER_TURN_MAX, MAIL_UNITS_PER_TURN};
use crate::reactor::closing;
use crate::reactor::context::Context;
use crate::reactor::counters::Deferred;
use crate::reactor::deadlines;
use crate::reactor::drain;
use crate::reactor::flush;
use crate::reactor::half_closed;
use crate::reactor::handover::{self, Stays};
use crate::reactor::hear;
use crate::reactor::ids::ConnId;
use crate::reactor::memory;
use crate::reactor::pending;
use crate::reactor::service::Service;
use crate::reactor::shared::TurnPart;
use crate::reactor::shed;
use crate::reactor::snapshot::Snapshot;
use crate::reactor::work::parts;
use crate::reactor::worker::{Turned, Worker};
use crate::sys::net::Net;
use crate::time::{TICK_MICROS, Tick};

impl<N: Net, S: Service> Worker<N, S> {
    /// One turn. Everything in it happens at one reading of the clock.
    ///
    /// # Errors
    /// The system refuses to wait for events: the worker can't go on.
    pub fn turn(&mut self) -> io::Result<Turned> {
        self.poll()?;
        self.at(TurnPart::Mail).mailbox();
        hear::connections(self.at(TurnPart::Connections));
        deadlines::deadlines(self.at(TurnPart::Deadlines));
        deadlines::timers(self);
        self.wake();
        closing::reap(self);
        flush::flush(self.at(TurnPart::Flush));
        Ok(self.at(TurnPart::Tick).finish_turn())
    }

    /// Lets a connection go on elsewhere: between two turns it leaves this worker with its socket. Nothing is sent by that, and
    /// nothing lost; [`Service::released`] says what the other side's service needs. Its `ConnId` is never used again.
    ///
    /// # Errors
    /// It stays, as if it had not been asked for.
    pub fn release(&mut self, conn: ConnId) -> Result<(OwnedFd, Snapshot), Stays> {
        handover::release(self, conn)
    }

    /// Goes on with a connection that another worker has released, in this process or another one, whose clock may be another. What
    /// its socket holds is served in the next turn, which the caller has to bring about.
    ///
    /// # Errors
    /// The system has no room for it, or this worker none for its [`Terms`](crate::Terms), or the snapshot says what no connection can
    /// be: its socket is closed.
    pub fn adopt(&mut self, socket: OwnedFd, snapshot: Snapshot) -> io::Result<ConnId> {
        handover::adopt(self, socket, snapshot)
    }

    /// Notes what the turn is at, for who watches over it.
    fn at(&mut self, part: TurnPart) -> &mut Self {
        self.state().is_at(part);
        self
    }

    fn poll(&mut self) -> io::Result<()> {
        // Work that the last turn had no time for comes first.
        if !self.queue.has_ready() {
            let timeout = self.timeout();
            self.net.wait(self.queue.ready_mut(), timeout)?;
        }
        self.shard.now = self.net.now();
        self.state().turn_began.store(self.shard.now.micros + 1, Relaxed);
        self.shard.follow_limits();
        Ok(())
    }

    /// How long nothing can be due; `None` where nothing ever is.
    fn timeout(&self) -> Option<Duration> {
        let waiting = self.acceptor.is_waiting() || self.budget.is_overdue();
        let shaking = self.shard.tls.as_ref().is_some_and(|tls_state| tls_state.has_waiting());
        if waiting
            || shaking
            || self.queue.listed() > 0
            || self.shard.pauses.has_resumed()
            || self.shard.refused.len() > 0
            || !self.inbox.is_empty()
        {
            return Some(Duration::ZERO);
        }
        let (clearing, mail) = (self.reaper.due(), self.inbox.due());
        let memory_schedule = self
            .memory_schedule
            .wakes(self.shard.now.tick, || memory::is_worth(self) || memory::may_have_grown(self));
        let next = [
            self.shard.conns.next_due(),
            self.shard.timers.next(),
            self.calls.due(),
            self.acceptor.retry(),
            clearing,
            mail,
            self.drain.end(),
            memory_schedule,
        ];
        let next = next.into_iter().flatten().reduce(Tick::min)?;
        // The turn's own time has passed since its reading of the clock: a deadline may be due by now.
        let now = self.net.now();
        let micros = u64::from(next.since(now.tick)) * TICK_MICROS;
        Some(Duration::from_micros(micros.saturating_sub(now.micros % TICK_MICROS)))
    }

    fn mailbox(&mut self) {
        if self.inbox.is_empty() {
            self.inbox.fill(&self.mailboxes[self.shard.id.index()], self.shard.now.tick);
            // After `take`, which clears the waker: checked before it, a drain requested in between would be missed.
            if !self.drain.is_open() && self.shard.shared.is_draining() {
                drain::begin(self);
            }
        }
        let mut spent = 0;
        for _ in 0..MAIL_PER_TURN_MAX {
            if spent >= parts(MAIL_UNITS_PER_TURN) {
                return self.count_deferred(Deferred::Mail);
            }
            let Some(envelope) = self.inbox.next() else { break };
            self.shard.work.begin();
            self.shard.work.charge(1);
            self.service.mail(
                &mut Context::new(&mut self.shard, &self.mailboxes),
                envelope.from,
                envelope.mail,
            );
            pending::run(self);
            spent += self.shard.work.spent();
        }
    }

    fn finish_turn(&mut self) -> Turned {
        let due = self.service.tick(&mut Context::new(&mut self.shard, &self.mailboxes));
        self.calls.done(self.shard.now.tick, due);
        pending::run(self);
        shed::shed(self);
        half_closed::end_half_closed(self);
        self.wake();
        flush::flush(self);
        // A write that failed may have moved the service to end or answer others: nothing would wake us for them.
        while !self.shard.left.is_empty() {
            pending::run(self);
            flush::flush(self);
        }
        self.wake();
        if self.memory_schedule.is_due(self.shard.now.tick) {
            memory::measure_memory(self);
            handover::write_all(self);
        }
        let micros = self.net.now().micros.saturating_sub(self.shard.now.micros);
        self.shard.counters().turn.record(micros);
        let upgrades = self.calls.upgrades(self.shard.counters().upgrades.get());
        self.state().handshake_rate.turn(micros, upgrades);
        self.state().turn_began.store(0, Relaxed);
        let is_over = self.drain.is_over(self.shard.now.tick, self.shard.conns.is_empty());
        if is_over { Turned::Drained } else { Turned::Running }
    }
}
