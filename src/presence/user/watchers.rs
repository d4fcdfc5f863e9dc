//! The watchers of a user: the workers whose clients watch, each with how many.

/// How many clients of a worker watch, with and without suspicions.
#[derive(Clone, Copy, Debug)]
pub(super) struct Watcher {
    pub(super) worker: u16,
    pub(super) plain: u32,
    pub(super) full: u32,
    /// Of the worker's announcements, the one in which it said so.
    round: u8,
}

impl Watcher {
    fn count(&mut self, suspect: bool) -> &mut u32 {
        if suspect { &mut self.full } else { &mut self.plain }
    }
}

/// The workers that a user is watched from: mostly none, then one, which needs no heap. 16 bytes.
#[derive(Debug, Default)]
pub(super) enum Watchers {
    #[default]
    None,
    One(Watcher),
    #[expect(clippy::box_collection, reason = "a user that few watch pays for a pointer, not for a vector")]
    Many(Box<Vec<Watcher>>),
}

/// Bytes of heap of a user that is watched from several workers, beside what each of these takes.
const MANY_BYTES: usize = 32;

impl Watchers {
    pub(super) fn as_slice(&self) -> &[Watcher] {
        match self {
            Watchers::None => &[],
            Watchers::One(watcher) => std::slice::from_ref(watcher),
            Watchers::Many(watchers) => watchers,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.as_slice().is_empty()
    }

    /// One more client of a worker watches.
    pub(super) fn add(&mut self, worker: u16, suspect: bool, round: u8) {
        if let Some(watcher) = self.get_mut(worker) {
            let count = watcher.count(suspect);
            *count = count.saturating_add(1);
            return;
        }
        let mut fresh = Watcher { worker, plain: 0, full: 0, round };
        *fresh.count(suspect) += 1;
        self.push(fresh);
    }

    /// So many clients of a worker watch.
    pub(super) fn set(&mut self, worker: u16, (plain, full): (u32, u32), round: u8) {
        let now = Watcher { worker, plain, full, round };
        match self.get_mut(worker) {
            Some(watcher) => *watcher = now,
            None => self.push(now),
        }
    }

    /// Whether a worker has last said that clients of it watch in an announcement before that one.
    pub(super) fn is_stale(&self, worker: u16, round: u8) -> bool {
        self.as_slice().iter().any(|watcher| watcher.worker == worker && watcher.round != round)
    }

    /// No client of a worker watches.
    pub(super) fn clear(&mut self, worker: u16) {
        if let Some(watcher) = self.get_mut(worker) {
            (watcher.plain, watcher.full) = (0, 0);
            self.shrink();
        }
    }

    fn push(&mut self, fresh: Watcher) {
        match self {
            Watchers::None => *self = Watchers::One(fresh),
            Watchers::One(one) => *self = Watchers::Many(Box::new(vec![*one, fresh])),
            Watchers::Many(watchers) => watchers.push(fresh),
        }
    }

    /// One client of a worker watches no more.
    pub(super) fn remove(&mut self, worker: u16, suspect: bool) {
        let Some(watcher) = self.get_mut(worker) else { return };
        let count = watcher.count(suspect);
        *count = count.saturating_sub(1);
        self.shrink();
    }

    /// Forgets workers of which no client watches.
    fn shrink(&mut self) {
        match self {
            Watchers::One(Watcher { plain: 0, full: 0, .. }) => *self = Watchers::None,
            Watchers::Many(watchers) => {
                watchers.retain(|watcher| (watcher.plain, watcher.full) != (0, 0));
                if let [last] = watchers[..] {
                    *self = Watchers::One(last);
                }
            }
            Watchers::None | Watchers::One(_) => {}
        }
    }

    /// Bytes of heap.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Watchers::None | Watchers::One(_) => 0,
            Watchers::Many(watchers) => MANY_BYTES + watchers.capacity() * size_of::<Watcher>(),
        }
    }

    fn get_mut(&mut self, worker: u16) -> Option<&mut Watcher> {
        let all = match self {
            Watchers::None => &mut [],
            Watchers::One(watcher) => std::slice::from_mut(watcher),
            Watchers::Many(watchers) => watchers.as_mut_slice(),
        };
        all.iter_mut().find(|watcher| watcher.worker == worker)
    }
}

const _: () = assert!(size_of::<Watchers>() <= 16);

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(watchers: &Watchers) -> Vec<(u16, u32, u32)> {
        watchers.as_slice().iter().map(|watcher| (watcher.worker, watcher.plain, watcher.full)).collect()
    }

    #[test]
    fn each_worker_is_there_once_for_as_long_as_a_client_of_it_watches() {
        let mut watchers = Watchers::default();
        watchers.remove(7, false);
        assert!(watchers.is_empty());
        watchers.add(7, false, 0);
        watchers.add(7, true, 0);
        assert_eq!((counts(&watchers), watchers.bytes()), (vec![(7, 1, 1)], 0));
        watchers.add(2, false, 0);
        watchers.add(9, true, 0);
        watchers.add(2, false, 0);
        assert_eq!(counts(&watchers), [(7, 1, 1), (2, 2, 0), (9, 0, 1)]);
        watchers.remove(7, true);
        watchers.remove(7, false);
        watchers.remove(9, true);
        assert_eq!((counts(&watchers), watchers.bytes()), (vec![(2, 2, 0)], 0));
        watchers.remove(2, false);
        watchers.remove(2, false);
        assert!(watchers.is_empty());
    }
}
