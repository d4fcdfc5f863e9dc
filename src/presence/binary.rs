//! The binary form of letters, for where they cross more than a worker's mailbox: a format's number in a byte, then postcard
//! (<https://postcard.jamesmunns.com/wire-format>): variants by their number, integers as varints, text with its length.
//!
//! The form follows the types: a field or a variant that is added, taken away or moved makes another format.

use crate::presence::envelope::Envelope;

/// The first byte. Letters of another format are not read.
pub const FORMAT: u8 = 1;

/// Why bytes are no letter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unreadable {
    /// They have another format, or none: this one.
    Format(Option<u8>),
    /// They break the format, or go on behind the letter.
    Malformed,
}

impl Envelope {
    /// The letter's bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        postcard::to_extend(self, vec![FORMAT]).expect("a letter's lists have lengths, and a vector grows")
    }

    /// Reads a letter. What it says is not judged: its names and numbers are whatever its writer put there.
    ///
    /// # Errors
    /// The bytes are none.
    pub fn from_bytes(bytes: &[u8]) -> Result<Envelope, Unreadable> {
        let Some((&FORMAT, letter)) = bytes.split_first() else {
            return Err(Unreadable::Format(bytes.first().copied()));
        };
        match postcard::take_from_bytes(letter) {
            Ok((letter, [])) => Ok(letter),
            _ => Err(Unreadable::Malformed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::presence::envelope::{Answer, Asker, Leaving, Ticket};
    use crate::presence::membership::Place;
    use crate::presence::{Address, Client, Event, Refusal, SharedEvent, State, View};

    const AT: Address = Address::here(300, Client { slot: 5, serial: 70_000 });

    /// What a format is. From the first release on: change it, and count [`FORMAT`] up.
    #[test]
    fn letters_are_the_bytes_that_other_builds_read() {
        let asker = Asker { at: AT, ticket: Ticket::Command(-1) };
        let said = Event::Said {
            room: "r".into(),
            from: None,
            data: "1".into(),
            place: Place { count: 1, epoch: 2, offset: 3, membership: 4 },
            unix_millis: 5,
        };
        for (letter, bytes) in [
            (
                Envelope::Leave {
                    room: "r".into(),
                    user: "ann".into(),
                    at: AT,
                    visit: 2,
                    leaving: Leaving::Perhaps,
                    hides: true,
                    asker: Some(asker),
                },
                "010c017203616e6e00ac0205f0a2040201010100ac0205f0a2040001",
            ),
            (
                Envelope::Deliver {
                    room: "r".into(),
                    event: SharedEvent::new(said),
                    except: Some(AT.client),
                    change: None,
                },
                "011f017206017200013101020304050105f0a20400",
            ),
            (
                Envelope::Answered { asker, answer: Answer::NotBrought(Refusal::DataTooLong { most: 300 }) },
                "011b00ac0205f0a20400010f03ac02",
            ),
            (
                Envelope::Seen {
                    asker,
                    user: "J\u{f6}rg".into(),
                    view: View { state: State::Away, version: 9, ..View::default() },
                },
                "011700ac0205f0a2040001054ac3b6726703000900000000000000",
            ),
        ] {
            let written = letter.to_bytes();
            let hex: String = written.iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(hex, bytes, "{letter:?}");
            assert_eq!(format!("{:?}", Envelope::from_bytes(&written).unwrap()), format!("{letter:?}"));
        }
    }

    #[test]
    fn what_is_no_letter_is_said_to_be_none() {
        let unreadable = |bytes: &[u8]| Envelope::from_bytes(bytes).map(|_| ()).unwrap_err();
        assert_eq!(unreadable(&[]), Unreadable::Format(None));
        let letter =
            Envelope::Look { user: "ann".into(), asker: Asker { at: AT, ticket: Ticket::Command(1) } };
        let bytes = letter.to_bytes();
        assert_eq!(unreadable(&[&[FORMAT + 1], &bytes[1..]].concat()), Unreadable::Format(Some(FORMAT + 1)));
        for len in 1..bytes.len() {
            assert_eq!(unreadable(&bytes[..len]), Unreadable::Malformed, "{len}");
        }
        assert_eq!(unreadable(&[&bytes[..], &[0]].concat()), Unreadable::Malformed);
        let mut longer = bytes;
        longer[1] = 0x7f;
        assert_eq!(unreadable(&longer), Unreadable::Malformed, "no such letter");
    }
}
