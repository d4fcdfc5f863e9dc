//! What homes have to show, worked out again from the letters that reach them: connections, those within their grace,
//! states, members; and who is banned, and from where. It shares no code with the homes.

mod announced;
mod compare;
mod order;
mod person;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use rollcall::internals::presence::message::{Claim, Leaving, ReplyTo};
use rollcall::internals::presence::{ClientRef, Homes, Message, Moderation, Name, Reason, Rules, State};
use rollcall::internals::time::{Now, Tick};

use self::announced::Rounds;
pub(super) use self::person::Shown;
use self::person::{Device, Person, Word};

/// The first invariant that was broken, with what there is to say about it.
#[derive(Clone, Debug)]
pub(super) struct Broken {
    pub(super) invariant: &'static str,
    pub(super) detail: String,
}

/// Takes note of broken invariants; a strict one panics.
#[derive(Debug, Default)]
pub(super) struct Judge {
    pub(super) strict: bool,
    pub(super) first: Option<Broken>,
}

impl Judge {
    pub(super) fn broken(&mut self, invariant: &'static str, detail: String) {
        assert!(!self.strict, "{invariant}: {detail}");
        self.first.get_or_insert(Broken { invariant, detail });
    }

    pub(super) fn holds(&mut self, invariant: &'static str, is: bool, detail: impl FnOnce() -> String) {
        if !is {
            self.broken(invariant, detail());
        }
    }
}

#[derive(Debug, Default)]
struct Member {
    /// By worker and slot: of the edge's announcements, the one in which that was said.
    clients: BTreeMap<(u16, u32), u32>,
    in_grace: Vec<Tick>,
}

/// All homes.
#[derive(Debug)]
pub(super) struct Model {
    rules: Rules,
    homes: Homes,
    rounds: Rounds,
    was_lost: bool,
    people: BTreeMap<String, Person>,
    rooms: BTreeMap<String, BTreeMap<String, Member>>,
    /// Until when users are banned, in microseconds, from a room or from all.
    bans: BTreeMap<(Name, Option<Name>), u64>,
    /// Clients that were refused and still have places at their edges: room, user, worker, and the edge's number.
    barred: BTreeSet<(String, String, u16, u16)>,
    /// Clients of other workers that were kicked and are yet to go: the home, and the announcement in which they were there still.
    kicked: BTreeMap<(u16, u32, u32), (u16, u32)>,
    /// Rooms that users were given.
    given: BTreeMap<String, BTreeSet<Name>>,
    /// Users and rooms of orders that were refused, while some such order may be on its way.
    doubted: BTreeSet<(String, Name)>,
    /// What was said: who and what, by room, epoch and offset.
    pub(super) said: BTreeMap<(String, u64, u64), (String, String)>,
}

impl Model {
    pub(super) fn new(rules: Rules, homes: Homes) -> Model {
        Model {
            rules,
            homes,
            rounds: Rounds::default(),
            was_lost: false,
            people: BTreeMap::new(),
            rooms: BTreeMap::new(),
            bans: BTreeMap::new(),
            barred: BTreeSet::new(),
            kicked: BTreeMap::new(),
            given: BTreeMap::new(),
            doubted: BTreeSet::new(),
            said: BTreeMap::new(),
        }
    }

    /// A letter is handled by its home. Returns the clients that it sends away for it: worker, slot and reason.
    pub(super) fn message(&mut self, now: Now, message: &Message) -> Vec<(u16, u32, Reason)> {
        match message {
            Message::Up { user, at, .. } if self.is_banned(now, user, None) => {
                return vec![(at.worker, at.client.slot, Reason::Kicked)];
            }
            Message::Up { user, at, claim, state } => {
                self.kicked.remove(&(at.worker, at.client.slot, at.client.serial));
                return self.up(now, user, *at, claim, *state);
            }
            Message::Renewed { user, at, claim } => {
                self.people.entry(user.to_string()).or_default().claims(*at, claim);
            }
            Message::Down { user, at, reason, .. } => {
                self.kicked.remove(&(at.worker, at.client.slot, at.client.serial));
                self.down(now, user, *at, *reason);
            }
            Message::Status { user, at, state, info, ttl_seconds, .. } => {
                let person = self.people.entry(user.to_string()).or_default();
                let Some(device) = person.live(*at) else { return Vec::new() };
                let was = device.away;
                let shows = *state == Some(State::Busy) || (*state == Some(State::Online) && !was);
                if shows && person.own == Some(State::Invisible) && person.has_just_hidden(now) {
                    return Vec::new();
                }
                let Some(device) = person.live(*at) else { return Vec::new() };
                device.away = state.map_or(was, |said| said == State::Away);
                // Who was away and is back says nothing more by that.
                person.is(
                    now,
                    match state {
                        Some(State::Busy | State::Invisible) => *state,
                        Some(State::Online) => person.own.filter(|_| was),
                        _ => person.own,
                    },
                );
                if let Some(info) = info {
                    let until = ttl_seconds.map(|seconds| now.tick.after(seconds * 100));
                    person.says(*at, Some(info.to_string()).filter(|info| info != "null"), false, until);
                }
            }
            Message::Suspect { user, at, suspect } => {
                if let Some(device) = self.people.entry(user.to_string()).or_default().live(*at) {
                    device.suspect = *suspect;
                }
            }
            Message::Join { room, user, again: false, visit, reply_to, .. }
                if self.is_banned(now, user, Some(room)) =>
            {
                self.barred.insert((room.to_string(), user.to_string(), reply_to.at.worker, *visit));
            }
            Message::Join { room, user, again: false, reply_to: ReplyTo { at, .. }, .. } => {
                let round = self.rounds.of(self.homes, room, at.worker);
                self.comes(room, user, (at.worker, at.client.slot), round);
            }
            Message::Kick { user, seconds, .. } => {
                if let Some(seconds) = seconds {
                    self.ban(now, user, None, *seconds);
                } else {
                    self.kicks(user);
                }
                let Some(person) = self.people.get_mut(&**user) else { return Vec::new() };
                person.went(Reason::Kicked);
                let devices = std::mem::take(&mut person.devices);
                let live = devices.iter().filter(|device| device.lingers.is_none());
                return live.map(|device| (device.at.0, device.at.1, Reason::Kicked)).collect();
            }
            Message::Moderate { what: Moderation::Lift { user, room }, .. } => {
                self.bans.insert((user.clone(), room.clone()), 0);
            }
            Message::Moderate {
                what: what @ (Moderation::EndGrace { room, user } | Moderation::Ban { room, user, .. }),
                ..
            } => {
                if let Moderation::Ban { seconds, .. } = what {
                    self.ban(now, user, Some(room), *seconds);
                }
                let Some(members) = self.rooms.get_mut(&**room) else { return Vec::new() };
                if let Some(member) = members.get_mut(&**user) {
                    member.in_grace.clear();
                }
                members.retain(|_, member| !member.clients.is_empty() || !member.in_grace.is_empty());
            }
            Message::Leave { room, user, at, visit, leaving, .. } => {
                let is_banned = self.is_banned(now, user, Some(room));
                let leaving = if is_banned { Leaving::Now } else { *leaving };
                if !self.barred.remove(&(room.to_string(), user.to_string(), at.worker, *visit)) {
                    self.leave(now, (room, user), *at, leaving);
                }
            }
            _ => {}
        }
        Vec::new()
    }

    fn up(
        &mut self,
        now: Now,
        user: &str,
        at: ClientRef,
        claim: &Claim,
        state: Option<State>,
    ) -> Vec<(u16, u32, Reason)> {
        let round = self.rounds.of(self.homes, user, at.worker);
        let person = self.people.entry(user.to_owned()).or_default();
        let was_here = !person.devices.is_empty();
        person.own = person.own.filter(|_| was_here);
        let mut new = Device {
            at: (at.worker, at.client.slot, at.client.serial),
            lingers: None,
            away: false,
            suspect: false,
            token: false,
            word: None,
            round,
        };
        // An edge that was started anew may give a client the address of one that it had before.
        let same = person.devices.iter().position(|device| device.at == new.at && device.lingers.is_none());
        if let Some(i) = same {
            let Device { word, away, .. } = person.devices.remove(i);
            (new.away, new.word) = (away, word);
        } else if let Some(i) = person.devices.iter().position(|device| device.lingers.is_some()) {
            let Device { lingers, word, away, .. } = person.devices.remove(i);
            new.away = away;
            let until = |before: Option<Tick>| {
                before.into_iter().chain(lingers.map(|(until, _)| until)).reduce(Tick::min)
            };
            new.word = word.filter(|word| !word.claim).map(|word| Word { until: until(word.until), ..word });
        }
        new.away = state.map_or(new.away, |state| state == State::Away);
        let said = state.filter(|state| matches!(state, State::Busy | State::Invisible));
        // A page that comes back ends nobody's being invisible.
        let own = person.own.filter(|own| *own == State::Invisible).or(said).or(person.own);
        person.devices.push(new);
        person.claims(at, claim);
        // Who comes as that turns nothing: nobody saw them.
        if was_here {
            person.is(now, own);
        }
        person.own = own;
        person.ever_unseen |= person.is_unseen();
        let live = |device: &Device| device.lingers.is_none();
        let mut replaced = Vec::new();
        while person.devices.iter().filter(|device| live(device)).count() > self.rules.connections_per_user {
            let oldest = person.devices.iter().position(live).expect("more than the cap");
            let (worker, slot, _) = person.devices.remove(oldest).at;
            replaced.push((worker, slot, Reason::Replaced));
        }
        replaced
    }

    fn down(&mut self, now: Now, user: &str, at: ClientRef, reason: Reason) {
        let (person, grace) = (self.people.entry(user.to_owned()).or_default(), self.rules.grace);
        let Some(device) = person.live(at) else { return };
        if reason.is_final() || grace == 0 {
            let at = device.at;
            person.went(reason);
            person.devices.retain(|device| device.at != at || device.lingers.is_some());
        } else {
            device.lingers = Some((now.tick.after(grace), reason));
        }
    }

    fn leave(&mut self, now: Now, (room, user): (&str, &str), at: ClientRef, leaving: Leaving) {
        let Some(members) = self.rooms.get_mut(room) else { return };
        let Some(member) = members.get_mut(user) else { return };
        if member.clients.remove(&(at.worker, at.client.slot)).is_none() {
            return;
        }
        if leaving == Leaving::Perhaps && self.rules.grace > 0 {
            member.in_grace.push(now.tick.after(self.rules.grace));
        }
        members.retain(|_, member| !member.clients.is_empty() || !member.in_grace.is_empty());
    }

    /// A worker does what is due.
    pub(super) fn due(&mut self, now: Now, worker: u16) {
        self.sweep(now, worker);
        for (_, person) in self.people.iter_mut().filter(|(user, _)| self.homes.of(user) == worker) {
            let (mut went, unseen) = (None, person.is_unseen());
            person.devices.retain(|device| match device.lingers {
                Some((until, reason)) if now.tick.has_reached(until) => {
                    went = Some(reason);
                    false
                }
                _ => true,
            });
            person.reason = went.filter(|_| !unseen).or(person.reason);
            for device in &mut person.devices {
                let is_over = |until: Tick| now.tick.has_reached(until);
                device.word.take_if(|word| word.until.is_some_and(is_over));
            }
        }
        for (_, members) in self.rooms.iter_mut().filter(|(room, _)| self.homes.of(room) == worker) {
            for member in members.values_mut() {
                member.in_grace.retain(|until| !now.tick.has_reached(*until));
            }
            members.retain(|_, member| !member.clients.is_empty() || !member.in_grace.is_empty());
        }
    }

    /// What a user's home showed with a version, and whether a watcher that knew `since` has missed anything before.
    pub(super) fn at_version(
        &self,
        user: &str,
        version: u64,
        since: u64,
        suspect: bool,
    ) -> Option<(&Shown, bool)> {
        let shown = &self.people.get(user)?.shown;
        let i = shown.iter().position(|(at, _)| *at == version)?;
        // Where two versions came in one step, the model has only seen the second.
        let next = shown.iter().map(|(at, _)| *at).find(|at| *at >= since);
        let since = next.filter(|_| self.is_restricted() && since > 0).unwrap_or(since);
        let never = Shown::default();
        let missed = (0..i).filter(|i| shown[*i].0 > since).any(|i| {
            let before = i.checked_sub(1).map_or(&never, |i| &shown[i].1);
            shown[i].1.differs_plainly(before) || (suspect && shown[i].1.state != before.state)
        });
        Some((&shown[i].1, missed))
    }

    /// The rooms in which a user could be seen who was shown with a version: those of the one before too, for who is told
    /// that the user is gone, and those of the next, where both came at once.
    pub(super) fn rooms_at(&self, user: &str, version: u64) -> BTreeSet<String> {
        let Some(Person { shown, offline_in, .. }) = self.people.get(user) else { return BTreeSet::new() };
        let at = shown.partition_point(|(at, _)| *at < version);
        let is_shown = shown.get(at).is_some_and(|(at, _)| *at == version);
        let is_gone = is_shown && shown[at].1.plain == State::Offline;
        let first = if is_shown && !is_gone { at } else { at.saturating_sub(1) };
        let around = shown.iter().skip(first).take(at + 1 - first);
        let rooms = around.flat_map(|(_, shown)| &shown.rooms);
        rooms.chain(offline_in.get(&version).into_iter().flatten()).cloned().collect()
    }

    /// Whether every watcher of a user has seen a change since a version.
    pub(super) fn has_changed(&self, user: &str, since: u64) -> bool {
        let Some(Person { shown, .. }) = self.people.get(user) else { return false };
        // As above: of two versions in one step the model has only seen the second.
        let next = shown.iter().map(|(at, _)| *at).find(|at| *at >= since);
        let since = next.filter(|_| self.is_restricted()).unwrap_or(since);
        let is_first = shown.first().is_some_and(|(version, _)| *version > since);
        let mut changes = shown.windows(2).filter(|pair| pair[1].0 > since);
        is_first || changes.any(|pair| pair[1].1.differs_plainly(&pair[0].1))
    }

    /// The slots of a user's live connections at a worker, oldest first.
    pub(super) fn live_at(&self, user: &str, worker: u16) -> Vec<u32> {
        let devices = self.people.get(user).into_iter().flat_map(|person| &person.devices);
        let here = devices.filter(|device| device.lingers.is_none() && device.at.0 == worker);
        here.map(|device| device.at.1).collect()
    }

    /// A user's live connections: worker, slot and serial.
    pub(super) fn live(&self, user: &str) -> Vec<(u16, u32, u32)> {
        let devices = self.people.get(user).into_iter().flat_map(|person| &person.devices);
        devices.filter(|device| device.lingers.is_none()).map(|device| device.at).collect()
    }

    /// Whether a user is invisible.
    pub(super) fn is_unseen(&self, user: &str) -> bool {
        self.people.get(user).is_some_and(Person::is_unseen)
    }

    /// Whether a user ever was.
    pub(super) fn was_unseen(&self, user: &str) -> bool {
        self.people.get(user).is_some_and(|person| person.ever_unseen)
    }

    /// Whether a user is in a room with a connection that is there.
    pub(super) fn has_clients(&self, room: &str, user: &str) -> bool {
        self.rooms.get(room).and_then(|room| room.get(user)).is_some_and(|member| !member.clients.is_empty())
    }

    /// The members of a room that are to be seen.
    pub(super) fn members(&self, room: &str) -> BTreeSet<String> {
        let members = self.rooms.get(room).into_iter().flat_map(BTreeMap::keys);
        members.filter(|user| !self.is_unseen(user)).cloned().collect()
    }

    /// Users with a connection, those within their grace counted in.
    pub(super) fn present(&self) -> BTreeSet<String> {
        let present = self.people.iter().filter(|(_, person)| !person.devices.is_empty());
        present.map(|(user, _)| user.clone()).collect()
    }

    /// Users that a home has ever shown, or knows for the rooms that they were given.
    pub(super) fn ever_shown(&self, worker: u16) -> RangeInclusive<usize> {
        let here = || self.people.iter().filter(|(user, _)| self.homes.of(user) == worker);
        let shown = here().filter(|(_, person)| !person.shown.is_empty() && !person.was_lost).count();
        // Some whom nobody saw are kept for rooms that they were given or put out of, unless that was refused after all.
        let is_kept = |person: &Person| !person.shown.is_empty() || person.was_kept || person.ever_unseen;
        shown..=here().filter(|(_, person)| is_kept(person)).count()
    }

    pub(super) fn rooms(&self) -> impl Iterator<Item = &String> {
        self.rooms.keys()
    }

    pub(super) fn people(&self) -> Vec<String> {
        self.people.keys().cloned().collect()
    }

    /// Where sight is restricted, who goes offline and out of a room in one step is shown with two versions.
    pub(super) fn is_restricted(&self) -> bool {
        self.rules.restricted
    }

    /// Whether a home was ever lost: what it knew of those who were offline is, too.
    pub(super) fn is_lossy(&self) -> bool {
        self.was_lost
    }

    /// Whether all that homes show follows from letters: pages' own heartbeats can't be seen from outside.
    pub(super) fn is_exact(&self) -> bool {
        self.rules.page_silence.is_none()
    }
}
