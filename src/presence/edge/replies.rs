//! The answers that several homes have a part in: begun, put together and sent; and the commands that wait for that.

use crate::presence::command::Command;
use crate::presence::cost;
use crate::presence::edge::Edge;
use crate::presence::effect::Effect;
use crate::presence::event::Event;
use crate::presence::message::ClientId;
use crate::presence::name::Name;
use crate::presence::refusal::CommandRefusal;
use crate::presence::scatter_gather::{PendingReply, ReplyKind};
use crate::presence::turn::Turn;
use crate::presence::view::View;
use crate::presence::views::Views;

impl Edge {
    /// Begins an answer. Its parts are yet to be asked for.
    pub(super) fn begin_reply(&mut self, slot: u32, seq: i64, purpose: ReplyKind, views: Views) -> u32 {
        let left = if matches!(purpose, ReplyKind::Who(_)) { 1 } else { views.len() };
        let client = self.address(slot).client;
        let id = self.pending_replies.begin(PendingReply {
            client,
            seq,
            serial: 0,
            purpose,
            views,
            left,
            refused: false,
        });
        self.clients[slot as usize].pending.get_or_insert_default().begin(id);
        id
    }

    pub(super) fn answer_if_complete(&mut self, id: u32, turn: &mut Turn<'_>) {
        let is_complete =
            self.pending_replies.get_mut(id).is_some_and(|pending_reply| pending_reply.left == 0);
        if is_complete
            && !self.asks_on(id, turn)
            && let Some(pending_reply) = self.pending_replies.end(id)
        {
            self.finish(id, pending_reply, turn);
        }
    }

    pub(super) fn finish(&mut self, id: u32, pending_reply: PendingReply, turn: &mut Turn<'_>) {
        let PendingReply { client, seq, purpose, views, refused, .. } = pending_reply;
        let Some(known) = self.known_mut(client) else { return };
        let session = known.session;
        if let Some(pending) = &mut known.pending {
            pending.end(id);
        }
        self.resume_later(client, turn);
        if let ReplyKind::Watch { .. } = purpose {
            self.activate(client.slot, views.users(), refused, turn);
        }
        let views_of = |edge: &Edge, views: Views| -> Vec<(Name, View)> {
            let seen = |(user, view): (Name, Option<View>)| {
                let view = edge.seen_by(client.slot, &user, view?);
                Some((user, view))
            };
            views.into_asked().into_iter().filter_map(seen).collect()
        };
        let event = match purpose {
            _ if refused => Event::Refused { seq, why: CommandRefusal::Busy },
            ReplyKind::Watch { suspect } => Event::Views { seq, views: views_of(self, views), suspect },
            ReplyKind::Presence => Event::Views { seq, views: views_of(self, views), suspect: false },
            // The room has already checked that the client may see the users on a page.
            ReplyKind::Who(draft) => match draft.into_answer(views) {
                Some((page, views)) => Event::Members { seq, page, views },
                None => Event::Refused { seq, why: CommandRefusal::Busy },
            },
        };
        turn.out.effects.push(Effect::Send { session, event });
    }

    /// From here on changes are sent; or, where a home could not be asked, the others are left as they were before.
    /// Views that another command waits for stay with that command.
    fn activate<'u>(
        &mut self,
        slot: u32,
        users: impl Iterator<Item = &'u Name>,
        refused: bool,
        turn: &mut Turn<'_>,
    ) {
        for user in users {
            let Some((topic, _)) = self.watches.find(user) else { continue };
            let Some(place) = self.clients[slot as usize].watches.get(topic) else { continue };
            let member = self.watches.member_mut(place);
            if !refused {
                member.active = true;
            } else if !member.active && !self.pending_replies.watch(self.replies_of(slot), user) {
                self.unwatch(slot, user, turn);
            }
        }
    }

    fn replies_of(&self, slot: u32) -> &[u32] {
        self.clients[slot as usize].pending.as_ref().map_or(&[], |pending| pending.replies())
    }

    /// Keeps a command where it has to wait until other commands of its client are answered; gives it back where it need not.
    pub(super) fn wait<'c>(
        &mut self,
        slot: u32,
        (seq, command): (i64, Command<'c>),
        bytes: usize,
        turn: &mut Turn<'_>,
    ) -> Result<Option<Command<'c>>, CommandRefusal> {
        if command.catches_up() {
            return self.wait_to_catch_up(slot, (seq, command), bytes, turn).map(|()| None);
        }
        let Some(pending) = &mut self.clients[slot as usize].pending else { return Ok(Some(command)) };
        if !pending.holds_up(command.gathers()) {
            return Ok(Some(command));
        }
        pending.hold(seq, command, bytes).map(|()| None).map_err(|_| CommandRefusal::TooManyWaiting)
    }

    /// Whether some client has a command that waited and can be done now.
    pub(crate) fn has_resumable(&self) -> bool {
        !self.resumable.is_empty()
    }

    /// Does the next command that waited, of one client; the others have their turns before that client's next one. Says
    /// whether some client had one.
    pub(crate) fn resume(&mut self, turn: &mut Turn<'_>) -> bool {
        let Some(client) = self.resumable.pop_front() else { return false };
        let Some(pending) = self.known_mut(client).and_then(|known| known.pending.as_mut()) else {
            return true;
        };
        let Some((seq, command)) = pending.next() else { return true };
        let slot = client.slot;
        turn.out.spend(1, cost::COMMAND_NANOS);
        if self.end_if_over(slot, turn) {
            return true;
        }
        let done = self.obey(slot, (seq, command), 0, turn);
        self.refuse(slot, seq, done, turn);
        self.resume_later(client, turn);
        true
    }

    /// Queues a client whose next command no longer has to wait, and forgets what a client that waits for nothing waited for.
    pub(super) fn resume_later(&mut self, client: ClientId, turn: &mut Turn<'_>) {
        let Some(known) = self.known_mut(client) else { return };
        known.pending.take_if(|pending| pending.is_empty());
        let Some(pending) = &mut known.pending else { return };
        if pending.asks() {
            let (slot, session) = (client.slot, known.session);
            turn.out.effects.push(Effect::Capacity { slot, session });
        } else if pending.queue() {
            self.resumable.push_back(client);
        }
    }
}
