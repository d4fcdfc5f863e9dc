//! Every bound in one place: its name ends in its unit, and its doc says what happens at it.
//!
//! [`MessageLimits`] can be configured; the constants are fixed. Relations between them hold at compile time.

use serde::{Deserialize, Serialize};

mod sessions;

pub use sessions::*;

/// The bounds on what a peer may send, as configured.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct MessageLimits {
    /// Payload bytes of one message over all its frames. Past it: close 1009. `0 < max_frame <= max_message`.
    pub max_message_bytes: usize,
    /// Payload bytes of one frame. Past it: close 1009, from the header alone.
    pub max_frame_bytes: usize,
    /// Frames of one message, empty ones too. Past it: close 1009.
    pub max_fragments: u32,
}

impl Default for MessageLimits {
    fn default() -> Self {
        MessageLimits { max_message_bytes: 1 << 20, max_frame_bytes: 1 << 20, max_fragments: 1024 }
    }
}

/// A request head (request line and headers) without `--max-header`. Past it: 431, then the end of the connection.
pub const HEAD_BYTES_MAX: usize = 16 << 10;
/// Header fields of one request. Past it: 431.
pub const HEADERS_MAX: usize = 64;
/// The body of an HTTP request. Past it: 413.
pub const BODY_BYTES_MAX: usize = 1 << 20;
/// Requests that wait unanswered behind one another on a connection: the bytes of them that are kept.
/// Past it the connection isn't read until they are answered.
pub const PIPELINE_BYTES_MAX: usize = HEAD_BYTES_MAX + BODY_BYTES_MAX;
/// A PROXY protocol header, version 2 with what it carries beside addresses. Past it: 400.
pub const PROXY_HEADER_BYTES_MAX: usize = 2048;
/// Places that a worker keeps for clients whom PROXY headers named, while none of them is about to make a request.
pub const INTRODUCED_KEPT: usize = 64;
/// Payload of a control frame (RFC 6455 §5.5). Past it: close 1002.
pub const CONTROL_BYTES_MAX: usize = 125;
/// Reason of a Close frame: what two bytes of code leave of a control frame.
pub const CLOSE_REASON_BYTES_MAX: usize = CONTROL_BYTES_MAX - 2;
/// Bytes of a frame header: 2, 8 of extended length, 4 of mask key.
pub const FRAME_HEADER_BYTES_MAX: usize = 14;

/// The read buffer of a worker: one for all its connections.
pub const READ_BUFFER_BYTES: usize = 128 << 10;
/// From so many bytes on that a message's last frame still lacks they are read straight into the message.
pub const READ_ONTO_BYTES_MIN: usize = 64 << 10;
/// From this size on a message that is sent has a buffer of its own in the arena, which moves to the connection's queue
/// where the socket does not take all of it.
pub const OWN_BUFFER_BYTES_MIN: usize = 128 << 10;
/// Bytes read that are a unit of work: far more than reading them takes. A message that is long enough to cost much has cost
/// some shares before it is whole.
pub const READ_BYTES_PER_UNIT: usize = 512;
/// Units of work, about a microsecond each, that one connection costs in one turn. Past it the rest of what it sent waits for
/// the next.
pub const CONNECTION_UNITS_PER_TURN: u32 = 500;
/// Units of connections that are heard in one turn. Past it those that are ready too are heard first in the next: a turn's deadlines
/// and answers must not wait for a thousand shares.
pub const HEARD_UNITS_PER_TURN: u32 = 20_000;
/// Units of connections heard in a turn from which on those behind them get [`CROWDED_UNITS_PER_TURN`].
pub const CROWD_UNITS: u32 = 10_000;
/// A connection's share where those heard before it have come to [`CROWD_UNITS`]: a hundred that begin to ask for
/// much in the same moment must not take a hundred whole shares.
pub const CROWDED_UNITS_PER_TURN: u32 = 100;
/// The share of a connection that is read once more because a deadline is due, which the server may be late for.
pub const LATE_UNITS: u32 = 20;
/// Units of such connections in one turn. Past it the other deadlines fire in the next.
pub const LATE_UNITS_PER_TURN: u32 = 10_000;
/// Units of all connections in one turn that have more to be served than their share, which they get in turn.
pub const OVERTIME_UNITS_PER_TURN: u32 = 10_000;
/// Terms of single connections at one worker that differ from the server's. Past it a connection with others gets 503.
pub const TERMS_MAX: usize = 15;
/// Milliseconds for which the kernel waits until the peer of a paused connection acknowledges a Ping. Past it the connection ends:
/// its Pongs are not read, and nothing else would tell for a quarter of an hour that its machine is gone.
pub const PAUSED_USER_TIMEOUT_MILLIS: u64 = 20_000;
/// Timers of connections that are served in one turn. Past it the rest waits for the next.
pub const TIMERS_PER_TURN_MAX: usize = 1_024;
/// Units of mail in one turn. Past it the rest waits for the next.
pub const MAIL_UNITS_PER_TURN: u32 = 10_000;
/// Output of one connection that waits for the end of the turn. Past it: written at once.
pub const EARLY_FLUSH_BYTES: usize = 256 << 10;
/// Output of all connections in the turn's arena, shared frames apart. Past it every connection is written at once: what is
/// written while it is still in the cache costs half.
pub const ARENA_BYTES_MAX: usize = 512 << 10;
/// Pieces of output in a turn: one for each frame that a connection gets, where it doesn't follow the last one directly. Past it
/// every connection is written at once.
pub const ARENA_PIECES_MAX: usize = 1 << 20;
/// Output that one call of a service can leave in the arena. Past it the service is told `TurnFull`.
pub const ARENA_BYTES_CALL_MAX: usize = 1 << 30;
/// An arena's capacity in bytes that is kept from turn to turn; what a burst took beyond it is given back.
pub const ARENA_BYTES_KEPT: usize = 2 << 20;
/// Bytes queued for one connection without `--max-backlog`. Past it the sender is told `Backlogged`.
pub const BACKLOG_BYTES_MAX: usize = 1 << 20;
/// Bytes queued for one connection past which it isn't read until its peer reads.
pub const BACKLOG_BYTES_PAUSE: usize = 64 << 10;
/// Bytes of a TCP connection's output that the kernel takes beyond what it has sent. Without this bound its buffer grows to 4 MiB
/// for a peer that does not read, each message to it costs a system call until then, and ours comes on top. A connection that is
/// sent a bigger piece is under the kernel's bound.
pub const UNSENT_BYTES_MAX: u32 = 128 << 10;
/// From this size on a shared frame is written from where it lies; below, it is copied beside the others.
pub const WRITEV_BYTES_MIN: usize = 16 << 10;

/// Payload from which on a message is compressed, where that was agreed: what is shorter costs more than it saves.
pub const DEFLATE_BYTES_MIN: usize = 512;
/// Bits of the window that clients may refer back in, and what we refer back in ourselves, with `--deflate per-connection`.
pub const DEFLATE_CONTEXT_BITS: u8 = 12;
/// The window that a connection holds of each direction with `--deflate per-connection`: older data is forgotten.
pub const DEFLATE_CONTEXT_BYTES: usize = 1 << DEFLATE_CONTEXT_BITS;
/// Bytes of messages that it is a unit of work to compress: a message of 1 KiB takes some 25 µs.
pub const DEFLATED_BYTES_PER_UNIT: usize = 64;
/// Compressed bytes, and what they come to, together, that are a unit of work: zlib-rs inflates some 400 MB/s.
pub const INFLATED_BYTES_PER_UNIT: usize = 256;
/// Inflaters that a worker lends to messages that arrive in parts. Past it the parts are put together before they are inflated.
pub const INFLATERS_MAX: usize = 256;
/// Records of TLS read at once by a worker, into one buffer for all its connections.
pub const TLS_RECORDS_BYTES: usize = 64 << 10;
/// Records that a TLS connection holds because a handshake message is not whole. Past it: an alert and the end. Elsewhere it
/// holds less than one record, 16 KiB.
pub const TLS_PARTIAL_BYTES_MAX: usize = 64 << 10;
/// Bytes of a record beside its plaintext: header, nonce, content type, tag (RFC 8446 §5.2, RFC 5246 §6.2.3), and room for a key
/// update before it.
pub const TLS_RECORD_OVERHEAD_BYTES_MAX: usize = 128;
/// Plaintext made into records at once. A Ping can no longer overtake the part of them that the socket doesn't
/// take.
pub const TLS_SEAL_BYTES: usize = 32 << 10;
/// Steps of TLS handshakes taken in one turn: at most one signature each, 0.1 ms with an EC key and 1 ms with an RSA key. The other
/// handshakes wait for the next turn.
pub const TLS_HANDSHAKES_PER_TURN_MAX: usize = 16;
/// Heap that rustls holds for an idle connection beside its struct, for the gauge of memory; measured, with what the allocator
/// adds: an expanded key of 560 bytes and one of 64, 640 for the places of handshake messages in parts, 224 of secrets, two empty
/// queues of 96, ALPN.
pub const TLS_SESSION_HEAP_BYTES: usize = 1_824;

/// Connections accepted in one turn; the rest wait in the kernel's queue for the next.
pub const ACCEPTS_PER_TURN_MAX: usize = 256;
/// Events taken from the kernel in one turn.
pub const EVENTS_PER_TURN_MAX: usize = 1024;
/// Connections that are heard in a turn before their answers leave. With all of them at its end, 200 clients that share a core
/// with others' work had a p99 of 1.3 times the bare loop's.
pub const HEARD_PER_FLUSH: usize = 16;
/// Deadlines acted upon in one turn; the rest wait for the next.
pub const DEADLINES_PER_TURN_MAX: usize = 1024;
/// If some had to wait: for each so many ticks that the turn before took there is another share, up to [`DEADLINE_SHARES_MAX`]
/// in all. With one for turns of any length, deadlines fall behind for good where fifty workers share two cores and a turn
/// takes a second.
pub const DEADLINE_SHARE_TICKS: u32 = 16;
/// See [`DEADLINE_SHARE_TICKS`].
pub const DEADLINE_SHARES_MAX: u32 = 8;
/// Entries of the wheel that may be looked at for each deadline of a turn: most have been put off since, or count no more.
pub const ENTRIES_PER_DEADLINE: usize = 16;
/// Connections that a turn removes because their time is over, or fewer where much is queued for them: the other deadlines
/// fire in the next one.
pub const REMOVED_PER_TURN_MAX: usize = 64;
/// Chunks queued for a connection that take as long to forget as to remove another one.
pub const CHUNKS_PER_REMOVAL: usize = 1024;
/// Target batch size of a ping round.
pub const PINGS_PER_ROUND: u64 = 512;
/// Rounds of Pings in a heartbeat's interval, at least: what a Ping waits for company is at most the interval by this.
pub const ROUNDS_PER_INTERVAL_MIN: u32 = 32;
/// Connections that were declared dead and are sent their Close and closed in the same turn. More of them wait.
pub const DEAD_AT_ONCE_MAX: usize = 8;
/// Ticks before the first of many that were declared dead is sent its Close and closed: the news of all goes first, and
/// where a million have heartbeats it takes its time.
pub const DEAD_WAIT_TICKS: u32 = 100;
/// Dead connections that all workers together send their Close and close in one tick, so that who died since is told of in
/// time: 6,400 a second. Of very many a worker closes a [`DEAD_TICKS`]th.
pub const DEAD_PER_TICK: usize = 64;
/// See [`DEAD_PER_TICK`].
pub const DEAD_TICKS: usize = 128;
/// Mail taken from the mailbox in one turn.
pub const MAIL_PER_TURN_MAX: usize = 4096;
/// Mail that waits for a worker. Past it the sender is told `Backlogged`.
pub const MAILBOX_MAX: usize = 65_536;
/// Bytes of such mail, what messages share counted for each, one message apart. Past it: the same. As much again may be what the
/// worker has taken out and is at.
pub const MAILBOX_BYTES_MAX: usize = 32 << 20;
/// Bytes of messages and requests of which not all has come, over all connections of a server. Past it one that wants more is
/// closed with 1013, or answered 503: it can't be put off, since nothing says when the others' will be whole.
pub const HALF_READ_BYTES_MAX: usize = 256 << 20;
/// Bytes that a connection must hold of those to be counted: most messages that are cut in two on their way
/// hold less.
pub const HALF_READ_BYTES_MIN: usize = 16 << 10;
/// Connections waiting in the kernel for an accept (the kernel takes the lesser of this and `net.core.somaxconn`).
pub const LISTEN_BACKLOG: i32 = 4096;
/// Connections beyond `--max-connections` that a worker holds for as long as it takes to answer them 503.
pub const REFUSED_CONNECTIONS_MAX: usize = 64;
/// Connections beyond `--max-connections-per-address` that are held for as long as it takes to answer them 429. Connections
/// beyond are closed unheard.
pub const REFUSED_PER_ADDRESS_MAX: u32 = 16;
/// Connections at once of one address without `--max-connections-per-address`.
pub const CONNECTIONS_PER_ADDRESS_MAX: u32 = 10_000;
/// New connections of one address in a second without `--max-handshakes-per-address`. Past it: 429.
pub const HANDSHAKES_PER_ADDRESS_MAX: u32 = 1_000;
/// Networks of IPv6, a /64 each, whose limits together hold for the site that they are in, a /48: what one customer has at most.
pub const NETWORKS_PER_SITE: u32 = 16;
/// Seconds' worth of handshakes that an address may make at once.
pub const HANDSHAKE_BURST_SECONDS: u32 = 2;
/// Addresses that are counted at once, 16 bytes each. Past it the one that is idle for longest makes way; where none is idle,
/// a further address isn't counted.
pub const ADDRESSES_MAX: usize = 1 << 20;
/// Free descriptors of a worker's table below which an upgrade gets 503.
pub const DESCRIPTORS_FLOOR: usize = 32;
/// Messages that wait for some worker above which an upgrade gets 503: half of what its mailbox holds.
pub const MAIL_ADMISSION_MAX: usize = MAILBOX_MAX / 2;
/// Bytes of them: the same.
pub const MAIL_BYTES_ADMISSION_MAX: usize = MAILBOX_BYTES_MAX / 2;
/// Ticks between two readings of resident memory.
pub const MEMORY_TICKS: u32 = 100;

/// Bytes that a connection must hold for it to be closed where memory is short: for less nothing would be won.
pub const SHED_BYTES_MIN: usize = 16 << 10;
/// The least and the most time over which clients that are sent away are asked to come back.
pub const RETRY_MILLIS: std::ops::RangeInclusive<u64> = 500..=60_000;
/// Workers of one server.
pub const WORKERS_MAX: usize = 1024;

/// Ticks that a worker waits before it tries to accept again after running out of descriptors or memory.
pub const ACCEPT_RETRY_TICKS: u32 = 10;
/// Ticks after which a request of the API that is not answered gets 503.
pub const ANSWER_TICKS_MAX: u32 = 100;
/// Ticks in which a peer has to take half of what is queued for it: a megabyte is not held for one who reads 3 KB/s. Past it the
/// connection ends.
pub const BACKLOG_HALVES_TICKS: u32 = 12_000;
/// Ticks that a keep-alive connection may wait between two requests.
pub const KEEP_ALIVE_TICKS: u32 = 7500;
/// Ticks for which figures are told again as they were: a worker makes `/metrics`, `/api/v1/stats` and `/api/v1/memory` anew at
/// most ten times a second, however often it is asked.
pub const FIGURES_TICKS: u32 = 10;
/// A worker that has been in one turn for longer than this is stuck: `/healthz` answers 503.
pub const STUCK_TURN_MILLIS: u64 = 2_000;

/// A name of a user or a room. Past it: 400.
pub const NAME_BYTES_MAX: usize = 128;
/// The `info` that a connection gives with its status. Past it: 413.
pub const INFO_BYTES_MAX: usize = 1024;
/// For how long `info` counts that ends by itself, in seconds: 30 days. Past it: 400.
pub const INFO_TTL_SECONDS_MAX: u32 = 30 * 24 * 60 * 60;
/// Lists and objects in one another in `data`, `info` and the claims of a token: readers stop at 64, 100 or 512, and what they read
/// holds these in its own. Past it: 400, and 401 for a token.
pub const JSON_DEPTH_MAX: usize = 32;
/// Digits of a number in these. Past it: the same.
pub const JSON_NUMBER_DIGITS_MAX: usize = 64;
/// Clients of presence at one worker: their places have 22 bits of a connection's tag. Past it: 503.
pub const CLIENTS_MAX: usize = 1 << 22;
/// Connections of one user without `--max-connections-per-user`. The newest takes the place of the oldest, which is closed with 4409.
pub const CONNECTIONS_PER_USER_MAX: usize = 16;
/// Rooms that one connection is in. Past it: 429.
pub const ROOMS_PER_CONNECTION_MAX: usize = 64;
/// Users that one connection watches. Past it: 429.
pub const WATCHES_PER_CONNECTION_MAX: usize = 1024;
/// Users named in one command. Past it: 413.
pub const USERS_PER_COMMAND_MAX: usize = 256;
/// Answers in the making of one connection: to `watch`, `presence` and `who`, which several homes have a part in. The commands
/// behind them wait.
pub const REPLIES_PER_CONNECTION_MAX: usize = 8;
/// Commands of one connection that wait for answers to be made. Past it: 429.
pub const WAITING_COMMANDS_MAX: usize = 256;
/// Bytes of such commands. Past it: 429.
pub const WAITING_BYTES_MAX: usize = 128 << 10;
/// Units of work that such commands take in one turn; the others go on in the next.
pub const RESUMED_UNITS_PER_TURN: u32 = 2_000;
/// Members on one page of `who`; a greater `limit` is cut to it.
pub const PAGE_MAX: usize = 256;
/// Members on a page of `who` that names no `limit`.
pub const PAGE_DEFAULT: usize = 100;
/// Commands per second of one connection without `--max-commands-per-second`, heartbeats apart. Past it: 429.
pub const COMMANDS_PER_SECOND_MAX: u32 = 50;
/// Seconds' worth of commands that a connection may send at once after a quiet time.
pub const COMMANDS_BURST_SECONDS: u32 = 4;
/// The `data` of a `say`, a `tell` or a broadcast without `--max-data`. Past it: 413.
pub const DATA_BYTES_MAX: usize = 64 << 10;
/// Bytes of `data` that count as one command: a connection may have [`COMMANDS_PER_SECOND_MAX`] times as many relayed in a second,
/// 200 KiB, and 800 KiB at once. Lines of a chat are shorter.
pub const DATA_BYTES_PER_COMMAND: usize = 4 << 10;
/// Bytes that a message of a room counts for beside its `data` and its names: what is written around them.
pub const SAY_BYTES: usize = 128;
/// A room carries as much `data` in a second as so many connections may say, 2 MiB more or less. Past it: 503.
pub const ROOM_SPEAKERS_MAX: u64 = 10;
/// It carries this part of that at once, 250 KiB.
pub const ROOM_BURST_PART: u64 = 8;
/// Ticks in which a member's socket has to take something to be one that reads: five seconds, since the kernel says that there is room
/// when it can take 64 KiB.
pub const READER_TICKS: u32 = 500;
/// Messages of rooms that lose nothing which wait beside the backlog of a member that reads, in [`SLOW_BYTES_MAX`]. Past it the member
/// is closed.
pub const HELD_MESSAGES_MAX: usize = 4_096;
/// Sets of eight reserves of what new connections may send at once, 128 bytes a set. Past what they hold the fullest of a set is
/// forgotten: its owner has a full one.
pub const RESERVE_SETS: usize = 1 << 12;
/// The reserve of all whose addresses are not counted, in reserves of one.
pub const RESERVE_SHARED_TIMES: u32 = 64;
/// A new connection may send this part of a burst at once, whatever is left of the reserve: what a page has to ask for to be
/// what it was before.
pub const RESERVE_SHARE_MIN: u32 = 16;
/// Commands in a row that got 429. Past it: close 4429.
pub const COMMANDS_REFUSED_MAX: u32 = 200;
/// Members of a room beyond which it is big without `--big-room`: it is told of its members once a second at most, until it has fewer
/// How long one who hides stays hidden, in milliseconds: each change is an event in every room that the user is in. Sooner: 429.
pub const HIDDEN_MILLIS_MIN: u64 = 1_000;
/// than four fifths of that.
pub const BIG_ROOM_MEMBERS: usize = 100;
/// Names told to a big room in one second, times its members. Past it members are told that their lists are no longer right.
pub const BIG_ROOM_NAMES_PER_SECOND: usize = 200_000;
/// Bytes of these names in JSON, with their quotes, escapes and commas: the event fits into the smallest backlog. Past it: the same.
pub const BIG_ROOM_BYTES_MAX: usize = 48 << 10;
/// Rounds in which a page of a room, once listed, waits for views of those who came meanwhile, or is asked for anew. Past it: 503.
pub const PAGE_ROUNDS_MAX: usize = 8;
/// Names that one event of a room may change in all pages in the making of a worker together. The others are asked for anew.
pub const PAGE_CHANGES_MAX: usize = 4_096;
/// Offline users whose last-seen time is kept, an equal share of them on each worker; past it the one offline for longest is
/// forgotten.
pub const LAST_SEEN_MAX: usize = 100_000;
/// Bans of users, from the server and from rooms, at all homes together. Past it: 503.
pub const BANS_MAX: usize = 100_000;
/// The longest ban: 30 days.
pub const BAN_SECONDS_MAX: u32 = 30 * 24 * 3_600;
/// Ticks after which a home that has bans looks for those that have ended.
pub const BANS_LOOK_TICKS: u32 = 3_000;
/// Bans that have ended which a home forgets in one turn. The others wait for the next.
pub const BANS_ENDED_MAX: usize = 256;
/// Rooms that users were given by the API, an equal share of them at each worker. Past it: 503.
pub const GIVEN_ROOMS_MAX: usize = 500_000;
/// Rooms that the API took from users of whom a client was away, an equal share of them at each worker. Past it the oldest makes way.
pub const TAKEN_ROOMS_MAX: usize = 100_000;
/// For how long such a room is kept in mind behind the return of the first client.
pub const TAKEN_TICKS: u32 = 6_000;
/// Ticks beyond its grace for which an edge knows which rooms a client left: a room's home begins the grace when it hears of that,
/// which may be late.
pub const DEPARTED_TICKS: u32 = 1_000;
/// Users and members in a turn whose connections were handed over and have not come.
pub const GIVEN_UP_PER_TURN_MAX: usize = 256;
/// Clients of other workers that a home has kicked and that are not gone yet, as far as it knows.
pub const KICKED_MAX: usize = 1_024;
/// Ticks before what is kept of an offline user is moved to where it takes less.
pub const ARCHIVE_WAIT_TICKS: u32 = 100;
/// Offline users that are moved there in a tick, or a [`ARCHIVE_TICKS`]th of those that wait if that is more.
pub const ARCHIVE_PER_TICK_MIN: usize = 32;
/// See [`ARCHIVE_PER_TICK_MIN`].
pub const ARCHIVE_TICKS: usize = 64;
/// Messages of rooms under `--drop-oldest` that wait for one slow reader. Past it the oldest are dropped, and counted.
pub const SLOW_MESSAGES_MAX: usize = 256;
/// Bytes of such messages, each of which is shared with all who wait for it. Past it the oldest are dropped, and counted.
pub const SLOW_BYTES_MAX: usize = 1 << 20;
/// Mail that a worker holds back for one whose mailbox is full. Past it messages of rooms are dropped, and counted.
pub const RETRY_QUEUE_MAX: usize = 1 << 20;
/// Bytes of mail that a worker holds back for all others. Past it messages of rooms and broadcasts are dropped, and counted.
pub const RETRY_QUEUE_BYTES_MAX: usize = 32 << 20;

/// Users that a home looks at for a page of the API. Past it the page ends there, with fewer than it may have.
pub const PAGE_SCAN_MAX: usize = 4096;
/// Requests of the API that wait for homes, at one worker. Past it: 503.
pub const ADMIN_REQUESTS_MAX: usize = 1024;
/// Ticks after which a request of the API that waits for a home gets 503, and a broadcast is answered with how far it has
/// come: before [`ANSWER_TICKS_MAX`], which would say less.
pub const ADMIN_TICKS_MAX: u32 = 90;
/// Clients that a broadcast reaches in one turn of a worker; the rest come in the next ones. A turn costs beside them half
/// of what one of them does; deadlines wait for all of it.
pub const BROADCAST_PER_TURN_MAX: usize = 128;
/// Bytes of a broadcast in one turn, over all its clients.
pub const BROADCAST_BYTES_PER_TURN: usize = 4 << 20;
/// Broadcasts that are on their way over a worker's clients. Past it the worker's clients miss the next, which is said.
pub const BROADCASTS_MAX: usize = 64;

/// Announcements of an edge to a home in one turn: a message each.
pub const ANNOUNCED_PER_TURN_MAX: usize = 256;
/// Users, and rooms and their members, that a home looks at in one turn when an announcement is complete.
pub const SWEPT_PER_TURN_MAX: usize = 1_024;

// They are looked through at once.
const _: () = assert!(KICKED_MAX <= SWEPT_PER_TURN_MAX);

const _: () = assert!(ADMIN_TICKS_MAX < ANSWER_TICKS_MAX);
const _: () = assert!(PAGE_MAX <= PAGE_SCAN_MAX);
/// Units of work that it is to verify a token, at the least: with an RSA key of 2,048 bits, or on P-256 or Ed25519. The cost
/// of other keys is in [`Keys::units`](crate::identity::Keys::units).
pub const VERIFY_UNITS: u32 = 150;
/// A token. Past it: 401.
pub const TOKEN_BYTES_MAX: usize = 4 << 10;
/// A secret that tokens are signed with. Below it the server doesn't start.
pub const TOKEN_SECRET_BYTES_MIN: usize = 32;
/// How far a token's `nbf` may lie ahead; its `exp` is exact.
pub const TOKEN_LEEWAY_MILLIS: u64 = 5_000;
/// How far the wall clock may step ahead at once and tokens still end by it in the same moment. A greater step is logged, and
/// ends tokens only after [`CLOCK_LEAP_WAIT_MILLIS`]: it may be taken back.
pub const CLOCK_LEAP_MILLIS: u64 = 60_000;
/// See [`CLOCK_LEAP_MILLIS`].
pub const CLOCK_LEAP_WAIT_MILLIS: u64 = 60_000;
/// How far the wall clock goes ahead before the ends of tokens are timed anew: they come so much late at most.
pub const CLOCK_DRIFT_MILLIS: u64 = 1_000;
/// Ticks after which a worker whose connections have tokens looks at the wall clock, though it has nothing else to do.
pub const CLOCK_LOOK_TICKS: u32 = 500;
/// Connections whose tokens are looked at in one turn after the wall clock has stepped ahead: their ends were timed by another
/// clock. The others wait for the next.
pub const TOKENS_LOOKED_AT_PER_TURN: usize = 1_024;
/// Patterns in each of a token's claims `rooms` and `see`. Past it: 401.
pub const TOKEN_PATTERNS_MAX: usize = 64;
/// Keys that tokens are verified with: more than one while they change.
pub const TOKEN_KEYS_MAX: usize = 16;
/// A key file. Past it the file is refused.
pub const KEY_FILE_BYTES_MAX: u64 = 64 << 10;

/// Random bytes of an API key that the server makes for its run: a guesser has nothing to go by.
pub const RUN_KEY_BYTES: usize = 24;
/// The file that a running server leaves for programs of its user. The rest isn't read.
pub const RUNTIME_FILE_BYTES_MAX: u64 = 16 << 10;

const _: () = assert!(PAGE_DEFAULT <= PAGE_MAX && PAGE_MAX <= USERS_PER_COMMAND_MAX);
const _: () = assert!(RUN_KEY_BYTES >= 16 && CLOSE_REASON_BYTES_MAX == 123);
const _: () = assert!(HEAD_BYTES_MAX <= READ_BUFFER_BYTES);
const _: () = assert!(BACKLOG_BYTES_PAUSE <= BACKLOG_BYTES_MAX && DATA_BYTES_MAX <= BACKLOG_BYTES_MAX);
const _: () = assert!(
    COMMANDS_PER_SECOND_MAX as usize * COMMANDS_BURST_SECONDS as usize * DATA_BYTES_PER_COMMAND
        < BACKLOG_BYTES_MAX,
    "what one sender may send at once fits into a backlog"
);
const _: () = assert!(MAIL_ADMISSION_MAX < MAILBOX_MAX && DESCRIPTORS_FLOOR <= REFUSED_CONNECTIONS_MAX);
const _: () = assert!(BIG_ROOM_BYTES_MAX < BACKLOG_BYTES_PAUSE);
const _: () = assert!(WRITEV_BYTES_MIN <= EARLY_FLUSH_BYTES);
const _: () = assert!(EARLY_FLUSH_BYTES <= ARENA_BYTES_MAX && ARENA_BYTES_MAX <= ARENA_BYTES_CALL_MAX);
const _: () = assert!(CONNECTION_UNITS_PER_TURN <= OVERTIME_UNITS_PER_TURN);
const _: () =
    assert!(CROWDED_UNITS_PER_TURN < CONNECTION_UNITS_PER_TURN && CROWD_UNITS < HEARD_UNITS_PER_TURN);
const _: () = assert!(TLS_RECORDS_BYTES + TLS_PARTIAL_BYTES_MAX <= READ_BUFFER_BYTES);

mod api;
pub mod exec;
mod history;
mod jwks;
pub use self::api::*;
pub use self::history::*;
pub use self::jwks::*;
