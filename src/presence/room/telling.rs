//! Events about joins and leaves: one for each, or one a second where the room is big.

use std::sync::Arc;

use crate::presence::cost;
use crate::presence::event::{Event, SharedEvent};
use crate::presence::membership::MembershipChange;
use crate::presence::message::ClientId;
use crate::presence::name::{Name, listed_bytes};
use crate::presence::room::Room;
use crate::presence::room::big::{Big, Bounds, EVENT_TICKS};
use crate::presence::timer::Timer;
use crate::presence::turn::Turn;

impl Room {
    /// Tells the room that a user came in or went out; a big one soon.
    pub(super) fn announce(
        &mut self,
        slot: u32,
        except: Option<(u16, ClientId)>,
        (user, is_in): (&Name, bool),
        bounds: Bounds,
        turn: &mut Turn<'_>,
    ) {
        if bounds.is_quiet(slot) {
            return;
        }
        let members = self.listeners();
        if self.big.is_none() && members > bounds.members {
            self.big = Some(Box::new(Big::new(self.membership - 1)));
        }
        let Some(telling) = &mut self.big else {
            let (room, user, place) = (self.name.clone(), user.clone(), self.place());
            let users = Some(vec![(user.clone(), is_in)]);
            let change = MembershipChange { since: self.membership - 1, place, users };
            let event =
                if is_in { Event::Joined { room, user, place } } else { Event::Left { room, user, place } };
            return self.deliver(&SharedEvent::new(event), except, Some(&Arc::new(change)), turn);
        };
        if bounds.is_small(members) {
            return self.end_being_big(bounds, turn);
        }
        telling.touch((user, is_in), members, bounds);
        turn.out.spend(1, cost::LISTED_NANOS);
        telling.due.get_or_insert_with(|| turn.now.tick.after(EVENT_TICKS));
        self.time_telling(slot, turn);
    }

    /// Users who hear what happens here, those whom nobody sees among them.
    fn listeners(&self) -> usize {
        self.members.len() + self.unseen.as_ref().map_or(0, |unseen| unseen.len())
    }

    /// Sees to it that there is a timer where the room will be told: one, also where it was small in between.
    pub(super) fn time_telling(&mut self, slot: u32, turn: &mut Turn<'_>) {
        if let Some(due) = self.big.as_ref().and_then(|big| big.due).filter(|_| !self.telling) {
            self.telling = true;
            turn.out.timer(due, Timer::Count { slot, serial: self.serial });
        }
    }

    /// The second of a big room may be over: a timer that was filed earlier, or late in a long turn, fires before.
    pub(super) fn tell_if_due(&mut self, slot: u32, bounds: Bounds, turn: &mut Turn<'_>) {
        let (place, members) = (self.place(), self.listeners());
        let next = Big::new(self.membership);
        let Some(big) = &mut self.big else { return };
        if big.due.is_none_or(|due| turn.now.tick.is_before(due)) {
            return self.time_telling(slot, turn);
        }
        let Big { since, touched, bytes, is_lost, .. } = std::mem::replace(&mut **big, next);
        let is_told = !is_lost && !bounds.are_passed(touched.len(), bytes, members);
        let users: Option<Vec<(Name, bool)>> = is_told.then(|| touched.into_iter().collect());
        let changes = MembershipChange { since, place, users };
        self.tell_of(changes, None, turn);
    }

    /// The room is small again: the list goes to all, and what they were to be told of before with it.
    fn end_being_big(&mut self, bounds: Bounds, turn: &mut Turn<'_>) {
        let Some(big) = self.big.take() else { return };
        let changes = MembershipChange { since: big.since, place: self.place(), users: None };
        let bytes = self.members.keys().map(|name| listed_bytes(name)).sum();
        let is_told = !bounds.are_passed(self.members.len(), bytes, self.listeners());
        let members = is_told.then(|| self.members.keys().cloned().collect());
        turn.out.spend(self.members.len(), cost::LISTED_NANOS);
        self.tell_of(changes, members, turn);
    }

    fn tell_of(&self, changes: MembershipChange, members: Option<Box<[Name]>>, turn: &mut Turn<'_>) {
        turn.out.spend(changes.users.as_ref().map_or(0, Vec::len), cost::LISTED_NANOS);
        let change = Arc::new(changes);
        let event = Event::Room { room: self.name.clone(), change: Arc::clone(&change), members };
        self.deliver(&SharedEvent::new(event), None, Some(&change), turn);
    }
}
