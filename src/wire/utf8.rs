//! UTF-8 checked as it streams: a bad byte fails as soon as it can't be the start or part of a character.

/// The state between two parts of a text: the bytes of a character that is cut by the end of a part.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Utf8 {
    cut: [u8; 3],
    cut_len: u8,
}

/// The text isn't UTF-8.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct InvalidUtf8;

impl Utf8 {
    /// Checks the next part.
    ///
    /// # Errors
    /// The text so far can't be the beginning of any UTF-8.
    pub fn push(&mut self, part: &[u8]) -> Result<(), InvalidUtf8> {
        let _ = part;
        todo!()
    }

    /// Checks that the text may end here.
    ///
    /// # Errors
    /// The last character is cut.
    pub const fn finish(self) -> Result<(), InvalidUtf8> {
        if self.cut_len == 0 { Ok(()) } else { Err(InvalidUtf8) }
    }
}
