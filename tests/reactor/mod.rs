//! The worker over a scripted world: sockets that a test plays, and a clock that it moves.

mod addresses;
mod bulk;
mod calls;
mod deflate;
mod half_closed;
mod half_read;
mod heartbeat;
mod hostile;
mod kit;
mod lifecycle;
mod mail;
mod messages;
mod overload;
mod pace;
mod relayed;
mod requests;
mod script;
mod servers;
mod shares;
mod shed;
mod simulation;
mod slow;
mod threads;
mod tls;
mod wires;
mod work;
