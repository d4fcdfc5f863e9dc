//! Sessions: clients that no WebSocket carries. Presence sees one as it sees a connection.
//!
//! A client on an event stream is known by the stream's connection, as one on a WebSocket is by its own. A client that polls, or
//! whose WebSocket is at another worker, is known by a number that no connection has.
//!
//! | file | subject |
//! |---|---|
//! | `door` | whose requests count, and how their answers are written |
//! | `table`, `mail`, `opening` | what a worker has of them, what crosses, and a stream that begins |
//! | `asked` | a request for a session, on the worker that has the session, and the way back of its answer |
//! | `requests` | requests by path and query, on the worker where they landed |
//! | `polling` | sessions that are carried by polls |
//! | `streaming` | sessions that are carried by event streams |
//! | `replaying` | what the client of a stream has missed that comes back |
//! | `outgoing` | what is sent to either |
//! | `moving` | sessions that go over to a WebSocket, here or at another worker |
//! | `ends` | how they end |

mod asked;
mod door;
mod ends;
pub(super) mod mail;
mod moving;
mod opening;
mod outgoing;
mod polling;
mod replaying;
mod requests;
mod streaming;
pub(super) mod table;
