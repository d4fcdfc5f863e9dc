//! What homes show, beside what they have to.

use std::collections::BTreeSet;

use rollcall::internals::presence::{Node, Reason, State};
use rollcall::internals::time::Now;

use super::person::Shown;
use super::{Judge, Model};

impl Model {
    /// Compares what a worker's homes show with what they have to.
    pub(in crate::presence) fn compare(&mut self, now: Now, worker: u16, node: &Node, judge: &mut Judge) {
        let (exact, is_lossy) = (self.is_exact(), self.is_lossy());
        for (user, person) in self.people.iter_mut().filter(|(user, _)| self.homes.of(user) == worker) {
            person.looked(self.given.get(user).is_some_and(|rooms| !rooms.is_empty()));
            let view = node.users().view(user, now);
            let shown = Shown {
                state: view.state,
                plain: view.plain,
                connections: view.connections,
                info: view.info.as_deref().map(str::to_owned),
                rooms: match &view.rooms {
                    Some(rooms) if view.plain != State::Offline => {
                        rooms.iter().map(ToString::to_string).collect()
                    }
                    _ => BTreeSet::new(),
                },
            };
            let expected = Shown { rooms: shown.rooms.clone(), ..person.expected() };
            let both = || format!("{user} is shown as {shown:?} and is {expected:?}");
            let (is_shown, is) = (shown.plain != State::Offline, person.is_here() && !person.is_unseen());
            judge.holds("no_false_offline", is_shown || !is, both);
            judge.holds("no_ghost", is || !is_shown, both);
            judge.holds("no_ghost", shown.connections == expected.connections, both);
            judge.holds("best_of_devices", !exact || shown == expected, both);
            let unseen = if person.is_unseen() { person.devices.len() } else { 0 };
            judge.holds("unseen", usize::from(view.unseen) == unseen, both);
            let latest = view.since_millis.max(view.last_seen_millis);
            judge.holds("no_time_ahead", latest <= now.unix_millis, || {
                format!("{user} is shown at {} as {view:?}", now.unix_millis)
            });
            // A home that was lost may have forgotten one who went before it had heard everything.
            let hid = [view.reason, person.reason].contains(&Some(Reason::Hidden));
            let is_forgotten = is_lossy && (hid || view.reason.is_none());
            if !is && person.reason.is_some() && !is_forgotten {
                judge.holds("told_with_its_reason", view.reason == person.reason, || {
                    format!("{user} went for {:?}, shown is {:?}", person.reason, view.reason)
                });
            }
            let last = person.shown.last().cloned().unwrap_or_default();
            let grew = view.version.cmp(&last.0);
            // Where sight is restricted, who comes back into a room in the step in which it is out of it at last is as before.
            let is_same = shown == last.1 && !(self.rules.restricted && self.given.contains_key(user));
            judge.holds(
                "versions_ascend",
                // A home that was lost knows nothing of those who are neither here nor watched.
                match grew.is_gt() {
                    true => !is_same || person.is_lost || (is_lossy && person.shown.is_empty()),
                    false => shown == last.1 && (grew.is_eq() || (person.is_lost && view.version == 0)),
                },
                || format!("{user} was {last:?} and is {shown:?} with version {}", view.version),
            );
            if grew.is_gt() {
                person.shown.push((view.version, shown));
                person.is_lost = false;
            }
            // Of who is offline the rooms' homes may speak late: that is a version of nobody's.
            if let (Some((_, last)), Some(rooms)) = (person.shown.last_mut(), view.rooms)
                && last.plain == State::Offline
            {
                let names = rooms.iter().map(ToString::to_string);
                person.offline_in.entry(view.version).or_default().extend(names);
            }
        }
        for (room, members) in self.rooms.iter().filter(|(room, _)| self.homes.of(room) == worker) {
            // Which of them are seen, their edges say, each in its time.
            let (seen, unseen) = (node.rooms().members(room), node.rooms().unseen(room));
            let shown: BTreeSet<&str> = seen.chain(unseen).map(|name| &**name).collect();
            let expected: BTreeSet<&str> = members.keys().map(String::as_str).collect();
            let lost = expected.difference(&shown).next().is_some();
            let both = || format!("{room} shows {shown:?} and has {expected:?}");
            judge.holds("no_ghost", lost || shown == expected, both);
            judge.holds("no_false_leave", !lost, both);
        }
    }
}
