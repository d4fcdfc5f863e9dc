//! Algorithms by the names that tokens and keys have for them. Others are not verified, `none` least of all.

use std::slice;

use jsonwebtoken::Algorithm;

/// RFC 7518 §3.1 and RFC 8037 §3.1; RFC 9864 §2.2 calls the last one by its curve. A name that is written is the first one.
static NAMES: [(&str, Algorithm); 11] = [
    ("HS256", Algorithm::HS256),
    ("RS256", Algorithm::RS256),
    ("RS384", Algorithm::RS384),
    ("RS512", Algorithm::RS512),
    ("PS256", Algorithm::PS256),
    ("PS384", Algorithm::PS384),
    ("PS512", Algorithm::PS512),
    ("ES256", Algorithm::ES256),
    ("ES384", Algorithm::ES384),
    ("EdDSA", Algorithm::EdDSA),
    ("Ed25519", Algorithm::EdDSA),
];

/// The algorithm of this name.
pub(crate) fn named(name: &str) -> Option<Algorithm> {
    NAMES.iter().find(|(known, _)| *known == name).map(|(_, algorithm)| *algorithm)
}

/// An algorithm's name, as a token's header has it.
pub(crate) fn name(algorithm: Algorithm) -> &'static str {
    NAMES.iter().find(|(_, known)| *known == algorithm).map_or("", |(name, _)| name)
}

/// This algorithm alone, for a key that verifies by no other.
pub(crate) fn only(algorithm: Algorithm) -> &'static [Algorithm] {
    NAMES.iter().find(|(_, known)| *known == algorithm).map_or(&[], |(_, known)| slice::from_ref(known))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_is_its_algorithms_and_no_other_is_known() {
        for (name_of, algorithm) in &NAMES[..10] {
            assert_eq!(named(name_of), Some(*algorithm));
            assert_eq!(name(*algorithm), *name_of);
            assert_eq!(only(*algorithm), [*algorithm]);
        }
        assert_eq!(named("Ed25519"), Some(Algorithm::EdDSA));
        for unknown in ["none", "HS384", "HS512", "ES512", "rs256", "RS256 ", ""] {
            assert_eq!(named(unknown), None, "{unknown}");
        }
    }
}
