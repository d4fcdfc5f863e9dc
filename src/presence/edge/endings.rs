//! How clients end: they go, or are sent away; and how the graces of those who may be back end before their time.

use std::sync::Arc;

use crate::presence::edge::Edge;
use crate::presence::effect::Effect;
use crate::presence::ending::Ending;
use crate::presence::message::{ClientId, Leaving, Message};
use crate::presence::moderation::Moderation;
use crate::presence::name::Name;
use crate::presence::turn::Turn;
use crate::presence::view::Reason;

impl Edge {
    /// A client's connection is gone.
    pub(crate) fn closed(&mut self, slot: u32, reason: Reason, seen_millis: u64, turn: &mut Turn<'_>) {
        if self.clients.get(slot as usize).is_some_and(|known| known.sent_away.is_none()) {
            self.vacate(turn.rules.grace, slot, reason, seen_millis, turn);
        }
        self.clients.try_remove(slot as usize);
        self.passes.remove(slot);
        self.forget_taken(slot);
    }

    /// A home has a client sent away.
    pub(crate) fn evict(
        &mut self,
        client: ClientId,
        reason: Reason,
        words: Option<Arc<str>>,
        turn: &mut Turn<'_>,
    ) {
        if self.known(client).is_none() {
            return;
        }
        let why = match reason {
            Reason::Replaced => Ending::Replaced,
            Reason::Expired => Ending::Expired,
            _ => Ending::Kicked(words),
        };
        self.send_away(client.slot, reason, why, turn);
    }

    /// Closes a client for good. It is in nothing from now on, however long its connection takes to close, and nothing that
    /// it says counts: the first reason is the one that it was told.
    pub(super) fn send_away(&mut self, slot: u32, reason: Reason, why: Ending, turn: &mut Turn<'_>) {
        self.vacate(0, slot, reason, turn.now.unix_millis, turn);
        let Some(known) = self.clients.get_mut(slot as usize) else { return };
        known.sent_away = Some(reason);
        turn.out.effects.push(Effect::Close { session: known.session, why });
    }

    /// Takes a client out of everything, and tells the homes.
    fn vacate(&mut self, grace: u32, slot: u32, reason: Reason, seen_millis: u64, turn: &mut Turn<'_>) {
        let at = self.address(slot);
        let Some(known) = self.clients.get_mut(slot as usize) else { return };
        let (rooms, watches) = (std::mem::take(&mut known.rooms), std::mem::take(&mut known.watches));
        let (user, hides) = (known.user.clone(), known.is_hidden());
        known.pending = None;
        for place in watches.as_slice().iter().copied() {
            let watched = self.watches.name(place.topic).clone();
            let counted = self.watches.member(place).counted();
            self.drop_watch(place);
            self.tell_home_unwatched(&watched, counted, turn);
        }
        let Some(user) = user else { return };
        // The user's home hears of it before the rooms' homes do: who sees the user in one of them alone is told why it went.
        turn.out.post(self.homes.of(&user), Message::Down { user: user.clone(), at, reason, seen_millis });
        let leaving = if reason.is_final() { Leaving::Now } else { Leaving::Perhaps };
        let mut left = Vec::with_capacity(rooms.len());
        for place in rooms.as_slice().iter().copied() {
            let (room, visit) = (self.rooms.name(place.topic).clone(), self.rooms.member(place).visit());
            self.drop_room(place);
            left.push(room.clone());
            let (home, user) = (self.homes.of(&room), user.clone());
            turn.out.post(home, Message::Leave { room, user, at, visit, hides, leaving, reply_to: None });
        }
        if leaving == Leaving::Perhaps && grace > 0 {
            self.departed.add(turn.now.tick, grace, &user, left);
        }
    }

    /// Nobody is to be waited for any more of a user's clients that were here: in a room, or in all.
    pub(crate) fn end_graces(&mut self, user: &Name, room: Option<&Name>, turn: &mut Turn<'_>) {
        for room in self.departed.take(turn.now.tick, user, room) {
            let (home, user) = (self.homes.of(&room), user.clone());
            turn.out
                .post(home, Message::Moderate { what: Moderation::EndGrace { room, user }, reply_to: None });
        }
    }

    /// Users whose clients went lately, and may be back.
    #[must_use]
    pub fn departed(&self) -> usize {
        self.departed.len()
    }
}
