//! Moderation at a room's home: keeps users out.
//!
//! An edge has given a client its place before the room's home says whether it may come in, and ends every place by a message:
//! one of a client that was refused must not take another client of the same user out.

use std::sync::Arc;

use crate::presence::bans::{self, BanCount};
use crate::presence::message::{HomeAnswer, Message, ReplyTo};
use crate::presence::moderation::Moderation;
use crate::presence::name::Name;
use crate::presence::record::{BanKey, Record};
use crate::presence::room::Rooms;
use crate::presence::turn::Turn;
use crate::time::{Now, Tick};

impl Rooms {
    /// Nobody is to be waited for any more of a user's connections that went.
    pub(crate) fn end_grace(&mut self, room: &str, user: &Name, turn: &mut Turn<'_>) {
        let Some(slot) = self.find(room) else { return };
        let Some(member) = self.rooms[slot as usize].member_mut(user) else { return };
        if member.end_grace() {
            self.look_at(slot, user, false, turn);
        }
    }

    /// A user is to stay out of a room for so many seconds. The edges of those that are in take them out.
    pub(crate) fn ban(
        &mut self,
        (room, user): (&Name, &Name),
        seconds: u32,
        reply_to: Option<ReplyTo>,
        turn: &mut Turn<'_>,
    ) {
        let nothing: Arc<str> = Arc::from("");
        let is_set = self.bans.set(turn.now, (user, Some(room)), seconds, &nothing);
        if is_set {
            self.end_grace(room, user, turn);
            if let Some(home) = self.get(room).filter(|home| home.member(user).is_some()) {
                for (worker, _) in &home.workers {
                    let what = Moderation::Expel { room: room.clone(), user: user.clone() };
                    turn.out.post(*worker, Message::Moderate { what, reply_to: None });
                }
            }
        }
        let until = is_set.then(|| turn.now.unix_millis + u64::from(seconds) * 1_000);
        answer(reply_to, HomeAnswer::Banned(until), turn);
    }

    /// Bans as records.
    pub(crate) fn export_bans(
        &self,
        now: Now,
        after: Option<BanKey>,
        most: usize,
        records: &mut Vec<Record>,
    ) -> Option<BanKey> {
        self.bans.export(now, after, most, records)
    }

    /// Takes a ban over. Says whether there was room for it.
    pub(crate) fn import_ban(&mut self, now: Now, (room, user): (&Name, &Name), micros: u64) -> bool {
        self.bans.put((user, Some(room)), bans::end_after(now, micros), &Arc::from(""))
    }

    /// A ban is over.
    pub(crate) fn lift(
        &mut self,
        (room, user): (&str, &str),
        reply_to: Option<ReplyTo>,
        turn: &mut Turn<'_>,
    ) {
        let lifted = self.bans.lift(turn.now, user, Some(room));
        answer(reply_to, HomeAnswer::Lifted(lifted), turn);
    }

    /// An admin request asks a user in.
    pub(crate) fn invite(&self, room: Name, user: Name, reply_to: Option<ReplyTo>, turn: &mut Turn<'_>) {
        let Some(reply_to) = reply_to else { return };
        if self.is_banned(turn.now, &room, &user) {
            return answer(Some(reply_to), HomeAnswer::Barred(room, None), turn);
        }
        let home = self.homes.of(&user);
        turn.out.post(home, Message::ForceJoin { user, room, joins: true, reply_to });
    }

    pub(super) fn is_banned(&self, now: Now, room: &str, user: &str) -> bool {
        self.bans.get(now, user, Some(room)).is_some()
    }

    /// Refuses a client that wants to come in by that `visit`, or has done so and asks again, where the room bans its user. Says
    /// whether it did.
    pub(super) fn bars(
        &mut self,
        (room, user): (&Name, &Name),
        (visit, again): (u16, bool),
        reply_to: ReplyTo,
        turn: &mut Turn<'_>,
    ) -> bool {
        if self.bans.is_empty() && self.barred.is_empty() {
            return false;
        }
        let is_banned = self.is_banned(turn.now, room, user);
        let place = (room.clone(), user.clone(), reply_to.at.worker, visit);
        let is_barred = is_banned || (again && self.barred.contains(&place));
        if !is_barred {
            return false;
        }
        if !again {
            self.barred.insert(place);
        }
        let visit = (!again).then_some(visit);
        answer(Some(reply_to), HomeAnswer::Barred(room.clone(), visit), turn);
        true
    }

    /// Whether a client is one that was refused, and whose edge has not ended its place yet.
    pub(super) fn is_barred(&self, room: &Name, user: &Name, worker: u16, visit: u16) -> bool {
        !self.barred.is_empty() && self.barred.contains(&(room.clone(), user.clone(), worker, visit))
    }

    /// Whether a client that leaves is one that was refused: it has never come in.
    pub(super) fn was_barred(&mut self, room: &Name, user: &Name, worker: u16, visit: u16) -> bool {
        if self.barred.is_empty() {
            return false;
        }
        let was = self.barred.remove(&(room.clone(), user.clone(), worker, visit));
        self.barred.shrink_to(64);
        was
    }

    pub(crate) fn share_bans(&mut self, count: &BanCount) {
        self.bans.share(count.clone());
    }

    /// Forgets bans that have ended.
    pub(crate) fn end_bans(&mut self, now: Now) {
        self.bans.look(now);
    }

    pub(crate) fn bans_due(&self) -> Option<Tick> {
        self.bans.due()
    }

    /// Clients that were refused, and whose edges have not ended their places yet.
    #[must_use]
    pub fn barred(&self) -> usize {
        self.barred.len()
    }
}

pub(crate) fn answer(reply_to: Option<ReplyTo>, answer: HomeAnswer, turn: &mut Turn<'_>) {
    if let Some(reply_to) = reply_to {
        turn.out.post(reply_to.at.worker, Message::Answered { reply_to, answer });
    }
}
