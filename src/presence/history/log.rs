//! A log of a room's last messages, in blocks: a message is found by its offset in the logarithm of their number and one block, and
//! the oldest go block by block.

use std::collections::VecDeque;

use crate::presence::history::block::{Block, Kept};
use crate::time::Tick;

/// The last messages of a room. Their offsets follow each other: `first..next`.
#[derive(Debug)]
pub(crate) struct Log {
    blocks: VecDeque<Block>,
    /// The oldest that counts: those before it in its block are there, and are not shown any more.
    first: u64,
    next: u64,
    bytes: usize,
}

impl Log {
    /// A log whose first message will have that offset.
    pub(crate) const fn new(next: u64) -> Log {
        Log { blocks: VecDeque::new(), first: next, next, bytes: 0 }
    }

    pub(crate) const fn first(&self) -> u64 {
        self.first
    }

    /// The offset that the next message will have.
    pub(crate) const fn next(&self) -> u64 {
        self.next
    }

    pub(crate) const fn len(&self) -> u64 {
        self.next - self.first
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.first == self.next
    }

    /// Bytes of memory.
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn push(&mut self, message: &Kept<'_>) {
        if self.blocks.back().is_none_or(|block| !block.has_room_for(message)) {
            if let Some(block) = self.blocks.back_mut() {
                self.bytes -= block.size();
                block.seal();
                self.bytes += block.size();
            }
            let block = Block::new(self.next, message.tick, message.unix_millis);
            self.bytes += block.size();
            self.blocks.push_back(block);
        }
        if let Some(block) = self.blocks.back_mut() {
            self.bytes -= block.size();
            block.push(message);
            self.bytes += block.size();
        }
        self.next += 1;
    }

    /// Messages before that one count no more. Blocks of them go, so many at most; says whether there are more.
    pub(crate) fn trim(&mut self, first: u64, blocks: usize) -> bool {
        self.first = self.first.max(first.min(self.next));
        for _ in 0..blocks {
            if self.blocks.front().is_none_or(|block| block.end() > self.first) {
                return false;
            }
            self.drop_block();
        }
        self.blocks.front().is_some_and(|block| block.end() <= self.first)
    }

    fn drop_block(&mut self) {
        let Some(block) = self.blocks.pop_front() else { return };
        self.bytes -= block.size();
        self.first = self.first.max(block.end());
        if self.blocks.is_empty() {
            self.blocks = VecDeque::new();
        }
    }

    /// The oldest block goes.
    pub(crate) fn trim_block(&mut self) {
        self.drop_block();
    }

    /// The offset behind those of the oldest block.
    pub(crate) fn block_end(&self) -> u64 {
        self.blocks.front().map_or(self.next, Block::end)
    }

    /// Messages as old as that count no more; as for [`Log::trim`].
    pub(crate) fn expire(&mut self, now: Tick, age: u32, blocks: usize) -> bool {
        for _ in 0..blocks {
            if self.blocks.front().is_none_or(|block| now.since(block.last_tick()) < age) {
                break;
            }
            self.drop_block();
        }
        let Some(block) = self.blocks.front() else { return false };
        if now.since(block.last_tick()) >= age {
            return true;
        }
        let is_old = |(_, message): &(u64, Kept<'_>)| now.since(message.tick) >= age;
        let first = block.first() + block.iter().take_while(is_old).count() as u64;
        self.first = self.first.max(first);
        false
    }

    /// When the last message of the oldest block was said.
    pub(crate) fn oldest_block(&self) -> Option<Tick> {
        self.blocks.front().map(Block::last_tick)
    }

    /// The messages from an offset on.
    pub(crate) fn from(&self, offset: u64) -> impl Iterator<Item = (u64, Kept<'_>)> {
        let offset = offset.max(self.first);
        let at = self.blocks.partition_point(|block| block.end() <= offset);
        self.blocks.range(at..).flat_map(Block::iter).skip_while(move |(at, _)| *at < offset)
    }

    /// A message.
    pub(crate) fn get(&self, offset: u64) -> Option<Kept<'_>> {
        self.from(offset).next().filter(|(at, _)| *at == offset).map(|(_, message)| message)
    }

    /// The offset from which on the messages before another take no more than so many bytes, by what each takes, and are no more than
    /// so many.
    pub(crate) fn start(
        &self,
        before: u64,
        most: u64,
        bytes: usize,
        bytes_of: impl Fn(&Kept<'_>) -> usize,
    ) -> u64 {
        let before = before.min(self.next);
        let floor = self.first.max(before.saturating_sub(most)).min(before);
        let (mut start, mut left) = (before, bytes);
        let mut at = self.blocks.partition_point(|block| block.first() < before);
        let mut sizes = Vec::new();
        while at > 0 && start > floor {
            at -= 1;
            sizes.clear();
            let within = self.blocks[at].iter().filter(|(offset, _)| (floor..start).contains(offset));
            sizes.extend(within.map(|(_, message)| bytes_of(&message)));
            for size in sizes.iter().rev() {
                match left.checked_sub(*size) {
                    Some(rest) => (left, start) = (rest, start - 1),
                    None => return start,
                }
            }
        }
        start
    }

    /// Deletes what an author said in blocks from one on, until so many bytes are read. Returns how many messages that were, and the block
    /// to go on with; `None`: that was all.
    pub(crate) fn erase(&mut self, author: &str, from: u64, bytes: &mut usize) -> (usize, Option<u64>) {
        let mut erased = 0;
        let mut at = self.blocks.partition_point(|block| block.end() <= from);
        while let Some(block) = self.blocks.get_mut(at) {
            if *bytes == 0 {
                return (erased, Some(block.first()));
            }
            *bytes = bytes.saturating_sub(block.len() + 64);
            self.bytes -= block.size();
            erased += block.erase(author);
            self.bytes += block.size();
            at += 1;
        }
        (erased, None)
    }
}
