//! When a set of keys is fetched. Pure: milliseconds of a clock that never goes back are an argument.
//!
//! A set is fetched again when it is no longer fresh, when a fetch has failed, when somebody orders it, and when a token
//! names a key that is not in it. Tokens are written by strangers: what they name is asked for at once, but not more often
//! than each [`Pace::asked`].

use std::ops::RangeInclusive;

use crate::identity::fetched::KeyName;
use crate::limits::{
    JWKS_ANSWER_MILLIS, JWKS_ASKED_MAX, JWKS_ASKED_MILLIS, JWKS_FAILED_MILLIS, JWKS_FRESH_MILLIS,
    JWKS_USUAL_MILLIS,
};

/// How often, in milliseconds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pace {
    /// From one good set to the next fetch, where the sender says for how long it is fresh.
    pub fresh: RangeInclusive<u64>,
    /// The same, where the sender says nothing of it.
    pub usual: u64,
    /// From a fetch for a key that a token named to the next such fetch; a key that was looked for is absent for as long.
    pub asked: u64,
    /// From a fetch that has failed to the next; doubled each time.
    pub failed: RangeInclusive<u64>,
    /// From the begin of a fetch to its end, at most.
    pub answer: u64,
}

impl Default for Pace {
    fn default() -> Pace {
        Pace {
            fresh: JWKS_FRESH_MILLIS,
            usual: JWKS_USUAL_MILLIS,
            asked: JWKS_ASKED_MILLIS,
            failed: JWKS_FAILED_MILLIS,
            answer: JWKS_ANSWER_MILLIS,
        }
    }
}

/// When the next fetch is due, and what is looked for.
///
/// A fetch is [`begin`](Schedule::begin), then [`succeeded`](Schedule::succeeded) or [`failed`](Schedule::failed).
#[derive(Debug)]
pub struct Schedule {
    pace: Pace,
    due: u64,
    /// Fetches that have failed since the last good one.
    failures: u32,
    /// When the last fetch began that looked for a key that a token named.
    asked_at: Option<u64>,
    /// Keys that tokens named, and that the next fetch looks for: at most [`JWKS_ASKED_MAX`].
    asked: Vec<KeyName>,
    /// Keys that the fetch under way looks for.
    looked_for: Vec<KeyName>,
    /// Keys of the set.
    known: Vec<KeyName>,
    /// Keys that were looked for and not found, until `absent_until`: at most [`JWKS_ASKED_MAX`].
    absent: Vec<KeyName>,
    absent_until: u64,
}

impl Schedule {
    /// The first fetch is due at once.
    #[must_use]
    pub fn new(pace: Pace) -> Schedule {
        Schedule {
            pace,
            due: 0,
            failures: 0,
            asked_at: None,
            asked: Vec::new(),
            looked_for: Vec::new(),
            known: Vec::new(),
            absent: Vec::new(),
            absent_until: 0,
        }
    }

    /// Whether a fetch is due.
    #[must_use]
    pub fn is_due(&self, now: u64) -> bool {
        self.due <= now
    }

    /// When there is something to do next, if nobody asks before: later than `now` unless a fetch is due or
    /// [`forget`](Schedule::forget) was not called.
    #[must_use]
    pub fn next(&self) -> u64 {
        if self.absent.is_empty() { self.due } else { self.due.min(self.absent_until) }
    }

    /// Somebody orders a fetch.
    pub fn again(&mut self, now: u64) {
        self.due = self.due.min(now);
    }

    /// A token names a key that it was not verified with.
    pub fn ask(&mut self, now: u64, name: KeyName) {
        if self.known.contains(&name) || self.absent.contains(&name) {
            return;
        }
        if !self.asked.contains(&name) && self.asked.len() < JWKS_ASKED_MAX {
            self.asked.push(name);
        }
        self.hasten(now);
    }

    /// A fetch begins: it looks for what was asked for until now.
    pub fn begin(&mut self, now: u64) {
        if !self.asked.is_empty() {
            self.asked_at = Some(now);
        }
        self.looked_for = std::mem::take(&mut self.asked);
    }

    /// It has brought keys of these names, and is fresh for so long where the sender says so.
    pub fn succeeded(&mut self, now: u64, known: Vec<KeyName>, fresh_seconds: Option<u64>) {
        self.failures = 0;
        self.known = known;
        self.absent.append(&mut self.looked_for);
        self.absent.retain(|name| !self.known.contains(name));
        let too_many = self.absent.len().saturating_sub(JWKS_ASKED_MAX);
        self.absent.drain(..too_many);
        self.absent_until = now + self.pace.asked;
        let (least, most) = (*self.pace.fresh.start(), *self.pace.fresh.end());
        let fresh = fresh_seconds.map_or(self.pace.usual, |seconds| seconds.saturating_mul(1_000));
        self.due = now + fresh.clamp(least, most);
    }

    /// It has failed. What it looked for is looked for by the next.
    pub fn failed(&mut self, now: u64) {
        let (least, most) = (*self.pace.failed.start(), *self.pace.failed.end());
        let wait = least.saturating_mul(1 << self.failures.min(20)).min(most);
        self.failures = self.failures.saturating_add(1);
        self.due = now + wait;
        self.asked.append(&mut self.looked_for);
        self.asked.truncate(JWKS_ASKED_MAX);
    }

    /// Keys are no longer absent for having been so once. Says whether any was.
    pub fn forget(&mut self, now: u64) -> bool {
        let is_over = !self.absent.is_empty() && self.absent_until <= now;
        if is_over {
            self.absent.clear();
        }
        is_over
    }

    /// Keys that were looked for and not found.
    #[must_use]
    pub fn absent(&self) -> &[KeyName] {
        &self.absent
    }

    /// A fetch for what was asked for, as soon as the last such fetch allows.
    fn hasten(&mut self, now: u64) {
        let allowed = self.asked_at.map_or(now, |at| now.max(at + self.pace.asked));
        self.due = self.due.min(allowed);
    }
}
