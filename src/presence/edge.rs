//! The clients whose sockets live at this worker: who they are, what they are in, what they may send, and what reaches them.

mod announcing;
mod arrivals;
mod awaiting;
mod commands;
mod endings;
mod heartbeats;
mod moderation;
pub(crate) mod orders;
mod pages;
mod replies;
mod sight;
mod tokens;
mod veil;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use crate::limits::COMMANDS_REFUSED_MAX;
use crate::presence::address::WorkerRef;
use crate::presence::announce::Highest;
use crate::presence::announcing::Announcing;
use crate::presence::awaiting::Awaiting;
use crate::presence::burst::{Burst, COMMAND_CREDIT};
use crate::presence::departed::Departed;
use crate::presence::effect::Effect;
use crate::presence::envelope::{Address, Asker, Claim, Client, Envelope, Ticket};
use crate::presence::event::Event;
use crate::presence::gather::Gathers;
use crate::presence::grants::{Entry, Passes};
use crate::presence::groups::Groups;
use crate::presence::name::{Homes, Name};
use crate::presence::pending::Pending;
use crate::presence::places::{Place, Places};
use crate::presence::rules::Rules;
use crate::presence::timer::next_serial;
use crate::presence::turn::Turn;
use crate::presence::view::{Reason, State, View};
use crate::presence::wall::Wall;
use crate::slots::Slots;
use crate::time::Tick;

/// A client.
#[derive(Debug)]
struct Seat {
    link: u64,
    user: Option<Name>,
    rooms: Places,
    watches: Places,
    /// What it waits for: almost always nothing.
    pending: Option<Box<Pending>>,
    serial: u32,
    /// When `credit` was last filled.
    filled: Tick,
    /// When the page's own heartbeat last came.
    beat: Tick,
    /// What it may send: [`COMMAND_CREDIT`] for each command.
    credit: u32,
    /// Commands in a row that got 429.
    refused: u8,
    /// Commands that a home is yet to answer; [`OWED_MAX`]: it isn't known how many.
    owed: u8,
    /// It was sent away, for this.
    sent_away: Option<Reason>,
    /// How it comes, once it is somebody; `None`: as the one was whose place it takes. From then on `Invisible` says that its
    /// user is that, as far as is known here.
    comes: Option<State>,
    /// Its page has stopped sending heartbeats.
    silent: bool,
    /// A Ping to it is unanswered.
    suspect: bool,
    /// What it has said last that its user is, unless that was refused.
    said: Option<State>,
    /// A timer watches the page's own heartbeat.
    timed: bool,
}

const _: () = assert!(size_of::<Seat>() <= 88);
const _: () = assert!(COMMANDS_REFUSED_MAX < u8::MAX as u32);

/// Places for views that are kept though none is there.
const SIGHTS_KEPT: usize = 1_024;
/// Commands without an answer that are counted.
const OWED_MAX: u8 = u8::MAX;

impl Seat {
    /// What it may send now.
    fn credit(&self, now: Tick, rules: &Rules) -> u32 {
        let Burst { most, per_tick } = Burst::of(rules);
        let earned = now.since(self.filled).saturating_mul(per_tick);
        self.credit.saturating_add(earned).min(most)
    }

    /// Whether it may send another command now, which counts as so many. One that counts for more than all it may send at
    /// once takes all of that.
    fn pay(&mut self, now: Tick, rules: &Rules, commands: u32) -> bool {
        self.credit = self.credit(now, rules);
        self.filled = now;
        let price = commands.saturating_mul(COMMAND_CREDIT).min(Burst::of(rules).most);
        let left = self.credit.checked_sub(price);
        if let Some(left) = left {
            self.credit = left;
            self.refused = 0;
        }
        left.is_some()
    }

    /// A home was asked for an answer to one of its commands.
    fn owe(&mut self) {
        self.owed = self.owed.saturating_add(1);
    }

    /// A home has answered one.
    fn settle(&mut self) {
        if self.owed < OWED_MAX {
            self.owed = self.owed.saturating_sub(1);
        }
    }

    fn is(&self, client: Client) -> bool {
        self.serial == client.serial && self.sent_away.is_none()
    }
}

/// The clients of one worker.
#[derive(Debug)]
pub struct Edge {
    worker: WorkerRef,
    homes: Homes,
    seats: Slots<Seat>,
    rooms: Groups,
    watches: Groups,
    gathers: Gathers,
    awaiting: Awaiting,
    announcing: Announcing,
    /// The highest numbers that its clients were told.
    told: Highest,
    /// Clients with a command that had to wait and can be done now.
    resumable: VecDeque<Client>,
    /// Clients that went and may be back.
    departed: Departed,
    /// Users that are banned, until when, and what they are told: of all homes.
    banned: HashMap<Name, (u64, Arc<str>)>,
    /// Rooms that were taken from clients, by slot, while they were away: the first `join` there is refused.
    taken: HashMap<u32, Vec<Name>>,
    passes: Passes,
    /// The clock that tokens end by.
    wall: Wall,
    /// When the machine's clock was looked at last, for that.
    looked: Tick,
    /// The slot from which on the ends of tokens are still to be looked at, since the clock has stepped ahead.
    unlooked: Option<usize>,
    /// Where sight is restricted: what is known of those who are watched and are there.
    sights: HashMap<Name, View>,
    restricted: bool,
    /// Memory is short: nothing may grow.
    scarce: bool,
    next_serial: u32,
    /// The number of the last `join`.
    next_visit: u16,
}

impl Edge {
    pub(crate) fn new(worker: u16, homes: Homes, restricted: bool) -> Edge {
        Edge {
            worker: WorkerRef::here(worker),
            homes,
            seats: Slots::default(),
            rooms: Groups::new(homes),
            watches: Groups::new(homes),
            gathers: Gathers::new(homes),
            awaiting: Awaiting::default(),
            announcing: Announcing::default(),
            told: Highest::default(),
            resumable: VecDeque::new(),
            departed: Departed::default(),
            banned: HashMap::new(),
            taken: HashMap::new(),
            passes: Passes::default(),
            wall: Wall::default(),
            looked: Tick::default(),
            unlooked: None,
            sights: HashMap::new(),
            restricted,
            scarce: false,
            next_serial: 0,
            next_visit: 0,
        }
    }

    /// Clients here.
    #[must_use]
    pub fn len(&self) -> usize {
        self.seats.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.seats.is_empty()
    }

    /// Answers that wait for homes.
    #[must_use]
    pub fn gathering(&self) -> usize {
        self.gathers.len()
    }

    /// Answers to a client that wait for homes.
    #[must_use]
    pub fn replies(&self, slot: u32) -> usize {
        let pending = self.seats.get(slot as usize).and_then(|seat| seat.pending.as_ref());
        pending.map_or(0, |pending| pending.replies().len())
    }

    /// Commands of a client that wait for others of its commands to be answered.
    #[must_use]
    pub fn waiting(&self, slot: u32) -> usize {
        let pending = self.seats.get(slot as usize).and_then(|seat| seat.pending.as_ref());
        pending.map_or(0, |pending| pending.waiting())
    }

    /// Whether some command of a client is yet to be answered.
    #[must_use]
    pub fn owes(&self, slot: u32) -> bool {
        let seat = self.seats.get(slot as usize).filter(|seat| seat.sent_away.is_none());
        seat.is_some_and(|seat| seat.owed > 0 || seat.pending.is_some())
    }

    /// Who a client is.
    #[must_use]
    pub fn user(&self, slot: u32) -> Option<&Name> {
        self.seats.get(slot as usize)?.user.as_ref()
    }

    pub(crate) fn credit(&self, now: Tick, rules: &Rules, slot: u32) -> u32 {
        self.seats.get(slot as usize).map_or(0, |seat| seat.credit(now, rules))
    }

    pub(crate) fn set_credit(&mut self, slot: u32, credit: u32) {
        if let Some(seat) = self.seats.get_mut(slot as usize) {
            seat.credit = credit;
        }
    }

    /// Bytes held for clients and what they watch.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let sights = self.sights.capacity() * size_of::<(Name, View)>();
        let banned = self.banned.capacity() * size_of::<(Name, (u64, Arc<str>))>();
        sights + banned + self.seats.bytes() + self.watches.bytes() + self.passes.bytes()
    }

    /// Gives back what those who went have left.
    pub(crate) fn give_back(&mut self, now: Tick) {
        self.seats.give_back();
        self.rooms.give_back();
        self.watches.give_back();
        self.gathers.give_back();
        self.awaiting.give_back();
        self.departed.expire(now);
        self.departed.give_back();
        if self.sights.capacity() > 4 * self.sights.len() + SIGHTS_KEPT {
            self.sights.shrink_to(2 * self.sights.len());
        }
    }

    /// Whether memory is short.
    pub(crate) fn set_scarce(&mut self, scarce: bool) {
        self.scarce = scarce;
    }

    pub(crate) const fn is_scarce(&self) -> bool {
        self.scarce
    }

    /// Bytes held for who is in which room.
    #[must_use]
    pub fn room_bytes(&self) -> usize {
        self.rooms.bytes() + self.departed.bytes()
    }

    #[expect(clippy::cast_possible_truncation, reason = "fewer clients than 2^32")]
    pub(crate) fn open(
        &mut self,
        link: u64,
        (entry, comes): (Entry, Option<State>),
        welcome: bool,
        turn: &mut Turn<'_>,
    ) -> u32 {
        self.next_serial = next_serial(self.next_serial);
        if welcome {
            let user = match &entry {
                Entry::Open(user) => user.clone(),
                Entry::Token(user, _) => Some(user.clone()),
                Entry::Late(_) => None,
            };
            let (id, heartbeat_millis) =
                (self.homes.disguise(self.worker.worker, link), turn.rules.heartbeat_millis);
            let event = Event::Welcome { id, user, heartbeat_millis, unix_millis: turn.now.unix_millis };
            turn.out.effects.push(Effect::Send { link, event });
        }
        let slot = self.seats.insert(Seat {
            link,
            user: None,
            rooms: Places::None,
            watches: Places::None,
            pending: None,
            serial: self.next_serial,
            filled: turn.now.tick,
            beat: turn.now.tick,
            credit: Burst::of(turn.rules).most,
            refused: 0,
            owed: 0,
            sent_away: None,
            comes,
            silent: false,
            suspect: false,
            said: comes,
            timed: false,
        }) as u32;
        match entry {
            Entry::Open(Some(user)) => {
                self.identify(slot, user, Claim::NoToken, turn);
            }
            Entry::Open(None) => {}
            Entry::Token(user, grants) => self.show_token(slot, user, &grants, turn),
            Entry::Late(until) => self.await_token(slot, until, turn),
        }
        slot
    }

    /// Says whether it is taken at its word: not where it is somebody already, or owes a token. Who is banned is taken at its
    /// word, and sent away.
    pub(crate) fn identify(&mut self, slot: u32, user: Name, claim: Claim, turn: &mut Turn<'_>) -> bool {
        if self.passes.is_awaited(slot) || self.is_sent_away(slot) {
            return false;
        }
        let at = self.address(slot);
        let home = self.homes.of(&user);
        match self.seats.get_mut(slot as usize) {
            Some(seat) if seat.user.is_none() => {
                if self.turns_away(slot, &user, turn) {
                    return true;
                }
                let seat = &mut self.seats[slot as usize];
                seat.user = Some(user.clone());
                turn.out.post(home, Envelope::Up { user, at, claim, state: seat.comes });
                true
            }
            _ => false,
        }
    }

    fn tell_home_unwatched(&self, user: &Name, counted: [bool; 2], turn: &mut Turn<'_>) {
        let (home, worker) = (self.homes.of(user), self.worker);
        for suspect in [false, true].into_iter().filter(|suspect| counted[usize::from(*suspect)]) {
            turn.out.post(home, Envelope::Unwatch { user: user.clone(), worker, suspect });
        }
    }

    fn leave_room(&mut self, slot: u32, place: Place) {
        self.seats[slot as usize].rooms.remove(place.group);
        self.drop_room(place);
    }

    fn leave_watch(&mut self, slot: u32, place: Place) {
        self.seats[slot as usize].watches.remove(place.group);
        self.drop_watch(place);
    }

    fn drop_room(&mut self, place: Place) {
        let seats = &mut self.seats;
        self.rooms.remove(place, |slot, at| seats[slot as usize].rooms.note(at));
    }

    fn drop_watch(&mut self, place: Place) {
        let seats = &mut self.seats;
        if !self.sights.is_empty() && self.watches.members(place.group).len() == 1 {
            self.sights.remove(self.watches.name(place.group));
        }
        self.watches.remove(place, |slot, at| seats[slot as usize].watches.note(at));
    }

    /// A client, unless it was sent away: such a one is as good as gone.
    fn seat(&self, client: Client) -> Option<&Seat> {
        self.seats.get(client.slot as usize).filter(|seat| seat.is(client))
    }

    fn seat_mut(&mut self, client: Client) -> Option<&mut Seat> {
        self.seats.get_mut(client.slot as usize).filter(|seat| seat.is(client))
    }

    fn is_sent_away(&self, slot: u32) -> bool {
        self.seats.get(slot as usize).is_some_and(|seat| seat.sent_away.is_some())
    }

    fn is(&self, client: Client, slot: u32) -> bool {
        client.slot == slot && self.seat(client).is_some()
    }

    fn address(&self, slot: u32) -> Address {
        let serial = self.seats.get(slot as usize).map_or(0, |seat| seat.serial);
        Address::here(self.worker.worker, Client { slot, serial })
    }
}

fn part(asker: Asker, (gather, serial): (u32, u32), index: u32) -> Asker {
    Asker { ticket: Ticket::Part { gather, serial, index }, ..asker }
}
