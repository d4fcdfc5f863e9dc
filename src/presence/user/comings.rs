//! Connections of users that come and go.

use crate::presence::device::{Device, Lingering};
use crate::presence::envelope::{Address, Claim, Envelope};
use crate::presence::name::Name;
use crate::presence::outgoing::Outgoing;
use crate::presence::rules::Rules;
use crate::presence::user::Users;
use crate::presence::user::sight::News;
use crate::presence::veil::Veil;
use crate::presence::view::{Reason, State};
use crate::time::Now;

impl Users {
    /// A connection is there, and stays unless its user is banned. It takes the place of one that lingers, and is as away as that
    /// one said unless it comes otherwise; over the cap, of the oldest. A page that connects is not silent.
    pub(crate) fn up(
        &mut self,
        now: Now,
        rules: &Rules,
        (user, at): (&Name, Address),
        (claim, state): (Claim, Option<State>),
        out: &mut Outgoing,
    ) {
        if self.turns_away(now, user, at, out) {
            return;
        }
        let slot = self.find_or_add(user);
        let known = &mut self.users[slot as usize];
        let replaced = known.devices.remove(|device| !device.is_live());
        let mut device = Device::new(at);
        device.away = state.map_or(replaced.is_some_and(|before| before.away), |state| state == State::Away);
        known.devices.push(device);
        known.own = match (known.own, state) {
            // A page that comes back says again what it said before another one hid the user: only `status` ends that.
            (Some(State::Invisible), _) => known.own,
            (_, Some(State::Busy | State::Invisible)) => state,
            _ => known.own,
        };
        if known.own == Some(State::Invisible) && state != known.own {
            let (client, hides) = (at.client, true);
            out.post(at.worker, Envelope::Veil(Veil::Client { client, hides }));
        }
        if let Some(before) = replaced
            && let Some(Lingering { until, .. }) = before.lingers()
        {
            known.hand_on(before.address(), at, until);
        }
        known.claim(at, claim);
        let mut reason = None;
        while known.devices.live().count() > rules.connections_per_user {
            if let Some(oldest) = known.devices.remove(Device::is_live) {
                reason = Some(Reason::Replaced);
                let Address { worker, client } = oldest.address();
                out.post(worker, Envelope::Evict { client, reason: Reason::Replaced, words: None });
            }
        }
        let moved = self.whereabouts.settle(slot);
        self.refresh(now, slot, reason, News { moved }, out);
        self.bring_given(user, at, out);
        self.tell_taken(now.tick, user, at, out);
    }

    /// A connection is gone: for certain, or for the grace.
    pub(crate) fn down(
        &mut self,
        now: Now,
        rules: &Rules,
        user: &str,
        at: Address,
        (reason, seen_millis): (Reason, u64),
        out: &mut Outgoing,
    ) {
        let Some(slot) = self.find(user) else { return };
        let known = &mut self.users[slot as usize];
        if known.devices.get_mut(at).is_none() {
            return;
        }
        // A time that is yet to come is of a clock that was set back since.
        let known_millis = Some(known.last_seen_millis).filter(|millis| *millis <= now.unix_millis);
        // When one who is invisible was last heard nobody sees.
        if known.told.unseen == 0 {
            known.last_seen_millis = known_millis.map_or(seen_millis, |millis| millis.max(seen_millis));
        }
        if reason.is_final() || rules.grace == 0 {
            known.devices.remove(|device| device.address() == at);
        } else if let Some(device) = known.devices.get_mut(at) {
            device.linger(Lingering { until: now.tick.after(rules.grace), reason });
            known.time(slot, out);
        }
        self.refresh(now, slot, Some(reason), News::default(), out);
    }

    /// The grace of some connection of the user may be over: a timer also fires early, where the wheel can't look as far
    /// ahead as the grace is long.
    pub(crate) fn grace_over(&mut self, now: Now, slot: u32, serial: u32, out: &mut Outgoing) {
        let Some(known) = self.users.get_mut(slot as usize).filter(|user| user.serial == serial) else {
            return;
        };
        known.timed = false;
        self.expire(now, slot, out);
    }

    /// Ends what is over by now, in one change: graces, and what counted for a time.
    pub(super) fn expire(&mut self, now: Now, slot: u32, out: &mut Outgoing) {
        let known = &mut self.users[slot as usize];
        let is_over =
            |device: &Device| device.lingers().is_some_and(|lingers| now.tick.has_reached(lingers.until));
        let mut reason = None;
        while let Some(gone) = known.devices.remove(is_over) {
            reason = gone.lingers().map(|lingers| lingers.reason);
        }
        known.end_info(now.tick);
        known.time(slot, out);
        self.refresh(now, slot, reason, News::default(), out);
    }
}
