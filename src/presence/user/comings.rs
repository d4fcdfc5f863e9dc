//! Connections of users that come and go.

use crate::presence::device::{Device, Lingering};
use crate::presence::message::{Claim, ClientRef, Message};
use crate::presence::name::Name;
use crate::presence::turn::Turn;
use crate::presence::user::change::Change;
use crate::presence::user::{User, Users};
use crate::presence::veil::Veil;
use crate::presence::view::{Reason, State};

impl User {
    /// A connection comes. Returns the one whose place it takes: one that is waited for since it was handed over, which keeps its
    /// place in the order and is as it was, but for what its edge says of it; else one that lingers.
    fn comes(
        &mut self,
        (at, round): (ClientRef, u8),
        state: Option<State>,
        line: Option<(bool, bool)>,
    ) -> Option<Device> {
        let is_away = |was: bool| state.map_or(was, |state| state == State::Away);
        let mut device = Device::new(at);
        (device.silent, device.suspect) = line.unwrap_or_default();
        device.round = round;
        // An edge that was started anew may give a client the address of one that it had before.
        let same = self.devices.remove(|device| device.is_live() && device.address() == at);
        if same.is_none()
            && let Some(awaited) = self.devices.awaited_mut(at)
        {
            device.away = is_away(awaited.away);
            (device.silent, device.suspect) = line.unwrap_or((awaited.silent, awaited.suspect));
            return Some(std::mem::replace(awaited, device));
        }
        let replaced = same.or_else(|| self.devices.remove(|device| !device.is_live()));
        device.away = is_away(replaced.is_some_and(|before| before.away));
        self.devices.push(device);
        replaced
    }
}

impl Users {
    /// A connection is there, and stays unless its user is banned. It takes the place of one that lingers, and is as away as that
    /// one said unless it comes otherwise; over the cap, of the oldest. A page that connects is not silent.
    pub(crate) fn up(
        &mut self,
        (user, at): (&Name, ClientRef),
        (claim, state): (Claim, Option<State>),
        turn: &mut Turn<'_>,
    ) {
        // The edge was started anew and gives addresses anew, if one was kicked that had this.
        self.kicked.end(at);
        self.comes((user, at), (claim, state), None, turn);
    }

    /// The same of one of which its edge may say whether its page is silent and whether it is suspect.
    pub(super) fn comes(
        &mut self,
        (user, at): (&Name, ClientRef),
        (claim, state): (Claim, Option<State>),
        line: Option<(bool, bool)>,
        turn: &mut Turn<'_>,
    ) {
        if self.turns_away(user, at, turn) {
            return;
        }
        let slot = self.find_or_add(user);
        let known = &mut self.users[slot as usize];
        let replaced = known.comes((at, self.rounds.of(at.worker)), state, line);
        known.own = match (known.own, state) {
            // A page that comes back says again what it said before another one hid the user: only `status` ends that.
            (Some(State::Invisible), _) => known.own,
            (_, Some(State::Busy | State::Invisible)) => state,
            _ => known.own,
        };
        if known.own == Some(State::Invisible) && state != known.own {
            let (client, hides) = (at.client, true);
            turn.out.post(at.worker, Message::Veil(Veil::Client { client, hides }));
        }
        if let Some(before) = replaced {
            known.hand_on(before.address(), at, before.lingers().map(|lingers| lingers.until));
        }
        known.claim(at, claim);
        let mut reason = None;
        while known.devices.live().count() > turn.rules.connections_per_user {
            if let Some(oldest) = known.devices.remove(Device::is_live) {
                reason = Some(Reason::Replaced);
                let ClientRef { worker, client, .. } = oldest.address();
                turn.out.post(worker, Message::Evict { client, reason: Reason::Replaced, words: None });
            }
        }
        let moved = self.rooms_by_user.commit(slot);
        self.refresh(slot, reason, Change { moved }, turn);
        // One that goes on here knows what came before, and may have done otherwise since.
        if !replaced.is_some_and(|before| before.is_awaited()) {
            self.force_given(user, at, turn);
            self.tell_taken(user, at, turn);
        }
    }

    /// A connection is gone: for certain, or for the grace.
    pub(crate) fn down(
        &mut self,
        user: &str,
        at: ClientRef,
        (reason, seen_millis): (Reason, u64),
        turn: &mut Turn<'_>,
    ) {
        self.kicked.end(at);
        let Some(slot) = self.find(user) else { return };
        let known = &mut self.users[slot as usize];
        if known.devices.get_mut(at).is_none() {
            return;
        }
        // A time that is yet to come is of a clock that was set back since.
        let known_millis = Some(known.last_seen_millis).filter(|millis| *millis <= turn.now.unix_millis);
        // When one who is invisible was last heard nobody sees.
        if known.published.unseen == 0 {
            known.last_seen_millis = known_millis.map_or(seen_millis, |millis| millis.max(seen_millis));
        }
        if reason.is_final() || turn.rules.grace == 0 {
            known.devices.remove(|device| device.address() == at);
        } else if let Some(device) = known.devices.get_mut(at) {
            device.linger(Lingering { until: turn.now.tick.after(turn.rules.grace), reason });
            known.time(slot, turn);
        }
        self.refresh(slot, Some(reason), Change::default(), turn);
    }

    /// The grace of some connection of the user may be over: a timer also fires early, where the wheel can't look as far
    /// ahead as the grace is long.
    pub(crate) fn grace_over(&mut self, slot: u32, serial: u32, turn: &mut Turn<'_>) {
        let Some(known) = self.users.get_mut(slot as usize).filter(|user| user.serial == serial) else {
            return;
        };
        known.timed = false;
        self.expire(slot, turn);
    }

    /// Ends what is over by now, in one change: graces, and what counted for a time.
    pub(super) fn expire(&mut self, slot: u32, turn: &mut Turn<'_>) {
        let known = &mut self.users[slot as usize];
        let is_over = |device: &Device| {
            device.lingers().is_some_and(|lingers| turn.now.tick.has_reached(lingers.until))
        };
        let mut reason = None;
        while let Some(gone) = known.devices.remove(is_over) {
            reason = gone.lingers().map(|lingers| lingers.reason);
        }
        known.end_info(turn.now.tick);
        known.time(slot, turn);
        self.refresh(slot, reason, Change::default(), turn);
    }
}
