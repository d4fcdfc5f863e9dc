//! The limits of presence that may change while it runs. Each worker's presence takes them over in its next turn.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The limits, as they were set together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PresenceLimits {
    /// Connections that a user may have at once: fewer than 2^8.
    pub connections_per_user: u32,
    /// Commands that one may send in a second: fewer than 2^24.
    pub commands_per_second: u32,
    /// Bytes of `data` in a `say`, a `tell` or a broadcast.
    pub data_bytes: u32,
}

/// All of them in one word, so that nobody sees one without the others; 0: as the rules have them.
#[derive(Debug, Default)]
pub struct LiveLimits(AtomicU64);

impl LiveLimits {
    /// Sets them.
    pub fn set(&self, limits: PresenceLimits) {
        let connections = u64::from(limits.connections_per_user.min(0xff));
        let commands = u64::from(limits.commands_per_second.min(0xff_ffff));
        self.0.store(connections << 56 | commands << 32 | u64::from(limits.data_bytes), Relaxed);
    }

    /// The limits that were set, if any were.
    #[must_use]
    pub fn get(&self) -> Option<PresenceLimits> {
        let all = self.0.load(Relaxed);
        (all != 0).then_some(PresenceLimits {
            connections_per_user: (all >> 56) as u32,
            commands_per_second: (all >> 32 & 0xff_ffff) as u32,
            data_bytes: (all & 0xffff_ffff) as u32,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_are_seen_as_they_were_set() {
        let live_limits = LiveLimits::default();
        assert_eq!(live_limits.get(), None);
        let limits =
            PresenceLimits { connections_per_user: 200, commands_per_second: 1_000_000, data_bytes: 1 << 30 };
        live_limits.set(limits);
        assert_eq!(live_limits.get(), Some(limits));
    }
}
