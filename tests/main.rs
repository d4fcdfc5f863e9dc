//! The integration tests, one binary; each module says what it holds the crate to. `cli` and `config` are the
//! binary's own: a test runs its whole path with a service that does harm.

mod browser;
#[path = "../src/cli/mod.rs"]
mod cli;
mod clients;
#[path = "../src/config/mod.rs"]
mod config;
mod face;
mod fuzz;
mod identity;
mod presence;
mod project;
mod reactor;
mod wire;
