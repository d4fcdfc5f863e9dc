//! A client that is carried by requests: what a session is beside the connections that come and go under it. Pure: time is an
//! argument, an answer's way back is any value that the caller knows it by, an event is any value that can be shared.
//!
//! | file | subject |
//! |---|---|
//! | [`id`] | the name that a client calls its session by: it can't be guessed, and says which worker has it |
//! | [`queue`] | events that wait to be fetched, numbered, within a bound |
//! | [`polls`] | the poll that is open, acknowledgements, and whether the client is still there |
//! | [`posts`] | the post that is being answered, and the answers to the last one |
//!
//! A session that is carried by an event stream or a WebSocket has no queue here: what waits for it waits behind its socket.

pub mod id;
pub mod polls;
pub mod posts;
pub mod queue;

pub use id::SessionKey;
pub use polls::{Due, Polled, Polls};
pub use posts::{Begun, Posts};
pub use queue::{Outgoing, Policy, Pushed};
