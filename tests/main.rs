//! The integration tests, one binary; each module says what it holds the crate to.

mod bounds;
mod browser;
mod clients;
mod exec;
mod face;
mod fuzz;
mod identity;
mod outbound;
mod presence;
mod project;
mod reactor;
mod wire;
