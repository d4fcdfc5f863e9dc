//! When a set of keys is fetched. Pure: milliseconds of a clock that never goes back are an argument.
//!
//! A set is fetched again when it is no longer fresh, when a fetch has failed, when somebody orders it, and when a token
//! names a key that is not in it. A provider may publish a key a moment after it has signed with it: a key that a fetch
//! did not bring is looked for by the next ones, a little later each, before it is known to be absent.
//!
//! Tokens are written by strangers: what they name is looked for at once and these few times more, and then not before
//! [`FetchPace::asked`] is over. With the usual pace that is four fetches in 30 s, whatever tokens name.

use std::ops::RangeInclusive;

use crate::identity::fetched::KeyName;
use crate::limits::{
    JWKS_ANSWER_MILLIS, JWKS_ASKED_MAX, JWKS_ASKED_MILLIS, JWKS_FAILED_MILLIS, JWKS_FRESH_MILLIS,
    JWKS_MISSED_MILLIS, JWKS_USUAL_MILLIS,
};

/// How often, in milliseconds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FetchPace {
    /// From one good set to the next fetch, where the sender says for how long it is fresh.
    pub fresh: RangeInclusive<u64>,
    /// The same, where the sender says nothing of it.
    pub usual: u64,
    /// From the first of several fetches for keys that tokens named to the first of the next; a key that was looked for is
    /// absent for as long.
    pub asked: u64,
    /// From one of these fetches to the next, doubled each time: past the end there is none. A key that a fetch did not bring
    /// so long after it was named first is absent.
    pub missed: RangeInclusive<u64>,
    /// From a fetch that has failed to the next; doubled each time.
    pub failed: RangeInclusive<u64>,
    /// From the begin of a fetch to its end, at most.
    pub answer: u64,
}

impl Default for FetchPace {
    fn default() -> FetchPace {
        FetchPace {
            fresh: JWKS_FRESH_MILLIS,
            usual: JWKS_USUAL_MILLIS,
            asked: JWKS_ASKED_MILLIS,
            missed: JWKS_MISSED_MILLIS,
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
    pace: FetchPace,
    due: u64,
    /// Fetches that have failed since the last good one.
    failures: u32,
    /// When the first began of the fetches that look for keys that tokens named.
    asked_at: Option<u64>,
    /// How many of them were good.
    misses: u32,
    /// When the next of them may begin.
    look_at: u64,
    /// Keys that tokens named, each with when that was first, and that the next fetch looks for: at most [`JWKS_ASKED_MAX`].
    asked: Vec<(KeyName, u64)>,
    /// Keys that the fetch under way looks for.
    looked_for: Vec<(KeyName, u64)>,
    /// When the fetch under way began.
    begun: u64,
    /// Keys of the set.
    known: Vec<KeyName>,
    /// Keys that were looked for and not found, until `absent_until`: at most [`JWKS_ASKED_MAX`].
    absent: Vec<KeyName>,
    absent_until: u64,
}

impl Schedule {
    /// The first fetch is due at once.
    #[must_use]
    pub fn new(pace: FetchPace) -> Schedule {
        Schedule {
            pace,
            due: 0,
            failures: 0,
            asked_at: None,
            misses: 0,
            look_at: 0,
            asked: Vec::new(),
            looked_for: Vec::new(),
            begun: 0,
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
        self.look_for(name, now);
        self.hasten(now);
    }

    /// A fetch begins: it looks for what was asked for until now.
    pub fn begin(&mut self, now: u64) {
        self.begun = now;
        let is_first = self.asked_at.is_none_or(|at| at + self.pace.asked <= now);
        if !self.asked.is_empty() && is_first {
            (self.asked_at, self.misses) = (Some(now), 0);
        }
        self.looked_for = std::mem::take(&mut self.asked);
    }

    /// It has brought keys of these names, and is fresh for so long where the sender says so.
    pub fn succeeded(&mut self, now: u64, known: Vec<KeyName>, fresh_seconds: Option<u64>) {
        self.failures = 0;
        self.known = known;
        if !self.looked_for.is_empty() {
            self.look_at = self.next_look(now);
        }
        for (name, since) in std::mem::take(&mut self.looked_for) {
            if self.begun < since + self.pace.missed.end() {
                self.look_for(name, since);
            } else {
                self.absent.push(name);
                self.absent_until = now + self.pace.asked;
            }
        }
        let is_known = |name: &KeyName| self.known.contains(name);
        self.asked.retain(|(name, _)| !is_known(name));
        self.absent.retain(|name| !is_known(name));
        let too_many = self.absent.len().saturating_sub(JWKS_ASKED_MAX);
        self.absent.drain(..too_many);
        let (least, most) = (*self.pace.fresh.start(), *self.pace.fresh.end());
        let fresh = fresh_seconds.map_or(self.pace.usual, |seconds| seconds.saturating_mul(1_000));
        self.due = now + fresh.clamp(least, most);
        if !self.asked.is_empty() {
            self.hasten(now);
        }
    }

    /// It has failed. The next fetch looks for the same keys.
    pub fn failed(&mut self, now: u64) {
        let (least, most) = (*self.pace.failed.start(), *self.pace.failed.end());
        let wait = least.saturating_mul(1 << self.failures.min(20)).min(most);
        self.failures = self.failures.saturating_add(1);
        self.due = now + wait;
        for (name, since) in std::mem::take(&mut self.looked_for) {
            self.look_at = self.look_at.max(self.due);
            self.look_for(name, since);
        }
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

    /// The next fetch looks for a key that was named first at `since`.
    fn look_for(&mut self, name: KeyName, since: u64) {
        if self.asked.len() < JWKS_ASKED_MAX && !self.asked.iter().any(|(asked, _)| *asked == name) {
            self.asked.push((name, since));
        }
    }

    /// When the next fetch may begin for what tokens name, behind one that was good.
    fn next_look(&mut self, now: u64) -> u64 {
        let wait = self.pace.missed.start().saturating_mul(1 << self.misses.min(20));
        self.misses = self.misses.saturating_add(1);
        if wait <= *self.pace.missed.end() {
            now + wait
        } else {
            self.asked_at.map_or(now, |at| now.max(at + self.pace.asked))
        }
    }

    /// A fetch for what was asked for, as soon as the last such fetches allow.
    fn hasten(&mut self, now: u64) {
        self.due = self.due.min(self.look_at.max(now));
    }
}
