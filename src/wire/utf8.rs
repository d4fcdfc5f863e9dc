//! UTF-8 checked as it streams: a bad byte fails as soon as it can't be the start or part of a character.
//!
//! Each byte is looked at once, however a text is cut; only a character that a cut went through is looked at again.

/// The state between two parts of a text: the bytes of a character that is cut by the end of a part.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Utf8 {
    cut: [u8; 3],
    cut_len: u8,
}

/// The text isn't UTF-8.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct InvalidUtf8;

/// Whether a whole text is UTF-8.
#[must_use]
pub fn is_valid(text: &[u8]) -> bool {
    text.is_ascii() || simdutf8::basic::from_utf8(text).is_ok()
}

impl Utf8 {
    /// Checks the next part.
    ///
    /// # Errors
    /// The text so far can't be the beginning of any UTF-8.
    pub fn push(&mut self, part: &[u8]) -> Result<(), InvalidUtf8> {
        let rest = self.mend(part)?;
        if rest.is_ascii() {
            return Ok(());
        }
        match simdutf8::compat::from_utf8(rest) {
            Ok(_) => Ok(()),
            Err(error) if error.error_len().is_none() => {
                self.keep(&rest[error.valid_up_to()..]);
                Ok(())
            }
            Err(_) => Err(InvalidUtf8),
        }
    }

    /// Checks that the text may end here.
    ///
    /// # Errors
    /// The last character is cut.
    pub const fn finish(self) -> Result<(), InvalidUtf8> {
        if self.cut_len == 0 { Ok(()) } else { Err(InvalidUtf8) }
    }

    /// Completes the character that was cut, byte by byte; returns what follows it.
    fn mend<'p>(&mut self, part: &'p [u8]) -> Result<&'p [u8], InvalidUtf8> {
        let mut rest = part;
        while self.cut_len > 0
            && let Some((&byte, after)) = rest.split_first()
        {
            rest = after;
            let len = usize::from(self.cut_len);
            let mut character = [self.cut[0], self.cut[1], self.cut[2], 0];
            character[len] = byte;
            match std::str::from_utf8(&character[..=len]) {
                Ok(_) => self.cut_len = 0,
                Err(error) if error.error_len().is_none() => self.keep(&character[..=len]),
                Err(_) => return Err(InvalidUtf8),
            }
        }
        Ok(rest)
    }

    /// Keeps a cut character: at most three bytes, since the fourth would complete any.
    fn keep(&mut self, cut: &[u8]) {
        self.cut[..cut.len()].copy_from_slice(cut);
        self.cut_len = cut.len().to_le_bytes()[0];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_character_may_be_cut_anywhere() {
        let text = "aé€😀z";
        for first in 0..=text.len() {
            for second in first..=text.len() {
                let mut utf8 = Utf8::default();
                for part in
                    [&text.as_bytes()[..first], &text.as_bytes()[first..second], &text.as_bytes()[second..]]
                {
                    assert_eq!(utf8.push(part), Ok(()));
                }
                assert_eq!(utf8.finish(), Ok(()));
            }
        }
    }

    #[test]
    fn a_cut_character_is_no_end() {
        let mut utf8 = Utf8::default();
        assert_eq!(utf8.push("€".split_at(0).1.as_bytes().split_at(2).0), Ok(()));
        assert_eq!(utf8.finish(), Err(InvalidUtf8));
    }

    #[test]
    fn whole_texts_are_judged_as_the_standard_library_does() {
        for text in [&b"plain"[..], "ümlaut".as_bytes(), b"\xff", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b""]
        {
            assert_eq!(is_valid(text), std::str::from_utf8(text).is_ok(), "{text:?}");
        }
    }
}
