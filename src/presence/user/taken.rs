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
    /// With each room, when the first client was told.
    pub(super) by_user: HashMap<Name, Vec<(Name, Option<Tick>)>>,
    pub(super) rooms: usize,
    /// This home's share of [`TAKEN_ROOMS_MAX`].
    pub(super) most: usize,
    pub(super) name_bytes: usize,
    /// Users and rooms as they were taken, those that are kept no more among them.
    order: VecDeque<(Name, Name)>,
}

/// Entries of [`Taken::order`] that are not worth a walk.
const ORDER_KEPT: usize = 64;

impl Taken {
    pub(super) fn new(homes: Homes) -> Taken {
        let most = TAKEN_ROOMS_MAX.div_ceil(usize::from(homes.workers()).max(1));
        Taken { by_user: HashMap::new(), rooms: 0, most, name_bytes: 0, order: VecDeque::new() }
    }

    /// Takes a room from a user. As many as a connection may be in are kept of a user, and as many as the home has room for of
    /// all.
    pub(super) fn take(&mut self, user: &Name, room: &Name) {
        self.forget_room(user, room);
        let oldest = self.by_user.get(user).filter(|rooms| rooms.len() >= ROOMS_PER_CONNECTION_MAX);
        if let Some((oldest, _)) = oldest.and_then(|rooms| rooms.first().cloned()) {
            self.forget_room(user, &oldest);
        }
        while self.rooms >= self.most
            && let Some((its, oldest)) = self.order.pop_front()
        {
            self.forget_room(&its, &oldest);
        }
        self.by_user.entry(user.clone()).or_default().push((room.clone(), None));
        self.order.push_back((user.clone(), room.clone()));
        self.rooms += 1;
        self.name_bytes += bytes_of(room);
        if self.order.len() > 2 * self.rooms + ORDER_KEPT {
            let by_user = &self.by_user;
            let is_kept = |(user, room): &(Name, Name)| {
                by_user.get(user).is_some_and(|rooms| rooms.iter().any(|(taken, _)| taken == room))
            };
            self.order.retain(is_kept);
        }
    }

    /// The rooms that a client of the user that comes now is told of.
    pub(super) fn tell(&mut self, now: Tick, user: &str) -> Vec<Name> {
        let Some(rooms) = self.by_user.get(user) else { return Vec::new() };
        let is_over = |told: &Option<Tick>| told.is_some_and(|told| now.has_reached(told.after(TAKEN_TICKS)));
        let over: Vec<Name> =
            rooms.iter().filter(|(_, told)| is_over(told)).map(|(room, _)| room.clone()).collect();
        over.iter().for_each(|room| self.forget_room(user, room));
        let rooms = self.by_user.get_mut(user).map_or(&mut [][..], Vec::as_mut_slice);
        rooms.iter_mut().for_each(|(_, told)| *told = told.or(Some(now)));
        rooms.iter().map(|(room, _)| room.clone()).collect()
    }

    pub(super) fn forget_room(&mut self, user: &str, room: &str) {
        let Some(rooms) = self.by_user.get_mut(user) else { return };
        let Some(at) = rooms.iter().position(|(taken, _)| **taken == *room) else { return };
        self.name_bytes -= bytes_of(&rooms.remove(at).0);
        self.rooms -= 1;
        if rooms.is_empty() {
            self.by_user.remove(user);
        }
    }

    /// A user is forgotten.
    pub(super) fn forget(&mut self, user: &str) {
        if self.by_user.is_empty() {
            return;
        }
        let rooms = self.by_user.remove(user).unwrap_or_default();
        self.rooms -= rooms.len();
        self.name_bytes -= rooms.iter().map(|(room, _)| bytes_of(room)).sum::<usize>();
    }

    pub(super) fn give_back(&mut self) {
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
        let users = self.by_user.capacity() * size_of::<(Name, Vec<(Name, Option<Tick>)>)>();
        let order = self.order.capacity() * size_of::<(Name, Name)>();
        users + order + self.rooms * size_of::<(Name, Option<Tick>)>() + self.name_bytes
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
        taken.give_back();
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
