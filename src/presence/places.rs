//! A client's places in groups. Most clients are in nothing or in one room: neither needs any heap.

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
    #[expect(clippy::box_collection, reason = "8 bytes of every client in place of 24")]
    Many(Box<Vec<Place>>),
}

impl Places {
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
        self.as_slice().iter().copied().find(|place| place.group == group)
    }

    pub(crate) fn push(&mut self, place: Place) {
        *self = match std::mem::take(self) {
            Places::None => Places::One(place),
            Places::One(first) => Places::Many(Box::new(vec![first, place])),
            Places::Many(mut places) => {
                places.push(place);
                Places::Many(places)
            }
        }
    }

    /// Forgets the place in a group.
    pub(crate) fn remove(&mut self, group: u32) {
        *self = match std::mem::take(self) {
            Places::One(place) if place.group == group => Places::None,
            Places::Many(mut places) => {
                places.retain(|place| place.group != group);
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
        if let Some(place) = places.iter_mut().find(|place| place.group == at.group) {
            place.index = at.index;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_found_moved_and_forgotten() {
        let mut places = Places::default();
        for group in 0..5 {
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
}
