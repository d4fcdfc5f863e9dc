//! The wall clock as tokens end by it. It follows the machine's, back at once, and ahead by a leap only after a while: a clock that
//! is set wrong for a moment, or right after a long sleep, must not send everybody away in one turn. No state but three numbers.

use crate::limits::{CLOCK_DRIFT_MILLIS, CLOCK_LEAP_MILLIS, CLOCK_LEAP_WAIT_MILLIS};
use crate::time::Now;

/// The wall clock as tokens end by it.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Wall {
    /// Milliseconds since 1970 at the moment at which `Now::micros` was 0.
    origin_millis: u64,
    /// The least that this was since what goes by the clock was timed.
    timed_millis: u64,
    /// Since when the machine's clock is ahead of this one, in `Now::micros`.
    ahead_since: Option<u64>,
}

impl Wall {
    /// A clock that shows what the machine's does.
    pub(crate) fn at(now: Now) -> Wall {
        Wall { origin_millis: origin(now), timed_millis: origin(now), ahead_since: None }
    }

    /// Looks at the machine's clock. Says whether this one has come ahead by so much that what goes by it has to be timed anew.
    pub(crate) fn follow(&mut self, now: Now) -> bool {
        let origin = origin(now);
        if origin > self.origin_millis.saturating_add(CLOCK_LEAP_MILLIS) {
            let since = *self.ahead_since.get_or_insert(now.micros);
            if now.micros.saturating_sub(since) < CLOCK_LEAP_WAIT_MILLIS * 1_000 {
                return false;
            }
        }
        let timed_millis = self.timed_millis.min(origin);
        let is_ahead = origin >= timed_millis + CLOCK_DRIFT_MILLIS;
        *self = Wall::at(now);
        if !is_ahead {
            self.timed_millis = timed_millis;
        }
        is_ahead
    }

    /// `now`, with the time that this clock shows.
    pub(crate) fn shown(&self, now: Now) -> Now {
        Now { unix_millis: self.origin_millis.saturating_add(now.micros / 1_000), ..now }
    }
}

fn origin(now: Now) -> u64 {
    now.unix_millis.saturating_sub(now.micros / 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: u64 = 1_700_000_000_000;

    /// Seconds after the start, the machine's clock being ahead by so many.
    fn now(seconds: u64, ahead_seconds: i64) -> Now {
        let unix_millis = (START + seconds * 1_000).saturating_add_signed(ahead_seconds * 1_000);
        Now { micros: seconds * 1_000_000, unix_millis, ..Now::default() }
    }

    #[test]
    fn small_steps_and_steps_back_are_followed_at_once() {
        let mut wall = Wall::at(now(0, 0));
        for (seconds, ahead, is_ahead) in
            [(1, 60, true), (2, 0, false), (3, -7_200, false), (4, -7_140, true), (5, -9_000, false)]
        {
            assert_eq!(wall.follow(now(seconds, ahead)), is_ahead, "after {seconds} s");
            assert_eq!(wall.shown(now(seconds, ahead)), now(seconds, ahead));
        }
    }

    #[test]
    fn a_leap_ahead_counts_after_a_minute() {
        let mut wall = Wall::at(now(0, 0));
        for seconds in [10, 40, 69] {
            assert!(!wall.follow(now(seconds, 3_600)));
            assert_eq!(wall.shown(now(seconds, 3_600)).unix_millis, now(seconds, 0).unix_millis);
        }
        assert!(wall.follow(now(70, 3_600)), "what was timed by it has to be timed anew");
        assert!(!wall.follow(now(71, 3_600)));
        assert_eq!(wall.shown(now(71, 3_600)), now(71, 3_600));
    }

    #[test]
    fn a_clock_that_goes_fast_is_timed_by_anew_now_and_then() {
        let mut wall = Wall::at(now(0, 0));
        let fast =
            |seconds: u64| Now { unix_millis: now(seconds, 0).unix_millis + seconds, ..now(seconds, 0) };
        let anew: Vec<u64> = (1..=3_000).filter(|&seconds| wall.follow(fast(seconds))).collect();
        assert_eq!(anew, [1_000, 2_000, 3_000]);
    }

    #[test]
    fn a_leap_that_is_taken_back_never_was() {
        let mut wall = Wall::at(now(0, 0));
        assert!(!wall.follow(now(10, 3_600)));
        assert!(!wall.follow(now(69, 0)));
        assert!(!wall.follow(now(100, 3_600)), "the minute begins anew");
        assert_eq!(wall.shown(now(100, 3_600)).unix_millis, now(100, 0).unix_millis);
    }
}
