//! Commands of connections: the real binary runs real programs.

mod ending;
mod examples;
mod flow;
mod kit;
mod limits;
mod short;
