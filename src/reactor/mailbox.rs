//! Mail for a worker: a bounded queue that any thread may post to, and a waker that wakes the worker's poll.
//!
//! The lock is held for one push, or for one swap that takes everything. The waker is an eventfd that exists before the
//! workers start: with private descriptor tables it then has the same number in all of them. It is written once however
//! many messages wait.

use std::collections::VecDeque;
use std::mem;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed, Ordering::SeqCst};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::limits::{MAILBOX_BYTES_MAX, MAILBOX_MAX};

/// A worker's mailbox.
#[derive(Debug)]
pub struct Mailbox<M> {
    queue: Mutex<VecDeque<M>>,
    waker: OwnedFd,
    woken: AtomicBool,
    /// Messages in the queue, to be seen without its lock.
    waiting: AtomicUsize,
    /// Their bytes.
    bytes: AtomicUsize,
    /// Whether one of them can't wait.
    urgent: AtomicBool,
}

/// Whether a message may wait.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Latency {
    /// Somebody waits for what comes of it.
    Now,
    /// It may wait for others, until the next tick at most: where thousands come, the receiver wakes once for all of them.
    NextTick,
}

impl<M> Mailbox<M> {
    /// An empty mailbox with that eventfd as its waker.
    #[must_use]
    pub fn new(waker: OwnedFd) -> Mailbox<M> {
        Mailbox {
            queue: Mutex::new(VecDeque::new()),
            waker,
            woken: AtomicBool::new(false),
            waiting: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            urgent: AtomicBool::new(false),
        }
    }

    /// The eventfd to wait for.
    pub fn waker(&self) -> BorrowedFd<'_> {
        self.waker.as_fd()
    }

    /// Queues a message, one of so many bytes, without waking the worker.
    ///
    /// # Errors
    /// [`MAILBOX_MAX`] messages wait, or with it more than [`MAILBOX_BYTES_MAX`] bytes would, unless the others have none: the
    /// message comes back.
    pub fn post(&self, envelope: M, bytes: usize, latency: Latency) -> Result<(), M> {
        let mut queue = self.lock();
        let held = self.bytes.load(Relaxed);
        let is_too_much = held > 0 && bytes > 0 && held + bytes > MAILBOX_BYTES_MAX;
        if queue.len() >= MAILBOX_MAX || is_too_much {
            return Err(envelope);
        }
        self.bytes.store(held + bytes, Relaxed);
        queue.push_back(envelope);
        if latency == Latency::Now {
            self.urgent.store(true, Relaxed);
        }
        self.waiting.store(queue.len(), Relaxed);
        Ok(())
    }

    /// Wakes the worker, unless it was woken since it last took its mail.
    pub fn wake(&self) {
        if !self.woken.swap(true, SeqCst) {
            // An eventfd refuses a write only at 2^64 - 2, which still wakes.
            let _ = rustix::io::write(&self.waker, &1_u64.to_ne_bytes());
        }
    }

    /// Takes all mail: `taken`, which must be empty, is swapped for the queue. Clears the waker first, so that mail
    /// posted after the swap wakes again. If `may_wait`, mail that can wait is left; says whether any was.
    pub fn take(&self, taken: &mut VecDeque<M>, may_wait: bool) -> bool {
        debug_assert!(taken.is_empty());
        self.clear_waker(|| ());
        // A sender wakes after it posts: mail that is not seen here yet wakes by the waker that was just
        // cleared.
        if self.waiting.load(Relaxed) == 0 {
            return false;
        }
        let mut queue = self.lock();
        if may_wait && !queue.is_empty() && !self.urgent.load(Relaxed) {
            return true;
        }
        mem::swap(&mut *queue, taken);
        self.waiting.store(0, Relaxed);
        self.bytes.store(0, Relaxed);
        self.urgent.store(false, Relaxed);
        false
    }

    /// Messages that wait, as of a moment ago.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Relaxed)
    }

    /// Their bytes, as of a moment ago.
    pub fn bytes(&self) -> usize {
        self.bytes.load(Relaxed)
    }

    /// Messages that the queue has room for.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.lock().capacity()
    }

    /// Gives back what a burst has left, down to room for `kept` messages.
    pub fn shrink(&self, kept: usize) {
        self.lock().shrink_to(kept);
    }

    /// Reads the waker, then lets it be written again. The other way round the read could swallow a wake that came in
    /// between, and `woken` would say for ever after that the worker is awake. A test wakes in `between`.
    fn clear_waker(&self, between: impl FnOnce()) {
        if self.woken.load(SeqCst) {
            let _ = rustix::io::read(&self.waker, &mut [0_u8; 8]);
            between();
            // A swap, not a store: what who rang did before is then seen here.
            self.woken.swap(false, SeqCst);
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
        rustix::io::read(mailbox.waker(), &mut count).map_or(0, |_| u64::from_ne_bytes(count))
    }

    #[test]
    fn mail_keeps_its_order_and_its_bound() {
        let mailbox = mailbox();
        for envelope in 0..MAILBOX_MAX {
            assert_eq!(mailbox.post(envelope, 0, Latency::Now), Ok(()));
        }
        assert_eq!((mailbox.post(7, 0, Latency::Now), mailbox.waiting()), (Err(7), MAILBOX_MAX));
        let mut taken = VecDeque::new();
        mailbox.take(&mut taken, false);
        assert!(taken.iter().copied().eq(0..MAILBOX_MAX) && mailbox.waiting() == 0);
        assert_eq!(mailbox.post(7, 0, Latency::Now), Ok(()));
    }

    #[test]
    fn mail_is_bounded_by_its_bytes_and_one_letter_goes_whatever_it_weighs() {
        let mailbox = mailbox();
        let part = MAILBOX_BYTES_MAX / 4;
        for envelope in 0..4 {
            assert_eq!(mailbox.post(envelope, part, Latency::Now), Ok(()));
        }
        assert_eq!(mailbox.post(4, 1, Latency::Now), Err(4));
        assert_eq!(mailbox.post(4, 0, Latency::Now), Ok(()), "it adds nothing");
        assert_eq!((mailbox.waiting(), mailbox.bytes()), (5, MAILBOX_BYTES_MAX));
        let mut taken = VecDeque::new();
        mailbox.take(&mut taken, false);
        assert_eq!((taken.len(), mailbox.bytes()), (5, 0));
        assert_eq!(mailbox.post(5, 2 * MAILBOX_BYTES_MAX, Latency::Now), Ok(()), "it is alone");
        assert_eq!(mailbox.post(6, 1, Latency::Now), Err(6));
    }

    #[test]
    fn patient_mail_waits_where_it_may_and_goes_with_what_can_not_wait() {
        let mailbox = mailbox();
        let mut taken = VecDeque::new();
        assert!(!mailbox.take(&mut taken, true), "there is none");
        mailbox.post(1, 0, Latency::NextTick).unwrap();
        assert!(mailbox.take(&mut taken, true) && taken.is_empty());
        mailbox.wake();
        assert!(mailbox.take(&mut taken, true) && taken.is_empty());
        mailbox.wake();
        assert_eq!(rings(&mailbox), 1, "the bell was silenced");
        mailbox.post(2, 0, Latency::Now).unwrap();
        mailbox.post(3, 0, Latency::NextTick).unwrap();
        assert!(!mailbox.take(&mut taken, true));
        assert_eq!(taken, [1, 2, 3]);
        taken.clear();
        mailbox.post(4, 0, Latency::NextTick).unwrap();
        assert!(mailbox.take(&mut taken, true), "what was urgent is gone");
        assert!(!mailbox.take(&mut taken, false));
        assert_eq!(taken, [4]);
    }

    #[test]
    fn one_ring_serves_all_mail_until_it_is_taken() {
        let mailbox = mailbox();
        mailbox.wake();
        mailbox.wake();
        assert_eq!(rings(&mailbox), 1);
        mailbox.wake();
        assert_eq!(rings(&mailbox), 0, "rung for and not yet taken");
        mailbox.take(&mut VecDeque::new(), false);
        mailbox.wake();
        assert_eq!(rings(&mailbox), 1);
    }

    #[test]
    fn a_ring_while_the_bell_is_silenced_keeps_none_after_it_from_waking() {
        let mailbox = mailbox();
        mailbox.wake();
        mailbox.clear_waker(|| mailbox.wake());
        mailbox.wake();
        assert!(rings(&mailbox) > 0, "rung for, and the worker sleeps on");
    }
}
