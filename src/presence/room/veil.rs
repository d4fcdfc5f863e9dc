//! Members that are invisible: they hear and speak as all do, and are in no list and in no count.
//!
//! Each member is either seen or not, and what makes it so is told to the room as `join` or `leave`. One that is not seen is seen
//! again when an edge says so, or when none of its connections is invisible and none such is waited for.

use crate::presence::name::Name;
use crate::presence::room::member::{ClientSlot, Member};
use crate::presence::room::{Room, Rooms};
use crate::presence::turn::Turn;
use crate::time::Tick;

impl Room {
    /// A member, seen or not.
    pub(super) fn member(&self, user: &str) -> Option<&Member> {
        self.members.get(user).or_else(|| self.unseen.as_ref()?.get(user))
    }

    pub(super) fn member_mut(&mut self, user: &str) -> Option<&mut Member> {
        self.members.get_mut(user).or_else(|| self.unseen.as_mut()?.get_mut(user))
    }

    pub(super) fn take_unseen(&mut self, user: &str) -> Option<Member> {
        let member = self.unseen.as_mut()?.remove(user);
        self.unseen.take_if(|unseen| unseen.is_empty());
        member
    }

    /// A connection comes in. Says whether its user is seen from now on, or no more; `None`: that is as before.
    pub(super) fn comes(&mut self, user: &Name, (at, round): (ClientSlot, u8), hides: bool) -> Option<bool> {
        if let Some(member) = self.member_mut(user) {
            let is_new = member.comes((at, round), hides);
            self.count(at.0, i32::from(is_new));
            return self.see(user, false);
        }
        let mut member = Member::default();
        member.comes((at, round), hides);
        self.count(at.0, 1);
        if hides {
            self.unseen.get_or_insert_default().insert(user.clone(), member);
            return None;
        }
        self.members.insert(user.clone(), member);
        self.membership += 1;
        Some(true)
    }

    /// A connection goes out, or may be back until then. Says whether there was one.
    pub(super) fn goes(&mut self, user: &str, at: ClientSlot, hides: bool, until: Option<Tick>) -> bool {
        let went = match self.members.get_mut(user) {
            Some(member) => member.goes(at, hides, until, true),
            None => self.member_mut(user).is_some_and(|member| member.goes(at, hides, until, false)),
        };
        if went {
            self.count(at.0, -1);
        }
        went
    }

    /// Finds out whether a member is seen, of whom an edge may have said just now that it is. Says so where that is new.
    fn see(&mut self, user: &str, is_said: bool) -> Option<bool> {
        let is_in = match self.members.get(user) {
            Some(member) if member.shows() => return None,
            Some(_) => {
                let (name, member) = self.members.remove_entry(user)?;
                self.unseen.get_or_insert_default().insert(name, member);
                false
            }
            None => {
                let unseen = self.unseen.as_mut()?;
                unseen.get(user).filter(|member| member.shows() && (is_said || !member.hides()))?;
                let (name, member) = unseen.remove_entry(user)?;
                self.unseen.take_if(|unseen| unseen.is_empty());
                self.members.insert(name, member);
                true
            }
        };
        self.membership += 1;
        Some(is_in)
    }
}

impl Rooms {
    /// Members of a room that are invisible.
    pub fn unseen(&self, room: &str) -> impl Iterator<Item = &Name> {
        self.get(room).and_then(|room| room.unseen.as_ref()).into_iter().flat_map(|unseen| unseen.keys())
    }

    /// Something of a member has changed: it may be gone, or seen, or no more. `is_said`: an edge says that it is visible.
    pub(super) fn look_at(&mut self, slot: u32, user: &Name, is_said: bool, turn: &mut Turn<'_>) {
        let home = &mut self.rooms[slot as usize];
        if home.member(user).is_some_and(Member::is_gone) {
            self.gone(slot, user, turn);
        } else if let Some(is_in) = home.see(user, is_said) {
            home.announce(slot, None, (user, is_in), self.bounds, turn);
        }
    }

    /// A client of a member, which came in by that `visit`, turns invisible or visible again.
    pub(crate) fn hide(
        &mut self,
        (room, user): (&Name, &Name),
        (at, visit): (ClientSlot, u16),
        hides: bool,
        turn: &mut Turn<'_>,
    ) {
        // One that was refused is no member.
        let Some(slot) = self.find(room).filter(|_| !self.is_barred(room, user, at.0, visit)) else {
            return;
        };
        if let Some(member) = self.rooms[slot as usize].member_mut(user) {
            member.hide(at, hides);
            self.look_at(slot, user, !hides, turn);
        }
    }

    /// The clients of a member that may be back turn invisible, or visible again.
    pub(crate) fn hide_lingering(&mut self, (room, user): (&Name, &Name), hides: bool, turn: &mut Turn<'_>) {
        let Some(slot) = self.find(room) else { return };
        if let Some(member) = self.rooms[slot as usize].member_mut(user) {
            let is_so = member.hide_departed(hides);
            self.look_at(slot, user, is_so && !hides, turn);
        }
    }
}
