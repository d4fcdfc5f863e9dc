//! From names to slots, in tables that do not stall: half a million names in one table would be hashed again in one go when
//! it grows, for some 50 ms. These are small ones, [`NAMES_MAX`] names on the mean at most, and as many as that takes.
//!
//! One more or one less is one split in two, or two put into one: linear hashing (Litwin, "Linear Hashing", VLDB 1980). The
//! shards that were not split yet have up to twice the mean, so that what a name costs at worst is hashing some 450 others.
//! Nobody's table is nothing at all: what is small and left over everywhere keeps whole pages from being given back.
//!
//! A table keeps slots alone, 4 bytes and one of tag each; the names lie where the slots point.

use hashbrown::HashTable;

use crate::presence::name::Homes;

/// Names of a shard, on the mean over all of them: beyond the first one more is made, below the second one is given up.
const NAMES_MAX: usize = 192;
const NAMES_MIN: usize = 96;
/// Places of a shard that are not worth shrinking.
const KEPT: usize = 64;

/// Slots by name.
#[derive(Debug)]
pub(crate) struct Table {
    homes: Homes,
    /// At least one.
    shards: Vec<HashTable<u32>>,
    len: usize,
}

impl Table {
    pub(crate) fn new(homes: Homes) -> Table {
        Table { homes, shards: vec![HashTable::new()], len: 0 }
    }

    /// The slot of a name.
    pub(crate) fn find<'a>(&self, name: &str, name_of: impl Fn(u32) -> &'a str) -> Option<u32> {
        let hash = hash(self.homes, name);
        self.shards[self.shard(hash)].find(hash, |slot| name_of(*slot) == name).copied()
    }

    /// Puts a slot in whose name is not there yet.
    pub(crate) fn insert<'a>(&mut self, name: &str, slot: u32, name_of: impl Fn(u32) -> &'a str) {
        let (homes, hash_of) = (self.homes, hash(self.homes, name));
        let shard = self.shard(hash_of);
        self.shards[shard].insert_unique(hash_of, slot, |slot| hash(homes, name_of(*slot)));
        self.len += 1;
        if self.len > NAMES_MAX * self.shards.len() {
            self.split(name_of);
        }
    }

    /// Puts another slot in the place of one; both have the same name.
    pub(crate) fn replace(&mut self, name: &str, from: u32, to: u32) {
        let hash = hash(self.homes, name);
        let shard = self.shard(hash);
        if let Some(slot) = self.shards[shard].find_mut(hash, |slot| *slot == from) {
            *slot = to;
        }
    }

    /// Takes a slot out.
    pub(crate) fn remove<'a>(&mut self, name: &str, slot: u32, name_of: impl Fn(u32) -> &'a str) {
        let (homes, hash_of) = (self.homes, hash(self.homes, name));
        let at = self.shard(hash_of);
        let shard = &mut self.shards[at];
        let Ok(entry) = shard.find_entry(hash_of, |other| *other == slot) else { return };
        entry.remove();
        self.len -= 1;
        if shard.is_empty() {
            *shard = HashTable::new();
        } else if shard.capacity() > KEPT.max(8 * shard.len()) {
            shard.shrink_to(2 * shard.len(), |slot| hash(homes, name_of(*slot)));
        }
        if self.shards.len() > 1 && self.len < NAMES_MIN * self.shards.len() {
            self.join(name_of);
        }
    }

    /// Bytes held.
    pub(crate) fn bytes(&self) -> usize {
        let tables: usize = self.shards.iter().map(HashTable::allocation_size).sum();
        self.shards.capacity() * size_of::<HashTable<u32>>() + tables
    }

    /// One shard more: it takes over its names from the one that had them.
    fn split<'a>(&mut self, name_of: impl Fn(u32) -> &'a str) {
        let new = self.shards.len();
        let from = buddy(new);
        let names = self.hashed(from, &name_of);
        self.shards.push(HashTable::new());
        let goes = |(hash, _): &(u64, u32)| place(*hash, new + 1) == new;
        let (go, stay): (Vec<_>, Vec<_>) = names.into_iter().partition(goes);
        self.shards[from] = table(&stay);
        self.shards[new] = table(&go);
    }

    /// One shard less: its names go where they came from.
    fn join<'a>(&mut self, name_of: impl Fn(u32) -> &'a str) {
        let last = self.shards.len() - 1;
        let to = buddy(last);
        let mut names = self.hashed(to, &name_of);
        names.append(&mut self.hashed(last, &name_of));
        self.shards[to] = table(&names);
        self.shards.pop();
        if self.shards.capacity() > 4 * self.shards.len() {
            self.shards.shrink_to(2 * self.shards.len());
        }
    }

    /// Empties a shard: returns its slots with their hashes.
    fn hashed<'a>(&mut self, shard: usize, name_of: &impl Fn(u32) -> &'a str) -> Vec<(u64, u32)> {
        let slots = std::mem::take(&mut self.shards[shard]);
        slots.into_iter().map(|slot| (hash(self.homes, name_of(slot)), slot)).collect()
    }

    fn shard(&self, hash: u64) -> usize {
        place(hash, self.shards.len())
    }
}

/// A table with just the room for these.
fn table(slots: &[(u64, u32)]) -> HashTable<u32> {
    let mut table = HashTable::with_capacity(slots.len());
    for (hash, slot) in slots {
        table.insert_unique(*hash, *slot, |_| unreachable!("it has room for all"));
    }
    table
}

/// Bits of a hash that say where in a shard a name is looked for; those above choose the shard.
const TABLE_BITS: u32 = 12;

/// The one of `shards` that has the names of a hash: as many bits of it as tell them apart, or one less where that one is
/// still to come.
fn place(hash: u64, shards: usize) -> usize {
    let mask = shards.next_power_of_two() - 1;
    let at = (hash >> TABLE_BITS) as usize & mask;
    if at < shards { at } else { at & (mask >> 1) }
}

/// The shard that a new one takes its names from: the same number without its highest bit.
fn buddy(shard: usize) -> usize {
    shard - (1 << shard.ilog2())
}

/// All names of a home agree in the uppermost bits, which chose it, and a table tags its entries with the uppermost: it gets
/// the halves exchanged, so that tags differ.
fn hash(homes: Homes, name: &str) -> u64 {
    homes.hash(name).rotate_left(32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_until_they_are_removed_and_leave_little_behind() {
        let names: Vec<String> = (0..40_000).map(|n| format!("user-{n}")).collect();
        let name_of = |slot: u32| names[slot as usize].as_str();
        let mut table = Table::new(Homes::new(1, 7));
        let empty = table.bytes();
        for (name, slot) in names.iter().zip(0..) {
            assert_eq!(table.find(name, name_of), None);
            table.insert(name, slot, name_of);
        }
        assert!(names.iter().zip(0..).all(|(name, slot)| table.find(name, name_of) == Some(slot)));
        assert!(table.bytes() < empty + 14 * names.len());
        for (name, slot) in names.iter().zip(0..) {
            table.remove(name, slot, name_of);
            assert_eq!(table.find(name, name_of), None);
        }
        assert!(table.bytes() <= 2 * empty, "{} bytes are left", table.bytes());
    }

    #[test]
    fn a_name_more_or_less_never_moves_many_others() {
        let names: Vec<String> = (0..60_000).map(|n| format!("user-{n}")).collect();
        let hashed = std::cell::Cell::new(0);
        let name_of = |slot: u32| {
            hashed.set(hashed.get() + 1);
            names[slot as usize].as_str()
        };
        let mut table = Table::new(Homes::new(1, 7));
        let mut most = 0;
        for (name, slot) in names.iter().zip(0..) {
            hashed.set(0);
            table.insert(name, slot, name_of);
            most = most.max(hashed.get());
        }
        let shards = table.shards.len();
        assert!((names.len() / NAMES_MAX..names.len() / NAMES_MIN).contains(&shards), "{shards} shards");
        // The remaining slots are found while they are moved together, and leave no gap.
        for (left, (name, slot)) in names.iter().zip(0..).enumerate().map(|(i, n)| (names.len() - i - 1, n)) {
            hashed.set(0);
            table.remove(name, slot, name_of);
            most = most.max(hashed.get());
            if left % 4_096 == 0 {
                let mut all = names.iter().zip(0..).skip(names.len() - left);
                assert!(all.all(|(name, slot)| table.find(name, name_of) == Some(slot)), "{left} are left");
                assert!(table.bytes() <= 40 * left + 1_024, "{} bytes for {left}", table.bytes());
            }
        }
        assert!(most <= 1_000, "one call looked at {most} names");
    }

    #[test]
    fn the_names_of_one_home_spread_over_shards_and_tags() {
        let homes = Homes::new(52, 7);
        let names = (0..100_000).map(|n| format!("user-{n}")).filter(|name| homes.of(name) == 3);
        let hashes: Vec<u64> = names.map(|name| hash(homes, &name)).collect();
        let most = |of: &dyn Fn(u64) -> usize| {
            let mut counts = [0; 128];
            hashes.iter().for_each(|hash| counts[of(*hash)] += 1);
            counts.into_iter().max().unwrap_or(0)
        };
        let mean = hashes.len() / 128;
        assert!(most(&|hash| place(hash, 128)) < 4 * mean && most(&|hash| (hash >> 57) as usize) < 4 * mean);
        assert!(most(&|hash| hash as usize % 128) < 4 * mean);
    }

    #[test]
    fn shards_are_split_and_joined_in_turn() {
        for shards in 1..300 {
            for hash in (0..64_u64).map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15)) {
                let (before, after) = (place(hash, shards), place(hash, shards + 1));
                assert!(before == after || (after == shards && before == buddy(shards)), "{shards}");
            }
        }
    }
}
