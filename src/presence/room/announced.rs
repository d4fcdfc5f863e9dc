//! Announcements of members by edges, and members who are gone when an announcement is complete.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use crate::presence::address::WorkerRef;
use crate::presence::cost;
use crate::presence::event::{Event, SharedEvent};
use crate::presence::message::{ClientRef, MembershipChange, Message};
use crate::presence::moderation::Moderation;
use crate::presence::name::Name;
use crate::presence::rebuilding::Cursor;
use crate::presence::room::member::Member;
use crate::presence::room::{Room, Rooms};
use crate::presence::turn::Turn;

impl Room {
    /// Tells an edge's clients that changes of the members may be missing from what they know.
    fn tell_gap(&self, edge: u16, turn: &mut Turn<'_>) {
        let change = Arc::new(MembershipChange { since: 0, place: self.place(), users: None });
        let event = Event::Room { room: self.name.clone(), change: Arc::clone(&change), members: None };
        let (room, event, change) = (self.name.clone(), SharedEvent::new(event), Some(change));
        turn.out.post(edge, Message::Deliver { room, event, except: None, change });
    }

    /// So many members behind a name, in order, seen or not, so that one who turns invisible meanwhile is not passed over; and whether
    /// there are more.
    fn part(&self, after: Option<&Name>, most: usize) -> (Vec<(&Name, &Member)>, bool) {
        let from = after.map_or(Bound::Unbounded, |after| Bound::Excluded(&**after));
        let behind = |members| BTreeMap::range::<str, _>(members, (from, Bound::Unbounded)).take(most + 1);
        let mut part: Vec<(&Name, &Member)> = behind(&self.members).collect();
        if let Some(unseen) = &self.unseen {
            part.extend(behind(unseen));
            part.sort_unstable_by_key(|(name, _)| *name);
        }
        let is_more = part.len() > most;
        part.truncate(most);
        (part, is_more)
    }

    fn is_at(&self, edge: u16) -> bool {
        self.workers.iter().any(|(worker, _)| *worker == edge)
    }
}

impl Rooms {
    /// Nobody is told of anybody until [`Rooms::break_silence`].
    pub(crate) fn fall_silent(&mut self) {
        self.bounds.quiet_from = Some(0);
    }

    /// An edge begins to say everything anew; its clients were told up to this epoch.
    pub(crate) fn announcement(&mut self, edge: u16, epoch: u64) {
        self.rounds.begin(edge);
        self.next_epoch = self.next_epoch.max(epoch);
        // It has ended the places of these, or asks again.
        self.barred.retain(|(_, _, worker, _)| *worker != edge);
    }

    /// A client is in.
    pub(crate) fn announced(
        &mut self,
        (room, user): (&Name, &Name),
        (at, hides): (ClientRef, bool),
        turn: &mut Turn<'_>,
    ) {
        if self.is_banned(turn.now, room, user) {
            let what = Moderation::Expel { room: room.clone(), user: user.clone() };
            return turn.out.post(at.worker, Message::Moderate { what, reply_to: None });
        }
        let (slot, appears) = self.enter((room, user), at, hides, turn);
        if let Some(is_in) = appears {
            let except = Some((at.worker, at.client));
            self.rooms[slot as usize].announce(slot, except, (user, is_in), self.bounds, turn);
        }
    }

    /// An announcement is complete: among so many members and rooms whoever the edge has not named in it is there no more, as if
    /// its connection had broken. Returns where to go on; `None`: that was all.
    pub(crate) fn sweep(
        &mut self,
        edge: WorkerRef,
        mut cursor: Cursor,
        most: usize,
        turn: &mut Turn<'_>,
    ) -> Option<Cursor> {
        let (edge, mut left) = (edge.worker, most);
        while cursor.room < self.rooms.end() {
            if left == 0 {
                return Some(cursor);
            }
            left -= 1;
            let is_there = self.rooms.get(cursor.room).is_some_and(|room| room.is_at(edge));
            if is_there {
                let (looked, next) = self.sweep_room(edge, &cursor, left.max(1), turn);
                left = left.saturating_sub(looked);
                if next.is_some() {
                    cursor.member = next;
                    return Some(cursor);
                }
            }
            cursor = Cursor { room: cursor.room + 1, member: None };
        }
        None
    }

    /// Tells a home which of its users are in rooms here: looks at so many rooms and members, and tells of so many. Whoever comes or
    /// goes meanwhile is told of as always. Returns where to go on; `None`: that was all.
    pub(crate) fn say_places(
        &self,
        home: u16,
        mut cursor: Cursor,
        (mut looks, mut says): (usize, usize),
        turn: &mut Turn<'_>,
    ) -> Option<Cursor> {
        while cursor.room < self.rooms.end() {
            if looks == 0 || says == 0 {
                return Some(cursor);
            }
            looks -= 1;
            if let Some(room) = self.rooms.get(cursor.room) {
                let (part, is_more) = room.part(cursor.member.as_ref(), looks.max(1).min(says));
                turn.out.spend(part.len(), cost::LISTED_NANOS);
                looks = looks.saturating_sub(part.len());
                for (user, _) in part.iter().filter(|(user, _)| self.homes.of(user) == home) {
                    let (user, room) = ((*user).clone(), room.name.clone());
                    turn.out.post(home, Message::Place { user, room, is_in: true });
                    says -= 1;
                }
                if let Some((last, _)) = part.last().filter(|_| is_more) {
                    cursor.member = Some((*last).clone());
                    continue;
                }
            }
            cursor = Cursor { room: cursor.room + 1, member: None };
        }
        None
    }

    /// A part of a room: members by name. Returns how many were looked at, and the last of them, where there are more.
    #[expect(clippy::cast_possible_truncation, reason = "fewer rooms than 2^32")]
    fn sweep_room(
        &mut self,
        edge: u16,
        cursor: &Cursor,
        most: usize,
        turn: &mut Turn<'_>,
    ) -> (usize, Option<Name>) {
        let (slot, round) = (cursor.room as u32, self.rounds.of(edge));
        let home = &self.rooms[cursor.room];
        let (part, is_more) = home.part(cursor.member.as_ref(), most);
        turn.out.spend(part.len(), cost::LISTED_NANOS);
        let next = part.last().filter(|_| is_more).map(|(name, _)| (*name).clone());
        let stale = part
            .iter()
            .flat_map(|(name, member)| member.stale(edge, round).map(|client| ((*name).clone(), client)));
        let (looked, serial, gone) = (part.len(), home.serial, stale.collect::<Vec<(Name, u32)>>());
        for (user, client) in gone {
            self.goes((slot, &user), (edge, client), (false, true), turn);
        }
        // The last one may have gone, and the room with it.
        let is_it = |home: &&Room| home.serial == serial && home.is_at(edge);
        let Some(home) = self.rooms.get(cursor.room).filter(is_it) else { return (looked, None) };
        if next.is_none() {
            home.tell_gap(edge, turn);
        }
        (looked, next)
    }

    /// All edges have spoken: the clients in so many rooms, from a slot on, are told that they have begun anew. Says whether there are
    /// more of them.
    pub(crate) fn break_silence(&mut self, most: usize, turn: &mut Turn<'_>) -> bool {
        let Some(from) = self.bounds.quiet_from else { return false };
        let to = from.saturating_add(u32::try_from(most).unwrap_or(u32::MAX));
        turn.out.spend(most, cost::LISTED_NANOS);
        self.bounds.quiet_from = Some(to);
        for slot in from..to {
            let Some(home) = self.rooms.get(slot as usize) else { continue };
            home.workers.iter().for_each(|(edge, _)| home.tell_gap(*edge, turn));
        }
        let is_over = to as usize >= self.rooms.end();
        if is_over {
            self.bounds.quiet_from = None;
        }
        !is_over
    }
}
