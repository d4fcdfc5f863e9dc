//! A hashed timing wheel (Varghese and Lauck, "Hashed and Hierarchical Timing Wheels", SOSP 1987, scheme 6, without
//! cancelling): which keys are due at which tick. It knows ticks and keys, nothing else.
//!
//! | operation | cost | measured |
//! |---|---|---|
//! | [`Wheel::schedule`] | O(1): a push onto a slot's vector, a bit in the occupancy map | 6 ns |
//! | fire and file again | O(1), as [`Wheel::pop_due`] and [`Wheel::schedule`] | 8 ns |
//! | cancel | none: the caller drops an entry that it no longer wants when it fires | 0 |
//! | [`Wheel::next`] | O(1): it is noted, and looked for in 65 words at most when a slot fires | 1 ns |
//! | [`Wheel::pop_due`] | O(1) an entry, and nothing for empty slots | 4.4 ns; 5 ns where none is due |
//!
//! An entry is 8 bytes, and as much again at most for what a vector holds in reserve: 8.4 bytes with a million of them
//! spread evenly, beside 96 KiB for the slots. The wheel spans [`SPAN_TICKS`] ticks; what lies beyond is filed at the
//! span's end, and the caller files it again when it fires there. The figures are of `benches/wheel.rs`, a million
//! entries in the wheel, 2 virtual cores of a Xeon.

use std::mem;

use crate::time::Tick;

/// Slots, one a tick: 40.96 s.
const SLOTS: usize = 4096;
const WORDS: usize = SLOTS / 64;
/// How far ahead a deadline can be filed.
pub const SPAN_TICKS: u32 = SLOTS as u32 - 1;
/// The capacity up to which a vector is used again when its slot has fired; a bigger one is given back.
const KEPT_CAPACITY: usize = 64;
/// Vectors that wait to be used again.
const SPARE_MAX: usize = 32;

/// Deadlines by tick. A key is any 64 bits.
#[derive(Debug)]
pub struct Wheel {
    slots: Box<[Vec<u64>]>,
    /// Bit `i` is set where slot `i` holds an entry.
    occupied: [u64; WORDS],
    /// The first tick that has not been taken out. Every filed entry lies in `cursor ..= cursor + SPAN_TICKS`.
    cursor: Tick,
    /// The tick of the first occupied slot: it is asked for in every turn, and changes with few.
    nearest: Option<Tick>,
    /// The entries being fired, those of tick `cursor - 1`.
    firing: Vec<u64>,
    /// `len` = entries in `slots`, without `firing`.
    len: usize,
    /// Vectors of slots that have fired, for slots that get their first entry. A slot without entries has none: so what a
    /// great many deadlines took is given back as they fire.
    spare: Vec<Vec<u64>>,
    /// Entries that all vectors have room for.
    capacity: usize,
}

impl Wheel {
    /// An empty wheel that begins at `now`.
    #[must_use]
    pub fn new(now: Tick) -> Wheel {
        Wheel {
            slots: (0..SLOTS).map(|_| Vec::new()).collect(),
            occupied: [0; WORDS],
            cursor: now,
            nearest: None,
            firing: Vec::new(),
            len: 0,
            spare: Vec::new(),
            capacity: 0,
        }
    }

    /// Files `key` under `at`, or under the nearest tick that the wheel can hold: the next one to fire where `at` has
    /// passed, the span's end where it lies beyond. Returns the tick it stands under.
    pub fn schedule(&mut self, at: Tick, key: u64) -> Tick {
        let at = if at.is_before(self.cursor) {
            self.cursor
        } else if self.cursor.after(SPAN_TICKS).is_before(at) {
            self.cursor.after(SPAN_TICKS)
        } else {
            at
        };
        let slot = slot_of(at);
        let entries = &mut self.slots[slot];
        let before = entries.capacity();
        if before == 0
            && let Some(spare) = self.spare.pop()
        {
            *entries = spare;
            entries.push(key);
            self.capacity += entries.capacity();
        } else {
            entries.push(key);
            self.capacity += entries.capacity() - before;
        }
        self.occupied[slot / 64] |= 1 << (slot % 64);
        self.nearest = Some(self.nearest.map_or(at, |nearest| nearest.min(at)));
        self.len += 1;
        at
    }

    /// The tick of the next entry to fire; it may have passed.
    #[must_use]
    #[inline]
    pub fn next(&self) -> Option<Tick> {
        if self.firing.is_empty() { self.nearest } else { Some(self.cursor.back(1)) }
    }

    /// Takes out the next entry whose tick `now` has reached: its tick and key. Entries come in the order of their
    /// ticks; those of one tick in any.
    #[inline]
    pub fn pop_due(&mut self, now: Tick) -> Option<(Tick, u64)> {
        // Most turns find nothing that is due, and many come in one tick.
        if self.firing.is_empty() && now.is_before(self.cursor) {
            return None;
        }
        self.pop_reached(now)
    }

    fn pop_reached(&mut self, now: Tick) -> Option<(Tick, u64)> {
        loop {
            if let Some(key) = self.firing.pop() {
                return Some((self.cursor.back(1), key));
            }
            self.advance(now)?;
        }
    }

    /// Entries held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len + self.firing.len()
    }

    /// Whether no entry is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes held.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let spare: usize = self.spare.iter().map(Vec::capacity).sum();
        let slots = (SLOTS + self.spare.capacity()) * size_of::<Vec<u64>>();
        slots + (self.capacity + spare) * size_of::<u64>()
    }

    /// Gives back the vectors that wait to be used again, but for as many as there are entries: small and left over in each
    /// of many wheels, they would keep whole pages from being given back.
    pub fn shrink(&mut self) {
        let kept = self.len();
        self.spare.truncate(kept);
        self.spare.shrink_to(kept);
        if kept == 0 {
            self.capacity -= self.firing.capacity();
            self.firing = Vec::new();
        }
    }

    /// Moves the cursor behind the next occupied slot and its entries to `firing`; `None` where none is due.
    fn advance(&mut self, now: Tick) -> Option<()> {
        if now.is_before(self.cursor) {
            return None;
        }
        let Some(nearest) = self.nearest.filter(|nearest| now.has_reached(*nearest)) else {
            self.cursor = now.after(1);
            return None;
        };
        self.cursor = nearest.after(1);
        let slot = slot_of(self.cursor.back(1));
        let fired = mem::replace(&mut self.firing, mem::take(&mut self.slots[slot]));
        self.capacity -= fired.capacity();
        if (1..=KEPT_CAPACITY).contains(&fired.capacity()) && self.spare.len() < SPARE_MAX {
            self.spare.push(fired);
        }
        self.occupied[slot / 64] &= !(1 << (slot % 64));
        self.len -= self.firing.len();
        self.nearest = self.distance_to_occupied().map(|distance| self.cursor.after(distance));
        Some(())
    }

    /// Ticks from the cursor to the first occupied slot, going round once.
    fn distance_to_occupied(&self) -> Option<u32> {
        // Often there is nothing to be found: a server of a few clients has no presence timer for minutes.
        if self.len == 0 {
            return None;
        }
        let start = slot_of(self.cursor);
        let (first, bit) = (start / 64, start % 64);
        // The first word is looked at twice: from the cursor's bit up, and at the end the bits below it.
        let masked = self.occupied[first] & (u64::MAX << bit);
        let words = (1..=WORDS).map(|i| (first + i) % WORDS).map(|i| (i, self.occupied[i]));
        let (word, bits) = std::iter::once((first, masked)).chain(words).find(|(_, bits)| *bits != 0)?;
        let slot = word * 64 + bits.trailing_zeros() as usize;
        Some(((slot + SLOTS - start) % SLOTS) as u32)
    }
}

const fn slot_of(tick: Tick) -> usize {
    tick.0 as usize % SLOTS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fired(wheel: &mut Wheel, now: Tick) -> Vec<(Tick, u64)> {
        std::iter::from_fn(|| wheel.pop_due(now)).collect()
    }

    #[test]
    fn entries_fire_at_their_tick_and_not_before() {
        let start = Tick(u32::MAX - 5);
        let mut wheel = Wheel::new(start);
        for after in [3, 10, 4000] {
            assert_eq!(wheel.schedule(start.after(after), u64::from(after)), start.after(after));
        }
        assert_eq!(wheel.next(), Some(start.after(3)));
        assert_eq!(fired(&mut wheel, start.after(2)), []);
        assert_eq!(fired(&mut wheel, start.after(3)), [(start.after(3), 3)]);
        assert_eq!(wheel.next(), Some(start.after(10)), "across the wrap of the tick");
        assert_eq!(fired(&mut wheel, start.after(5000)), [(start.after(10), 10), (start.after(4000), 4000)]);
        assert!(wheel.is_empty() && wheel.next().is_none());
    }

    #[test]
    fn a_passed_tick_fires_next_and_one_beyond_the_span_at_its_end() {
        let start = Tick(100);
        let mut wheel = Wheel::new(start);
        assert_eq!(fired(&mut wheel, start), []);
        assert_eq!(wheel.schedule(Tick(7), 1), start.after(1));
        assert_eq!(wheel.schedule(start.after(100_000), 2), start.after(1 + SPAN_TICKS));
        assert_eq!(fired(&mut wheel, start.after(1 + SPAN_TICKS)).len(), 2);
    }

    #[test]
    fn what_is_scheduled_while_firing_waits_for_the_next_tick() {
        let mut wheel = Wheel::new(Tick(0));
        wheel.schedule(Tick(1), 1);
        wheel.schedule(Tick(1), 2);
        assert!(wheel.pop_due(Tick(1)).is_some());
        assert_eq!(wheel.next(), Some(Tick(1)), "one of the tick is left");
        assert_eq!(wheel.schedule(Tick(1), 3), Tick(2));
        assert!(wheel.pop_due(Tick(1)).is_some());
        assert_eq!(wheel.pop_due(Tick(1)), None);
        assert_eq!(wheel.pop_due(Tick(2)), Some((Tick(2), 3)));
    }

    #[test]
    fn a_long_stall_loses_nothing() {
        let mut wheel = Wheel::new(Tick(0));
        for tick in 0..10_000_u32 {
            wheel.schedule(Tick(tick), u64::from(tick));
        }
        assert_eq!(wheel.len(), 10_000);
        let mut keys: Vec<u64> = fired(&mut wheel, Tick(1 << 20)).into_iter().map(|(_, key)| key).collect();
        keys.sort_unstable();
        assert!(keys.into_iter().eq(0..10_000));
        assert_eq!(wheel.schedule(Tick(5), 1), Tick((1 << 20) + 1));
    }

    #[test]
    fn a_burst_gives_its_memory_back() {
        let mut wheel = Wheel::new(Tick(0));
        let empty = wheel.bytes();
        for key in 0..100_000 {
            wheel.schedule(Tick(1), key);
        }
        assert!(wheel.bytes() > empty + 100_000 * 8);
        assert_eq!(fired(&mut wheel, Tick(1)).len(), 100_000);
        wheel.schedule(Tick(2), 1);
        wheel.pop_due(Tick(2));
        assert!(wheel.bytes() < empty + 4096);
        wheel.shrink();
        assert_eq!(wheel.bytes(), empty);
    }
}
