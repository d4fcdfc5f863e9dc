//! What a client and an operator see: HTTP on the WebSocket port, and the binary.

pub(crate) mod binary;
pub(crate) mod client;
mod http;
mod readme;
