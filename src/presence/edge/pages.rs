//! Pages of rooms: asked for, kept up to date while their views are on their way, and asked for anew where that can't be.

use crate::limits::PAGE_CHANGES_MAX;
use crate::presence::cost;
use crate::presence::draft::{Draft, Lack, Wanted};
use crate::presence::edge::{Edge, part};
use crate::presence::envelope::{Address, Asker, Client, Envelope, Ticket};
use crate::presence::gather::Purpose;
use crate::presence::membership::{MembershipChange, Page, Place};
use crate::presence::turn::Turn;
use crate::presence::views::Views;

impl Edge {
    /// Asks the room's home for a page.
    pub(super) fn page(&mut self, slot: u32, seq: i64, wanted: Wanted, turn: &mut Turn<'_>) {
        let draft = Box::new(Draft::new(wanted.clone()));
        let id = self.gather(slot, seq, Purpose::Who(draft), Views::default());
        self.list(self.address(slot).client, id, wanted, turn);
    }

    fn list(&self, client: Client, id: u32, wanted: Wanted, turn: &mut Turn<'_>) {
        let asker = self.asker(client, id);
        let Wanted { room, limit, after, only, .. } = wanted;
        turn.out.post(self.homes.of(&room), Envelope::List { room, limit, after, only, asker });
    }

    fn asker(&self, client: Client, id: u32) -> Asker {
        let ticket = Ticket::Part { gather: id, serial: self.gathers.serial(id), index: 0 };
        Asker { at: Address::here(self.worker.worker, client), ticket }
    }

    /// The room's home has listed the members: their views are yet to be asked for.
    pub(crate) fn listed(&mut self, asker: Asker, page: Page, turn: &mut Turn<'_>) {
        self.told.epoch = self.told.epoch.max(page.place.epoch);
        let Ticket::Part { gather: id, serial, .. } = asker.ticket else { return };
        let Some(gather) = self.gathers.get_mut(id).filter(|gather| gather.serial == serial) else { return };
        if let Purpose::Who(draft) = &mut gather.purpose
            && draft.listed(page)
        {
            gather.left = 0;
            self.answer_if_complete(id, turn);
        }
    }

    /// All that an answer was waiting for has come. Says whether it is a page that goes on waiting, for what it lacks now.
    pub(super) fn asks_on(&mut self, id: u32, turn: &mut Turn<'_>) -> bool {
        let Some(client) = self.gathers.get_mut(id).map(|gather| gather.client) else { return false };
        let (homes, is_here) = (self.homes, self.seat(client).is_some());
        let Some(gather) = self.gathers.get_mut(id) else { return false };
        let Purpose::Who(draft) = &mut gather.purpose else { return false };
        if gather.refused || !is_here {
            return false;
        }
        match draft.lacks(|user| gather.views.has(homes, user)) {
            Lack::Nothing => return false,
            Lack::Peace => {
                gather.refused = true;
                return false;
            }
            Lack::Page(wanted) => {
                gather.left = 1;
                self.list(client, id, wanted, turn);
            }
            Lack::Views(users) => {
                turn.out.spend(users.len(), cost::NAME_NANOS);
                gather.views.go_on(homes, &users);
                let (lacking, serial) = (gather.views.lacking(), gather.serial);
                gather.left = lacking.len();
                let asker = self.asker(client, id);
                for (user, index) in lacking {
                    turn.out.post(
                        homes.of(&user),
                        Envelope::Look { user, asker: part(asker, (id, serial), index) },
                    );
                }
            }
        }
        true
    }

    /// The members of a room have changed: pages in the making of clients who are told of it change too.
    pub(super) fn change_pages(&mut self, group: u32, change: &MembershipChange, turn: &mut Turn<'_>) {
        if self.gathers.len() == 0 {
            return;
        }
        let (homes, room) = (self.homes, self.rooms.name(group));
        let names = change.users.as_ref().map_or(1, Vec::len);
        let mut left = PAGE_CHANGES_MAX;
        for member in self.rooms.members(group) {
            let Some(pending) = &self.seats[member.slot as usize].pending else { continue };
            for id in pending.replies() {
                let Some(gather) = self.gathers.get_mut(*id) else { continue };
                let Purpose::Who(draft) = &mut gather.purpose else { continue };
                if draft.room() != room {
                    continue;
                }
                match left.checked_sub(names) {
                    Some(fewer) => {
                        left = fewer;
                        turn.out.spend(names, cost::NAME_NANOS);
                        draft.change(change, |user| gather.views.forget(homes, user));
                    }
                    None => draft.stands(None),
                }
            }
        }
    }

    /// A client is told where a room stands: its pages of the room that are in the making may not be older.
    pub(super) fn stands(&mut self, client: Client, room: &str, place: Place) {
        let seat = self.seats.get(client.slot as usize).filter(|seat| seat.serial == client.serial);
        let Some(pending) = seat.and_then(|seat| seat.pending.as_ref()) else { return };
        for id in pending.replies() {
            if let Some(gather) = self.gathers.get_mut(*id)
                && let Purpose::Who(draft) = &mut gather.purpose
                && **draft.room() == *room
            {
                draft.stands(Some(place));
            }
        }
    }
}
