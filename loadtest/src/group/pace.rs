//! How fast a room may be spoken in: as fast as its messages arrive, until the server says that it lets a connection send no more.
//! What it refused for that is then said again, and what follows keeps to what it has said.

use crate::group::protocol::Refused;

/// Of what a server lets a connection send, the part that is used: its clock is not this one.
const SHARE: f64 = 0.9;
/// The first gap where a server says that it carries no more, without a figure; each time it says so again, twice as long.
const GAP_MIN: u64 = 20_000_000;
/// A server that refuses one message in this time refuses all of them.
const GAP_MAX: u64 = 2_000_000_000;

/// The pace of one who speaks, or of all who do in turn.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Pace {
    /// Nanoseconds from one message to the next, at least.
    gap: u64,
    /// What the server said last.
    refused: Option<Refused>,
}

impl Pace {
    /// The server refused a message. False where waiting does not help, or has not helped.
    pub fn slow_down(&mut self, refused: Refused) -> bool {
        let gap = match (refused.code, refused.per_second) {
            (429, Some(per_second @ 1..)) => self.gap.max((1e9 / (f64::from(per_second) * SHARE)) as u64),
            (503, _) => (2 * self.gap).max(GAP_MIN),
            _ => return false,
        };
        (self.gap, self.refused) = (gap, Some(refused));
        gap <= GAP_MAX
    }

    /// When the message after the one of this moment may go.
    pub fn after(&self, moment: u64) -> u64 {
        moment + self.gap
    }

    /// A sentence for the report, where the server has set the pace.
    pub fn note(&self) -> Option<String> {
        let per_second = 1e9 / self.gap as f64;
        let why = match self.refused?.per_second {
            Some(most) => format!("lets a connection send {most} commands a second"),
            None => "carried no more in the room".to_owned(),
        };
        Some(format!(
            "The server {why}: once it had said so, each member spoke {per_second:.0} times a second at most. \
             --max-commands-per-second is its flag."
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pace_keeps_below_what_the_server_says() {
        let mut pace = Pace::default();
        assert_eq!((pace.after(7), pace.note()), (7, None));
        assert!(pace.slow_down(Refused { code: 429, per_second: Some(50) }));
        assert_eq!(pace.after(0), 22_222_222);
        assert!(pace.note().is_some_and(|note| note.contains("50 commands a second")));
    }

    #[test]
    fn a_server_that_never_has_room_is_given_up() {
        let mut pace = Pace::default();
        let tries = (0..100).take_while(|_| pace.slow_down(Refused { code: 503, per_second: None })).count();
        assert_eq!(tries, 7);
        assert!(!pace.slow_down(Refused { code: 403, per_second: None }));
        assert!(!pace.slow_down(Refused { code: 429, per_second: None }));
    }
}
