//! What the server asks others for: when it asks, what it makes of each answer, and how the binary lives with it.

mod binary;
mod fetch;
mod provider;
mod schedule;
