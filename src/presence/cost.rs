//! The cost of presence's work, in nanoseconds: measured on one core, where a command of 256 names took 150 to 200 µs and a
//! megabyte of JSON 3 to 5 ms, and rounded up. A node adds it up while it works and gives it out in units of a microsecond
//! ([`Node::take_cost`](crate::presence::Node::take_cost)), so that who asks for much can be made to wait for others.
//!
//! Work is counted where it is done: a command at the edge that reads it, what a home does for it with the message that asks
//! for it. A command of many names pays for each of them by its messages.

use crate::limits::VERIFY_UNITS;
use crate::presence::effect::Effect;
use crate::presence::message::{Claim, Message};

/// A command, apart from what it names: finding its client, paying for it, choosing what to do.
pub(crate) const COMMAND_NANOS: u64 = 1_000;
/// A byte of a command's text, which is read twice; JSON of nothing but commas and digits is the slowest.
pub(crate) const TEXT_BYTE_NANOS: u64 = 4;
/// A user named in a command: its part of the answer, and its place among what the client watches.
pub(crate) const NAME_NANOS: u64 = 200;
/// A message at the home or the edge that it is for: one search by name, and what is changed there.
const LETTER_NANOS: u64 = 250;
/// A byte of what a message carries: it is copied into the message that is made of it.
pub(crate) const DATA_BYTE_NANOS: u64 = 1;
/// A message that was said before: found, and copied into an answer.
pub(crate) const PAST_NANOS: u64 = 200;
/// A byte of what rooms keep that is looked at to find what somebody said, and the least of a room.
pub(crate) const ERASED_BYTE_NANOS: u64 = 2;
/// A message to another worker: queued, and taken out there.
const POST_NANOS: u64 = 200;
/// A message to one client.
const TEXT_NANOS: u64 = 500;
/// A byte of it: written, and copied into the client's output.
const EVENT_BYTE_NANOS: u64 = 1;
/// A token to verify.
const VERIFY_NANOS: u64 = VERIFY_UNITS as u64 * 1_000;
/// A message to several clients, which is encoded once.
const PUBLISH_NANOS: u64 = 400;
/// A client among those that get the same message; four of them cost a microsecond.
const DELIVERY_NANOS: u64 = 250;
/// A name that a message tells of, for each client that gets it: it is copied into the client's output.
pub(crate) const NAME_DELIVERED_NANOS: u64 = 5;
/// A member of a room or a user that is looked at for a page.
pub(crate) const LISTED_NANOS: u64 = 60;
/// A client among those that watch a user who has changed.
pub(crate) const WATCHER_NANOS: u64 = 20;
/// A watch that is compared with a user's rooms, where sight is restricted: whether the client sees the user.
pub(crate) const VISIBILITY_NANOS: u64 = 200;

/// The cost of handling a message, beside the part that depends on how many clients it reaches.
pub(crate) fn of_letter(message: &Message) -> u64 {
    let bytes = match message {
        Message::Tell { data, .. } | Message::Say { data, .. } => data.len(),
        Message::Status { info: Some(info), .. }
        | Message::Up { claim: Claim::Info(info), .. }
        | Message::Renewed { claim: Claim::Info(info), .. } => info.len(),
        _ => 0,
    };
    LETTER_NANOS + DATA_BYTE_NANOS * bytes as u64
}

/// The cost of carrying an effect out.
pub(crate) fn of_effect(effect: &Effect) -> u64 {
    match effect {
        Effect::Send { event, .. } => TEXT_NANOS + EVENT_BYTE_NANOS * event.bytes() as u64,
        Effect::Publish { sessions, .. } | Effect::Spread { sessions, .. } => {
            PUBLISH_NANOS + DELIVERY_NANOS * sessions.len() as u64
        }
        Effect::Verify { .. } => VERIFY_NANOS,
        Effect::Post { .. } => POST_NANOS,
        _ => TEXT_NANOS,
    }
}
