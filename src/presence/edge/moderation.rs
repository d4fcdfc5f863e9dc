//! Moderation at an edge: puts clients out of rooms.

use std::sync::Arc;

use crate::presence::address::NOBODY;
use crate::presence::cost;
use crate::presence::edge::Edge;
use crate::presence::ending::Ending;
use crate::presence::message::{ClientId, Leaving, Message, ReplyTo, RequestRef};
use crate::presence::moderation::Moderation;
use crate::presence::name::Name;
use crate::presence::record::Record;
use crate::presence::subscribers::Subscriber;
use crate::presence::timer::first_serial;
use crate::presence::turn::Turn;
use crate::presence::view::Reason;
use crate::time::{Now, Tick};

impl Edge {
    /// The words for a user who is banned from the server; `None`: the user isn't.
    #[must_use]
    pub fn banned(&self, now: Now, user: &str) -> Option<&Arc<str>> {
        // Most servers ban nobody.
        let ban = if self.banned.is_empty() { None } else { self.banned.get(user) };
        ban.filter(|(until, _)| now.micros < *until).map(|(_, words)| words)
    }

    /// Users that are banned from the server.
    #[must_use]
    pub fn bans(&self) -> usize {
        self.banned.len()
    }

    pub(crate) fn set_banned(&mut self, user: Name, ban: Option<(u64, Arc<str>)>) {
        match ban {
            Some(ban) => drop(self.banned.insert(user, ban)),
            None => drop(self.banned.remove(&user)),
        }
        if self.banned.capacity() > 4 * self.banned.len() + 64 {
            self.banned.shrink_to(2 * self.banned.len());
        }
    }

    /// Sends a client away that is a user who is banned. Says whether it did.
    pub(super) fn turns_away(&mut self, slot: u32, user: &str, turn: &mut Turn<'_>) -> bool {
        let Some(words) = self.banned(turn.now, user).cloned() else { return false };
        self.send_away(slot, Reason::Kicked, Ending::Kicked(Some(words)), turn);
        true
    }

    /// A room's home has refused the `join` with that number, since the room bans the user. The client has a place nevertheless,
    /// unless it has left since, and every place that was announced to a home is ended by a message.
    pub(super) fn barred(&mut self, client: ClientId, room: &str, visit: u16, turn: &mut Turn<'_>) {
        let Some(known) = self.known(client) else { return };
        let (Some(user), hides) = (known.user.clone(), known.is_hidden()) else { return };
        let Ok((place, room)) = self.place_in_room(client.slot, room) else { return };
        if self.rooms.member(place).visit() == visit {
            self.leave_room(client.slot, place);
            let (home, at, leaving) = (self.homes.of(&room), self.address(client.slot), Leaving::Now);
            turn.out.post(home, Message::Leave { room, user, at, visit, hides, leaving, reply_to: None });
        }
    }

    /// All of a user's clients go out of a room, and are told so. One whose `join` is yet to be answered is refused that.
    pub(crate) fn expel(&mut self, room: &Name, user: &str, turn: &mut Turn<'_>) {
        let Some((topic, _)) = self.rooms.find(room) else { return };
        let members = self.rooms.members(topic);
        turn.out.spend(members.len(), cost::WATCHER_NANOS);
        let is_theirs = |member: &&Subscriber| {
            member.active && self.user(member.slot).is_some_and(|name| **name == *user)
        };
        let slots: Vec<u32> = members.iter().filter(is_theirs).map(|member| member.slot).collect();
        for slot in slots {
            let request = RequestRef::Forced { admin: self.worker, request: NOBODY, change: true };
            // A member with a name has a place, so that this can't be refused.
            let _ = self.leave(slot, room, ReplyTo { at: self.address(slot), request }, turn);
        }
    }

    /// A room has ended. A client that has not been told yet that it is in is in the one that comes after.
    pub(crate) fn disband(&mut self, room: &Name, turn: &mut Turn<'_>) {
        let Some((topic, _)) = self.rooms.find(room) else { return };
        let members = self.rooms.members(topic).iter().filter(|member| member.active);
        let slots: Vec<u32> = members.map(|member| member.slot).collect();
        turn.out.spend(slots.len(), cost::NAME_NANOS);
        for slot in slots {
            let request = RequestRef::Forced { admin: self.worker, request: NOBODY, change: true };
            let _ = self.leave(slot, room, ReplyTo { at: self.address(slot), request }, turn);
        }
    }

    /// A user's clients have said all that they will say: rooms' homes are told behind that to erase it.
    pub(crate) fn silenced(&self, user: &Name, reply_to: Option<ReplyTo>, turn: &mut Turn<'_>) {
        for home in 0..self.homes.workers() {
            let what = Moderation::Erase { user: user.clone() };
            turn.out.post(home, Message::Moderate { what, reply_to });
        }
    }

    /// No client that comes has a serial number that one had who was here in an incarnation before: see [`first_serial`].
    pub(crate) fn set_incarnation(&mut self, incarnation: u64) {
        self.next_serial = first_serial(incarnation);
    }

    /// The last client's serial number.
    pub(crate) fn floor(&self) -> u32 {
        self.next_serial
    }

    /// No client that comes has a serial number up to that one, as long as these are not used up.
    pub(crate) fn import_floor(&mut self, serial: u32) {
        self.next_serial = self.next_serial.max(serial);
    }

    /// Users whose clients went lately, as records.
    pub(crate) fn export(&self, now: Tick, from: u64, most: usize, records: &mut Vec<Record>) -> Option<u64> {
        self.departed.export(now, from, most, records)
    }

    /// Takes over rooms that clients of a user went out of at another edge.
    pub(crate) fn import(&mut self, now: Tick, user: &Name, rooms: Vec<(Name, u32)>) {
        rooms.into_iter().for_each(|room| self.departed.restore(now, user, room));
    }

    /// A room was taken from a client's user while the client was away. If it has joined again by now, it goes out, and is told
    /// so; else its first `join` there is refused, which nobody but the client itself has asked for.
    pub(crate) fn taken_from(&mut self, client: ClientId, room: &Name, turn: &mut Turn<'_>) {
        if self.known(client).is_none() {
            return;
        }
        if self.place_in_room(client.slot, room).is_err() {
            return self.taken.entry(client.slot).or_default().push(room.clone());
        }
        let request = RequestRef::Forced { admin: self.worker, request: NOBODY, change: true };
        // A member with a name has a place, so that this can't be refused.
        let _ = self.leave(client.slot, room, ReplyTo { at: self.address(client.slot), request }, turn);
    }

    /// A room is taken from a client no more. Says whether it was.
    pub(super) fn end_taken(&mut self, slot: u32, room: &str) -> bool {
        // Most servers take nothing from anybody.
        if self.taken.is_empty() {
            return false;
        }
        let Some(rooms) = self.taken.get_mut(&slot) else { return false };
        let Some(at) = rooms.iter().position(|taken| **taken == *room) else { return false };
        rooms.swap_remove(at);
        if rooms.is_empty() {
            self.forget_taken(slot);
        }
        true
    }

    /// A client is gone, or everything that was taken from it is settled.
    pub(super) fn forget_taken(&mut self, slot: u32) {
        if !self.taken.is_empty() && self.taken.remove(&slot).is_some() {
            self.taken.shrink_to(2 * self.taken.len());
        }
    }

    /// Whether a client is in a room, and hears what is said there; `None`: it has no place in it.
    #[must_use]
    pub fn hears_in(&self, slot: u32, room: &str) -> Option<bool> {
        let (topic, _) = self.rooms.find(room)?;
        let place = self.clients.get(slot as usize)?.rooms.get(topic)?;
        Some(self.rooms.member(place).active)
    }
}
