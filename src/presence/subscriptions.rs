//! A client's places in topics. Most clients are in nothing or in one room: neither needs any heap.
//!
//! The places are sorted by topic. One is found in ten steps where a client has the most that it may have, 1,024 watches; one that
//! comes or goes moves half of the others on the mean, 4 KiB, which takes a tenth of a microsecond. A hash table would need twice
//! the memory, and a secret, since clients choose what they are in.

/// A client's place in a topic.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subscription {
    pub(crate) topic: u32,
    pub(crate) index: u32,
}

/// The places of one client, one a topic: 16 bytes.
#[derive(Debug, Default)]
pub(crate) enum Subscriptions {
    #[default]
    None,
    One(Subscription),
    /// Sorted by topic.
    #[expect(clippy::box_collection, reason = "8 bytes of every client in place of 24")]
    Many(Box<Vec<Subscription>>),
}

impl Subscriptions {
    /// All of them, by topic.
    pub(crate) fn as_slice(&self) -> &[Subscription] {
        match self {
            Subscriptions::None => &[],
            Subscriptions::One(subscription) => std::slice::from_ref(subscription),
            Subscriptions::Many(subscriptions) => subscriptions,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.as_slice().len()
    }

    /// The place in a topic, if there is one.
    pub(crate) fn get(&self, topic: u32) -> Option<Subscription> {
        let subscriptions = self.as_slice();
        position(subscriptions, topic).ok().map(|at| subscriptions[at])
    }

    /// Files the place in a topic that the client has none in yet.
    pub(crate) fn push(&mut self, subscription: Subscription) {
        *self = match std::mem::take(self) {
            Subscriptions::None => Subscriptions::One(subscription),
            Subscriptions::One(other) if other.topic < subscription.topic => {
                Subscriptions::Many(Box::new(vec![other, subscription]))
            }
            Subscriptions::One(other) => Subscriptions::Many(Box::new(vec![subscription, other])),
            Subscriptions::Many(mut subscriptions) => {
                let (Ok(at) | Err(at)) = position(&subscriptions, subscription.topic);
                subscriptions.insert(at, subscription);
                Subscriptions::Many(subscriptions)
            }
        }
    }

    /// Forgets the place in a topic.
    pub(crate) fn remove(&mut self, topic: u32) {
        *self = match std::mem::take(self) {
            Subscriptions::One(subscription) if subscription.topic == topic => Subscriptions::None,
            Subscriptions::Many(mut subscriptions) => {
                if let Ok(at) = position(&subscriptions, topic) {
                    subscriptions.remove(at);
                }
                if let [last] = subscriptions[..] {
                    Subscriptions::One(last)
                } else {
                    Subscriptions::Many(subscriptions)
                }
            }
            subscriptions => subscriptions,
        }
    }

    /// Notes a new index in a topic.
    pub(crate) fn note(&mut self, at: Subscription) {
        let subscriptions = match self {
            Subscriptions::None => &mut [],
            Subscriptions::One(subscription) => std::slice::from_mut(subscription),
            Subscriptions::Many(subscriptions) => subscriptions.as_mut_slice(),
        };
        if let Ok(subscription) = position(subscriptions, at.topic) {
            subscriptions[subscription].index = at.index;
        }
    }
}

/// The index of the subscription to a topic, or where it would be inserted.
fn position(subscriptions: &[Subscription], topic: u32) -> Result<usize, usize> {
    subscriptions.binary_search_by_key(&topic, |subscription| subscription.topic)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_found_moved_and_forgotten() {
        let mut subscriptions = Subscriptions::default();
        for topic in [3, 0, 4, 2, 1] {
            subscriptions.push(Subscription { topic, index: 10 + topic });
        }
        subscriptions.note(Subscription { topic: 3, index: 99 });
        assert_eq!(subscriptions.get(3).map(|subscription| subscription.index), Some(99));
        for topic in [0, 2, 4, 1] {
            subscriptions.remove(topic);
            assert!(subscriptions.get(topic).is_none());
        }
        assert!(matches!(subscriptions, Subscriptions::One(Subscription { topic: 3, index: 99 })));
        subscriptions.remove(7);
        subscriptions.remove(3);
        assert_eq!(subscriptions.len(), 0);
    }

    #[test]
    fn places_come_in_any_order_and_are_sorted() {
        let mut subscriptions = Subscriptions::default();
        // 7 and 1,024 have no common factor: each topic comes once.
        (0..1_024).for_each(|n| subscriptions.push(Subscription { topic: n * 7 % 1_024, index: n }));
        assert!(subscriptions.as_slice().is_sorted_by_key(|subscription| subscription.topic));
        for n in 0..1_024 {
            assert_eq!(subscriptions.get(n * 7 % 1_024).map(|subscription| subscription.index), Some(n));
        }
    }
}
