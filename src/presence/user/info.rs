//! What connections say of their user in `info`, or their tokens do, and whose word counts.
//!
//! `info` belongs to the connection that said it, and goes with it. Where connections have tokens, the newest of these decides:
//! its token's claim is the user's `info`. Where that token has no such claim, or nobody has a token, what the connections
//! said themselves counts, the latest of it. A connection that takes the place of one within its grace goes on with what that
//! one said for as long as the grace would have lasted: a page that reloads says it again, and nobody sees it gone meanwhile.

use std::sync::Arc;

use crate::presence::device::Device;
use crate::presence::envelope::{Address, Claim};
use crate::presence::timer::Timer;
use crate::presence::turn::Turn;
use crate::presence::user::sight::News;
use crate::presence::user::{User, Users};
use crate::time::Tick;

/// What one connection said, or its token.
#[derive(Debug)]
struct Said {
    at: Address,
    /// JSON; `None`: that there is nothing to know.
    text: Option<Arc<str>>,
    is_claim: bool,
    /// It counts until then.
    until: Option<Tick>,
}

/// What a user's connections said, the latest last: at most one of each.
#[derive(Debug, Default)]
pub(super) struct Info {
    said: Vec<Said>,
    shown: Option<Arc<str>>,
    /// The timer that is filed for the first `until`.
    timer: Option<Tick>,
}

impl Info {
    /// JSON that others are shown.
    pub(super) fn shown(&self) -> Option<&Arc<str>> {
        self.shown.as_ref()
    }

    /// Whose word counts, and what it is.
    fn decide(&self, devices: &[Device]) -> Option<Arc<str>> {
        let decides = devices.iter().rev().find(|device| device.has_token).map(Device::address);
        let claim = self.said.iter().find(|said| said.is_claim && Some(said.at) == decides);
        let said = claim.or_else(|| self.said.iter().rev().find(|said| !said.is_claim));
        said.and_then(|said| said.text.clone())
    }
}

impl User {
    /// A connection says something of its user, which may count for a time.
    pub(super) fn say(&mut self, at: Address, text: Option<Arc<str>>, until: Option<Tick>) {
        if text.is_some() || self.info.is_some() {
            self.take_word(Said { at, text, is_claim: false, until });
        }
    }

    /// A connection has a token.
    pub(super) fn claim(&mut self, at: Address, claim: Claim) {
        let Some(device) = self.devices.get_mut(at) else { return };
        device.has_token |= claim != Claim::NoToken;
        match (claim, &mut self.info) {
            (Claim::Info(text), _) => {
                self.take_word(Said { at, text: Some(text.into()), is_claim: true, until: None });
            }
            (Claim::Nothing, Some(info)) => info.said.retain(|said| !(said.is_claim && said.at == at)),
            _ => {}
        }
    }

    fn take_word(&mut self, word: Said) {
        let info = self.info.get_or_insert_default();
        info.said.retain(|said| said.at != word.at);
        info.said.push(word);
    }

    /// A connection has taken the place of one whose grace would have lasted until then.
    pub(super) fn hand_on(&mut self, from: Address, to: Address, until: Tick) {
        let said = self.info.iter_mut().flat_map(|info| &mut info.said);
        for said in said.filter(|said| said.at == from && !said.is_claim) {
            said.at = to;
            said.until = Some(said.until.map_or(until, |before| before.min(until)));
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
    pub(crate) fn renewed(&mut self, user: &str, at: Address, claim: Claim, turn: &mut Turn<'_>) {
        let Some(slot) = self.find(user) else { return };
        self.users[slot as usize].claim(at, claim);
        self.refresh(slot, None, News::default(), turn);
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
