//! Bytes that a process prints, cut into messages: a line is one, without its end. Pure.

use std::io::BufRead as _;

/// How the cutting ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Cut {
    /// All that was whole was taken.
    All,
    /// A line was not taken: it and all behind it.
    Refused(Vec<u8>),
    /// A line is longer than a message may be.
    TooLong,
}

/// The line that is not whole.
#[derive(Debug, Default)]
pub struct Lines {
    partial: Vec<u8>,
}

impl Lines {
    /// Gives each line that is whole with `bytes` to `take`, which says whether it took it. A line has at most `most` bytes.
    pub fn cut(&mut self, bytes: &[u8], most: usize, mut take: impl FnMut(&[u8]) -> bool) -> Cut {
        let mut rest = bytes;
        while !rest.is_empty() {
            // A slice is read without an error. `position` looks at bytes one by one, this at many.
            let len = (&mut { rest }).skip_until(b'\n').unwrap_or(0);
            let (line, behind) = rest.split_at(len);
            let Some(line) = line.strip_suffix(b"\n") else {
                self.partial.extend_from_slice(line);
                return if self.partial.len() > most { Cut::TooLong } else { Cut::All };
            };
            let whole = if self.partial.is_empty() {
                line
            } else {
                self.partial.extend_from_slice(line);
                &self.partial
            };
            if whole.len() > most {
                return Cut::TooLong;
            }
            if !take(without_return(whole)) {
                let refused = [whole, b"\n", behind].concat();
                self.partial = Vec::new();
                return Cut::Refused(refused);
            }
            self.partial = Vec::new();
            rest = behind;
        }
        Cut::All
    }

    /// The bytes behind the last line's end, of which nothing else will come.
    pub fn last(&mut self) -> Option<Vec<u8>> {
        let mut last = std::mem::take(&mut self.partial);
        last.truncate(without_return(&last).len());
        (!last.is_empty()).then_some(last)
    }

    /// Forgets them.
    pub fn clear(&mut self) {
        self.partial = Vec::new();
    }
}

fn without_return(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(lines: &mut Lines, bytes: &[u8]) -> (Vec<String>, Cut) {
        let mut taken = Vec::new();
        let outcome = lines.cut(bytes, 8, |line| {
            taken.push(String::from_utf8(line.to_vec()).unwrap());
            true
        });
        (taken, outcome)
    }

    #[test]
    fn lines_come_whole_wherever_they_were_cut() {
        let text = b"one\ntwo\r\n\nthree\r\nfour";
        for first in 0..text.len() {
            for second in first..text.len() {
                let mut lines = Lines::default();
                let mut taken = Vec::new();
                for part in [&text[..first], &text[first..second], &text[second..]] {
                    let (lines, outcome) = cut(&mut lines, part);
                    assert_eq!(outcome, Cut::All);
                    taken.extend(lines);
                }
                assert_eq!(taken, ["one", "two", "", "three"]);
                assert_eq!(lines.last().as_deref(), Some(&b"four"[..]));
                assert_eq!(lines.last(), None);
            }
        }
    }

    #[test]
    fn a_line_that_is_too_long_is_no_message() {
        let mut lines = Lines::default();
        assert_eq!(cut(&mut lines, b"12345678\n"), (vec!["12345678".to_owned()], Cut::All));
        assert_eq!(cut(&mut lines, b"123456789\n").1, Cut::TooLong);
        let mut lines = Lines::default();
        assert_eq!(cut(&mut lines, b"12345").1, Cut::All);
        assert_eq!(cut(&mut lines, b"6789").1, Cut::TooLong);
    }

    #[test]
    fn what_is_not_taken_is_given_back_with_all_behind_it() {
        let mut lines = Lines::default();
        assert_eq!(cut(&mut lines, b"be").1, Cut::All);
        let mut number = 0;
        let outcome = lines.cut(b"gun\nsecond\r\nthird", 99, |_| {
            number += 1;
            number < 2
        });
        assert_eq!(outcome, Cut::Refused(b"second\r\nthird".to_vec()));
        assert_eq!((number, lines.last()), (2, None));
    }
}
