//! Whom a client may see where sight is restricted, worked out apart from the server.

use rollcall::internals::presence::State;
use serde_json::Value;

use super::ears::{Ears, Told};
use super::model::{Judge, Model};

impl Told {
    /// Of somebody who was never here.
    pub(super) fn of_nobody() -> Told {
        Told { version: 0, state: "offline".to_owned(), connections: 0, info: Value::Null }
    }
}

impl Ears {
    /// Whether it sees a user whatever rooms they are in.
    pub(super) fn sees_anyway(&self, user: &str) -> bool {
        let Some(see) = &self.see else { return true };
        let fits = |pattern: &String| match pattern.strip_suffix('*') {
            Some(start) => user.starts_with(start),
            None => user == pattern,
        };
        self.user.as_deref() == Some(user) || see.iter().any(fits)
    }

    /// It is told something of a user: was the user to be seen there?
    pub(super) fn may_know(&self, user: &str, version: u64, model: &Model, judge: &mut Judge, text: &str) {
        let theirs = model.rooms_at(user, version);
        let may = self.sees_anyway(user) || !self.rooms.is_disjoint(&theirs);
        judge.holds("no_leak", may, || {
            format!(
                "{} is in {:?} and sees {:?}, {user} in {theirs:?}: {text}",
                self.name, self.rooms, self.see
            )
        });
    }
}

/// A view that a client was told has to be as its home showed it.
pub(super) fn check_shown(
    told: &Told,
    (user, own): (&str, bool),
    since: u64,
    suspect: Option<bool>,
    model: &Model,
    judge: &mut Judge,
    why: &str,
) {
    let Some((shown, missed)) = model.at_version(user, told.version, since, suspect == Some(true)) else {
        let is_sure = model.is_exact() && !model.is_restricted() && !model.is_lossy();
        judge.holds("snapshot_then_changes", !is_sure, || why.to_owned());
        return;
    };
    // A user's own connections see it as it is.
    let state = |state: State| {
        state.name() == told.state || (own && told.state == "invisible" && state == State::Offline)
    };
    let plain_or_full = match suspect {
        Some(true) => state(shown.state),
        Some(false) => state(shown.plain),
        None => state(shown.plain) || state(shown.state),
    };
    let info = shown.info.as_deref().map_or(Value::Null, |info| serde_json::from_str(info).unwrap());
    let same = plain_or_full && shown.connections as u64 == told.connections && info == told.info;
    judge.holds("snapshot_then_changes", same, || format!("{why}: {shown:?}"));
    judge.holds("snapshot_then_changes", !missed, || format!("changes are missing before: {why}"));
}
