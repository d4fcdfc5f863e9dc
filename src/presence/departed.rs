//! Rooms in which clients that went may be within their grace, by user: so that a grace can be ended before its time, and its user turn invisible in it. The edge that
//! told a room's home of a client's leaving tells it of the grace's end too, on the same way, and so behind it.

use std::collections::{HashMap, VecDeque};

use crate::limits::DEPARTED_TICKS;
use crate::presence::name::Name;
use crate::presence::record::Record;
use crate::time::Tick;

/// Clients of one edge that went and may be back.
#[derive(Debug, Default)]
pub(crate) struct Departed {
    /// The rooms that each user's clients went out of, each once, and until when it is kept.
    by_user: HashMap<Name, HashMap<Name, Tick>>,
    /// When to look at each user next; those who were taken out are still here.
    looks: VecDeque<(Tick, Name)>,
    /// Rooms of all users.
    rooms: usize,
    /// How many of `looks` were taken out.
    looked: u64,
}

impl Departed {
    /// A client of a user went out of these rooms, each of which lets its grace pass.
    pub(crate) fn add(&mut self, now: Tick, grace: u32, user: &Name, rooms: Vec<Name>) {
        self.expire(now);
        if rooms.is_empty() {
            return;
        }
        let until = now.after(grace.saturating_add(DEPARTED_TICKS).min(u32::MAX / 2));
        self.keep(user, rooms, until);
    }

    fn keep(&mut self, user: &Name, rooms: Vec<Name>, until: Tick) {
        let known = self.by_user.entry(user.clone()).or_insert_with(|| {
            self.looks.push_back((until, user.clone()));
            HashMap::new()
        });
        for room in rooms {
            self.rooms += usize::from(known.insert(room, until).is_none());
        }
    }

    /// Users from that number on, at most so many. Returns the number behind them, if there may be more.
    pub(crate) fn export(&self, now: Tick, from: u64, most: usize, records: &mut Vec<Record>) -> Option<u64> {
        let first = usize::try_from(from.saturating_sub(self.looked)).unwrap_or(usize::MAX);
        let users = self.looks.iter().skip(first).take(most);
        let looked = users.len();
        for (_, user) in users {
            let known = self.by_user.get(user).into_iter().flatten();
            let known = known.filter(|(_, until)| now.is_before(**until));
            let mut rooms: Vec<(Name, u32)> =
                known.map(|(room, until)| (room.clone(), until.since(now))).collect();
            rooms.sort_unstable();
            if !rooms.is_empty() {
                records.push(Record::Departed { user: user.clone(), rooms });
            }
        }
        (looked == most).then(|| from.max(self.looked) + looked as u64)
    }

    /// Clients of a user went out of a room, as another edge has said, and may be back for so many ticks.
    pub(crate) fn restore(&mut self, now: Tick, user: &Name, (room, ticks): (Name, u32)) {
        if ticks > 0 {
            self.keep(user, vec![room], now.after(ticks.min(u32::MAX / 2)));
        }
    }

    /// Takes out the rooms that clients of a user went out of: that one, or all.
    pub(crate) fn take(&mut self, now: Tick, user: &str, room: Option<&Name>) -> Vec<Name> {
        self.expire(now);
        let is_kept = |until: &Tick| now.is_before(*until);
        if let Some(room) = room {
            let went = self.by_user.get(user).and_then(|known| known.get(room)).is_some_and(is_kept);
            return Vec::from_iter(went.then(|| room.clone()));
        }
        let known = self.by_user.remove(user).unwrap_or_default();
        self.rooms -= known.len();
        let mut rooms: Vec<Name> =
            known.into_iter().filter(|(_, until)| is_kept(until)).map(|(room, _)| room).collect();
        rooms.sort_unstable();
        rooms
    }

    /// The rooms that clients of a user went out of.
    pub(crate) fn rooms(&mut self, now: Tick, user: &str) -> Vec<Name> {
        self.expire(now);
        let known = self.by_user.get(user).into_iter().flatten();
        let mut rooms: Vec<Name> =
            known.filter(|(_, until)| now.is_before(**until)).map(|(room, _)| room.clone()).collect();
        rooms.sort_unstable();
        rooms
    }

    /// Forgets those whose time is over. A user who went again since is looked at again when that is over, or when that of one
    /// who went last is.
    pub(crate) fn expire(&mut self, now: Tick) {
        while let Some((_, user)) = self.looks.pop_front_if(|(until, _)| now.has_reached(*until)) {
            self.looked += 1;
            let Some(known) = self.by_user.get_mut(&user) else { continue };
            let before = known.len();
            known.retain(|_, until| now.is_before(*until));
            self.rooms -= before - known.len();
            match known.values().copied().reduce(Tick::min) {
                Some(until) => self.looks.push_back((until, user)),
                None => drop(self.by_user.remove(&user)),
            }
        }
    }

    /// Gives back what a burst has left.
    pub(crate) fn shrink(&mut self) {
        if self.by_user.capacity() > 4 * self.by_user.len() + 64 {
            self.by_user.shrink_to(2 * self.by_user.len());
        }
        if self.looks.capacity() > 4 * self.looks.len() + 64 {
            self.looks.shrink_to(2 * self.looks.len());
        }
    }

    /// Users of whom something is kept.
    pub(crate) fn len(&self) -> usize {
        self.by_user.len()
    }

    /// Bytes held.
    pub(crate) fn bytes(&self) -> usize {
        self.by_user.capacity() * size_of::<(Name, HashMap<Name, Tick>)>()
            + self.looks.capacity() * size_of::<(Tick, Name)>()
            + self.rooms * size_of::<(Name, Tick)>() * 8 / 7
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rooms_are_known_for_the_grace_and_a_while_and_given_out_once() {
        let (mut departed, now) = (Departed::default(), Tick(u32::MAX - 200));
        let (ann, r): (Name, Name) = ("ann".into(), "r".into());
        departed.add(now, 100, &ann, vec![r.clone(), "s".into()]);
        departed.add(now.after(50), 100, &ann, vec![r.clone()]);
        assert_eq!(departed.take(now, "ann", Some(&"t".into())), []);
        assert_eq!(departed.take(now, "ann", Some(&r)), std::slice::from_ref(&r));
        let end = now.after(100 + DEPARTED_TICKS);
        assert_eq!(departed.take(end, "ann", Some(&"s".into())), [], "the first one's time is over");
        assert_eq!(departed.take(end, "ann", None), [r]);
        assert_eq!((departed.take(end, "ann", None), departed.len()), (Vec::new(), 0));
        departed.expire(end.after(50));
        assert_eq!((departed.looks.len(), departed.rooms), (0, 0));
    }

    #[test]
    fn who_comes_and_goes_often_takes_no_more_than_who_went_once() {
        let (mut departed, now) = (Departed::default(), Tick(7));
        let rooms: Vec<Name> = (0..64).map(|n| format!("r{n}").into()).collect();
        departed.add(now, 60_000, &"ann".into(), rooms.clone());
        let once = departed.bytes();
        (1..10_000).for_each(|n| departed.add(now.after(n), 60_000, &"ann".into(), rooms.clone()));
        assert_eq!((departed.bytes(), departed.rooms, departed.looks.len()), (once, 64, 1));
        departed.expire(now.after(10_000 + 60_000 + DEPARTED_TICKS));
        departed.expire(now.after(20_000 + 60_000 + DEPARTED_TICKS));
        assert_eq!((departed.len(), departed.rooms, departed.looks.len()), (0, 0, 0));
    }
}
