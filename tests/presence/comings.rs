//! How clients come: as whom, and with what.

use std::sync::Arc;

use rollcall::internals::presence::message::Claim;
use rollcall::internals::presence::{Entry, Grants, Message, Name, State};

use super::ears::Ears;
use super::page::{Manner, Page};
use super::rig::{Peer, World};

/// What a token grants that has these patterns in its claim `see`.
pub(super) fn grants(see: &[&str], expires_millis: u64) -> Grants {
    let see: Vec<String> = see.iter().map(|&pattern| pattern.to_owned()).collect();
    Grants::new(None, &see, None, expires_millis).unwrap()
}

/// How a client comes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Come<'a> {
    pub(super) user: Option<&'a str>,
    /// Its token's claim `see`; without it there is no token.
    pub(super) see: Option<&'a [&'a str]>,
    /// Its token's claim `info`.
    pub(super) info: Option<&'a str>,
    /// `?state=`.
    pub(super) state: Option<State>,
    /// How its page keeps lists; without it, it keeps none.
    pub(super) manner: Option<Manner>,
}

impl World {
    pub(super) fn open(&mut self, worker: u16, user: Option<&str>) -> usize {
        self.come(worker, Come { user, ..Come::default() })
    }

    /// A client with a token whose claim `see` has these patterns.
    pub(super) fn open_seeing(&mut self, worker: u16, user: &str, see: &[&str]) -> usize {
        self.come(worker, Come { user: Some(user), see: Some(see), ..Come::default() })
    }

    pub(super) fn come(&mut self, worker: u16, come: Come<'_>) -> usize {
        let Come { user, see, info, state, manner } = come;
        let session = self.clients.len();
        self.note(|| format!("c{session} opens at w{worker}: {come:?}"));
        self.veiled.comes(user, state);
        let name = format!("c{session} ({})", user.unwrap_or("nobody"));
        let page = manner.map(|manner| Page::new(manner, &name)).unwrap_or_default();
        let mut ears = Ears::new(name, user, see);
        ears.page = page;
        (ears.lossy, ears.page.lossy) = (self.lossy.is_some(), self.lossy.is_some());
        self.clients.push(Peer::new(worker, user, state, ears));
        let entry = match (user, see) {
            (Some(user), Some(see)) => {
                let info = info.map(Into::into);
                Entry::Token(user.into(), Arc::new(Grants { info, ..grants(see, u64::MAX) }))
            }
            (user, _) => Entry::Open(user.map(Name::from)),
        };
        let slot = self.nodes[usize::from(worker)].enter(self.now, session as u64, entry, state, true);
        self.clients[session].slot = slot;
        self.up(session, if see.is_some() { claim_of(info) } else { Claim::NoToken });
        self.after(worker);
        session
    }

    /// Whether it is taken at its word.
    pub(super) fn identify(&mut self, c: usize, user: &str) -> bool {
        self.note(|| format!("c{c} says that it is {user}"));
        let Peer { worker, slot, .. } = self.clients[c];
        let taken = self.nodes[usize::from(worker)].identify(self.now, slot, user.into());
        self.veiled.comes(Some(user), self.clients[c].comes);
        if taken {
            self.clients[c].user = Some(user.to_owned());
            self.clients[c].ears.user = Some(user.to_owned());
            self.up(c, Claim::NoToken);
        }
        self.after(worker);
        taken
    }

    /// A client shows another token of its user, with that claim `info`.
    pub(super) fn renew(&mut self, c: usize, info: Option<&str>) {
        let Peer { worker, slot, .. } = self.clients[c];
        let Some(user) = self.clients[c].user.clone() else { return };
        let grants = Grants { info: info.map(Into::into), ..grants(&["*"], u64::MAX) };
        self.nodes[usize::from(worker)].authenticate(self.now, slot, -1, (*user).into(), Arc::new(grants));
        self.letter_at_home(c, &user, |at, user| Message::Renewed { user, at, claim: claim_of(info) });
        self.after(worker);
    }

    fn up(&mut self, c: usize, claim: Claim) {
        if let Some(user) = self.clients[c].user.clone() {
            let state = self.clients[c].comes;
            self.letter_at_home(c, &user, |at, user| Message::Up { user, at, claim, state });
        }
    }
}

fn claim_of(info: Option<&str>) -> Claim {
    info.map_or(Claim::Nothing, |info| Claim::Info(info.into()))
}
