//! Moderation at a user's home: the user is sent away, and told to stay away.

use std::sync::Arc;

use crate::presence::bans::{self, BanCount};
use crate::presence::device::Device;
use crate::presence::message::{ClientRef, HomeAnswer, Message, ReplyTo};
use crate::presence::moderation::Moderation;
use crate::presence::name::Name;
use crate::presence::record::{BanKey, Record};
use crate::presence::turn::Turn;
use crate::presence::user::Users;
use crate::presence::user::change::Change;
use crate::presence::view::Reason;
use crate::time::{Now, Tick};

impl Users {
    /// All connections of a user are sent away, for good, and those within their grace are not waited for, in no room either. Without a
    /// ban it is not done where some are yet to come that were handed over: they could not be told from others.
    pub(crate) fn kick(
        &mut self,
        user: &Name,
        (words, seconds): (&Arc<str>, Option<u32>),
        reply_to: ReplyTo,
        turn: &mut Turn<'_>,
    ) {
        let (mut kicked, mut until) = (None, None);
        if seconds.is_none() && !self.can_kick(user) {
            return turn
                .out
                .post(reply_to.at.worker, Message::Answered { reply_to, answer: HomeAnswer::Busy });
        }
        if let Some(seconds) = seconds {
            if !self.bans.set(turn.now, (user, None), seconds, words) {
                self.tell_edges(user, None, turn);
                let answer = HomeAnswer::Banned(None);
                return turn.out.post(reply_to.at.worker, Message::Answered { reply_to, answer });
            }
            let ban = Some((bans::end(turn.now, seconds), words.clone()));
            self.tell_edges(user, ban.as_ref(), turn);
            (kicked, until) = (Some(0), Some(turn.now.unix_millis + u64::from(seconds) * 1_000));
        }
        if let Some(slot) = self.find(user).filter(|slot| !self.users[*slot as usize].devices.is_empty()) {
            let known = &mut self.users[slot as usize];
            let devices = std::mem::take(&mut known.devices);
            for device in devices.live() {
                let ClientRef { worker, client, .. } = device.address();
                if seconds.is_none() && worker != self.worker {
                    self.kicked.add(device.address(), words, device.round);
                }
                let words = Some(words.clone());
                turn.out.post(worker, Message::Evict { client, reason: Reason::Kicked, words });
                if known.published.unseen == 0 {
                    known.last_seen_millis = known.last_seen_millis.max(turn.now.unix_millis);
                }
            }
            kicked = Some(devices.live().count());
            self.refresh(slot, Some(Reason::Kicked), Change::default(), turn);
        }
        self.end_graces(user, None, turn);
        turn.out.post(
            reply_to.at.worker,
            Message::Answered { reply_to, answer: HomeAnswer::Kicked(kicked, until) },
        );
    }

    /// Whether all connections of a user can be sent away.
    pub(super) fn can_kick(&self, user: &str) -> bool {
        let Some(slot) = self.find(user) else { return true };
        let devices = &self.users[slot as usize].devices;
        self.kicked.has_room(devices.live().count()) && !devices.as_slice().iter().any(Device::is_awaited)
    }

    /// Clients that were kicked and whose edges have yet to say that they are gone.
    #[must_use]
    pub fn kicked(&self) -> usize {
        self.kicked.len()
    }

    /// Sends a connection of a user away who is banned. Says whether it did.
    pub(super) fn turns_away(&self, user: &str, at: ClientRef, turn: &mut Turn<'_>) -> bool {
        let Some(words) = self.bans.get(turn.now, user, None).cloned() else { return false };
        let ClientRef { worker, client, .. } = at;
        turn.out.post(worker, Message::Evict { client, reason: Reason::Kicked, words: Some(words) });
        true
    }

    /// Bans as records.
    pub(crate) fn export_bans(
        &self,
        now: Now,
        after: Option<BanKey>,
        most: usize,
        records: &mut Vec<Record>,
    ) -> Option<BanKey> {
        self.bans.export(now, after, most, records)
    }

    /// Takes a ban over. Says whether there was room for it.
    pub(crate) fn import_ban(
        &mut self,
        user: &Name,
        micros: u64,
        words: &Arc<str>,
        turn: &mut Turn<'_>,
    ) -> bool {
        let until = bans::end_after(turn.now, micros);
        let is_put = self.bans.put((user, None), until, words);
        self.tell_edges(user, is_put.then(|| (until, words.clone())).as_ref(), turn);
        is_put
    }

    /// A ban is over.
    pub(crate) fn lift(&mut self, user: &Name, reply_to: Option<ReplyTo>, turn: &mut Turn<'_>) {
        let lifted = self.bans.lift(turn.now, user, None);
        self.tell_edges(user, None, turn);
        if let Some(reply_to) = reply_to {
            turn.out
                .post(reply_to.at.worker, Message::Answered { reply_to, answer: HomeAnswer::Lifted(lifted) });
        }
    }

    pub(crate) fn share_bans(&mut self, count: &BanCount) {
        self.bans.share(count.clone());
    }

    pub(crate) fn ban_count(&self) -> BanCount {
        self.bans.count()
    }

    /// Forgets bans that have ended.
    pub(crate) fn end_bans(&mut self, turn: &mut Turn<'_>) {
        for (user, _) in self.bans.look(turn.now) {
            self.tell_edges(&user, None, turn);
        }
    }

    /// The edges refuse who is banned before the home could.
    fn tell_edges(&self, user: &Name, ban: Option<&(u64, Arc<str>)>, turn: &mut Turn<'_>) {
        for worker in 0..self.workers {
            let what = Moderation::Banned { user: user.clone(), ban: ban.cloned() };
            turn.out.post(worker, Message::Moderate { what, reply_to: None });
        }
    }

    pub(crate) fn bans_due(&self) -> Option<Tick> {
        self.bans.due()
    }

    /// Ends the graces of a user's connections in a room, or in all rooms. The edges where they were know which rooms these
    /// are.
    pub(super) fn end_graces(&self, user: &Name, room: Option<&Name>, turn: &mut Turn<'_>) {
        for worker in 0..self.workers {
            let what = Moderation::EndGraces { user: user.clone(), room: room.cloned() };
            turn.out.post(worker, Message::Moderate { what, reply_to: None });
        }
    }
}
