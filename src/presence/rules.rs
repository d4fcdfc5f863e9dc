//! The rules of presence.

use std::sync::Arc;

use crate::limits::{
    BIG_ROOM_MEMBERS, BIG_ROOM_NAMES_PER_SECOND, COMMANDS_PER_SECOND_MAX, CONNECTIONS_PER_USER_MAX,
    DATA_BYTES_MAX, DATA_BYTES_PER_COMMAND, HISTORY_BYTES_MAX, ROOM_BURST_PART, ROOM_SPEAKERS_MAX,
};
use crate::presence::command::Command;
use crate::presence::data::SentData;
use crate::presence::grants::Pattern;
use crate::presence::refusal::CommandRefusal;
use crate::time::TICK_MILLIS;

/// Rooms that keep what was said.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HistoryRule {
    /// Which rooms.
    pub pattern: Pattern,
    /// Messages that each keeps: 1 to [`HISTORY_COUNT_MAX`](crate::limits::HISTORY_COUNT_MAX).
    pub count: u32,
    /// Ticks for which a message is kept: at most those of [`HISTORY_AGE_SECONDS_MAX`](crate::limits::HISTORY_AGE_SECONDS_MAX).
    pub age: u32,
}

/// The rules of presence.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Ticks for which a connection that closed or broke may come back unnoticed.
    pub grace: u32,
    /// Ticks of silence of a page's own heartbeat after which its connection is away; `None`: a page's heartbeats decide nothing.
    pub page_silence: Option<u32>,
    /// Connections that one user has at once; see [`Node::set_limits`](crate::presence::Node::set_limits).
    pub connections_per_user: usize,
    /// Commands that a connection may send in a second, over some seconds; at most 1,000,000. Each
    /// [`DATA_BYTES_PER_COMMAND`] of `data` that it has relayed to others count as one.
    pub commands_per_second: u32,
    /// Bytes of `data` in a `say`, a `tell` or a broadcast.
    pub data_bytes: usize,
    /// Users see only those they share a room with, and whom their tokens name; else everybody sees everybody.
    pub restricted: bool,
    /// Members of a room beyond which it is big: see [`BIG_ROOM_MEMBERS`].
    pub big_room: usize,
    /// Names told to a big room in a second, times its members: see [`BIG_ROOM_NAMES_PER_SECOND`].
    pub big_room_names: usize,
    /// Rooms that keep what was said: the first rule that fits a room counts.
    pub history: Arc<[HistoryRule]>,
    /// Bytes of history of all rooms, an equal share of them at each worker.
    pub history_bytes: usize,
    /// The heartbeat that `welcome` tells of: interval and time-out in milliseconds.
    pub heartbeat_millis: (u64, u64),
}

impl Default for Rules {
    fn default() -> Self {
        Rules {
            grace: 500,
            page_silence: None,
            connections_per_user: CONNECTIONS_PER_USER_MAX,
            commands_per_second: COMMANDS_PER_SECOND_MAX,
            data_bytes: DATA_BYTES_MAX,
            restricted: false,
            big_room: BIG_ROOM_MEMBERS,
            big_room_names: BIG_ROOM_NAMES_PER_SECOND,
            history: Arc::default(),
            history_bytes: HISTORY_BYTES_MAX,
            heartbeat_millis: (25_000, 20_000),
        }
    }
}

impl Rules {
    /// Bytes of `data` that a room carries in a tick, and at once.
    pub(crate) fn room_bytes(&self) -> (u64, u64) {
        let one = u64::from(self.commands_per_second) * DATA_BYTES_PER_COMMAND as u64;
        let second = ROOM_SPEAKERS_MAX * one;
        (second * TICK_MILLIS / 1_000, second / ROOM_BURST_PART)
    }

    /// Refuses `data` that is too long.
    pub(crate) const fn check(&self, data_bytes: usize) -> Result<(), CommandRefusal> {
        let most = self.data_bytes;
        if data_bytes > most { Err(CommandRefusal::DataTooLong { most }) } else { Ok(()) }
    }
}

/// As how many commands a command counts. A message counts once, however many receive it: a room's speaker does not choose
/// how many listen.
#[expect(clippy::cast_possible_truncation, reason = "a message is at most 1 GiB")]
pub(crate) fn price(command: &Command<'_>) -> u32 {
    let bytes = command.data().map_or(0, SentData::len);
    bytes.div_ceil(DATA_BYTES_PER_COMMAND).max(1) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_counts_by_its_bytes_and_short_lines_as_one_command() {
        let say = |len: usize| "x".repeat(len);
        for (len, commands) in [(0, 1), (1, 1), (4096, 1), (4097, 2), (DATA_BYTES_MAX, 16)] {
            let data = say(len);
            assert_eq!(
                price(&Command::Tell { user: "ann".into(), data: (&*data).into() }),
                commands,
                "{len}"
            );
        }
        assert_eq!(price(&Command::Join { room: "r".into(), since: None }), 1);
    }
}
