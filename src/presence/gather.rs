//! Answers that several homes have a part in: the views of many users, a page of a room.
//!
//! A view that arrives may be newer than what other answers of the same client have already: each is looked up by name, and a
//! client has [`REPLIES_PER_CONNECTION_MAX`](crate::limits::REPLIES_PER_CONNECTION_MAX) of them at most, so that a view costs
//! the same however much was asked for.

use crate::presence::draft::Draft;
use crate::presence::envelope::Client;
use crate::presence::name::Homes;
use crate::presence::view::View;
use crate::presence::views::Views;
use crate::slots::Slots;

/// What is gathered.
#[derive(Debug)]
pub(crate) enum Purpose {
    /// `watch`, with suspicions or without.
    Watch { suspect: bool },
    /// `presence`.
    Presence,
    /// `who`; the page comes first, and says whose views are wanted.
    Who(Box<Draft>),
}

/// One answer in the making.
#[derive(Debug)]
pub(crate) struct Gather {
    pub(crate) client: Client,
    pub(crate) seq: i64,
    /// Set by [`Gathers::begin`].
    pub(crate) serial: u32,
    pub(crate) purpose: Purpose,
    pub(crate) views: Views,
    /// Parts that have not come.
    pub(crate) left: usize,
    /// Some home could not be asked.
    pub(crate) refused: bool,
}

/// All answers in the making, of one edge.
#[derive(Debug)]
pub(crate) struct Gathers {
    homes: Homes,
    gathers: Slots<Gather>,
    last_serial: u32,
}

impl Gathers {
    pub(crate) fn new(homes: Homes) -> Gathers {
        Gathers { homes, gathers: Slots::default(), last_serial: 0 }
    }

    #[expect(clippy::cast_possible_truncation, reason = "bounded by the commands that mailboxes hold")]
    pub(crate) fn begin(&mut self, gather: Gather) -> u32 {
        self.last_serial = self.last_serial.wrapping_add(1);
        self.gathers.insert(Gather { serial: self.last_serial, ..gather }) as u32
    }

    /// What tells an answer in the making from an earlier one in its place.
    pub(crate) fn serial(&self, id: u32) -> u32 {
        self.gathers.get(id as usize).map_or(0, |gather| gather.serial)
    }

    /// Whether an answer is still in the making.
    pub(crate) fn has(&self, id: u32, serial: u32) -> bool {
        self.gathers.get(id as usize).is_some_and(|gather| gather.serial == serial)
    }

    /// Answers that may wait for a home.
    #[expect(clippy::cast_possible_truncation, reason = "as in `begin`")]
    pub(crate) fn of_home(&self, home: u16) -> Vec<u32> {
        let homes = self.homes;
        let waits = |gather: &Gather| match &gather.purpose {
            Purpose::Who(draft) if !draft.has_page() => homes.of(draft.room()) == home,
            _ => gather.views.lacking().iter().any(|(user, _)| homes.of(user) == home),
        };
        let ids = self.gathers.iter().filter(|(_, gather)| waits(gather)).map(|(id, _)| id as u32);
        ids.collect()
    }

    pub(crate) fn give_back(&mut self) {
        self.gathers.give_back();
    }

    pub(crate) fn get_mut(&mut self, id: u32) -> Option<&mut Gather> {
        self.gathers.get_mut(id as usize)
    }

    /// A part has come, or can't (`None`).
    pub(crate) fn part(&mut self, id: u32, index: u32, view: Option<View>) {
        let Some(gather) = self.gathers.get_mut(id as usize) else { return };
        gather.left = gather.left.saturating_sub(1);
        gather.refused |= !view.is_some_and(|view| gather.views.put(index, view));
    }

    /// Takes a gather out that needs no parts any more.
    pub(crate) fn end(&mut self, id: u32) -> Option<Gather> {
        self.gathers.try_remove(id as usize)
    }

    /// There is a newer view of a user: answers that are still in the making, and have an older one, get it.
    pub(crate) fn renew(&mut self, ids: &[u32], user: &str, view: &View) {
        let hash = self.homes.hash(user);
        for id in ids {
            let Some(gather) = self.gathers.get_mut(*id as usize) else { continue };
            gather.views.renew(hash, user, view);
        }
    }

    /// Whether one of these is for a watch of that user.
    pub(crate) fn watch(&self, ids: &[u32], user: &str) -> bool {
        let hash = self.homes.hash(user);
        ids.iter().filter_map(|id| self.gathers.get(*id as usize)).any(|gather| {
            matches!(gather.purpose, Purpose::Watch { .. }) && gather.views.asks_for(hash, user)
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.gathers.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::presence::name::Name;

    #[test]
    fn a_newer_view_reaches_every_answer_that_has_an_older_one() {
        let homes = Homes::new(3, 7);
        let names: Vec<String> = (0..200).map(|n| format!("u{n}")).collect();
        let mut gathers = Gathers::new(homes);
        let mut begin = |names: &[String]| {
            let views = Views::new(homes, names.iter(), |user| Name::from(&**user));
            let (client, left) = (Client { slot: 0, serial: 0 }, views.len());
            let purpose = Purpose::Watch { suspect: false };
            gathers.begin(Gather { client, seq: 1, serial: 0, purpose, views, left, refused: false })
        };
        let (long, short) = (begin(&names), begin(&names[..3]));
        let view = |version| View { version, ..View::default() };
        gathers.part(long, 2, Some(view(1)));
        gathers.renew(&[long, short], "u2", &view(2));
        gathers.renew(&[long, short], "stranger", &view(3));
        let shown = |gathers: &mut Gathers, id| gathers.end(id).unwrap().views.into_asked()[2].1.clone();
        assert!(gathers.watch(&[long], "u199") && !gathers.watch(&[short], "u199"));
        assert_eq!(shown(&mut gathers, long), Some(view(2)));
        assert_eq!(shown(&mut gathers, short), None, "what has not come yet comes newer than that");
    }
}
