//! TLS under a worker: rustls's own client against it, over scripted sockets with any cut, and over real ones.

mod endings;
mod handshakes;
pub(super) mod kit;
mod load;
mod proxied;
mod real;
mod slow;
mod suites;
