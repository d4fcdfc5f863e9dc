//! Users that are invisible, and of whom nobody is told anything once the letters of that have arrived.

use std::collections::BTreeSet;

use rollcall::internals::presence::State;
use serde_json::Value;

use super::ears::Ears;
use super::model::Judge;
use super::rig::World;

/// Users that have been invisible since a moment at which no letter was under way. A connection of theirs that has come since then
/// without saying so, its edge may not know of yet.
#[derive(Debug, Default)]
pub(super) struct Veiled(BTreeSet<String>);

impl Veiled {
    /// A user's client comes.
    pub(super) fn comes(&mut self, user: Option<&str>, state: Option<State>) {
        if let Some(user) = user.filter(|_| state != Some(State::Invisible)) {
            self.0.remove(user);
        }
    }

    /// A client is told something: not of these.
    pub(super) fn told(&self, ears: &Ears, text: &str, judge: &mut Judge) {
        if self.0.is_empty() {
            return;
        }
        let json: Value = serde_json::from_str(text).unwrap();
        let names = |names: &Value| names.as_array().cloned().unwrap_or_default();
        let named = match json["event"].as_str() {
            Some("join") if json["epoch"].is_null() => vec![json["user"].clone()],
            Some("room") => [names(&json["joined"]), names(&json["members"])].concat(),
            Some("presence") if json["state"] != "offline" => vec![json["user"].clone()],
            None => {
                let users = names(&json["body"]["users"]);
                let shown = users
                    .iter()
                    .filter(|user| user["state"] != "offline" || json["body"]["room"].is_string());
                shown.map(|user| user["user"].clone()).collect()
            }
            _ => Vec::new(),
        };
        let named: Vec<&str> = named.iter().filter_map(Value::as_str).collect();
        let is_named = |user: &&String| named.contains(&user.as_str());
        // It sees itself, and is in no list all the same.
        let in_room = json["room"].is_string() || json["body"]["room"].is_string();
        let is_own = |user: &&String| ears.user.as_ref() == Some(user) && !in_room;
        let shown = self.0.iter().filter(is_named).find(|user| !is_own(user));
        judge.holds("unseen", shown.is_none(), || format!("{} is told of {shown:?}: {text}", ears.name));
    }
}

impl World {
    /// Something has happened: who is not invisible any more?
    pub(super) fn look_who_is_shown(&mut self) {
        self.veiled.0.retain(|user| self.model.is_unseen(user));
    }

    /// All that follows from that has been done: who is invisible, for all to know?
    pub(super) fn look_who_is_veiled(&mut self) {
        if !self.is_quiet() || self.lossy.is_some() {
            return;
        }
        let unseen = self.model.people().into_iter().filter(|user| self.model.is_unseen(user));
        for user in unseen.collect::<Vec<_>>() {
            let mut waits = false;
            for room in self.model.rooms().cloned().collect::<Vec<_>>() {
                let home = &self.nodes[usize::from(self.homes.of(&room))];
                let is_shown = home.rooms().members(&room).any(|member| **member == *user);
                // A room that heard late of one that went lets its grace pass.
                let is_there = self.model.has_clients(&room, &user);
                self.judge.holds("unseen", !is_shown || !is_there, || format!("{room} shows {user}"));
                waits |= is_shown;
            }
            if !waits {
                self.veiled.0.insert(user);
            }
        }
    }
}
