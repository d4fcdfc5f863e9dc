//! What pages believe: each keeps the lists of the rooms that it is in, from nothing but what it is sent. One kind trusts every
//! answer and every event as it comes; the other asks for pages of two members and compares positions.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::ask::Ask;
use super::model::{Judge, Model};
use super::rig::World;

const BELIEVES: &str = "page_believes_the_truth";
/// Two seconds.
const TICKS: u32 = 200;

/// How a page keeps a list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Manner {
    /// It replaces its list by the answer to `who`, and does what events say.
    Trusting,
    /// It takes a list in pages, and of the events those with a larger `membership` than the page they are about.
    Comparing,
}

/// Whether a page has its list.
#[derive(PartialEq, Eq, Debug)]
enum Fetch {
    /// It has to ask for what is behind this name.
    Wanted(Option<String>),
    /// It has asked, by this number.
    Asked(Option<String>, Option<i64>),
    Done,
}

#[derive(Debug)]
struct List {
    epoch: u64,
    /// The position of the last answer or event.
    heard: Option<u64>,
    users: BTreeSet<String>,
    /// The pages it has: the last name of each, and its position.
    pages: Vec<(Option<String>, u64)>,
    fetch: Fetch,
}

impl List {
    fn new(epoch: u64, heard: Option<u64>) -> List {
        List { epoch, heard, users: BTreeSet::new(), pages: Vec::new(), fetch: Fetch::Wanted(None) }
    }

    /// Changes were not told.
    fn misses(&mut self, manner: Manner) {
        if manner == Manner::Comparing {
            self.users.clear();
            self.pages.clear();
            self.fetch = Fetch::Wanted(None);
        } else if self.fetch == Fetch::Done {
            self.fetch = Fetch::Wanted(None);
        }
    }

    fn change(&mut self, manner: Manner, user: &str, comes: bool, membership: u64) {
        let covers = |page: &&(Option<String>, u64)| page.0.as_deref().is_none_or(|last| user <= last);
        let page = self.pages.iter().find(covers);
        if manner == Manner::Comparing && page.is_none_or(|(_, known)| *known >= membership) {
            return;
        }
        if comes {
            self.users.insert(user.to_owned());
        } else {
            self.users.remove(user);
        }
    }
}

/// The page at one connection; `None`: it keeps no lists.
#[derive(Debug, Default)]
pub(super) struct Page {
    manner: Option<Manner>,
    name: String,
    lists: BTreeMap<String, List>,
    /// Letters between workers are lost.
    pub(super) lossy: bool,
    /// The last command to leave each room: what it asked before that is of no use.
    leaves: BTreeMap<String, i64>,
}

fn number(json: &Value, field: &str) -> u64 {
    json[field].as_u64().unwrap_or_else(|| panic!("no {field} in {json}"))
}

fn names(json: &Value) -> Vec<String> {
    let name = |name: &Value| name.as_str().unwrap().to_owned();
    json.as_array().into_iter().flatten().map(name).collect()
}

impl Page {
    pub(super) fn new(manner: Manner, name: &str) -> Page {
        Page { manner: Some(manner), name: name.to_owned(), ..Page::default() }
    }

    /// What it has to ask for now.
    fn wants(&mut self) -> Vec<Ask> {
        let Some(manner) = self.manner else { return Vec::new() };
        let mut asks = Vec::new();
        for (room, list) in &mut self.lists {
            if let Fetch::Wanted(after) = &mut list.fetch {
                let after = after.take();
                list.fetch = Fetch::Asked(after.clone(), None);
                let limit = if manner == Manner::Trusting { 256 } else { 2 };
                asks.push(Ask::Who { room: room.clone(), limit, after });
            }
        }
        asks
    }

    /// A command is sent.
    pub(super) fn asks(&mut self, seq: i64, ask: &Ask) {
        match ask {
            Ask::Leave(room) => {
                self.lists.remove(room);
                self.leaves.insert(room.clone(), seq);
            }
            Ask::Who { room, .. } => {
                if let Some(List { fetch: Fetch::Asked(_, number @ None), .. }) = self.lists.get_mut(room) {
                    *number = Some(seq);
                }
            }
            _ => {}
        }
    }

    /// A command is answered.
    pub(super) fn answered(&mut self, seq: i64, ask: &Ask, body: &Value, judge: &mut Judge) {
        let Some(manner) = self.manner else { return };
        let is_done = body["code"] == 200;
        match ask {
            Ask::Join(room) if is_done && self.leaves.get(room).is_none_or(|left| *left < seq) => {
                let (epoch, heard) = (number(body, "epoch"), number(body, "membership"));
                self.lists.entry(room.clone()).or_insert_with(|| List::new(epoch, Some(heard)));
            }
            Ask::Leave(room) if is_done => drop(self.lists.remove(room)),
            // It is in there still.
            Ask::Leave(room) if body["code"] == 429 => {
                self.leaves.remove(room);
                self.lists.insert(room.clone(), List::new(0, None));
            }
            Ask::Who { room, .. } => {
                let name = &self.name;
                let Some(list) = self.lists.get_mut(room) else { return };
                let Fetch::Asked(after, Some(asked)) = &mut list.fetch else { return };
                if *asked != seq {
                    return;
                }
                let after = after.take();
                if !is_done {
                    list.fetch = Fetch::Wanted(after);
                    return;
                }
                let (epoch, membership) = (number(body, "epoch"), number(body, "membership"));
                judge.holds(BELIEVES, list.epoch == epoch || list.epoch == 0, || {
                    format!("{name}: in epoch {} of {room}: {body}", list.epoch)
                });
                judge.holds(BELIEVES, list.heard.is_none_or(|heard| heard <= membership), || {
                    format!("{name}: heard of {room} up to {:?}, and now: {body}", list.heard)
                });
                let users = body["users"].as_array().unwrap().iter();
                let users: BTreeSet<String> =
                    users.map(|user| user["user"].as_str().unwrap().to_owned()).collect();
                let next = body["next"].as_str().map(str::to_owned);
                let is_whole = after.is_none() && next.is_none();
                judge.holds(BELIEVES, !is_whole || users.len() as u64 == number(body, "count"), || {
                    format!("{name}: not so many: {body}")
                });
                let in_range = users.iter().all(|user| next.as_ref().is_none_or(|next| user <= next));
                judge.holds(BELIEVES, in_range, || format!("{name}: behind the end of the page: {body}"));
                if manner == Manner::Trusting {
                    (list.users, list.fetch) = (users, Fetch::Done);
                    return;
                }
                list.users.extend(users);
                list.pages.push((next.clone(), membership));
                list.fetch = next.map_or(Fetch::Done, |next| Fetch::Wanted(Some(next)));
            }
            _ => {}
        }
    }

    /// An event comes.
    pub(super) fn told(&mut self, json: &Value, judge: &mut Judge) {
        let (Some(manner), Some(room)) = (self.manner, json["room"].as_str()) else { return };
        let comes = json["event"] == "join";
        match json["event"].as_str() {
            Some("join") if json["epoch"].is_u64() => {
                let list = List::new(number(json, "epoch"), Some(number(json, "membership")));
                self.lists.insert(room.to_owned(), list);
            }
            Some("leave") if json["epoch"].is_u64() => drop(self.lists.remove(room)),
            Some("join" | "leave") => {
                let (name, membership) = (&self.name, number(json, "membership"));
                let Some(list) = self.lists.get_mut(room) else { return };
                let follows = list.heard.is_none_or(|heard| heard + 1 == membership);
                judge.holds(BELIEVES, follows || self.lossy, || {
                    format!("{name}: heard up to {:?}: {json}", list.heard)
                });
                list.heard = Some(membership);
                if !follows {
                    list.misses(manner);
                }
                list.change(manner, json["user"].as_str().unwrap(), comes, membership);
            }
            Some("room") => self.told_of_many(manner, room, json, judge),
            _ => {}
        }
    }

    fn told_of_many(&mut self, manner: Manner, room: &str, json: &Value, judge: &mut Judge) {
        let (name, membership) = (&self.name, number(json, "membership"));
        let Some(list) = self.lists.get_mut(room) else { return };
        let heard = list.heard.replace(membership);
        let follows = heard.is_none_or(|heard| (number(json, "since")..=membership).contains(&heard));
        judge.holds(BELIEVES, follows || self.lossy, || format!("{name}: heard up to {heard:?}: {json}"));
        if json["list"] == false {
            // A room that was lost counts from its epoch on.
            if membership > 1 << 49 {
                list.epoch = 0;
            }
            list.misses(manner);
        } else if json["members"].is_array() {
            list.users = names(&json["members"]).into_iter().collect();
            judge.holds(BELIEVES, list.users.len() as u64 == number(json, "count"), || {
                format!("{name}: not so many: {json}")
            });
            if manner == Manner::Comparing {
                (list.pages, list.fetch) = (vec![(None, membership)], Fetch::Done);
            }
        } else {
            if !follows {
                list.misses(manner);
            }
            for (users, comes) in [(&json["joined"], true), (&json["left"], false)] {
                names(users).iter().for_each(|user| list.change(manner, user, comes, membership));
            }
        }
    }

    /// Two seconds after the last change: it has a list of each room that it is in, and each is right.
    pub(super) fn settled(&self, rooms: &BTreeSet<String>, model: &Model, judge: &mut Judge) {
        for room in rooms.iter().filter(|_| self.manner.is_some()) {
            let (list, members) = (self.lists.get(room), model.members(room));
            let is_true = list.is_some_and(|list| list.fetch == Fetch::Done && list.users == members);
            judge.holds(BELIEVES, is_true, || {
                format!("{}: {room} has {members:?}, and it believes {list:?}", self.name)
            });
        }
    }
}

impl World {
    /// Pages ask for what they want to know.
    pub(super) fn pages_ask(&mut self) {
        for c in 0..self.clients.len() {
            if self.clients[c].open && self.clients[c].closing.is_none() {
                let asks = self.clients[c].ears.page.wants();
                for ask in asks {
                    self.ask(c, &ask);
                }
            }
        }
    }

    /// Two seconds pass in which nothing happens but what pages ask.
    pub(super) fn pages_come_to_rest(&mut self) {
        if self.clients.iter().all(|peer| peer.ears.page.manner.is_none()) {
            return;
        }
        for _ in 0..TICKS / 10 {
            self.pages_ask();
            self.settle();
            self.pass(10);
            self.settle();
        }
    }
}
