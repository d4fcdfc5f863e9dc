//! Public keys of Ed25519 (RFC 8032 §5.1) that nobody can have made. Pure.
//!
//! *ring* takes any 32 bytes for a key, and finds at a signature whether they are a point. With a point of small order anybody
//! can sign, for all messages or for some: it is the key of nobody.

/// Bytes of a key.
pub(super) const BYTES: usize = 32;

/// The bit of the last byte that says which of two the other coordinate is (§5.1.2).
const SIGN: u8 = 0x80;
/// The prime of the field, 2^255 - 19, as it would be written.
const PRIME: [u8; BYTES] = of_ends(0xed, 0xff, 0x7f);
/// The points whose order divides 8, by their coordinate: two of each but the first two, which have no other one than 0.
const SMALL: [[u8; BYTES]; 5] = [
    // Orders 1, 2 and 4.
    of_ends(1, 0, 0),
    of_ends(0xec, 0xff, 0x7f),
    of_ends(0, 0, 0),
    // Order 8.
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5,
        0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a,
        0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
    ],
];

const fn of_ends(first: u8, between: u8, last: u8) -> [u8; BYTES] {
    let mut bytes = [between; BYTES];
    bytes[0] = first;
    bytes[BYTES - 1] = last;
    bytes
}

/// Whether these bytes may be somebody's key: their coordinate is one of the field in its one form, and no point of small order
/// has it. Whether a point has it at all is not looked at.
pub(super) fn may_be_key(bytes: &[u8; BYTES]) -> bool {
    let mut coordinate = *bytes;
    coordinate[BYTES - 1] &= !SIGN;
    coordinate.iter().rev().lt(PRIME.iter().rev()) && !SMALL.contains(&coordinate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_of_small_order_is_nobodys_key_in_any_form() {
        // The field's prime and above: 0 to 18 once more.
        let again = (0xed..=0xff).map(|first| of_ends(first, 0xff, 0x7f));
        let mut refused = 0;
        for bytes in SMALL.into_iter().chain(again) {
            for sign in [0, SIGN] {
                let mut bytes = bytes;
                bytes[BYTES - 1] |= sign;
                assert!(!may_be_key(&bytes), "{bytes:x?}");
                refused += 1;
            }
        }
        assert_eq!(refused, 48);
    }

    #[test]
    fn other_coordinates_below_the_prime_may_be_keys() {
        for bytes in
            [of_ends(0xeb, 0xff, 0x7f), of_ends(2, 0, 0), of_ends(0xff, 0xff, 0x7e), of_ends(0, 0, 1)]
        {
            assert!(may_be_key(&bytes), "{bytes:x?}");
        }
        // The base point, §5.1.
        assert!(may_be_key(&of_ends(0x58, 0x66, 0x66)));
    }
}
