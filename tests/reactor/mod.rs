//! The worker over a scripted world: sockets that a test plays, and a clock that it moves.

mod calls;
mod deflate;
mod heartbeat;
mod hostile;
mod kit;
mod lifecycle;
mod messages;
mod requests;
mod script;
mod servers;
mod simulation;
mod threads;
mod tls;
