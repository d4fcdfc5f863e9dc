//! Commands that wait for homes of other workers: given up, and undone.

use crate::presence::awaiting::{Awaited, Before, Undo};
use crate::presence::edge::Edge;
use crate::presence::effect::Effect;
use crate::presence::envelope::{Client, Envelope, Ticket};
use crate::presence::event::Event;
use crate::presence::membership::Place;
use crate::presence::refusal::Refusal;
use crate::presence::turn::Turn;

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
        self.awaiting.len()
    }
}
