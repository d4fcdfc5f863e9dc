//! Commands that the home of another worker is yet to answer. Each is answered once: by that home, or with 503 where letters to
//! it or from it may be lost; what the home says after that finds nobody. A home of this worker answers within the call.

use crate::presence::envelope::{Asker, Envelope, Ticket};
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

/// What has to be undone where a home does not do a command.
#[derive(Debug)]
pub(crate) enum Undo {
    Nothing,
    /// A client that was not in a room has a place there, by that `visit`.
    Join(Name, u16),
    /// Nothing either: a client that leaves is gone.
    Leave,
    Status(Before),
}

/// A command that waits.
#[derive(Debug)]
pub(crate) struct Awaited {
    serial: u32,
    home: u16,
    pub(crate) asker: Asker,
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
    /// A letter goes to a home of another worker: the answer to its command will be known by a number.
    #[expect(clippy::cast_possible_truncation, reason = "bounded by what mailboxes hold")]
    pub(crate) fn begin(&mut self, home: u16, letter: &mut Envelope) {
        let undo = self.undo_of(letter);
        let Some(asker) = letter.asker_mut().filter(|asker| matches!(asker.ticket, Ticket::Command(_)))
        else {
            return;
        };
        self.last_serial = self.last_serial.wrapping_add(1);
        let serial = self.last_serial;
        let slot = self.commands.insert(Awaited { serial, home, asker: *asker, undo }) as u32;
        asker.ticket = Ticket::Awaited { slot, serial };
    }

    fn undo_of(&self, letter: &Envelope) -> Undo {
        match letter {
            Envelope::Join { room, visit, again: false, .. } => Undo::Join(room.clone(), *visit),
            Envelope::Leave { .. } => Undo::Leave,
            Envelope::Status { .. } => Undo::Status(self.before),
            _ => Undo::Nothing,
        }
    }

    /// Whose command is answered; `None`: it was answered before.
    pub(crate) fn arrived(&mut self, asker: Asker) -> Option<Asker> {
        match asker.ticket {
            Ticket::Awaited { slot, serial } => Some(self.take(slot, serial)?.asker),
            _ => Some(asker),
        }
    }

    /// The same of a letter that was not taken, and what has to be undone.
    pub(crate) fn refused(&mut self, asker: Asker, letter: &Envelope) -> Option<(Asker, Undo)> {
        match asker.ticket {
            Ticket::Awaited { slot, serial } => {
                self.take(slot, serial).map(|Awaited { asker, undo, .. }| (asker, undo))
            }
            _ => Some((asker, self.undo_of(letter))),
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

    pub(crate) fn give_back(&mut self) {
        self.commands.give_back();
    }
}
