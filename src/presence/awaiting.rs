//! Commands that the home of another worker is yet to answer. Each is answered once: by that home, or with 503 where messages to
//! it or from it may be lost; what the home says after that finds nobody. A home of this worker answers within the call.

use crate::presence::message::{Message, ReplyTo, RequestRef};
use crate::presence::name::Name;
use crate::presence::view::State;
use crate::slots::Slots;

/// How a client was before its `status`, which its home may refuse.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Before {
    pub(crate) silent: bool,
    pub(crate) hidden: bool,
    pub(crate) said: Option<State>,
}

/// The steps to undo when a home does not do a command.
#[derive(Debug)]
pub(crate) enum Undo {
    Nothing,
    /// A client that was not in a room has a place there, by that `visit`.
    Join(Name, u16),
    /// Nothing either: a client that leaves a room is gone.
    Leave(Name),
    Status(Before),
}

/// A command that waits.
#[derive(Debug)]
pub(crate) struct Awaited {
    serial: u32,
    home: u16,
    pub(crate) reply_to: ReplyTo,
    pub(crate) undo: Undo,
}

/// The commands of one edge that wait: as many as mailboxes hold, at most.
#[derive(Debug, Default)]
pub(crate) struct Awaiting {
    commands: Slots<Awaited>,
    last_serial: u32,
    /// Of the client whose command is a `status`, while that is handled.
    pub(crate) before: Before,
}

impl Awaiting {
    /// A message goes to a home of another worker: the answer to its command will be known by a number.
    #[expect(clippy::cast_possible_truncation, reason = "bounded by what mailboxes hold")]
    pub(crate) fn begin(&mut self, home: u16, message: &mut Message) {
        let undo = self.undo_of(message);
        // A client that was put out is told so by the answer.
        let is_put_out = matches!(undo, Undo::Leave(_));
        let is_awaited = |reply_to: &&mut ReplyTo| is_put_out || reply_to.request.seq().is_some();
        let Some(reply_to) = message.asker_mut().filter(is_awaited) else {
            return;
        };
        self.last_serial = self.last_serial.wrapping_add(1);
        let serial = self.last_serial;
        let slot = self.commands.insert(Awaited { serial, home, reply_to: *reply_to, undo }) as u32;
        reply_to.request = RequestRef::Awaited { slot, serial };
    }

    fn undo_of(&self, message: &Message) -> Undo {
        match message {
            Message::Join { room, visit, again: false, .. } => Undo::Join(room.clone(), *visit),
            Message::Leave { room, .. } => Undo::Leave(room.clone()),
            Message::Status { .. } => Undo::Status(self.before),
            _ => Undo::Nothing,
        }
    }

    /// The client whose command is answered; `None`: it was answered before.
    pub(crate) fn arrived(&mut self, reply_to: ReplyTo) -> Option<ReplyTo> {
        match reply_to.request {
            RequestRef::Awaited { slot, serial } => Some(self.take(slot, serial)?.reply_to),
            _ => Some(reply_to),
        }
    }

    /// The same of a message that was not taken, and what has to be undone.
    pub(crate) fn refused(&mut self, reply_to: ReplyTo, message: &Message) -> Option<(ReplyTo, Undo)> {
        match reply_to.request {
            RequestRef::Awaited { slot, serial } => {
                self.take(slot, serial).map(|Awaited { reply_to, undo, .. }| (reply_to, undo))
            }
            _ => Some((reply_to, self.undo_of(message))),
        }
    }

    fn take(&mut self, slot: u32, serial: u32) -> Option<Awaited> {
        self.commands.get(slot as usize).filter(|awaited| awaited.serial == serial)?;
        self.commands.try_remove(slot as usize)
    }

    /// Takes all out that wait for a home, the latest first.
    pub(crate) fn take_all(&mut self, home: u16) -> Vec<Awaited> {
        let slots: Vec<usize> =
            self.commands.iter().filter(|(_, awaited)| awaited.home == home).map(|(slot, _)| slot).collect();
        let mut all: Vec<Awaited> =
            slots.into_iter().filter_map(|slot| self.commands.try_remove(slot)).collect();
        all.sort_unstable_by_key(|awaited| self.last_serial.wrapping_sub(awaited.serial));
        all
    }

    pub(crate) fn len(&self) -> usize {
        self.commands.len()
    }

    pub(crate) fn shrink(&mut self) {
        self.commands.shrink();
    }
}
