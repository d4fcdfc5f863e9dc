//! Requests of the server to others, over the network: threads of their own with bounded queues. Nothing here runs in
//! a worker's turn, and no worker waits for it.
//!
//! | file | subject |
//! |---|---|
//! | [`jwks`] | the keys that an identity provider publishes |

pub mod jwks;
