//! Names of users and rooms, and the workers that are their homes.

use std::hash::Hasher;
use std::sync::Arc;

use crate::limits::NAME_BYTES_MAX;

/// A name of a user or a room: stored once, shared by all who speak of it.
pub type Name = Arc<str>;

/// Bytes that a stored name takes: its text and two counts, in the steps of an allocator.
#[must_use]
pub fn bytes_of(name: &Name) -> usize {
    (2 * size_of::<usize>() + name.len()).next_multiple_of(16)
}

/// Whether `text` may be a name: 1 to 128 of letters, digits, `._:@-`. Such a name needs no escaping in JSON.
#[must_use]
pub fn is_name(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._:@-".contains(&byte);
    (1..=NAME_BYTES_MAX).contains(&text.len()) && text.bytes().all(allowed)
}

/// Which worker is home to a name: the same answer on all workers of a server.
#[derive(Clone, Copy, Debug)]
pub struct Homes {
    workers: u16,
    secret: u64,
}

impl Homes {
    /// The homes of a server with so many workers (at least 1). Who doesn't know the secret can't pile names onto one
    /// worker.
    #[must_use]
    pub const fn new(workers: u16, secret: u64) -> Homes {
        Homes { workers, secret }
    }

    /// How many workers there are.
    #[must_use]
    pub const fn workers(&self) -> u16 {
        self.workers
    }

    /// The home of a name.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "the high part of a product is below `workers`")]
    pub fn of(&self, name: &str) -> u16 {
        ((u128::from(self.hash(name)) * u128::from(self.workers)) >> 64) as u16
    }

    /// A number for a client that tells nothing of how many there are or were.
    pub(crate) fn disguise(&self, worker: u16, link: u64) -> u64 {
        let mut hasher = std::hash::DefaultHasher::new();
        hasher.write_u64(self.secret);
        hasher.write_u64(link);
        // Of another length than what any name's hash is made of in the same place: a name has no such bytes.
        hasher.write(&[0xff, 0]);
        hasher.write_u16(worker);
        hasher.finish()
    }

    /// The hash that a home files the name under.
    #[must_use]
    pub fn hash(&self, name: &str) -> u64 {
        let mut hasher = std::hash::DefaultHasher::new();
        hasher.write_u64(self.secret);
        hasher.write(name.as_bytes());
        hasher.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_letters_digits_and_a_few_signs() {
        for name in ["a", "u-1001", "a.b_c:d@e-f", &"x".repeat(128)] {
            assert!(is_name(name), "{name}");
        }
        for text in ["", " ", "a b", "ä", "a\"b", "a/b", "{}", &"x".repeat(129)] {
            assert!(!is_name(text), "{text}");
        }
    }

    #[test]
    fn a_number_for_a_client_is_its_own_and_counts_nothing() {
        let homes = Homes::new(3, 7);
        let numbers: Vec<u64> =
            (0..3).flat_map(|worker| (0..1_000).map(move |link| homes.disguise(worker, link))).collect();
        let distinct: std::collections::HashSet<u64> = numbers.iter().copied().collect();
        assert_eq!(distinct.len(), numbers.len());
        let near = |pair: &[u64]| pair[0].abs_diff(pair[1]) < 1 << 40;
        assert!(!numbers.windows(2).any(near), "one says nothing of the next");
        assert_ne!(homes.disguise(0, 1), Homes::new(3, 8).disguise(0, 1), "nor does another server");
    }

    #[test]
    fn homes_spread_names_over_all_workers() {
        for workers in [1, 3, 52] {
            let homes = Homes::new(workers, 7);
            let mut counts = vec![0; usize::from(workers)];
            for n in 0..10_000 {
                counts[usize::from(homes.of(&format!("user-{n}")))] += 1;
            }
            let mean = 10_000 / i32::from(workers);
            assert!(
                counts.iter().all(|count| (mean * 6 / 10..mean * 14 / 10 + 1).contains(count)),
                "{counts:?}"
            );
        }
    }
}
