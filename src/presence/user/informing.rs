//! Changes of a user's `info`, by connections or by their tokens.

use std::sync::Arc;

use crate::presence::message::{Claim, ClientRef};
use crate::presence::timer::Timer;
use crate::presence::turn::Turn;
use crate::presence::user::change::Change;
use crate::presence::user::info::InfoClaim;
use crate::presence::user::{User, Users};
use crate::time::Tick;

impl User {
    /// A connection says something of its user, which may count for a time.
    pub(super) fn say(&mut self, at: ClientRef, text: Option<Arc<str>>, until: Option<Tick>) {
        if text.is_some() || self.info.is_some() {
            self.take_word(InfoClaim { at, text, is_claim: false, until });
        }
    }

    /// A connection has a token.
    pub(super) fn claim(&mut self, at: ClientRef, claim: Claim) {
        let Some(device) = self.devices.get_mut(at) else { return };
        device.has_token |= claim != Claim::NoToken;
        match (claim, &mut self.info) {
            (Claim::Info(text), _) => {
                self.take_word(InfoClaim { at, text: Some(text.into()), is_claim: true, until: None });
            }
            (Claim::Nothing, Some(info)) => info.said.retain(|said| !(said.is_claim && said.at == at)),
            _ => {}
        }
    }

    fn take_word(&mut self, word: InfoClaim) {
        let info = self.info.get_or_insert_default();
        info.said.retain(|said| said.at != word.at);
        info.said.push(word);
    }

    /// A connection has taken the place of one whose grace would have lasted until then; `None`: it is that one.
    pub(super) fn hand_on(&mut self, from: ClientRef, to: ClientRef, until: Option<Tick>) {
        let said = self.info.iter_mut().flat_map(|info| &mut info.said);
        for said in said.filter(|said| said.at == from && !said.is_claim) {
            said.at = to;
            said.until = [said.until, until].into_iter().flatten().reduce(Tick::min);
        }
    }

    /// Forgets what those said who are gone, and finds out what counts now. Says whether others see a change.
    pub(super) fn is_informed(&mut self) -> bool {
        let (Some(info), devices) = (&mut self.info, self.devices.as_slice()) else { return false };
        info.said.retain(|said| devices.iter().any(|device| device.address() == said.at));
        let shown = info.decide(devices);
        let is_new = shown != info.shown;
        info.shown = shown;
        self.info.take_if(|info| info.said.is_empty());
        is_new
    }

    /// Ends what counts no longer.
    pub(super) fn end_info(&mut self, now: Tick) {
        if let Some(info) = &mut self.info {
            info.said.retain(|said| said.until.is_none_or(|until| now.is_before(until)));
        }
    }

    /// Sees to it that there is a timer where something counts for a time. The wheel files it no further ahead than it looks:
    /// so a user has few of them, whatever times come one after the other.
    pub(super) fn time_info(&mut self, slot: u32, turn: &mut Turn<'_>) {
        let Some(info) = &mut self.info else { return };
        let Some(at) = info.said.iter().filter_map(|said| said.until).reduce(Tick::min) else { return };
        if info.timer.is_none_or(|timer| at.is_before(timer)) {
            info.timer = Some(at);
            turn.out.timer(at, Timer::Info { slot, serial: self.serial });
        }
    }
}

impl Users {
    /// A connection has another token than before.
    pub(crate) fn renewed(&mut self, user: &str, at: ClientRef, claim: Claim, turn: &mut Turn<'_>) {
        let Some(slot) = self.find(user) else { return };
        self.users[slot as usize].claim(at, claim);
        self.refresh(slot, None, Change::default(), turn);
    }

    /// The timer of a user's `info` was filed for then.
    pub(crate) fn info_timed(&mut self, slot: u32, serial: u32, at: Tick) {
        let user = self.users.get_mut(slot as usize).filter(|user| user.serial == serial);
        if let Some(info) = user.and_then(|user| user.info.as_mut()) {
            info.timer = Some(at);
        }
    }

    /// Something that a user's connection said may count no longer. A timer that another one was filed before is void.
    pub(crate) fn info_due(&mut self, slot: u32, serial: u32, at: Tick, turn: &mut Turn<'_>) {
        let user = self.users.get_mut(slot as usize).filter(|user| user.serial == serial);
        let Some(info) = user.and_then(|user| user.info.as_mut()).filter(|info| info.timer == Some(at))
        else {
            return;
        };
        info.timer = None;
        self.expire(slot, turn);
    }
}
