//! A worker's TLS state: the sessions by slab key, and the buffers that all of them share.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::mem;
use std::sync::Arc;

use tracing::debug;

use crate::limits::{TLS_RECORDS_BYTES, TLS_SEAL_BYTES, TLS_SESSION_HEAP_BYTES};
use crate::reactor::ids::ConnId;
use crate::reactor::tls::acceptor::Acceptor;
use crate::reactor::tls::names::Certified;
use crate::reactor::tls::session::{Opened, TlsSession};

/// A worker's side of TLS; a worker without a TLS listener has none.
#[derive(Debug)]
pub(crate) struct TlsState {
    /// By listener.
    acceptors: Vec<Option<Arc<Acceptor>>>,
    /// By slab key.
    sessions: Vec<Option<Box<TlsSession>>>,
    /// How many there are.
    count: usize,
    /// Connections whose handshake can go on.
    waiting: VecDeque<ConnId>,
    buffers: Buffers,
}

/// The buffers in which all sessions of a worker open and seal records.
#[derive(Debug)]
struct Buffers {
    /// One buffer for every read of records.
    records: Box<[u8]>,
    /// The buffer where the plaintext of one record is put side by side.
    plain: Vec<u8>,
    /// The buffer where records are made. Each call that makes some begins with none.
    out: Vec<u8>,
    /// Bytes of `out` that the socket has taken, or that have gone into a queue: `sent <= out.len()`.
    sent: usize,
}

/// One connection's TLS, with what it works with.
#[derive(Debug)]
pub(crate) struct Secure<'t> {
    session: &'t mut TlsSession,
    buffers: &'t mut Buffers,
}

impl Default for TlsState {
    fn default() -> TlsState {
        TlsState {
            acceptors: Vec::new(),
            sessions: Vec::new(),
            count: 0,
            waiting: VecDeque::new(),
            buffers: Buffers {
                records: vec![0; TLS_RECORDS_BYTES].into(),
                plain: Vec::new(),
                out: Vec::new(),
                sent: 0,
            },
        }
    }
}

impl TlsState {
    /// Connections of that listener speak TLS from now on.
    pub(crate) fn secure(&mut self, listener: u8, acceptor: Arc<Acceptor>) {
        let at = usize::from(listener);
        if self.acceptors.len() <= at {
            self.acceptors.resize_with(at + 1, || None);
        }
        self.acceptors[at] = Some(acceptor);
    }

    /// Gives a fresh connection its session, where its listener's connections have one. Says whether it can go on.
    pub(crate) fn attach(&mut self, key: usize, listener: u8) -> bool {
        let acceptor = self.acceptors.get(usize::from(listener)).and_then(|acceptor| acceptor.as_ref());
        let Some(acceptor) = acceptor else { return true };
        match TlsSession::new(acceptor.current()) {
            Ok(session) => self.insert(key, session),
            Err(error) => {
                debug!(%error, "TLS can't begin");
                return false;
            }
        }
        true
    }

    fn insert(&mut self, key: usize, session: TlsSession) {
        if self.sessions.len() <= key {
            self.sessions.resize_with(key + 1, || None);
        }
        self.sessions[key] = Some(Box::new(session));
        self.count += 1;
    }

    /// Takes the session of a connection that goes, or that turned out to speak no TLS. Says whether it came to none, where
    /// that is not known yet, and with `last_words` gives the record that says that nothing follows.
    pub(crate) fn detach(&mut self, id: ConnId, last_words: bool) -> (bool, Vec<u8>) {
        let mut record = Vec::new();
        let session = self.sessions.get_mut(id.key as usize).and_then(Option::take);
        let Some(mut session) = session else { return (false, record) };
        self.count -= 1;
        let has_failed = session.is_handshaking() && session.fail();
        if last_words {
            session.close(&mut record);
        }
        (has_failed, record)
    }

    fn get(&self, id: ConnId) -> Option<&TlsSession> {
        self.sessions.get(id.key as usize)?.as_deref()
    }

    /// Whether the connection speaks TLS.
    #[inline]
    pub(crate) fn has(&self, id: ConnId) -> bool {
        self.get(id).is_some()
    }

    pub(crate) fn is_handshaking(&self, id: ConnId) -> bool {
        self.get(id).is_some_and(TlsSession::is_handshaking)
    }

    /// Whether the end of the socket's stream is the peer's word: without TLS it is; over TLS it may be somebody else's.
    pub(crate) fn ends_by_its_word(&self, id: ConnId) -> bool {
        self.get(id).is_none_or(TlsSession::has_ended)
    }

    /// The names in its client's certificate.
    pub(crate) fn certified(&self, id: ConnId) -> Option<Certified> {
        self.get(id)?.certified()
    }

    /// Bytes of a half record.
    pub(crate) fn held_bytes_of(&self, id: ConnId) -> usize {
        self.get(id).map_or(0, TlsSession::held_bytes)
    }

    /// The TLS of a connection that has any.
    #[inline]
    pub(crate) fn secured(&mut self, id: ConnId) -> Option<Secure<'_>> {
        let session = self.sessions.get_mut(id.key as usize)?.as_deref_mut()?;
        Some(Secure { session, buffers: &mut self.buffers })
    }

    /// Opens the first `len` bytes of records that were read last, into `plain`. Records that TLS makes by itself are left
    /// to be sent.
    pub(crate) fn open_read(&mut self, id: ConnId, len: usize, plain: &mut [u8]) -> Opened {
        let mut records = mem::take(&mut self.buffers.records);
        let opened = self.open(id, &mut records[..len], plain);
        self.buffers.records = records;
        opened
    }

    /// The same for records that lie elsewhere.
    pub(crate) fn open(&mut self, id: ConnId, records: &mut [u8], plain: &mut [u8]) -> Opened {
        let Some(Secure { session, buffers }) = self.secured(id) else { return Opened::default() };
        buffers.begin();
        session.open(records, plain, &mut buffers.out)
    }

    /// Records that were made last and that the socket did not take, where they are the connection's.
    pub(crate) fn left(&self, id: ConnId) -> &[u8] {
        if self.has(id) { self.buffers.left() } else { &[] }
    }

    /// They have gone into a queue.
    pub(crate) fn forget_left(&mut self) {
        self.buffers.begin();
    }

    /// A connection's handshake can go on.
    pub(crate) fn wait(&mut self, id: ConnId) {
        self.waiting.push_back(id);
    }

    /// The connection whose handshake has waited for longest.
    pub(crate) fn next_waiting(&mut self) -> Option<ConnId> {
        self.waiting.pop_front()
    }

    /// Whether some handshake can go on.
    pub(crate) fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Bytes of half records.
    pub(crate) fn held_bytes(&self) -> usize {
        self.sessions.iter().flatten().map(|session| session.held_bytes()).sum()
    }

    /// Bytes for all connections; what rustls holds of them on the heap doesn't depend on much, and is reckoned.
    pub(crate) fn bytes(&self) -> usize {
        self.sessions.capacity() * size_of::<Option<Box<TlsSession>>>()
            + self.count * (size_of::<TlsSession>() + TLS_SESSION_HEAP_BYTES)
            + self.buffers.records.len()
            + self.buffers.plain.capacity()
            + self.buffers.out.capacity()
            + self.waiting.capacity() * size_of::<ConnId>()
    }
}

impl Buffers {
    /// Nothing is left to be sent.
    fn begin(&mut self) {
        self.out.clear();
        self.sent = 0;
    }

    fn left(&self) -> &[u8] {
        &self.out[self.sent..]
    }
}

impl Secure<'_> {
    /// The buffer that records are read into.
    pub(crate) fn records(&mut self) -> &mut [u8] {
        &mut self.buffers.records
    }

    /// Makes records of the front of `parts`, to be sent. Returns how many bytes they hold: behind an alert all of them, since
    /// nothing is read any more.
    ///
    /// # Errors
    /// The connection can't go on.
    pub(crate) fn seal(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        let Secure { session, buffers } = self;
        buffers.begin();
        if session.is_silent() {
            return Ok(parts.iter().map(|part| part.len()).sum());
        }
        let plain = if let [one] = parts {
            &one[..one.len().min(TLS_SEAL_BYTES)]
        } else {
            buffers.plain.clear();
            for part in parts {
                let spare = TLS_SEAL_BYTES - buffers.plain.len();
                buffers.plain.extend_from_slice(&part[..part.len().min(spare)]);
            }
            &buffers.plain
        };
        match session.seal(plain, &mut buffers.out) {
            Ok(()) => Ok(plain.len()),
            Err(error) => {
                debug!(%error, "TLS can't go on");
                Err(io::Error::other(error))
            }
        }
    }

    /// Makes the record that says that nothing follows, once.
    pub(crate) fn close(&mut self) {
        self.buffers.begin();
        self.session.close(&mut self.buffers.out);
    }

    /// Records that were made and that the socket did not take.
    pub(crate) fn left(&self) -> &[u8] {
        self.buffers.left()
    }

    /// The socket took so many bytes of them.
    pub(crate) fn sent(&mut self, bytes: usize) {
        self.buffers.sent += bytes;
    }
}
