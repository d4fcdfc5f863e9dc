//! Commands that the home of another worker is yet to answer. Each is answered once: by that home, or with 503 where letters to
//! it or from it may be lost; what the home says after that finds nobody. A home of this worker answers within the call.

use crate::presence::edge::Edge;
use crate::presence::effect::Effect;
use crate::presence::envelope::{Asker, Client, Envelope, Ticket};
use crate::presence::event::Event;
use crate::presence::membership::Place;
use crate::presence::name::Name;
use crate::presence::refusal::Refusal;
use crate::presence::turn::Turn;
use crate::presence::view::State;
use crate::slots::Slots;

/// How a client was before its `status`, which its home may refuse.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Before {
    pub(super) silent: bool,
    pub(super) hidden: bool,
    pub(super) said: Option<State>,
}

/// What has to be undone where a home does not do a command.
#[derive(Debug)]
pub(super) enum Undo {
    Nothing,
    /// A client that was not in a room has a place there, by that `visit`.
    Join(Name, u16),
    /// Nothing either: a client that leaves is gone.
    Leave,
    Status(Before),
}

#[derive(Debug)]
struct Awaited {
    serial: u32,
    home: u16,
    asker: Asker,
    undo: Undo,
}

/// The commands of one edge that wait: as many as mailboxes hold, at most.
#[derive(Debug, Default)]
pub(super) struct Awaiting {
    commands: Slots<Awaited>,
    last_serial: u32,
    /// Of the client whose command is a `status`, while that is handled.
    pub(super) before: Before,
}

impl Awaiting {
    /// A letter goes to a home of another worker: the answer to its command will be known by a number.
    #[expect(clippy::cast_possible_truncation, reason = "bounded by what mailboxes hold")]
    fn begin(&mut self, home: u16, letter: &mut Envelope) {
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
    pub(super) fn arrived(&mut self, asker: Asker) -> Option<Asker> {
        match asker.ticket {
            Ticket::Awaited { slot, serial } => Some(self.take(slot, serial)?.asker),
            _ => Some(asker),
        }
    }

    /// The same of a letter that was not taken, and what has to be undone.
    pub(super) fn refused(&mut self, asker: Asker, letter: &Envelope) -> Option<(Asker, Undo)> {
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
    fn take_all(&mut self, home: u16) -> Vec<Awaited> {
        let slots: Vec<usize> =
            self.commands.iter().filter(|(_, awaited)| awaited.home == home).map(|(slot, _)| slot).collect();
        let mut all: Vec<Awaited> =
            slots.into_iter().filter_map(|slot| self.commands.try_remove(slot)).collect();
        all.sort_unstable_by_key(|awaited| self.last_serial.wrapping_sub(awaited.serial));
        all
    }

    pub(super) fn give_back(&mut self) {
        self.commands.give_back();
    }
}

impl Edge {
    /// A letter goes to another worker.
    #[inline]
    pub(crate) fn posts(&mut self, to: u16, letter: &mut Envelope) {
        self.awaiting.begin(to, letter);
    }

    /// What waits for a home is not waited for any more, and is answered: a command is not done, or it can't be known.
    pub(super) fn give_up(&mut self, home: u16, turn: &mut Turn<'_>) {
        for Awaited { asker, undo, .. } in self.awaiting.take_all(home) {
            self.settle(asker);
            let Ticket::Command(seq) = asker.ticket else { continue };
            let event = match undo {
                // As a home answers that has no such room.
                Undo::Leave => Event::Placed { seq, place: Place::default() },
                _ => Event::Refused { seq, why: Refusal::Busy },
            };
            self.undo(asker.at.client, undo, turn);
            if let Some(seat) = self.seat(asker.at.client) {
                turn.out.effects.push(Effect::Send { link: seat.link, event });
            }
        }
        for id in self.gathers.of_home(home) {
            if let Some(mut gather) = self.gathers.end(id) {
                gather.refused = true;
                self.finish(id, gather, turn);
            }
        }
    }

    /// Undoes what the edge did for a command.
    pub(super) fn undo(&mut self, client: Client, undo: Undo, turn: &mut Turn<'_>) {
        if self.seat(client).is_none() {
            return;
        }
        match undo {
            Undo::Nothing | Undo::Leave => {}
            Undo::Join(room, visit) => {
                if let Ok((place, _)) = self.place_in_room(client.slot, &room)
                    && self.rooms.member(place).visit() == visit
                {
                    self.leave_room(client.slot, place);
                }
            }
            Undo::Status(Before { silent, hidden, said }) => {
                let seat = &mut self.seats[client.slot as usize];
                (seat.silent, seat.said) = (silent, said);
                self.hide(client, hidden, turn);
            }
        }
    }

    /// Commands that wait for homes of other workers.
    #[must_use]
    pub fn awaiting(&self) -> usize {
        self.awaiting.commands.len()
    }
}
