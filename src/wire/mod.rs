//! The WebSocket protocol (RFC 6455) and the HTTP/1.1 request head it starts from, both roles, without sockets,
//! clocks or threads: bytes in, events and bytes out.
//!
//! | file | subject |
//! |---|---|
//! | [`http`] | request heads, body framing, responses |
//! | [`upgrade`] | the opening handshake, server side |
//! | [`client`] | the opening handshake, client side |
//! | `origin` | which page is the server's own |
//! | [`frame`] | frame headers |
//! | [`mask`] | masking |
//! | [`utf8`] | UTF-8 as it streams |
//! | [`session`], `message` | the frames of one connection: messages, control frames, the closing handshake |
//! | [`deflate`] | permessage-deflate: compressed messages |
//! | [`shared`] | a frame encoded once for many connections |
//! | `assembly` | what a session keeps from one read to the next |
//! | `short` | a whole message in one short frame |
//! | [`proxy`], [`forwarded`] | who stands behind a proxy: the PROXY protocol, `X-Forwarded-For` |
//! | [`close`], `close_code`, [`error`] | Close frames, their codes, and the violations that lead to them |

mod assembly;
pub mod client;
pub mod close;
mod close_code;
pub mod deflate;
pub mod error;
pub mod forwarded;
pub mod frame;
pub mod http;
pub mod mask;
mod message;
pub(crate) mod origin;
pub mod proxy;
pub mod session;
pub mod shared;
mod short;
pub mod upgrade;
pub mod utf8;
