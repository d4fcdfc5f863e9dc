//! Clients that are sent away, and graces that end before their time: what follows at the worker where that happens, in the
//! same step.

use rollcall::limits::DEPARTED_TICKS;
use rollcall::presence::envelope::Leaving;
use rollcall::presence::{Envelope, Moderation, Name, Reason};
use rollcall::time::Tick;

use super::rig::{Seat, Text, World};

/// A room that a client went out of, and until when its edge knows that.
#[derive(Debug)]
pub(super) struct Left {
    worker: u16,
    user: String,
    room: String,
    until: Tick,
}

impl World {
    /// A letter reaches the model's homes at a worker.
    pub(super) fn arrives(&mut self, worker: u16, letter: &Envelope<Text>) {
        for (at, slot, reason) in self.model.letter(self.now, letter) {
            if at == worker {
                self.sent_away(worker, slot, reason);
            }
        }
        if let Envelope::Kick { user, .. } = letter {
            self.graces_end(worker, user, None);
        }
    }

    /// An edge sends a client away: it is in nothing any more, and what waited of it is forgotten.
    pub(super) fn sent_away(&mut self, worker: u16, slot: u32, reason: Reason) {
        let is_it = |seat: &Seat| seat.open && seat.worker == worker && seat.slot == slot;
        let Some(c) = self.clients.iter().position(is_it) else { return };
        if self.clients[c].sent_away.is_none() {
            self.note(|| format!("    c{c} is sent away: {}", reason.name()));
            self.vacated(c, reason);
            self.clients[c].forget_waiting();
            self.clients[c].sent_away = Some(reason);
        }
    }

    /// A client is in nothing any more.
    pub(super) fn vacated(&mut self, c: usize, reason: Reason) {
        let seat = &mut self.clients[c];
        let (worker, Some(user)) = (seat.worker, seat.user.clone().map(Name::from)) else { return };
        let leaving = if reason.is_final() { Leaving::Now } else { Leaving::Perhaps };
        let until = self.now.tick.after(self.grace + DEPARTED_TICKS);
        for room in std::mem::take(&mut seat.ears.rooms) {
            let member = user.clone();
            self.letter_at_home(c, &room, |at, room| Envelope::Leave {
                room,
                user: member,
                worker: at.worker,
                leaving,
                asker: None,
            });
            if leaving == Leaving::Perhaps && self.grace > 0 {
                self.departed.push(Left { worker, user: user.to_string(), room, until });
            }
        }
        self.letter_at_home(c, &user.clone(), |at, user| Envelope::Down { user, at, reason, seen_millis: 0 });
    }

    /// An edge tells the homes of the rooms that it knows of: those at its own worker in the same step.
    pub(super) fn graces_end(&mut self, worker: u16, user: &Name, room: Option<&Name>) {
        let now = self.now.tick;
        let is_theirs = |left: &Left| left.worker == worker && *left.user == **user;
        let rooms: Vec<Name> = self
            .departed
            .iter()
            .filter(|left| is_theirs(left) && now.is_before(left.until))
            .map(|left| Name::from(&*left.room))
            .filter(|left| room.is_none_or(|room| room == left))
            .collect();
        self.departed.retain(|left| room.is_some() || !is_theirs(left));
        for room in rooms.into_iter().filter(|room| self.homes.of(room) == worker) {
            let what = Moderation::EndGrace { room, user: user.clone() };
            self.model.letter(self.now, &Envelope::Moderate { what, asker: None });
        }
    }

    /// Everything of a user is over, wherever it was: to be called when all letters have arrived.
    pub(super) fn check_gone(&mut self, user: &str) {
        let shown = self.nodes[usize::from(self.homes.of(user))].users().view(user, self.now);
        self.judge.holds("kicked_is_gone", shown.connections == 0, || format!("{user} is {shown:?}"));
        for room in self.model.rooms().cloned().collect::<Vec<_>>() {
            let home = &self.nodes[usize::from(self.homes.of(&room))];
            let is_in = home.rooms().members(&room).any(|member| **member == *user);
            self.judge.holds("kicked_is_gone", !is_in, || format!("{user} is in {room}"));
        }
    }
}
