//! A page of a room's members in the making. The room's home has listed the members, their views are on their way from many
//! homes, and meanwhile the room goes on: what clients are told of it changes the page too, so that an answer never contradicts
//! an event that its client has heard.

use std::sync::Arc;

use crate::limits::PAGE_ROUNDS_MAX;
use crate::presence::grants::{Pattern, any_fits};
use crate::presence::membership::{MemberPage, MembershipChange, RoomPosition};
use crate::presence::name::Name;
use crate::presence::view::View;
use crate::presence::views::Views;

/// The request for a page of a room.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) room: Name,
    /// Members at most, at least one.
    pub(crate) limit: usize,
    /// Only names after this one.
    pub(crate) after: Option<Name>,
    /// Only names that fit one of these; `None`: all.
    pub(crate) only: Option<Arc<[Pattern]>>,
    /// The client is in the room.
    pub(crate) is_in: bool,
}

/// A page in the making.
#[derive(Debug)]
pub(crate) struct Draft {
    wanted: Wanted,
    /// `None`: the room's home is asked for it.
    page: Option<MemberPage>,
    /// The page has missed changes: it has to be asked for anew.
    is_stale: bool,
    rounds: usize,
}

/// The next step of a page when all that it waited for has come.
#[derive(Debug)]
pub(crate) enum Lack {
    Nothing,
    /// The page itself.
    Page(Wanted),
    /// Views of some of these.
    Views(Vec<Name>),
    /// It has changed too often: there will be no answer.
    Peace,
}

impl Draft {
    /// A page that its home is asked for.
    pub(crate) fn new(wanted: Wanted) -> Draft {
        Draft { wanted, page: None, is_stale: false, rounds: 0 }
    }

    /// Whether the home has listed the members; else it is asked for that.
    pub(crate) fn has_page(&self) -> bool {
        self.page.is_some()
    }

    pub(crate) fn room(&self) -> &Name {
        &self.wanted.room
    }

    /// The home has listed the members. Says whether that was waited for.
    pub(crate) fn listed(&mut self, page: MemberPage) -> bool {
        let is_awaited = self.page.is_none();
        if is_awaited {
            self.page = Some(page);
        }
        is_awaited
    }

    /// Members have changed. A user whose view is of no use any more is forgotten.
    pub(crate) fn change(&mut self, change: &MembershipChange, mut forget: impl FnMut(&Name)) {
        let Draft { wanted, page: Some(page), .. } = self else { return };
        let (known, place) = (page.place, change.place);
        if known.epoch == place.epoch && known.membership >= place.membership {
            return;
        }
        let follows = known.epoch == place.epoch && change.since <= known.membership;
        let Some(users) = change.users.as_ref().filter(|_| follows) else {
            self.is_stale = true;
            return;
        };
        page.place = place;
        for (user, is_in) in users {
            let is_behind = wanted.after.as_ref().is_none_or(|after| user > after);
            let is_before = page.next.as_ref().is_none_or(|next| user <= next);
            if !is_behind || !is_before || !wanted.only.as_ref().is_none_or(|only| any_fits(only, user)) {
                continue;
            }
            match (page.users.binary_search(user), is_in) {
                (Err(at), true) => {
                    page.users.insert(at, user.clone());
                    if page.users.len() > wanted.limit {
                        page.users.pop();
                        page.next = page.users.last().cloned();
                    }
                }
                (Ok(at), false) => {
                    page.users.remove(at);
                    forget(user);
                }
                _ => {}
            }
        }
    }

    /// The client is told where the room stands, or there were too many changes to look at: a page of another place has to be
    /// asked for anew.
    pub(crate) fn stands(&mut self, now: Option<RoomPosition>) {
        if let Some(page) = &self.page {
            let place = |place: RoomPosition| (place.epoch, place.membership);
            self.is_stale |= now.map(place) != Some(place(page.place));
        }
    }

    /// All that it was waiting for has come.
    pub(crate) fn lacks(&mut self, is_known: impl Fn(&Name) -> bool) -> Lack {
        if std::mem::take(&mut self.is_stale) {
            self.page = None;
        }
        let lack = match &self.page {
            Some(page) if page.users.iter().all(is_known) => return Lack::Nothing,
            Some(page) => Lack::Views(page.users.clone()),
            None => Lack::Page(self.wanted.clone()),
        };
        self.rounds += 1;
        // The first views are wanted anyway.
        if self.rounds > 1 + PAGE_ROUNDS_MAX { Lack::Peace } else { lack }
    }

    /// The page, and the views of its members. If all of these are invisible, a client outside the room sees no such room.
    pub(crate) fn into_answer(self, views: Views) -> Option<(MemberPage, Vec<(Name, View)>)> {
        let mut page = self.page?;
        if page.place.count == 0 && !self.wanted.is_in {
            page.place = RoomPosition::default();
        }
        let views = views.into_asked().into_iter();
        let of_page = |(user, view): (Name, Option<View>)| {
            page.users.binary_search(&user).ok()?;
            Some((user, view?))
        };
        let views = views.filter_map(of_page).collect();
        Some((page, views))
    }
}
