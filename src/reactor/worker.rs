//! A worker: what one thread has for its connections, put together of parts. The turn that it takes stands in `turn`, and each
//! step of that in a file of its own.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::conn::Conn;
use crate::limits::READ_BUFFER_BYTES;
use crate::reactor::config::Config;
use crate::reactor::core::Core;
use crate::reactor::counters::{Cause, Deferred};
use crate::reactor::deadline_budget::DeadlineBudget;
use crate::reactor::fleet::Fleet;
use crate::reactor::ids::{ConnId, WorkerId};
use crate::reactor::inbox::Inbox;
use crate::reactor::mail::Mailboxes;
use crate::reactor::reaper::Reaper;
use crate::reactor::service::Service;
use crate::reactor::tls::Acceptor;
use crate::reactor::transport::Transport;
use crate::reactor::weighing::Weighing;
use crate::slots::Side;
use crate::sys::net::{Net, Ready};
use crate::time::Tick;

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
    pub(crate) inbox: Inbox<S::Mail>,
    pub(crate) accepting: Accepting,
    pub(crate) next_generation: u32,
    /// When the service wants to be called.
    pub(crate) service_due: Option<Tick>,
    /// When the service was called last.
    pub(crate) service_called: Tick,
    pub(crate) reaper: Reaper,
    /// What the turn does about deadlines.
    pub(crate) budget: DeadlineBudget,
    /// The tick by which a drain is over at the latest.
    pub(crate) drained_by: Option<Tick>,
    pub(crate) weighing: Weighing,
    /// Upgrades before this turn.
    pub(crate) upgrades: u64,
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

    /// Wakes the workers that have mail from this turn.
    #[inline]
    pub(crate) fn ring(&mut self) {
        while let Some(to) = self.core.unrung.pop() {
            self.mailboxes[to.index()].ring();
        }
    }

    pub(crate) fn state(&self) -> &crate::reactor::fleet::WorkerState {
        &self.core.fleet.workers()[self.core.id.index()]
    }

    /// Counts that work waits for the next turn.
    pub(crate) fn count_deferred(&self, kind: Deferred) {
        self.core.counters().deferred[kind as usize].add(1);
    }

    /// Puts the connection into the list of those to go on with in the next turn.
    pub(crate) fn list(&mut self, id: ConnId) {
        if self.core.get_mut(id).is_some_and(Conn::list) {
            self.unread.push_back(id);
        }
    }

    /// A connection has been served: returns what it took, in parts of a unit. One that took far more than its share comes in the
    /// next turns behind all that took less.
    pub(crate) fn served(&mut self, id: ConnId) -> u64 {
        if self.core.work.is_owed() && self.core.get(id).is_some() {
            self.core.work.lend(id);
            self.list(id);
        }
        self.core.work.spent()
    }

    /// The connection's transport.
    #[inline]
    pub(crate) fn transport(&mut self, id: ConnId) -> Option<Transport<'_, N::Socket>> {
        self.core.get(id)?;
        let socket = self.sockets.get_mut(id.key as usize)?;
        Some(Transport::new(socket, self.core.tls.as_deref_mut(), id))
    }

    /// Makes the connections of one listener speak TLS.
    pub fn secure(&mut self, listener: u8, acceptor: Arc<Acceptor>) {
        self.core.tls.get_or_insert_default().secure(listener, acceptor);
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
