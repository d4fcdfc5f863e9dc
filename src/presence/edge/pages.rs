//! Pages of rooms: asked for, kept up to date while their views are on their way, and asked for anew where that can't be.

use crate::limits::PAGE_CHANGES_MAX;
use crate::presence::cost;
use crate::presence::draft::{Draft, Lack, Wanted};
use crate::presence::edge::{Edge, part};
use crate::presence::membership::{MemberPage, MembershipChange, RoomPosition};
use crate::presence::message::{ClientId, ClientRef, Message, ReplyTo, RequestRef};
use crate::presence::scatter_gather::ReplyKind;
use crate::presence::turn::Turn;
use crate::presence::views::Views;

impl Edge {
    /// Asks the room's home for a page.
    pub(super) fn page(&mut self, slot: u32, seq: i64, wanted: Wanted, turn: &mut Turn<'_>) {
        let draft = Box::new(Draft::new(wanted.clone()));
        let id = self.begin_reply(slot, seq, ReplyKind::Who(draft), Views::default());
        self.list(self.address(slot).client, id, wanted, turn);
    }

    fn list(&self, client: ClientId, id: u32, wanted: Wanted, turn: &mut Turn<'_>) {
        let reply_to = self.reply_to(client, id);
        let Wanted { room, limit, after, only, .. } = wanted;
        turn.out.post(self.homes.of(&room), Message::List { room, limit, after, only, reply_to });
    }

    fn reply_to(&self, client: ClientId, id: u32) -> ReplyTo {
        let request =
            RequestRef::Part { pending_reply: id, serial: self.pending_replies.serial(id), index: 0 };
        ReplyTo { at: ClientRef::here(self.worker.worker, client), request }
    }

    /// The room's home has listed the members: their views are yet to be asked for.
    pub(crate) fn listed(&mut self, reply_to: ReplyTo, page: MemberPage, turn: &mut Turn<'_>) {
        self.told.epoch = self.told.epoch.max(page.place.epoch);
        let RequestRef::Part { pending_reply: id, serial, .. } = reply_to.request else { return };
        let Some(pending_reply) =
            self.pending_replies.get_mut(id).filter(|pending_reply| pending_reply.serial == serial)
        else {
            return;
        };
        if let ReplyKind::Who(draft) = &mut pending_reply.purpose
            && draft.listed(page)
        {
            pending_reply.left = 0;
            self.answer_if_complete(id, turn);
        }
    }

    /// All that an answer was waiting for has come. Says whether it is a page that goes on waiting, for what it lacks now.
    pub(super) fn asks_on(&mut self, id: u32, turn: &mut Turn<'_>) -> bool {
        let Some(client) = self.pending_replies.get_mut(id).map(|pending_reply| pending_reply.client) else {
            return false;
        };
        let (homes, is_here) = (self.homes, self.known(client).is_some());
        let Some(pending_reply) = self.pending_replies.get_mut(id) else { return false };
        let ReplyKind::Who(draft) = &mut pending_reply.purpose else { return false };
        if pending_reply.refused || !is_here {
            return false;
        }
        match draft.lacks(|user| pending_reply.views.has(homes, user)) {
            Lack::Nothing => return false,
            Lack::Peace => {
                pending_reply.refused = true;
                return false;
            }
            Lack::Page(wanted) => {
                pending_reply.left = 1;
                self.list(client, id, wanted, turn);
            }
            Lack::Views(users) => {
                turn.out.spend(users.len(), cost::NAME_NANOS);
                pending_reply.views.go_on(homes, &users);
                let (lacking, serial) = (pending_reply.views.lacking(), pending_reply.serial);
                pending_reply.left = lacking.len();
                let reply_to = self.reply_to(client, id);
                for (user, index) in lacking {
                    turn.out.post(
                        homes.of(&user),
                        Message::Look { user, reply_to: part(reply_to, (id, serial), index) },
                    );
                }
            }
        }
        true
    }

    /// The members of a room have changed: pages in the making of clients who are told of it change too.
    pub(super) fn change_pages(&mut self, topic: u32, change: &MembershipChange, turn: &mut Turn<'_>) {
        if self.pending_replies.len() == 0 {
            return;
        }
        let (homes, room) = (self.homes, self.rooms.name(topic));
        let names = change.users.as_ref().map_or(1, Vec::len);
        let mut left = PAGE_CHANGES_MAX;
        for member in self.rooms.members(topic) {
            let Some(pending) = &self.clients[member.slot as usize].pending else { continue };
            for id in pending.replies() {
                let Some(pending_reply) = self.pending_replies.get_mut(*id) else { continue };
                let ReplyKind::Who(draft) = &mut pending_reply.purpose else { continue };
                if draft.room() != room {
                    continue;
                }
                match left.checked_sub(names) {
                    Some(fewer) => {
                        left = fewer;
                        turn.out.spend(names, cost::NAME_NANOS);
                        draft.change(change, |user| pending_reply.views.forget(homes, user));
                    }
                    None => draft.stands(None),
                }
            }
        }
    }

    /// A client is told where a room stands: its pages of the room that are in the making may not be older.
    pub(super) fn stands(&mut self, client: ClientId, room: &str, place: RoomPosition) {
        let known = self.clients.get(client.slot as usize).filter(|known| known.serial == client.serial);
        let Some(pending) = known.and_then(|known| known.pending.as_ref()) else { return };
        for id in pending.replies() {
            if let Some(pending_reply) = self.pending_replies.get_mut(*id)
                && let ReplyKind::Who(draft) = &mut pending_reply.purpose
                && **draft.room() == *room
            {
                draft.stands(Some(place));
            }
        }
    }
}
