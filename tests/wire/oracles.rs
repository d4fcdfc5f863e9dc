//! Header parsing and streaming UTF-8 against the plainest reading of their rules.

use super::cases;
use proptest::prelude::*;
use rollcall::internals::wire::error::ProtocolError;
use rollcall::internals::wire::frame::{Header, Opcode, Parsed};
use rollcall::internals::wire::utf8::{InvalidUtf8, Utf8, is_valid};

/// §5.2 and §5.5 as they read, of a header that is complete in `bytes`.
fn oracle(bytes: &[u8]) -> Result<(Header, usize), ProtocolError> {
    let opcode = match bytes[0] & 0x0f {
        0 => Opcode::Continuation,
        1 => Opcode::Text,
        2 => Opcode::Binary,
        8 => Opcode::Close,
        9 => Opcode::Ping,
        10 => Opcode::Pong,
        _ => return Err(ProtocolError::ReservedOpcode),
    };
    let fin = bytes[0] >= 0x80;
    if opcode.is_control() && !fin {
        return Err(ProtocolError::ControlFragmented);
    }
    let (extended, least): (usize, u64) = match bytes[1] % 128 {
        126 => (2, 126),
        127 => (8, 65_536),
        _ => (0, 0),
    };
    if opcode.is_control() && extended > 0 {
        return Err(ProtocolError::ControlTooLong);
    }
    let mut len = u64::from(bytes[1] % 128);
    if extended > 0 {
        len = bytes[2..2 + extended].iter().fold(0, |len, byte| len << 8 | u64::from(*byte));
    }
    if len >= 1 << 63 {
        return Err(ProtocolError::LengthTooLarge);
    }
    if len < least {
        return Err(ProtocolError::LengthNotMinimal);
    }
    let mut at = 2 + extended;
    let mut mask = None;
    if bytes[1] >= 0x80 {
        mask = Some([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        at += 4;
    }
    Ok((Header { fin, reserved: bytes[0] / 16 % 8, opcode, mask, len }, at))
}

/// What a parser owes for each prefix of `bytes`, which hold a whole header or more.
fn check(bytes: &[u8]) {
    let expected = oracle(bytes);
    match Header::parse(bytes) {
        Ok(Parsed::Header(header, at)) => assert_eq!(Ok((header, at)), expected, "{bytes:?}"),
        Ok(Parsed::NeedMore(_)) => panic!("complete: {bytes:?}"),
        Err(error) => assert_eq!(Err(error), expected, "{bytes:?}"),
    }
    for cut in 0..bytes.len() {
        match (Header::parse(&bytes[..cut]), expected) {
            (Ok(Parsed::Header(header, at)), _) => assert_eq!(Ok((header, at)), expected),
            // An error may show early, but it is the same.
            (Err(error), _) => assert_eq!(Err(error), expected, "{bytes:?} {cut}"),
            (Ok(Parsed::NeedMore(need)), Ok((_, at))) => assert!(cut < need && need <= at, "{bytes:?} {cut}"),
            (Ok(Parsed::NeedMore(need)), Err(_)) => assert!(cut < need && need <= 14, "{bytes:?} {cut}"),
        }
    }
}

#[test]
fn every_pair_of_first_bytes_parses_as_the_oracle_says() {
    // §5.2
    for first in 0..=255 {
        for second in 0..=255 {
            check(&[first, second, 0, 0, 0, 0, 0, 1, 0, 0, 5, 6, 7, 8]);
        }
    }
}

#[test]
fn every_length_boundary_parses_as_the_oracle_says() {
    // §5.2
    let boundaries = [
        0,
        1,
        125,
        126,
        127,
        255,
        256,
        65_535,
        65_536,
        65_537,
        1 << 24,
        1 << 32,
        (1 << 63) - 1,
        1 << 63,
        u64::MAX,
    ];
    for len in boundaries {
        let wide = len.to_be_bytes();
        for masked in [0, 0x80] {
            let long = [&[0x82, masked | 127][..], &wide, &[1, 2, 3, 4]].concat();
            check(&long);
            let medium = [&[0x82, masked | 126][..], &wide[6..], &[1, 2, 3, 4]].concat();
            check(&medium);
            check(&[0x82, masked | wide[7] & 0x7f, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
        }
    }
}

/// §8.1: the number of bytes after which `text` can no longer be the beginning of UTF-8, if there is one.
fn first_bad(text: &[u8]) -> Option<usize> {
    (1..=text.len())
        .find(|&len| std::str::from_utf8(&text[..len]).is_err_and(|error| error.error_len().is_some()))
}

fn check_text(text: &[u8]) {
    assert_eq!(is_valid(text), std::str::from_utf8(text).is_ok());
    let bad = first_bad(text);
    let mut utf8 = Utf8::default();
    for (at, byte) in text.iter().enumerate() {
        let pushed = utf8.push(std::slice::from_ref(byte));
        if Some(at + 1) == bad {
            assert_eq!(pushed, Err(InvalidUtf8), "{text:?} at {at}");
            break;
        }
        assert_eq!(pushed, Ok(()), "{text:?} at {at}");
    }
    for cut in 0..=text.len() {
        let (first, second) = text.split_at(cut);
        let mut utf8 = Utf8::default();
        assert_eq!(utf8.push(first).is_err(), bad.is_some_and(|bad| bad <= cut), "{text:?} {cut}");
        if bad.is_none_or(|bad| bad > cut) {
            assert_eq!(utf8.push(second).is_err(), bad.is_some(), "{text:?} {cut}");
            if bad.is_none() {
                assert_eq!(utf8.finish().is_ok(), std::str::from_utf8(text).is_ok(), "{text:?} {cut}");
            }
        }
    }
}

#[test]
fn texts_around_every_boundary_of_utf8_are_judged_at_every_split() {
    // §8.1, RFC 3629 §4
    let edges = [
        0x00, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xed, 0xef, 0xf0,
        0xf3, 0xf4, 0xf5, 0xff,
    ];
    for a in edges {
        for b in edges {
            for c in edges {
                check_text(&[a, b, c]);
                check_text(&[b'x', a, b, c, 0x80]);
                check_text(&[a, b, c, 0x80, 0xf0]);
            }
        }
    }
}

proptest! {
    #![proptest_config(cases(256))]

    #[test]
    fn any_header_parses_as_the_oracle_says(bytes in any::<[u8; 14]>()) {
        check(&bytes);
    }

    #[test]
    fn any_text_is_judged_at_every_split(
        parts in prop::collection::vec(
            prop_oneof![10 => any::<char>().prop_map(|c| c.to_string().into_bytes()), 1 => prop::collection::vec(any::<u8>(), 1..3)],
            0..60,
        ),
    ) {
        check_text(&parts.concat());
    }
}
