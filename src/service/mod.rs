//! Services: what a connection is for. Policy only; sockets, time-outs and queues are the reactor's.
//!
//! | file | subject |
//! |---|---|
//! | [`echo`] | sends every message back |
//! | [`presence`] | who is here: a worker's presence as a service |
//! | [`caps`] | limits of presence that may change |
//! | [`gate`] | who may come in: where tokens are found, and what comes of their claims |
//! | [`reserve`] | what a new connection may send at once |
//! | [`heartbeats`] | what pages say to show that they are there |

pub mod caps;
pub mod echo;
pub mod gate;
pub mod heartbeats;
pub mod presence;
pub mod reserve;
