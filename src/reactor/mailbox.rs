//! Mail for a worker: a bounded queue that any thread may post to, and a bell that wakes the worker's poll.
//!
//! The lock is held for one push, or for one swap that takes everything. The bell is an eventfd that exists before the
//! workers start: with private descriptor tables it then has the same number in all of them. It is rung once however
//! many letters wait.

use std::collections::VecDeque;
use std::mem;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed, Ordering::SeqCst};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::limits::MAILBOX_MAX;

/// A worker's mailbox.
#[derive(Debug)]
pub struct Mailbox<M> {
    queue: Mutex<VecDeque<M>>,
    bell: OwnedFd,
    rung: AtomicBool,
    /// Letters in the queue, to be seen without its lock.
    waiting: AtomicUsize,
}

impl<M> Mailbox<M> {
    /// An empty mailbox with that eventfd as its bell.
    #[must_use]
    pub fn new(bell: OwnedFd) -> Mailbox<M> {
        Mailbox {
            queue: Mutex::new(VecDeque::new()),
            bell,
            rung: AtomicBool::new(false),
            waiting: AtomicUsize::new(0),
        }
    }

    /// The eventfd to wait for.
    pub fn bell(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }

    /// Queues a letter without ringing.
    ///
    /// # Errors
    /// [`MAILBOX_MAX`] letters wait: the letter comes back.
    pub fn post(&self, letter: M) -> Result<(), M> {
        let mut queue = self.lock();
        if queue.len() >= MAILBOX_MAX {
            return Err(letter);
        }
        queue.push_back(letter);
        self.waiting.store(queue.len(), Relaxed);
        Ok(())
    }

    /// Wakes the worker, unless it was rung for since it last took its mail.
    pub fn ring(&self) {
        if !self.rung.swap(true, SeqCst) {
            // An eventfd refuses only at 2^64 - 2 unread rings, which still wakes.
            let _ = rustix::io::write(&self.bell, &1_u64.to_ne_bytes());
        }
    }

    /// Takes all mail: `taken`, which must be empty, is swapped for the queue. Silences the bell first, so that what is
    /// posted after the swap rings again.
    pub fn take(&self, taken: &mut VecDeque<M>) {
        debug_assert!(taken.is_empty());
        self.silence(|| ());
        let mut queue = self.lock();
        mem::swap(&mut *queue, taken);
        self.waiting.store(0, Relaxed);
    }

    /// Letters that wait, as of a moment ago.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Relaxed)
    }

    /// Letters that the queue has room for.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.lock().capacity()
    }

    /// Gives back what a burst has left, down to room for `kept` letters.
    pub fn give_back(&self, kept: usize) {
        self.lock().shrink_to(kept);
    }

    /// Reads the bell, then lets it be rung again. The other way round the read could swallow a ring that came in between,
    /// and `rung` would say for ever after that the worker is awake. `between` is where a test rings.
    fn silence(&self, between: impl FnOnce()) {
        if self.rung.load(SeqCst) {
            let _ = rustix::io::read(&self.bell, &mut [0_u8; 8]);
            between();
            // A swap, not a store: what who rang did before is then seen here.
            self.rung.swap(false, SeqCst);
        }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<M>> {
        // A push or a swap leaves the queue whole even where its thread panicked afterwards.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::event::{EventfdFlags, eventfd};

    fn mailbox() -> Mailbox<usize> {
        Mailbox::new(eventfd(0, EventfdFlags::NONBLOCK).unwrap())
    }

    fn rings(mailbox: &Mailbox<usize>) -> u64 {
        let mut count = [0; 8];
        rustix::io::read(mailbox.bell(), &mut count).map_or(0, |_| u64::from_ne_bytes(count))
    }

    #[test]
    fn mail_keeps_its_order_and_its_bound() {
        let mailbox = mailbox();
        for letter in 0..MAILBOX_MAX {
            assert_eq!(mailbox.post(letter), Ok(()));
        }
        assert_eq!((mailbox.post(7), mailbox.waiting()), (Err(7), MAILBOX_MAX));
        let mut taken = VecDeque::new();
        mailbox.take(&mut taken);
        assert!(taken.iter().copied().eq(0..MAILBOX_MAX) && mailbox.waiting() == 0);
        assert_eq!(mailbox.post(7), Ok(()));
    }

    #[test]
    fn one_ring_serves_all_mail_until_it_is_taken() {
        let mailbox = mailbox();
        mailbox.ring();
        mailbox.ring();
        assert_eq!(rings(&mailbox), 1);
        mailbox.ring();
        assert_eq!(rings(&mailbox), 0, "rung for and not yet taken");
        mailbox.take(&mut VecDeque::new());
        mailbox.ring();
        assert_eq!(rings(&mailbox), 1);
    }

    #[test]
    fn a_ring_while_the_bell_is_silenced_keeps_none_after_it_from_waking() {
        let mailbox = mailbox();
        mailbox.ring();
        mailbox.silence(|| mailbox.ring());
        mailbox.ring();
        assert!(rings(&mailbox) > 0, "rung for, and the worker sleeps on");
    }
}
