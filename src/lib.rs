//! rollcall: a WebSocket server that knows who is there.
//!
//! This crate is the server behind the `rollcall` binary, and a library to build another one on. A program with presence at every
//! path, a room that only some may join, a command of its own, and a service of its own at `/dice`:
//!
//! ```no_run
//! use std::sync::Arc;
//!
//! use rollcall::{Admission, Config, ConnId, Context, Hooks, Kind, Mount, Presence, PresenceSettings, Server, Service, Upgrade};
//!
//! /// Answers each message by a throw of the dice.
//! struct Dice(u8);
//!
//! impl Service for Dice {
//!     type Mail = ();
//!     type Admitted = ();
//!
//!     fn admit(&mut self, _: &mut Context<'_, ()>, _: ConnId, _: &Upgrade<'_>) -> Admission {
//!         Admission::accept(())
//!     }
//!
//!     fn message(&mut self, cx: &mut Context<'_, ()>, conn: ConnId, _: Kind, _: &[u8]) {
//!         self.0 = self.0 % 6 + 1;
//!         let _ = cx.send_text(conn, &self.0.to_string());
//!     }
//! }
//!
//! struct House;
//!
//! impl Hooks for House {
//!     fn may_join(&self, user: Option<&str>, room: &str) -> Result<(), String> {
//!         if room != "cellar" || user == Some("anna") { Ok(()) } else { Err("the cellar is anna's".into()) }
//!     }
//!
//!     fn command(&self, _: Option<&str>, name: &str, _: &str) -> Option<Result<String, String>> {
//!         (name == "motto").then(|| Ok("\"be there\"".into()))
//!     }
//! }
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let settings = Arc::new(PresenceSettings::default());
//!     let server = Server::start(Config::default(), &["127.0.0.1:8080".parse()?], move |worker, shared| {
//!         Presence::of(&settings, worker, shared).with_hooks(Arc::new(House)).mount("/dice", Dice(0))
//!     })?;
//!     server.join().map_err(|worker| format!("worker {worker} panicked").into())
//! }
//! ```
//!
//! What a program needs stands here at the root: [`Server`] runs it, a [`Service`] is what its connections are for, and works through
//! its [`Context`]; [`Presence`] is one, [`Echo`] another. Services stand beside each other by [`Mount`] and around one another
//! by [`Wrapper`]. The binary's own, with the page, the API and the metrics, is [`Router`].
//!
//! # How it is built
//!
//! It is layered, and an arrow may only point down; `tests/project/layering.rs` holds the sources to it:
//!
//! ```text
//!  main, cli, config     the binary: flags and file -> Config -> run
//!    |
//!  http/                 the same port's other face: routes, the page, API, health, metrics
//!  service/              what a connection is for: echo, presence, commands         (policy)
//!    |
//!  session/              a client that is carried by requests: what waits for it, and whether it is there. Pure
//!  outbound/             what is asked of others: published keys. Threads with bounded queues
//!  protocol/             codecs: bytes to commands, events to bytes. Pure
//!  presence/             who is here: users, rooms, their homes. Pure: commands in, events out
//!  identity/             who somebody is, by a signed token: text and time in, claims out. Pure
//!    |
//!  reactor/              one thread, one Poll, one slab, one wheel, one mailbox     (mechanism)
//!    |        tls        certificates; records between a socket and its bytes
//!    |        sys        the few system calls; a socket layer that a test can play
//!  conn/                 one connection as a machine: HTTP, open, closing; heartbeat, deadlines. Pure
//!    |
//!  wire/                 the protocol, both roles: bytes in, events and bytes out. Pure
//!    |
//!  limits, slots, time   every bound by name; tables that give back; Tick, the wheel, the only caller of Instant::now
//!  json, der             what every reader can read; the bytes of keys and certificates. Pure
//!  manual                what all of it does, in words: a chapter a subject
//! ```
//!
//! # One message from socket to room and back
//!
//! | | file |
//! |---|---|
//! | the system says which sockets are ready | `sys/epoll.rs` |
//! | a worker's turn begins | `reactor/turn.rs` |
//! | each connection that is ready is heard for its share | `reactor/hear.rs` |
//! | its bytes are read | `reactor/input.rs` |
//! | from the socket, or out of the records that it gives | `reactor/transport.rs`, `reactor/tls/session.rs` |
//! | they are frames, and frames are a message | `reactor/frames.rs`, `wire/frame.rs`, `wire/session.rs` |
//! | the connection is for a service | `http/router.rs`, `service/presence.rs` |
//! | the message is a command | `presence/command.rs` |
//! | the edge knows who says it | `presence/edge.rs`, `presence/edge/commands.rs` |
//! | the room's home, here or on another worker, orders it | `presence/message.rs`, `reactor/mailbox.rs`, `presence/room/saying.rs` |
//! | what members are told is encoded once | `presence/event.rs`, `wire/shared.rs` |
//! | and sent to each | `presence/effect.rs`, `reactor/context.rs` |
//! | a turn's output lies side by side | `reactor/arena.rs` |
//! | and leaves in one write for each connection | `reactor/flush.rs` |
//! | a socket that is full takes the rest later | `conn/outbox.rs`, `reactor/writable.rs` |
//! | or its peer is too slow, or dead, by a deadline | `conn/deadline.rs`, `reactor/deadlines.rs`, `reactor/closing.rs` |

#[cfg(not(target_os = "linux"))]
compile_error!("rollcall runs on Linux only: it is built on epoll, eventfd and SO_REUSEPORT");
#[cfg(not(target_pointer_width = "64"))]
compile_error!("rollcall needs a 64-bit target: an event's token carries a slab key and its generation");

/// For this crate's own binary, tests and benches: no part of the library's face, and free to change.
#[doc(hidden)]
#[path = "."]
pub mod internals {
    pub mod cli;
    pub mod conn;
    pub mod http;
    pub mod identity;
    pub mod json;
    pub mod limits;
    pub mod outbound;
    pub mod presence;
    pub mod protocol;
    pub mod reactor;
    pub mod service;
    pub mod session;
    pub mod slots;
    pub mod sys;
    pub mod time;
    pub mod wire;
}

mod config;
mod der;
pub mod manual;

pub(crate) use internals::{
    cli, conn, http, identity, json, limits, outbound, presence, protocol, reactor, service, session, slots,
    sys, time, wire,
};

pub use http::{Router, RouterSettings};
pub use limits::MessageLimits;
pub use presence::{BanCount, Rules};
pub use reactor::tls::{Acceptor, Certified, Credentials};
pub use reactor::{
    Accept, AddressLimits, Admission, Answer, Cause, Config, ConnId, Context, Deflate, FdTables, Handle,
    Heartbeat, HeartbeatMode, Latency, Limits, Listen, Mail, Mount, Mounted, Overload, Part, PostError,
    Readiness, RequestId, SendError, Server, Service, Shared, SharedFrame, StartError, TAG_MAX, Terms,
    WATCH_NUMBER_MAX, WatchId, WorkerId, Wrapper,
};
pub use service::authenticator::{Auth, Authenticator};
pub use service::echo::Echo;
pub use service::legacy_heartbeats::LegacyHeartbeats;
pub use service::live_limits::LiveLimits;
pub use service::presence::{Hooks, Presence, PresenceSettings};
pub use service::reserve::Reserves;
pub use time::{Now, Tick};
pub use wire::close::{Close, CloseCode};
pub use wire::http::{Head, Refusal, Response};
pub use wire::session::Kind;
pub use wire::upgrade::Upgrade;
