//! The table of addresses: for each address how many connections it has and how fast they came, over all workers.
//!
//! A fixed table of 16-byte places, in sets of eight, that grows with nothing: an address hashes to a set and takes the
//! place in it that has been idle for longest. It is shared by all workers, so that a limit is what it says whatever worker
//! the kernel gives a connection to. A lock guards each of its shards: it is held for one set, when a connection comes and when
//! it goes and at no other time, which is no slower than atomics were (0.1 µs for both; accepting and closing take 14). An
//! address for which all eight places are taken by others that are connected isn't counted.
//!
//! IPv6 is counted by its first 64 bits, which is what one customer has at least, and once more by its first 48, which is what one has
//! at most, for [`NETWORKS_PER_SITE`] times as many. The clock of such a place runs so many times faster: one handshake pays for the
//! same number of units in each.

mod key;

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::{Mutex, OnceLock, PoisonError};

use crate::conn::origin::Over;
use crate::limits::{ADDRESSES_MAX, HANDSHAKE_BURST_SECONDS, NETWORKS_PER_SITE, REFUSED_PER_ADDRESS_MAX};
use crate::reactor::addresses::key::{key_of, site_of, times_of};
use crate::time::{TICK_MILLIS, Tick};

/// Places that an address may take.
const SET: usize = 8;
/// Units of the clock of [`Tally::paid`] in a tick: 156 µs each.
const UNITS: u32 = 64;
const UNITS_PER_SECOND: u32 = UNITS * (1_000 / TICK_MILLIS) as u32;
/// Parts of the table that are locked one by one.
const SHARDS: usize = 64;

/// The limits of one address; 0: no limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AddressLimits {
    /// Connections at once.
    pub connections: u32,
    /// New connections in a second, over [`HANDSHAKE_BURST_SECONDS`].
    pub handshakes: u32,
}

/// The outcome of counting a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Entered {
    /// It is counted there.
    In(u32),
    /// It is counted there, and one too many.
    Surplus(u32, Over),
    /// It isn't counted and has to go: many more than are answered politely.
    Flood(Over),
    /// It isn't counted: the table is full.
    Uncounted,
}

/// A place's count, and until when its handshakes are paid for: each pays for a part of a second, and who is paid for too far
/// ahead comes too fast (the "generic cell rate algorithm" of ATM, in a word of 32 bits).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Tally {
    connections: u32,
    paid: u32,
}

impl Tally {
    /// How far ahead of `now` it is paid for, in units. The clock wraps: what lies beyond all that can be is long past.
    const fn ahead(self, now: u32, burst: u32) -> u32 {
        let ahead = self.paid.wrapping_sub(now);
        if ahead <= 2 * burst { ahead } else { 0 }
    }

    /// As [`Entered`], for one more connection of so many addresses.
    fn with_one(self, now: u32, limits: AddressLimits, times: u32) -> Result<(Tally, Option<Over>), Over> {
        let connections = self.connections + 1;
        let (most, burst) = (limits.connections.saturating_mul(times), BURST * times);
        let over = most > 0 && connections > most;
        if over && connections > most.saturating_add(REFUSED_PER_ADDRESS_MAX) {
            return Err(Over::Connections);
        }
        let too_many = over.then_some(Over::Connections);
        // Without a limit nothing is owed, whatever was under an earlier one.
        let Some(cost) = UNITS_PER_SECOND.checked_div(limits.handshakes) else {
            return Ok((Tally { connections, paid: now }, too_many));
        };
        let ahead = self.ahead(now, burst) + cost.max(1);
        if ahead > 2 * burst {
            return Err(Over::Handshakes);
        }
        let state = Tally { connections, paid: now.wrapping_add(ahead) };
        let fast = (ahead > burst).then_some(Over::Handshakes);
        Ok((state, too_many.or(fast)))
    }
}

const BURST: u32 = UNITS_PER_SECOND * HANDSHAKE_BURST_SECONDS;
const _: () = assert!(BURST < u32::MAX / 4 / NETWORKS_PER_SITE);

/// In a connection's place: it is counted for its site as well.
const WITH_SITE: u32 = 1 << 31;
const _: () = assert!(ADDRESSES_MAX <= WITH_SITE as usize);

/// An address's place.
#[derive(Clone, Debug, Default)]
struct Slot {
    key: u64,
    state: Tally,
}

/// Some of the sets.
type Stripe = Mutex<Box<[Slot]>>;

/// The table. It takes memory when the first address that is counted comes.
#[derive(Debug)]
pub struct Addresses {
    shards: OnceLock<Box<[Stripe]>>,
    sets: usize,
    hasher: RandomState,
}

impl Addresses {
    /// An empty table for a server with so many connections at once.
    #[must_use]
    pub fn new(max_connections: usize) -> Addresses {
        let slots = max_connections.saturating_mul(2).clamp(SET, ADDRESSES_MAX).next_power_of_two();
        Addresses { shards: OnceLock::new(), sets: slots / SET, hasher: RandomState::new() }
    }

    /// Bytes of the table.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.shards.get().map_or(0, |_| self.sets * SET * size_of::<Slot>())
    }

    /// A connection comes. If it is counted, [`Addresses::leave`] has to follow.
    pub(crate) fn enter(&self, address: IpAddr, now: Tick, limits: AddressLimits) -> Entered {
        self.enter_as(key_of(address), now, limits)
    }

    /// One comes that was counted under `key` elsewhere, whatever its address has; its handshake is paid for.
    pub(crate) fn enter_again(&self, key: u64, now: Tick) -> Option<u32> {
        match self.enter_as(key, now, AddressLimits { connections: 0, handshakes: u32::MAX }) {
            Entered::In(slot) | Entered::Surplus(slot, _) => Some(slot),
            Entered::Flood(_) | Entered::Uncounted => None,
        }
    }

    /// One more of something else that is counted by addresses, in a table of its own: `None` where it isn't counted.
    ///
    /// # Errors
    /// The address has `most`.
    pub(crate) fn enter_bounded(&self, key: u64, now: Tick, most: u32) -> Result<Option<u32>, ()> {
        match self.enter_as(key, now, AddressLimits { connections: most, handshakes: 0 }) {
            Entered::In(slot) => Ok(Some(slot)),
            Entered::Uncounted => Ok(None),
            Entered::Flood(_) => Err(()),
            Entered::Surplus(slot, _) => {
                self.leave(slot);
                Err(())
            }
        }
    }

    fn enter_as(&self, key: u64, now: Tick, limits: AddressLimits) -> Entered {
        let own = self.enter_key(key, now, limits);
        let (slot, over) = match own {
            Entered::In(slot) => (slot, None),
            // It is heard all the same, so its site has to bound how many are. Of one network's many at once few are.
            Entered::Surplus(slot, Over::Handshakes) => (slot, Some(Over::Handshakes)),
            _ => return own,
        };
        let Some(site) = site_of(key) else { return own };
        let over = match self.enter_key(site, now, limits) {
            Entered::In(_) => over,
            Entered::Surplus(_, of_site) => over.or(Some(of_site)),
            Entered::Flood(over) => {
                self.leave(slot);
                return Entered::Flood(over);
            }
            Entered::Uncounted => return own,
        };
        let slot = slot | WITH_SITE;
        over.map_or(Entered::In(slot), |over| Entered::Surplus(slot, over))
    }

    #[expect(clippy::cast_possible_truncation, reason = "ADDRESSES_MAX places")]
    fn enter_key(&self, key: u64, now: Tick, limits: AddressLimits) -> Entered {
        let (set, now, times) = (self.set_of(key), now.0.wrapping_mul(UNITS), times_of(key));
        self.with_set(set, |slots| {
            let Some(at) = place_of(slots, key, now) else { return Entered::Uncounted };
            let slot = &mut slots[at];
            match slot.state.with_one(now.wrapping_mul(times), limits, times) {
                Err(over) => Entered::Flood(over),
                Ok((state, over)) => {
                    slot.state = state;
                    let at = (set * SET + at) as u32;
                    over.map_or(Entered::In(at), |over| Entered::Surplus(at, over))
                }
            }
        })
    }

    /// A connection that was counted there is gone.
    pub(crate) fn leave(&self, slot: u32) {
        let key = self.with_place(slot, |slot| {
            slot.state.connections = slot.state.connections.saturating_sub(1);
            slot.key
        });
        if slot & WITH_SITE != 0
            && let Some(site) = site_of(key)
        {
            self.with_set(self.set_of(site), |slots| {
                if let Some(slot) = slots.iter_mut().find(|slot| slot.key == site) {
                    slot.state.connections = slot.state.connections.saturating_sub(1);
                }
            });
        }
    }

    /// The key that is counted there, as long as it has a connection.
    pub(crate) fn key(&self, slot: u32) -> u64 {
        self.with_place(slot, |slot| slot.key)
    }

    /// The set whose places a key may take.
    #[expect(clippy::cast_possible_truncation, reason = "a hash loses nothing by being cut")]
    fn set_of(&self, key: u64) -> usize {
        self.hasher.hash_one(key) as usize % self.sets
    }

    fn with_place<T>(&self, slot: u32, work: impl FnOnce(&mut Slot) -> T) -> T {
        let at = (slot & !WITH_SITE) as usize;
        self.with_set(at / SET, |slots| work(&mut slots[at % SET]))
    }

    fn with_set<T>(&self, set: usize, work: impl FnOnce(&mut [Slot]) -> T) -> T {
        let count = SHARDS.min(self.sets);
        let shard = || Mutex::new(vec![Slot::default(); self.sets / count * SET].into());
        let shards = self.shards.get_or_init(|| (0..count).map(|_| shard()).collect());
        // A place is written whole: one that a panic left behind is as good as another.
        let mut slots = shards[set % count].lock().unwrap_or_else(PoisonError::into_inner);
        let first = set / count * SET;
        work(&mut slots[first..first + SET])
    }
}

/// The key's place in its set; where it has none, that which has been idle for longest makes way. `None`: all are taken.
fn place_of(slots: &mut [Slot], key: u64, now: u32) -> Option<usize> {
    if let Some(at) = slots.iter().position(|slot| slot.key == key) {
        return Some(at);
    }
    let idle = (0..slots.len()).filter(|at| slots[*at].state.connections == 0);
    let oldest = idle.max_by_key(|at| slots[*at].age(now))?;
    let paid = now.wrapping_mul(times_of(key));
    slots[oldest] = Slot { key, state: Tally { connections: 0, paid } };
    Some(oldest)
}

impl Slot {
    /// For how long it has been idle, in units of addresses.
    fn age(&self, now: u32) -> u32 {
        let times = times_of(self.key);
        now.wrapping_mul(times).wrapping_sub(self.state.paid) / times
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: AddressLimits = AddressLimits { connections: 3, handshakes: 0 };

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    /// Of all places.
    fn connections(addresses: &Addresses) -> u32 {
        let sum = |slots: &mut [Slot]| slots.iter().map(|slot| slot.state.connections).sum::<u32>();
        (0..addresses.sets).map(|set| addresses.with_set(set, sum)).sum()
    }

    #[test]
    fn places_are_sixteen_bytes() {
        assert_eq!(size_of::<Slot>(), 16);
        let addresses = Addresses::new(1000);
        assert_eq!(addresses.bytes(), 0, "nobody came");
        addresses.enter(address("192.0.2.1"), Tick(0), LIMITS);
        assert_eq!(addresses.bytes(), 2048 * 16);
        let most = Addresses::new(usize::MAX);
        assert_eq!(most.sets * SET, ADDRESSES_MAX);
    }

    #[test]
    fn connections_of_an_address_are_counted_until_they_leave() {
        let addresses = Addresses::new(100);
        let enter = |text| addresses.enter(address(text), Tick(0), LIMITS);
        let Entered::In(slot) = enter("192.0.2.1") else { panic!("the first") };
        assert_eq!([(); 2].map(|()| enter("192.0.2.1")), [Entered::In(slot); 2]);
        assert_eq!(enter("::ffff:192.0.2.1"), Entered::Surplus(slot, Over::Connections), "is the same");
        assert!(matches!(enter("192.0.2.2"), Entered::In(_)), "others are others");
        for _ in 1..REFUSED_PER_ADDRESS_MAX {
            assert_eq!(enter("192.0.2.1"), Entered::Surplus(slot, Over::Connections));
        }
        assert_eq!(enter("192.0.2.1"), Entered::Flood(Over::Connections));
        for _ in 0..=REFUSED_PER_ADDRESS_MAX {
            addresses.leave(slot);
        }
        assert_eq!(enter("192.0.2.1"), Entered::In(slot));
    }

    #[test]
    fn a_site_may_have_what_sixteen_networks_may() {
        let addresses = Addresses::new(100_000);
        let limits = AddressLimits { connections: 0, handshakes: 10 };
        let enter = |tick: u32, network: u32| {
            let of = address(&format!("2001:db8:7:{:x}::1", network & 0xffff));
            addresses.enter(of, Tick(tick), limits)
        };
        let burst = 10 * HANDSHAKE_BURST_SECONDS * NETWORKS_PER_SITE;
        for now in [u32::MAX / UNITS / NETWORKS_PER_SITE - 3, u32::MAX - 5] {
            let mut slots = Vec::new();
            for network in 0..burst {
                let Entered::In(slot) = enter(now, now.wrapping_add(network)) else { panic!("{network}") };
                slots.push(slot);
            }
            let Entered::Surplus(slot, Over::Handshakes) = enter(now, now.wrapping_add(burst)) else {
                panic!()
            };
            slots.push(slot);
            assert!(matches!(addresses.enter(address("2001:db8:8::1"), Tick(now), limits), Entered::In(_)));
            let later = now.wrapping_add(200 * HANDSHAKE_BURST_SECONDS);
            assert!(matches!(enter(later, 1), Entered::In(_)));
            for slot in slots {
                addresses.leave(slot);
            }
        }
        assert_eq!(
            connections(&addresses),
            2 * (2 + 2),
            "those two of each round, in their networks and sites"
        );
    }

    #[test]
    fn who_is_over_the_rate_of_their_network_counts_for_the_site_all_the_same() {
        let addresses = Addresses::new(100_000);
        let limits = AddressLimits { connections: 0, handshakes: 10 };
        let twice = 2 * 10 * HANDSHAKE_BURST_SECONDS;
        let mut entered = Vec::new();
        for network in 0..=NETWORKS_PER_SITE {
            let of = address(&format!("2001:db8:7:{network:x}::1"));
            entered.extend((0..twice).map(|_| addresses.enter(of, Tick(7), limits)));
        }
        let flooded = entered.iter().filter(|entered| matches!(entered, Entered::Flood(Over::Handshakes)));
        assert_eq!(flooded.count() as u32, twice, "sixteen networks have used up what the site may");
    }

    #[test]
    fn handshakes_may_come_in_a_burst_and_then_at_their_rate() {
        let addresses = Addresses::new(100_000);
        let limits = AddressLimits { connections: 0, handshakes: 10 };
        let enter = |tick: u32| addresses.enter(address("192.0.2.1"), Tick(tick), limits);
        let burst = 10 * HANDSHAKE_BURST_SECONDS as usize;
        // From just before the clock's own wrap, and just before that of a tick.
        for start in [u32::MAX / UNITS - 3, u32::MAX - 5] {
            let now = start;
            assert!((0..burst).all(|_| matches!(enter(now), Entered::In(_))));
            assert!((0..burst).all(|_| matches!(enter(now), Entered::Surplus(_, Over::Handshakes))));
            assert_eq!(enter(now), Entered::Flood(Over::Handshakes));
            let later = now.wrapping_add(100 * HANDSHAKE_BURST_SECONDS);
            assert!(matches!(enter(later), Entered::Surplus(..)), "no quicker than that");
            let much_later = later.wrapping_add(10 + 100 * HANDSHAKE_BURST_SECONDS);
            assert!(matches!(enter(much_later), Entered::In(_)));
        }
    }

    #[test]
    fn who_is_idle_makes_way_and_who_is_not_stays() {
        let addresses = Addresses::new(0);
        let limits = AddressLimits { connections: 0, handshakes: 1 };
        let of = |n: u8| IpAddr::from([192, 0, 2, n]);
        let mut slots = Vec::new();
        for n in 0..SET as u8 {
            let Entered::In(slot) = addresses.enter(of(n), Tick(u32::from(n)), limits) else { panic!("{n}") };
            slots.push(slot);
        }
        assert_eq!(addresses.enter(of(100), Tick(50), limits), Entered::Uncounted, "all are connected");
        addresses.leave(slots[5]);
        addresses.leave(slots[2]);
        assert_eq!(addresses.enter(of(101), Tick(50), limits), Entered::In(slots[2]), "the older one went");
        assert_eq!(addresses.enter(of(102), Tick(50), limits), Entered::In(slots[5]));
        assert_eq!(addresses.bytes(), SET * 16);
    }

    #[test]
    fn who_came_too_often_is_let_in_when_the_limit_is_lifted() {
        let addresses = Addresses::new(1000);
        let of = address("192.0.2.1");
        let limited = AddressLimits { connections: 0, handshakes: 1 };
        let mut outcomes = (0..1000).map(|_| addresses.enter(of, Tick(7), limited));
        assert!(outcomes.any(|entered| matches!(entered, Entered::Flood(Over::Handshakes))));
        let unlimited = AddressLimits { connections: 0, handshakes: 0 };
        assert!(matches!(addresses.enter(of, Tick(7), unlimited), Entered::In(_)));
    }

    #[test]
    fn threads_lose_no_count() {
        let addresses = Addresses::new(4);
        std::thread::scope(|scope| {
            for thread in 0..4_u8 {
                let addresses = &addresses;
                scope.spawn(move || {
                    for n in 0..20_000_u32 {
                        let of = IpAddr::from([192, 0, thread % 2, (n % 5) as u8]);
                        let of = if n % 3 == 0 {
                            address(&format!("2001:db8:{}:{}::1", n % 2, n % 7))
                        } else {
                            of
                        };
                        if let Entered::In(slot) =
                            addresses.enter(of, Tick(n), AddressLimits { connections: 0, handshakes: 0 })
                        {
                            addresses.leave(slot);
                        }
                    }
                });
            }
        });
        assert_eq!(connections(&addresses), 0);
    }
}
