//! Accepting connections, ending them, and going away.

use std::io::ErrorKind;
use std::net::IpAddr;
use std::sync::atomic::Ordering::Relaxed;

use tracing::{info, warn};

use crate::conn::{Conn, Life};
use crate::limits::{
    ACCEPT_RETRY_TICKS, ACCEPTS_PER_TURN_MAX, CHUNKS_PER_REMOVAL, LISTEN_BACKLOG, REFUSED_CONNECTIONS_MAX,
};
use crate::reactor::context::Context;
use crate::reactor::counters::Cause;
use crate::reactor::ids::ConnId;
use crate::reactor::service::Service;
use crate::reactor::worker::{Accepting, Worker};
use crate::sys::net::{Net, is_exhaustion};
use crate::wire::close::{Close, CloseCode};

impl<N: Net, S: Service> Worker<N, S> {
    /// Accepts a turn's share of what waits.
    pub(crate) fn accept(&mut self) {
        match self.accepting {
            Accepting::Waiting => {}
            Accepting::Blocked(at) if self.core.now.tick.has_reached(at) => {}
            _ => return,
        }
        self.accepting = self.accept_at_most(ACCEPTS_PER_TURN_MAX);
        let blocked = matches!(self.accepting, Accepting::Blocked(_));
        if self.state().accept_blocked.swap(blocked, Relaxed) != blocked {
            if blocked {
                warn!(
                    worker = self.core.id.0,
                    "out of descriptors, memory or connections: accepting waits for some"
                );
            } else {
                info!(worker = self.core.id.0, "accepting again");
            }
        }
    }

    fn accept_at_most(&mut self, budget: usize) -> Accepting {
        let mut left = budget;
        // Each turn begins at another listener, so that a flood at one doesn't starve the next.
        let listeners = self.net.listeners();
        let first = self.core.random.below(u32::from(listeners));
        for listener in (0..listeners).cycle().skip(first as usize).take(usize::from(listeners)) {
            loop {
                if left == 0 {
                    return Accepting::Waiting;
                }
                if self.core.fleet.connections() >= self.core.config.max_connections + REFUSED_CONNECTIONS_MAX
                {
                    return self.blocked();
                }
                match self.net.accept(listener) {
                    Ok((socket, peer)) => self.welcome(socket, peer, listener),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(error) => {
                        self.core.counters().accept_failures.add(1);
                        if !is_exhaustion(&error) {
                            warn!(worker = self.core.id.0, %error, "can't accept");
                        }
                        return self.blocked();
                    }
                }
                left -= 1;
            }
        }
        Accepting::Idle
    }

    fn blocked(&self) -> Accepting {
        Accepting::Blocked(self.core.now.tick.after(ACCEPT_RETRY_TICKS))
    }

    /// Takes a connection in: its slab entry, its place in the poll, its first deadline.
    fn welcome(&mut self, socket: N::Socket, peer: Option<IpAddr>, listener: u8) {
        let now = self.core.now.tick;
        let generation = self.next_generation;
        self.next_generation = generation.wrapping_add(1);
        let key = self.core.conns.vacant_key();
        let Ok(narrow) = u32::try_from(key) else { return };
        let id = ConnId { key: narrow, generation };
        let mut conn = Conn::new(generation, listener, now, now.after(self.core.timing.handshake));
        if !self.meet(id, &mut conn, &socket, peer) {
            return;
        }
        if let Err(error) = self.net.register(&socket, id.to_bits()) {
            self.core.counters().accept_failures.add(1);
            warn!(worker = self.core.id.0, %error, "can't watch a connection, closing it");
            self.forget_origin(&conn);
            return;
        }
        if !conn.awaits_preface() && !self.link(key, listener) {
            self.core.counters().accept_failures.add(1);
            self.forget_origin(&conn);
            return;
        }
        if self.core.fleet.connection_opened() > self.core.config.max_connections {
            conn.find_surplus();
        }
        self.core.conns.insert(conn);
        self.sockets.put(key, socket);
        let counters = self.core.counters();
        counters.accepts.add(1);
        counters.connections.add(1);
        self.core.rearm(id);
    }

    /// Ends a connection at once: its socket is closed, and the service is told where it was open.
    pub(crate) fn remove(&mut self, id: ConnId, cause: Cause) {
        let Some(conn) = self.core.get_mut(id) else { return };
        if conn.leave() {
            self.tell_gone(id, cause);
        } else if let Some(at) = self.core.gone.iter().position(|(gone, _)| *gone == id)
            && let Some((_, cause)) = self.core.gone.remove(at)
        {
            // The service has ended it and is about to be told; of what is no longer there it could make nothing.
            self.tell_gone(id, cause);
        }
        // The service may have been told already and be waiting to hear of others; what it sent goes nowhere.
        let Some(conn) = self.core.conns.try_remove(id.key as usize) else { return };
        self.budget.removed(1 + conn.queued_chunks() / CHUNKS_PER_REMOVAL);
        self.unlink(id, !conn.is_blocked() && cause != Cause::Reset);
        self.sockets.take(id.key as usize);
        if conn.agreement().is_some() {
            self.core.deflate.remove(id);
        }
        self.core.unserved.forget(id);
        self.core.half_read.forget(id, &self.core.fleet.half_read);
        self.core.work.forget(id);
        self.core.fleet.connection_ended();
        self.forget_introduction(id);
        self.forget_origin(&conn);
        if self.state().scarce.load(Relaxed) {
            self.state().scarce.store(false, Relaxed);
        }
        let counters = self.core.counters();
        counters.connections.sub(1);
        counters.backlog_bytes.sub(conn.backlog() as u64);
        if let Accepting::Blocked(at) = &mut self.accepting {
            *at = self.core.now.tick;
        }
    }

    /// Declares an open connection dead: the service knows at once, so that the news is out in this turn. The socket gets
    /// its Close and is closed a little later: that takes ten times as long, and thousands may die in one tick.
    pub(crate) fn declare_dead(&mut self, id: ConnId) {
        let end = self.core.now.tick.after(self.core.timing.close);
        let Some(conn) = self.core.get_mut(id).filter(|conn| conn.is_open()) else { return };
        conn.end_by(end);
        self.reaper.add(id, self.core.now.tick);
        self.tell_gone(id, Cause::Timeout);
        self.settle();
    }

    /// Clears away a tick's share of the dead; of many, when all workers have had time to tell of theirs. Each gets a last
    /// word: what its socket takes of it at the end of this turn.
    pub(crate) fn clear_away(&mut self) {
        if self.budget.is_overdue() || self.reaper.due().is_none() {
            return;
        }
        let dead = self.reaper.share(self.core.now.tick, self.core.fleet.workers().len());
        let close = Close::new(CloseCode::TIMEOUT, "no heartbeat in time");
        for id in dead {
            let Some(conn) = self.core.get_mut(id) else { continue };
            if conn.life() != Life::Ending {
                self.remove(id, Cause::Timeout);
                continue;
            }
            conn.cut();
            self.core.send_close(id, &close);
        }
        self.settle();
    }

    /// Goes away: takes in what is queued, closes the listeners, and gives each connection its point in the window.
    pub(crate) fn begin_drain(&mut self) {
        let now = self.core.now.tick;
        let timing = self.core.timing;
        self.drained_by = Some(now.after(timing.drain + timing.close + 1));
        self.net.stop_queueing();
        if self.accepting != Accepting::Closed {
            self.accept_at_most(2 * LISTEN_BACKLOG.unsigned_abs() as usize);
        }
        self.net.stop_listening();
        self.accepting = Accepting::Closed;
        self.service.drain(&mut Context::new(&mut self.core, &self.mailboxes));
        self.settle();
        let ids: Vec<ConnId> = self.core.conns().map(|(id, _)| id).collect();
        for id in ids {
            self.schedule_goodbye(id);
        }
    }

    fn schedule_goodbye(&mut self, id: ConnId) {
        let at = self.core.now.tick.after(self.core.random.below(self.core.timing.drain));
        let end = self.core.now.tick.after(self.core.timing.close);
        if self.core.get_mut(id).is_some_and(|conn| conn.drain(at, end)) {
            return self.remove(id, Cause::Drain);
        }
        self.core.arm(id);
    }
}
