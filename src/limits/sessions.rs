//! The bounds of sessions that are carried by event streams and polls.

/// Random bytes in the name of a session.
pub const SESSION_SECRET_BYTES: usize = 16;
/// Bytes of such a name before it is text.
pub const SESSION_ID_BYTES: usize = 8 + SESSION_SECRET_BYTES;
/// Events in the answer to a poll. The others are in the next.
pub const POLL_ANSWER_EVENTS: usize = 512;
/// Bytes of events in the answer to a poll, one event apart. The others are in the next.
pub const POLL_ANSWER_BYTES: usize = 64 << 10;
/// Bytes of answers that a post is answered with and that are kept for when it comes again. The others come as events.
pub const POST_ANSWER_BYTES_MAX: usize = 64 << 10;
/// Ticks after which a post gets 503 whose commands are not all answered. It may come again.
pub const POST_TICKS_MAX: u32 = 1_000;
/// Ticks that a poll may ask to be held for: a minute. It is held for no longer.
pub const POLL_WAIT_TICKS_MAX: u32 = 6_000;
/// Ticks that a poll is held for which does not say.
pub const POLL_WAIT_TICKS: u32 = 2_500;
/// Ticks beyond its wait after which a held poll gets 503: the worker that has its session may be late.
pub const POLL_LATE_TICKS: u32 = 200;
/// Ticks without a poll after which a client is gone, without `--poll-gap`.
pub const POLL_GAP_TICKS: u32 = 1_000;
/// The least and the most of these that a client may ask for. What is asked for beyond is cut.
pub const POLL_GAP_TICKS_ALLOWED: std::ops::RangeInclusive<u32> = 500..=60_000;
/// Ticks from the opening of a WebSocket that names a session to its `resume`. Past it: 4408.
pub const RESUME_TICKS_MAX: u32 = 1_000;
/// Commands in one post or poll. Past it: 413.
pub const POST_COMMANDS_MAX: usize = 256;
/// Ticks between two comments of an event stream: proxies give up what is silent for a minute.
pub const COMMENT_TICKS: u32 = 1_500;
/// Milliseconds for which the kernel waits until the peer of an answer in pieces acknowledges what was sent. Past it the connection
/// ends: such an answer goes on, and nothing else would tell that nobody is there.
pub const STREAM_USER_TIMEOUT_MILLIS: u64 = 10_000;
/// Bytes that wait for the polls of a session, beyond which it may be ended where memory is short: a client that polls now and then has
/// less.
pub const SHED_SESSION_BYTES_MIN: usize = 4 << 10;
/// Bytes from which on an answer to a poll or a post is compressed, where its client accepts that.
pub const GZIP_BYTES_MIN: usize = 1 << 10;

const _: () = assert!(SHED_SESSION_BYTES_MIN < POLL_ANSWER_BYTES, "what grows on in a shortage can be shed");
const _: () = assert!(SESSION_SECRET_BYTES >= 16, "at least 128 bits");
