//! A worker's mail that was taken from its mailbox and waits to be served; and patient mail that was left there, until the tick
//! after that in which some was taken last.

use std::collections::VecDeque;

use crate::reactor::mail::Envelope;
use crate::reactor::mailbox::Mailbox;
use crate::time::Tick;

/// Places of the queue that outlast a burst.
const KEPT: usize = 64;

/// The queue.
#[derive(Debug)]
pub(crate) struct Inbox<M> {
    envelopes: VecDeque<Envelope<M>>,
    /// Mail was left where it was.
    waits: bool,
    /// When some was taken last.
    taken: Tick,
}

impl<M> Inbox<M> {
    pub(crate) fn new(now: Tick) -> Inbox<M> {
        Inbox { envelopes: VecDeque::new(), waits: false, taken: now }
    }

    /// Takes what lies in the mailbox. Nothing may wait here any more.
    pub(crate) fn fill(&mut self, mailbox: &Mailbox<Envelope<M>>, now: Tick) {
        // Messages that were taken in this tick have been batched already.
        self.waits = mailbox.take(&mut self.envelopes, self.taken == now);
        if !self.envelopes.is_empty() {
            self.taken = now;
        }
    }

    /// The message that has waited for longest.
    #[inline]
    pub(crate) fn next(&mut self) -> Option<Envelope<M>> {
        self.envelopes.pop_front()
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.envelopes.is_empty()
    }

    /// When patient mail that was left has to be taken.
    #[inline]
    pub(crate) fn due(&self) -> Option<Tick> {
        self.waits.then(|| self.taken.after(1))
    }

    /// Whether a burst has left something to give back.
    pub(crate) fn is_large(&self) -> bool {
        self.envelopes.capacity() > KEPT
    }

    /// Gives back what a burst has left, in the mailbox too.
    pub(crate) fn shrink(&mut self, mailbox: &Mailbox<Envelope<M>>) {
        self.envelopes.shrink_to(KEPT);
        mailbox.shrink(KEPT);
    }

    /// Bytes of memory, with the mailbox's.
    pub(crate) fn bytes(&self, mailbox: &Mailbox<Envelope<M>>) -> usize {
        (self.envelopes.capacity() + mailbox.capacity()) * size_of::<Envelope<M>>() + mailbox.bytes()
    }
}
