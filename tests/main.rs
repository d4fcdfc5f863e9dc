//! The integration tests, one binary; each module says what it holds the crate to.

mod wire;
