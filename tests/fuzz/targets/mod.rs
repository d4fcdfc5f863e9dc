//! What is fuzzed: functions that take any bytes and panic where a promise does not hold. cargo-fuzz runs them until it
//! finds something, and `cargo test` runs them for a while.
//!
//! | target | any bytes are |
//! |---|---|
//! | [`request`] | a request: its head, its body's framing, its upgrade, cut anywhere |
//! | [`session`] | frames, in either role, cut anywhere |
//! | [`differential`] | frames, to our session and to tungstenite's |
//! | [`command`] | what clients say to a server of several workers |
//! | [`framed`] | binary messages of clients |
//! | [`message`] | letters between workers, in any order |
//! | [`binary`] | a letter in its binary form |
//! | [`snapshot`] | a connection in its binary form |
//! | [`record`] | a record that a home takes over, in its binary form |

mod binary;
mod command;
mod cursor;
pub(crate) mod differential;
mod envelope;
mod framed;
mod messages;
mod record;
mod request;
mod session;
mod snapshot;

/// Takes any bytes.
type Target = fn(&[u8]);

/// All targets, by name.
pub(crate) const TARGETS: [(&str, Target); 9] = [
    ("request", request::run),
    ("session", session::run),
    ("differential", differential::run),
    ("command", command::run),
    ("framed", framed::run),
    ("envelope", envelope::run),
    ("binary", binary::run),
    ("snapshot", snapshot::run),
    ("record", record::run),
];

/// Runs one of them.
pub(crate) fn run(target: &str, data: &[u8]) {
    let (_, run) = TARGETS.iter().find(|(name, _)| *name == target).expect("a target of that name");
    run(data);
}
