//! The timers of a node, as keys of its wheel.

use crate::presence::address::ClientId;

/// The purpose of a timer; an old serial makes it void.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Timer {
    /// The grace of a user's connection.
    User { slot: u32, serial: u32 },
    /// The grace of a room's member.
    Room { slot: u32, serial: u32 },
    /// A big room's count.
    Count { slot: u32, serial: u32 },
    /// A page's own heartbeat.
    Page { slot: u32, serial: u32 },
    /// A token's end, or the end of the time to show one.
    Token { slot: u32, serial: u32 },
    /// The end of the info that a user's connection set.
    Info { slot: u32, serial: u32 },
    /// The age of the oldest messages of a room.
    History { slot: u32, serial: u32 },
}

/// Serials are kept in 29 bits of a timer's key.
const SERIAL_MASK: u32 = (1 << 29) - 1;

impl Timer {
    /// The timer of a client's page.
    pub(crate) const fn page(client: ClientId) -> Timer {
        Timer::Page { slot: client.slot, serial: client.serial }
    }

    pub(crate) fn key(self) -> u64 {
        let (kind, slot, serial) = match self {
            Timer::User { slot, serial } => (0, slot, serial),
            Timer::Room { slot, serial } => (1, slot, serial),
            Timer::Count { slot, serial } => (2, slot, serial),
            Timer::Page { slot, serial } => (3, slot, serial),
            Timer::Token { slot, serial } => (4, slot, serial),
            Timer::Info { slot, serial } => (5, slot, serial),
            Timer::History { slot, serial } => (6, slot, serial),
        };
        kind << 61 | u64::from(serial & SERIAL_MASK) << 32 | u64::from(slot)
    }

    #[expect(clippy::cast_possible_truncation, reason = "the parts of the key")]
    pub(crate) fn of_key(key: u64) -> Timer {
        let (slot, serial) = (key as u32, (key >> 32) as u32 & SERIAL_MASK);
        match key >> 61 {
            0 => Timer::User { slot, serial },
            1 => Timer::Room { slot, serial },
            2 => Timer::Count { slot, serial },
            3 => Timer::Page { slot, serial },
            4 => Timer::Token { slot, serial },
            5 => Timer::Info { slot, serial },
            _ => Timer::History { slot, serial },
        }
    }
}

/// A serial number that fits a timer's key.
pub(crate) const fn next_serial(serial: u32) -> u32 {
    serial.wrapping_add(1) & SERIAL_MASK
}
