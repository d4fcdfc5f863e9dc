//! What the server asks others for: when it asks, and what it makes of each answer.

mod fetch;
mod provider;
mod schedule;
