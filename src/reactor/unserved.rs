//! Input that was read and waits for its connection's next share of a turn, and the end that was read behind it: an end
//! counts when all that came before it has been served. A connection whose input is served at once has no entry here.

use std::collections::HashMap;

use crate::reactor::ids::ConnId;
use crate::reactor::tls::session::TlsFailure;

/// How the peer's stream ended, or what ended it.
#[derive(Debug)]
pub(crate) enum StreamEnd {
    /// By the peer's word.
    Told,
    /// TLS broke, or the peer gave it up by an alert.
    Broken(TlsFailure),
}

/// The state that a connection holds.
#[derive(Debug, Default)]
struct HeldInput {
    bytes: Vec<u8>,
    end: Option<StreamEnd>,
}

/// The waiting input, by slab key.
#[derive(Debug, Default)]
pub(crate) struct Unserved {
    held: HashMap<u32, HeldInput>,
}

impl Unserved {
    /// Whether bytes of the connection wait: then it must not be read.
    #[inline]
    pub(crate) fn has(&self, id: ConnId) -> bool {
        !self.held.is_empty() && self.held.get(&id.key).is_some_and(|held| !held.bytes.is_empty())
    }

    /// Keeps bytes; none of the connection's may wait already.
    pub(crate) fn keep(&mut self, id: ConnId, bytes: Vec<u8>) {
        let held = self.held.entry(id.key).or_default();
        debug_assert!(held.bytes.is_empty(), "input overtakes input");
        held.bytes = bytes;
    }

    /// Keeps the end that stands behind what waits.
    pub(crate) fn keep_end(&mut self, id: ConnId, end: StreamEnd) {
        self.held.entry(id.key).or_default().end.get_or_insert(end);
    }

    /// A copy of what waits of a connection, and whether its peer's stream has ended behind that.
    pub(crate) fn snapshot(&self, id: ConnId) -> (Vec<u8>, bool) {
        let held = self.held.get(&id.key);
        held.map_or((Vec::new(), false), |held| (held.bytes.clone(), held.end.is_some()))
    }

    /// Takes the bytes.
    pub(crate) fn take(&mut self, id: ConnId) -> Vec<u8> {
        let Some(held) = self.held.get_mut(&id.key) else { return Vec::new() };
        let bytes = std::mem::take(&mut held.bytes);
        if held.end.is_none() {
            self.forget(id);
        }
        bytes
    }

    /// All has been served: takes the end that stood behind it.
    pub(crate) fn take_end(&mut self, id: ConnId) -> Option<StreamEnd> {
        if self.held.is_empty() {
            return None;
        }
        let end = self.held.get_mut(&id.key)?.end.take();
        self.forget(id);
        end
    }

    /// The connection is gone, or holds nothing.
    pub(crate) fn forget(&mut self, id: ConnId) {
        if !self.held.is_empty() {
            self.held.remove(&id.key);
            self.held.shrink_to(2 * self.held.len());
        }
    }

    /// Bytes that wait of a connection.
    pub(crate) fn bytes_of(&self, id: ConnId) -> usize {
        if self.held.is_empty() { 0 } else { self.held.get(&id.key).map_or(0, |held| held.bytes.capacity()) }
    }

    /// Bytes of heap. Walks those that hold any.
    pub(crate) fn bytes(&self) -> usize {
        let places = self.held.capacity() * size_of::<(u32, HeldInput)>();
        places + self.held.values().map(|held| held.bytes.capacity()).sum::<usize>()
    }
}
