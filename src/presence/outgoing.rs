//! The output of a node's parts during a call, and the call's cost.

use std::collections::VecDeque;

use crate::presence::effect::Effect;
use crate::presence::message::Message;
use crate::presence::timer::Timer;
use crate::time::Tick;

/// Entries of a queue that outlast a burst.
const QUEUE_KEPT: usize = 64;

/// The output of a node's parts during a call.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(super) posts: VecDeque<(u16, Message)>,
    pub(super) timers: Vec<(Tick, Timer)>,
    pub(crate) effects: Vec<Effect>,
    /// The cost of the work since it was last taken, in nanoseconds; see [`cost`](crate::presence::cost).
    spent: u64,
}

impl Outgoing {
    pub(super) fn new() -> Outgoing {
        Outgoing { posts: VecDeque::new(), timers: Vec::new(), effects: Vec::new(), spent: 0 }
    }

    pub(crate) fn post(&mut self, to: u16, message: Message) {
        self.posts.push_back((to, message));
    }

    pub(crate) fn timer(&mut self, at: Tick, timer: Timer) {
        self.timers.push((at, timer));
    }

    /// Adds to what the call costs: so many times so many nanoseconds.
    #[inline]
    pub(crate) fn spend(&mut self, times: usize, nanos: u64) {
        self.spent += times as u64 * nanos;
    }

    /// Takes what was spent, in units of a microsecond; what is less than one counts with what comes next.
    pub(super) fn take_units(&mut self) -> u32 {
        if self.spent < 1_000 {
            return 0;
        }
        let units = self.spent / 1_000;
        self.spent %= 1_000;
        u32::try_from(units).unwrap_or(u32::MAX)
    }

    /// Bytes of the queues.
    pub(super) fn bytes(&self) -> usize {
        self.posts.capacity() * size_of::<(u16, Message)>()
            + self.timers.capacity() * size_of::<(Tick, Timer)>()
            + self.effects.capacity() * size_of::<Effect>()
    }

    /// Gives back what bursts have left.
    pub(super) fn shrink(&mut self) {
        self.posts.shrink_to(QUEUE_KEPT);
        self.timers.shrink_to(QUEUE_KEPT);
        self.effects.shrink_to(QUEUE_KEPT);
    }
}
