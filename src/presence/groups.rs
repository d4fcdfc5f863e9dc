//! Which clients of an edge are in what: rooms, or watches. Coming, going and walking over all of a group's clients cost
//! no search: each client knows its place in each of its groups.

use crate::presence::name::{Homes, Name, bytes_of};
use crate::presence::places::{Place, Places};
use crate::presence::table::Table;
use crate::slots::Slots;

/// One client in a group.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Member {
    /// The edge's slot of the client.
    pub(crate) slot: u32,
    /// It has been told that it is in.
    pub(crate) active: bool,
    /// A watch that asks for suspicions.
    pub(crate) suspect: bool,
    /// Of a room: the edge's number of the `join`. Of a watch: bit 0 where the user's home counts it without suspicions, bit 1
    /// where it counts it with them: both, where it asked for one after the other.
    mark: u16,
}

const _: () = assert!(size_of::<Member>() == 8);

impl Member {
    /// One that watches, and has not been told yet that it does.
    pub(crate) fn watching(slot: u32) -> Member {
        Member { slot, active: false, suspect: false, mark: 0 }
    }

    /// One that has not been told yet that it is in a room.
    pub(crate) fn joining(slot: u32, visit: u16) -> Member {
        Member { mark: visit, ..Member::watching(slot) }
    }

    /// The edge's number of the `join` that brought it in.
    pub(crate) fn visit(&self) -> u16 {
        self.mark
    }

    /// Whether the user's home counts a watch without suspicions, and with them.
    pub(crate) fn counted(&self) -> [bool; 2] {
        [self.mark & 1 != 0, self.mark & 2 != 0]
    }

    /// The user's home counts a watch, or does not. Says whether it did before.
    pub(crate) fn count(&mut self, suspect: bool, counts: bool) -> bool {
        let (before, bit) = (self.counted()[usize::from(suspect)], 1 << u16::from(suspect));
        self.mark = if counts { self.mark | bit } else { self.mark & !bit };
        before
    }
}

#[derive(Debug)]
struct Group {
    name: Name,
    members: Vec<Member>,
}

/// Groups by name.
#[derive(Debug)]
pub(crate) struct Groups {
    by_name: Table,
    groups: Slots<Group>,
    /// Bytes of the names, and of what the members of all groups lie in.
    heap_bytes: usize,
}

/// Bytes that an allocator hands out for so many members.
fn room(capacity: usize) -> usize {
    (capacity * size_of::<Member>() + size_of::<usize>()).next_multiple_of(16).max(32)
}

impl Groups {
    pub(crate) fn new(homes: Homes) -> Groups {
        Groups { by_name: Table::new(homes), groups: Slots::default(), heap_bytes: 0 }
    }

    /// The group of that name, and the name as it is stored.
    pub(crate) fn find(&self, name: &str) -> Option<(u32, &Name)> {
        let group = self.by_name.find(name, |group| &*self.groups[group as usize].name)?;
        Some((group, &self.groups[group as usize].name))
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

    /// A group by its number, and who is in it.
    pub(crate) fn get(&self, group: usize) -> Option<(&Name, &[Member])> {
        self.groups.get(group).map(|group| (&group.name, &*group.members))
    }

    /// A number beyond those of all groups.
    pub(crate) fn end(&self) -> usize {
        self.groups.end()
    }

    /// Puts a client into a group, which is made where there is none.
    #[expect(clippy::cast_possible_truncation, reason = "fewer clients and groups than 2^32")]
    pub(crate) fn add(&mut self, name: &Name, member: Member, places: &mut Places) -> Place {
        let group = match self.find(name) {
            Some((group, _)) => group,
            None => self.make(name),
        };
        let members = &mut self.groups[group as usize].members;
        let before = members.capacity();
        // Most users are watched by one client of a worker: a vector's usual first step has room for four.
        if before == 0 {
            members.reserve_exact(1);
        }
        members.push(member);
        if members.capacity() != before {
            self.heap_bytes += room(members.capacity());
            self.heap_bytes -= if before > 0 { room(before) } else { 0 };
        }
        let place = Place { group, index: members.len() as u32 - 1 };
        places.push(place);
        place
    }

    #[expect(clippy::cast_possible_truncation, reason = "fewer groups than 2^32")]
    fn make(&mut self, name: &Name) -> u32 {
        let group = self.groups.insert(Group { name: name.clone(), members: Vec::new() }) as u32;
        self.heap_bytes += bytes_of(name);
        let groups = &self.groups;
        self.by_name.insert(name, group, |group| &*groups[group as usize].name);
        group
    }

    /// Takes a client out of a group; the last one takes its place, and is told so through `moved(slot, group, index)`.
    pub(crate) fn remove(&mut self, place: Place, moved: impl FnOnce(u32, Place)) {
        let group = &mut self.groups[place.group as usize];
        let before = group.members.capacity();
        group.members.swap_remove(place.index as usize);
        if let Some(other) = group.members.get(place.index as usize) {
            moved(other.slot, place);
        }
        if group.members.is_empty() {
            self.heap_bytes -= room(before) + bytes_of(&group.name);
            let groups = &self.groups;
            self.by_name.remove(&groups[place.group as usize].name, place.group, |group| {
                &*groups[group as usize].name
            });
            self.groups.try_remove(place.group as usize);
        } else if before > 4 * group.members.len() + 16 {
            group.members.shrink_to(2 * group.members.len());
            self.heap_bytes -= room(before) - room(group.members.capacity());
        }
    }

    pub(crate) fn give_back(&mut self) {
        self.groups.give_back();
    }

    pub(crate) fn bytes(&self) -> usize {
        self.heap_bytes + self.groups.bytes() + self.by_name.bytes()
    }
}
