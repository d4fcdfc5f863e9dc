//! The status of connections: what they say of themselves, and suspicion.

use crate::limits::HIDDEN_MILLIS_MIN;
use crate::presence::message::{ClientRef, HomeAnswer, Message, ReplyTo};
use crate::presence::turn::Turn;
use crate::presence::user::Users;
use crate::presence::user::change::Change;
use crate::presence::view::{Reason, State};
use crate::time::TICK_MILLIS;

const TICKS_PER_SECOND: u32 = (1_000 / TICK_MILLIS) as u32;

impl Users {
    /// A connection says of itself that it is away, or back, or of its user that nobody is to disturb or to see them; and what else there
    /// is to know. `online` of a connection that was away says no more than that it is back: a page that is looked at again
    /// does not end what another one was told.
    pub(crate) fn status(
        &mut self,
        (user, at): (&str, ClientRef),
        state: Option<State>,
        (info, ttl_seconds): (Option<Box<str>>, Option<u32>),
        reply_to: ReplyTo,
        turn: &mut Turn<'_>,
    ) {
        let Some(slot) = self.find(user) else { return };
        let known = &mut self.users[slot as usize];
        let Some(device) = known.devices.get_mut(at) else { return };
        let was = device.state();
        let shows = match state {
            Some(State::Busy) => true,
            Some(State::Online) => was == State::Online,
            _ => false,
        };
        // Nobody saw one hide who came so.
        let hid = known.own == Some(State::Invisible) && known.reason == Some(Reason::Hidden);
        let hidden_for = turn.now.unix_millis.checked_sub(known.last_seen_millis);
        if shows && hid && hidden_for.is_some_and(|millis| millis < HIDDEN_MILLIS_MIN) {
            // Its edge takes it for one that is heard again.
            device.silent = false;
            let answer = HomeAnswer::TooSoon;
            return turn.out.post(reply_to.at.worker, Message::Answered { reply_to, answer });
        }
        if let Some(said) = state {
            (device.away, device.silent) = (said == State::Away, false);
            known.own = match said {
                State::Busy | State::Invisible => Some(said),
                State::Online if was == State::Online => None,
                _ => known.own,
            };
        }
        let state = match known.own {
            Some(own) if own == State::Invisible || device.state() == State::Online => own,
            _ => device.state(),
        };
        if let Some(info) = info {
            let until =
                ttl_seconds.map(|seconds| turn.now.tick.after(seconds.saturating_mul(TICKS_PER_SECOND)));
            known.say(at, (&*info != "null").then(|| info.into()), until);
        }
        turn.out.post(reply_to.at.worker, Message::Answered { reply_to, answer: HomeAnswer::Status(state) });
        self.refresh(slot, None, Change::default(), turn);
    }

    /// A connection's page is silent, or no more.
    pub(crate) fn silent(&mut self, user: &str, at: ClientRef, silent: bool, turn: &mut Turn<'_>) {
        let Some(slot) = self.find(user) else { return };
        if let Some(device) = self.users[slot as usize].devices.get_mut(at) {
            device.silent = silent;
            self.refresh(slot, None, Change::default(), turn);
        }
    }

    /// A connection may be dead, or lives after all.
    pub(crate) fn suspect(&mut self, user: &str, at: ClientRef, suspect: bool, turn: &mut Turn<'_>) {
        let Some(slot) = self.find(user) else { return };
        if let Some(device) = self.users[slot as usize].devices.get_mut(at) {
            device.suspect = suspect;
            self.refresh(slot, None, Change::default(), turn);
        }
    }
}
