//! The pending work of a client: answers in the making, and commands that wait until there are fewer of those.

use std::collections::VecDeque;

use crate::limits::{REPLIES_PER_CONNECTION_MAX, WAITING_BYTES_MAX, WAITING_COMMANDS_MAX};
use crate::presence::command::Command;

/// A command that waits.
#[derive(Debug)]
struct QueuedCommand {
    seq: i64,
    command: Command<'static>,
    /// Of the text that it was read from.
    bytes: usize,
}

/// How far the command is whose answer has much to say.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum CatchingUp {
    /// There is none, or it waits behind others.
    #[default]
    No,
    /// It is the next one, and waits for its client to have room.
    Asked,
    /// It is done, and its answer is yet to come.
    Done,
}

/// The pending answers and commands of a client.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    /// Answers in the making, as the edge numbers them: `len <= REPLIES_PER_CONNECTION_MAX`.
    replies: Vec<u32>,
    commands: VecDeque<QueuedCommand>,
    /// Bytes of the texts of `commands`.
    bytes: usize,
    catching_up: CatchingUp,
    /// The client is in its edge's queue of those whose next command can be done.
    queued: bool,
}

/// No more commands can wait.
#[derive(Debug)]
pub(crate) struct Full;

impl Pending {
    /// The answers in the making.
    pub(crate) fn replies(&self) -> &[u32] {
        &self.replies
    }

    /// Commands that wait.
    pub(crate) fn waiting(&self) -> usize {
        self.commands.len()
    }

    /// Whether the client waits for nothing.
    pub(crate) fn is_empty(&self) -> bool {
        self.replies.is_empty() && self.commands.is_empty() && self.catching_up == CatchingUp::No
    }

    /// Another answer is in the making.
    pub(crate) fn begin(&mut self, reply: u32) {
        self.replies.push(reply);
    }

    /// An answer is made.
    pub(crate) fn end(&mut self, reply: u32) {
        self.replies.retain(|other| *other != reply);
    }

    /// Whether a command that comes now has to wait: what one client asks for is done in the order in which it was asked.
    pub(crate) fn holds_up(&self, gathers: bool) -> bool {
        !self.commands.is_empty() || (gathers && self.replies.len() >= REPLIES_PER_CONNECTION_MAX)
    }

    /// Keeps a command until there are fewer answers in the making.
    pub(crate) fn hold(&mut self, seq: i64, command: Command<'_>, bytes: usize) -> Result<(), Full> {
        if self.commands.len() >= WAITING_COMMANDS_MAX || self.bytes + bytes > WAITING_BYTES_MAX {
            return Err(Full);
        }
        self.bytes += bytes;
        self.commands.push_back(QueuedCommand { seq, command: command.into_owned(), bytes });
        Ok(())
    }

    /// Whether the next command can be done, and the client is not queued for that yet; it is from then on.
    pub(crate) fn queue(&mut self) -> bool {
        let can =
            self.commands.front().filter(|next| !next.command.catches_up()).is_some_and(|next| {
                !next.command.gathers() || self.replies.len() < REPLIES_PER_CONNECTION_MAX
            });
        can && !std::mem::replace(&mut self.queued, true)
    }

    /// Whether the next command is one whose client has to have room for its answer, and nobody looks for that yet; it is asked for from
    /// then on.
    pub(crate) fn asks(&mut self) -> bool {
        let asks = self.catching_up == CatchingUp::No
            && !self.queued
            && self.commands.front().is_some_and(|next| next.command.catches_up());
        if asks {
            self.catching_up = CatchingUp::Asked;
        }
        asks
    }

    /// The client has room: takes the command that waits for that.
    pub(crate) fn take_asked(&mut self) -> Option<(i64, Command<'static>)> {
        if self.catching_up != CatchingUp::Asked {
            return None;
        }
        self.catching_up = CatchingUp::Done;
        self.take()
    }

    /// Such a command is answered.
    pub(crate) fn caught_up(&mut self) {
        if self.catching_up == CatchingUp::Done {
            self.catching_up = CatchingUp::No;
        }
    }

    /// Takes the next command, of a client that was queued.
    pub(crate) fn next(&mut self) -> Option<(i64, Command<'static>)> {
        self.queued = false;
        if self.commands.front()?.command.catches_up() {
            return None;
        }
        self.take()
    }

    fn take(&mut self) -> Option<(i64, Command<'static>)> {
        let next = self.commands.pop_front()?;
        self.bytes -= next.bytes;
        Some((next.seq, next.command))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn who() -> Command<'static> {
        Command::Who { room: "r".into(), limit: 1, after: None }
    }

    fn tell() -> Command<'static> {
        Command::Tell { user: "ann".into(), data: "1".into() }
    }

    #[test]
    fn commands_wait_in_order_for_answers_to_be_made() {
        let mut pending = Pending::default();
        (0..REPLIES_PER_CONNECTION_MAX as u32).for_each(|reply| pending.begin(reply));
        assert!(pending.holds_up(true) && !pending.holds_up(false));
        pending.hold(1, who(), 9).unwrap();
        pending.hold(2, tell(), 9).unwrap();
        assert!(pending.holds_up(false), "behind another one");
        assert!(!pending.queue(), "no answer is made yet");
        pending.end(3);
        assert!(pending.queue() && !pending.queue(), "queued once");
        assert_eq!(pending.next(), Some((1, who())));
        pending.begin(9);
        assert!(pending.queue(), "a command that gathers nothing needs no answer to be made");
        assert_eq!((pending.next(), pending.waiting(), pending.bytes), (Some((2, tell())), 0, 0));
        assert!(!pending.queue());
    }

    #[test]
    fn so_many_wait_and_so_many_bytes() {
        let mut pending = Pending::default();
        (0..WAITING_COMMANDS_MAX).for_each(|_| pending.hold(1, tell(), 1).unwrap());
        assert!(pending.hold(1, tell(), 1).is_err());
        let mut pending = Pending::default();
        assert!(pending.hold(1, tell(), WAITING_BYTES_MAX + 1).is_err());
        pending.hold(1, tell(), WAITING_BYTES_MAX).unwrap();
        assert!(pending.hold(1, tell(), 1).is_err());
        pending.queue();
        pending.next();
        pending.hold(1, tell(), 1).unwrap();
    }
}
