//! What a client and an operator see: HTTP on the WebSocket port, and the binary.

mod api;
mod binary;
mod client;
mod faults;
mod http;
mod readme;
