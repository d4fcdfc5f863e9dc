//! `loadtest`: a load generator for WebSocket servers.

mod result;

fn main() {}
