//! Mail between the services of two workers: what may be one, and the message that it travels in.

use std::sync::Arc;

use crate::reactor::ids::WorkerId;
use crate::reactor::mailbox::{Latency, Mailbox};
use crate::wire::shared::SharedFrame;

/// Messages between the services of two workers.
pub trait Mail: Send + 'static {
    /// Bytes of heap that stay with it while it waits, and that somebody may have chosen the number of. Bytes that messages
    /// share count for each of them.
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

/// A message in a mailbox, with its sender.
#[derive(Debug)]
pub struct Envelope<M> {
    /// `None`: another thread.
    pub(crate) from: Option<WorkerId>,
    pub(crate) mail: M,
}

/// The mailboxes of all workers, by [`WorkerId`].
pub type Mailboxes<M> = Arc<[Mailbox<Envelope<M>>]>;

/// The way of a service's mail: the workers' mailboxes, or what makes of it the mail of a larger service.
pub(crate) trait Post<M> {
    /// Puts mail into a worker's mailbox, without ringing.
    ///
    /// # Errors
    /// There is no room, or no such worker: the mail comes back.
    fn post(&self, from: Option<WorkerId>, to: WorkerId, mail: M, latency: Latency) -> Result<(), M>;
}

impl<M: Mail> Post<M> for Mailboxes<M> {
    fn post(&self, from: Option<WorkerId>, to: WorkerId, mail: M, latency: Latency) -> Result<(), M> {
        let Some(mailbox) = self.get(to.index()) else { return Err(mail) };
        let bytes = mail.bytes();
        mailbox.post(Envelope { from, mail }, bytes, latency).map_err(|envelope| envelope.mail)
    }
}

/// How much mail waits, whatever it is.
pub(crate) trait Waiting: Send + Sync {
    /// Messages that wait for a worker, and their bytes; `None`: there is no such worker.
    fn waiting(&self, worker: WorkerId) -> Option<(usize, usize)>;
}

impl<M: Send> Waiting for Mailboxes<M> {
    fn waiting(&self, worker: WorkerId) -> Option<(usize, usize)> {
        self.get(worker.index()).map(|mailbox| (mailbox.waiting(), mailbox.bytes()))
    }
}
