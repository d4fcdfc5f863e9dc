//! The reactor's settings. Durations are turned into ticks where they are used.

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use crate::conn::timing::HeartbeatMode;
use crate::conn::timing::{PingRound, Timing};
use crate::limits::{
    ARENA_BYTES_CALL_MAX, BACKLOG_BYTES_MAX, BODY_BYTES_MAX, CONNECTIONS_PER_ADDRESS_MAX,
    HALF_READ_BYTES_MAX, HANDSHAKES_PER_ADDRESS_MAX, HEAD_BYTES_MAX, KEEP_ALIVE_TICKS, MessageLimits,
};
use crate::reactor::addresses::AddressLimits;
use crate::reactor::ids::WorkerId;
use crate::time::{Tick, ticks};
use crate::wire::forwarded::Network;

/// Whether each worker has a descriptor table of its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum FdTables {
    /// Private with more than one worker.
    Auto,
    /// Each worker calls `unshare(CLONE_FILES)`: cheaper system calls, and the descriptor limit counts per worker.
    /// A service must then not own a descriptor that another thread opened or will close.
    Private,
    /// One table for the process: what a library's user expects.
    #[default]
    Shared,
}

/// When a silent connection is asked, and when it is given up.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Heartbeat {
    /// The side that proves life.
    pub mode: HeartbeatMode,
    /// Silence after which a Ping is sent.
    pub interval: Duration,
    /// From the Ping's leaving to death. Also: how long a peer may take none of what is queued for it.
    pub timeout: Duration,
    /// From the Ping's leaving to the service's being told that the connection may be dead; `None`: it is not told.
    pub suspect_after: Option<Duration>,
    /// Silence after which a connection is dead in mode `Client`.
    pub client_silence: Duration,
}

impl Heartbeat {
    /// This timing with these heartbeats; their rounds are left as they are.
    pub(crate) fn timing(&self, timing: Timing) -> Timing {
        Timing {
            mode: self.mode,
            interval: ticks(self.interval),
            timeout: ticks(self.timeout),
            suspect: self.suspect_after.map(ticks),
            client_silence: ticks(self.client_silence),
            ..timing
        }
    }
}

impl Default for Heartbeat {
    fn default() -> Self {
        Heartbeat {
            mode: HeartbeatMode::Server,
            interval: Duration::from_secs(25),
            timeout: Duration::from_secs(20),
            suspect_after: None,
            client_silence: Duration::from_secs(90),
        }
    }
}

/// Whether messages are compressed with clients that offer it (permessage-deflate).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Deflate {
    /// The offer is ignored.
    #[default]
    Off,
    /// Each message by itself: an idle connection holds nothing for it.
    Shared,
    /// Messages may refer to those before them: a connection that sends or gets compressed ones holds up to 4 KiB for each
    /// direction.
    PerConnection,
}

/// Settings of a [`Server`](crate::reactor::server::Server).
#[derive(Clone, Debug)]
pub struct Config {
    /// Worker threads, at least 1.
    pub workers: usize,
    /// Descriptor tables.
    pub fd_tables: FdTables,
    /// Connections held at once over all workers. Past it a request gets 503.
    pub max_connections: usize,
    /// Heartbeats.
    pub heartbeat: Heartbeat,
    /// From accept to the end of the request that upgrades, or of the first HTTP request.
    pub handshake_timeout: Duration,
    /// From our Close, once it has left, to the peer's; then the connection is cut. So is one whose peer takes nothing of what
    /// stands before the Close for so long.
    pub close_timeout: Duration,
    /// The window over which a drain spreads its Closes.
    pub drain: Duration,
    /// Bounds on frames and messages.
    pub messages: MessageLimits,
    /// Compression.
    pub deflate: Deflate,
    /// Bytes of half messages and requests over all connections, twice the longest message at the least. Past it one that wants more is
    /// closed with 1013, or answered 503, where it holds [`HALF_READ_BYTES_MIN`](crate::limits::HALF_READ_BYTES_MIN).
    pub half_read_bytes_max: usize,
    /// Bytes of a request head.
    pub max_head_bytes: usize,
    /// Bytes of a request body.
    pub max_body_bytes: usize,
    /// Bytes queued for one connection. A message is refused where it would pass the bound, unless nothing is queued.
    pub max_backlog_bytes: usize,
    /// Bytes that one call of the service may send to all connections together, shared frames apart; a GiB at most. Past it:
    /// [`SendError::TurnFull`](crate::reactor::SendError::TurnFull).
    pub max_call_bytes: usize,
    /// The limits of one address, loopback and trusted proxies apart.
    pub addresses: AddressLimits,
    /// Networks of proxies that are trusted to name their clients: `X-Forwarded-For`, and the PROXY protocol
    /// where that is spoken.
    pub trusted_proxies: Vec<Network>,
    /// Whether whoever speaks on a Unix socket is such a proxy too.
    pub trusts_unix: bool,
    /// Trusted proxies begin each connection with a PROXY header. One without is refused.
    pub proxy_protocol: bool,
    /// Resident memory of the process past which an upgrade gets 503.
    pub max_memory_bytes: Option<u64>,
    /// Whether [`Context::addressing`](crate::reactor::Context::addressing) names the requester of upgrades too: a system call for each.
    pub requester_at_upgrade: bool,
    /// From the first byte of a message, or of a control frame, to its last.
    pub message_timeout: Duration,
    /// The first tick of the workers' clock. Tests start just before the wrap.
    pub first_tick: Tick,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            workers: 1,
            fd_tables: FdTables::Shared,
            max_connections: 10_000,
            heartbeat: Heartbeat::default(),
            handshake_timeout: Duration::from_secs(10),
            close_timeout: Duration::from_secs(5),
            drain: Duration::from_secs(10),
            messages: MessageLimits::default(),
            deflate: Deflate::Off,
            half_read_bytes_max: HALF_READ_BYTES_MAX,
            max_head_bytes: HEAD_BYTES_MAX,
            max_body_bytes: BODY_BYTES_MAX,
            max_backlog_bytes: BACKLOG_BYTES_MAX,
            max_call_bytes: ARENA_BYTES_CALL_MAX,
            addresses: AddressLimits {
                connections: CONNECTIONS_PER_ADDRESS_MAX,
                handshakes: HANDSHAKES_PER_ADDRESS_MAX,
            },
            trusted_proxies: Vec::new(),
            trusts_unix: false,
            proxy_protocol: false,
            max_memory_bytes: None,
            requester_at_upgrade: false,
            message_timeout: Duration::from_secs(120),
            first_tick: Tick(0),
        }
    }
}

impl Config {
    /// The settings that are durations, in ticks, as a worker goes by them.
    pub(crate) fn timing(&self, worker: WorkerId) -> Timing {
        let interval = ticks(self.heartbeat.interval);
        Timing {
            mode: self.heartbeat.mode,
            interval,
            round: PingRound::of(interval, worker.0, 0),
            timeout: ticks(self.heartbeat.timeout),
            suspect: self.heartbeat.suspect_after.map(ticks),
            client_silence: ticks(self.heartbeat.client_silence),
            handshake: ticks(self.handshake_timeout),
            close: ticks(self.close_timeout),
            drain: ticks(self.drain),
            message: ticks(self.message_timeout),
            keep_alive: KEEP_ALIVE_TICKS,
        }
    }
}
