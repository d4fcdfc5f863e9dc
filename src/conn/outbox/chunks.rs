//! A queue of chunks in blocks. A room's stuck members all wait for the same messages: one array each would have to grow
//! for all of them in the same turn, which then takes tens of milliseconds. A block more is one small allocation.

use std::collections::VecDeque;

use crate::wire::shared::SharedFrame;

/// Chunks of a block that is not the last: a further one begins another.
const BLOCK_CHUNKS: usize = 64;

/// Bytes that leave together, in order.
#[derive(Clone, Debug)]
pub enum Chunk {
    /// Whole frames.
    Frames(Vec<u8>),
    /// One whole frame, shared with other connections.
    Shared(SharedFrame),
    /// Not frames: nothing may overtake inside.
    Opaque(Box<[u8]>),
}

impl Chunk {
    /// Its bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        match self {
            Chunk::Frames(bytes) => bytes,
            Chunk::Opaque(bytes) => bytes,
            Chunk::Shared(frame) => frame.bytes(),
        }
    }

    /// Bytes of memory that no other connection refers to.
    fn owned_bytes(&self) -> usize {
        match self {
            Chunk::Frames(bytes) => bytes.capacity(),
            Chunk::Opaque(bytes) => bytes.len(),
            Chunk::Shared(_) => 0,
        }
    }
}

/// The queue. No block is empty.
#[derive(Debug, Default)]
pub(crate) struct ChunkQueue(VecDeque<VecDeque<Chunk>>);

impl ChunkQueue {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there are; walks the blocks.
    pub(crate) fn len(&self) -> usize {
        self.0.iter().map(VecDeque::len).sum()
    }

    pub(crate) fn front(&self) -> Option<&Chunk> {
        self.0.front()?.front()
    }

    pub(crate) fn front_mut(&mut self) -> Option<&mut Chunk> {
        self.0.front_mut()?.front_mut()
    }

    pub(crate) fn back_mut(&mut self) -> Option<&mut Chunk> {
        self.0.back_mut()?.back_mut()
    }

    pub(crate) fn push_back(&mut self, chunk: Chunk) {
        match self.0.back_mut() {
            Some(block) if block.len() < BLOCK_CHUNKS => block.push_back(chunk),
            // A queue that has filled a block will likely fill this one; the first grows from a few.
            Some(_) => {
                let mut block = VecDeque::with_capacity(BLOCK_CHUNKS);
                block.push_back(chunk);
                self.0.push_back(block);
            }
            None => self.0.push_back(VecDeque::from([chunk])),
        }
    }

    pub(crate) fn pop_front(&mut self) -> Option<Chunk> {
        let block = self.0.front_mut()?;
        let chunk = block.pop_front();
        if block.is_empty() {
            self.0.pop_front();
        }
        chunk
    }

    /// Puts a chunk in front of the one at `place`, or behind the last.
    pub(crate) fn insert(&mut self, mut place: usize, chunk: Chunk) {
        for block in &mut self.0 {
            if place <= block.len() {
                return block.insert(place, chunk);
            }
            place -= block.len();
        }
        self.push_back(chunk);
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Chunk> {
        self.0.iter().flatten()
    }

    /// Bytes of memory that belong to this queue alone.
    pub(crate) fn owned_bytes(&self) -> usize {
        let places: usize = self.0.iter().map(VecDeque::capacity).sum();
        self.0.capacity() * size_of::<VecDeque<Chunk>>()
            + places * size_of::<Chunk>()
            + self.iter().map(Chunk::owned_bytes).sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(n: usize) -> Chunk {
        Chunk::Opaque(n.to_be_bytes().as_slice().into())
    }

    fn numbers(chunks: &ChunkQueue) -> Vec<usize> {
        chunks.iter().map(|chunk| usize::from_be_bytes(chunk.bytes().try_into().unwrap())).collect()
    }

    #[test]
    fn blocks_are_one_queue_wherever_one_puts_or_takes() {
        for place in 0..=3 * BLOCK_CHUNKS + 5 {
            let mut chunks = ChunkQueue::default();
            let mut expected: VecDeque<usize> = (0..3 * BLOCK_CHUNKS + 5).collect();
            expected.iter().for_each(|n| chunks.push_back(chunk(*n)));
            chunks.insert(place, chunk(999));
            expected.insert(place, 999);
            assert_eq!((numbers(&chunks), chunks.len()), (expected.clone().into(), expected.len()));
            while let Some(taken) = chunks.pop_front() {
                assert_eq!(taken.bytes(), expected.pop_front().unwrap().to_be_bytes());
                assert_eq!(chunks.front().is_none(), chunks.is_empty());
            }
            assert!(expected.is_empty() && chunks.is_empty());
        }
    }

    #[test]
    fn growing_never_moves_what_is_queued_but_for_the_first_block() {
        let mut chunks = ChunkQueue::default();
        (0..100 * BLOCK_CHUNKS).for_each(|n| chunks.push_back(chunk(n)));
        let room: Vec<usize> = chunks.0.iter().map(VecDeque::capacity).collect();
        assert!(room.iter().all(|places| *places <= 2 * BLOCK_CHUNKS), "{room:?}");
    }
}
