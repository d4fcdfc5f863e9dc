//! The home of rooms: their members, the order of what is said, and which workers have members.
//!
//! Membership is a user's, delivery a connection's: `join` is told at the first connection in, `leave` after the last
//! one out. A connection that broke or closed counts for the grace, and one that comes within it takes its place: nobody
//! is told.

mod announced;
mod big;
mod erasing;
mod history;
mod history_records;
mod keeping;
mod member;
mod moderation;
mod pages;
mod records;
mod saying;
mod telling;
mod veil;

use std::collections::{BTreeMap, HashSet, VecDeque};

use crate::presence::bans::Bans;
use crate::presence::history::RoomHistory;
use crate::presence::message::{ClientRef, HomeAnswer, Leaving, Message, ReplyTo, RoomPosition};
use crate::presence::name::{Homes, Name, bytes_of};
use crate::presence::name_index::NameIndex;
use crate::presence::past::Catchup;
use crate::presence::room::big::{Big, Bounds};
use crate::presence::room::keeping::Keeping;
use crate::presence::room::member::{ClientSlot, Member};
use crate::presence::rounds::Rounds;
use crate::presence::rules::Rules;
use crate::presence::table::Table;
use crate::presence::timer::{Timer, next_serial};
use crate::presence::turn::Turn;
use crate::slots::Slots;
use crate::time::{Now, Tick};

/// Ends of graces that are not worth looking through.
const LINGERING_KEPT: usize = 64;

#[derive(Debug)]
struct Room {
    name: Name,
    serial: u32,
    epoch: u64,
    offset: u64,
    /// Users who came in and users who went out, so far.
    membership: u64,
    /// Visible members, by name, so that a page can continue after a name.
    members: BTreeMap<Name, Member>,
    /// Members all of whose clients are invisible: almost always none.
    #[expect(clippy::box_collection, reason = "8 bytes of every room in place of 24")]
    unseen: Option<Box<BTreeMap<Name, Member>>>,
    /// Workers with clients in the room, and how many.
    workers: Vec<(u16, u32)>,
    /// Members with a connection within its grace, by its end; one that came back is still here, for a while.
    in_grace: VecDeque<(Tick, Name)>,
    /// At so many of them those that came back are taken out.
    lingering_most: usize,
    /// A timer is filed for the first of them: one, however many there are.
    timed: bool,
    /// A big room, and what it is yet to be told.
    big: Option<Box<Big>>,
    /// A timer is filed for that.
    telling: bool,
    /// What is kept of what was said: where a rule says so, or somebody has used ids.
    history: Option<Box<RoomHistory>>,
    /// It has no members, and is there for its history.
    is_kept: bool,
    /// Bytes of messages that it may carry now, and when this was last filled.
    credit: u64,
    filled: Tick,
}

impl Room {
    fn place(&self) -> RoomPosition {
        let Room { epoch, offset, membership, .. } = *self;
        RoomPosition { count: self.members.len(), epoch, offset, membership }
    }

    /// A connection of a member is within its grace until then. A user who comes and goes again and again leaves at most
    /// twice as much behind as one who went once.
    fn linger(&mut self, until: Tick, user: &Name) {
        if self.in_grace.back().is_some_and(|(last, name)| (last, name) == (&until, user)) {
            return;
        }
        self.in_grace.push_back((until, user.clone()));
        if self.in_grace.len() > self.lingering_most {
            let mut all = std::mem::take(&mut self.in_grace);
            all.retain(|(until, user)| self.member(user).is_some_and(|member| member.waits_until(*until)));
            self.in_grace = all;
            self.lingering_most = 2 * self.in_grace.len() + LINGERING_KEPT;
        }
    }

    /// Sees to it that there is a timer where a member lingers.
    fn time(&mut self, slot: u32, turn: &mut Turn<'_>) {
        if let Some((until, _)) = self.in_grace.front().filter(|_| !self.timed) {
            self.timed = true;
            turn.out.timer(*until, Timer::Room { slot, serial: self.serial });
        }
    }

    /// Counts a worker's clients up or down.
    fn count(&mut self, worker: u16, change: i32) {
        if change == 0 {
            return;
        }
        let place = self.workers.iter().position(|(at, _)| *at == worker).unwrap_or_else(|| {
            self.workers.push((worker, 0));
            self.workers.len() - 1
        });
        let clients = &mut self.workers[place].1;
        *clients = clients.saturating_add_signed(change);
        if *clients == 0 {
            self.workers.swap_remove(place);
        }
    }
}

/// The rooms whose home is this worker.
#[derive(Debug)]
pub struct Rooms {
    by_name: Table,
    rooms: Slots<Room>,
    homes: Homes,
    /// Where visibility is restricted: the homes that are told who is in which room.
    told: Option<Homes>,
    /// All of them by name, for pages.
    name_index: NameIndex,
    /// Of all rooms.
    members: usize,
    /// Ends of graces, of all rooms.
    in_grace: usize,
    name_bytes: usize,
    next_serial: u32,
    next_epoch: u64,
    /// The highest epoch of a room that has ended here.
    ended: u64,
    bounds: Bounds,
    keeping: Keeping,
    rounds: Rounds,
    bans: Bans,
    /// Clients that a worker's edge has places for though they were refused, until it ends these: room, user, worker, and the
    /// edge's number.
    barred: HashSet<(Name, Name, u16, u16)>,
}

impl Rooms {
    /// `now` makes epochs that differ from those of an earlier run.
    pub(crate) fn new(homes: Homes, now: Now, rules: &Rules) -> Rooms {
        // 2^53 is the greatest number that JavaScript counts to: milliseconds times 1,000 stay below it until 2255.
        Rooms {
            by_name: Table::new(homes),
            rooms: Slots::default(),
            homes,
            told: rules.restricted.then_some(homes),
            name_index: NameIndex::default(),
            members: 0,
            in_grace: 0,
            name_bytes: 0,
            next_serial: 0,
            next_epoch: now.unix_millis * 1_000,
            ended: 0,
            bounds: Bounds::new(rules),
            keeping: Keeping::new(rules, homes.workers()),
            rounds: Rounds::new(homes.workers()),
            bans: Bans::new(homes, now.tick),
            barred: HashSet::new(),
        }
    }

    /// Rooms with members.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rooms.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rooms.is_empty()
    }

    /// Gives back what those that ended have left.
    pub(crate) fn shrink(&mut self) {
        self.rooms.shrink();
        self.name_index.shrink();
    }

    /// Bytes held, their names included; a tree's nodes are three quarters full, more or less.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let members = self.members * size_of::<(Name, Member)>() * 4 / 3;
        let tables = self.by_name.bytes() + self.name_index.bytes() + self.bans.bytes();
        let in_grace = self.in_grace * size_of::<(Tick, Name)>() * 4 / 3;
        self.rooms.bytes() + tables + self.name_bytes + members + in_grace
    }

    /// Members of a room that are seen, within their grace or not.
    pub fn members(&self, room: &str) -> impl Iterator<Item = &Name> {
        self.get(room).into_iter().flat_map(|room| room.members.keys())
    }

    /// A client comes in, by its edge's number for that; or is in already, and only wants the answer.
    pub(crate) fn join(
        &mut self,
        (room, user): (&Name, &Name),
        (visit, again, hides): (u16, bool, bool),
        catchup: Option<&Catchup>,
        reply_to: ReplyTo,
        turn: &mut Turn<'_>,
    ) {
        if self.bars((room, user), (visit, again), reply_to, turn) {
            return;
        }
        if again {
            let place = self.get(room).map_or_else(RoomPosition::default, Room::place);
            let recovery = self.recovery(room, catchup, turn);
            return turn.out.post(
                reply_to.at.worker,
                Message::Answered {
                    reply_to,
                    answer: HomeAnswer::Joined(room.clone(), place, visit, recovery),
                },
            );
        }
        let (slot, appears) = self.enter((room, user), reply_to.at, hides, turn);
        let recovery = self.recovery(room, catchup, turn);
        let home = &mut self.rooms[slot as usize];
        turn.out.post(
            reply_to.at.worker,
            Message::Answered {
                reply_to,
                answer: HomeAnswer::Joined(room.clone(), home.place(), visit, recovery),
            },
        );
        if let Some(is_in) = appears {
            let except = Some((reply_to.at.worker, reply_to.at.client));
            home.announce(slot, except, (user, is_in), self.bounds, turn);
        }
    }

    /// A client is in. Returns the room, and whether its user is seen from now on, or no more; `None`: that is as before.
    fn enter(
        &mut self,
        (room, user): (&Name, &Name),
        at: ClientRef,
        hides: bool,
        turn: &mut Turn<'_>,
    ) -> (u32, Option<bool>) {
        let slot = self.find_or_add(room);
        self.occupy(slot);
        let round = self.rounds.of(at.worker);
        let home = &mut self.rooms[slot as usize];
        let is_new = home.member(user).is_none();
        self.members += usize::from(is_new);
        let appears = home.comes(user, ((at.worker, at.client.slot), round), hides);
        if is_new && let Some(homes) = &self.told {
            // Before anybody hears of it, so that who then looks at the user finds them there.
            let (user, room) = (user.clone(), room.clone());
            turn.out.post(homes.of(&user), Message::Place { user, room, is_in: true });
        }
        (slot, appears)
    }

    /// A client goes out.
    pub(crate) fn leave(
        &mut self,
        (room, user): (&Name, &Name),
        (at, visit, hides, leaving): (ClientSlot, u16, bool, Leaving),
        reply_to: Option<ReplyTo>,
        turn: &mut Turn<'_>,
    ) {
        let was_in = !self.was_barred(room, user, at.0, visit);
        if let Some(slot) = self.find(room).filter(|_| was_in) {
            self.goes((slot, user), at, (hides, leaving == Leaving::Perhaps), turn);
        }
        if let Some(reply_to) = reply_to {
            let place = self
                .get(room)
                .filter(|room| !room.members.is_empty() || room.keeps())
                .map_or_else(RoomPosition::default, Room::place);
            turn.out.post(
                reply_to.at.worker,
                Message::Answered { reply_to, answer: HomeAnswer::Left(room.clone(), place) },
            );
        }
    }

    /// A client is out, and may be back or not.
    fn goes(
        &mut self,
        (slot, user): (u32, &Name),
        at: ClientSlot,
        (hides, may_be_back): (bool, bool),
        turn: &mut Turn<'_>,
    ) {
        let may_be_back = may_be_back
            && turn.rules.grace > 0
            && !self.is_banned(turn.now, &self.rooms[slot as usize].name, user);
        let until = may_be_back.then(|| turn.now.tick.after(turn.rules.grace));
        let home = &mut self.rooms[slot as usize];
        if home.goes(user, at, hides, until) {
            if let Some(until) = until {
                self.in_grace -= home.in_grace.len();
                home.linger(until, user);
                self.in_grace += home.in_grace.len();
            }
            home.time(slot, turn);
            self.look_at(slot, user, false, turn);
        }
    }

    /// Some member's grace may be over: a timer also fires early, where the wheel can't look as far ahead as the grace is
    /// long.
    pub(crate) fn due(&mut self, slot: u32, serial: u32, turn: &mut Turn<'_>) {
        let is_it = |room: &&mut Room| room.serial == serial;
        if let Some(home) = self.rooms.get_mut(slot as usize).filter(is_it) {
            home.timed = false;
        }
        while let Some(home) = self.rooms.get_mut(slot as usize).filter(is_it) {
            let Some((_, user)) = home.in_grace.pop_front_if(|(until, _)| turn.now.tick.has_reached(*until))
            else {
                home.time(slot, turn);
                break;
            };
            self.in_grace -= 1;
            let Some(member) = home.member_mut(&user) else { continue };
            member.expire(turn.now.tick);
            self.look_at(slot, &user, false, turn);
        }
    }

    /// The second of a big room may be over.
    pub(crate) fn count_due(&mut self, slot: u32, serial: u32, turn: &mut Turn<'_>) {
        if let Some(home) = self.rooms.get_mut(slot as usize).filter(|room| room.serial == serial) {
            home.telling = false;
            home.tell_if_due(slot, self.bounds, turn);
        }
    }

    fn gone(&mut self, slot: u32, user: &Name, turn: &mut Turn<'_>) {
        let home = &mut self.rooms[slot as usize];
        let was_seen = home.members.remove(user).is_some();
        self.members -= usize::from(was_seen || home.take_unseen(user).is_some());
        home.membership += u64::from(was_seen);
        if let Some(homes) = &self.told {
            let (user, room) = (user.clone(), home.name.clone());
            turn.out.post(homes.of(&user), Message::Place { user, room, is_in: false });
        }
        if home.members.is_empty() && home.unseen.is_none() {
            return self.emptied(slot, turn);
        }
        if was_seen {
            home.announce(slot, None, (user, false), self.bounds, turn);
        }
    }

    fn find(&self, room: &str) -> Option<u32> {
        self.by_name.find(room, |slot| &*self.rooms[slot as usize].name)
    }

    fn get(&self, room: &str) -> Option<&Room> {
        self.find(room).map(|slot| &self.rooms[slot as usize])
    }

    #[expect(clippy::cast_possible_truncation, reason = "fewer rooms than 2^32")]
    fn find_or_add(&mut self, name: &Name) -> u32 {
        if let Some(slot) = self.find(name) {
            return slot;
        }
        self.next_serial = next_serial(self.next_serial);
        self.next_epoch += 1;
        // Members of a room that was lost may have heard of any number below.
        let membership = if self.bounds.quiet_from.is_some() { self.next_epoch } else { 0 };
        let slot = self.rooms.insert(Room {
            name: name.clone(),
            serial: self.next_serial,
            epoch: self.next_epoch,
            offset: 0,
            membership,
            members: BTreeMap::new(),
            unseen: None,
            workers: Vec::new(),
            in_grace: VecDeque::new(),
            lingering_most: LINGERING_KEPT,
            timed: false,
            big: None,
            telling: false,
            history: self.keeping.history_of(name, 1),
            is_kept: false,
            credit: u64::MAX,
            filled: Tick::default(),
        }) as u32;
        self.name_bytes += bytes_of(name);
        let name_of = |slot: u32| &*self.rooms[slot as usize].name;
        self.by_name.insert(name, slot, name_of);
        self.name_index.insert(slot, name_of);
        slot
    }
}
