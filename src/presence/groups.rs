//! Which clients of an edge are in what: rooms, or watches. Coming, going and walking over all of a group's clients cost
//! no search: each client knows its place in each of its groups.

use std::collections::HashMap;

use slab::Slab;

use crate::presence::name::Name;
use crate::presence::places::{Place, Places};

/// One client in a group.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Member {
    /// The edge's slot of the client.
    pub(crate) slot: u32,
    /// It has been told that it is in.
    pub(crate) active: bool,
    /// A watch that asks for suspicions.
    pub(crate) suspect: bool,
    /// As what the user's home counts a watch, without suspicions and with: both, where it asked for one after the other.
    pub(crate) counted: [bool; 2],
}

impl Member {
    /// One that has not been told yet that it is in.
    pub(crate) fn new(slot: u32) -> Member {
        Member { slot, active: false, suspect: false, counted: [false; 2] }
    }
}

#[derive(Debug)]
struct Group {
    name: Name,
    members: Vec<Member>,
}

/// Groups by name.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    by_name: HashMap<Name, u32>,
    groups: Slab<Group>,
}

impl Groups {
    /// The group of that name, and the name as it is stored.
    pub(crate) fn find(&self, name: &str) -> Option<(u32, &Name)> {
        self.by_name.get_key_value(name).map(|(name, group)| (*group, name))
    }

    pub(crate) fn name(&self, group: u32) -> &Name {
        &self.groups[group as usize].name
    }

    pub(crate) fn members(&self, group: u32) -> &[Member] {
        &self.groups[group as usize].members
    }

    pub(crate) fn member(&self, place: Place) -> &Member {
        &self.groups[place.group as usize].members[place.index as usize]
    }

    pub(crate) fn member_mut(&mut self, place: Place) -> &mut Member {
        &mut self.groups[place.group as usize].members[place.index as usize]
    }

    /// Puts a client into a group, which is made where there is none.
    #[expect(clippy::cast_possible_truncation, reason = "fewer clients and groups than 2^32")]
    pub(crate) fn add(&mut self, name: &Name, member: Member, places: &mut Places) -> Place {
        let groups = &mut self.groups;
        let group = *self
            .by_name
            .entry(name.clone())
            .or_insert_with(|| groups.insert(Group { name: name.clone(), members: Vec::new() }) as u32);
        let members = &mut self.groups[group as usize].members;
        members.push(member);
        let place = Place { group, index: members.len() as u32 - 1 };
        places.push(place);
        place
    }

    /// Takes a client out of a group; the last one takes its place, and is told so through `moved(slot, group, index)`.
    pub(crate) fn remove(&mut self, place: Place, moved: impl FnOnce(u32, Place)) {
        let group = &mut self.groups[place.group as usize];
        group.members.swap_remove(place.index as usize);
        if let Some(other) = group.members.get(place.index as usize) {
            moved(other.slot, place);
        }
        if group.members.is_empty() {
            let group = self.groups.remove(place.group as usize);
            self.by_name.remove(&group.name);
        } else if group.members.capacity() > 4 * group.members.len() + 16 {
            group.members.shrink_to(2 * group.members.len());
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        let members: usize = self.groups.iter().map(|(_, group)| group.members.capacity()).sum();
        members * size_of::<Member>()
            + self.groups.capacity() * size_of::<Group>()
            + self.by_name.capacity() * (size_of::<(Name, u32)>() + 1)
    }
}
