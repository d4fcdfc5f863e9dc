//! The reactor: threads that each run one loop over one poll, one slab of connections, one wheel of deadlines and one
//! mailbox. It knows HTTP and WebSocket connections and nothing of what they are for: that is a [`Service`].
//!
//! A worker's turn is `poll -> mailbox -> ready connections -> due deadlines -> flush` (before the flush the workers that
//! have mail are woken, and a share of the dead is cleared away), and everything in it happens at one reading of the clock.
//! If many are ready and only answers are to be sent, those leave in between.
//!
//! A step is a function that takes the worker, or the parts of it that it needs, and steps call each other in one direction:
//! what a frame brings about may end a connection, and the end of a connection reads no frame. So a call of the service that
//! wants more than that leaves it behind in the worker's state, and `pending` does it.
//!
//! | file | subject |
//! |---|---|
//! | [`server`], [`listen`] | starting the workers, draining and ending them; where they listen |
//! | `mounted`, `wrapper` | services beside each other, and around one another |
//! | [`service`], [`context`], `send` | what a connection is for, and what a service may do; messages on their way out |
//! | [`config`], [`live`], [`ids`], [`shared`], [`counters`] | what all workers share: settings and those that change, names, state, figures |
//! | [`worker`], `turn` | a worker, put together of parts; the turn |
//! | `hear`, `accept`, `deadlines`, `drain` | the steps of a turn: connections that are ready, that come, whose deadlines are due, that go since the server does |
//! | `input`, `peer_address`, `request`, `respond`, `frames` | bytes that arrive: reads, who they are for, HTTP and its answers, frames |
//! | `pending`, `flush`, `writable` | what a call of the service is followed by; writes, and sockets that have room again |
//! | `closing`, `ending`, `half_closed` | the closing handshake and death; the end; clients that have ended their streams and are still answered |
//! | [`addresses`], [`admission`], [`overload`], `handshake_rate` | limits per address; whether there is room for one more, and when to come back |
//! | `shard`, `connections` | what a service works on; the connections and their deadlines, each of which stands in [`conn`](crate::conn) |
//! | `io`, `inbox`, `reaper`, `memory_schedule`, `deadline_budget` | parts of a worker's state, of which only their own files know the fields: sockets and buffers, mail, the dead, when memory is measured, how many deadlines fire. A part that belongs to one step stands below it: `hear/queue`, `accept/acceptor`, `drain/window`, … |
//! | [`terms`] | heartbeats and limits of single connections |
//! | `timers`, `pauses`, `refused`, [`watches`] | timers that services set; connections that they don't want to be read; those that are told of when they have room; descriptors of their own |
//! | `work`, `unserved` | what work costs and how it is shared out; input that waits for its share |
//! | `memory`, `half_read`, `shed`, `heaviest` | what bursts leave and half messages hold; who ends where memory is short, and which worker has it |
//! | `deflate` | compressed messages: inflaters, compressors, what connections hold of them |
//! | [`handover`], [`snapshot`] | connections that leave with their sockets and go on elsewhere, and what they are as bytes |
//! | `transport`, [`tls`], `secure` | what carries a connection's bytes; the steps of a turn that only TLS has |
//! | [`processes`] | processes behind connections: pipes, and the guard that starts them |
//! | [`mail`], [`mailbox`], `arena`, `random` | mail and where it lies, a turn's output, dice |

mod accept;
pub mod addresses;
mod addressing;
pub mod admission;
mod arena;
mod closing;
pub mod config;
mod connections;
pub mod context;
pub mod counters;
mod deadline_budget;
mod deadlines;
mod deflate;
mod drain;
mod ending;
mod flush;
mod frames;
mod half_closed;
mod half_read;
pub mod handover;
mod handshake_rate;
mod hear;
mod heaviest;
pub mod ids;
mod inbox;
mod input;
mod io;
pub mod listen;
pub mod live;
pub mod mail;
pub mod mailbox;
mod memory;
mod memory_schedule;
mod mounted;
pub mod overload;
mod pauses;
mod peer_address;
mod pending;
pub mod processes;
mod random;
mod reaper;
mod refused;
mod request;
mod respond;
mod secure;
mod send;
pub mod server;
pub mod service;
pub mod shard;
pub mod shared;
mod shed;
pub mod snapshot;
pub mod terms;
mod timers;
pub mod tls;
mod transport;
mod turn;
mod unserved;
pub mod watches;
mod work;
pub mod worker;
mod wrapper;
mod writable;

pub use addresses::AddressLimits;
pub use config::{Config, Deflate, FdTables, Heartbeat, HeartbeatMode};
pub use counters::Cause;
pub use handover::Stays;
pub use ids::{ConnId, RequestId, WorkerId};
pub use live::Limits;
pub use mail::Mail;
pub use mailbox::Latency;
pub use mounted::{Mount, Mounted, Part};
pub use overload::Overload;
pub use server::{Handle, Listen, PostError, Server, StartError};
pub use service::{Accept, Admission, Answer, Context, SendError, Service, SharedFrame, TAG_MAX};
pub use shared::{Shared, TurnPart};
pub use snapshot::{Snapshot, UnreadableSnapshot};
pub use terms::Terms;
pub use watches::ids::{Readiness, WATCH_NUMBER_MAX, WatchId};
pub use worker::{Turned, Worker};
pub use wrapper::Wrapper;
