//! Messages of a room: each has its place in the order, and goes to all who hear it.

use std::sync::Arc;

use crate::limits::SAY_BYTES;
use crate::presence::data::Data;
use crate::presence::event::{Event, SharedEvent};
use crate::presence::history::Appended;
use crate::presence::message::{ClientId, HomeAnswer, MembershipChange, Message, ReplyTo, RoomPosition};
use crate::presence::name::Name;
use crate::presence::room::{Room, Rooms};
use crate::presence::rules::Rules;
use crate::presence::turn::Turn;
use crate::time::Tick;

impl Room {
    /// Whether so much may be said now: by what the room carries. A message longer than the whole budget
    /// takes all of it.
    fn takes(&mut self, now: Tick, rules: &Rules, bytes: usize) -> bool {
        let (tick, most) = rules.room_bytes();
        let earned = u64::from(now.since(self.filled)).saturating_mul(tick);
        self.credit = self.credit.saturating_add(earned).min(most);
        self.filled = now;
        let left = self.credit.checked_sub(most.min(bytes as u64));
        self.credit = left.unwrap_or(self.credit);
        left.is_some()
    }

    pub(super) fn deliver(
        &self,
        event: &SharedEvent,
        except: Option<(u16, ClientId)>,
        change: Option<&Arc<MembershipChange>>,
        turn: &mut Turn<'_>,
    ) {
        for (worker, _) in &self.workers {
            let except = except.filter(|(at, _)| at == worker).map(|(_, client)| client);
            let (room, event, change) = (self.name.clone(), event.clone(), change.cloned());
            turn.out.post(*worker, Message::Deliver { room, event, except, change });
        }
    }
}

impl Rooms {
    /// A member speaks: the message has its place in the order, and is encoded once for all who hear it.
    pub(crate) fn say(
        &mut self,
        (room, from): (&str, Option<&Name>),
        (data, echo, id): (Data, bool, Option<&str>),
        reply_to: ReplyTo,
        turn: &mut Turn<'_>,
    ) {
        let Some(slot) = self.find(room) else {
            return turn.out.post(
                reply_to.at.worker,
                Message::Answered { reply_to, answer: HomeAnswer::Said(RoomPosition::default()) },
            );
        };
        // A token may let its user speak where it is not in.
        if from.is_some_and(|from| self.is_banned(turn.now, room, from)) {
            let answer = HomeAnswer::Barred(self.rooms[slot as usize].name.clone(), None);
            return turn.out.post(reply_to.at.worker, Message::Answered { reply_to, answer });
        }
        let home = &mut self.rooms[slot as usize];
        if let Some(id) = id
            && let Some(place) = home.said_before(turn.now.tick, from.map(|from| &**from), id)
        {
            let answer = HomeAnswer::Said(place);
            return turn.out.post(reply_to.at.worker, Message::Answered { reply_to, answer });
        }
        let bytes = data.len() + room.len() + from.map_or(0, |from| from.len()) + SAY_BYTES;
        if !home.takes(turn.now.tick, turn.rules, bytes) {
            return turn
                .out
                .post(reply_to.at.worker, Message::Answered { reply_to, answer: HomeAnswer::NotSaid });
        }
        home.offset += 1;
        if home.history.is_some() || id.is_some() {
            self.keep(
                slot,
                Appended {
                    from: from.map(|from| &**from),
                    id,
                    data: &data,
                    unix_millis: turn.now.unix_millis,
                },
                turn,
            );
        }
        let home = &self.rooms[slot as usize];
        let place = home.place();
        let (room, data, unix_millis) = (home.name.clone(), data, turn.now.unix_millis);
        let event = SharedEvent::new(Event::Said { room, from: from.cloned(), data, place, unix_millis });
        turn.out.post(reply_to.at.worker, Message::Answered { reply_to, answer: HomeAnswer::Said(place) });
        let except = (!echo).then_some((reply_to.at.worker, reply_to.at.client));
        home.deliver(&event, except, None, turn);
        self.end_over();
    }
}
