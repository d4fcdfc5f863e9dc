//! Mail between the services of two workers: what may be one, and the letter that it travels in.

use std::sync::Arc;

use crate::reactor::ids::WorkerId;
use crate::reactor::mailbox::Mailbox;
use crate::wire::shared::SharedFrame;

/// What the services of two workers tell each other.
pub trait Mail: Send + 'static {
    /// Bytes of heap that stay with it while it waits, and that somebody may have chosen the number of. What letters share
    /// counts for each of them.
    fn bytes(&self) -> usize;
}

impl Mail for () {
    fn bytes(&self) -> usize {
        0
    }
}

impl Mail for SharedFrame {
    fn bytes(&self) -> usize {
        self.bytes().len()
    }
}

/// What lies in a mailbox.
#[derive(Debug)]
pub struct Letter<M> {
    pub(crate) from: WorkerId,
    pub(crate) mail: M,
}

/// The mailboxes of all workers, by [`WorkerId`].
pub type Mailboxes<M> = Arc<[Mailbox<Letter<M>>]>;
