//! Connections whose services were told that they are backlogged while nothing waited for their sockets: all that filled them was
//! sent in one turn. Where the sockets take it at once, no socket will say that it has room again, so the next turn does.

use std::collections::{HashSet, VecDeque};

use crate::reactor::ids::ConnId;

/// Places that outlast a burst.
const KEPT: usize = 64;

/// A worker's.
#[derive(Debug, Default)]
pub(crate) struct Refused {
    order: VecDeque<ConnId>,
    /// The same, so that one that is refused again and again is there once.
    ids: HashSet<ConnId>,
}

impl Refused {
    /// A message for the connection was refused.
    #[cold]
    pub(crate) fn note(&mut self, id: ConnId) {
        if self.ids.insert(id) {
            self.order.push_back(id);
        }
    }

    /// How many there are.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.order.len()
    }

    /// Takes the first.
    pub(crate) fn pop(&mut self) -> Option<ConnId> {
        let id = self.order.pop_front()?;
        self.ids.remove(&id);
        if self.order.is_empty() {
            self.order.shrink_to(KEPT);
            self.ids.shrink_to(KEPT);
        }
        Some(id)
    }
}
