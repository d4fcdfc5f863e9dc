//! The bounds on what rooms keep of what was said.

/// Messages in an answer to a `join` with `since` or to `history`. Past it a `gap`, or another page.
pub const PAST_MAX: usize = 512;
/// Messages in an answer to a `history` that names no `limit`.
pub const PAST_DEFAULT: usize = 100;
/// Bytes of such messages when they are written: what answers one client, beside which others have to have their turn. Past it
/// the same.
pub const PAST_BYTES_MAX: usize = 128 << 10;
/// Characters of the `id` of a `say`. Past it: 400.
pub const SAY_ID_CHARS_MAX: usize = 64;
/// Messages of a room without history whose ids are remembered, each for [`SAY_ID_TICKS`] at most.
pub const SAY_IDS_KEPT: u64 = 64;
/// For how long the id of a `say` is remembered: five minutes.
pub const SAY_ID_TICKS: u32 = 30_000;
/// Ids of one room that are remembered. Past it the oldest is forgotten.
pub const SAY_IDS_MAX: usize = 65_536;
/// Messages that a room keeps, as `--history` may say. Past it the server doesn't start.
pub const HISTORY_COUNT_MAX: u32 = 1_000_000;
/// The longest time for which a message is kept, and what counts without one: 30 days.
pub const HISTORY_AGE_SECONDS_MAX: u32 = 30 * 24 * 3_600;
/// Rules for history. Past it the server doesn't start.
pub const HISTORY_RULES_MAX: usize = 64;
/// Bytes of history of all rooms without `--history-bytes`, an equal share of them at each worker. Past it the oldest messages of a
/// room that has the most go.
pub const HISTORY_BYTES_MAX: usize = 64 << 20;
/// Bytes queued for a client up to which it is told what was said before. Past it the client has to read first.
pub const CATCHING_UP_BYTES_MAX: usize = 16 << 10;
/// Bytes of history that a home looks through in one turn for what a deleted user said. The rest comes in the next ones.
pub const ERASED_BYTES_PER_TURN: usize = 128 << 10;
/// Deleted users whose messages a home is yet to look for. Past it: 503.
pub const ERASURES_MAX: usize = 64;
/// Ticks after which a deleted user's messages are looked for though some edge has not said that the user's clients say nothing more.
pub const ERASURE_TICKS_MAX: u32 = 500;
/// Rooms without members that are kept for their history, an equal share of them at each worker. Past it the one that has been
/// without members for longest ends.
pub const HISTORY_ROOMS_MAX: usize = 65_536;
