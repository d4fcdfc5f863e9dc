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

/// The serial numbers that lie between the first ones of two incarnations in a row: all there are, divided by the golden ratio. So any
/// few in a row have theirs far from each other; and as it is odd, all numbers get their turn.
const SERIALS_APART: u32 = 331_804_471;

/// The serial number behind which those of an incarnation begin. Where incarnations are counted up by one, no two of eleven in a row
/// give the same number to a client before one of them has had 29 million.
#[expect(clippy::cast_possible_truncation, reason = "the serial numbers begin anew after so many")]
pub(crate) const fn first_serial(incarnation: u64) -> u32 {
    (incarnation as u32).wrapping_mul(SERIALS_APART) & SERIAL_MASK
}

/// A serial number that fits a timer's key.
pub(crate) const fn next_serial(serial: u32) -> u32 {
    serial.wrapping_add(1) & SERIAL_MASK
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIENTS: u32 = 29_000_000;

    #[test]
    fn incarnations_in_a_row_have_serial_numbers_of_their_own() {
        for incarnation in [0, 1, 2, 1_000, u64::from(u32::MAX) - 3] {
            for later in 1..=10 {
                let (one, other) = (first_serial(incarnation), first_serial(incarnation + later));
                let ahead = other.wrapping_sub(one) & SERIAL_MASK;
                assert!(ahead.min(one.wrapping_sub(other) & SERIAL_MASK) >= CLIENTS, "{later}: {ahead}");
            }
        }
    }
}
