//! The places of our figures among a worker's counters.

use crate::reactor::counters::SERVICE_GAUGES;

/// [`Counters::service`](crate::reactor::counters::Counters): users that are not offline.
pub const USERS_GAUGE: usize = 0;
/// Rooms with members.
pub const ROOMS_GAUGE: usize = 1;
/// Messages that rooms keep.
pub(crate) const HISTORY_GAUGE: usize = 2;
/// Processes of connections.
pub const EXEC_GAUGE: usize = 3;
/// The first of the counts of [`RECOVERY_LABELS`].
pub(crate) const RECOVERIES: usize = 4;

/// The first of the counts of [`SESSION_LABELS`].
pub(crate) const SESSIONS: usize = RECOVERIES + RECOVERY_LABELS.len();

/// Carriers of clients.
pub(crate) const SESSION_LABELS: [&str; 3] = ["websocket", "events", "poll"];
/// Outcomes of a `join` with `since`: all that was missed was there; the rest of it is to be asked for; some of it is lost.
pub(crate) const RECOVERY_LABELS: [&str; 3] = ["full", "paged", "lost"];

const _: () = assert!(SESSIONS + SESSION_LABELS.len() <= SERVICE_GAUGES);

/// How a figure of one worker is read.
pub(crate) type Figure = fn(&crate::reactor::counters::Counters) -> u64;
