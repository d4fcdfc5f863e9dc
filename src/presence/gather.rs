//! Answers that several homes have a part in: the views of many users, a page of a room.
//!
//! A view that arrives may be newer than what other answers of the same client have already: each is looked up by name, and a
//! client has [`REPLIES_PER_CONNECTION_MAX`](crate::limits::REPLIES_PER_CONNECTION_MAX) of them at most, so that a view costs
//! the same however much was asked for.

use hashbrown::HashTable;

use crate::presence::draft::Draft;
use crate::presence::envelope::Client;
use crate::presence::name::{Homes, Name};
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
    Who(Box<Draft>),
}

/// Up to so many names are compared one by one; more of them get an index.
const COMPARED_MAX: usize = 16;

/// The views of an answer in the making.
#[derive(Debug, Default)]
pub(crate) struct Views {
    /// Each user once, in the order asked; a view is absent until its home has sent it.
    views: Vec<(Name, Option<View>)>,
    /// Positions in `views` by name, where there are more than [`COMPARED_MAX`].
    index: HashTable<u32>,
    /// Where a user was named more than once: the position in `views` of each that was named.
    order: Vec<u32>,
}

impl Views {
    /// No view yet of any of these; `name` stores one that was not named before.
    #[expect(clippy::cast_possible_truncation, reason = "bounded by the names of a command")]
    pub(crate) fn new<T: AsRef<str>>(
        homes: Homes,
        asked: impl ExactSizeIterator<Item = T>,
        name: impl Fn(T) -> Name,
    ) -> Views {
        let mut all = Views { views: Vec::with_capacity(asked.len()), ..Views::default() };
        if asked.len() > COMPARED_MAX {
            all.index = HashTable::with_capacity(asked.len());
        }
        for (place, asked) in (0..).zip(asked) {
            let hash = homes.hash(asked.as_ref());
            let known = all.find(hash, asked.as_ref()).map(|at| at as u32);
            let at = known.unwrap_or(all.views.len() as u32);
            if known.is_some() && all.order.is_empty() {
                all.order.extend(0..place);
            }
            if !all.order.is_empty() {
                all.order.push(at);
            }
            if known.is_none() {
                all.views.push((name(asked), None));
                if all.index.capacity() > 0 {
                    all.index.insert_unique(hash, at, |_| unreachable!("it has room for all"));
                }
            }
        }
        all
    }

    /// Users, each counted once.
    pub(crate) fn len(&self) -> usize {
        self.views.len()
    }

    /// The users, each once, by what their parts of the answer are numbered.
    pub(crate) fn users(&self) -> impl Iterator<Item = &Name> {
        self.views.iter().map(|(user, _)| user)
    }

    /// What has come, in the order asked.
    pub(crate) fn into_asked(self) -> Vec<(Name, Option<View>)> {
        if self.order.is_empty() {
            return self.views;
        }
        self.order.iter().map(|at| self.views[*at as usize].clone()).collect()
    }

    /// Goes on with these users, of whom none is named twice; whose view is known keeps it.
    pub(crate) fn go_on(&mut self, homes: Homes, users: &[Name]) {
        let before = std::mem::replace(self, Views::new(homes, users.iter(), Name::clone));
        for (user, view) in before.views {
            if let Some(at) = view.as_ref().and_then(|_| self.find(homes.hash(&user), &user)) {
                self.views[at].1 = view;
            }
        }
    }

    /// Users without a view, and the numbers of their parts.
    pub(crate) fn lacking(&self) -> Vec<(Name, u32)> {
        let all = self.views.iter().zip(0..);
        all.filter(|((_, view), _)| view.is_none()).map(|((user, _), at)| (user.clone(), at)).collect()
    }

    /// Whether there is a view of a user.
    pub(crate) fn has(&self, homes: Homes, user: &str) -> bool {
        self.find(homes.hash(user), user).is_some_and(|at| self.views[at].1.is_some())
    }

    /// Forgets the view of a user.
    pub(crate) fn forget(&mut self, homes: Homes, user: &str) {
        if let Some(at) = self.find(homes.hash(user), user) {
            self.views[at].1 = None;
        }
    }

    fn find(&self, hash: u64, user: &str) -> Option<usize> {
        let is_it = |at: &u32| *self.views[*at as usize].0 == *user;
        if self.index.capacity() > 0 {
            return self.index.find(hash, is_it).map(|at| *at as usize);
        }
        self.views.iter().position(|(name, _)| **name == *user)
    }
}

/// One answer in the making.
#[derive(Debug)]
pub(crate) struct Gather {
    pub(crate) client: Client,
    pub(crate) seq: i64,
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
}

impl Gathers {
    pub(crate) fn new(homes: Homes) -> Gathers {
        Gathers { homes, gathers: Slots::default() }
    }

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

    /// A part has come, or can't (`None`).
    pub(crate) fn part(&mut self, id: u32, index: u32, view: Option<View>) {
        let Some(gather) = self.gathers.get_mut(id as usize) else { return };
        gather.left = gather.left.saturating_sub(1);
        match (view, gather.views.views.get_mut(index as usize)) {
            (Some(view), Some((_, known))) => *known = Some(view),
            _ => gather.refused = true,
        }
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
            if let Some(at) = gather.views.find(hash, user)
                && let Some(older) = &mut gather.views.views[at].1
            {
                older.clone_from(view);
            }
        }
    }

    /// Whether one of these is for a watch of that user.
    pub(crate) fn watch(&self, ids: &[u32], user: &str) -> bool {
        let hash = self.homes.hash(user);
        ids.iter().filter_map(|id| self.gathers.get(*id as usize)).any(|gather| {
            matches!(gather.purpose, Purpose::Watch { .. }) && gather.views.find(hash, user).is_some()
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.gathers.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn views(asked: &[&str]) -> Views {
        Views::new(Homes::new(3, 7), asked.iter(), |user| Name::from(*user))
    }

    fn asked(views: Views) -> Vec<String> {
        views.into_asked().into_iter().map(|(user, _)| user.to_string()).collect()
    }

    #[test]
    fn a_user_named_again_is_asked_for_once_and_answered_each_time() {
        let many: Vec<String> = (0..256).map(|n| format!("u{}", n % 100)).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        for (names, once) in
            [(&["a", "b", "a", "c", "a"][..], 3), (&["a", "a"], 1), (&["a", "b"], 2), (&[], 0), (&many, 100)]
        {
            let views = views(names);
            assert_eq!((views.len(), views.users().count()), (once, once));
            assert_eq!(asked(views), names);
        }
    }

    #[test]
    fn a_newer_view_reaches_every_answer_that_has_an_older_one() {
        let homes = Homes::new(3, 7);
        let names: Vec<String> = (0..200).map(|n| format!("u{n}")).collect();
        let mut gathers = Gathers::new(homes);
        let mut begin = |names: &[String]| {
            let views = Views::new(homes, names.iter(), |user| Name::from(&**user));
            let (client, left) = (Client { slot: 0, serial: 0 }, views.len());
            let purpose = Purpose::Watch { suspect: false };
            gathers.begin(Gather { client, seq: 1, purpose, views, left, refused: false })
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
