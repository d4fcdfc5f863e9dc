//! What one client asked and hears, and whether it may hear that.

mod bidden;
mod rooms;
mod settled;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::ask::Ask;
use super::eyes::check_shown;
use super::model::{Judge, Model};
use super::page::Page;

#[derive(Debug)]
struct Asked {
    ask: Ask,
    /// A `join` that brought the client in, as its edge sees it.
    fresh: bool,
    /// Of a `join`: which of its places in the room it is about.
    place: u64,
}

/// A room as the client knows it.
#[derive(Debug)]
struct Hearing {
    epoch: u64,
    offset: u64,
    count: u64,
    membership: u64,
    /// Who was told to come or go last, and which of the two.
    known: BTreeMap<String, bool>,
    /// It said `leave`.
    stopped: bool,
}

/// What a watcher was told last.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Told {
    pub(super) version: u64,
    pub(super) state: String,
    pub(super) connections: u64,
    pub(super) info: Value,
}

impl Told {
    fn of(json: &Value) -> Told {
        Told {
            version: json["version"].as_u64().unwrap(),
            state: json["state"].as_str().unwrap().to_owned(),
            connections: json["connections"].as_u64().unwrap(),
            info: json["info"].clone(),
        }
    }
}

#[derive(Debug)]
pub(super) struct Watch {
    /// Whether it is told of suspicions; unknown while a change of that is on its way, and after a refusal.
    pub(super) suspect: Option<bool>,
    /// The command that began it.
    begun: i64,
    /// What it asked for last.
    wanted: bool,
    /// A command of those that are on their way, or were with it, was refused.
    refused: bool,
    /// Whether it is a watch at all; in doubt after a refusal between other commands.
    pub(super) sure: bool,
    /// It was told so in the words that it wants.
    comparable: bool,
    /// Every change since what it was told last comes.
    gapless: bool,
    pub(super) told: Option<Told>,
}

impl Watch {
    fn new(begun: i64, suspect: bool) -> Watch {
        let (wanted, suspect) = (suspect, Some(suspect));
        Watch {
            suspect,
            begun,
            wanted,
            refused: false,
            sure: true,
            comparable: true,
            gapless: false,
            told: None,
        }
    }
}

/// The ears of one client.
#[derive(Debug, Default)]
pub(super) struct Ears {
    pub(super) name: String,
    asked: BTreeMap<i64, Asked>,
    /// Rooms it is in, as its edge sees it.
    pub(super) rooms: BTreeSet<String>,
    /// How often it came into each room.
    entered: BTreeMap<String, u64>,
    /// How often it was bidden into each, and is yet to be told.
    bidden: BTreeMap<String, usize>,
    hears: BTreeMap<String, Hearing>,
    pub(super) watches: BTreeMap<String, Watch>,
    tells: BTreeSet<String>,
    pub(super) user: Option<String>,
    /// Rooms that it has ever joined.
    visited: BTreeSet<String>,
    /// Rooms that it went out of by itself, or could not come into.
    pub(super) left: BTreeSet<String>,
    /// Where sight is restricted: patterns of whom it sees whatever rooms it is in.
    pub(super) see: Option<Vec<String>>,
    /// What the page believes that is at this connection.
    pub(super) page: Page,
    /// Letters between workers are lost.
    pub(super) lossy: bool,
}

impl Ears {
    pub(super) fn new(name: String, user: Option<&str>, see: Option<&[&str]>) -> Ears {
        let see = see.map(|see| see.iter().map(|&pattern| pattern.to_owned()).collect());
        Ears { name, user: user.map(str::to_owned), see, ..Ears::default() }
    }

    pub(super) fn asks(&mut self, seq: i64, ask: &Ask) {
        self.asked.insert(seq, Asked { ask: ask.clone(), fresh: false, place: 0 });
        self.page.asks(seq, ask);
    }

    /// The edge has taken the command on.
    pub(super) fn taken(&mut self, seq: i64) {
        let before: Vec<Ask> = self.asked.range(..seq).map(|(_, asked)| asked.ask.clone()).collect();
        let Some(asked) = self.asked.get_mut(&seq) else { return };
        match &asked.ask {
            Ask::Join(room) => {
                self.visited.insert(room.clone());
                self.left.remove(room);
                asked.fresh = self.rooms.insert(room.clone());
                let entered = self.entered.entry(room.clone()).or_default();
                *entered += u64::from(asked.fresh);
                asked.place = *entered;
            }
            Ask::Leave(room) => {
                self.rooms.remove(room);
                self.left.insert(room.clone());
                if let Some(hearing) = self.hears.get_mut(room) {
                    hearing.stopped = true;
                }
            }
            Ask::Watch { users, suspect } => {
                for user in users {
                    let watch = self.watches.entry(user.clone()).or_insert_with(|| Watch::new(seq, *suspect));
                    let same = watch.suspect == Some(*suspect);
                    watch.gapless &= same;
                    watch.suspect = watch.suspect.filter(|_| same);
                    watch.wanted = *suspect;
                    watch.refused &= before.iter().any(|ask| ask.watches(user));
                }
            }
            Ask::Unwatch(users) => users.iter().for_each(|user| drop(self.watches.remove(user))),
            _ => {}
        }
    }

    /// To whom the `tell` with that `seq`, which is not answered, has to say what.
    pub(super) fn telling(&self, seq: i64) -> Option<(&str, &str)> {
        match &self.asked.get(&seq)?.ask {
            Ask::Tell { user, data } => Some((user, data)),
            _ => None,
        }
    }

    /// A message comes.
    pub(super) fn hear(&mut self, text: &str, model: &mut Model, judge: &mut Judge) {
        let json: Value = serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
        let why = |what: &str| format!("{}: {what}: {text}", self.name);
        self.page.told(&json, judge);
        match json["event"].as_str() {
            None => {
                let seq = json["seq"].as_i64().unwrap();
                let Some(asked) = self.asked.remove(&seq).or_else(|| (seq < 0).then_some(RAW)) else {
                    return judge.broken("every_command_answered_once", why("answered again"));
                };
                let body = &json["body"];
                self.page.answered(seq, &asked.ask, body, judge);
                match body["code"].as_u64().unwrap() {
                    200 => self.answered((seq, asked.place), &asked.ask, body, model, judge, text),
                    503 => self.refused(seq, &asked),
                    _ => {}
                }
            }
            Some("say") => self.said(&json, text, model, judge),
            Some("join" | "leave") if json["epoch"].is_u64() => self.brought(&json, judge, text),
            Some("join" | "leave") => self.moved(&json, text, judge),
            Some("room") => self.many_moved(&json, text, judge),
            Some("presence") => self.changed(&json, text, model, judge),
            Some("tell") => {
                let is_new = self.tells.insert(data_of(text, "time_ms").to_owned());
                judge.holds("told_once", is_new, || format!("{}: told again: {text}", self.name));
            }
            Some(_) => {}
        }
    }

    fn answered(
        &mut self,
        (seq, place): (i64, u64),
        ask: &Ask,
        body: &Value,
        model: &mut Model,
        judge: &mut Judge,
        text: &str,
    ) {
        let number = |field: &str| body[field].as_u64().unwrap();
        match ask {
            Ask::Join(room) => {
                let (epoch, offset, count) = (number("epoch"), number("offset"), number("count"));
                let membership = number("membership");
                if let Some(known) = self.hears.get(room).filter(|known| !known.stopped && !self.lossy) {
                    // A big room is told of its members later.
                    let counted = known.count == count || known.membership < membership;
                    let same = (known.epoch, known.offset) == (epoch, offset) && counted;
                    judge.holds("one_order_per_room", same, || {
                        format!("{}: in {room} at {known:?} and again: {text}", self.name)
                    });
                    return;
                }
                let stops = |asked: &Asked| matches!(&asked.ask, Ask::Leave(other) if other == room);
                // A desk may have had it go out meanwhile, also where it is in again.
                let is_out = !self.rooms.contains(room) || self.entered.get(room) != Some(&place);
                let stopped = is_out || self.asked.range(seq..).any(|(_, asked)| stops(asked));
                let known = BTreeMap::new();
                let hearing = Hearing { epoch, offset, count, membership, known, stopped };
                self.hears.insert(room.clone(), hearing);
            }
            Ask::Leave(room) => drop(self.hears.remove(room)),
            Ask::Say { room, echo, .. } => {
                let Some(known) = self.hears.get_mut(room) else { return };
                let (epoch, offset) = (number("epoch"), number("offset"));
                let next = match self.lossy {
                    true => (known.epoch, known.offset) < (epoch, offset),
                    false => (known.epoch, known.offset + 1) == (epoch, offset),
                };
                judge.holds("one_order_per_room", next || known.stopped, || {
                    format!("{}: in {room} at {known:?}, said: {text}", self.name)
                });
                if next && !*echo {
                    (known.epoch, known.offset) = (epoch, offset);
                }
            }
            Ask::Who { room, limit, after } => {
                let users: Vec<&str> = body["users"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|user| user["user"].as_str().unwrap())
                    .collect();
                let ascend = users.is_sorted()
                    && after.as_deref().is_none_or(|after| users.iter().all(|user| *user > after));
                judge.holds("who_is_paged", ascend && users.len() <= *limit, || {
                    format!("{}: {text}", self.name)
                });
                // It may have left since it asked.
                let unseen = users.iter().find(|user| !self.sees_anyway(user));
                judge.holds("no_leak", unseen.is_none() || self.visited.contains(room), || {
                    format!("{} was never in {room}, and is told of {unseen:?}: {text}", self.name)
                });
            }
            Ask::Watch { users, suspect } => self.snapshot(users, *suspect, body, model, judge, text),
            Ask::Presence(_) => {
                for view in body["users"].as_array().unwrap() {
                    let (told, user) = (Told::of(view), view["user"].as_str().unwrap());
                    if told.version > 0 {
                        self.may_know(user, told.version, model, judge, text);
                    }
                    self.not_older(&told, user, judge, text);
                }
            }
            _ => {}
        }
    }

    fn not_older(&self, told: &Told, user: &str, judge: &mut Judge, text: &str) {
        let last = self.watches.get(user).and_then(|watch| watch.told.as_ref());
        // Who is out of sight is shown as if they were never here.
        if told.version == 0 && !self.sees_anyway(user) {
            return judge.holds("no_leak", *told == Told::of_nobody(), || format!("{}: {text}", self.name));
        }
        judge.holds("versions_ascend", last.is_none_or(|last| last.version <= told.version), || {
            format!("{}: knew {last:?} of {user}, and now: {text}", self.name)
        });
    }

    fn snapshot(
        &mut self,
        users: &[String],
        suspect: bool,
        body: &Value,
        model: &Model,
        judge: &mut Judge,
        text: &str,
    ) {
        let views = body["users"].as_array().unwrap();
        let named = views.iter().map(|view| view["user"].as_str().unwrap());
        judge.holds("snapshot_then_changes", named.eq(users.iter().map(String::as_str)), || {
            format!("{}: asked for {users:?}: {text}", self.name)
        });
        for (user, view) in users.iter().zip(views) {
            let told = Told::of(view);
            self.not_older(&told, user, judge, text);
            let others = self.asked.values().any(|asked| asked.ask.watches(user));
            if told.version > 0 {
                self.may_know(user, told.version, model, judge, text);
            }
            if let Some(watch) = self.watches.get_mut(user) {
                if told.version > 0 {
                    let why = format!("{}: shown by no home: {text}", self.name);
                    let own = self.user.as_ref() == Some(user);
                    check_shown(&told, (user, own), u64::MAX, Some(suspect), model, judge, &why);
                }
                // The answer to an earlier command says the same in that one's words: no way to compare it at the end.
                let is_same = watch.told.as_ref().is_some_and(|last| last.version == told.version);
                if suspect == watch.wanted || !is_same {
                    watch.told = Some(told);
                    watch.comparable = suspect == watch.wanted;
                }
                watch.gapless = !others && !self.lossy;
                watch.sure |= !others && !watch.refused;
                if !others && !watch.refused {
                    watch.suspect = Some(watch.wanted);
                }
            }
        }
    }

    fn changed(&mut self, json: &Value, text: &str, model: &Model, judge: &mut Judge) {
        let (user, told) = (json["user"].as_str().unwrap(), Told::of(json));
        let anyway = self.sees_anyway(user);
        let is_lost = json["reason"] == "hidden" && !anyway;
        if is_lost {
            let nothing = Told { version: told.version, ..Told::of_nobody() };
            judge.holds("no_leak", told == nothing, || format!("{}: {text}", self.name));
        } else {
            self.may_know(user, told.version, model, judge, text);
        }
        let why = |what: &str| format!("{}: {what}: {text}", self.name);
        let Some(watch) = self.watches.get_mut(user) else {
            return judge.broken("snapshot_then_changes", why("watches nobody of that name"));
        };
        let last = watch.told.as_ref().map(|last| last.version);
        judge.holds("snapshot_then_changes", last.is_some() || !watch.sure, || why("before the snapshot"));
        // Who goes out of sight and comes back may be as before.
        // And so is whoever is told of anew where letters were lost.
        let may_repeat = !anyway || self.lossy;
        let ascends = last.is_none_or(|last| last < told.version || (may_repeat && last == told.version));
        judge.holds("versions_ascend", ascends, || why(&format!("knew version {last:?}")));
        if !is_lost {
            let since = last.filter(|_| watch.gapless && anyway).unwrap_or(u64::MAX);
            let own = self.user.as_deref() == Some(user);
            check_shown(
                &told,
                (user, own),
                since,
                watch.suspect,
                model,
                judge,
                &why("not as its home shows it"),
            );
        }
        watch.told = Some(told);
    }

    /// A `watch` or `join` that was refused leaves everything as it was.
    fn refused(&mut self, seq: i64, asked: &Asked) {
        match &asked.ask {
            Ask::Join(room) if asked.fresh => self.left.extend(self.rooms.take(room)),
            Ask::Watch { users, .. } => {
                for user in users {
                    let others = self.asked.values().any(|asked| asked.ask.watches(user));
                    let Some(watch) = self.watches.get_mut(user) else { continue };
                    watch.refused = true;
                    if watch.told.is_some() {
                        (watch.suspect, watch.gapless) = (None, false);
                        // What it was told was for an earlier watch, which it has ended.
                        watch.sure &= watch.begun != seq;
                    } else if others {
                        watch.sure = false;
                    } else {
                        self.watches.remove(user);
                    }
                }
            }
            _ => {}
        }
    }
}

/// A command written by hand: nothing is known of it.
const RAW: Asked = Asked { ask: Ask::Heartbeat, fresh: false, place: 0 };

/// The bytes of `data`, which is followed by the field `next`.
fn data_of<'a>(text: &'a str, next: &str) -> &'a str {
    let (_, behind) = text.split_once(r#""data":"#).unwrap();
    behind.rsplit_once(&format!(r#","{next}":"#)).unwrap().0
}
