//! What a client and an operator see: HTTP on the WebSocket port, and the binary.

mod api;
pub(crate) mod binary;
mod carriers;
mod cli;
pub(crate) mod client;
mod dead_link;
pub(crate) mod documents;
mod ends;
mod faults;
mod half_read;
pub(crate) mod http;
mod key;
mod manual;
mod proxies;
mod reload;
mod samples;
mod secure;
