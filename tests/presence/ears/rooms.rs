//! What a client hears in rooms: what is said, and who comes and goes.

use serde_json::Value;

use super::{Ears, data_of};
use crate::presence::model::{Judge, Model};

impl Ears {
    pub(super) fn said(&mut self, json: &Value, text: &str, model: &mut Model, judge: &mut Judge) {
        let room = json["room"].as_str().unwrap();
        let (epoch, offset) = (json["epoch"].as_u64().unwrap(), json["offset"].as_u64().unwrap());
        let what = (json["from"].to_string(), data_of(text, "epoch").to_owned());
        let known = model.said.entry((room.to_owned(), epoch, offset)).or_insert_with(|| what.clone());
        judge.holds("one_order_per_room", *known == what, || {
            format!("{}: others heard {known:?}: {text}", self.name)
        });
        let Some(hearing) = self.hears.get_mut(room) else {
            return judge.broken("one_order_per_room", format!("{}: is not in there: {text}", self.name));
        };
        // Where letters are lost what was said in them is, and a home that was lost begins anew; nothing comes twice or goes back.
        let follows = match self.lossy {
            true => (hearing.epoch, hearing.offset) < (epoch, offset),
            false => (hearing.epoch, hearing.offset + 1) == (epoch, offset),
        };
        judge.holds("one_order_per_room", follows, || {
            format!("{}: heard up to {}/{}: {text}", self.name, hearing.epoch, hearing.offset)
        });
        (hearing.epoch, hearing.offset) = (epoch, offset);
    }

    pub(super) fn moved(&mut self, json: &Value, text: &str, judge: &mut Judge) {
        let (room, user) = (json["room"].as_str().unwrap(), json["user"].as_str().unwrap());
        let (comes, count) = (json["event"] == "join", json["count"].as_u64().unwrap());
        let Some(hearing) = self.hears.get_mut(room) else {
            return judge.broken("joins_equal_leaves", format!("{}: is not in there: {text}", self.name));
        };
        let membership = json["membership"].as_u64().unwrap();
        let follows = membership == hearing.membership + 1;
        if self.lossy && !follows {
            // Changes between were lost: of whom it was told before that it knows nothing.
            hearing.known.clear();
        }
        let was = hearing.known.insert(user.to_owned(), comes);
        let is_new = !self.lossy || hearing.membership < membership;
        judge.holds("joins_equal_leaves", is_new, || {
            format!("{}: heard up to {}: {text}", self.name, hearing.membership)
        });
        judge.holds("joins_equal_leaves", was != Some(comes) || (self.lossy && !follows), || {
            format!("{}: twice in a row: {text}", self.name)
        });
        let expected = if comes { hearing.count + 1 } else { hearing.count.saturating_sub(1) };
        judge.holds("joins_equal_leaves", count == expected || (self.lossy && !follows), || {
            format!("{}: counted {}: {text}", self.name, hearing.count)
        });
        (hearing.count, hearing.membership) = (count, membership);
    }

    /// A big room is told of many at once, or of all.
    pub(super) fn many_moved(&mut self, json: &Value, text: &str, judge: &mut Judge) {
        let Some(hearing) = self.hears.get_mut(json["room"].as_str().unwrap()) else {
            return judge.broken("joins_equal_leaves", format!("{}: is not in there: {text}", self.name));
        };
        let number = |field: &str| json[field].as_u64().unwrap();
        (hearing.count, hearing.membership) = (number("count"), number("membership"));
        let is_delta = json["list"] == true && json["members"].is_null();
        if !is_delta {
            hearing.known.clear();
        }
        for (users, comes) in [("joined", true), ("left", false), ("members", true)] {
            let users = json[users].as_array().into_iter().flatten();
            hearing.known.extend(users.map(|user| (user.as_str().unwrap().to_owned(), comes)));
        }
    }
}
