//! The integration tests, one binary; each module says what it holds the crate to.

mod clients;
mod face;
mod identity;
mod presence;
mod project;
mod reactor;
mod wire;
