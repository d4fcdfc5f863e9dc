//! What a worker keeps for its connections over TLS: their links by slab key, and the buffers that all of them share.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::limits::{TLS_RECORDS_BYTES, TLS_SESSION_HEAP_BYTES};
use crate::reactor::ids::ConnId;
use crate::reactor::tls::acceptor::Acceptor;
pub(crate) use crate::reactor::tls::link::Link;

/// A worker's side of TLS; a worker without a TLS listener has none.
#[derive(Debug)]
pub(crate) struct Side {
    /// By listener.
    acceptors: Vec<Option<Arc<Acceptor>>>,
    /// By slab key.
    links: Vec<Option<Box<Link>>>,
    /// How many there are.
    count: usize,
    /// One buffer for every read of records.
    pub(crate) records: Box<[u8]>,
    /// Where records are made.
    pub(crate) out: Vec<u8>,
    /// Connections whose handshake can go on.
    pub(crate) waiting: VecDeque<ConnId>,
}

impl Default for Side {
    fn default() -> Side {
        Side {
            acceptors: Vec::new(),
            links: Vec::new(),
            count: 0,
            records: vec![0; TLS_RECORDS_BYTES].into(),
            out: Vec::new(),
            waiting: VecDeque::new(),
        }
    }
}

impl Side {
    /// Connections of that listener speak TLS from now on.
    pub(crate) fn secure(&mut self, listener: u8, acceptor: Arc<Acceptor>) {
        let at = usize::from(listener);
        if self.acceptors.len() <= at {
            self.acceptors.resize_with(at + 1, || None);
        }
        self.acceptors[at] = Some(acceptor);
    }

    pub(crate) fn acceptor(&self, listener: u8) -> Option<&Arc<Acceptor>> {
        self.acceptors.get(usize::from(listener))?.as_ref()
    }

    pub(crate) fn insert(&mut self, key: usize, link: Link) {
        if self.links.len() <= key {
            self.links.resize_with(key + 1, || None);
        }
        self.links[key] = Some(Box::new(link));
        self.count += 1;
    }

    pub(crate) fn get(&self, id: ConnId) -> Option<&Link> {
        self.links.get(id.key as usize)?.as_deref()
    }

    pub(crate) fn get_mut(&mut self, id: ConnId) -> Option<&mut Link> {
        self.links.get_mut(id.key as usize)?.as_deref_mut()
    }

    pub(crate) fn remove(&mut self, id: ConnId) -> Option<Box<Link>> {
        let link = self.links.get_mut(id.key as usize)?.take()?;
        self.count -= 1;
        Some(link)
    }

    /// Bytes of half records.
    pub(crate) fn held_bytes(&self) -> usize {
        self.links.iter().flatten().map(|link| link.held_bytes()).sum()
    }

    /// Bytes for all connections; what rustls holds of them on the heap doesn't depend on much, and is reckoned.
    pub(crate) fn bytes(&self) -> usize {
        self.links.capacity() * size_of::<Option<Box<Link>>>()
            + self.count * (size_of::<Link>() + TLS_SESSION_HEAP_BYTES)
            + self.records.len()
            + self.out.capacity()
            + self.waiting.capacity() * size_of::<ConnId>()
    }
}
