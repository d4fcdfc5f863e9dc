//! Names of users and rooms, and the workers that are their homes.

use std::sync::Arc;

use siphasher::sip::SipHasher13;

use crate::limits::NAME_BYTES_MAX;

/// A name of a user or a room: stored once, shared by all who speak of it.
pub type Name = Arc<str>;

/// Bytes that a stored name takes: its text and two counts, in the steps of an allocator.
#[must_use]
pub fn bytes_of(name: &Name) -> usize {
    (2 * size_of::<usize>() + name.len()).next_multiple_of(16)
}

/// Bytes of a name in a list of these, at most: in JSON, where quotes and backslashes take two; nothing else in a name is
/// escaped.
pub(crate) fn listed_bytes(name: &str) -> usize {
    let escaped = name.bytes().filter(|byte| matches!(byte, b'"' | b'\\')).count();
    name.len() + escaped + r#""","#.len()
}

/// The rule for names: the rest of a sentence that begins with the thing named.
pub const NAME_RULE: &str =
    "1 to 128 bytes of UTF-8 without control characters and *, and without a space at either end";

/// Whether `text` may be a name: 1 to 128 bytes without control characters (U+0000 to U+001F, U+007F to U+009F) and `*`, which
/// stands for any end of a name in patterns, and without a space at either end. Names are compared byte by byte, and normalised
/// nowhere: what looks alike may be two.
#[must_use]
pub fn is_name(text: &str) -> bool {
    let bytes = text.as_bytes();
    (1..=NAME_BYTES_MAX).contains(&bytes.len())
        && bytes.iter().all(|byte| *byte >= b' ' && !matches!(*byte, b'*' | 0x7f))
        && bytes[0] != b' '
        && !bytes.ends_with(b" ")
        && (bytes.is_ascii() || !text.contains(char::is_control))
}

/// Whether all of `text` may be a name where nothing around it says that it is one, as in a first message: 1 to 128 of messages,
/// digits and `._:@-`.
#[must_use]
pub fn is_bare_name(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._:@-".contains(&byte);
    (1..=NAME_BYTES_MAX).contains(&text.len()) && text.bytes().all(allowed)
}

/// Finds the worker that is home to a name: the same answer on all workers that have the same secret, whatever they were
/// built with. Names are hashed by SipHash-1-3 (Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012).
#[derive(Clone, Copy, Debug)]
pub struct Homes {
    workers: u16,
    hasher: SipHasher13,
}

impl Homes {
    /// The homes of a server with so many workers (at least 1). `secret` is SipHash's key, in little-endian order: without it,
    /// nobody can pile names onto one worker.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "the two halves of the key")]
    pub fn new(workers: u16, secret: u128) -> Homes {
        Homes { workers, hasher: SipHasher13::new_with_keys(secret as u64, (secret >> 64) as u64) }
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
    pub(crate) fn disguise(&self, worker: u16, session: u64) -> u64 {
        // The first byte stands in no name, which is UTF-8: so the number is no name's hash.
        let mut bytes = [0xff; 11];
        bytes[1..3].copy_from_slice(&worker.to_le_bytes());
        bytes[3..].copy_from_slice(&session.to_le_bytes());
        self.hasher.hash(&bytes)
    }

    /// The hash that a home files the name under.
    #[must_use]
    pub fn hash(&self, name: &str) -> u64 {
        self.hasher.hash(name.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_what_identity_providers_give() {
        let longest = "x".repeat(128);
        let bare = ["a", "u-1001", "a.b_c:d@e-f", &longest];
        for name in bare {
            assert!(is_name(name) && is_bare_name(name), "{name}");
        }
        let wide = "\u{e4}".repeat(64);
        let names = [
            "auth0|5f7c",
            "google-oauth2|1157",
            "anna+test@example.org",
            "J\u{f6}rg",
            "\u{674e}\u{96f7}",
            "user/42",
            "a b",
            "\"",
            "\\",
            "{}",
            "%2F",
            "<b>",
            "\u{1f600}",
            "\u{a0}",
            "\u{2028}",
            "__proto__",
            "null",
            &wide,
        ];
        for name in names {
            assert!(is_name(name) && !is_bare_name(name) || name == "__proto__" || name == "null", "{name}");
        }
        for text in [
            "",
            " ",
            " a",
            "a ",
            "a*",
            "*",
            "a\nb",
            "\0",
            "\u{7f}",
            "\u{80}",
            "a\u{9f}",
            "\t",
            &(wide.clone() + "x"),
            &(longest.clone() + "x"),
        ] {
            assert!(!is_name(text) && !is_bare_name(text), "{text:?}");
        }
    }

    #[test]
    fn a_number_for_a_client_is_its_own_and_counts_nothing() {
        let homes = Homes::new(3, 7);
        let numbers: Vec<u64> = (0..3)
            .flat_map(|worker| (0..1_000).map(move |session| homes.disguise(worker, session)))
            .collect();
        let distinct: std::collections::HashSet<u64> = numbers.iter().copied().collect();
        assert_eq!(distinct.len(), numbers.len());
        let near = |pair: &[u64]| pair[0].abs_diff(pair[1]) < 1 << 40;
        assert!(!numbers.windows(2).any(near), "one says nothing of the next");
        assert_ne!(homes.disguise(0, 1), Homes::new(3, 8).disguise(0, 1), "nor does another server");
    }

    /// The key of SipHash's own test vectors. The first two hashes stand in the reference implementation; the others come
    /// from a second implementation, after the paper.
    #[test]
    fn names_hash_the_same_whatever_the_server_was_built_with() {
        let homes = Homes::new(3, 0x0f0e_0d0c_0b0a_0908_0706_0504_0302_0100);
        for (name, hash, home) in [
            ("", 0xabac_0158_050f_c4dc, 2),
            ("\0", 0xc9f4_9bf3_7d57_ca93, 2),
            ("anna", 0x08b2_93cc_8e7f_decf, 0),
            ("J\u{f6}rg", 0x5566_ccf7_b14b_5185, 1),
            ("room:1", 0x5113_cfff_6859_4c3a, 0),
            ("user/42", 0x56e6_90fd_7154_392b, 1),
        ] {
            assert_eq!((homes.hash(name), homes.of(name)), (hash, home), "{name:?}");
        }
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
