//! Commands that wait for homes of other workers: given up, and undone.

use crate::presence::awaiting::{Awaited, Before, Undo};
use crate::presence::edge::Edge;
use crate::presence::edge::arrivals::tell_admin;
use crate::presence::effect::Effect;
use crate::presence::event::Event;
use crate::presence::membership::RoomPosition;
use crate::presence::message::{ClientId, HomeAnswer, Message};
use crate::presence::refusal::CommandRefusal;
use crate::presence::turn::Turn;

impl Edge {
    /// A message goes to another worker.
    #[inline]
    pub(crate) fn posts(&mut self, to: u16, message: &mut Message) {
        self.awaiting.begin(to, message);
    }

    /// Ends all waits for a home, and answers them: a command is not done, or it can't be known.
    pub(super) fn give_up(&mut self, home: u16, turn: &mut Turn<'_>) {
        for Awaited { reply_to, undo, .. } in self.awaiting.take_all(home) {
            self.note_answer(reply_to);
            let place = RoomPosition::default();
            let event = match (&undo, reply_to.request.seq()) {
                // As a home answers that has no such room.
                (Undo::Leave(_), Some(seq)) => Some(Event::Placed { seq, place, recovery: None }),
                (Undo::Leave(room), None) => {
                    let answer = HomeAnswer::Left(room.clone(), place);
                    let user = self.known(reply_to.at.client).and_then(|known| known.user.as_ref());
                    let event = user.and_then(|user| Event::forced(user, &answer));
                    tell_admin(reply_to.request, answer, turn);
                    event
                }
                (_, seq) => seq.map(|seq| Event::Refused { seq, why: CommandRefusal::Busy }),
            };
            self.undo(reply_to.at.client, undo, turn);
            if let (Some(known), Some(event)) = (self.known(reply_to.at.client), event) {
                turn.out.effects.push(Effect::Send { session: known.session, event });
            }
            self.caught_up(reply_to, turn);
        }
        for id in self.pending_replies.of_home(home) {
            if let Some(mut pending_reply) = self.pending_replies.end(id) {
                pending_reply.refused = true;
                self.finish(id, pending_reply, turn);
            }
        }
    }

    /// Undoes what the edge did for a command.
    pub(super) fn undo(&mut self, client: ClientId, undo: Undo, turn: &mut Turn<'_>) {
        if self.known(client).is_none() {
            return;
        }
        match undo {
            Undo::Nothing | Undo::Leave(_) => {}
            Undo::Join(room, visit) => {
                if let Ok((place, _)) = self.place_in_room(client.slot, &room)
                    && self.rooms.member(place).visit() == visit
                {
                    self.leave_room(client.slot, place);
                }
            }
            Undo::Status(Before { silent, hidden, said }) => {
                let known = &mut self.clients[client.slot as usize];
                (known.silent, known.said) = (silent, said);
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
