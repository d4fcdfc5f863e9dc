//! Pages: of a room's members, for clients, and of rooms, for the API.

use std::ops::Bound;

use crate::presence::admin::Listing;
use crate::presence::cost;
use crate::presence::grants::Pattern;
use crate::presence::message::{MemberPage, Message, ReplyTo, RequestRef};
use crate::presence::name::Name;
use crate::presence::room::{Room, Rooms};
use crate::presence::turn::Turn;

impl Room {
    /// The members behind a name, in order.
    fn behind(&self, after: Option<&str>) -> impl Iterator<Item = &Name> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.members.range::<str, _>((from, Bound::Unbounded)).map(|(name, _)| name)
    }

    /// The first `limit` members behind a name, with those who are invisible: for who runs the server.
    fn all_behind(&self, after: Option<&str>, limit: usize) -> Vec<Name> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let unseen = self.unseen.iter().flat_map(|unseen| unseen.range::<str, _>((from, Bound::Unbounded)));
        let unseen = unseen.map(|(name, _)| name).take(limit);
        let mut all: Vec<Name> = self.behind(after).take(limit).chain(unseen).cloned().collect();
        all.sort_unstable();
        all.truncate(limit);
        all
    }

    /// The first `limit` members behind a name that fit one of the patterns, which are sorted. No other member is looked at,
    /// but the one behind those of each pattern: a client that may see few is not to cost what the room is large. Counts them.
    fn fitting(
        &self,
        after: Option<&str>,
        patterns: &[Pattern],
        limit: usize,
        looked: &mut usize,
    ) -> Vec<Name> {
        let mut found: Vec<Name> = Vec::new();
        for pattern in patterns {
            // The names of a pattern lie together, and behind those of the patterns before it, which some of them may fit too.
            let last = found.last().map(|name| &**name).max(after);
            let from = match last {
                Some(last) if last >= pattern.start() => Bound::Excluded(last),
                _ => Bound::Included(pattern.start()),
            };
            let members = self.members.range::<str, _>((from, Bound::Unbounded)).map(|(name, _)| name);
            let fits = members.inspect(|_| *looked += 1).take_while(|name| pattern.fits(name));
            found.extend(fits.take(limit - found.len()).cloned());
        }
        found
    }
}

impl Rooms {
    /// A page of members.
    pub(crate) fn list(
        &self,
        room: Name,
        limit: usize,
        after: Option<&Name>,
        only: Option<&[Pattern]>,
        reply_to: ReplyTo,
        turn: &mut Turn<'_>,
    ) {
        let mut page = MemberPage::default();
        if let Some(home) = self.get(&room) {
            let is_outside = matches!(reply_to.request, RequestRef::Admin { .. });
            // One more than fits, which says whether there are more.
            let mut looked = 0;
            page.users = match only {
                None if is_outside => home.all_behind(after.map(|name| &**name), limit.saturating_add(1)),
                None => {
                    home.behind(after.map(|name| &**name)).take(limit.saturating_add(1)).cloned().collect()
                }
                Some(patterns) => {
                    home.fitting(after.map(|name| &**name), patterns, limit.saturating_add(1), &mut looked)
                }
            };
            turn.out.spend(page.users.len() + looked, cost::LISTED_NANOS);
            if page.users.len() > limit {
                page.users.truncate(limit);
                page.next = page.users.last().cloned();
            }
            page.place = home.place();
        }
        page.room = Some(room);
        turn.out.post(reply_to.at.worker, Message::Listed { reply_to, page });
    }

    /// Rooms by name, behind one, with their numbers of members.
    pub(crate) fn page(&self, limit: usize, after: Option<&str>) -> Listing<usize> {
        let mut slots = self.name_index.after(after, |slot| &*self.rooms[slot as usize].name);
        let row = |slot: u32| {
            let room = &self.rooms[slot as usize];
            (room.name.clone(), room.members.len())
        };
        let rows: Vec<(Name, usize)> = slots.by_ref().take(limit).map(row).collect();
        let next = slots.next().and(rows.last()).map(|(name, _)| name.clone());
        Listing { rows, next }
    }
}
