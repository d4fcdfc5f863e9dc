//! What connections say of themselves, or are suspected of.

use crate::presence::envelope::{Address, Answer, Asker, Envelope, Frame};
use crate::presence::node::Outgoing;
use crate::presence::user::Users;
use crate::presence::user::sight::News;
use crate::presence::view::State;
use crate::time::Now;

impl Users {
    /// A connection says of itself that it is away, or back, and what else there is to know.
    pub(crate) fn status<F: Frame>(
        &mut self,
        now: Now,
        user: &str,
        at: Address,
        (state, info): (Option<State>, Option<Box<str>>),
        asker: Asker,
        out: &mut Outgoing<F>,
    ) {
        let Some(slot) = self.find(user) else { return };
        let known = &mut self.users[slot as usize];
        let Some(device) = known.devices.get_mut(at) else { return };
        if let Some(state) = state {
            (device.away, device.silent) = (state == State::Away, false);
        }
        let state = device.state();
        if let Some(info) = info {
            known.say(at, (&*info != "null").then(|| info.into()));
        }
        out.post(asker.at.worker, Envelope::Answered { asker, answer: Answer::Status(state) });
        self.refresh(now, slot, None, News::default(), out);
    }

    /// A connection's page is silent, or no more.
    pub(crate) fn silent<F: Frame>(
        &mut self,
        now: Now,
        user: &str,
        at: Address,
        silent: bool,
        out: &mut Outgoing<F>,
    ) {
        let Some(slot) = self.find(user) else { return };
        if let Some(device) = self.users[slot as usize].devices.get_mut(at) {
            device.silent = silent;
            self.refresh(now, slot, None, News::default(), out);
        }
    }

    /// A connection may be dead, or lives after all.
    pub(crate) fn suspect<F: Frame>(
        &mut self,
        now: Now,
        user: &str,
        at: Address,
        suspect: bool,
        out: &mut Outgoing<F>,
    ) {
        let Some(slot) = self.find(user) else { return };
        if let Some(device) = self.users[slot as usize].devices.get_mut(at) {
            device.suspect = suspect;
            self.refresh(now, slot, None, News::default(), out);
        }
    }
}
