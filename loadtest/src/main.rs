//! `loadtest`: a load generator for WebSocket servers.

#![expect(unreachable_pub, reason = "a program has no outside: pub here means for the sibling modules")]
#![expect(dead_code, reason = "the scenarios that use these modules are on their way")]

mod machine;
mod process;
mod result;

fn main() {}
