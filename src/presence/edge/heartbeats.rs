//! Signs of whether clients are there: Pings without an answer, and pages that stopped sending heartbeats.

use crate::presence::edge::marks::Mark;
use crate::presence::edge::{Client, Edge};
use crate::presence::message::{ClientId, Message};
use crate::presence::timer::Timer;
use crate::presence::turn::Turn;

impl Edge {
    pub(crate) fn suspect(&mut self, slot: u32, suspect: bool, turn: &mut Turn<'_>) {
        let at = self.address(slot);
        if let Some(known) = self.clients.get_mut(slot as usize) {
            known.suspect = suspect;
        }
        if let Some(user) = self.user(slot).cloned().filter(|_| !self.is_sent_away(slot)) {
            turn.out.post(self.homes.of(&user), Message::Suspect { user, at, suspect });
        }
    }

    pub(crate) fn page_heartbeat(&mut self, slot: u32, turn: &mut Turn<'_>) {
        let Some(silence) = turn.rules.page_silence else { return };
        let client = self.address(slot).client;
        let Some(known) = self.known_mut(client) else { return };
        known.last_heartbeat = turn.now.tick;
        if !known.marks.set(Mark::Timed, true) {
            turn.out.timer(turn.now.tick.after(silence), Timer::page(client));
        }
        if std::mem::take(&mut known.silent) {
            self.tell_home_silent(slot, turn);
        }
    }

    /// The page's heartbeat may have stopped.
    pub(crate) fn page_due(&mut self, slot: u32, serial: u32, turn: &mut Turn<'_>) {
        let Some(silence) = turn.rules.page_silence else { return };
        let Some(known) = self.known_mut(ClientId { slot, serial }) else { return };
        let due = known.last_heartbeat.after(silence);
        if turn.now.tick.is_before(due) {
            turn.out.timer(due, Timer::page(ClientId { slot, serial }));
        } else {
            known.marks.set(Mark::Timed, false);
            known.silent = true;
            self.tell_home_silent(slot, turn);
        }
    }

    fn tell_home_silent(&self, slot: u32, turn: &mut Turn<'_>) {
        let Client { user: Some(user), silent, .. } = &self.clients[slot as usize] else { return };
        let (user, silent, at) = (user.clone(), *silent, self.address(slot));
        turn.out.post(self.homes.of(&user), Message::Silent { user, at, silent });
    }
}
