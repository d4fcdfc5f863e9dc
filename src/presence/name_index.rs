//! Slots in the order of their names: what makes a page of a million names cost no more than a page.
//!
//! Blocks of at most [`BLOCK`] slots, each in order. A name that comes or goes costs two binary searches, some 20
//! comparisons at a million, and the moving of half a block; nothing else about it changes when its owner does. 4 bytes
//! a slot where names come in order, 6 where they come as they like.

/// Slots of a full block: 2 KiB.
const BLOCK: usize = 512;

/// An order of slots by name. It stores no names: who calls says what a slot is called.
#[derive(Debug, Default)]
pub(crate) struct NameIndex {
    /// None of them is empty, nor longer than [`BLOCK`].
    blocks: Vec<Vec<u32>>,
}

impl NameIndex {
    /// Files a slot under its name, which no other one has.
    pub(crate) fn insert<'n>(&mut self, slot: u32, name_of: impl Fn(u32) -> &'n str) {
        let name = name_of(slot);
        let Some(at) = self.block(name, &name_of) else {
            let mut block = Vec::with_capacity(BLOCK);
            block.push(slot);
            return self.blocks.push(block);
        };
        let block = &mut self.blocks[at];
        let place = block.partition_point(|other| name_of(*other) < name);
        if block.len() < BLOCK {
            return block.insert(place, slot);
        }
        // Names that come in order fill each block before the next one is begun.
        let keep = if place == BLOCK { BLOCK } else { BLOCK / 2 };
        let mut behind = Vec::with_capacity(BLOCK);
        behind.extend(block.drain(keep..));
        let half = if place >= keep { (&mut behind, place - keep) } else { (block, place) };
        half.0.insert(half.1, slot);
        self.blocks.insert(at + 1, behind);
    }

    /// Puts another slot in the place of one; both have the same name.
    pub(crate) fn replace<'n>(&mut self, from: u32, to: u32, name_of: impl Fn(u32) -> &'n str) {
        let name = name_of(from);
        let Some(at) = self.block(name, &name_of) else { return };
        let block = &mut self.blocks[at];
        let place = block.partition_point(|other| name_of(*other) < name);
        if let Some(slot) = block.get_mut(place).filter(|slot| **slot == from) {
            *slot = to;
        }
    }

    /// Takes a slot out; it still has its name.
    pub(crate) fn remove<'n>(&mut self, slot: u32, name_of: impl Fn(u32) -> &'n str) {
        let name = name_of(slot);
        let Some(at) = self.block(name, &name_of) else { return };
        let block = &mut self.blocks[at];
        let place = block.partition_point(|other| name_of(*other) < name);
        if block.get(place) != Some(&slot) {
            return;
        }
        block.remove(place);
        if block.is_empty() {
            self.blocks.remove(at);
        } else if block.len() < BLOCK / 4 {
            self.join(at);
        }
    }

    /// The slots behind a name, in order.
    pub(crate) fn after<'n>(
        &self,
        after: Option<&str>,
        name_of: impl Fn(u32) -> &'n str,
    ) -> impl Iterator<Item = u32> {
        let at = after.and_then(|name| self.block(name, &name_of)).unwrap_or(0);
        let first = self.blocks.get(at).map_or(&[][..], Vec::as_slice);
        let skipped = after.map_or(0, |after| first.partition_point(|slot| name_of(*slot) <= after));
        let rest = self.blocks.get(at + 1..).unwrap_or_default();
        first[skipped..].iter().chain(rest.iter().flatten()).copied()
    }

    /// Gives back the list's room for blocks that are gone.
    pub(crate) fn shrink(&mut self) {
        if self.blocks.capacity() > 4 * self.blocks.len() {
            self.blocks.shrink_to(2 * self.blocks.len());
        }
    }

    /// Bytes held.
    pub(crate) fn bytes(&self) -> usize {
        self.blocks.capacity() * size_of::<Vec<u32>>() + self.blocks.len() * BLOCK * size_of::<u32>()
    }

    /// The block in which a name is, or would be: the last that begins with it or before it.
    fn block<'n>(&self, name: &str, name_of: &impl Fn(u32) -> &'n str) -> Option<usize> {
        let begins_behind = self.blocks.partition_point(|block| name_of(block[0]) <= name);
        (!self.blocks.is_empty()).then(|| begins_behind.saturating_sub(1))
    }

    /// Puts a block that has become small into a neighbour that has room for it.
    fn join(&mut self, at: usize) {
        let len = self.blocks[at].len();
        let has_room =
            |other: usize| self.blocks.get(other).is_some_and(|block| block.len() + len <= BLOCK / 2);
        let first = if has_room(at + 1) {
            at
        } else if at > 0 && has_room(at - 1) {
            at - 1
        } else {
            return;
        };
        let second = self.blocks.remove(first + 1);
        self.blocks[first].extend(second);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// xorshift64.
    fn dice(state: &mut u64) -> usize {
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        usize::try_from(*state >> 33).unwrap()
    }

    #[test]
    fn order_is_that_of_a_sorted_map_whatever_comes_and_goes() {
        let names: Vec<String> = (0..5_000).map(|n| format!("u{}", n * 7_919 % 5_000)).collect();
        let name_of = |slot: u32| names[slot as usize].as_str();
        let (mut name_index, mut sorted, mut state) = (NameIndex::default(), BTreeMap::new(), 9);
        for round in 0..60_000 {
            let slot = u32::try_from(dice(&mut state) % names.len()).unwrap();
            // It grows, shrinks to almost nothing, and grows again.
            let grows = (round / 20_000) % 2 == 0;
            if dice(&mut state) % 8 < if grows { 6 } else { 1 } {
                if sorted.insert(name_of(slot), slot).is_none() {
                    name_index.insert(slot, name_of);
                }
            } else if sorted.remove(name_of(slot)).is_some() {
                name_index.remove(slot, name_of);
            }
            if round % 500 == 0 {
                assert!(name_index.after(None, name_of).eq(sorted.values().copied()), "round {round}");
                let after = name_of(slot);
                let behind = sorted.range(after..).filter(|(name, _)| **name > after).map(|(_, slot)| *slot);
                assert!(name_index.after(Some(after), name_of).eq(behind), "round {round}, behind {after}");
            }
        }
        assert!(name_index.blocks.iter().all(|block| !block.is_empty() && block.len() <= BLOCK));
    }

    #[test]
    fn names_in_order_fill_their_blocks() {
        let names: Vec<String> = (0..10_000).map(|n| format!("{n:06}")).collect();
        let mut name_index = NameIndex::default();
        (0..10_000).for_each(|slot| name_index.insert(slot, |slot| &names[slot as usize]));
        assert_eq!(name_index.blocks.len(), 10_000_usize.div_ceil(BLOCK));
        (0..10_000).for_each(|slot| name_index.remove(slot, |slot| &names[slot as usize]));
        assert!(name_index.blocks.is_empty());
    }
}
