//! The integration tests, one binary; each module says what it holds the crate to.

mod clients;
mod face;
mod fuzz;
mod presence;
mod project;
mod reactor;
mod wire;
