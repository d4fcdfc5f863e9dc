//! Some messages behind one another in one piece of memory: what is read is read from the first on, and one that is deleted is left
//! out when the block is written anew.
//!
//! A message is its length, a byte of flags, ticks since the block's first message, milliseconds by which its time of day differs
//! from what these say, its author, its id, and its content. Numbers are varints. An author stands once in a block; further messages
//! say where. A line of a chat takes some 8 bytes beyond its content.

use std::str;

use crate::presence::data::Data;
use crate::time::{TICK_MILLIS, Tick};

/// Bytes from which on a block takes no further message.
const BLOCK_BYTES: usize = 1_024;
/// Messages of a block: each is passed over on the way to those behind it.
const BLOCK_MESSAGES: u32 = 64;
/// Bytes that a block takes beside those of its messages: its place, and what the allocator adds.
const BLOCK_OVERHEAD: usize = size_of::<Block>() + 16;

const HAS_AUTHOR: u8 = 1;
/// The author stands at a place before.
const IS_BEFORE: u8 = 2;
const HAS_ID: u8 = 4;
const IS_BINARY: u8 = 8;
const IS_DELETED: u8 = 16;
const IS_BARE: u8 = 32;

/// The part of a message's data that is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Content<'a> {
    Json(&'a str),
    Binary(&'a [u8]),
    /// Its author was deleted.
    Deleted,
    /// Nothing: the room keeps ids alone.
    Bare,
}

impl<'a> Content<'a> {
    pub(crate) const fn of(data: &'a Data) -> Content<'a> {
        match data {
            Data::Json(text) => Content::Json(text),
            Data::Binary(bytes) => Content::Binary(bytes),
        }
    }

    const fn bytes(&self) -> &'a [u8] {
        match self {
            Content::Json(text) => text.as_bytes(),
            Content::Binary(bytes) => bytes,
            Content::Deleted | Content::Bare => &[],
        }
    }

    pub(crate) fn data(&self) -> Option<Data> {
        match *self {
            Content::Json(text) => Some(Data::Json(text.into())),
            Content::Binary(bytes) => Some(Data::Binary(bytes.into())),
            Content::Deleted | Content::Bare => None,
        }
    }
}

/// A message as it is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Kept<'a> {
    pub(crate) tick: Tick,
    pub(crate) unix_millis: u64,
    pub(crate) from: Option<&'a str>,
    pub(crate) id: Option<&'a str>,
    pub(crate) content: Content<'a>,
}

/// Messages behind one another.
#[derive(Debug)]
pub(super) struct Block {
    /// The offset of the first.
    first: u64,
    /// The time of day of the first.
    unix_millis: u64,
    tick: Tick,
    /// Of the last.
    last: Tick,
    messages: u32,
    bytes: Vec<u8>,
}

impl Block {
    pub(super) fn new(first: u64, tick: Tick, unix_millis: u64) -> Block {
        Block { first, unix_millis, tick, last: tick, messages: 0, bytes: Vec::new() }
    }

    pub(super) const fn first(&self) -> u64 {
        self.first
    }

    /// The offset behind that of its last message.
    pub(super) fn end(&self) -> u64 {
        self.first + u64::from(self.messages)
    }

    pub(super) const fn last_tick(&self) -> Tick {
        self.last
    }

    /// Bytes that it takes.
    pub(super) fn size(&self) -> usize {
        BLOCK_OVERHEAD + self.bytes.capacity()
    }

    /// Bytes that are read to read all of it.
    pub(super) const fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether a message of that content may stand in it, too.
    pub(super) fn has_room_for(&self, message: &Kept<'_>) -> bool {
        self.messages == 0
            || (self.messages < BLOCK_MESSAGES
                && self.bytes.len() + message.content.bytes().len() < BLOCK_BYTES
                && message.tick.since(self.tick) < u32::MAX / 4)
    }

    /// Gives back what no message needs any more: none comes.
    pub(super) fn seal(&mut self) {
        self.bytes.shrink_to_fit();
    }

    pub(super) fn push(&mut self, message: &Kept<'_>) {
        let Kept { tick, unix_millis, from, id, content } = *message;
        let before = from.and_then(|from| self.place_of(from));
        let mut head = Vec::with_capacity(32);
        let mut flags = match content {
            Content::Json(_) => 0,
            Content::Binary(_) => IS_BINARY,
            Content::Deleted => IS_DELETED,
            Content::Bare => IS_BARE,
        };
        flags |= if from.is_some() { HAS_AUTHOR } else { 0 };
        flags |= if before.is_some() { IS_BEFORE } else { 0 };
        flags |= if id.is_some() { HAS_ID } else { 0 };
        head.push(flags);
        let ticks = tick.since(self.tick);
        put(&mut head, ticks.into());
        put(&mut head, zigzag(unix_millis, self.expected(ticks)));
        match (from, before) {
            (_, Some(place)) => put(&mut head, place as u64),
            (Some(from), None) => put_text(&mut head, from),
            (None, None) => {}
        }
        if let Some(id) = id {
            put_text(&mut head, id);
        }
        let data = content.bytes();
        // Of one that is alone in its block nothing is to be given back.
        let need = 5 + head.len() + data.len();
        if self.messages == 0 && need > BLOCK_BYTES / 2 {
            self.bytes.reserve_exact(need);
        }
        put(&mut self.bytes, (head.len() + data.len()) as u64);
        self.bytes.extend_from_slice(&head);
        self.bytes.extend_from_slice(data);
        self.messages += 1;
        self.last = tick;
    }

    /// The time of day that so many ticks behind the first message say.
    fn expected(&self, ticks: u32) -> u64 {
        self.unix_millis.wrapping_add(u64::from(ticks) * TICK_MILLIS)
    }

    /// Its messages, with their offsets.
    pub(super) fn iter(&self) -> Messages<'_> {
        Messages { block: self, at: 0, offset: self.first }
    }

    /// The place at which an author stands.
    fn place_of(&self, author: &str) -> Option<usize> {
        let mut messages = self.iter();
        while let Some((place, message)) = messages.step() {
            if place.is_some() && message.from == Some(author) {
                return place;
            }
        }
        None
    }

    /// Deletes what an author said, and returns how many messages that were.
    pub(super) fn erase(&mut self, author: &str) -> usize {
        if self.place_of(author).is_none() {
            return 0;
        }
        let mut block = Block::new(self.first, self.tick, self.unix_millis);
        let mut erased = 0;
        for (_, message) in self.iter() {
            let is_theirs = message.from == Some(author);
            erased += usize::from(is_theirs);
            let deleted = Kept { from: None, id: None, content: Content::Deleted, ..message };
            block.push(if is_theirs { &deleted } else { &message });
        }
        block.seal();
        *self = block;
        erased
    }
}

/// The messages of a block.
pub(super) struct Messages<'a> {
    block: &'a Block,
    at: usize,
    offset: u64,
}

impl<'a> Messages<'a> {
    /// The next message; and where its author stands, if that is in it.
    fn step(&mut self) -> Option<(Option<usize>, Kept<'a>)> {
        let all = &*self.block.bytes;
        let mut reader = Reader { bytes: all, at: self.at };
        let len = reader.number()? as usize;
        let end = reader.at.checked_add(len)?;
        let flags = reader.byte()?;
        let ticks = u32::try_from(reader.number()?).ok()?;
        let unix_millis = unzigzag(reader.number()?, self.block.expected(ticks));
        let mut place = None;
        let from = match (flags & HAS_AUTHOR != 0, flags & IS_BEFORE != 0) {
            (false, _) => None,
            (true, true) => Some(Reader { bytes: all, at: reader.number()? as usize }.text()?),
            (true, false) => {
                place = Some(reader.at);
                Some(reader.text()?)
            }
        };
        let id = if flags & HAS_ID != 0 { Some(reader.text()?) } else { None };
        let data = all.get(reader.at..end)?;
        let content = match flags & (IS_BINARY | IS_DELETED | IS_BARE) {
            0 => Content::Json(str::from_utf8(data).ok()?),
            IS_BINARY => Content::Binary(data),
            IS_DELETED => Content::Deleted,
            _ => Content::Bare,
        };
        self.at = end;
        Some((place, Kept { tick: self.block.tick.after(ticks), unix_millis, from, id, content }))
    }
}

impl<'a> Iterator for Messages<'a> {
    type Item = (u64, Kept<'a>);

    fn next(&mut self) -> Option<(u64, Kept<'a>)> {
        let (_, message) = self.step()?;
        self.offset += 1;
        Some((self.offset - 1, message))
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn byte(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    /// A number of seven bits a byte, the lowest first; the last has its highest bit clear.
    fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    fn text(&mut self) -> Option<&'a str> {
        let len = self.number()? as usize;
        let text = self.bytes.get(self.at..self.at.checked_add(len)?)?;
        self.at += len;
        str::from_utf8(text).ok()
    }
}

fn put(to: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        to.push(number as u8 | 0x80);
        number >>= 7;
    }
    to.push(number as u8);
}

fn put_text(to: &mut Vec<u8>, text: &str) {
    put(to, text.len() as u64);
    to.extend_from_slice(text.as_bytes());
}

/// How far a number lies from another, small where that is little, whichever is greater.
const fn zigzag(number: u64, from: u64) -> u64 {
    let by = number.wrapping_sub(from) as i64;
    ((by << 1) ^ (by >> 63)) as u64
}

const fn unzigzag(by: u64, from: u64) -> u64 {
    from.wrapping_add((by >> 1) ^ (by & 1).wrapping_neg())
}
