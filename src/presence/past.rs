//! Messages of a room that were said before: the shapes in which clients ask for them, and get them.

use serde::{Deserialize, Serialize};

use crate::presence::data::Data;
use crate::presence::name::Name;

/// The position in a room up to which a client has heard what was said.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Since {
    /// The room's epoch then.
    pub epoch: u64,
    /// The offset of the last message that it heard.
    pub offset: u64,
}

/// A `join` that wants what was missed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Catchup {
    /// Missed since then.
    pub since: Since,
    /// Bytes that the messages of the answer may take when they are written: see [`Past::written_bytes`].
    pub bytes: u32,
}

/// The part of a room's history that is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum HistoryFrom {
    /// The newest messages before an offset; `None`: the newest of all.
    Before(Option<u64>),
    /// The oldest messages behind an offset.
    After(u64),
}

/// A message that was said before.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Past {
    /// The sender; `None`: it came from outside.
    pub from: Option<Name>,
    /// Its data; `None`: its author was deleted, and `from` is none either.
    pub data: Option<Data>,
    /// Its place in the room's order.
    pub offset: u64,
    /// When.
    pub unix_millis: u64,
}

/// The part of an answer to a `join` that makes up for what was missed.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Recovery {
    /// The epoch is the same, and nothing that was said since is missing without being named by `gap`.
    pub recovered: bool,
    /// The newest missed messages, in order: up to the room's position in the answer, behind which the live stream begins.
    pub messages: Vec<Past>,
    /// The first and the last offset of those missed that are not among them.
    pub gap: Option<(u64, u64)>,
}

/// A part of a room's history.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct HistoryPage {
    /// The room.
    pub room: Name,
    /// Its epoch.
    pub epoch: u64,
    /// The offset of the oldest message that is kept; one behind `last` where none is.
    pub first: u64,
    /// The offset of the newest message that was said.
    pub last: u64,
    /// The part, in order.
    pub messages: Vec<Past>,
}

/// Bytes that a message is written with, beside its data and its sender's name: at most.
const PAST_BYTES: usize = 96;

impl Past {
    /// Bytes that a message takes when it is written, at most: data that is no JSON as base64, a name with each of its bytes
    /// escaped.
    #[must_use]
    pub fn written_bytes(&self) -> usize {
        let (text, binary) = match &self.data {
            None => (0, 0),
            Some(Data::Json(text)) => (text.len(), 0),
            Some(Data::Binary(bytes)) => (0, bytes.len()),
        };
        written_bytes(self.from.as_deref(), text, binary)
    }
}

/// The same of a sender's name, and bytes of JSON or of what is none.
pub(crate) fn written_bytes(from: Option<&str>, text: usize, binary: usize) -> usize {
    PAST_BYTES + 2 * from.map_or(0, str::len) + text + binary.div_ceil(3) * 4
}

impl Recovery {
    /// Bytes of its messages when they are written, at most.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.messages.iter().map(Past::written_bytes).sum()
    }
}

impl HistoryPage {
    /// Bytes of its messages when they are written, at most.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.messages.iter().map(Past::written_bytes).sum()
    }
}
