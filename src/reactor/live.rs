//! Limits that may change while the server runs. They are set in one place, and each worker takes them over as its next turn
//! begins; between two changes that costs it one load of an atomic a turn. Nothing is undone that was begun under the old
//! ones: who is in stays in, and a deadline that was set stands.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Acquire, Ordering::Release};
use std::time::Duration;

use arc_swap::ArcSwapOption;

use crate::limits::MessageLimits;
use crate::reactor::addresses::AddressLimits;
use crate::reactor::config::Config;

/// The settings of [`Config`] that may change; each means what it means there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "they are described in Config")]
pub struct Limits {
    pub max_connections: usize,
    pub addresses: AddressLimits,
    pub max_memory_bytes: Option<u64>,
    pub max_backlog_bytes: usize,
    pub max_head_bytes: usize,
    pub messages: MessageLimits,
    pub handshake_timeout: Duration,
    pub close_timeout: Duration,
    pub message_timeout: Duration,
}

impl Limits {
    /// The limits of a configuration.
    #[must_use]
    pub const fn of(config: &Config) -> Limits {
        Limits {
            max_connections: config.max_connections,
            addresses: config.addresses,
            max_memory_bytes: config.max_memory_bytes,
            max_backlog_bytes: config.max_backlog_bytes,
            max_head_bytes: config.max_head_bytes,
            messages: config.messages,
            handshake_timeout: config.handshake_timeout,
            close_timeout: config.close_timeout,
            message_timeout: config.message_timeout,
        }
    }

    /// The configuration with these.
    pub(crate) fn apply(self, config: &mut Config) {
        let Limits { max_connections, addresses, max_memory_bytes, .. } = self;
        (config.max_connections, config.addresses) = (max_connections, addresses);
        config.max_memory_bytes = max_memory_bytes;
        config.max_backlog_bytes = self.max_backlog_bytes;
        config.max_head_bytes = self.max_head_bytes;
        config.messages = self.messages;
        config.handshake_timeout = self.handshake_timeout;
        config.close_timeout = self.close_timeout;
        config.message_timeout = self.message_timeout;
    }
}

/// The limits that were set last, and how often they were set.
#[derive(Debug, Default)]
pub(crate) struct Live {
    version: AtomicU32,
    latest: ArcSwapOption<Limits>,
}

impl Live {
    /// Sets them for who looks next.
    pub(crate) fn set(&self, limits: Limits) {
        self.latest.store(Some(Arc::new(limits)));
        self.version.fetch_add(1, Release);
    }

    /// The latest, where something was set since `seen`, which is brought up to date.
    pub(crate) fn since(&self, seen: &mut u32) -> Option<Limits> {
        let version = self.version.load(Acquire);
        if version == *seen {
            return None;
        }
        *seen = version;
        self.latest.load().as_deref().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_of_them_are_taken_over_once() {
        let other = Limits {
            max_connections: 1,
            addresses: AddressLimits { connections: 2, handshakes: 3 },
            max_memory_bytes: Some(4),
            max_backlog_bytes: 5,
            max_head_bytes: 6,
            messages: MessageLimits { max_message_bytes: 7, max_frame_bytes: 8, max_fragments: 9 },
            handshake_timeout: Duration::from_secs(10),
            close_timeout: Duration::from_secs(11),
            message_timeout: Duration::from_secs(12),
        };
        let (live, mut seen) = (Live::default(), 0);
        assert_eq!(live.since(&mut seen), None);
        live.set(other);
        let mut config = Config::default();
        live.since(&mut seen).unwrap().apply(&mut config);
        assert_eq!(Limits::of(&config), other);
        assert_eq!(live.since(&mut seen), None);
    }
}
