//! What the model knows of one user.

use std::collections::{BTreeMap, BTreeSet};

use rollcall::internals::presence::message::Claim;
use rollcall::internals::presence::{ClientRef, Reason, State};
use rollcall::internals::time::{Now, Tick};

#[derive(Debug)]
pub(super) struct Device {
    /// Worker, slot and serial.
    pub(super) at: (u16, u32, u32),
    /// Of the edge's announcements, the one in which it was said last that it is there.
    pub(super) round: u32,
    pub(super) lingers: Option<(Tick, Reason)>,
    pub(super) away: bool,
    pub(super) suspect: bool,
    pub(super) token: bool,
    pub(super) word: Option<Word>,
}

/// What a connection says in `info`, or its token: the higher of two orders is the later.
#[derive(Debug)]
pub(super) struct Word {
    pub(super) order: u64,
    pub(super) text: Option<String>,
    pub(super) claim: bool,
    pub(super) until: Option<Tick>,
}

/// What a watcher can see of a user.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(in crate::presence) struct Shown {
    pub(in crate::presence) state: State,
    pub(in crate::presence) plain: State,
    pub(in crate::presence) connections: usize,
    pub(in crate::presence) info: Option<String>,
    /// Where sight is restricted, and the user not offline: the rooms that make it seen.
    pub(in crate::presence) rooms: BTreeSet<String>,
}

impl Shown {
    /// Whether a watcher that doesn't ask for suspicions sees a difference.
    pub(super) fn differs_plainly(&self, other: &Shown) -> bool {
        (self.plain, self.connections, &self.info) != (other.plain, other.connections, &other.info)
    }
}

#[derive(Debug, Default)]
pub(super) struct Person {
    pub(super) devices: Vec<Device>,
    /// What was said in `info`, counted.
    pub(super) words: u64,
    /// It is not to be disturbed, or not to be seen.
    pub(super) own: Option<State>,
    /// When it hid from those who saw it, in Unix milliseconds.
    pub(super) hid_millis: u64,
    /// It ever was invisible.
    pub(super) ever_unseen: bool,
    /// Its home was lost, and has not shown it since; and whether it ever was.
    pub(super) is_lost: bool,
    pub(super) was_lost: bool,
    /// It was here at the last look.
    pub(super) was_here: bool,
    /// It went though nobody ever saw it, and had been given rooms, or been taken from some: these are kept.
    pub(super) was_kept: bool,
    /// Why the last connection that is gone went.
    pub(super) reason: Option<Reason>,
    /// Everything that the home showed, by version.
    pub(super) shown: Vec<(u64, Shown)>,
    /// The rooms that its home took an offline user to be in, by version.
    pub(super) offline_in: BTreeMap<u64, BTreeSet<String>>,
}

impl Person {
    pub(super) fn expected(&self) -> Shown {
        let states = self.devices.iter().map(|device| if device.away { State::Away } else { State::Online });
        let plain = states.max().unwrap_or(State::Offline);
        let plain = self.own.filter(|_| plain == State::Online).unwrap_or(plain);
        if self.is_unseen() {
            return Shown::default();
        }
        let suspect = !self.devices.is_empty() && self.devices.iter().all(|device| device.suspect);
        let state = if suspect { State::Suspect } else { plain };
        Shown { state, plain, connections: self.devices.len(), info: self.info(), rooms: BTreeSet::new() }
    }

    pub(super) fn is_here(&self) -> bool {
        !self.devices.is_empty()
    }

    pub(super) fn is_unseen(&self) -> bool {
        self.own == Some(State::Invisible) && self.is_here()
    }

    /// Something may have happened to it.
    pub(super) fn looked(&mut self, has_given: bool) {
        self.was_kept |= self.was_here && !self.is_here() && has_given;
        self.was_here = self.is_here();
        if self.is_here() && !self.is_unseen() {
            self.hid_millis = u64::MAX;
        }
    }

    /// A connection that it has goes for that reason, which nobody sees of one who is invisible.
    pub(super) fn went(&mut self, reason: Reason) {
        if self.is_here() && !self.is_unseen() {
            self.reason = Some(reason);
        }
    }

    /// Whether it hid less than a second ago.
    pub(super) fn has_just_hidden(&self, now: Now) -> bool {
        now.unix_millis.checked_sub(self.hid_millis).is_some_and(|millis| millis < 1_000)
    }

    /// One of its connections says so of all.
    pub(super) fn is(&mut self, now: Now, own: Option<State>) {
        let was = self.is_unseen();
        self.own = own;
        self.ever_unseen |= self.is_unseen();
        if !was && self.is_unseen() {
            self.reason = Some(Reason::Hidden);
            self.hid_millis = now.unix_millis;
        }
    }

    /// The claim of the newest token, or what was said last where that has none.
    pub(super) fn info(&self) -> Option<String> {
        let newest = self.devices.iter().rfind(|device| device.token).and_then(|device| device.word.as_ref());
        let words = self.devices.iter().filter_map(|device| device.word.as_ref());
        let last = words.filter(|word| !word.claim).max_by_key(|word| word.order);
        newest.filter(|word| word.claim).or(last)?.text.clone()
    }

    pub(super) fn says(&mut self, at: ClientRef, text: Option<String>, claim: bool, until: Option<Tick>) {
        self.words += 1;
        let order = self.words;
        if let Some(device) = self.live(at) {
            device.word = Some(Word { order, text, claim, until });
        }
    }

    pub(super) fn claims(&mut self, at: ClientRef, claim: &Claim) {
        if let Some(device) = self.live(at) {
            device.token |= *claim != Claim::NoToken;
            device.word.take_if(|word| word.claim && *claim == Claim::Nothing);
        }
        if let Claim::Info(text) = claim {
            self.says(at, Some(text.to_string()), true, None);
        }
    }

    pub(super) fn live(&mut self, at: ClientRef) -> Option<&mut Device> {
        let at = (at.worker, at.client.slot, at.client.serial);
        self.devices.iter_mut().find(|device| device.at == at && device.lingers.is_none())
    }
}
