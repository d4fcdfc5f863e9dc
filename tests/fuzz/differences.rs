//! Our session beside tungstenite's: each difference that is listed is one, and what both must agree on they do.

use rollcall::internals::wire::session::Role;

use super::targets::differential::{DIFFERENCES, compare};

#[test]
fn every_difference_that_is_listed_is_there() {
    for difference in &DIFFERENCES {
        let found = compare(Role::Server, difference.sample);
        assert!(difference.section.starts_with('§'));
        assert!(
            matches!(found, Ok(Some(found)) if found.what == difference.what),
            "{}: {:?}",
            difference.what,
            found.map(|found| found.map(|found| found.what))
        );
    }
}

/// A client's frame with a mask of zeros.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let length = payload.len() as u8;
    assert!(length < 126, "short frames only");
    [&[first, 0x80 | length, 0, 0, 0, 0], payload].concat()
}

#[test]
fn both_agree_on_every_first_byte_and_length() {
    for first in 0..=255 {
        for second in 0..=255 {
            for role in [Role::Server, Role::Client] {
                let bytes = [&[first, second][..], &[0; 300]].concat();
                let difference =
                    compare(role, &bytes).unwrap_or_else(|why| panic!("{first:x} {second:x} {why}"));
                // Zeros behind 126 or 127 are a length that a shorter form could tell, and in a Close the code 0.
                assert!(
                    difference.is_none() || second & 0x7f >= 126 || first & 0x0f == 8,
                    "{first:x} {second:x}"
                );
            }
        }
    }
}

#[test]
fn both_agree_on_every_close_code_but_those_listed() {
    for code in 0..=u16::MAX {
        let bytes = frame(0x88, &code.to_be_bytes());
        let difference = compare(Role::Server, &bytes).unwrap_or_else(|why| panic!("{code}: {why}"));
        assert_eq!(difference.is_some(), code == 1014 || !may_be_sent(code), "{code}");
    }
}

/// RFC 6455 §7.4, and what IANA lists.
fn may_be_sent(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

#[test]
fn both_agree_on_every_sequence_of_three_frames() {
    let frames: Vec<Vec<u8>> = [0x00, 0x80, 0x01, 0x81, 0x02, 0x82, 0x89, 0x8a, 0x88, 0x09, 0x83, 0xc1]
        .into_iter()
        .flat_map(|first| [&b""[..], b"a", &[0xc3], &[0xa9]].map(|payload| frame(first, payload)))
        .collect();
    for first in &frames {
        for second in &frames {
            for third in &frames {
                let bytes = [&first[..], second, third].concat();
                if let Err(why) = compare(Role::Server, &bytes) {
                    panic!("{bytes:x?}: {why}");
                }
            }
        }
    }
}
