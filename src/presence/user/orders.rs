//! Orders for all connections of a user: messages, and rooms that the admin has them join; and pages of users.

use crate::limits::PAGE_SCAN_MAX;
use crate::presence::admin::Listing;
use crate::presence::cost;
use crate::presence::data::Data;
use crate::presence::event::{Event, SharedEvent};
use crate::presence::message::{ClientRef, HomeAnswer, Message, ReplyTo};
use crate::presence::name::Name;
use crate::presence::turn::Turn;
use crate::presence::user::{Published, User, Users, name_of};
use crate::presence::view::{State, View};

impl Users {
    /// A message for all live connections of a user, encoded once. Their edges say what came of it.
    pub(crate) fn tell(
        &mut self,
        user: &str,
        (from, data): (Option<Name>, Data),
        within: Option<&[Name]>,
        reply_to: ReplyTo,
        turn: &mut Turn<'_>,
    ) {
        let shares = |rooms| self.find(user).is_some_and(|slot| self.rooms_by_user.shares(slot, rooms));
        if within.is_some_and(|rooms| !shares(rooms)) {
            return turn
                .out
                .post(reply_to.at.worker, Message::Answered { reply_to, answer: HomeAnswer::Unseen });
        }
        let known = self.find(user).map(|slot| &self.users[slot as usize]);
        let live = known.map_or(0, |known| known.devices.live().count());
        let Some(User { devices, published, .. }) = known.filter(|_| live > 0) else {
            let answer = HomeAnswer::Told { to: 0, without: 0 };
            return turn.out.post(reply_to.at.worker, Message::Answered { reply_to, answer });
        };
        let reply_to = if published.unseen > 0 && from.as_ref().is_some_and(|from| **from != *user) {
            // It comes, and is answered as one to an offline user, whom nobody meets in a room.
            let answer =
                if within.is_some() { HomeAnswer::Unseen } else { HomeAnswer::Told { to: 0, without: 0 } };
            turn.out.post(reply_to.at.worker, Message::Answered { reply_to, answer });
            None
        } else {
            let edges: Vec<u16> = devices.live().map(|device| device.address().worker).collect();
            Some(self.tells.begin(reply_to, &edges))
        };
        let event = Event::Told { from, data, unix_millis: turn.now.unix_millis };
        let event = SharedEvent::new(event);
        for device in devices.live() {
            let ClientRef { worker, client, .. } = device.address();
            let reply_to =
                reply_to.as_ref().map_or_else(|| self.tells.unanswered(), |reply_to| reply_to(worker));
            turn.out.post(worker, Message::Told { client, event: event.clone(), reply_to });
        }
    }

    /// Messages to users with several connections that are on their way.
    #[must_use]
    pub fn telling(&self) -> usize {
        self.tells.len()
    }

    /// One of several connections has got a message, or has not.
    pub(crate) fn received(
        &mut self,
        reply_to: ReplyTo,
        tell: u32,
        answer: &HomeAnswer,
        turn: &mut Turn<'_>,
    ) {
        let HomeAnswer::Told { to, without } = *answer else { return };
        if let Some((reply_to, answer)) = self.tells.part((tell, reply_to.at.client.serial), to, without) {
            turn.out.post(reply_to.at.worker, Message::Answered { reply_to, answer });
        }
    }

    /// All connections of a user are to come into a room, those that come later too, or to go out of it: their edges see to
    /// that.
    pub(crate) fn forced(
        &mut self,
        (user, room): (&Name, &Name),
        joins: bool,
        reply_to: ReplyTo,
        turn: &mut Turn<'_>,
    ) {
        let (mut forced, mut keeps, mut giving) = (0, false, None);
        if !joins {
            keeps = self.take_from(user, room);
            keeps |= self.given.take(user, room);
            self.end_graces(user, Some(room), turn);
        }
        let slot = self.find(user).filter(|slot| !self.users[*slot as usize].devices.is_empty());
        if let Some(slot) = slot {
            // Of one between two connections a leave has ended the grace.
            let live = self.users[slot as usize].devices.live().count();
            keeps |= joins || live == 0;
            match if joins { self.give(user, room, live) } else { Ok(None) } {
                Ok(given) => giving = given,
                Err(why) => {
                    let answer = HomeAnswer::NotGiven(why);
                    return turn.out.post(reply_to.at.worker, Message::Answered { reply_to, answer });
                }
            }
        }
        for device in self.find(user).iter().flat_map(|slot| self.users[*slot as usize].devices.live()) {
            let ClientRef { worker, client, .. } = device.address();
            turn.out.post(worker, Message::ForceJoinClient { client, room: room.clone(), joins, reply_to });
            forced += 1;
        }
        let answer = HomeAnswer::ForcingJoins(forced, keeps, giving);
        turn.out.post(reply_to.at.worker, Message::Answered { reply_to, answer });
    }

    /// Users by name, behind one, as a watcher that asks for suspicions sees them, and those who are invisible: those in that
    /// state, or all that are not offline. Looks at [`PAGE_SCAN_MAX`] users at most.
    pub(crate) fn page(
        &self,
        state: Option<State>,
        limit: usize,
        after: Option<&str>,
        turn: &mut Turn<'_>,
    ) -> Listing<View> {
        let mut rows = Vec::new();
        let mut slots = self.name_index.after(after, |slot| name_of(&self.users, &self.offline, slot));
        let mut last = None;
        let name_at = |slot: u32| match self.users.get(slot as usize) {
            Some(user) => user.name.clone(),
            None => self.offline.name(slot).into(),
        };
        for slot in slots.by_ref().take(PAGE_SCAN_MAX) {
            last = Some(slot);
            turn.out.spend(1, cost::LISTED_NANOS);
            let user = self.users.get(slot as usize);
            let shown = user.map_or(State::Offline, |user| match user.published {
                Published { unseen: 0, state, .. } => state,
                _ => State::Invisible,
            });
            let is_meant = state.map_or(shown != State::Offline, |state| shown == state);
            // A user that was only watched was never here, and of one that was invisible all the time nobody knows.
            let version = user.map_or_else(|| self.offline.version(slot), |user| Some(user.version));
            let was_here = version > Some(0) || user.is_some_and(|user| user.published.is_here());
            if is_meant && was_here {
                let view =
                    user.map_or_else(|| self.offline.view(turn.now, slot, None), |user| user.view(turn.now));
                rows.push((name_at(slot), view));
            }
            if rows.len() == limit {
                break;
            }
        }
        let next = slots.next().and(last).map(name_at);
        Listing { rows, next }
    }
}
