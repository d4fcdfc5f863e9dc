//! Rooms that who runs the server has given to users: each later connection of a user comes into them, until they are taken.
//! They are kept for as long as the user is known, and gone with the process.

use std::collections::HashMap;

use crate::limits::{GIVEN_ROOMS_MAX, ROOMS_PER_CONNECTION_MAX};
use crate::presence::address::{self, NOBODY};
use crate::presence::envelope::{Address, Envelope};
use crate::presence::name::{Homes, Name, bytes_of};
use crate::presence::outgoing::Outgoing;
use crate::presence::user::Users;

/// The rooms that the users of one home were given.
#[derive(Debug)]
pub(super) struct Given {
    by_user: HashMap<Name, Vec<Name>>,
    rooms: usize,
    /// This home's share of [`GIVEN_ROOMS_MAX`].
    most: usize,
    name_bytes: usize,
}

impl Given {
    pub(super) fn new(homes: Homes) -> Given {
        let most = GIVEN_ROOMS_MAX.div_ceil(usize::from(homes.workers()).max(1));
        Given { by_user: HashMap::new(), rooms: 0, most, name_bytes: 0 }
    }

    /// Gives a room to a user.
    ///
    /// # Errors
    /// The code of a refusal: 429 where the user has as many as a connection may be in, 503 where the home has too many.
    pub(super) fn give(&mut self, user: &Name, room: &Name) -> Result<(), u16> {
        let rooms = self.by_user.get(user).map_or(&[][..], Vec::as_slice);
        if rooms.contains(room) {
            return Ok(());
        }
        if rooms.len() >= ROOMS_PER_CONNECTION_MAX {
            return Err(429);
        }
        if self.rooms >= self.most {
            return Err(503);
        }
        self.by_user.entry(user.clone()).or_default().push(room.clone());
        self.rooms += 1;
        self.name_bytes += bytes_of(room);
        Ok(())
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
    }

    pub(super) fn give_back(&mut self) {
        if self.by_user.capacity() > 4 * self.by_user.len() + 64 {
            self.by_user.shrink_to(2 * self.by_user.len());
        }
    }

    pub(super) fn bytes(&self) -> usize {
        let users = self.by_user.capacity() * size_of::<(Name, Vec<Name>)>();
        users + self.rooms * size_of::<Name>() + self.name_bytes
    }
}

impl Users {
    /// A connection that is there is to come into the rooms that its user was given.
    pub(super) fn bring_given(&self, user: &Name, at: Address, out: &mut Outgoing) {
        if self.given.by_user.is_empty() {
            return;
        }
        let Address { worker, client } = at;
        for room in self.given.by_user.get(user).into_iter().flatten().cloned() {
            let asker = address::asker(self.worker, NOBODY);
            out.post(worker, Envelope::Bid { client, room, joins: true, asker });
        }
    }

    /// Rooms that users were given.
    #[must_use]
    pub fn given(&self) -> usize {
        self.given.rooms
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
            assert_eq!([(); 2].map(|()| given.give(&ann, &format!("r{n}").into())), [Ok(()); 2]);
        }
        assert_eq!(given.give(&ann, &"one-more".into()), Err(429));
        assert!(given.take("ann", "r7") && !given.take("ann", "r7") && !given.take("bob", "r7"));
        assert_eq!(given.give(&ann, &"one-more".into()), Ok(()));
        given.forget("ann");
        given.give_back();
        assert_eq!((given.rooms, given.name_bytes), (0, 0));
        assert!(given.bytes() < empty + 1_024, "{} bytes", given.bytes());
        given.most = 1;
        assert_eq!(given.give(&ann, &"r".into()), Ok(()));
        assert_eq!(given.give(&"bob".into(), &"r".into()), Err(503));
    }
}
