//! Time: ticks, and the only caller of `Instant::now` in this crate.
//!
//! A [`Tick`] is 10 ms and a `u32`; it wraps after 497 days, so ticks are compared by their wrapping distance and a
//! deadline may lie at most half that span ahead. Everything but [`Clock`] takes time as an argument.

pub mod wheel;

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// The length of one tick in milliseconds.
pub const TICK_MILLIS: u64 = 10;
/// The length of one tick in microseconds.
pub const TICK_MICROS: u64 = TICK_MILLIS * 1_000;

/// A point in time, in units of 10 ms, that wraps. Compare with [`Tick::is_before`] and [`Tick::has_reached`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Tick(pub u32);

impl Tick {
    /// `self + ticks`, wrapping.
    #[must_use]
    pub const fn after(self, ticks: u32) -> Tick {
        Tick(self.0.wrapping_add(ticks))
    }

    /// `self - ticks`, wrapping.
    #[must_use]
    pub const fn back(self, ticks: u32) -> Tick {
        Tick(self.0.wrapping_sub(ticks))
    }

    /// True where `self` lies before `other`, by the shorter way round.
    #[must_use]
    pub const fn is_before(self, other: Tick) -> bool {
        (self.0.wrapping_sub(other.0) as i32) < 0
    }

    /// True where `self` is `deadline` or later.
    #[must_use]
    pub const fn has_reached(self, deadline: Tick) -> bool {
        !self.is_before(deadline)
    }

    /// Ticks from `earlier` to `self`; 0 where `earlier` is in fact later.
    #[must_use]
    pub const fn since(self, earlier: Tick) -> u32 {
        if self.is_before(earlier) { 0 } else { self.0.wrapping_sub(earlier.0) }
    }

    /// How far it lies behind `now`, or before it (negative), in ticks: what another clock can make a tick of its own of.
    #[must_use]
    pub const fn from_now(self, now: Tick) -> i32 {
        self.0.wrapping_sub(now.0) as i32
    }

    /// The inverse of [`Tick::from_now`], by another clock's `now`. No farther away than half of what ticks can tell apart.
    #[must_use]
    pub const fn at(now: Tick, ticks: i32) -> Tick {
        const FAR: i32 = i32::MAX / 2;
        let ticks = if ticks > FAR {
            FAR
        } else if ticks < -FAR {
            -FAR
        } else {
            ticks
        };
        Tick(now.0.wrapping_add_signed(ticks))
    }

    /// The earlier of the two.
    #[must_use]
    pub const fn min(self, other: Tick) -> Tick {
        if other.is_before(self) { other } else { self }
    }
}

/// A duration as ticks, rounded up, so that a deadline never comes early; at most half the span of a tick.
#[must_use]
pub fn ticks(duration: Duration) -> u32 {
    let ticks = duration.as_millis().div_ceil(u128::from(TICK_MILLIS));
    u32::try_from(ticks).unwrap_or(u32::MAX).min(u32::MAX / 2)
}

/// One reading of a clock: what the worker passes to everything in a turn.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Now {
    /// The tick that has begun.
    pub tick: Tick,
    /// Microseconds since the clock started. Never goes back.
    pub micros: u64,
    /// Milliseconds since 1970, as the wall clock has it: for telling people, and for what others have dated. It is set
    /// right while a server runs, and then jumps, back too: nothing waits by it.
    pub unix_millis: u64,
}

/// A monotonic clock that starts at a chosen tick.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    origin: Instant,
    first: Tick,
}

impl Clock {
    /// A clock whose first tick is `first`. All workers of a server share a copy of one clock.
    #[must_use]
    pub fn starting_at(first: Tick) -> Clock {
        Clock { origin: Instant::now(), first }
    }

    /// Reads the clock (about 20 ns), and the wall clock to its coarse 4 ms (about 5).
    #[must_use]
    pub fn now(&self) -> Now {
        let micros = u64::try_from(self.origin.elapsed().as_micros()).unwrap_or(u64::MAX);
        Now { tick: self.tick_at(micros), micros, unix_millis: unix_millis() }
    }

    /// How long from `now` until `tick` begins; zero where it has begun.
    #[must_use]
    pub fn until(&self, tick: Tick, now: Now) -> Duration {
        if now.tick.has_reached(tick) {
            return Duration::ZERO;
        }
        let into_tick = now.micros % TICK_MICROS;
        Duration::from_micros(u64::from(tick.since(now.tick)) * TICK_MICROS - into_tick)
    }

    #[expect(clippy::cast_possible_truncation, reason = "a tick wraps by design")]
    const fn tick_at(&self, micros: u64) -> Tick {
        self.first.after((micros / TICK_MICROS) as u32)
    }
}

/// The wall clock. A time before 1970 is 1970.
fn unix_millis() -> u64 {
    let wall = clock_gettime(ClockId::RealtimeCoarse);
    let seconds = u64::try_from(wall.tv_sec).unwrap_or(0);
    seconds * 1_000 + u64::try_from(wall.tv_nsec).unwrap_or(0) / 1_000_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_starts_at_its_tick_whatever_the_wall_clock_says() {
        let clock = Clock::starting_at(Tick(u32::MAX));
        let now = clock.now();
        assert!(now.micros < 60_000_000 && now.tick.since(Tick(u32::MAX)) < 6_000, "{now:?}");
        // 2020: the wall clock has another beginning.
        assert!(now.unix_millis > 1_577_836_800_000);
    }

    #[test]
    fn a_reading_tells_the_wall_clocks_time() {
        let unix = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_millis();
        let told = u128::from(Clock::starting_at(Tick(0)).now().unix_millis);
        assert!(told.abs_diff(unix) < 60_000, "{told} is not {unix}");
    }

    #[test]
    fn ticks_compare_across_the_wrap() {
        let before = Tick(u32::MAX - 1);
        let after = before.after(5);
        assert_eq!(after, Tick(3));
        assert!(before.is_before(after) && after.has_reached(before));
        assert_eq!(after.since(before), 5);
        assert_eq!(before.since(after), 0);
        assert_eq!(before.min(after), before);
        assert_eq!(after.back(5), before);
    }

    #[test]
    fn durations_round_up_to_ticks() {
        assert_eq!(ticks(Duration::ZERO), 0);
        assert_eq!(ticks(Duration::from_millis(1)), 1);
        assert_eq!(ticks(Duration::from_millis(10)), 1);
        assert_eq!(ticks(Duration::from_millis(11)), 2);
        assert_eq!(ticks(Duration::MAX), u32::MAX / 2);
    }

    #[test]
    fn until_ends_where_the_tick_begins() {
        let clock = Clock::starting_at(Tick(u32::MAX));
        let now = Now { tick: Tick(u32::MAX), micros: 4_000, unix_millis: 0 };
        assert_eq!(clock.until(Tick(0), now), Duration::from_millis(6));
        assert_eq!(clock.until(Tick(1), now), Duration::from_millis(16));
        assert_eq!(clock.until(Tick(u32::MAX), now), Duration::ZERO);
        assert_eq!(clock.until(Tick(u32::MAX - 3), now), Duration::ZERO);
    }
}
