//! Ends by order: of rooms, and of all that a deleted user said in any of them, which is looked for in shares.

use crate::limits::{ERASED_BYTES_PER_TURN, ERASURE_TICKS_MAX, ERASURES_MAX, SWEPT_PER_TURN_MAX};
use crate::presence::cost;
use crate::presence::message::{HomeAnswer, Message, ReplyTo};
use crate::presence::moderation::Moderation;
use crate::presence::name::Name;
use crate::presence::room::Rooms;
use crate::presence::room::keeping::Erasure;
use crate::presence::turn::Turn;
use crate::time::Tick;

impl Rooms {
    /// A room ends: its members' edges take them out, and what was said is forgotten.
    pub(crate) fn delete(&mut self, room: &Name, reply_to: Option<ReplyTo>, turn: &mut Turn<'_>) {
        let Some(slot) = self.find(room) else { return answer(reply_to, HomeAnswer::NoRoom, turn) };
        let home = &self.rooms[slot as usize];
        let unseen = home.unseen.iter().flat_map(|unseen| unseen.keys());
        let members = home.members.len() + home.unseen.as_ref().map_or(0, |unseen| unseen.len());
        turn.out.spend(members, cost::LISTED_NANOS);
        for (worker, _) in &home.workers {
            let what = Moderation::Disband { room: home.name.clone() };
            turn.out.post(*worker, Message::Moderate { what, reply_to: None });
        }
        if let Some(homes) = &self.told {
            for user in home.members.keys().chain(unseen) {
                let (user, room) = (user.clone(), home.name.clone());
                turn.out.post(homes.of(&user), Message::Place { user, room, is_in: false });
            }
        }
        self.end_room(slot);
        answer(reply_to, HomeAnswer::RoomDeleted(members), turn);
    }

    /// An edge says that a deleted user's clients have said everything. Behind the last one that says so the user's messages in all rooms
    /// here are looked for.
    pub(crate) fn erase(&mut self, user: &Name, reply_to: Option<ReplyTo>, turn: &mut Turn<'_>) {
        let erasures = &mut self.keeping.erasures;
        let begun = erasures.iter().position(|erasure| erasure.reply_to == reply_to && erasure.user == *user);
        let at = begun.unwrap_or(erasures.len());
        if begun.is_none() {
            if erasures.len() >= ERASURES_MAX {
                return answer(reply_to, HomeAnswer::Busy, turn);
            }
            let (user, left) = (user.clone(), self.homes.workers());
            let until = turn.now.tick.after(ERASURE_TICKS_MAX);
            let (slot, serial, offset, messages, here) = (0, 0, 0, 0, 0);
            erasures.push_back(Erasure { user, left, until, slot, serial, offset, messages, here, reply_to });
        }
        erasures[at].left = erasures[at].left.saturating_sub(1);
        // Most servers keep nothing.
        if erasures[at].left == 0 && self.history_messages() == 0 {
            self.erase_on(turn);
        }
    }

    /// When some user's messages are to be looked for: at `now`, or where an edge has said nothing for long.
    pub(crate) fn erasure_due(&self, now: Tick) -> Option<Tick> {
        let due = |erasure: &Erasure| if erasure.left == 0 { now } else { erasure.until };
        self.keeping.erasures.iter().map(due).reduce(Tick::min)
    }

    /// Looks through a turn's share of what rooms keep.
    pub(crate) fn erase_on(&mut self, turn: &mut Turn<'_>) {
        let is_due = |erasure: &Erasure| erasure.left == 0 || turn.now.tick.has_reached(erasure.until);
        let Some(at) = self.keeping.erasures.iter().position(is_due) else { return };
        let Some(mut erasure) = self.keeping.erasures.remove(at) else { return };
        let (mut bytes, mut rooms) = (ERASED_BYTES_PER_TURN, SWEPT_PER_TURN_MAX);
        while erasure.slot < self.rooms.end() && bytes > 0 && rooms > 0 {
            rooms -= 1;
            if !self.erase_in(&mut erasure, &mut bytes) {
                break;
            }
            erasure.slot += 1;
        }
        turn.out.spend(SWEPT_PER_TURN_MAX - rooms, cost::LISTED_NANOS);
        turn.out.spend(ERASED_BYTES_PER_TURN - bytes, cost::ERASED_BYTE_NANOS);
        if erasure.slot < self.rooms.end() {
            return self.keeping.erasures.push_front(erasure);
        }
        answer(erasure.reply_to, HomeAnswer::Erased { messages: erasure.messages }, turn);
    }

    /// Looks through a room. Says whether it is done with it.
    #[expect(clippy::cast_possible_truncation, reason = "fewer rooms than 2^32")]
    fn erase_in(&mut self, erasure: &mut Erasure, bytes: &mut usize) -> bool {
        let Some(home) = self.rooms.get_mut(erasure.slot) else { return true };
        let Some(history) = home.history.as_mut().filter(|history| history.has_rule()) else { return true };
        if home.serial != erasure.serial {
            (erasure.serial, erasure.offset, erasure.here) = (home.serial, 0, 0);
        }
        let (erased, next) = history.erase(&erasure.user, erasure.offset, bytes);
        erasure.messages += erased;
        erasure.here += erased;
        if let Some(next) = next {
            erasure.offset = next;
        } else if erasure.here > 0
            && let Some(journal) = &mut self.keeping.journal
        {
            journal.erased(&home.name, home.epoch, &erasure.user);
        }
        self.count_kept(erasure.slot as u32);
        next.is_none()
    }
}

fn answer(reply_to: Option<ReplyTo>, answer: HomeAnswer, turn: &mut Turn<'_>) {
    if let Some(reply_to) = reply_to {
        turn.out.post(reply_to.at.worker, Message::Answered { reply_to, answer });
    }
}
