//! Rooms that who runs the server has given to users: each later connection of a user comes into them, until they are taken.
//! They are kept for as long as the user is known, and gone with the process.
//!
//! A room is given when the order comes, so that no connection misses it that comes meanwhile. Whether any connection could come
//! in is known later: an order that is refused then has given nothing, unless another one has given the same.

use std::collections::HashMap;

use crate::limits::{GIVEN_ROOMS_MAX, ROOMS_PER_CONNECTION_MAX};
use crate::presence::name::{Homes, Name, bytes_of};
use crate::presence::refusal::CommandRefusal;

/// The rooms that the users of one home were given.
#[derive(Debug)]
pub(super) struct Given {
    pub(super) by_user: HashMap<Name, Vec<Name>>,
    pub(super) rooms: usize,
    /// This home's share of [`GIVEN_ROOMS_MAX`].
    pub(super) most: usize,
    pub(super) name_bytes: usize,
    /// Orders of which it is not known yet what comes of them, by number: for the only ones that gave these rooms. As many as admin requests
    /// have in hand.
    pub(super) unsure: HashMap<u32, (Name, Name)>,
    pub(super) last_order: u32,
}

impl Given {
    pub(super) fn new(homes: Homes) -> Given {
        let most = GIVEN_ROOMS_MAX.div_ceil(usize::from(homes.workers()).max(1));
        let (by_user, unsure) = (HashMap::new(), HashMap::new());
        Given { by_user, rooms: 0, most, name_bytes: 0, unsure, last_order: 0 }
    }

    /// Gives a room to a user. Returns the number of the order, by which to [end](Given::end) it; `None`: the user has the
    /// room whatever comes of the order.
    ///
    /// # Errors
    /// The user has as many as a connection may be in, or the home has too many.
    pub(super) fn give(&mut self, user: &Name, room: &Name) -> Result<Option<u32>, CommandRefusal> {
        let rooms = self.by_user.get(user).map_or(&[][..], Vec::as_slice);
        if rooms.contains(room) {
            let is_unsure = self.is_unsure(user, room);
            return Ok(is_unsure.then(|| self.begin(user, room)));
        }
        if rooms.len() >= ROOMS_PER_CONNECTION_MAX {
            return Err(CommandRefusal::UserGivenTooMany);
        }
        if self.rooms >= self.most {
            return Err(CommandRefusal::TooManyGiven);
        }
        self.by_user.entry(user.clone()).or_default().push(room.clone());
        self.rooms += 1;
        self.name_bytes += bytes_of(room);
        Ok(Some(self.begin(user, room)))
    }

    /// A user was given a room, as another home has said: what it kept is kept, whatever this one's share is.
    pub(super) fn restore(&mut self, user: &Name, room: Name) {
        let rooms = self.by_user.entry(user.clone()).or_default();
        if !rooms.contains(&room) {
            self.rooms += 1;
            self.name_bytes += bytes_of(&room);
            rooms.push(room);
        }
    }

    fn begin(&mut self, user: &Name, room: &Name) -> u32 {
        self.last_order = self.last_order.wrapping_add(1);
        self.unsure.insert(self.last_order, (user.clone(), room.clone()));
        self.last_order
    }

    fn is_unsure(&self, user: &str, room: &str) -> bool {
        self.unsure.values().any(|(its, given)| **its == *user && **given == *room)
    }

    /// An order is over, and was done or not. Returns whom it gave what.
    pub(super) fn end(&mut self, order: u32, stays: bool) -> Option<(Name, Name)> {
        let (user, room) = self.unsure.remove(&order)?;
        if stays {
            self.unsure.retain(|_, (its, given)| (&*its, &*given) != (&user, &room));
        } else if !self.is_unsure(&user, &room) {
            self.take(&user, &room);
        }
        Some((user, room))
    }

    /// Whether a user was given any.
    pub(super) fn has(&self, user: &str) -> bool {
        !self.by_user.is_empty() && self.by_user.contains_key(user)
    }

    /// Takes a room from a user. Says whether it was given.
    pub(super) fn take(&mut self, user: &str, room: &str) -> bool {
        let Some(rooms) = self.by_user.get_mut(user) else { return false };
        let Some(at) = rooms.iter().position(|given| **given == *room) else { return false };
        self.name_bytes -= bytes_of(&rooms.swap_remove(at));
        self.rooms -= 1;
        if rooms.is_empty() {
            self.by_user.remove(user);
        }
        self.unsure.retain(|_, (its, given)| **its != *user || **given != *room);
        true
    }

    /// A user is forgotten.
    pub(super) fn forget(&mut self, user: &str) {
        if self.by_user.is_empty() {
            return;
        }
        let rooms = self.by_user.remove(user).unwrap_or_default();
        self.rooms -= rooms.len();
        self.name_bytes -= rooms.iter().map(bytes_of).sum::<usize>();
        self.unsure.retain(|_, (its, _)| **its != *user);
    }

    pub(super) fn shrink(&mut self) {
        if self.by_user.capacity() > 4 * self.by_user.len() + 64 {
            self.by_user.shrink_to(2 * self.by_user.len());
        }
        self.unsure.shrink_to(2 * self.unsure.len());
    }

    pub(super) fn bytes(&self) -> usize {
        let users = self.by_user.capacity() * size_of::<(Name, Vec<Name>)>();
        let unsure = self.unsure.capacity() * size_of::<(u32, (Name, Name))>();
        users + unsure + self.rooms * size_of::<Name>() + self.name_bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rooms_are_given_once_up_to_a_bound_and_taken() {
        let mut given = Given::new(Homes::new(1, 7));
        let (ann, empty): (Name, usize) = ("ann".into(), given.bytes());
        for n in 0..ROOMS_PER_CONNECTION_MAX {
            let room = format!("r{n}").into();
            let order = given.give(&ann, &room).unwrap().unwrap();
            given.end(order, true);
            assert_eq!(given.give(&ann, &room), Ok(None));
        }
        assert_eq!(given.give(&ann, &"one-more".into()), Err(CommandRefusal::UserGivenTooMany));
        assert!(given.take("ann", "r7") && !given.take("ann", "r7") && !given.take("bob", "r7"));
        assert!(matches!(given.give(&ann, &"one-more".into()), Ok(Some(_))));
        given.forget("ann");
        given.shrink();
        assert_eq!((given.rooms, given.name_bytes, given.unsure.len()), (0, 0, 0));
        assert!(given.bytes() < empty + 1_024, "{} bytes", given.bytes());
        given.most = 1;
        assert!(given.give(&ann, &"r".into()).is_ok());
        assert_eq!(given.give(&"bob".into(), &"r".into()), Err(CommandRefusal::TooManyGiven));
    }

    #[test]
    fn an_order_that_is_refused_has_given_nothing_unless_another_has() {
        let mut given = Given::new(Homes::new(1, 7));
        let (ann, room): (Name, Name) = ("ann".into(), "r".into());
        let give = |given: &mut Given| given.give(&ann, &room).unwrap().unwrap();
        for (first, second, rooms) in [(false, false, 0), (true, false, 1), (false, true, 1), (true, true, 1)]
        {
            let orders = [give(&mut given), give(&mut given)];
            given.end(orders[0], first);
            assert_eq!(given.rooms, 1, "the other may yet be done");
            given.end(orders[1], second);
            assert_eq!((given.rooms, given.unsure.len()), (rooms, 0), "{first} {second}");
            given.forget("ann");
        }
        // Taken and given again before the first order is over.
        let first = give(&mut given);
        assert!(given.take("ann", "r"));
        let second = give(&mut given);
        given.end(first, false);
        assert_eq!(given.rooms, 1);
        given.end(second, false);
        assert_eq!((given.rooms, given.name_bytes, given.unsure.len()), (0, 0, 0));
    }
}
