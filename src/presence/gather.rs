//! Answers that several homes have a part in: the views of many users, a page of a room.

use crate::presence::envelope::{Client, Page};
use crate::presence::name::Name;
use crate::presence::view::View;
use crate::slots::Slots;

/// What is gathered.
#[derive(Debug)]
pub(crate) enum Purpose {
    /// `watch`, with suspicions or without.
    Watch { suspect: bool },
    /// `presence`.
    Presence,
    /// `who`; the page comes first, and says whose views are wanted.
    Who(Page),
}

/// One answer in the making.
#[derive(Debug)]
pub(crate) struct Gather {
    pub(crate) client: Client,
    pub(crate) seq: i64,
    pub(crate) purpose: Purpose,
    /// In the order asked; a view is absent until its home has sent it.
    pub(crate) views: Vec<(Name, Option<View>)>,
    /// Parts that have not come.
    pub(crate) left: usize,
    /// Some home could not be asked.
    pub(crate) refused: bool,
}

/// All answers in the making, of one edge.
#[derive(Debug, Default)]
pub(crate) struct Gathers {
    gathers: Slots<Gather>,
}

impl Gathers {
    #[expect(clippy::cast_possible_truncation, reason = "bounded by the commands that mailboxes hold")]
    pub(crate) fn begin(&mut self, gather: Gather) -> u32 {
        self.gathers.insert(gather) as u32
    }

    pub(crate) fn give_back(&mut self) {
        self.gathers.give_back();
    }

    pub(crate) fn get_mut(&mut self, id: u32) -> Option<&mut Gather> {
        self.gathers.get_mut(id as usize)
    }

    /// A part has come, or can't (`None`). Returns the gather where it was the last.
    pub(crate) fn part(&mut self, id: u32, index: u32, view: Option<View>) -> Option<Gather> {
        let gather = self.gathers.get_mut(id as usize)?;
        gather.left -= 1;
        match view {
            Some(view) => gather.views[index as usize].1 = Some(view),
            None => gather.refused = true,
        }
        if gather.left == 0 { self.gathers.try_remove(id as usize) } else { None }
    }

    /// Takes a gather out that needs no parts any more.
    pub(crate) fn end(&mut self, id: u32) -> Option<Gather> {
        self.gathers.try_remove(id as usize)
    }

    /// There is a newer view of a user: answers that are still in the making, and have an older one, get it.
    pub(crate) fn renew(&mut self, ids: &[u32], user: &str, view: &View) {
        for id in ids {
            let Some(gather) = self.gathers.get_mut(*id as usize) else { continue };
            let older = gather
                .views
                .iter_mut()
                .filter(|(name, _)| &**name == user)
                .filter_map(|(_, view)| view.as_mut());
            older.for_each(|older| older.clone_from(view));
        }
    }

    /// Whether one of these is for a watch of that user.
    pub(crate) fn watch(&self, ids: Option<&Vec<u32>>, user: &str) -> bool {
        ids.into_iter().flatten().filter_map(|id| self.gathers.get(*id as usize)).any(|gather| {
            matches!(gather.purpose, Purpose::Watch { .. })
                && gather.views.iter().any(|(name, _)| &**name == user)
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.gathers.len()
    }
}
