//! What announcements say of users and rooms, worked out apart from the homes.

use std::collections::BTreeMap;

use rollcall::internals::presence::message::{Announced, Announcement};
use rollcall::internals::presence::{ClientId, ClientRef, Homes, Reason, State};
use rollcall::internals::time::Now;

use super::person::Device;
use super::{Leaving, Model};

/// How often each edge has announced to each home, and announcements that are complete.
#[derive(Debug, Default)]
pub(super) struct Rounds {
    /// By home and edge.
    rounds: BTreeMap<(u16, u16), u32>,
    /// Home and edge.
    complete: Vec<(u16, u16)>,
}

impl Rounds {
    pub(super) fn of(&self, homes: Homes, name: &str, edge: u16) -> u32 {
        self.rounds.get(&(homes.of(name), edge)).copied().unwrap_or(0)
    }
}

impl Model {
    /// A part of an announcement reaches a worker. Returns the clients that it sends away for it.
    pub(in crate::presence) fn announcement(
        &mut self,
        now: Now,
        (home, rebuilds): (u16, bool),
        what: &Announcement,
    ) -> Vec<(u16, u32, Reason)> {
        match what {
            Announcement::Begin { edge, .. } => {
                *self.rounds.rounds.entry((home, edge.worker)).or_default() += 1;
                self.rounds.complete.retain(|both| *both != (home, edge.worker));
            }
            Announcement::End { edge } => self.rounds.complete.push((home, edge.worker)),
            Announcement::User { user, at, is } => {
                let round = self.rounds.of(self.homes, user, at.worker);
                if let Some((_, said)) = self.kicked.get_mut(&(at.worker, at.client.slot, at.client.serial)) {
                    *said = round;
                    return Vec::new();
                }
                let person = self.people.entry(user.to_string()).or_default();
                if let Some(device) = person.live(*at) {
                    (device.round, device.suspect) = (round, is.suspect);
                    device.away = is.said.map_or(device.away, |said| said == State::Away);
                    person.claims(*at, &is.claim);
                    return Vec::new();
                }
                let hides = rebuilds && is.hides;
                let state = if hides { Some(State::Invisible) } else { is.said };
                let away = self.up(now, user, *at, &is.claim, state);
                let person = self.people.entry(user.to_string()).or_default();
                if let Some(device) = person.live(*at) {
                    device.suspect = is.suspect;
                }
                return away;
            }
            Announcement::Member { room, user, at, .. } => {
                let round = self.rounds.of(self.homes, room, at.worker);
                self.comes(room, user, (at.worker, at.client.slot), round);
            }
            _ => {}
        }
        Vec::new()
    }

    /// A worker announces to another, which will do the same: what that one said before is not looked through any more.
    pub(in crate::presence) fn announces(&mut self, worker: u16, home: u16) {
        self.rounds.complete.retain(|both| *both != (worker, home));
    }

    /// A connection is in a room.
    pub(super) fn comes(&mut self, room: &str, user: &str, at: (u16, u32), round: u32) {
        let member = self.rooms.entry(room.to_owned()).or_default().entry(user.to_owned()).or_default();
        let is_new = member.clients.insert(at, round).is_none();
        if is_new && !member.in_grace.is_empty() {
            member.in_grace.remove(0);
        }
    }

    /// A worker has a turn: it looks through what it knows of one edge whose announcement is complete.
    pub(super) fn sweep(&mut self, now: Now, home: u16) {
        let Some(at) = self.rounds.complete.iter().position(|(of, _)| *of == home) else { return };
        let (_, edge) = self.rounds.complete.remove(at);
        let round = self.rounds.rounds.get(&(home, edge)).copied().unwrap_or(0);
        let homes = self.homes;
        self.kicked.retain(|at, (of, said)| *of != home || at.0 != edge || *said == round);
        let mut gone: Vec<(String, ClientRef)> = Vec::new();
        for (user, person) in self.people.iter().filter(|(user, _)| homes.of(user) == home) {
            let live = person.devices.iter().filter(|device| device.lingers.is_none());
            for device in live.filter(|device| device.at.0 == edge && device.round != round) {
                let (worker, slot, serial) = device.at;
                gone.push((user.clone(), ClientRef::here(worker, ClientId { slot, serial })));
            }
        }
        for (user, at) in gone {
            self.down(now, &user, at, Reason::Lost);
        }
        let mut left: Vec<(String, String, u32)> = Vec::new();
        for (room, members) in self.rooms.iter().filter(|(room, _)| homes.of(room) == home) {
            for (user, member) in members {
                let stale = member.clients.iter().filter(|((at, _), said)| *at == edge && **said != round);
                left.extend(stale.map(|((_, slot), _)| (room.clone(), user.clone(), *slot)));
            }
        }
        for (room, user, slot) in left {
            let at = ClientRef::here(edge, ClientId { slot, serial: 0 });
            self.leave(now, (&room, &user), at, Leaving::Perhaps);
        }
    }

    /// The homes of a worker know nothing any more. Of users that somebody watches they will know how they are.
    pub(in crate::presence) fn lost<'w>(&mut self, worker: u16, watched: impl Iterator<Item = &'w String>) {
        for user in watched {
            self.people.entry(user.clone()).or_default();
        }
        self.was_lost = true;
        self.kicked.retain(|_, (home, _)| *home != worker);
        let homes = self.homes;
        for (_, person) in self.people.iter_mut().filter(|(user, _)| homes.of(user) == worker) {
            person.devices.clear();
            (person.own, person.reason, person.was_here) = (None, None, false);
            (person.is_lost, person.was_lost) = (true, true);
            // What it showed before, it may show again with the same version, to those who were not told then.
            let shown = std::mem::take(&mut person.shown);
            // Edges go on to know how it was then, and where.
            for (at, (version, _)) in shown.iter().enumerate() {
                let around = shown[at.saturating_sub(1)..].iter().take(3);
                let rooms = around.flat_map(|(_, shown)| shown.rooms.iter().cloned());
                person.offline_in.entry(*version).or_default().extend(rooms);
            }
        }
        self.rooms.retain(|room, _| homes.of(room) != worker);
        self.rounds.complete.retain(|(home, _)| *home != worker);
    }

    /// The homes of a worker tell nobody anything yet. Nobody saw who hides now, so that these may show themselves at once.
    pub(in crate::presence) fn is_silent(&mut self, worker: u16) {
        for (_, person) in self.people.iter_mut().filter(|(user, _)| self.homes.of(user) == worker) {
            person.hid_millis = u64::MAX;
        }
    }

    /// A client at a worker whose homes were lost is told to them at once.
    pub(in crate::presence) fn announced_here(
        &mut self,
        user: &str,
        (worker, slot): (u16, u32),
        is: &Announced,
    ) {
        let person = self.people.entry(user.to_owned()).or_default();
        person.devices.push(Device {
            at: (worker, slot, 0),
            lingers: None,
            away: is.said == Some(State::Away),
            suspect: is.suspect,
            token: false,
            word: None,
            round: 0,
        });
        person.claims(ClientRef::here(worker, ClientId { slot, serial: 0 }), &is.claim);
        let said = is.said.filter(|said| matches!(said, State::Busy | State::Invisible));
        let said = if is.hides { Some(State::Invisible) } else { said };
        person.own = person.own.filter(|own| *own == State::Invisible).or(said).or(person.own);
        person.ever_unseen |= person.is_unseen();
    }

    /// The same of a room that it is in.
    pub(in crate::presence) fn member_here(&mut self, room: &str, user: &str, at: (u16, u32)) {
        self.comes(room, user, at, 0);
    }
}
