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
use crate::reactor::drain;
use crate::reactor::fire;
use crate::reactor::fleet::TurnPart;
use crate::reactor::flush;
use crate::reactor::half_closed;
use crate::reactor::handover::{self, Stays};
use crate::reactor::hear;
use crate::reactor::ids::ConnId;
use crate::reactor::memory;
use crate::reactor::pending;
use crate::reactor::service::Service;
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
        fire::deadlines(self.at(TurnPart::Deadlines));
        fire::timers(self);
        self.ring();
        closing::clear_away(self);
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
    /// The system has no room for it, or the snapshot says what no connection can be: its socket is closed.
    pub fn adopt(&mut self, socket: OwnedFd, snapshot: Snapshot) -> io::Result<ConnId> {
        handover::adopt(self, socket, snapshot)
    }

    /// Notes what the turn is at, for who watches over it.
    fn at(&mut self, part: TurnPart) -> &mut Self {
        self.state().is_at(part);
        self
    }

    fn poll(&mut self) -> io::Result<()> {
        // What the last turn had no time for comes first.
        if !self.queue.has_ready() {
            let timeout = self.timeout();
            self.net.wait(self.queue.ready_mut(), timeout)?;
        }
        self.core.now = self.net.now();
        self.state().turn_began.store(self.core.now.micros + 1, Relaxed);
        self.core.follow_limits();
        Ok(())
    }

    /// How long nothing can be due; `None` where nothing ever is.
    fn timeout(&self) -> Option<Duration> {
        let waiting = self.acceptor.is_waiting() || self.budget.is_overdue();
        let shaking = self.core.tls.as_ref().is_some_and(|side| side.has_waiting());
        if waiting
            || shaking
            || self.queue.listed() > 0
            || self.core.pauses.has_resumed()
            || !self.inbox.is_empty()
        {
            return Some(Duration::ZERO);
        }
        let (clearing, mail) = (self.reaper.due(), self.inbox.due());
        let weighing = self
            .weighing
            .wakes(self.core.now.tick, || memory::is_worth(self) || memory::may_have_grown(self));
        let next = [
            self.core.conns.next_due(),
            self.core.timers.next(),
            self.calls.due(),
            self.acceptor.retry(),
            clearing,
            mail,
            self.drain.end(),
            weighing,
        ];
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
            if !self.drain.is_open() && self.core.fleet.is_draining() {
                drain::begin(self);
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
            pending::run(self);
            spent += self.core.work.spent();
        }
    }

    fn finish_turn(&mut self) -> Turned {
        let due = self.service.tick(&mut Context::new(&mut self.core, &self.mailboxes));
        self.calls.done(self.core.now.tick, due);
        pending::run(self);
        shed::shed(self);
        half_closed::end_half_closed(self);
        self.ring();
        flush::flush(self);
        // A write that failed may have moved the service to end or answer others: nothing would wake us for them.
        while !self.core.left.is_empty() {
            pending::run(self);
            flush::flush(self);
        }
        self.ring();
        if self.weighing.is_due(self.core.now.tick) {
            memory::weigh(self);
            handover::write_all(self);
        }
        let micros = self.net.now().micros.saturating_sub(self.core.now.micros);
        self.core.counters().turn.record(micros);
        let upgrades = self.calls.upgrades(self.core.counters().upgrades.get());
        self.state().pace.turn(micros, upgrades);
        self.state().turn_began.store(0, Relaxed);
        let is_over = self.drain.is_over(self.core.now.tick, self.core.conns.is_empty());
        if is_over { Turned::Drained } else { Turned::Running }
    }
}
