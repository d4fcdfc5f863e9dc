//! When each doomed user's first unanswered Ping came, and when a watcher was told that it is gone: what lateness is
//! made of. One slot of two moments a user, written by whichever thread sees it, read at the end.
//!
//! Lateness is from (arrival of the first Ping that is left unanswered + the server's time-out) to "offline" at a
//! watcher. The server's own clock starts when it writes the Ping, so a death may be told a little before that: such
//! ones count as zero, and how early they came is told apart.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use crate::measure::Recorder;
use crate::result::Series;

/// No such moment; a run's clock starts at zero and nothing of interest happens then.
const NEVER: u64 = 0;

/// Both moments of each user.
#[derive(Debug, Default)]
pub struct DeathLog {
    users: Box<[Slot]>,
    /// Users that were said to be gone.
    gone: AtomicU64,
}

#[derive(Debug, Default)]
struct Slot {
    unanswered: AtomicU64,
    gone: AtomicU64,
}

/// What the death_log comes to.
#[derive(Debug, Default)]
pub struct Verdict {
    /// Nanoseconds of each detection after its deadline.
    pub lateness: Recorder,
    /// Doomed users of whom a watcher was told.
    pub detected: u64,
    /// Doomed users of whom none was.
    pub undetected: u64,
    /// Doomed users to whom no Ping came: whatever was told of them was no detection.
    pub never_pinged: u64,
    /// Others that were said to be gone.
    pub false_deaths: u64,
    /// Detections before the deadline as the client has it, and the earliest's nanoseconds.
    pub early: u64,
    pub earliest: u64,
    /// Between the first and the last detection.
    pub span: u64,
}

impl DeathLog {
    pub fn new(users: usize) -> DeathLog {
        DeathLog { users: (0..users).map(|_| Slot::default()).collect(), gone: AtomicU64::new(0) }
    }

    /// A Ping came to a silent user; only the first counts.
    pub fn unanswered(&self, user: usize, now: u64) {
        let _ = self.users[user].unanswered.compare_exchange(NEVER, now, Relaxed, Relaxed);
    }

    /// A watcher was told that a user is gone. False where it had been told so before.
    pub fn gone(&self, user: usize, now: u64) -> bool {
        let first = self.users[user].gone.compare_exchange(NEVER, now, Relaxed, Relaxed).is_ok();
        self.gone.fetch_add(u64::from(first), Relaxed);
        first
    }

    /// Users that were said to be gone so far.
    pub fn gone_so_far(&self) -> u64 {
        self.gone.load(Relaxed)
    }

    /// Whether this name's number is one of ours.
    pub fn knows(&self, user: usize) -> bool {
        user < self.users.len()
    }

    pub fn verdict(&self, timeout: u64, is_doomed: impl Fn(usize) -> bool) -> Verdict {
        let mut verdict = Verdict::default();
        let (mut first, mut last) = (u64::MAX, 0);
        for (user, slot) in self.users.iter().enumerate() {
            let (unanswered, gone) = (slot.unanswered.load(Relaxed), slot.gone.load(Relaxed));
            match (is_doomed(user), unanswered, gone) {
                (false, _, NEVER) => {}
                (false, ..) => verdict.false_deaths += 1,
                (true, _, NEVER) => verdict.undetected += 1,
                (true, NEVER, _) => verdict.never_pinged += 1,
                (true, unanswered, gone) => {
                    let deadline = unanswered + timeout;
                    verdict.detected += 1;
                    verdict.lateness.record(gone.saturating_sub(deadline));
                    verdict.early += u64::from(gone < deadline);
                    verdict.earliest = verdict.earliest.max(deadline.saturating_sub(gone));
                    (first, last) = (first.min(gone), last.max(gone));
                }
            }
        }
        verdict.span = last.saturating_sub(first);
        verdict
    }

    /// Detections in each second of the run, from the start to the last of them.
    pub fn series(&self) -> Series {
        let seconds = |slot: &Slot| Some(slot.gone.load(Relaxed)).filter(|at| *at != NEVER);
        let mut values: Vec<f64> = Vec::new();
        for at in self.users.iter().filter_map(seconds) {
            let second = (at / 1_000_000_000) as usize;
            values.resize(values.len().max(second + 2), 0.0);
            values[second] += 1.0;
        }
        let seconds = (0..values.len()).map(|second| second as f64).collect();
        Series { name: "deaths".to_owned(), unit: "1/s".to_owned(), seconds, values }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lateness_counts_from_the_first_unanswered_ping_plus_the_timeout() {
        let death_log = DeathLog::new(6);
        let doomed = |user: usize| user < 5;
        death_log.unanswered(0, 1_000);
        death_log.unanswered(0, 4_000);
        assert!(death_log.gone(0, 1_530) && !death_log.gone(0, 9_000));
        death_log.unanswered(1, 1_000);
        death_log.gone(1, 1_490);
        death_log.unanswered(2, 1_000);
        death_log.gone(3, 2_000);
        assert_eq!(death_log.gone_so_far(), 3);
        let verdict = death_log.verdict(500, doomed);
        assert_eq!((verdict.detected, verdict.undetected, verdict.never_pinged), (2, 2, 1));
        assert_eq!((verdict.early, verdict.earliest, verdict.span), (1, 10, 40));
        assert_eq!((verdict.lateness.count(), verdict.lateness.max_micros()), (2, 0.03));
        assert_eq!(verdict.false_deaths, 0);
        death_log.gone(5, 3_000);
        assert_eq!(death_log.verdict(500, doomed).false_deaths, 1);
    }

    #[test]
    fn the_series_holds_every_death_in_its_second() {
        let death_log = DeathLog::new(4);
        for (user, at) in [(0, 1_200_000_000), (1, 1_900_000_000), (3, 4_000_000_000)] {
            death_log.gone(user, at);
        }
        assert_eq!(death_log.series().values, [0.0, 2.0, 0.0, 0.0, 1.0, 0.0]);
    }
}
