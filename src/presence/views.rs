//! The views of many users, each once, as they come for an answer.

use hashbrown::HashTable;

use crate::presence::name::{Homes, Name};
use crate::presence::view::View;

/// Up to so many names are compared one by one; more of them get an index.
const COMPARED_MAX: usize = 16;

/// The views of an answer in the making.
#[derive(Debug, Default)]
pub(crate) struct Views {
    /// Each user once, in the order asked; a view is absent until its home has sent it.
    views: Vec<(Name, Option<View>)>,
    /// Positions in `views` by name, where there are more than [`COMPARED_MAX`].
    index: HashTable<u32>,
    /// For users who were named more than once: the position in `views` of each that was named.
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

    /// The views that have come, in the order asked.
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

    /// The view of a part has come. Says whether there is such a part.
    pub(crate) fn put(&mut self, index: u32, view: View) -> bool {
        let known = self.views.get_mut(index as usize);
        known.map(|(_, known)| *known = Some(view)).is_some()
    }

    /// There is a newer view of a user: one that has come is replaced.
    pub(crate) fn renew(&mut self, hash: u64, user: &str, view: &View) {
        if let Some(older) = self.find(hash, user).and_then(|at| self.views[at].1.as_mut()) {
            older.clone_from(view);
        }
    }

    /// Whether a user is asked for.
    pub(crate) fn asks_for(&self, hash: u64, user: &str) -> bool {
        self.find(hash, user).is_some()
    }

    fn find(&self, hash: u64, user: &str) -> Option<usize> {
        let is_it = |at: &u32| *self.views[*at as usize].0 == *user;
        if self.index.capacity() > 0 {
            return self.index.find(hash, is_it).map(|at| *at as usize);
        }
        self.views.iter().position(|(name, _)| **name == *user)
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
}
