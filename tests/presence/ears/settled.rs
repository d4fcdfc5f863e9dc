//! What a client knows once all is delivered: what is true.

use super::{Ears, Told};
use crate::presence::model::{Judge, Model};

impl Ears {
    /// All mail is delivered and every grace is over: what it knows is what is true.
    pub(in crate::presence) fn settled(
        &self,
        model: &Model,
        truth: impl Fn(&str) -> (Told, Told),
        judge: &mut Judge,
    ) {
        judge.holds("every_command_answered_once", self.asked.is_empty(), || {
            format!("{}: unanswered: {:?}", self.name, self.asked)
        });
        let in_rooms = self.hears.keys().eq(&self.rooms);
        judge.holds("joins_equal_leaves", in_rooms, || {
            format!("{}: joined {:?}, and hears {:?}", self.name, self.rooms, self.hears)
        });
        for (room, hearing) in &self.hears {
            let members = model.members(room);
            judge.holds("joins_equal_leaves", members.len() as u64 == hearing.count, || {
                format!("{}: counts {} in {room}: {members:?}", self.name, hearing.count)
            });
            let wrong = hearing.known.iter().find(|(user, is_in)| members.contains(*user) != **is_in);
            judge.holds("joins_equal_leaves", wrong.is_none(), || {
                format!("{}: was told {wrong:?} of {room}: {members:?}", self.name)
            });
        }
        self.page.settled(&self.rooms, model, judge);
        for (user, watch) in self.watches.iter().filter(|(_, watch)| watch.sure && watch.comparable) {
            let (mut plain, mut full) = truth(user);
            if self.user.as_ref() == Some(user) && model.is_unseen(user) {
                // Who said late who it is may have been told before, as others are.
                if self.name.ends_with("(nobody)") {
                    continue;
                }
                for told in [&mut plain, &mut full] {
                    "invisible".clone_into(&mut told.state);
                }
            }
            if !self.sees_anyway(user) && !self.rooms.iter().any(|room| model.members(room).contains(user)) {
                let shown = watch.told.as_ref().map(|told| told.state.as_str());
                judge.holds("no_leak", shown == Some("offline"), || {
                    format!("{}: {user} is out of sight, and known as {watch:?}", self.name)
                });
                continue;
            }
            let same = |truth: &Told| {
                let told = watch.told.as_ref();
                told.is_some_and(|told| *told == Told { version: told.version, ..truth.clone() })
            };
            let holds = match watch.suspect {
                Some(true) => same(&full),
                Some(false) => same(&plain),
                // A refusal left it in one of the two kinds.
                None if !self.sees_anyway(user) => true,
                None => watch.told.as_ref().is_some_and(|told| !model.has_changed(user, told.version)),
            };
            judge.holds("snapshot_then_changes", holds, || {
                format!("{}: {user} is {plain:?} or {full:?}, and known as {watch:?}", self.name)
            });
        }
    }
}
