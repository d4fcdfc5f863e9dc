//! Codecs: bytes to commands, events to bytes. Pure; a codec per protocol.

pub mod event_stream;
pub mod refusal;
pub mod rollcall_v1;
