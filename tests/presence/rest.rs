//! What holds when a server has come to rest.

use std::collections::BTreeSet;

use rollcall::internals::presence::{Reason, State};
use serde_json::Value;

use super::ears::Told;
use super::rig::{Peer, World};

/// Rounds of a beat, all letters and a grace, after which a server is at rest.
const ROUNDS_MAX: usize = 60;

impl World {
    /// Everything is delivered and every grace is over: what is known everywhere is what is true.
    pub(super) fn rest(&mut self, grace: u32) {
        self.frozen.fill(false);
        self.full.fill(false);
        self.due();
        if let Some(lossy) = &mut self.lossy {
            lossy.loses = false;
        }
        let mut rounds = 0;
        while rounds < 3 || self.waiting() > 0 || self.is_unheard() {
            rounds += 1;
            if rounds > ROUNDS_MAX {
                return self.judge.broken("heard_out", "announcements or answers are not complete".into());
            }
            self.beat();
            self.settle();
            for c in 0..self.clients.len() {
                if self.clients[c].open && self.clients[c].closing.is_some() {
                    self.close(c, Reason::Kicked);
                }
            }
            self.settle();
            // Broadcasts take a turn each.
            self.pass(grace + 20);
        }
        self.settle();
        self.pages_come_to_rest();
        self.check_at_rest();
    }

    /// Commands that wait for answers to others.
    fn waiting(&self) -> usize {
        let open = self.clients.iter().filter(|peer| peer.open);
        open.map(|peer| self.nodes[usize::from(peer.worker)].edge().waiting(peer.slot)).sum()
    }

    /// All mail is delivered and every grace is over.
    pub(super) fn check_at_rest(&mut self) {
        let live = || self.clients.iter().filter(|peer| peer.open);
        let users: BTreeSet<String> = live().filter_map(|peer| peer.user.clone()).collect();
        let present = self.model.present();
        self.judge.holds("no_ghost", present.is_subset(&users), || format!("{present:?}, not {users:?}"));
        self.judge
            .holds("no_false_offline", users.is_subset(&present), || format!("{present:?}, not {users:?}"));
        for room in self.model.rooms() {
            let is_in = |peer: &&Peer| peer.ears.rooms.contains(room);
            let members = live().filter(is_in).filter_map(|peer| peer.user.clone());
            let members = members.filter(|user| !self.model.is_unseen(user)).collect();
            let shown = self.model.members(room);
            self.judge
                .holds("no_ghost", shown == members, || format!("{room} has {shown:?}, not {members:?}"));
            let home = self.nodes[usize::from(self.homes.of(room))].rooms();
            let seen: BTreeSet<String> = home.members(room).map(ToString::to_string).collect();
            self.judge.holds("unseen", seen == members, || format!("{room} shows {seen:?}, not {members:?}"));
        }
        for user in present.iter().filter(|user| self.model.is_restricted() && !self.model.is_unseen(user)) {
            let view = self.nodes[usize::from(self.homes.of(user))].users().view(user, self.now);
            let known: BTreeSet<String> =
                view.rooms.iter().flat_map(|rooms| rooms.iter()).map(ToString::to_string).collect();
            let is_in = |room: &&String| self.model.members(room).contains(user);
            let rooms: BTreeSet<String> = self.model.rooms().filter(is_in).cloned().collect();
            self.judge.holds("places_are_known", known == rooms, || {
                format!("{user} is in {rooms:?}, not {known:?}")
            });
        }
        let truth = |user: &str| {
            let view = self.nodes[usize::from(self.homes.of(user))].users().view(user, self.now);
            let info = view.info.map_or(Value::Null, |info| serde_json::from_str(&info).unwrap());
            let told = |state: State| Told {
                version: view.version,
                state: state.name().to_owned(),
                connections: view.connections as u64,
                info: info.clone(),
            };
            (told(view.plain), told(view.state))
        };
        for peer in self.clients.iter().filter(|peer| peer.open) {
            peer.ears.settled(&self.model, truth, &mut self.judge);
        }
        let telling: usize = self.nodes.iter().map(|node| node.users().telling()).sum();
        self.judge.holds("nothing_left", telling == 0, || format!("{telling} messages are on their way"));
        let pending_replies: usize = self.nodes.iter().map(|node| node.edge().pending_replies()).sum();
        self.judge.holds("nothing_left", pending_replies == 0, || {
            format!("{pending_replies} answers are in the making")
        });
        self.check_moderation();
        self.check_orders();
    }

    /// After all clients have gone for good: what the nodes still hold.
    pub(super) fn check_empty(&mut self) {
        for (worker, node) in (0..).zip(&self.nodes) {
            let (edge, users, rooms) = (node.edge(), node.users(), node.rooms());
            let held = (edge.len(), users.present(), rooms.len(), node.next_due());
            self.judge.holds("nothing_left", held == (0, 0, 0, None), || format!("w{worker} holds {held:?}"));
            let known = self.model.ever_shown(worker);
            self.judge.holds("nothing_left", known.contains(&users.len()), || {
                format!("w{worker} knows {} users of whom {known:?} were ever here", users.len())
            });
        }
        // Nobody watches any more: a user who comes is told to no other worker.
        for user in self.model.people() {
            let worker = self.homes.of(&user);
            let c = self.open(worker, Some(&user));
            let told = self.mail().len();
            self.judge.holds("nothing_left", told == 0, || format!("somebody is told of {user}"));
            self.close(c, Reason::Kicked);
            self.settle();
        }
    }
}
