//! Commands to which the answer has much to say, what was said before: each is done when its client has room for a whole answer, one
//! at a time. So what a client asks for never closes it, and a client that reads slowly is answered slowly.

use crate::presence::command::Command;
use crate::presence::cost;
use crate::presence::edge::Edge;
use crate::presence::effect::SessionId;
use crate::presence::message::{ReplyTo, RequestRef};
use crate::presence::refusal::CommandRefusal;
use crate::presence::turn::Turn;

impl Edge {
    /// Keeps a command until its client has room.
    pub(super) fn wait_to_catch_up(
        &mut self,
        slot: u32,
        (seq, command): (i64, Command<'_>),
        bytes: usize,
        turn: &mut Turn<'_>,
    ) -> Result<(), CommandRefusal> {
        let known = &mut self.clients[slot as usize];
        let held = known.pending.get_or_insert_default().hold(seq, command, bytes);
        let client = self.address(slot).client;
        self.resume_later(client, turn);
        held.map_err(|_| CommandRefusal::TooManyWaiting)
    }

    /// A client has room for an answer of so many bytes: the command is done that waits for that.
    pub(crate) fn capacity(&mut self, slot: u32, session: SessionId, bytes: u32, turn: &mut Turn<'_>) {
        let Some(known) = self.clients.get_mut(slot as usize) else { return };
        if known.session != session || known.sent_away.is_some() {
            return;
        }
        let Some((seq, command)) = known.pending.as_mut().and_then(|pending| pending.take_asked()) else {
            return;
        };
        turn.out.spend(1, cost::COMMAND_NANOS);
        if self.end_if_over(slot, turn) {
            return;
        }
        let reply_to = ReplyTo { at: self.address(slot), request: RequestRef::CatchUp(seq) };
        let done = self.obey(slot, (seq, command), bytes, turn);
        let is_refused = done.is_err();
        self.refuse(slot, seq, done, turn);
        if is_refused {
            self.caught_up(reply_to, turn);
        }
    }

    /// A command is answered: where it was one that had to have room, the next such one may ask for that.
    pub(super) fn caught_up(&mut self, reply_to: ReplyTo, turn: &mut Turn<'_>) {
        if let RequestRef::CatchUp(_) = reply_to.request
            && let Some(pending) = self.known_mut(reply_to.at.client).and_then(|known| known.pending.as_mut())
        {
            pending.caught_up();
            self.resume_later(reply_to.at.client, turn);
        }
    }
}
