//! How much single connections hold of what is half read, where that is much.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use crate::limits::HALF_READ_BYTES_MIN;
use crate::reactor::ids::ConnId;

/// A worker's connections that hold [`HALF_READ_BYTES_MIN`] or more of what is half read.
#[derive(Debug, Default)]
pub(crate) struct HalfRead {
    /// Bytes, by slab key.
    held: HashMap<u32, usize>,
}

impl HalfRead {
    /// Whether it has to be told of a connection that holds so much.
    #[inline]
    pub(crate) fn concerns(&self, bytes: usize) -> bool {
        bytes > 0 || !self.held.is_empty()
    }

    /// A connection holds so much now. Puts `all` right; says whether this is more than before.
    pub(crate) fn set(&mut self, id: ConnId, bytes: usize, all: &AtomicUsize) -> bool {
        if bytes < HALF_READ_BYTES_MIN {
            if let Some(before) = self.held.remove(&id.key) {
                all.fetch_sub(before, Relaxed);
                self.held.shrink_to(2 * self.held.len());
            }
            return false;
        }
        let before = self.held.insert(id.key, bytes).unwrap_or(0);
        all.fetch_add(bytes.wrapping_sub(before), Relaxed);
        bytes > before
    }

    /// The connection is gone, or what it held is.
    pub(crate) fn forget(&mut self, id: ConnId, all: &AtomicUsize) {
        if !self.held.is_empty() {
            self.set(id, 0, all);
        }
    }
}
