//! How long a test waits, and how many seeds it tries.

use std::ops::Range;
use std::time::Duration;

/// Longer than anything takes that happens at all, on a slow machine that has much else to do: some sixty times what the
/// slowest of it takes on an idle one. What is waited for for longer has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A number from the environment.
pub(crate) fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|error| panic!("{variable}={text}: {error}")))
}

/// The seeds of a simulation: one with `ROLLCALL_SEED=7`, else as many as `ROLLCALL_SEEDS` says, or the usual number.
pub(crate) fn seeds(usual: u64) -> Range<u64> {
    match number("ROLLCALL_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("ROLLCALL_SEEDS").unwrap_or(usual),
    }
}
