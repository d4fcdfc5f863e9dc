//! Clients against the real server, as it starts by default but for shorter times: those in the field, unchanged, and
//! ones that speak `rollcall.v1`. Each test runs with one worker, with three and with 52.

pub(crate) mod api;
mod bytes;
pub(crate) mod client;
mod deflate;
mod history;
mod moderation;
mod names;
mod presence;
mod relayed;
mod zoo;
