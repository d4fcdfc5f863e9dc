//! What a connection may send at once, and how fast it may again.

use crate::limits::COMMANDS_BURST_SECONDS;
use crate::presence::rules::Rules;
use crate::time::TICK_MILLIS;

/// What a command takes of a connection's credit: with ticks of 10 ms it earns in each as much as it may send commands in a
/// second.
pub(crate) const COMMAND_CREDIT: u32 = (1_000 / TICK_MILLIS) as u32;

/// A connection's credit for commands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Burst {
    /// What it has after a quiet time.
    pub most: u32,
    /// What it earns in a tick.
    pub per_tick: u32,
}

impl Burst {
    /// What these rules give.
    #[must_use]
    pub const fn of(rules: &Rules) -> Burst {
        let per_tick = rules.commands_per_second;
        Burst { most: per_tick.saturating_mul(COMMAND_CREDIT * COMMANDS_BURST_SECONDS), per_tick }
    }
}
