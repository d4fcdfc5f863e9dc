//! Who is banned, and which rooms users were given.

use rollcall::internals::presence::Name;
use rollcall::internals::time::Now;

use super::Model;

impl Model {
    pub(super) fn ban(&mut self, now: Now, user: &Name, room: Option<&Name>, seconds: u32) {
        let until = now.micros + u64::from(seconds) * 1_000_000;
        self.bans.insert((user.clone(), room.cloned()), until);
    }

    pub(in crate::presence) fn is_banned(&self, now: Now, user: &Name, room: Option<&Name>) -> bool {
        self.bans.get(&(user.clone(), room.cloned())).is_some_and(|until| now.micros < *until)
    }

    /// All clients of a user are kicked, without a ban: those of other workers have to be told.
    pub(super) fn kicks(&mut self, user: &Name) {
        let home = self.homes.of(user);
        let devices = self.people.get(&**user).into_iter().flat_map(|person| &person.devices);
        let away = devices.filter(|device| device.lingers.is_none() && device.at.0 != home);
        self.kicked.extend(away.map(|device| (device.at, (home, device.round))));
    }

    /// All bans of now.
    pub(in crate::presence) fn banned(&self, now: Now) -> Vec<(Name, Option<Name>)> {
        let is = |(_, until): &(_, &u64)| now.micros < **until;
        self.bans.iter().filter(is).map(|(of, _)| of.clone()).collect()
    }

    /// All bans that there were.
    pub(in crate::presence) fn ever_banned(&self) -> Vec<(Name, Option<Name>)> {
        self.bans.keys().cloned().collect()
    }

    /// Whether a user was ever banned from a room.
    pub(in crate::presence) fn was_banned(&self, user: &str, room: &Name) -> bool {
        self.bans.contains_key(&(user.into(), Some(room.clone())))
    }

    /// A user's home has the user brought into a room, and later connections too, or out of it.
    pub(in crate::presence) fn brings(&mut self, user: &str, room: &Name, joins: bool) {
        let is_here = self.people.get(user).is_some_and(|person| !person.devices.is_empty());
        let rooms = self.given.entry(user.to_owned()).or_default();
        if !joins {
            rooms.remove(room);
        } else if is_here {
            rooms.insert(room.clone());
        }
    }

    /// An order to bring a user somewhere was refused: it gave nothing, though another one may have, and it may yet reach the home.
    pub(in crate::presence) fn not_brought(&mut self, user: &str, room: &Name) {
        self.doubted.insert((user.to_owned(), room.clone()));
    }

    /// No order is on its way any more: where some were refused, it is known by now whether others gave the room.
    pub(in crate::presence) fn end_doubts(&mut self, is_given: impl Fn(&str, &Name) -> bool) {
        for (user, room) in std::mem::take(&mut self.doubted) {
            let rooms = self.given.entry(user.clone()).or_default();
            if is_given(&user, &room) {
                rooms.insert(room)
            } else {
                rooms.remove(&room)
            };
        }
    }

    /// The rooms that a user was given, and is to be in with each connection.
    pub(in crate::presence) fn given(&self, user: &str) -> Vec<Name> {
        let is_sure = |room: &&Name| !self.doubted.contains(&(user.to_owned(), (*room).clone()));
        self.given.get(user).into_iter().flatten().filter(is_sure).cloned().collect()
    }
}
