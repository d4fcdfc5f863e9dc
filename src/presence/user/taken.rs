//! Rooms that who runs the server has taken from users while clients of theirs were away. A client joins its rooms anew when it is
//! back, and would undo what nobody could tell it: so each one that comes back is refused once there, or put out.
//!
//! They are kept for as long as the user is known, or until [`TAKEN_TICKS`] after the first client is back: the user may have
//! several, and those that come later may have joined by order of the user.

use std::collections::HashMap;

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
}

impl Taken {
    pub(super) fn new(homes: Homes) -> Taken {
        let most = TAKEN_ROOMS_MAX.div_ceil(usize::from(homes.workers()).max(1));
        Taken { by_user: HashMap::new(), rooms: 0, most, name_bytes: 0 }
    }

    /// Takes a room from a user.
    ///
    /// # Errors
    /// The code of a refusal: 429 where as many were taken from the user as a connection may be in, 503 where the home keeps too
    /// many.
    pub(super) fn take(&mut self, user: &Name, room: &Name) -> Result<(), u16> {
        self.forget_room(user, room);
        if self.by_user.get(user).is_some_and(|rooms| rooms.len() >= ROOMS_PER_CONNECTION_MAX) {
            return Err(429);
        }
        if self.rooms >= self.most {
            return Err(503);
        }
        self.by_user.entry(user.clone()).or_default().push((room.clone(), None));
        self.rooms += 1;
        self.name_bytes += bytes_of(room);
        Ok(())
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
        self.name_bytes -= bytes_of(&rooms.swap_remove(at).0);
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
    }

    pub(super) fn bytes(&self) -> usize {
        let users = self.by_user.capacity() * size_of::<(Name, Vec<(Name, Option<Tick>)>)>();
        users + self.rooms * size_of::<(Name, Option<Tick>)>() + self.name_bytes
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
            assert_eq!([(); 2].map(|()| taken.take(&ann, &format!("r{n}").into())), [Ok(()); 2]);
        }
        assert_eq!(taken.take(&ann, &"one-more".into()), Err(429));
        taken.forget_room("ann", "r7");
        assert_eq!(taken.take(&ann, &"one-more".into()), Ok(()));
        let first = Tick(u32::MAX - 7);
        assert_eq!(taken.tell(first, "ann").len(), ROOMS_PER_CONNECTION_MAX);
        assert_eq!(taken.tell(first.after(TAKEN_TICKS - 1), "ann").len(), ROOMS_PER_CONNECTION_MAX);
        assert_eq!(taken.take(&ann, &"r9".into()), Ok(()));
        assert_eq!(taken.tell(first.after(TAKEN_TICKS), "ann"), ["r9".into()], "taken anew");
        taken.forget("ann");
        taken.give_back();
        assert_eq!((taken.rooms, taken.name_bytes, taken.tell(first, "ann").len()), (0, 0, 0));
        assert!(taken.bytes() < empty + 1_024, "{} bytes", taken.bytes());
        taken.most = 1;
        assert_eq!(taken.take(&ann, &"r".into()), Ok(()));
        assert_eq!(taken.take(&"bob".into(), &"r".into()), Err(503));
    }
}
