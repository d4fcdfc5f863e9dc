//! The names of processes: in the worker's table, for the guard, and of the descriptors that are watched.

use crate::reactor::processes::ProcessId;

const PLACE_BITS: u32 = 24;
pub(super) const SERIAL_BITS: u32 = 30;
const ROLE_SHIFT: u32 = PLACE_BITS + SERIAL_BITS;
/// The number of the link to the guard.
pub(super) const LINK: u64 = (Role::Link as u64) << ROLE_SHIFT;

/// A process's place, and the number that tells it from an earlier one there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Key {
    pub(super) place: u32,
    pub(super) serial: u32,
}

/// The use of a watched descriptor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Role {
    Input,
    Output,
    Errors,
    Link,
}

impl Key {
    /// The process's number for the guard.
    pub(super) fn id(self) -> ProcessId {
        ProcessId(u64::from(self.serial) << PLACE_BITS | u64::from(self.place))
    }

    #[expect(clippy::cast_possible_truncation, reason = "each is masked")]
    pub(super) fn of_id(ProcessId(id): ProcessId) -> Key {
        let mask = |bits: u32| (1 << bits) - 1;
        Key { place: (id & mask(PLACE_BITS)) as u32, serial: (id >> PLACE_BITS & mask(SERIAL_BITS)) as u32 }
    }

    /// The number of one of its descriptors.
    pub(super) fn watch(self, role: Role) -> u64 {
        self.id().0 | (role as u64) << ROLE_SHIFT
    }
}

impl Role {
    pub(super) fn of_watch(number: u64) -> Role {
        match number >> ROLE_SHIFT {
            0 => Role::Input,
            1 => Role::Output,
            2 => Role::Errors,
            _ => Role::Link,
        }
    }
}
