//! What is known of whether clients are there: Pings without an answer, and pages that stopped sending heartbeats.

use crate::presence::edge::{Edge, Seat};
use crate::presence::envelope::{Client, Envelope};
use crate::presence::timer::Timer;
use crate::presence::turn::Turn;

impl Edge {
    pub(crate) fn suspect(&mut self, slot: u32, suspect: bool, turn: &mut Turn<'_>) {
        let at = self.address(slot);
        if let Some(seat) = self.seats.get_mut(slot as usize) {
            seat.suspect = suspect;
        }
        if let Some(user) = self.user(slot).cloned().filter(|_| !self.is_sent_away(slot)) {
            turn.out.post(self.homes.of(&user), Envelope::Suspect { user, at, suspect });
        }
    }

    pub(crate) fn page_beat(&mut self, slot: u32, turn: &mut Turn<'_>) {
        let Some(silence) = turn.rules.page_silence else { return };
        let client = self.address(slot).client;
        let Some(seat) = self.seat_mut(client) else { return };
        seat.beat = turn.now.tick;
        if !std::mem::replace(&mut seat.timed, true) {
            turn.out.timer(turn.now.tick.after(silence), Timer::page(client));
        }
        if std::mem::take(&mut seat.silent) {
            self.tell_home_silent(slot, turn);
        }
    }

    /// The page's heartbeat may have stopped.
    pub(crate) fn page_due(&mut self, slot: u32, serial: u32, turn: &mut Turn<'_>) {
        let Some(silence) = turn.rules.page_silence else { return };
        let Some(seat) = self.seat_mut(Client { slot, serial }) else { return };
        let due = seat.beat.after(silence);
        if turn.now.tick.is_before(due) {
            turn.out.timer(due, Timer::page(Client { slot, serial }));
        } else {
            seat.timed = false;
            seat.silent = true;
            self.tell_home_silent(slot, turn);
        }
    }

    fn tell_home_silent(&self, slot: u32, turn: &mut Turn<'_>) {
        let Seat { user: Some(user), silent, .. } = &self.seats[slot as usize] else { return };
        let (user, silent, at) = (user.clone(), *silent, self.address(slot));
        turn.out.post(self.homes.of(&user), Envelope::Silent { user, at, silent });
    }
}
