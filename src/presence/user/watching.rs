//! Clients begin to watch a user, and end it.

use crate::presence::message::{Message, ReplyTo};
use crate::presence::name::Name;
use crate::presence::turn::Turn;
use crate::presence::user::Users;
use crate::time::Tick;

impl Users {
    /// A client begins to watch: the view as it is, and from then on its worker is told of every change.
    pub(crate) fn watch(&mut self, user: &Name, reply_to: ReplyTo, suspect: bool, turn: &mut Turn<'_>) {
        let slot = self.find_or_add(user);
        let known = &mut self.users[slot as usize];
        let worker = reply_to.at.worker;
        let before = known.watchers.bytes();
        known.watchers.add(worker, suspect, self.rounds.of(worker));
        self.watcher_bytes += known.watchers.bytes() - before;
        let (user, view) = (known.name.clone(), self.view_of(slot, turn.now));
        turn.out.post(worker, Message::Seen { reply_to, user, view });
    }

    /// A client watches no more.
    pub(crate) fn unwatch(&mut self, now: Tick, user: &str, worker: u16, suspect: bool) {
        let Some(slot) = self.find(user) else { return };
        let known = &mut self.users[slot as usize];
        let before = known.watchers.bytes();
        known.watchers.remove(worker, suspect);
        self.watcher_bytes -= before - known.watchers.bytes();
        self.unwatched(now, slot);
    }

    /// No client of a worker watches any more.
    pub(super) fn end_watches(&mut self, now: Tick, user: &str, worker: u16) {
        let Some(slot) = self.find(user) else { return };
        let known = &mut self.users[slot as usize];
        let before = known.watchers.bytes();
        known.watchers.clear(worker);
        self.watcher_bytes -= before - known.watchers.bytes();
        self.unwatched(now, slot);
    }

    fn unwatched(&mut self, now: Tick, slot: u32) {
        let known = &mut self.users[slot as usize];
        if known.watchers.is_empty() {
            // It may have been passed over for the archive, and comes up for it again, behind the others.
            if known.archived.take().is_some() {
                self.last_seen.mark_stale();
            }
            self.forget_later(now, slot);
        }
    }
}
