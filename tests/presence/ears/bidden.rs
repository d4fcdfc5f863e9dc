//! What a client hears that a desk has brought somewhere: it did not ask, and has no answer to wait for.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Asked, Ears, Hearing};
use crate::presence::ask::Ask;
use crate::presence::model::Judge;

impl Ears {
    /// A desk has it come into a room, or go out. Says whether that changes anything.
    pub(in crate::presence) fn is_bidden(&mut self, room: &str, joins: bool, has_room: bool) -> bool {
        if joins {
            if has_room {
                self.visited.insert(room.to_owned());
                self.left.remove(room);
            }
            let is_new = has_room && self.rooms.insert(room.to_owned());
            if is_new {
                *self.entered.entry(room.to_owned()).or_default() += 1;
                *self.bidden.entry(room.to_owned()).or_default() += 1;
            }
            return is_new;
        }
        if let Some(hearing) = self.hears.get_mut(room) {
            hearing.stopped = true;
        }
        self.rooms.remove(room)
    }

    /// It came into a room, or went out, without having asked.
    pub(super) fn brought(&mut self, json: &Value, judge: &mut Judge, text: &str) {
        let room = json["room"].as_str().unwrap();
        let number = |field: &str| json[field].as_u64().unwrap();
        let (epoch, offset, count) = (number("epoch"), number("offset"), number("count"));
        let membership = number("membership");
        judge
            .holds("given_is_joined", json["by"] == "server", || format!("{}: by nobody: {text}", self.name));
        if json["event"] == "leave" {
            self.hears.remove(room);
            return;
        }
        let is_new = self.hears.get(room).is_none_or(|known| known.stopped);
        judge.holds("one_order_per_room", is_new || self.lossy, || {
            format!("{}: was in there: {text}", self.name)
        });
        let stops = |asked: &Asked| matches!(&asked.ask, Ask::Leave(other) if other == room);
        // It may be in by another place than that one.
        let is_fresh = |asked: &Asked| asked.fresh && matches!(&asked.ask, Ask::Join(other) if other == room);
        let bidden = self.bidden.entry(room.to_owned()).or_default();
        let is_again = *bidden > 1 || self.asked.values().any(is_fresh);
        *bidden = bidden.saturating_sub(1);
        let stopped = is_again || self.asked.values().any(stops) || !self.rooms.contains(room);
        let known = BTreeMap::new();
        let hearing = Hearing { epoch, offset, count, membership, known, stopped };
        self.hears.insert(room.to_owned(), hearing);
    }
}
