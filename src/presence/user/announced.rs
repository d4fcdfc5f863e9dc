//! Announcements of clients and watches by edges, and those that are gone when an announcement is complete.

use crate::presence::announce::Announced;
use crate::presence::cost;
use crate::presence::device::Device;
use crate::presence::event::{Event, SharedEvent};
use crate::presence::message::{ClientRef, Message, WorkerRef};
use crate::presence::name::Name;
use crate::presence::turn::Turn;
use crate::presence::user::Users;
use crate::presence::user::change::Change;
use crate::presence::veil::Veil;
use crate::presence::view::{Reason, State};

impl Users {
    /// Whether nobody is to be told of a user yet: the home was lost, and some edge has yet to speak. What a record says of one is
    /// whole without them, and was told.
    #[inline]
    pub(super) fn is_quiet(&self, slot: u32) -> bool {
        self.quiet_from.is_some_and(|from| slot >= from) && self.users[slot as usize].version == 0
    }

    /// Nobody is told of anybody until [`Users::break_silence`].
    pub(crate) fn fall_silent(&mut self) {
        self.quiet_from = Some(0);
    }

    /// An edge begins to say everything anew; its clients were told up to this version. Messages that it was to say something of are
    /// not waited for any more.
    pub(crate) fn announcement(&mut self, edge: u16, version: u64, turn: &mut Turn<'_>) {
        self.rounds.begin(edge);
        self.forgotten = self.forgotten.max(version);
        self.fail_tells(Some(edge), turn);
    }

    /// Ends the count of messages to several connections: of those at a worker, or of all.
    pub(crate) fn fail_tells(&mut self, edge: Option<u16>, turn: &mut Turn<'_>) {
        for (reply_to, answer) in self.tells.fail(edge) {
            turn.out.post(reply_to.at.worker, Message::Answered { reply_to, answer });
        }
    }

    /// A client is there, and is so.
    pub(crate) fn announced(&mut self, user: &Name, at: ClientRef, is: Announced, turn: &mut Turn<'_>) {
        if let Some(words) = self.kicked.again(at, self.rounds.of(at.worker)).cloned() {
            let what = Message::Evict { client: at.client, reason: Reason::Kicked, words: Some(words) };
            return turn.out.post(at.worker, what);
        }
        let Announced { claim, said, hides, silent, suspect } = is;
        let is_known = self.find(user).is_some_and(|slot| {
            let devices = &mut self.users[slot as usize].devices;
            devices.get_mut(at).is_some()
        });
        if !is_known {
            let is_lost = self.quiet_from.is_some() && self.find(user).is_none_or(|slot| self.is_quiet(slot));
            let state = if is_lost && hides { Some(State::Invisible) } else { said };
            self.comes((user, at), (claim, state), Some((silent, suspect)), turn);
            return self.correct_hidden(user, at, hides, turn);
        }
        let Some(slot) = self.find(user) else { return };
        let round = self.rounds.of(at.worker);
        let known = &mut self.users[slot as usize];
        if let Some(device) = known.devices.get_mut(at) {
            (device.round, device.silent, device.suspect) = (round, silent, suspect);
            device.away = said.map_or(device.away, |said| said == State::Away);
        }
        known.claim(at, claim);
        self.refresh(slot, None, Change::default(), turn);
        self.correct_hidden(user, at, hides, turn);
    }

    /// Tells an edge whether a client's user is invisible, where it has last heard otherwise.
    fn correct_hidden(&self, user: &str, at: ClientRef, hides: bool, turn: &mut Turn<'_>) {
        let Some(slot) = self.find(user).filter(|slot| !self.is_quiet(*slot)) else { return };
        let is_hidden = self.users[slot as usize].own == Some(State::Invisible);
        if is_hidden != hides {
            let what = Veil::Client { client: at.client, hides: is_hidden };
            turn.out.post(at.worker, Message::Veil(what));
        }
    }

    /// So many clients of an edge watch a user: they are told how the user is.
    pub(crate) fn watched_by(
        &mut self,
        user: &Name,
        edge: WorkerRef,
        (plain, full): (u32, u32),
        turn: &mut Turn<'_>,
    ) {
        if plain == 0 && full == 0 {
            return;
        }
        let slot = self.find_or_add(user);
        let round = self.rounds.of(edge.worker);
        let known = &mut self.users[slot as usize];
        let before = known.watchers.bytes();
        known.watchers.set(edge.worker, (plain, full), round);
        self.watcher_bytes += known.watchers.bytes() - before;
        // It is not known how that one is, or it is told when all edges have spoken.
        if self.users[slot as usize].version == 0 {
            return;
        }
        let (user, view) = (self.users[slot as usize].name.clone(), self.view_of(slot, turn.now));
        let changed = |state| {
            let (user, view) = (user.clone(), view.clone());
            Some(SharedEvent::new(Event::Changed { user, state, view }))
        };
        let (plain, full) = (changed(view.plain), changed(view.state));
        turn.out.post(edge.worker, Message::Changed { user, view, plain, full });
    }

    /// An announcement is complete: of so many users, from a slot on, what the edge has not said in it is no more. Returns the slot
    /// to go on from; `None`: that was all.
    pub(crate) fn sweep(
        &mut self,
        edge: u16,
        from: usize,
        most: usize,
        turn: &mut Turn<'_>,
    ) -> Option<usize> {
        let (round, end) = (self.rounds.of(edge), self.users.end());
        if from == 0 {
            self.kicked.sweep(edge, round);
        }
        turn.out.spend(most.min(end.saturating_sub(from)), cost::LISTED_NANOS);
        for at in from..end.min(from + most) {
            let Some(known) = self.users.get(at) else { continue };
            let is_stale = |device: &&Device| device.address().worker == edge && device.round != round;
            let gone: Vec<ClientRef> = known.devices.live().filter(is_stale).map(Device::address).collect();
            let unwatched = known.watchers.is_stale(edge, round);
            if gone.is_empty() && !unwatched {
                continue;
            }
            let name = known.name.clone();
            for at in gone {
                self.down(&name, at, (Reason::Lost, turn.now.unix_millis), turn);
            }
            if unwatched {
                self.end_watches(turn.now.tick, &name, edge);
            }
        }
        (from + most < end).then_some(from + most)
    }

    /// All edges have spoken: those who watch any of so many users, from a slot on, are told how they are now. Returns the
    /// slot to go on from; `None`: that was all.
    pub(crate) fn break_silence(&mut self, most: usize, turn: &mut Turn<'_>) -> bool {
        let Some(from) = self.quiet_from else { return false };
        let to = from.saturating_add(u32::try_from(most).unwrap_or(u32::MAX));
        turn.out.spend(most, cost::LISTED_NANOS);
        self.quiet_from = Some(to);
        for slot in from..to {
            let Some(known) = self.users.get(slot as usize) else { continue };
            let (hides, reason) = (known.published.unseen > 0, known.reason);
            // Of one who is not here and whom nobody watches there is nothing to tell: rooms were given to that one, or taken.
            if known.version > 0 || known.is_forgettable() {
                continue;
            }
            for device in known.devices.live().filter(|_| hides) {
                let ClientRef { worker, client, .. } = device.address();
                turn.out.post(worker, Message::Veil(Veil::Client { client, hides }));
            }
            // Nobody ever saw one who came as invisible.
            if hides && self.users[slot as usize].watchers.is_empty() {
                continue;
            }
            self.publish(slot, reason, (Default::default(), true), Change::default(), turn);
            if hides {
                // When it hid nobody here knows.
                self.users[slot as usize].last_seen_millis = 0;
            }
        }
        let is_over = to as usize >= self.users.end();
        if is_over {
            self.quiet_from = None;
        }
        !is_over
    }
}
