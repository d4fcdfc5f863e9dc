//! The clients of an edge by topic: by room, or by watched user. Coming, going and walking over all of a topic's clients
//! cost no search: each client knows its place in each of its topics.

use crate::presence::name::{Homes, Name, bytes_of};
use crate::presence::subscriptions::{Subscription, Subscriptions};
use crate::presence::table::Table;
use crate::slots::Slots;

/// One client in a topic.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subscriber {
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

const _: () = assert!(size_of::<Subscriber>() == 8);

impl Subscriber {
    /// One that watches, and has not been told yet that it does.
    pub(crate) fn watching(slot: u32) -> Subscriber {
        Subscriber { slot, active: false, suspect: false, mark: 0 }
    }

    /// One that has not been told yet that it is in a room.
    pub(crate) fn joining(slot: u32, visit: u16) -> Subscriber {
        Subscriber { mark: visit, ..Subscriber::watching(slot) }
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
struct Topic {
    name: Name,
    members: Vec<Subscriber>,
}

/// Topics by name.
#[derive(Debug)]
pub(crate) struct Subscribers {
    by_name: Table,
    topics: Slots<Topic>,
    /// Bytes of the names, and of what the members of all topics lie in.
    heap_bytes: usize,
}

/// Bytes that an allocator hands out for so many members.
fn allocated_bytes(capacity: usize) -> usize {
    (capacity * size_of::<Subscriber>() + size_of::<usize>()).next_multiple_of(16).max(32)
}

impl Subscribers {
    pub(crate) fn new(homes: Homes) -> Subscribers {
        Subscribers { by_name: Table::new(homes), topics: Slots::default(), heap_bytes: 0 }
    }

    /// The topic of that name, and the name as it is stored.
    pub(crate) fn find(&self, name: &str) -> Option<(u32, &Name)> {
        let topic = self.by_name.find(name, |topic| &*self.topics[topic as usize].name)?;
        Some((topic, &self.topics[topic as usize].name))
    }

    pub(crate) fn name(&self, topic: u32) -> &Name {
        &self.topics[topic as usize].name
    }

    pub(crate) fn members(&self, topic: u32) -> &[Subscriber] {
        &self.topics[topic as usize].members
    }

    pub(crate) fn member(&self, subscription: Subscription) -> &Subscriber {
        &self.topics[subscription.topic as usize].members[subscription.index as usize]
    }

    pub(crate) fn member_mut(&mut self, subscription: Subscription) -> &mut Subscriber {
        &mut self.topics[subscription.topic as usize].members[subscription.index as usize]
    }

    /// A topic by its number, and who is in it.
    pub(crate) fn get(&self, topic: usize) -> Option<(&Name, &[Subscriber])> {
        self.topics.get(topic).map(|topic| (&topic.name, &*topic.members))
    }

    /// A number beyond those of all topics.
    pub(crate) fn end(&self) -> usize {
        self.topics.end()
    }

    /// Puts a client into a topic, which is made where there is none.
    #[expect(clippy::cast_possible_truncation, reason = "fewer clients and groups than 2^32")]
    pub(crate) fn add(
        &mut self,
        name: &Name,
        member: Subscriber,
        subscriptions: &mut Subscriptions,
    ) -> Subscription {
        let topic = match self.find(name) {
            Some((topic, _)) => topic,
            None => self.make(name),
        };
        let members = &mut self.topics[topic as usize].members;
        let before = members.capacity();
        // Most users are watched by one client of a worker: a vector's usual first step has room for four.
        if before == 0 {
            members.reserve_exact(1);
        }
        members.push(member);
        if members.capacity() != before {
            self.heap_bytes += allocated_bytes(members.capacity());
            self.heap_bytes -= if before > 0 { allocated_bytes(before) } else { 0 };
        }
        let subscription = Subscription { topic, index: members.len() as u32 - 1 };
        subscriptions.push(subscription);
        subscription
    }

    #[expect(clippy::cast_possible_truncation, reason = "fewer groups than 2^32")]
    fn make(&mut self, name: &Name) -> u32 {
        let topic = self.topics.insert(Topic { name: name.clone(), members: Vec::new() }) as u32;
        self.heap_bytes += bytes_of(name);
        let topics = &self.topics;
        self.by_name.insert(name, topic, |topic| &*topics[topic as usize].name);
        topic
    }

    /// Takes a client out of a topic; the last one takes its place, and is told so through `moved(slot, topic, index)`.
    pub(crate) fn remove(&mut self, subscription: Subscription, moved: impl FnOnce(u32, Subscription)) {
        let topic = &mut self.topics[subscription.topic as usize];
        let before = topic.members.capacity();
        topic.members.swap_remove(subscription.index as usize);
        if let Some(other) = topic.members.get(subscription.index as usize) {
            moved(other.slot, subscription);
        }
        if topic.members.is_empty() {
            self.heap_bytes -= allocated_bytes(before) + bytes_of(&topic.name);
            let topics = &self.topics;
            self.by_name.remove(&topics[subscription.topic as usize].name, subscription.topic, |topic| {
                &*topics[topic as usize].name
            });
            self.topics.try_remove(subscription.topic as usize);
        } else if before > 4 * topic.members.len() + 16 {
            topic.members.shrink_to(2 * topic.members.len());
            self.heap_bytes -= allocated_bytes(before) - allocated_bytes(topic.members.capacity());
        }
    }

    pub(crate) fn shrink(&mut self) {
        self.topics.shrink();
    }

    pub(crate) fn bytes(&self) -> usize {
        self.heap_bytes + self.topics.bytes() + self.by_name.bytes()
    }
}
