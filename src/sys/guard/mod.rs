//! The guard: one small process beside the server that starts the commands of connections, and that none of them outlives.
//!
//! It is small on purpose. A fork copies tables of descriptors and of memory, which a server with a hundred thousand connections has
//! big ones of; the guard has a handful of each, so that a start costs the same however many clients there are, and happens in no
//! worker's turn. And it is the parent of all that commands leave behind (`PR_SET_CHILD_SUBREAPER`): a grandchild that has called
//! `setsid`, or was forked twice, becomes the guard's child when its parent ends. It is known by a mark that it can't take off,
//! see [`family`].
//!
//! The guard lives as long as the server does: when the socket between them ends, however that came about, everything ends
//! ([`ladder`]). Each worker has a socket of its own to it, made in its own descriptor table, over which it sends orders with the
//! ends of the pipes, and gets reports. Nothing but these sockets ties processes to a server: what has both can go on with them.
//!
//! | file | |
//! |---|---|
//! | [`message`] | orders and reports |
//! | [`link`], [`ends`] | the sockets that carry them, and the pipes that come along |
//! | [`start`] | the server's side: the guard's own start |
//! | `run` | the guard's loop |
//! | `spawn` | a process that starts: its limits, its user, its mark |
//! | [`family`] | whose child is whose |
//! | [`ladder`] | how a process is asked to end, again and less politely |

pub mod ends;
pub mod family;
pub mod ladder;
pub mod link;
pub mod message;
mod run;
mod spawn;
pub mod start;

pub use run::run;
