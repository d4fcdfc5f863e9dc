//! What a client and an operator see: HTTP on the WebSocket port, and the binary.

mod binary;
mod client;
mod http;
mod proxies;
mod readme;
