//! How clients come: as whom, and with what.

use std::sync::Arc;

use rollcall::presence::{Entry, Envelope, Grants, Name};

use super::ears::Ears;
use super::rig::{Seat, World};

/// What a token grants that has these patterns in its claim `see`.
pub(super) fn grants(see: &[&str], expires_millis: u64) -> Grants {
    let see: Vec<String> = see.iter().map(|&pattern| pattern.to_owned()).collect();
    Grants::new(None, &see, None, expires_millis).unwrap()
}

impl World {
    pub(super) fn open(&mut self, worker: u16, user: Option<&str>) -> usize {
        self.enter(worker, user, None)
    }

    /// A client with a token whose claim `see` has these patterns.
    pub(super) fn open_seeing(&mut self, worker: u16, user: &str, see: &[&str]) -> usize {
        self.enter(worker, Some(user), Some(see))
    }

    fn enter(&mut self, worker: u16, user: Option<&str>, see: Option<&[&str]>) -> usize {
        let link = self.clients.len();
        self.note(|| format!("c{link} opens at w{worker} as {user:?}, seeing {see:?}"));
        let name = format!("c{link} ({})", user.unwrap_or("nobody"));
        self.clients.push(Seat::new(worker, user, Ears::new(name, user, see)));
        let entry = match (user, see) {
            (Some(user), Some(see)) => Entry::Token(user.into(), Arc::new(grants(see, u64::MAX))),
            (user, _) => Entry::Open(user.map(Name::from)),
        };
        let slot = self.nodes[usize::from(worker)].enter(self.now, link as u64, entry, true);
        self.clients[link].slot = slot;
        self.up(link);
        self.after(worker);
        link
    }

    /// Whether it is taken at its word.
    pub(super) fn identify(&mut self, c: usize, user: &str) -> bool {
        self.note(|| format!("c{c} says that it is {user}"));
        let Seat { worker, slot, .. } = self.clients[c];
        let taken = self.nodes[usize::from(worker)].identify(self.now, slot, user.into());
        if taken {
            self.clients[c].user = Some(user.to_owned());
            self.up(c);
        }
        self.after(worker);
        taken
    }

    fn up(&mut self, c: usize) {
        if let Some(user) = self.clients[c].user.clone() {
            self.letter_at_home(c, &user, |at, user| Envelope::Up { user, at });
        }
    }
}
