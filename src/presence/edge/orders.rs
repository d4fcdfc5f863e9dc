//! Orders of the admin at an edge: clients join and leave rooms, and all of them are reached.

use std::collections::VecDeque;

use crate::limits::{BROADCAST_BYTES_PER_TURN, BROADCAST_PER_TURN_MAX, BROADCASTS_MAX};
use crate::presence::edge::Edge;
use crate::presence::edge::arrivals::tell_admin;
use crate::presence::effect::Effect;
use crate::presence::event::SharedEvent;
use crate::presence::message::{ClientId, HomeAnswer, Message, ReplyTo, RequestRef};
use crate::presence::name::Name;
use crate::presence::refusal::CommandRefusal;
use crate::presence::turn::Turn;

/// A broadcast on its way over an edge's clients.
#[derive(Debug)]
struct Broadcast {
    id: u32,
    event: SharedEvent,
    /// Clients that it reaches in one turn.
    share: usize,
    /// The slot that comes next.
    next: usize,
    /// The slot before which those end who were here when it came.
    end: usize,
    reply_to: ReplyTo,
}

/// Broadcasts on their way over an edge's clients, one behind the other.
#[derive(Debug)]
pub(crate) struct Broadcasts {
    queue: VecDeque<Broadcast>,
    next_id: u32,
}

impl Broadcasts {
    pub(crate) fn new() -> Broadcasts {
        Broadcasts { queue: VecDeque::new(), next_id: 0 }
    }

    /// Whether none is on its way.
    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// A broadcast has come. Past the bound nobody gets it, and who asked is told.
    pub(crate) fn begin(&mut self, edge: &Edge, event: SharedEvent, reply_to: ReplyTo, turn: &mut Turn<'_>) {
        if self.queue.len() >= BROADCASTS_MAX || edge.is_empty() {
            let answer = HomeAnswer::Spread { to: 0, without: edge.len(), done: true };
            return turn.out.post(reply_to.at.worker, Message::Answered { reply_to, answer });
        }
        self.next_id = self.next_id.wrapping_add(1);
        let share = (BROADCAST_BYTES_PER_TURN / event.bytes().max(1)).clamp(1, BROADCAST_PER_TURN_MAX);
        let (id, end) = (self.next_id, edge.clients.end());
        self.queue.push_back(Broadcast { id, event, share, next: 0, end, reply_to });
    }

    /// Reaches the next clients: one share, for one turn.
    pub(crate) fn go_on(&mut self, edge: &Edge, turn: &mut Turn<'_>) {
        let Some(first) = self.queue.front_mut() else { return };
        let mut sessions = Vec::with_capacity(first.share.min(edge.len()));
        // Free slots cost little, but not nothing.
        let stop = first.end.min(first.next + 16 * first.share);
        while first.next < stop && sessions.len() < first.share {
            // A client that owes a token is told nothing before it comes, and one that was sent away nothing
            // more.
            let let_in =
                |slot: &usize| !edge.passes.is_awaited(*slot as u32) && !edge.is_sent_away(*slot as u32);
            let slot = Some(first.next).filter(let_in);
            sessions.extend(slot.and_then(|slot| edge.clients.get(slot)).map(|known| known.session));
            first.next += 1;
        }
        let (broadcast, event) = (first.id, first.event.clone());
        turn.out.effects.push(Effect::Spread { broadcast, sessions, event });
    }

    /// The last share was sent, but to those who had no room for it.
    pub(crate) fn spread(&mut self, id: u32, to: usize, without: usize, turn: &mut Turn<'_>) {
        let Some(first) = self.queue.front().filter(|first| first.id == id) else { return };
        let (reply_to, done) = (first.reply_to, first.next >= first.end);
        let answer = HomeAnswer::Spread { to, without, done };
        turn.out.post(reply_to.at.worker, Message::Answered { reply_to, answer });
        if done {
            self.queue.pop_front();
        }
    }
}

impl Edge {
    /// A client is to join or leave a room as if it had asked. `reply_to` is an admin request, which is told what
    /// came of it.
    pub(crate) fn forced(
        &mut self,
        client: ClientId,
        room: &Name,
        joins: bool,
        reply_to: ReplyTo,
        turn: &mut Turn<'_>,
    ) {
        let RequestRef::Admin { request, .. } = reply_to.request else { return };
        let is_here = self.known(client).is_some();
        if joins && is_here {
            self.end_taken(client.slot, room);
        }
        let is_in = is_here && self.place_in_room(client.slot, room).is_ok();
        let request = RequestRef::Forced { admin: reply_to.at.edge(), request, change: is_in != joins };
        let asked = ReplyTo { at: self.address(client.slot), request };
        let done = match self.known(client) {
            None => Err(CommandRefusal::UserNotInRoom),
            Some(_) if joins => self.join(client.slot, room, None, asked, turn),
            Some(_) => self.leave(client.slot, room, asked, turn),
        };
        if let Err(why) = done {
            let why = match why {
                CommandRefusal::TooManyRooms => CommandRefusal::UserInTooManyRooms,
                _ => CommandRefusal::UserNotInRoom,
            };
            tell_admin(request, HomeAnswer::NotForced(why), turn);
        }
    }

    /// Whether a client is still here.
    #[must_use]
    pub fn is_here(&self, client: ClientId) -> bool {
        self.known(client).is_some()
    }
}
