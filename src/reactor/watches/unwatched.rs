//! Descriptors that are about to be watched.

use std::fmt::{self, Debug, Formatter};
use std::os::fd::AsFd;

use crate::reactor::watches::ids::WatchId;

/// One of them. It is held until it is watched, so that its number can't be another's by then.
pub(crate) struct Unwatched {
    pub(crate) id: WatchId,
    pub(crate) descriptor: Box<dyn AsFd>,
}

impl Debug for Unwatched {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unwatched").field("id", &self.id).finish_non_exhaustive()
    }
}
