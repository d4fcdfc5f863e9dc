//! The bytes that the rooms of one home keep together, and the room that gives some of them back where there are too many.
//!
//! Rooms stand in classes by their bytes, each of twice as many as the one before. It is a room of the highest class that gives back
//! its oldest messages: so a loud room pays for itself, and a quiet one loses nothing as long as another keeps twice as much. To find
//! one, or to change a room's class, takes as long with a million of them as with two.

/// Classes: 2^47 bytes are more than there are.
const CLASSES: usize = 48;

/// A room's class, and where it stands there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Place {
    class: u8,
    index: u32,
    /// Its bytes as they were counted last.
    bytes: usize,
    /// Its messages.
    messages: u64,
}

/// The bytes of a home's rooms.
#[derive(Debug)]
pub(crate) struct Shares {
    most: usize,
    bytes: usize,
    messages: u64,
    /// Rooms, by their slots.
    classes: [Vec<u32>; CLASSES],
}

impl Shares {
    pub(crate) const fn new(most: usize) -> Shares {
        Shares { most, bytes: 0, messages: 0, classes: [const { Vec::new() }; CLASSES] }
    }

    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) const fn messages(&self) -> u64 {
        self.messages
    }

    /// Whether there are too many bytes.
    pub(crate) const fn is_full(&self) -> bool {
        self.bytes > self.most
    }

    /// A room of the highest class.
    pub(crate) fn greatest(&self) -> Option<u32> {
        self.classes.iter().rev().find_map(|class| class.first().copied())
    }

    /// A room keeps so many bytes and messages now; `None`: none any more. Returns its place, and a room whose place has changed by that,
    /// with its index from now on.
    #[must_use]
    pub(crate) fn put(
        &mut self,
        slot: u32,
        before: Option<Place>,
        now: Option<(usize, u64)>,
    ) -> (Option<Place>, Option<(u32, u32)>) {
        if let Some(Place { bytes, messages, .. }) = before {
            self.bytes -= bytes;
            self.messages -= messages;
        }
        if let Some((bytes, messages)) = now {
            self.bytes += bytes;
            self.messages += messages;
        }
        let class = now.map(|(bytes, _)| (bytes.max(1).ilog2() as u8).min(CLASSES as u8 - 1));
        if let (Some(place), Some(class), Some((bytes, messages))) = (before, class, now)
            && place.class == class
        {
            return (Some(Place { bytes, messages, ..place }), None);
        }
        let moved = before.and_then(|Place { class, index, .. }| {
            let class = &mut self.classes[usize::from(class)];
            class.swap_remove(index as usize);
            if class.capacity() > 4 * class.len() + 64 {
                class.shrink_to(2 * class.len());
            }
            class.get(index as usize).map(|slot| (*slot, index))
        });
        let place = class.zip(now).map(|(class, (bytes, messages))| {
            let all = &mut self.classes[usize::from(class)];
            all.push(slot);
            Place { class, index: all.len() as u32 - 1, bytes, messages }
        });
        (place, moved)
    }
}

impl Place {
    /// Another room has left its class.
    pub(crate) const fn set_index(&mut self, index: u32) {
        self.index = index;
    }
}
