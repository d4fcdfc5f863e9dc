//! The reactor: threads that each run one loop over one poll, one slab of connections, one wheel of deadlines and one
//! mailbox. It knows HTTP and WebSocket connections and nothing of what they are for: that is a [`Service`].
//!
//! A worker's turn is `poll -> mailbox -> ready connections -> due deadlines -> flush`, and reads the clock once.
//!
//! | file | subject |
//! |---|---|
//! | [`server`] | starting the workers, draining and ending them |
//! | [`service`], [`context`] | what a connection is for, and what a service may do |
//! | [`config`], [`ids`], [`fleet`], [`counters`] | what all workers share: settings, names, state, figures |

pub mod config;
pub mod context;
pub mod counters;
pub mod fleet;
pub mod ids;
pub mod server;
pub mod service;

pub use config::{Config, FdTables, Heartbeat, HeartbeatMode};
pub use counters::Cause;
pub use fleet::Fleet;
pub use ids::{ConnId, RequestId, WorkerId};
pub use server::{Server, StartError};
pub use service::{Accept, Admission, Answer, Context, SendError, Service, SharedFrame};
