//! Services: what a connection is for. Policy only; sockets, time-outs and queues are the reactor's.
//!
//! | file | subject |
//! |---|---|
//! | [`echo`] | sends every message back |

pub mod echo;
