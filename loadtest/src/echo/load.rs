//! What an echo run sends, and what comes of it: the two ends of a thread's part.

use crate::measure::{Recorder, Tally};

/// What is sent, and how it is checked.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    pub size: usize,
    pub text: bool,
    /// Offer compression, and send what compresses as chats do.
    pub deflate: bool,
    /// Messages in flight on one connection at most.
    pub depth: usize,
    /// Messages a second of all threads; closed loop without.
    pub rate: Option<f64>,
    /// Every so many-th reply is compared whole; 0: lengths only.
    pub verify_every: u32,
    /// Nanoseconds that the last replies may take once no more is sent.
    pub drain: u64,
}

/// The counts and times of one thread, or of all.
#[derive(Clone, Debug, Default)]
pub struct Tallies {
    /// Nanoseconds from (intended) send to reply, in the measured window.
    pub latency: Recorder,
    /// Open loop: nanoseconds that messages were sent after the intended moment, from the window's start on.
    pub lag: Recorder,
    /// Replies in the window.
    pub measured: u64,
    /// Replies in all.
    pub replies: u64,
    pub pings: u64,
    pub errors: Tally,
}

impl Tallies {
    pub fn add(&mut self, other: &Tallies) {
        self.latency.add(&other.latency);
        self.lag.add(&other.lag);
        self.errors.merge(&other.errors);
        self.measured += other.measured;
        self.replies += other.replies;
        self.pings += other.pings;
    }
}
