//! DER (ITU-T X.690), as much of it as keys and certificates need: elements one after another, each by its tag. Pure.
//!
//! Nothing is copied. Bytes that are not DER have no elements from there on: a tag of several bytes, a length that is written
//! longer than it needs or goes past the end.

pub(crate) const BIT_STRING: u8 = 0x03;
pub(crate) const GENERALIZED_TIME: u8 = 0x18;
pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const OBJECT_IDENTIFIER: u8 = 0x06;
pub(crate) const OCTET_STRING: u8 = 0x04;
pub(crate) const PRINTABLE_STRING: u8 = 0x13;
pub(crate) const SEQUENCE: u8 = 0x30;
pub(crate) const UTC_TIME: u8 = 0x17;
pub(crate) const UTF8_STRING: u8 = 0x0c;
/// The low bits of a tag's first byte where more bytes follow (§8.1.2.4).
const MORE: u8 = 0x1f;

/// Elements that are still to be read.
#[derive(Clone, Copy)]
pub(crate) struct Elements<'a>(&'a [u8]);

impl<'a> Elements<'a> {
    pub(crate) fn of(bytes: &'a [u8]) -> Elements<'a> {
        Elements(bytes)
    }

    /// The content of the only element of `bytes`, a sequence.
    pub(crate) fn of_sequence(bytes: &'a [u8]) -> Option<Elements<'a>> {
        let mut all = Elements(bytes);
        all.enter(SEQUENCE).filter(|_| all.is_over())
    }

    /// Whether all was read.
    pub(crate) fn is_over(&self) -> bool {
        self.0.is_empty()
    }

    /// The next one's tag and content.
    pub(crate) fn any(&mut self) -> Option<(u8, &'a [u8])> {
        let (&tag, rest) = self.0.split_first()?;
        let (&first, rest) = rest.split_first()?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            // §10.1: the shortest form. A length of more than four bytes is that of nothing that is read here.
            0x81..=0x84 => {
                let (bytes, rest) = rest.split_at_checked(usize::from(first - 0x80))?;
                let length = bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
                (Some(length).filter(|length| *length > 0x7f && bytes[0] != 0)?, rest)
            }
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(length).filter(|_| tag & MORE != MORE)?;
        self.0 = rest;
        Some((tag, content))
    }

    /// The next one's content, if it has this tag. Another is left where it is.
    pub(crate) fn take(&mut self, tag: u8) -> Option<&'a [u8]> {
        let mut ahead = *self;
        let (_, content) = ahead.any().filter(|(found, _)| *found == tag)?;
        *self = ahead;
        Some(content)
    }

    /// The content of the next element, if it has this tag. Another is left where it is.
    pub(crate) fn enter(&mut self, tag: u8) -> Option<Elements<'a>> {
        self.take(tag).map(Elements)
    }

    /// The next one, if it is a number that is not negative: its bytes without the zero that stands before a high bit (§8.3).
    pub(crate) fn number(&mut self) -> Option<&'a [u8]> {
        match self.take(INTEGER)? {
            [0, rest @ ..] if rest.first().is_some_and(|first| *first >= 0x80) => Some(rest),
            number @ [0] => Some(number),
            number @ [1..=0x7f, ..] => Some(number),
            _ => None,
        }
    }

    /// The next one, if it is a string of whole bytes of bits (§8.6).
    pub(crate) fn bits(&mut self) -> Option<&'a [u8]> {
        self.take(BIT_STRING)?.split_first().filter(|(unused, _)| **unused == 0).map(|(_, bytes)| bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_read_in_their_order_and_another_tag_is_left() {
        let mut all = Elements::of(&[0x30, 3, 2, 1, 5, 0x0c, 1, b'x', 3, 2, 0, 7]);
        assert_eq!(all.take(INTEGER), None);
        let mut inner = all.enter(SEQUENCE).unwrap();
        assert_eq!(inner.number(), Some(&[5][..]));
        assert!(inner.is_over() && inner.any().is_none());
        assert_eq!(all.any(), Some((UTF8_STRING, &b"x"[..])));
        assert_eq!(all.bits(), Some(&[7][..]));
        assert!(all.is_over());
    }

    #[test]
    fn a_length_is_as_short_as_it_can_be_and_ends_within() {
        let long = [&[4, 0x81, 0x80][..], &[0; 0x80]].concat();
        assert_eq!(Elements::of(&long).take(OCTET_STRING).map(<[u8]>::len), Some(0x80));
        let longer = [&[4, 0x82, 1, 0][..], &[0; 0x100]].concat();
        assert_eq!(Elements::of(&longer).take(OCTET_STRING).map(<[u8]>::len), Some(0x100));
        for broken in [
            &[][..],
            &[4],
            &[4, 1],
            &[4, 0x81],
            &[4, 0x81, 1, 0],
            &[4, 0x82, 0, 0x80],
            &[4, 0x80, 0, 0],
            &[4, 0x84, 0xff, 0xff, 0xff, 0xff, 0],
            &[4, 0x85, 1, 0, 0, 0, 0],
            &[0x1f, 1, 0],
            &[0xbf, 0x81, 1, 0],
            &long[..0x82],
        ] {
            let mut all = Elements::of(broken);
            assert!(all.any().is_none() && all.take(OCTET_STRING).is_none(), "{broken:x?}");
        }
        assert!(Elements::of_sequence(&[0x30, 0, 0]).is_none(), "more comes behind it");
    }

    #[test]
    fn numbers_are_not_negative_and_not_padded() {
        for (der, number) in [
            (&[2, 1, 0][..], Some(&[0][..])),
            (&[2, 1, 0x7f], Some(&[0x7f])),
            (&[2, 2, 0, 0x80], Some(&[0x80])),
            (&[2, 0], None),
            (&[2, 1, 0x80], None),
            (&[2, 2, 0, 0x7f], None),
            (&[2, 2, 0, 0], None),
        ] {
            assert_eq!(Elements::of(der).number(), number, "{der:x?}");
        }
        assert_eq!(Elements::of(&[3, 2, 1, 0xfe]).bits(), None, "a bit is unused");
        assert_eq!(Elements::of(&[3, 0]).bits(), None);
    }
}
