//! Services: what a connection is for. Policy only; sockets, time-outs and queues are the reactor's.
//!
//! | file | subject |
//! |---|---|
//! | [`echo`] | sends every message back |
//! | [`exec`] | a command per connection |
//! | [`presence`] | who is here: a worker's presence as a service |
//! | [`live_limits`] | limits of presence that may change |
//! | [`authenticator`] | who may come in: where tokens are found, and what comes of their claims |
//! | [`reserve`] | what a new connection may send at once |
//! | [`legacy_heartbeats`] | what pages say to show that they are there |

pub mod authenticator;
pub mod echo;
pub mod exec;
pub mod legacy_heartbeats;
pub mod live_limits;
pub mod presence;
pub mod reserve;
