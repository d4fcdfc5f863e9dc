//! Tables by key that grow and shrink in pieces: a [`Slots`] chooses its keys, a [`SideTable`] stands beside one.
//!
//! A vector that doubles copies all that it holds in one go, 40 MB and some 20 ms for half a million connections, and keeps
//! what it grew to for ever. These grow by a chunk of [`CHUNK`] entries, about a microsecond, and a chunk that is empty is
//! given back. New keys come from the lowest chunk that has room, so that the highest ones empty. The cost: one more load
//! for each access, and 40 bytes for each chunk.

use std::ops::{Index, IndexMut};

use slab::Slab;

/// Entries of a chunk.
pub const CHUNK: usize = 256;
const WORD_BITS: usize = u64::BITS as usize;

/// Values by a key that stays theirs, the lowest free one when they came.
#[derive(Debug)]
pub struct Slots<T> {
    /// Each with at most [`CHUNK`] entries; one that is empty has no memory, the first apart.
    chunks: Vec<Slab<T>>,
    /// Bit `i` is set where chunk `i` has room.
    vacant: Vec<u64>,
    /// No word of `vacant` before this one has a bit set.
    first_word: usize,
    len: usize,
    /// Chunks that have memory.
    filled: usize,
}

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Slots { chunks: Vec::new(), vacant: Vec::new(), first_word: 0, len: 0, filled: 0 }
    }
}

impl<T> Slots<T> {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The key that the next value will get.
    pub fn vacant_key(&mut self) -> usize {
        let chunk = self.vacancy();
        chunk * CHUNK + self.chunks[chunk].vacant_key()
    }

    /// Takes a value in; returns its key.
    pub fn insert(&mut self, value: T) -> usize {
        let index = self.vacancy();
        let chunk = &mut self.chunks[index];
        if chunk.capacity() == 0 {
            *chunk = Slab::with_capacity(CHUNK);
            self.filled += 1;
        }
        let key = index * CHUNK + chunk.insert(value);
        if chunk.len() == CHUNK {
            self.vacant[index / WORD_BITS] &= !(1 << (index % WORD_BITS));
        }
        self.len += 1;
        key
    }

    /// Takes a value out.
    pub fn try_remove(&mut self, key: usize) -> Option<T> {
        let index = key / CHUNK;
        let chunk = self.chunks.get_mut(index)?;
        let value = chunk.try_remove(key % CHUNK)?;
        if chunk.is_empty() && index > 0 {
            *chunk = Slab::new();
            self.filled -= 1;
        }
        self.vacant[index / WORD_BITS] |= 1 << (index % WORD_BITS);
        self.first_word = self.first_word.min(index / WORD_BITS);
        self.len -= 1;
        Some(value)
    }

    /// Gives back what stays behind when values go: the first chunk where it is empty, and the ends of the lists of chunks.
    /// For once a second: who comes and goes alone is not to pay for a chunk each time.
    pub fn shrink(&mut self) {
        if let Some(first) = self.chunks.first_mut()
            && first.is_empty()
            && first.capacity() > 0
        {
            *first = Slab::new();
            self.filled -= 1;
        }
        if self.chunks.len() > 4 * self.filled {
            let end = self.chunks.iter().rposition(|chunk| !chunk.is_empty()).map_or(0, |last| last + 1);
            let words = end.div_ceil(WORD_BITS);
            self.chunks.truncate(end);
            self.chunks.shrink_to(2 * end);
            self.vacant.truncate(words);
            self.vacant.shrink_to(2 * words);
            if let Some(last) = self.vacant.last_mut()
                && end % WORD_BITS > 0
            {
                *last &= (1 << (end % WORD_BITS)) - 1;
            }
        }
    }

    /// The value of a key, if it has one.
    #[must_use]
    pub fn get(&self, key: usize) -> Option<&T> {
        self.chunks.get(key / CHUNK)?.get(key % CHUNK)
    }

    /// The same, to change it.
    pub fn get_mut(&mut self, key: usize) -> Option<&mut T> {
        self.chunks.get_mut(key / CHUNK)?.get_mut(key % CHUNK)
    }

    /// A key that is beyond all of theirs.
    #[must_use]
    pub fn end(&self) -> usize {
        self.chunks.len() * CHUNK
    }

    /// All of them by key.
    pub fn iter(&self) -> impl Iterator<Item = (usize, &T)> {
        let chunks = self.chunks.iter().enumerate();
        chunks.flat_map(|(index, chunk)| chunk.iter().map(move |(key, value)| (index * CHUNK + key, value)))
    }

    /// Bytes held; an entry is a value, for a free one's link fits into it where the value has a niche.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.filled * CHUNK * size_of::<Option<T>>() + self.chunks.capacity() * size_of::<Slab<T>>()
    }

    /// The lowest chunk that has room, made where none has.
    fn vacancy(&mut self) -> usize {
        while let Some(word) = self.vacant.get(self.first_word) {
            if *word != 0 {
                return self.first_word * WORD_BITS + word.trailing_zeros() as usize;
            }
            self.first_word += 1;
        }
        // No word has a bit: a new chunk, and the bit for it.
        let index = self.chunks.len();
        self.chunks.push(Slab::new());
        self.vacant.resize(index / WORD_BITS + 1, 0);
        self.vacant[index / WORD_BITS] |= 1 << (index % WORD_BITS);
        self.first_word = index / WORD_BITS;
        index
    }
}

impl<T> Index<usize> for Slots<T> {
    type Output = T;

    fn index(&self, key: usize) -> &T {
        &self.chunks[key / CHUNK][key % CHUNK]
    }
}

impl<T> IndexMut<usize> for Slots<T> {
    fn index_mut(&mut self, key: usize) -> &mut T {
        &mut self.chunks[key / CHUNK][key % CHUNK]
    }
}

/// Values beside those of a [`Slots`], by the same keys.
#[derive(Debug)]
pub struct SideTable<T> {
    /// Each with [`CHUNK`] places and how many are taken, or none of either.
    chunks: Vec<(Box<[Option<T>]>, usize)>,
    filled: usize,
}

impl<T> Default for SideTable<T> {
    fn default() -> Self {
        SideTable { chunks: Vec::new(), filled: 0 }
    }
}

impl<T> SideTable<T> {
    /// Puts a value in the place of a key.
    pub fn put(&mut self, key: usize, value: T) {
        let index = key / CHUNK;
        if self.chunks.len() <= index {
            self.chunks.resize_with(index + 1, || (Box::default(), 0));
        }
        let (places, taken) = &mut self.chunks[index];
        if places.is_empty() {
            *places = (0..CHUNK).map(|_| None).collect();
            self.filled += 1;
        }
        *taken += usize::from(places[key % CHUNK].replace(value).is_none());
    }

    /// Takes the value of a key out.
    pub fn take(&mut self, key: usize) -> Option<T> {
        let (places, taken) = self.chunks.get_mut(key / CHUNK)?;
        let value = places.get_mut(key % CHUNK)?.take()?;
        *taken -= 1;
        if *taken == 0 && key >= CHUNK {
            *places = Box::default();
            self.filled -= 1;
        }
        Some(value)
    }

    /// As [`Slots::shrink`].
    pub fn shrink(&mut self) {
        if let Some((places, 0)) = self.chunks.first_mut()
            && !places.is_empty()
        {
            *places = Box::default();
            self.filled -= 1;
        }
        if self.chunks.len() > 4 * self.filled {
            let end = self.chunks.iter().rposition(|(_, taken)| *taken > 0).map_or(0, |last| last + 1);
            self.chunks.truncate(end);
            self.chunks.shrink_to(2 * end);
        }
    }

    /// The value of a key, if it has one, to change it.
    pub fn get_mut(&mut self, key: usize) -> Option<&mut T> {
        self.chunks.get_mut(key / CHUNK)?.0.get_mut(key % CHUNK)?.as_mut()
    }

    /// Bytes held.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.filled * CHUNK * size_of::<Option<T>>()
            + self.chunks.capacity() * size_of::<(Box<[Option<T>]>, usize)>()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// A seeded walk of comings and goings, against a map.
    #[test]
    fn keys_are_the_lowest_chunks_and_stay_their_values_own() {
        let (mut slots, mut side, mut model) = (Slots::default(), SideTable::default(), BTreeMap::new());
        let mut random = 1_u64;
        for step in 0..60_000_u64 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(step | 1);
            let comes = (random >> 33) % 100 < if step / 15_000 % 2 == 0 { 70 } else { 30 };
            if comes {
                let vacant = slots.vacant_key();
                let key = slots.insert(step);
                side.put(key, step);
                assert_eq!(key, vacant);
                assert_eq!(model.insert(key, step), None, "a key is given once");
            } else if let Some((&key, _)) = model.range((random >> 40) as usize % 4096..).next() {
                assert_eq!(slots.try_remove(key), model.remove(&key));
                assert!(side.take(key).is_some() && side.get_mut(key).is_none());
            }
            assert_eq!(slots.len(), model.len());
            if step % 1_000 == 0 {
                slots.shrink();
                side.shrink();
            }
        }
        assert!(slots.iter().eq(model.iter().map(|(key, value)| (*key, value))));
        assert!(
            model
                .iter()
                .all(|(key, value)| slots[*key] == *value && side.get_mut(*key) == Some(&mut { *value }))
        );
        assert!(slots.get(1 << 40).is_none() && slots.try_remove(1 << 40).is_none());
    }

    #[test]
    fn what_is_left_is_given_back_and_used_again() {
        let (mut slots, mut side) = (Slots::default(), SideTable::default());
        for key in 0..100 * CHUNK {
            assert_eq!(slots.insert(Box::new(key)), key);
            side.put(key, Box::new(key));
        }
        let (full, beside) = (slots.bytes(), side.bytes());
        assert!((100 * CHUNK * 8..110 * CHUNK * 8).contains(&full));
        for key in 0..100 * CHUNK {
            slots.try_remove(key);
            side.take(key);
        }
        assert!(slots.is_empty() && slots.bytes() < full / 3 && side.bytes() < beside / 3);
        assert_eq!(
            slots.insert(Box::new(7)),
            CHUNK - 1,
            "the first chunk has room, the last freed place first"
        );
        slots.try_remove(CHUNK - 1);
        slots.shrink();
        side.shrink();
        assert_eq!((slots.bytes(), side.bytes()), (0, 0));
        assert_eq!(slots.insert(Box::new(8)), 0);
    }

    #[test]
    fn an_empty_first_chunk_is_given_back_though_others_are_not() {
        let (mut slots, mut side) = (Slots::default(), SideTable::default());
        for key in 0..=CHUNK {
            slots.insert(Box::new(key));
            side.put(key, Box::new(key));
        }
        for key in 0..CHUNK {
            slots.try_remove(key);
            side.take(key);
        }
        let before = (slots.bytes(), side.bytes());
        slots.shrink();
        side.shrink();
        assert!(slots.bytes() < before.0 && side.bytes() < before.1, "{before:?}");
        assert_eq!(slots.insert(Box::new(9)), 0);
        assert_eq!(*slots[CHUNK], CHUNK);
    }
}
