//! The places of our figures among a worker's counters.

/// [`Counters::service`](crate::reactor::counters::Counters): users that are not offline.
pub const USERS_GAUGE: usize = 0;
/// Rooms with members.
pub const ROOMS_GAUGE: usize = 1;
/// Processes of connections.
pub const EXEC_GAUGE: usize = 3;

/// How a figure of one worker is read.
pub(crate) type Figure = fn(&crate::reactor::counters::Counters) -> u64;
