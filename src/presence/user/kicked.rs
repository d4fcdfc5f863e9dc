//! Clients that were kicked and whose edges have not said yet that they are gone: the message that sends one away may be lost. One that
//! its edge announces nevertheless is sent away again.
//!
//! A client of this worker is sent away within the call, and one of a user who is banned whenever it comes: none of these is here.
//! So this is empty but for the time of a message there and back, and where messages are lost until the next announcement.

use std::collections::HashMap;
use std::sync::Arc;

use crate::limits::KICKED_MAX;
use crate::presence::address::ClientRef;

#[derive(Debug)]
struct Kick {
    words: Arc<str>,
    /// Of the edge's announcements, the one in which the client was there still.
    round: u8,
}

/// The kicks of one home that are not confirmed.
#[derive(Debug, Default)]
pub(super) struct Kicked {
    clients: HashMap<ClientRef, Kick>,
}

impl Kicked {
    /// Whether so many more may be kicked.
    pub(super) fn has_room(&self, clients: usize) -> bool {
        self.clients.len() + clients <= KICKED_MAX
    }

    pub(super) fn add(&mut self, at: ClientRef, words: &Arc<str>, round: u8) {
        self.clients.insert(at, Kick { words: words.clone(), round });
    }

    /// A client is gone, as its edge says, or another one has come by that address.
    #[inline]
    pub(super) fn end(&mut self, at: ClientRef) {
        // Almost always nobody is kicked.
        if !self.clients.is_empty() && self.clients.remove(&at).is_some() && self.clients.is_empty() {
            self.clients = HashMap::new();
        }
    }

    /// A client is there, as its edge says: the words for it, if it was kicked.
    pub(super) fn again(&mut self, at: ClientRef, round: u8) -> Option<&Arc<str>> {
        let kick = self.clients.get_mut(&at)?;
        kick.round = round;
        Some(&kick.words)
    }

    /// An announcement is complete: whoever was not in it is gone.
    pub(super) fn sweep(&mut self, edge: u16, round: u8) {
        self.clients.retain(|at, kick| at.worker != edge || kick.round == round);
    }

    pub(super) fn len(&self) -> usize {
        self.clients.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.clients.capacity() * size_of::<(ClientRef, Kick)>()
    }
}
