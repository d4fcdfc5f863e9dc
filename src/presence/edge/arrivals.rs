//! Messages from homes: answers, changes and room messages, and the clients that get them.

use crate::presence::address::{self, NOBODY};
use crate::presence::conflation_key::ConflationKey;
use crate::presence::cost;
use crate::presence::edge::Edge;
use crate::presence::edge::visibility::{of_oneself, publish};
use crate::presence::effect::Effect;
use crate::presence::event::{Event, SharedEvent};
use crate::presence::message::{ClientId, HomeAnswer, MembershipChange, Message, ReplyTo, RequestRef};
use crate::presence::refusal::CommandRefusal;
use crate::presence::subscribers::Subscriber;
use crate::presence::turn::Turn;
use crate::presence::view::View;

impl Edge {
    pub(crate) fn seen(&mut self, reply_to: ReplyTo, user: &str, view: View, turn: &mut Turn<'_>) {
        self.told.version = self.told.version.max(view.version);
        self.keep_visible(user, &view);
        // The client may be told this now, and an answer that waits for slower homes later.
        let client = reply_to.at.client;
        let known = self.clients.get(client.slot as usize).filter(|known| known.is(client));
        if let Some(pending) = known.and_then(|known| known.pending.as_ref()) {
            self.pending_replies.renew(pending.replies(), user, &view);
        }
        if let RequestRef::Part { pending_reply, serial, index } = reply_to.request
            && self.pending_replies.has(pending_reply, serial)
        {
            self.pending_replies.part(pending_reply, index, Some(view));
            self.answer_if_complete(pending_reply, turn);
        }
    }

    pub(crate) fn changed(
        &mut self,
        user: &str,
        view: &View,
        plain: Option<SharedEvent>,
        full: Option<SharedEvent>,
        turn: &mut Turn<'_>,
    ) {
        self.told.version = self.told.version.max(view.version);
        let Some((topic, name)) = self.watches.find(user) else { return };
        if view.rooms.is_some() {
            let name = name.clone();
            return self.changed_visibly((topic, &name), view, (plain, full), turn);
        }
        turn.out.spend(self.watches.members(topic).len(), cost::WATCHER_NANOS);
        let (mut sessions, mut own) = ((Vec::new(), Vec::new()), Vec::new());
        for member in self.watches.members(topic) {
            let known = &self.clients[member.slot as usize];
            if let Some(pending) = &known.pending {
                self.pending_replies.renew(pending.replies(), user, view);
            }
            if !member.active {
                continue;
            }
            if view.unseen > 0 && known.user.as_deref() == Some(user) {
                own.push(known.session);
            } else {
                (if member.suspect { &mut sessions.1 } else { &mut sessions.0 }).push(known.session);
            }
        }
        let name = self.watches.name(topic);
        let conflation = ConflationKey::User(name.clone());
        let to_own = plain.as_ref().filter(|_| !own.is_empty()).map(|_| of_oneself(name, view));
        publish(own, to_own, conflation.clone(), turn);
        publish(sessions.0, plain, conflation.clone(), turn);
        publish(sessions.1, full, conflation, turn);
    }

    /// A message for one client. One that is gone by now counts as one that was not there.
    pub(crate) fn told(&self, client: ClientId, event: SharedEvent, reply_to: ReplyTo, turn: &mut Turn<'_>) {
        match self.known(client) {
            Some(known) => turn.out.effects.push(Effect::Tell { session: known.session, event, reply_to }),
            None => turn.out.post(
                reply_to.at.worker,
                Message::Answered { reply_to, answer: HomeAnswer::Told { to: 0, without: 0 } },
            ),
        }
    }

    pub(crate) fn answered(&mut self, reply_to: ReplyTo, mut answer: HomeAnswer, turn: &mut Turn<'_>) {
        // One that was answered without it is answered.
        let Some(reply_to) = self.awaiting.arrived(reply_to) else { return };
        let client = reply_to.at.client;
        self.note_answer(reply_to);
        if let HomeAnswer::Joined(room, place, ..) | HomeAnswer::Left(room, place) = &answer {
            self.told.epoch = self.told.epoch.max(place.epoch);
            self.stands(client, room, *place);
        }
        let known = self.known(client);
        let event = match (reply_to.request, &mut answer) {
            (RequestRef::Command(seq) | RequestRef::CatchUp(seq), answer) => Event::of_answer(seq, answer),
            (RequestRef::Forced { change: true, .. }, answer) => {
                known.and_then(|known| Event::forced(known.user.as_ref()?, answer))
            }
            _ => None,
        };
        if let (Some(known), Some(event)) = (known, event) {
            turn.out.effects.push(Effect::Send { session: known.session, event });
        }
        // The users whom it sees from then on come after the answer. A client that is forced to join a room that it is in
        // already is not told, and its membership does not start anew.
        let changes = !matches!(reply_to.request, RequestRef::Forced { change: false, .. });
        match &answer {
            HomeAnswer::Joined(room, _, visit, _) if changes => self.hears(client, room, *visit, turn),
            HomeAnswer::Barred(room, Some(visit)) => self.barred(client, room, *visit, turn),
            _ => {}
        }
        tell_admin(reply_to.request, answer, turn);
        self.caught_up(reply_to, turn);
    }

    /// A command that a home was asked about is owed no answer any more.
    pub(super) fn note_answer(&mut self, reply_to: ReplyTo) {
        if reply_to.request.seq().is_some()
            && let Some(known) = self.known_mut(reply_to.at.client)
        {
            known.note_answer();
        }
    }

    /// A client's place in a room counts from the answer on that made it: what was said before is not delivered. One that said
    /// `join`, `leave` and `join` in a row has its second place before the first answer comes.
    fn hears(&mut self, client: ClientId, room: &str, visit: u16, turn: &mut Turn<'_>) {
        let Some((topic, _)) = self.rooms.find(room) else { return };
        let Some(place) = self.known(client).and_then(|known| known.rooms.get(topic)) else { return };
        let member = self.rooms.member_mut(place);
        if member.visit() == visit && !std::mem::replace(&mut member.active, true) {
            self.moved(client.slot, room, true, turn);
        }
    }

    /// Delivers a room's event to its members here.
    pub(crate) fn deliver(
        &mut self,
        room: &str,
        event: SharedEvent,
        except: Option<ClientId>,
        change: Option<&MembershipChange>,
        turn: &mut Turn<'_>,
    ) {
        let Some((topic, _)) = self.rooms.find(room) else { return };
        if let Some(change) = change {
            self.told.epoch = self.told.epoch.max(change.place.epoch);
            self.change_pages(topic, change, turn);
        }
        let hears =
            |member: &&Subscriber| member.active && except.is_none_or(|client| !self.is(client, member.slot));
        let members = self.rooms.members(topic).iter().filter(hears);
        let sessions: Vec<u64> = members.map(|member| self.clients[member.slot as usize].session).collect();
        if !sessions.is_empty() {
            let names = change.and_then(|change| change.users.as_ref()).map_or(0, Vec::len);
            turn.out.spend(names * sessions.len(), cost::NAME_DELIVERED_NANOS);
            let conflation = ConflationKey::Room(self.rooms.name(topic).clone());
            turn.out.effects.push(Effect::Publish { sessions, event, conflation });
        }
    }

    /// A home could not be asked.
    pub(crate) fn refused(&mut self, reply_to: ReplyTo, message: &Message, turn: &mut Turn<'_>) {
        let Some((reply_to, undo)) = self.awaiting.refused(reply_to, message) else { return };
        let client = reply_to.at.client;
        self.note_answer(reply_to);
        self.undo(client, undo, turn);
        if let Message::Watch { user, suspect, .. } = message
            && self.known(client).is_some()
        {
            self.watch_refused(client.slot, user, *suspect);
        }
        match reply_to.request {
            RequestRef::Command(seq) | RequestRef::CatchUp(seq) => {
                if let Some(known) = self.known(client) {
                    let event = Event::Refused { seq, why: CommandRefusal::Busy };
                    turn.out.effects.push(Effect::Send { session: known.session, event });
                }
            }
            RequestRef::Part { pending_reply: id, serial, index } => {
                if self.pending_replies.has(id, serial) {
                    self.pending_replies.part(id, index, None);
                    self.answer_if_complete(id, turn);
                }
            }
            request => tell_admin(request, HomeAnswer::NotForced(CommandRefusal::Busy), turn),
        }
        self.caught_up(reply_to, turn);
    }

    /// One that watched already goes on as it did.
    fn watch_refused(&mut self, slot: u32, user: &str, suspect: bool) {
        let Some((topic, _)) = self.watches.find(user) else { return };
        let Some(place) = self.clients[slot as usize].watches.get(topic) else { return };
        let member = self.watches.member_mut(place);
        member.count(suspect, false);
        member.suspect = !suspect;
        if member.counted() == [false; 2] {
            self.leave_watch(slot, place);
        }
    }
}

/// Tells the worker of an admin request what came of an order to a client.
pub(super) fn tell_admin(request: RequestRef, answer: HomeAnswer, turn: &mut Turn<'_>) {
    if let RequestRef::Forced { admin, request, .. } = request
        && request != NOBODY
    {
        let reply_to = address::reply_to(admin.worker, request);
        turn.out.post(admin.worker, Message::Answered { reply_to, answer });
    }
}
