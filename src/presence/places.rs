//! A client's places in groups. Most clients are in nothing or in one room: neither needs any heap.
//!
//! The places are sorted by group. One is found in ten steps where a client has the most that it may have, 1,024 watches; one that
//! comes or goes moves half of the others on the mean, 4 KiB, which takes a tenth of a microsecond. A hash table would need twice
//! the memory, and a secret, since clients choose what they are in.

/// A client's place in a group.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) group: u32,
    pub(crate) index: u32,
}

/// The places of one client, one a group: 16 bytes.
#[derive(Debug, Default)]
pub(crate) enum Places {
    #[default]
    None,
    One(Place),
    /// Sorted by group.
    #[expect(clippy::box_collection, reason = "8 bytes of every client in place of 24")]
    Many(Box<Vec<Place>>),
}

impl Places {
    /// All of them, by group.
    pub(crate) fn as_slice(&self) -> &[Place] {
        match self {
            Places::None => &[],
            Places::One(place) => std::slice::from_ref(place),
            Places::Many(places) => places,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.as_slice().len()
    }

    /// The place in a group, if there is one.
    pub(crate) fn get(&self, group: u32) -> Option<Place> {
        let places = self.as_slice();
        position(places, group).ok().map(|at| places[at])
    }

    /// Files the place in a group that the client has none in yet.
    pub(crate) fn push(&mut self, place: Place) {
        *self = match std::mem::take(self) {
            Places::None => Places::One(place),
            Places::One(other) if other.group < place.group => Places::Many(Box::new(vec![other, place])),
            Places::One(other) => Places::Many(Box::new(vec![place, other])),
            Places::Many(mut places) => {
                let (Ok(at) | Err(at)) = position(&places, place.group);
                places.insert(at, place);
                Places::Many(places)
            }
        }
    }

    /// Forgets the place in a group.
    pub(crate) fn remove(&mut self, group: u32) {
        *self = match std::mem::take(self) {
            Places::One(place) if place.group == group => Places::None,
            Places::Many(mut places) => {
                if let Ok(at) = position(&places, group) {
                    places.remove(at);
                }
                if let [last] = places[..] { Places::One(last) } else { Places::Many(places) }
            }
            places => places,
        }
    }

    /// Notes a new index in a group.
    pub(crate) fn note(&mut self, at: Place) {
        let places = match self {
            Places::None => &mut [],
            Places::One(place) => std::slice::from_mut(place),
            Places::Many(places) => places.as_mut_slice(),
        };
        if let Ok(place) = position(places, at.group) {
            places[place].index = at.index;
        }
    }
}

/// Where the place in a group stands, or would.
fn position(places: &[Place], group: u32) -> Result<usize, usize> {
    places.binary_search_by_key(&group, |place| place.group)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_found_moved_and_forgotten() {
        let mut places = Places::default();
        for group in [3, 0, 4, 2, 1] {
            places.push(Place { group, index: 10 + group });
        }
        places.note(Place { group: 3, index: 99 });
        assert_eq!(places.get(3).map(|place| place.index), Some(99));
        for group in [0, 2, 4, 1] {
            places.remove(group);
            assert!(places.get(group).is_none());
        }
        assert!(matches!(places, Places::One(Place { group: 3, index: 99 })));
        places.remove(7);
        places.remove(3);
        assert_eq!(places.len(), 0);
    }

    #[test]
    fn places_come_in_any_order_and_are_sorted() {
        let mut places = Places::default();
        // 7 and 1,024 have no common factor: each group comes once.
        (0..1_024).for_each(|n| places.push(Place { group: n * 7 % 1_024, index: n }));
        assert!(places.as_slice().is_sorted_by_key(|place| place.group));
        for n in 0..1_024 {
            assert_eq!(places.get(n * 7 % 1_024).map(|place| place.index), Some(n));
        }
    }
}
