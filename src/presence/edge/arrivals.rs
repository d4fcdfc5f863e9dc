//! What homes send: answers, changes and messages, and the clients they are for.

use crate::presence::about::About;
use crate::presence::address::{self, NOBODY};
use crate::presence::cost;
use crate::presence::edge::Edge;
use crate::presence::edge::sight::{of_oneself, publish};
use crate::presence::effect::Effect;
use crate::presence::envelope::{Answer, Asker, Client, Envelope, MembershipChange, Ticket};
use crate::presence::event::{Event, SharedEvent};
use crate::presence::groups::Member;
use crate::presence::refusal::Refusal;
use crate::presence::turn::Turn;
use crate::presence::view::View;

impl Edge {
    pub(crate) fn seen(&mut self, asker: Asker, user: &str, view: View, turn: &mut Turn<'_>) {
        self.told.version = self.told.version.max(view.version);
        self.keep_sight(user, &view);
        // The client may be told this now, and an answer that waits for slower homes later.
        let client = asker.at.client;
        let seat = self.seats.get(client.slot as usize).filter(|seat| seat.is(client));
        if let Some(pending) = seat.and_then(|seat| seat.pending.as_ref()) {
            self.gathers.renew(pending.replies(), user, &view);
        }
        if let Ticket::Part { gather, serial, index } = asker.ticket
            && self.gathers.has(gather, serial)
        {
            self.gathers.part(gather, index, Some(view));
            self.answer_if_complete(gather, turn);
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
        let Some((group, name)) = self.watches.find(user) else { return };
        if view.rooms.is_some() {
            let name = name.clone();
            return self.changed_in_sight((group, &name), view, (plain, full), turn);
        }
        turn.out.spend(self.watches.members(group).len(), cost::WATCHER_NANOS);
        let (mut links, mut own) = ((Vec::new(), Vec::new()), Vec::new());
        for member in self.watches.members(group) {
            let seat = &self.seats[member.slot as usize];
            if let Some(pending) = &seat.pending {
                self.gathers.renew(pending.replies(), user, view);
            }
            if !member.active {
                continue;
            }
            if view.unseen > 0 && seat.user.as_deref() == Some(user) {
                own.push(seat.link);
            } else {
                (if member.suspect { &mut links.1 } else { &mut links.0 }).push(seat.link);
            }
        }
        let name = self.watches.name(group);
        let about = About::User(name.clone());
        let to_own = plain.as_ref().filter(|_| !own.is_empty()).map(|_| of_oneself(name, view));
        publish(own, to_own, about.clone(), turn);
        publish(links.0, plain, about.clone(), turn);
        publish(links.1, full, about, turn);
    }

    /// A message for one client. One that is gone by now counts as one that was not there.
    pub(crate) fn told(&self, client: Client, event: SharedEvent, asker: Asker, turn: &mut Turn<'_>) {
        match self.seat(client) {
            Some(seat) => turn.out.effects.push(Effect::Tell { link: seat.link, event, asker }),
            None => turn.out.post(
                asker.at.worker,
                Envelope::Answered { asker, answer: Answer::Told { to: 0, without: 0 } },
            ),
        }
    }

    pub(crate) fn answered(&mut self, asker: Asker, answer: Answer, turn: &mut Turn<'_>) {
        // One that was answered without it is answered.
        let Some(asker) = self.awaiting.arrived(asker) else { return };
        let client = asker.at.client;
        self.settle(asker);
        if let Answer::Joined(room, place, _) | Answer::Left(room, place) = &answer {
            self.told.epoch = self.told.epoch.max(place.epoch);
            self.stands(client, room, *place);
        }
        let seat = self.seat(client);
        let event = match (asker.ticket, &answer) {
            (Ticket::Command(seq), answer) => Event::of_answer(seq, answer),
            (Ticket::Brought { news: true, .. }, answer) => {
                seat.and_then(|seat| Event::brought(seat.user.as_ref()?, answer))
            }
            _ => None,
        };
        if let (Some(seat), Some(event)) = (seat, event) {
            turn.out.effects.push(Effect::Send { link: seat.link, event });
        }
        // Whom it sees from then on comes behind the answer.
        // Who was in already and is bidden to come in is not told, so that nothing may begin anew: what made the place says
        // from where on it counts.
        let changes = !matches!(asker.ticket, Ticket::Brought { news: false, .. });
        match &answer {
            Answer::Joined(room, _, visit) if changes => self.hears(client, room, *visit, turn),
            Answer::Barred(room, Some(visit)) => self.barred(client, room, *visit, turn),
            _ => {}
        }
        tell_desk(asker.ticket, answer, turn);
    }

    /// A command that a home was asked about is owed no answer any more.
    pub(super) fn settle(&mut self, asker: Asker) {
        if let Ticket::Command(_) = asker.ticket
            && let Some(seat) = self.seat_mut(asker.at.client)
        {
            seat.settle();
        }
    }

    /// A client's place in a room counts from the answer on that made it: what was said before is not delivered. One that said
    /// `join`, `leave` and `join` in a row has its second place before the first answer comes.
    fn hears(&mut self, client: Client, room: &str, visit: u16, turn: &mut Turn<'_>) {
        let Some((group, _)) = self.rooms.find(room) else { return };
        let Some(place) = self.seat(client).and_then(|seat| seat.rooms.get(group)) else { return };
        let member = self.rooms.member_mut(place);
        if member.visit() == visit && !std::mem::replace(&mut member.active, true) {
            self.moved(client.slot, room, true, turn);
        }
    }

    /// What happens in a room, for its members here.
    pub(crate) fn deliver(
        &mut self,
        room: &str,
        event: SharedEvent,
        except: Option<Client>,
        change: Option<&MembershipChange>,
        turn: &mut Turn<'_>,
    ) {
        let Some((group, _)) = self.rooms.find(room) else { return };
        if let Some(change) = change {
            self.told.epoch = self.told.epoch.max(change.place.epoch);
            self.change_pages(group, change, turn);
        }
        let hears =
            |member: &&Member| member.active && except.is_none_or(|client| !self.is(client, member.slot));
        let members = self.rooms.members(group).iter().filter(hears);
        let links: Vec<u64> = members.map(|member| self.seats[member.slot as usize].link).collect();
        if !links.is_empty() {
            let names = change.and_then(|change| change.users.as_ref()).map_or(0, Vec::len);
            turn.out.spend(names * links.len(), cost::NAME_DELIVERED_NANOS);
            let about = About::Room(self.rooms.name(group).clone());
            turn.out.effects.push(Effect::Publish { links, event, about });
        }
    }

    /// A home could not be asked.
    pub(crate) fn refused(&mut self, asker: Asker, envelope: &Envelope, turn: &mut Turn<'_>) {
        let Some((asker, undo)) = self.awaiting.refused(asker, envelope) else { return };
        let client = asker.at.client;
        self.settle(asker);
        self.undo(client, undo, turn);
        if let Envelope::Watch { user, suspect, .. } = envelope
            && self.seat(client).is_some()
        {
            self.watch_refused(client.slot, user, *suspect);
        }
        match asker.ticket {
            Ticket::Command(seq) => {
                if let Some(seat) = self.seat(client) {
                    let event = Event::Refused { seq, why: Refusal::Busy };
                    turn.out.effects.push(Effect::Send { link: seat.link, event });
                }
            }
            Ticket::Part { gather: id, serial, index } => {
                if self.gathers.has(id, serial) {
                    self.gathers.part(id, index, None);
                    self.answer_if_complete(id, turn);
                }
            }
            ticket => tell_desk(ticket, Answer::NotBrought(Refusal::Busy), turn),
        }
    }

    /// One that watched already goes on as it did.
    fn watch_refused(&mut self, slot: u32, user: &str, suspect: bool) {
        let Some((group, _)) = self.watches.find(user) else { return };
        let Some(place) = self.seats[slot as usize].watches.get(group) else { return };
        let member = self.watches.member_mut(place);
        member.count(suspect, false);
        member.suspect = !suspect;
        if member.counted() == [false; 2] {
            self.leave_watch(slot, place);
        }
    }
}

/// A desk that had a client do something is told what came of it.
pub(super) fn tell_desk(ticket: Ticket, answer: Answer, turn: &mut Turn<'_>) {
    if let Ticket::Brought { desk, job, .. } = ticket
        && job != NOBODY
    {
        let asker = address::asker(desk.worker, job);
        turn.out.post(desk.worker, Envelope::Answered { asker, answer });
    }
}
