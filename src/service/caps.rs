//! The limits of presence that may change while it runs. Each worker's presence takes them over in its next turn.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Both limits in one word, so that nobody sees one without the other; 0: as the rules have them.
#[derive(Debug, Default)]
pub struct Caps(AtomicU64);

impl Caps {
    /// Sets how many connections a user may have at once, and how many commands one may send in a second.
    pub fn set(&self, connections_per_user: u32, commands_per_second: u32) {
        self.0.store(u64::from(connections_per_user) << 32 | u64::from(commands_per_second), Relaxed);
    }

    /// Both, where they were set.
    #[must_use]
    pub fn get(&self) -> Option<(u32, u32)> {
        let both = self.0.load(Relaxed);
        (both != 0).then_some(((both >> 32) as u32, (both & 0xffff_ffff) as u32))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_are_seen_as_they_were_set() {
        let caps = Caps::default();
        assert_eq!(caps.get(), None);
        caps.set(200, 1_000_000);
        assert_eq!(caps.get(), Some((200, 1_000_000)));
    }
}
