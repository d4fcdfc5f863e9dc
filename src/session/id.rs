//! The name that a client calls its session by: 24 bytes in base64url, 32 characters.
//!
//! | bytes | |
//! |--:|---|
//! | 2 | the node: 0, while there is one |
//! | 2 | the worker that has the session: whoever gets a request for it knows whom to ask |
//! | 4 | its place there, veiled: the number tells nobody how many there are |
//! | 16 | random: who knows them is the client |

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::limits::{SESSION_ID_BYTES, SESSION_SECRET_BYTES};

/// The random part of a session's name.
pub type Secret = [u8; SESSION_SECRET_BYTES];

/// The name of a session, taken apart.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionKey {
    /// The node that has the session.
    pub node: u16,
    /// The worker that has it.
    pub worker: u16,
    /// Its place there, as [`SessionKey::veiled`] has it.
    place: u32,
    secret: Secret,
}

impl SessionKey {
    /// The name of the session in that place of a worker's; `veil` is that worker's own.
    #[must_use]
    pub fn new(worker: u16, place: u32, secret: Secret, veil: u32) -> SessionKey {
        SessionKey { node: 0, worker, place: veiled(place, &secret, veil), secret }
    }

    /// The place of the session, by the veil of the worker that has it. Whether its secret is this one is yet to be looked at.
    #[must_use]
    pub fn place(&self, veil: u32) -> u32 {
        veiled(self.place, &self.secret, veil)
    }

    /// Whether a session's secret is the one in the name. All of it is looked at, whatever differs.
    #[must_use]
    pub fn has(&self, secret: &Secret) -> bool {
        self.secret.iter().zip(secret).fold(0, |differs, (a, b)| differs | (a ^ b)) == 0
    }

    /// Reads a name; `None`: it can't be one.
    #[must_use]
    pub fn parse(text: &str) -> Option<SessionKey> {
        let mut bytes = [0; SESSION_ID_BYTES];
        let len = URL_SAFE_NO_PAD.decode_slice(text, &mut bytes).ok()?;
        if len != SESSION_ID_BYTES {
            return None;
        }
        let (head, secret) = bytes.split_at(SESSION_ID_BYTES - SESSION_SECRET_BYTES);
        let two = |at: usize| u16::from_be_bytes([head[at], head[at + 1]]);
        let place = u32::from_be_bytes([head[4], head[5], head[6], head[7]]);
        Some(SessionKey { node: two(0), worker: two(2), place, secret: secret.try_into().ok()? })
    }
}

impl std::fmt::Display for SessionKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut bytes = [0; SESSION_ID_BYTES];
        bytes[..2].copy_from_slice(&self.node.to_be_bytes());
        bytes[2..4].copy_from_slice(&self.worker.to_be_bytes());
        bytes[4..8].copy_from_slice(&self.place.to_be_bytes());
        bytes[8..].copy_from_slice(&self.secret);
        f.write_str(&URL_SAFE_NO_PAD.encode(bytes))
    }
}

/// Only where the session is: who has the rest can speak for its client.
impl std::fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SessionKey").field("worker", &self.worker).finish_non_exhaustive()
    }
}

/// The place as it stands in a name, or back. The secret is mixed in, so that two names that are known say nothing of a third.
fn veiled(place: u32, secret: &Secret, veil: u32) -> u32 {
    let words = secret.chunks_exact(4).map(|word| u32::from_le_bytes([word[0], word[1], word[2], word[3]]));
    let mixed = words.fold(veil, |mixed, word| (mixed ^ word).wrapping_mul(0x9E37_79B1).rotate_left(13));
    place ^ mixed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_where_its_session_is_and_nothing_of_the_others() {
        let key = SessionKey::new(7, 3, [9; SESSION_SECRET_BYTES], 0xdead_beef);
        let text = key.to_string();
        assert_eq!(text.len(), 32);
        let read = SessionKey::parse(&text).unwrap();
        assert_eq!((read, read.node, read.worker, read.place(0xdead_beef)), (key, 0, 7, 3));
        assert_ne!(read.place, 3, "its number is veiled");
        assert!(read.has(&[9; SESSION_SECRET_BYTES]));
        for at in 0..SESSION_SECRET_BYTES {
            let mut other = [9; SESSION_SECRET_BYTES];
            other[at] ^= 1;
            assert!(!read.has(&other));
        }
        assert!(!format!("{key:?}").contains(&text[11..]), "no log shows it");
    }

    #[test]
    fn what_can_be_no_name_is_none() {
        let text = SessionKey::new(0, 0, [0; SESSION_SECRET_BYTES], 0).to_string();
        for bad in ["", "x", &text[1..], &format!("{text}A"), &text.replace('A', "*"), &format!("{text}==")] {
            assert_eq!(SessionKey::parse(bad), None, "{bad}");
        }
    }
}
