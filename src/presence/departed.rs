//! Rooms in which clients that went may be within their grace, by user: so that a grace can be ended before its time. The edge that
//! told a room's home of a client's leaving tells it of the grace's end too, on the same way, and so behind it.

use std::collections::{HashMap, VecDeque};

use crate::limits::DEPARTED_TICKS;
use crate::presence::name::Name;
use crate::time::Tick;

/// The rooms of one client that went, and until when they are kept.
#[derive(Debug)]
struct Left {
    until: Tick,
    rooms: Box<[Name]>,
}

/// Clients of one edge that went and may be back.
#[derive(Debug, Default)]
pub(crate) struct Departed {
    by_user: HashMap<Name, Vec<Left>>,
    /// By their ends; those whose user's were taken out are still here.
    ends: VecDeque<(Tick, Name)>,
}

impl Departed {
    /// A client of a user went out of these rooms, each of which lets its grace pass.
    pub(crate) fn add(&mut self, now: Tick, grace: u32, user: &Name, rooms: Vec<Name>) {
        self.expire(now);
        if rooms.is_empty() {
            return;
        }
        let until = now.after(grace.saturating_add(DEPARTED_TICKS).min(u32::MAX / 2));
        let left = Left { until, rooms: rooms.into() };
        self.by_user.entry(user.clone()).or_default().push(left);
        self.ends.push_back((until, user.clone()));
    }

    /// Takes out the rooms that clients of a user went out of, each once: that one, or all.
    pub(crate) fn take(&mut self, now: Tick, user: &str, room: Option<&Name>) -> Vec<Name> {
        self.expire(now);
        let Some(all) = self.by_user.get_mut(user) else { return Vec::new() };
        if let Some(room) = room {
            let went = all.iter().any(|left| left.rooms.contains(room));
            return Vec::from_iter(went.then(|| room.clone()));
        }
        let all = self.by_user.remove(user).unwrap_or_default();
        let mut rooms: Vec<Name> = all.into_iter().flat_map(|left| left.rooms).collect();
        rooms.sort_unstable();
        rooms.dedup();
        rooms
    }

    /// Forgets those whose time is over.
    pub(crate) fn expire(&mut self, now: Tick) {
        while let Some((_, user)) = self.ends.pop_front_if(|(until, _)| now.has_reached(*until)) {
            if let Some(all) = self.by_user.get_mut(&user) {
                all.retain(|left| now.is_before(left.until));
                if all.is_empty() {
                    self.by_user.remove(&user);
                }
            }
        }
    }

    /// Gives back what a burst has left.
    pub(crate) fn give_back(&mut self) {
        if self.by_user.capacity() > 4 * self.by_user.len() + 64 {
            self.by_user.shrink_to(2 * self.by_user.len());
        }
        if self.ends.capacity() > 4 * self.ends.len() + 64 {
            self.ends.shrink_to(2 * self.ends.len());
        }
    }

    /// Users of whom something is kept.
    pub(crate) fn len(&self) -> usize {
        self.by_user.len()
    }

    /// Bytes held, more or less: a client's entry with two rooms in it.
    pub(crate) fn bytes(&self) -> usize {
        let client = size_of::<Left>() + 2 * size_of::<Name>();
        self.by_user.capacity() * size_of::<(Name, Vec<Left>)>()
            + self.ends.capacity() * size_of::<(Tick, Name)>()
            + self.ends.len() * client
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rooms_are_known_for_the_grace_and_a_while_and_given_out_once() {
        let (mut departed, now) = (Departed::default(), Tick(u32::MAX - 200));
        let (ann, r): (Name, Name) = ("ann".into(), "r".into());
        departed.add(now, 100, &ann, vec![r.clone(), "s".into()]);
        departed.add(now.after(50), 100, &ann, vec![r.clone()]);
        assert_eq!(departed.take(now, "ann", Some(&"t".into())), []);
        assert_eq!(departed.take(now, "ann", Some(&r)), std::slice::from_ref(&r));
        let end = now.after(100 + DEPARTED_TICKS);
        assert_eq!(departed.take(end, "ann", Some(&"s".into())), [], "the first one's time is over");
        assert_eq!(departed.take(end, "ann", None), [r]);
        assert_eq!((departed.take(end, "ann", None), departed.len()), (Vec::new(), 0));
        departed.expire(end.after(50));
        assert!(departed.ends.is_empty());
    }
}
