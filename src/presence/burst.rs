//! The burst that a connection may send at once, and the rate at which it refills.

use crate::limits::COMMANDS_BURST_SECONDS;
use crate::presence::rules::Rules;
use crate::time::TICK_MILLIS;

/// The price of a command in a connection's credit: with ticks of 10 ms it earns in each as much as it may send commands in
/// a second.
pub(crate) const COMMAND_CREDIT: u32 = (1_000 / TICK_MILLIS) as u32;

/// A connection's credit for commands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Burst {
    /// The credit after a quiet time.
    pub most: u32,
    /// The credit earned in a tick.
    pub per_tick: u32,
}

impl Burst {
    /// The burst under these rules.
    #[must_use]
    pub const fn of(rules: &Rules) -> Burst {
        let per_tick = rules.commands_per_second;
        Burst { most: per_tick.saturating_mul(COMMAND_CREDIT * COMMANDS_BURST_SECONDS), per_tick }
    }
}
