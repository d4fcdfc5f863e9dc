//! Rooms that who runs the server has taken from users while clients of theirs were away. A client joins its rooms anew when it is
//! back, and would undo what nobody could tell it: so each one that comes back is refused once there, or put out.
//!
//! They are kept for as long as the user is known, and count until [`TAKEN_TICKS`] after the first client is back: the user may have
//! several, and those that come later may have joined by order of the user. Past the bounds the oldest make way.

use std::collections::{HashMap, VecDeque};

use crate::limits::{ROOMS_PER_CONNECTION_MAX, TAKEN_ROOMS_MAX, TAKEN_TICKS};
use crate::presence::name::{Homes, Name, bytes_of};
use crate::time::Tick;

/// The rooms that were taken from the users of one home.
#[derive(Debug)]
pub(super) struct Taken {
    /// The rooms of each, the latest last.
    pub(super) by_user: HashMap<Name, Vec<TakenRoom>>,
    pub(super) rooms: usize,
    /// This home's share of [`TAKEN_ROOMS_MAX`].
    pub(super) most: usize,
    pub(super) name_bytes: usize,
    /// Users, and the numbers of their entries, as they were taken, those that are kept no more among them.
    order: VecDeque<(Name, u64)>,
    last_number: u64,
}

/// A room that was taken.
#[derive(Debug)]
pub(super) struct TakenRoom {
    room: Name,
    number: u64,
    /// When the first client was told.
    told: Option<Tick>,
}

/// Entries of [`Taken::order`] that are not worth a walk.
const ORDER_KEPT: usize = 64;

impl Taken {
    pub(super) fn new(homes: Homes) -> Taken {
        let most = TAKEN_ROOMS_MAX.div_ceil(usize::from(homes.workers()).max(1));
        Taken {
            by_user: HashMap::new(),
            rooms: 0,
            most,
            name_bytes: 0,
            order: VecDeque::new(),
            last_number: 0,
        }
    }

    /// Takes a room from a user. As many as a connection may be in are kept of a user, and as many as the home has room for of
    /// all.
    pub(super) fn take(&mut self, user: &Name, room: &Name) {
        self.forget_room(user, room);
        let rooms = self.by_user.get(user).filter(|rooms| rooms.len() >= ROOMS_PER_CONNECTION_MAX);
        if let Some(number) = rooms.and_then(|rooms| rooms.first()).map(|oldest| oldest.number) {
            self.forget_where(user, |entry| entry.number == number);
        }
        while self.rooms >= self.most
            && let Some((its, number)) = self.order.pop_front()
        {
            self.forget_where(&its, |entry| entry.number == number);
        }
        self.last_number += 1;
        let number = self.last_number;
        self.by_user.entry(user.clone()).or_default().push(TakenRoom {
            room: room.clone(),
            number,
            told: None,
        });
        self.order.push_back((user.clone(), number));
        self.rooms += 1;
        self.name_bytes += bytes_of(room);
        if self.order.len() > 2 * self.rooms + ORDER_KEPT {
            let by_user = &self.by_user;
            let is_kept = |(user, number): &(Name, u64)| {
                by_user.get(user).is_some_and(|rooms| rooms.iter().any(|entry| entry.number == *number))
            };
            self.order.retain(is_kept);
        }
    }

    /// The rooms that were taken from a user, and for how many ticks that counts on.
    pub(super) fn record(&self, now: Tick, user: &str) -> Vec<(Name, Option<u32>)> {
        let rooms = if self.by_user.is_empty() { None } else { self.by_user.get(user) };
        let left = |told: Tick| TAKEN_TICKS.saturating_sub(now.since(told));
        let rooms = rooms.into_iter().flatten();
        rooms.map(|entry| (entry.room.clone(), entry.told.map(left))).collect()
    }

    /// A room was taken from a user, as another home has said.
    pub(super) fn restore(&mut self, now: Tick, user: &Name, room: &Name, ticks: Option<u32>) {
        self.take(user, room);
        if let Some(entry) = self.by_user.get_mut(user).and_then(|rooms| rooms.last_mut()) {
            entry.told = ticks.map(|ticks| now.back(TAKEN_TICKS - ticks.min(TAKEN_TICKS)));
        }
    }

    /// The rooms that a client of the user that comes now is told of.
    pub(super) fn tell(&mut self, now: Tick, user: &str) -> Vec<Name> {
        let is_over =
            |entry: &TakenRoom| entry.told.is_some_and(|told| now.has_reached(told.after(TAKEN_TICKS)));
        while self.forget_where(user, is_over) {}
        let rooms = self.by_user.get_mut(user).map_or(&mut [][..], Vec::as_mut_slice);
        rooms.iter_mut().for_each(|entry| entry.told = entry.told.or(Some(now)));
        rooms.iter().map(|entry| entry.room.clone()).collect()
    }

    pub(super) fn forget_room(&mut self, user: &str, room: &str) {
        self.forget_where(user, |entry| *entry.room == *room);
    }

    /// Forgets the first of a user's for which that holds. Says whether there was one.
    fn forget_where(&mut self, user: &str, is_it: impl Fn(&TakenRoom) -> bool) -> bool {
        let Some(rooms) = self.by_user.get_mut(user) else { return false };
        let Some(at) = rooms.iter().position(is_it) else { return false };
        self.name_bytes -= bytes_of(&rooms.remove(at).room);
        self.rooms -= 1;
        if rooms.is_empty() {
            self.by_user.remove(user);
        }
        true
    }

    /// A user is forgotten.
    pub(super) fn forget(&mut self, user: &str) {
        if self.by_user.is_empty() {
            return;
        }
        let rooms = self.by_user.remove(user).unwrap_or_default();
        self.rooms -= rooms.len();
        self.name_bytes -= rooms.iter().map(|entry| bytes_of(&entry.room)).sum::<usize>();
    }

    pub(super) fn shrink(&mut self) {
        if self.by_user.capacity() > 4 * self.by_user.len() + 64 {
            self.by_user.shrink_to(2 * self.by_user.len());
        }
        if self.rooms == 0 {
            self.order = VecDeque::new();
        }
    }

    /// Whether a user had any taken.
    pub(super) fn has(&self, user: &str) -> bool {
        !self.by_user.is_empty() && self.by_user.contains_key(user)
    }

    pub(super) fn bytes(&self) -> usize {
        let users = self.by_user.capacity() * size_of::<(Name, Vec<TakenRoom>)>();
        let order = self.order.capacity() * size_of::<(Name, u64)>();
        users + order + self.rooms * size_of::<TakenRoom>() + self.name_bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rooms_are_kept_in_mind_up_to_a_bound_and_for_a_while_behind_the_first_return() {
        let mut taken = Taken::new(Homes::new(1, 7));
        let (ann, empty): (Name, usize) = ("ann".into(), taken.bytes());
        for n in 0..ROOMS_PER_CONNECTION_MAX {
            (0..2).for_each(|_| taken.take(&ann, &format!("r{n}").into()));
        }
        taken.take(&ann, &"one-more".into());
        assert_eq!(taken.rooms, ROOMS_PER_CONNECTION_MAX);
        let first = Tick(u32::MAX - 7);
        assert_eq!(taken.tell(first, "ann").len(), ROOMS_PER_CONNECTION_MAX);
        assert_eq!(taken.tell(first.after(TAKEN_TICKS - 1), "ann").len(), ROOMS_PER_CONNECTION_MAX);
        assert!(!taken.tell(first, "ann").contains(&"r0".into()), "the oldest made way");
        taken.take(&ann, &"r9".into());
        assert_eq!(taken.tell(first.after(TAKEN_TICKS), "ann"), ["r9".into()], "taken anew");
        taken.forget("ann");
        taken.shrink();
        assert_eq!((taken.rooms, taken.name_bytes, taken.tell(first, "ann").len()), (0, 0, 0));
        assert!(taken.bytes() < empty + 1_024, "{} bytes", taken.bytes());
        taken.most = 1;
        taken.take(&ann, &"r".into());
        taken.take(&"bob".into(), &"r".into());
        assert_eq!((taken.rooms, taken.has("ann"), taken.has("bob")), (1, false, true));
        for _ in 0..1_000 {
            taken.take(&ann, &"r".into());
            taken.forget_room("ann", "r");
        }
        assert!(taken.bytes() < empty + 8_192, "{} bytes", taken.bytes());
    }
}
