//! Clients that are sent away or put out of rooms, and graces that end before their time: what follows at the worker where that happens, in the
//! same step.

use rollcall::internals::limits::DEPARTED_TICKS;
use rollcall::internals::presence::admin::AdminRequest as Order;
use rollcall::internals::presence::message::{HomeAnswer, Leaving};
use rollcall::internals::presence::{ClientId, Effect, Message, Moderation, Name, Reason};
use rollcall::internals::protocol::rollcall_v1;
use rollcall::internals::time::Tick;
use rollcall::internals::wire::close::CloseCode;

use super::rig::{Peer, World};

/// A room that a client went out of, and until when its edge knows that.
#[derive(Debug)]
pub(super) struct Left {
    pub(super) worker: u16,
    user: String,
    room: String,
    until: Tick,
}

/// The client whose `join` a letter refuses, and the room that bans its user.
pub(super) fn barred(message: &Message) -> Option<(u32, Name)> {
    match message {
        Message::Answered { reply_to, answer: HomeAnswer::Barred(room, Some(_)) } => {
            Some((reply_to.at.client.slot, room.clone()))
        }
        _ => None,
    }
}

impl World {
    /// A letter reaches the model's homes at a worker.
    pub(super) fn arrives(&mut self, worker: u16, message: &Message) {
        if let Message::Kick { user, .. } = message {
            self.kicks(worker, user);
        }
        let mut away = self.model.message(self.now, message);
        if let Message::Announce(what) = message {
            let rebuilds = self.nodes[usize::from(worker)].is_rebuilding();
            away = self.model.announcement(self.now, (worker, rebuilds), what);
        }
        for (at, slot, reason) in away {
            if at == worker {
                self.sent_away(worker, slot, reason);
            }
        }
        match message {
            Message::Kick { user, .. } => self.graces_end(worker, user, None),
            Message::Moderate { what: Moderation::Ban { room, user, .. }, .. } => {
                self.expelled(worker, user, room);
            }
            Message::Up { user, at, .. }
                if at.worker == worker && !self.model.is_banned(self.now, user, None) =>
            {
                let home = &self.nodes[usize::from(worker)];
                for room in home.users().given_to(user).to_vec() {
                    self.bid(worker, at.client.slot, &room, true);
                }
            }
            _ => {}
        }
    }

    /// The clients of a user that its home knows have to go, unless the home is lost before.
    fn kicks(&mut self, home: u16, user: &Name) {
        for (worker, slot, serial) in self.model.live(user) {
            let is_here =
                worker == home || self.nodes[usize::from(worker)].edge().is_here(ClientId { slot, serial });
            if let Some(c) = self.client_at(worker, slot).filter(|_| is_here) {
                self.kicked.insert(c, home);
            }
        }
    }

    /// A room's home has an edge put a user's clients out.
    pub(super) fn expelled(&mut self, worker: u16, user: &Name, room: &Name) {
        for c in 0..self.clients.len() {
            let peer = &self.clients[c];
            let is_theirs = peer.open && peer.sent_away.is_none() && peer.user.as_deref() == Some(&**user);
            let hears = || self.nodes[usize::from(worker)].edge().hears_in(peer.slot, room);
            if !is_theirs || peer.worker != worker || hears() != Some(true) {
                continue;
            }
            self.note(|| format!("    c{c} is put out of {room}"));
            self.clients[c].ears.is_bidden(room, false, true);
            let user = user.clone();
            self.letter_at_home(c, room, |at, room| Message::Leave {
                room,
                user,
                at,
                visit: 0,
                hides: false,
                leaving: Leaving::Now,
                reply_to: None,
            });
        }
    }

    /// An edge has heard that a room bans a client's user: the client has no place there now, unless it has joined again.
    pub(super) fn barred(&mut self, worker: u16, slot: u32, room: &str) {
        if self.nodes[usize::from(worker)].edge().hears_in(slot, room).is_none()
            && let Some(c) = self.client_at(worker, slot)
        {
            self.clients[c].ears.rooms.remove(room);
        }
    }

    /// At rest: nobody is anywhere who is banned from there, and everybody is where who runs the server has put them.
    pub(super) fn check_moderation(&mut self) {
        for c in std::mem::take(&mut self.kicked).into_keys() {
            let peer = &self.clients[c];
            let has_to_go = !peer.open || peer.sent_away.is_some();
            self.judge.holds("kicked_is_gone", has_to_go, || format!("c{c} was kicked, and is there"));
        }
        let kicked: usize = self.nodes.iter().map(|node| node.users().kicked()).sum();
        self.judge.holds("nothing_left", kicked == 0, || format!("{kicked} kicks are not confirmed"));
        for (user, room) in self.model.banned(self.now) {
            let is_in = match &room {
                None => {
                    self.nodes[usize::from(self.homes.of(&user))].users().view(&user, self.now).connections
                        > 0
                }
                Some(room) => {
                    let home = &self.nodes[usize::from(self.homes.of(room))];
                    home.rooms().members(room).any(|member| **member == *user)
                }
            };
            self.judge.holds("banned_is_out", !is_in, || format!("{user} is in {room:?}"));
        }
        for peer in self.clients.iter().filter(|peer| peer.open) {
            let Some(user) = &peer.user else { continue };
            let missing = self.model.given(user).into_iter().find(|room| {
                let may = !self.model.was_banned(user, room) && !peer.ears.left.contains(&**room);
                may && !peer.ears.rooms.contains(&**room)
            });
            self.judge
                .holds("given_is_joined", missing.is_none(), || format!("{user} is not in {missing:?}"));
        }
        let (nodes, homes) = (&self.nodes, self.homes);
        let given_to = |user: &str| nodes[usize::from(homes.of(user))].users().given_to(user);
        self.model.end_doubts(|user, room| given_to(user).contains(room));
        let barred: usize = self.nodes.iter().map(|node| node.rooms().barred()).sum();
        self.judge.holds("nothing_left", barred == 0, || format!("{barred} were refused and not forgotten"));
    }

    /// Every ban is lifted, and every room taken that was given.
    pub(super) fn end_moderation(&mut self) {
        for (user, room) in self.model.ever_banned() {
            self.order(0, Order::Lift { user, room });
        }
        for user in self.model.people() {
            for room in self.nodes[usize::from(self.homes.of(&user))].users().given_to(&user).to_vec() {
                self.order(0, Order::ForceJoin { user: user.as_str().into(), room, joins: false });
            }
        }
        self.settle();
        let bans: usize = self.nodes.iter().map(|node| node.edge().bans()).sum();
        self.judge.holds("nothing_left", bans == 0, || format!("{bans} bans are known and no more"));
        let given: usize = self.nodes.iter().map(|node| node.users().given()).sum();
        self.judge.holds("nothing_left", given == 0, || format!("{given} rooms are still given"));
    }

    /// An edge has sent clients away of itself: their tokens had ended, or it knew that their users are banned.
    pub(super) fn expired(&mut self, effects: &[Effect]) {
        for effect in effects {
            if let Effect::Close { session, why } = effect
                && let (CloseCode(code @ (4401 | 4403)), _) = rollcall_v1::closing(why)
            {
                let Peer { worker, slot, .. } = self.clients[*session as usize];
                let reason = if code == 4401 { Reason::Expired } else { Reason::Kicked };
                self.sent_away(worker, slot, reason);
            }
        }
    }

    /// An edge sends a client away: it is in nothing any more, and what waited of it is forgotten.
    pub(super) fn sent_away(&mut self, worker: u16, slot: u32, reason: Reason) {
        let is_it = |peer: &Peer| peer.open && peer.worker == worker && peer.slot == slot;
        let Some(c) = self.clients.iter().position(is_it) else { return };
        if self.clients[c].sent_away.is_none() {
            self.note(|| format!("    c{c} is sent away: {}", reason.name()));
            self.vacated(c, reason);
            self.clients[c].waiting.clear();
            self.clients[c].sent_away = Some(reason);
        }
    }

    /// A client is in nothing any more.
    pub(super) fn vacated(&mut self, c: usize, reason: Reason) {
        let peer = &mut self.clients[c];
        let (worker, Some(user)) = (peer.worker, peer.user.clone().map(Name::from)) else { return };
        let leaving = if reason.is_final() { Leaving::Now } else { Leaving::Perhaps };
        let until = self.now.tick.after(self.grace + DEPARTED_TICKS);
        for room in std::mem::take(&mut peer.ears.rooms) {
            let member = user.clone();
            self.letter_at_home(c, &room, |at, room| Message::Leave {
                room,
                user: member,
                at,
                visit: 0,
                hides: false,
                leaving,
                reply_to: None,
            });
            if leaving == Leaving::Perhaps && self.grace > 0 {
                self.departed.push(Left { worker, user: user.to_string(), room, until });
            }
        }
        self.letter_at_home(c, &user.clone(), |at, user| Message::Down { user, at, reason, seen_millis: 0 });
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
            self.model.message(self.now, &Message::Moderate { what, reply_to: None });
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
