//! Changes of rooms with history, told to somebody who keeps them elsewhere.

use crate::presence::data::Data;

/// Is told at a room's home what becomes of its history, as it happens and in order: for who keeps it on a disk or beside the server. It
/// is called within a turn, and has to take what it is told without waiting.
pub trait Journal: Send {
    /// A message was said: it is kept under that offset.
    fn appended(&mut self, room: &str, at: (u64, u64), said: Appended<'_>);

    /// Messages before that offset are kept no more.
    fn trimmed(&mut self, room: &str, epoch: u64, first: u64);

    /// All that the user has said in the room is deleted, and its content is gone.
    fn erased(&mut self, room: &str, epoch: u64, user: &str);

    /// The room of that epoch is over, and nothing of it is kept.
    fn ended(&mut self, room: &str, epoch: u64);
}

/// A message that is kept.
#[derive(Clone, Copy, Debug)]
pub struct Appended<'a> {
    /// The sender; `None`: it came from outside.
    pub from: Option<&'a str>,
    /// The id that its sender gave it.
    pub id: Option<&'a str>,
    /// The message's data.
    pub data: &'a Data,
    /// When.
    pub unix_millis: u64,
}
