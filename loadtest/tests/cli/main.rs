//! The program as a user has it: run against the bare loop, and against servers that misbehave on purpose.
//!
//! Everything listens on port 0 of 127.0.0.1. No test waits for time to pass: each ends with what it waits for, and what is
//! measured is held to bounds that a loaded machine keeps too.

mod compression;
mod failures;
mod kinds;
mod limits;
mod program;
mod scenarios;
mod secure;
mod server;
