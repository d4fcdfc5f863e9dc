//! The clients whose sockets live at this worker: who they are, what they are in, what they may send, and what reaches them.

mod announcing;
mod arrivals;
mod awaiting;
mod catching_up;
mod commands;
mod endings;
mod heartbeats;
mod marks;
mod moderation;
pub(crate) mod orders;
mod pages;
mod replies;
mod tokens;
mod veil;
mod visibility;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use crate::limits::COMMANDS_REFUSED_MAX;
use crate::presence::address::WorkerRef;
use crate::presence::announce::Highest;
use crate::presence::announcing::Announcing;
use crate::presence::awaiting::Awaiting;
use crate::presence::burst::{Burst, COMMAND_CREDIT};
use crate::presence::departed::Departed;
use crate::presence::edge::marks::{Mark, Marks};
use crate::presence::effect::{Effect, SessionId};
use crate::presence::event::Event;
use crate::presence::grants::{Entry, Passes};
use crate::presence::message::{Claim, ClientId, ClientRef, Message, ReplyTo, RequestRef};
use crate::presence::name::{Homes, Name};
use crate::presence::pending::Pending;
use crate::presence::rules::Rules;
use crate::presence::scatter_gather::PendingReplies;
use crate::presence::subscribers::Subscribers;
use crate::presence::subscriptions::{Subscription, Subscriptions};
use crate::presence::timer::next_serial;
use crate::presence::turn::Turn;
use crate::presence::view::{Reason, State, View};
use crate::presence::wall::Wall;
use crate::slots::Slots;
use crate::time::Tick;

/// A client.
#[derive(Debug)]
struct Client {
    session: SessionId,
    user: Option<Name>,
    rooms: Subscriptions,
    watches: Subscriptions,
    /// Its pending answers and commands: almost always none.
    pending: Option<Box<Pending>>,
    serial: u32,
    /// When `credit` was last filled.
    filled: Tick,
    /// When the page's own heartbeat last came.
    last_heartbeat: Tick,
    /// Its credit for sending: [`COMMAND_CREDIT`] for each command.
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
    /// The state that it said last for its user, unless that was refused.
    said: Option<State>,
    marks: Marks,
}

const _: () = assert!(size_of::<Client>() <= 88);
const _: () = assert!(COMMANDS_REFUSED_MAX < u8::MAX as u32);

/// Places for views that are kept though none is there.
const VISIBLE_KEPT: usize = 1_024;
/// Commands without an answer that are counted.
const OWED_MAX: u8 = u8::MAX;

impl Client {
    /// Its credit for sending, now.
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
    fn note_answer(&mut self) {
        if self.owed < OWED_MAX {
            self.owed = self.owed.saturating_sub(1);
        }
    }

    fn is(&self, client: ClientId) -> bool {
        self.serial == client.serial && self.sent_away.is_none()
    }
}

/// The clients of one worker.
#[derive(Debug)]
pub struct Edge {
    worker: WorkerRef,
    homes: Homes,
    clients: Slots<Client>,
    rooms: Subscribers,
    watches: Subscribers,
    pending_replies: PendingReplies,
    awaiting: Awaiting,
    announcing: Announcing,
    /// The highest numbers that its clients were told.
    told: Highest,
    /// Clients with a command that had to wait and can be done now.
    resumable: VecDeque<ClientId>,
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
    /// Where visibility is restricted: the last views of watched users who are there.
    visible_users: HashMap<Name, View>,
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
            clients: Slots::default(),
            rooms: Subscribers::new(homes),
            watches: Subscribers::new(homes),
            pending_replies: PendingReplies::new(homes),
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
            visible_users: HashMap::new(),
            restricted,
            scarce: false,
            next_serial: 0,
            next_visit: 0,
        }
    }

    /// Clients here.
    #[must_use]
    pub fn len(&self) -> usize {
        self.clients.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.clients.is_empty()
    }

    /// Answers that wait for homes.
    #[must_use]
    pub fn pending_replies(&self) -> usize {
        self.pending_replies.len()
    }

    /// Answers to a client that wait for homes.
    #[must_use]
    pub fn replies(&self, slot: u32) -> usize {
        let pending = self.clients.get(slot as usize).and_then(|known| known.pending.as_ref());
        pending.map_or(0, |pending| pending.replies().len())
    }

    /// Commands of a client that wait for others of its commands to be answered.
    #[must_use]
    pub fn waiting(&self, slot: u32) -> usize {
        let pending = self.clients.get(slot as usize).and_then(|known| known.pending.as_ref());
        pending.map_or(0, |pending| pending.waiting())
    }

    /// Whether some command of a client is yet to be answered.
    #[must_use]
    pub fn owes(&self, slot: u32) -> bool {
        let known = self.clients.get(slot as usize).filter(|known| known.sent_away.is_none());
        known.is_some_and(|known| known.owed > 0 || known.pending.is_some())
    }

    /// The user of a client.
    #[must_use]
    pub fn user(&self, slot: u32) -> Option<&Name> {
        self.clients.get(slot as usize)?.user.as_ref()
    }

    /// The session of a client.
    #[must_use]
    pub fn session(&self, slot: u32) -> Option<SessionId> {
        self.clients.get(slot as usize).map(|known| known.session)
    }

    /// A client is carried by something else from here on.
    pub(crate) fn carry(&mut self, slot: u32, session: SessionId) {
        if let Some(known) = self.clients.get_mut(slot as usize) {
            known.session = session;
        }
    }

    /// Whether a client takes bytes as they are, and not as JSON.
    #[must_use]
    pub fn takes_bytes(&self, slot: u32) -> bool {
        self.clients.get(slot as usize).is_some_and(|known| known.marks.has(Mark::TakesBytes))
    }

    /// A client says whether it takes bytes as they are.
    pub(crate) fn set_takes_bytes(&mut self, slot: u32, takes: bool) {
        if let Some(known) = self.clients.get_mut(slot as usize) {
            known.marks.set(Mark::TakesBytes, takes);
        }
    }

    pub(crate) fn credit(&self, now: Tick, rules: &Rules, slot: u32) -> u32 {
        self.clients.get(slot as usize).map_or(0, |known| known.credit(now, rules))
    }

    pub(crate) fn set_credit(&mut self, slot: u32, credit: u32) {
        if let Some(known) = self.clients.get_mut(slot as usize) {
            known.credit = credit;
        }
    }

    /// Bytes held for clients and what they watch.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let visible_users = self.visible_users.capacity() * size_of::<(Name, View)>();
        let banned = self.banned.capacity() * size_of::<(Name, (u64, Arc<str>))>();
        visible_users + banned + self.clients.bytes() + self.watches.bytes() + self.passes.bytes()
    }

    /// Gives back what those who went have left.
    pub(crate) fn shrink(&mut self, now: Tick) {
        self.clients.shrink();
        self.rooms.shrink();
        self.watches.shrink();
        self.pending_replies.shrink();
        self.awaiting.shrink();
        self.departed.expire(now);
        self.departed.shrink();
        if self.visible_users.capacity() > 4 * self.visible_users.len() + VISIBLE_KEPT {
            self.visible_users.shrink_to(2 * self.visible_users.len());
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
        session: SessionId,
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
                (self.homes.disguise(self.worker.worker, session), turn.rules.heartbeat_millis);
            let event = Event::Welcome { id, user, heartbeat_millis, unix_millis: turn.now.unix_millis };
            turn.out.effects.push(Effect::Send { session, event });
        }
        let slot = self.clients.insert(Client {
            session,
            user: None,
            rooms: Subscriptions::None,
            watches: Subscriptions::None,
            pending: None,
            serial: self.next_serial,
            filled: turn.now.tick,
            last_heartbeat: turn.now.tick,
            credit: Burst::of(turn.rules).most,
            refused: 0,
            owed: 0,
            sent_away: None,
            comes,
            silent: false,
            suspect: false,
            said: comes,
            marks: Marks::default(),
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

    /// Says whether it is taken at its word: not where it is somebody already, or owes a token. A banned client is taken at
    /// its word, and sent away.
    pub(crate) fn identify(&mut self, slot: u32, user: Name, claim: Claim, turn: &mut Turn<'_>) -> bool {
        if self.passes.is_awaited(slot) || self.is_sent_away(slot) {
            return false;
        }
        let at = self.address(slot);
        let home = self.homes.of(&user);
        match self.clients.get_mut(slot as usize) {
            Some(known) if known.user.is_none() => {
                if self.turns_away(slot, &user, turn) {
                    return true;
                }
                let known = &mut self.clients[slot as usize];
                known.user = Some(user.clone());
                turn.out.post(home, Message::Up { user, at, claim, state: known.comes });
                true
            }
            _ => false,
        }
    }

    fn tell_home_unwatched(&self, user: &Name, counted: [bool; 2], turn: &mut Turn<'_>) {
        let (home, worker) = (self.homes.of(user), self.worker);
        for suspect in [false, true].into_iter().filter(|suspect| counted[usize::from(*suspect)]) {
            turn.out.post(home, Message::Unwatch { user: user.clone(), worker, suspect });
        }
    }

    fn leave_room(&mut self, slot: u32, subscription: Subscription) {
        self.clients[slot as usize].rooms.remove(subscription.topic);
        self.drop_room(subscription);
    }

    fn leave_watch(&mut self, slot: u32, subscription: Subscription) {
        self.clients[slot as usize].watches.remove(subscription.topic);
        self.drop_watch(subscription);
    }

    fn drop_room(&mut self, subscription: Subscription) {
        let clients = &mut self.clients;
        self.rooms.remove(subscription, |slot, at| clients[slot as usize].rooms.note(at));
    }

    fn drop_watch(&mut self, subscription: Subscription) {
        let clients = &mut self.clients;
        if !self.visible_users.is_empty() && self.watches.members(subscription.topic).len() == 1 {
            self.visible_users.remove(self.watches.name(subscription.topic));
        }
        self.watches.remove(subscription, |slot, at| clients[slot as usize].watches.note(at));
    }

    /// A client, unless it was sent away: such a one is as good as gone.
    fn known(&self, client: ClientId) -> Option<&Client> {
        self.clients.get(client.slot as usize).filter(|known| known.is(client))
    }

    fn known_mut(&mut self, client: ClientId) -> Option<&mut Client> {
        self.clients.get_mut(client.slot as usize).filter(|known| known.is(client))
    }

    fn is_sent_away(&self, slot: u32) -> bool {
        self.clients.get(slot as usize).is_some_and(|known| known.sent_away.is_some())
    }

    fn is(&self, client: ClientId, slot: u32) -> bool {
        client.slot == slot && self.known(client).is_some()
    }

    fn address(&self, slot: u32) -> ClientRef {
        let serial = self.clients.get(slot as usize).map_or(0, |known| known.serial);
        ClientRef::here(self.worker.worker, ClientId { slot, serial })
    }
}

fn part(reply_to: ReplyTo, (pending_reply, serial): (u32, u32), index: u32) -> ReplyTo {
    ReplyTo { request: RequestRef::Part { pending_reply, serial, index }, ..reply_to }
}
