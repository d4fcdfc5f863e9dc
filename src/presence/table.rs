//! From names to slots, in tables that do not stall: half a million names in one table would be hashed again in one go when
//! it grows, for some 50 ms. These are [`SHARDS`] small ones that grow each by itself, and shrink when they are empty.
//!
//! A table keeps slots alone, 4 bytes and one of tag each; the names lie where the slots point.

use hashbrown::HashTable;

use crate::presence::name::Homes;

const SHARDS: usize = 128;
/// Places of a shard that are not worth shrinking.
const KEPT: usize = 64;

/// Slots by name.
#[derive(Debug)]
pub(crate) struct Table {
    homes: Homes,
    shards: Box<[HashTable<u32>]>,
}

impl Table {
    pub(crate) fn new(homes: Homes) -> Table {
        Table { homes, shards: (0..SHARDS).map(|_| HashTable::new()).collect() }
    }

    /// The slot of a name.
    pub(crate) fn find<'a>(&self, name: &str, name_of: impl Fn(u32) -> &'a str) -> Option<u32> {
        let (shard, hash) = self.place(name);
        self.shards[shard].find(hash, |slot| name_of(*slot) == name).copied()
    }

    /// Puts a slot in whose name is not there yet.
    pub(crate) fn insert<'a>(&mut self, name: &str, slot: u32, name_of: impl Fn(u32) -> &'a str) {
        let (shard, hash) = self.place(name);
        let homes = self.homes;
        self.shards[shard].insert_unique(hash, slot, |slot| place(homes, name_of(*slot)).1);
    }

    /// Puts another slot in the place of one; both have the same name.
    pub(crate) fn replace(&mut self, name: &str, from: u32, to: u32) {
        let (shard, hash) = self.place(name);
        if let Some(slot) = self.shards[shard].find_mut(hash, |slot| *slot == from) {
            *slot = to;
        }
    }

    /// Takes a slot out.
    pub(crate) fn remove<'a>(&mut self, name: &str, slot: u32, name_of: impl Fn(u32) -> &'a str) {
        let (shard, hash) = self.place(name);
        let homes = self.homes;
        let shard = &mut self.shards[shard];
        if let Ok(entry) = shard.find_entry(hash, |other| *other == slot) {
            entry.remove();
        }
        if shard.capacity() > KEPT.max(8 * shard.len()) {
            shard.shrink_to(2 * shard.len(), |slot| place(homes, name_of(*slot)).1);
        }
    }

    /// Bytes held.
    pub(crate) fn bytes(&self) -> usize {
        let tables: usize = self.shards.iter().map(HashTable::allocation_size).sum();
        SHARDS * size_of::<HashTable<u32>>() + tables
    }

    fn place(&self, name: &str) -> (usize, u64) {
        place(self.homes, name)
    }
}

/// The shard of a name, and its hash in there. All names of a home agree in the uppermost bits, which chose it: the shard
/// takes others, and the table, which tags its entries with the uppermost, gets the halves exchanged.
fn place(homes: Homes, name: &str) -> (usize, u64) {
    let hash = homes.hash(name);
    ((hash >> 40) as usize % SHARDS, hash.rotate_left(32))
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
        assert!(table.bytes() < empty + SHARDS * KEPT * 10);
    }

    #[test]
    fn the_names_of_one_home_spread_over_shards_and_tags() {
        let homes = Homes::new(52, 7);
        let names = (0..100_000).map(|n| format!("user-{n}")).filter(|name| homes.of(name) == 3);
        let places: Vec<(usize, u64)> = names.map(|name| place(homes, &name)).collect();
        let most = |of: &dyn Fn(&(usize, u64)) -> usize| {
            let mut counts = [0; 128];
            places.iter().for_each(|place| counts[of(place)] += 1);
            counts.into_iter().max().unwrap_or(0)
        };
        let mean = places.len() / 128;
        assert!(most(&|(shard, _)| *shard) < 4 * mean && most(&|(_, hash)| (hash >> 57) as usize) < 4 * mean);
    }
}
