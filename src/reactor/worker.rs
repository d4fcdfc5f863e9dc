//! A worker: what one thread has for its connections, put together of parts. The turn that it takes stands in `turn`, and each
//! step of that in a file of its own.

use std::sync::Arc;

use crate::conn::Conn;
use crate::reactor::accept::acceptor::AcceptQueue;
use crate::reactor::config::Config;
use crate::reactor::context::SERVICES_MAX;
use crate::reactor::counters::Deferred;
use crate::reactor::deadline_budget::DeadlineBudget;
use crate::reactor::drain::window::DrainWindow;
use crate::reactor::ending::leaving::LeavingConns;
use crate::reactor::hear::queue::HearQueue;
use crate::reactor::ids::{ConnId, WorkerId};
use crate::reactor::inbox::Inbox;
use crate::reactor::io::Io;
use crate::reactor::mail::Mailboxes;
use crate::reactor::memory_schedule::MemorySchedule;
use crate::reactor::reaper::Reaper;
use crate::reactor::service::Service;
use crate::reactor::shard::Shard;
use crate::reactor::shared::Shared;
use crate::reactor::tls;
use crate::reactor::transport::Transport;
use crate::reactor::turn::calls::Calls;
use crate::sys::net::Net;

/// A worker over the world `N`, whose connections are for `S`.
pub struct Worker<N: Net, S: Service> {
    pub(crate) net: N,
    pub(crate) service: S,
    pub(crate) shard: Shard,
    /// Of all workers.
    pub(crate) mailboxes: Mailboxes<S::Mail>,
    pub(crate) io: Io<N::Socket>,
    pub(crate) queue: HearQueue,
    pub(crate) leaving: LeavingConns,
    pub(crate) inbox: Inbox<S::Mail>,
    pub(crate) acceptor: AcceptQueue,
    pub(crate) calls: Calls,
    pub(crate) reaper: Reaper,
    /// The turn's budget for deadlines.
    pub(crate) budget: DeadlineBudget,
    pub(crate) drain: DrainWindow,
    pub(crate) memory_schedule: MemorySchedule,
}

/// The state of the worker after a turn.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Turned {
    /// There will be more turns.
    Running,
    /// The drain is over: the worker is done.
    Drained,
}

impl<N: Net, S: Service> Worker<N, S> {
    /// A worker of a server; its mailbox is `mailboxes[id]`. The same `seed` gives the same random choices.
    pub fn new(
        id: WorkerId,
        config: &Config,
        shared: Arc<Shared>,
        mailboxes: Mailboxes<S::Mail>,
        net: N,
        service: S,
        seed: u64,
    ) -> Worker<N, S> {
        const { assert!(S::SERVICES <= SERVICES_MAX, "too many services beside each other") };
        let now = net.now();
        Worker {
            shard: Shard::new(id, config, shared, Arc::new(Arc::clone(&mailboxes)), now, seed),
            mailboxes,
            net,
            service,
            io: Io::new(),
            queue: HearQueue::new(),
            leaving: LeavingConns::default(),
            inbox: Inbox::new(now.tick),
            acceptor: AcceptQueue::new(),
            calls: Calls::new(now.tick),
            reaper: Reaper::new(now.tick),
            budget: DeadlineBudget::new(now.tick),
            drain: DrainWindow::default(),
            memory_schedule: MemorySchedule::new(now.tick),
        }
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
        let conns: usize = self.shard.conns.iter().map(|(_, conn)| conn.held_bytes()).sum();
        let tls = self.shard.tls.as_ref().map_or(0, |tls_state| tls_state.held_bytes());
        conns + tls + self.shard.deflate.held_bytes() + self.shard.unserved.bytes()
    }

    /// Deadlines in its wheel, those that no longer count among them.
    pub fn filed_deadlines(&self) -> usize {
        self.shard.conns.filed()
    }

    /// Wakes the workers that have mail from this turn.
    #[inline]
    pub(crate) fn wake(&mut self) {
        while let Some(to) = self.shard.to_wake.pop() {
            self.mailboxes[to.index()].wake();
        }
    }

    pub(crate) fn state(&self) -> &crate::reactor::shared::WorkerState {
        &self.shard.shared.workers()[self.shard.id.index()]
    }

    /// Counts that work waits for the next turn.
    pub(crate) fn count_deferred(&self, kind: Deferred) {
        self.shard.counters().deferred[kind as usize].add(1);
    }

    /// Puts the connection into the list of those to go on with in the next turn.
    pub(crate) fn list(&mut self, id: ConnId) {
        if self.shard.get_mut(id).is_some_and(Conn::list) {
            self.queue.list(id);
        }
    }

    /// A connection has been served: returns what it took, in parts of a unit. One that took far more than its share comes in the
    /// next turns behind all that took less.
    pub(crate) fn served(&mut self, id: ConnId) -> u64 {
        if self.shard.work.is_owed() && self.shard.get(id).is_some() {
            self.shard.work.lend(id);
            self.list(id);
        }
        self.shard.work.spent()
    }

    /// The connection's transport.
    #[inline]
    pub(crate) fn transport(&mut self, id: ConnId) -> Option<Transport<'_, N::Socket>> {
        self.shard.get(id)?;
        let socket = self.io.socket(id)?;
        Some(Transport::new(socket, self.shard.tls.as_deref_mut(), id))
    }

    /// Makes the connections of one listener speak TLS.
    pub fn secure(&mut self, listener: u8, acceptor: Arc<tls::Acceptor>) {
        self.shard.tls.get_or_insert_default().secure(listener, acceptor);
    }
}

impl<N: Net, S: Service> std::fmt::Debug for Worker<N, S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let connections = self.shard.conns.len();
        f.debug_struct("Worker")
            .field("id", &self.shard.id)
            .field("connections", &connections)
            .finish_non_exhaustive()
    }
}
