//! The burst of a new connection: not a whole one each time, or a client that reconnects every second has one every second.
//!
//! Each user, and each address whose connections are nobody's, has a reserve of twice a connection's burst, which fills at the
//! rate at which one connection may send. A new connection takes half of what is left of it, and gives back what it has left
//! when it ends: the first of a user has a whole burst, two that come together have enough, and one that comes again has
//! no more than it would have had. Addresses that are not counted, loopback and trusted proxies, share one large reserve.
//!
//! A fixed table in sets of eight, shared by all workers, that needs no lock: a reserve is two atomics, touched when a connection
//! comes and when it goes. A reserve that is not in the table is full. If all eight of a set are taken, the fullest makes way,
//! which forgets the least. A stranger who doesn't know the table's secret can't choose a set.

use std::hash::{BuildHasher, RandomState};
use std::num::NonZeroU64;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::AcqRel, Ordering::Acquire, Ordering::Release};

use crate::limits::{RESERVE_SETS, RESERVE_SHARE_MIN, RESERVE_SHARED_TIMES};
use crate::presence::Burst;
use crate::time::Tick;

/// Reserves of a set.
const SET: usize = 8;

/// The owner of a reserve.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReserveId(NonZeroU64);

impl ReserveId {
    /// Of all whose addresses are not counted.
    const SHARED: ReserveId = ReserveId(NonZeroU64::MIN);

    fn of(hash: u64) -> ReserveId {
        ReserveId(NonZeroU64::new(hash).unwrap_or(NonZeroU64::MAX))
    }
}

/// The rest of a reserve, and when that was so.
#[derive(Clone, Copy, Debug)]
struct ReserveState {
    left: u32,
    at: Tick,
}

impl ReserveState {
    #[expect(clippy::cast_possible_truncation, reason = "the halves of a word")]
    const fn of_bits(bits: u64) -> ReserveState {
        ReserveState { left: (bits >> 32) as u32, at: Tick(bits as u32) }
    }

    const fn to_bits(self) -> u64 {
        (self.left as u64) << 32 | self.at.0 as u64
    }

    /// The rest at another time, where so much is earned in a tick.
    fn left(self, now: Tick, per_tick: u32, most: u32) -> u32 {
        self.left.saturating_add(now.since(self.at).saturating_mul(per_tick)).min(most)
    }
}

/// A place of the table.
#[derive(Debug, Default)]
struct Reserve {
    /// The owner; 0: nobody.
    key: AtomicU64,
    state: AtomicU64,
}

/// The reserves of all users and addresses. The table takes memory when the first connection comes.
#[derive(Debug, Default)]
pub struct Reserves {
    reserves: OnceLock<Box<[Reserve]>>,
    hasher: RandomState,
}

impl Reserves {
    /// The reserve that a connection of this user takes from, or one of nobody at this address; `None`: it isn't
    /// counted.
    #[must_use]
    pub fn key(&self, user: Option<&str>, address: Option<u64>) -> ReserveId {
        match (user, address) {
            (Some(user), _) => ReserveId::of(self.hasher.hash_one(user)),
            (None, Some(address)) => ReserveId::of(self.hasher.hash_one(address)),
            (None, None) => ReserveId::SHARED,
        }
    }

    /// A connection begins: returns what it may send at once.
    #[must_use]
    pub fn take(&self, key: ReserveId, now: Tick, burst: Burst) -> u32 {
        let share = |left: u32| (left / 2).min(burst.most).max(burst.most / RESERVE_SHARE_MIN);
        share(self.update(key, now, burst, |left| left.saturating_sub(share(left))))
    }

    /// A connection ends, and may still send this much at once.
    pub fn deposit(&self, key: ReserveId, now: Tick, burst: Burst, unused: u32) {
        self.update(key, now, burst, |left| left.saturating_add(unused));
    }

    /// Changes what is left of a reserve; returns what was left before.
    fn update(&self, key: ReserveId, now: Tick, burst: Burst, change: impl Fn(u32) -> u32) -> u32 {
        let times = if key == ReserveId::SHARED { RESERVE_SHARED_TIMES } else { 1 };
        let (most, per_tick) = (burst.most.saturating_mul(2 * times), burst.per_tick.saturating_mul(times));
        let left = |bits: u64| ReserveState::of_bits(bits).left(now, per_tick, most);
        let next = |bits| Some(ReserveState { left: change(left(bits)).min(most), at: now }.to_bits());
        let set = self.set(key);
        let reserve = set.iter().find(|reserve| reserve.key.load(Acquire) == key.0.get());
        let reserve = reserve.unwrap_or_else(|| {
            let fullness = |reserve: &&Reserve| match reserve.key.load(Acquire) {
                0 => u32::MAX,
                _ => left(reserve.state.load(Acquire)),
            };
            let fullest = set.iter().max_by_key(fullness).unwrap_or(&set[0]);
            // Another worker may choose the same place in the same instant: then one of the two is full again.
            fullest.state.store(ReserveState { left: most, at: now }.to_bits(), Release);
            fullest.key.store(key.0.get(), Release);
            fullest
        });
        let (Ok(before) | Err(before)) = reserve.state.fetch_update(AcqRel, Acquire, next);
        left(before)
    }

    /// The places that a key may take.
    #[expect(clippy::cast_possible_truncation, reason = "a hash loses nothing by being cut")]
    fn set(&self, key: ReserveId) -> &[Reserve] {
        let make = || (0..RESERVE_SETS * SET).map(|_| Reserve::default()).collect();
        let first = key.0.get() as usize % RESERVE_SETS * SET;
        &self.reserves.get_or_init(make)[first..first + SET]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BURST: Burst = Burst { most: 20_000, per_tick: 50 };

    #[test]
    fn connecting_anew_buys_nothing() {
        let reserves = Reserves::default();
        let ann = reserves.key(Some("ann"), Some(7));
        assert_eq!(reserves.take(ann, Tick(0), BURST), 20_000, "the first has a whole burst");
        let shares: Vec<u32> = (0..200).map(|_| reserves.take(ann, Tick(0), BURST)).collect();
        assert_eq!(shares[..3], [10_000, 5_000, 2_500], "two that come together have enough");
        assert_eq!(shares[199], BURST.most / RESERVE_SHARE_MIN);
        assert_eq!(reserves.take(ann, Tick(100), BURST), 2_500, "of what was earned in a second");
        assert_eq!(reserves.take(ann, Tick(6_000), BURST), 20_000, "a minute later");
    }

    #[test]
    fn what_a_connection_leaves_is_there_for_the_next() {
        let reserves = Reserves::default();
        let ann = reserves.key(Some("ann"), None);
        let mut sent = 0;
        for _ in 0..100 {
            let share = reserves.take(ann, Tick(0), BURST);
            let used = share.min(10_000);
            sent += used;
            reserves.deposit(ann, Tick(0), BURST, share - used);
        }
        let all = 2 * BURST.most + 100 * (BURST.most / RESERVE_SHARE_MIN);
        assert!(sent <= all, "{sent} of {all}");
        for _ in 0..100 {
            reserves.deposit(ann, Tick(0), BURST, BURST.most);
        }
        assert_eq!(reserves.take(ann, Tick(0), BURST), 20_000);
        assert_eq!(reserves.take(ann, Tick(0), BURST), 10_000, "it has never more than it holds");
    }

    #[test]
    fn users_have_their_own_and_uncounted_addresses_one_that_is_large() {
        let reserves = Reserves::default();
        let keys = [
            reserves.key(Some("ann"), Some(7)),
            reserves.key(Some("ben"), Some(7)),
            reserves.key(None, Some(7)),
            reserves.key(None, Some(8)),
        ];
        assert!(keys.iter().all(|key| reserves.take(*key, Tick(0), BURST) == BURST.most));
        let shared = reserves.key(None, None);
        let whole = (0..1_000).take_while(|_| reserves.take(shared, Tick(0), BURST) == BURST.most).count();
        assert_eq!(whole, 2 * RESERVE_SHARED_TIMES as usize - 1);
    }

    #[test]
    fn a_full_set_forgets_the_fullest() {
        let reserves = Reserves::default();
        let keys: Vec<ReserveId> =
            (1..=SET as u64 + 1).map(|n| ReserveId::of(n * RESERVE_SETS as u64)).collect();
        let take = |key: &ReserveId| reserves.take(*key, Tick(0), BURST);
        assert!(keys[..SET].iter().all(|key| take(key) == 20_000));
        assert!(keys[1..SET].iter().all(|key| take(key) == 10_000));
        assert_eq!(take(&keys[SET]), 20_000, "in the place of the first");
        assert_eq!(take(&keys[1]), 5_000, "the others are as they were");
    }
}
