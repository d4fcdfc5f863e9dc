//! Any bytes as a letter in its binary form: they are none, or a letter that is written and read again as it was.

use rollcall::internals::presence::Message;

pub(super) fn run(data: &[u8]) {
    if let Ok(letter) = Message::from_bytes(data) {
        reads_back(&letter);
    }
}

/// A letter comes back out of its bytes.
pub(super) fn reads_back(letter: &Message) {
    let read = Message::from_bytes(&letter.to_bytes());
    assert_eq!(format!("{:?}", read.as_ref()), format!("{:?}", Ok::<_, ()>(letter)));
}
