//! One worker's share of presence: an edge, the homes of users and rooms, and their timers.
//!
//! Every call takes the time and returns what is to be done, in order. A message to this worker itself is handled
//! within the call; one to another worker is an [`Effect::Post`].

/// A call's [`Turn`]: borrows what the parts of a node don't need of it.
macro_rules! turn {
    ($node:ident, $now:expr) => {
        &mut crate::presence::turn::Turn { now: $now, rules: &$node.rules, out: &mut $node.out }
    };
}

mod figures;
mod messages;
mod moderation;
mod rebuilding;
mod records;

use std::mem;
use std::sync::Arc;

use crate::presence::admin::{AdminReply, AdminRequest};
use crate::presence::admin_requests::AdminRequests;
use crate::presence::burst::Burst;
use crate::presence::command::Command;
use crate::presence::cost;
use crate::presence::edge::Edge;
use crate::presence::edge::orders::Broadcasts;
pub use crate::presence::effect::{Effect, SessionId};
use crate::presence::grants::{Entry, Grants};
use crate::presence::history::Journal;
use crate::presence::message::{Claim, HomeAnswer, Message, ReplyTo, RequestRef};
use crate::presence::name::{Homes, Name};
use crate::presence::outgoing::Outgoing;
use crate::presence::rebuilding::Rebuilding;
use crate::presence::refusal::CommandRefusal;
use crate::presence::room::Rooms;
pub use crate::presence::rules::Rules;
use crate::presence::timer::Timer;
use crate::presence::user::Users;
use crate::presence::view::{Reason, State};
use crate::presence::waits::Waits;
use crate::time::wheel::Wheel;
use crate::time::{Now, Tick};

/// One worker's share of presence.
#[derive(Debug)]
pub struct Node {
    worker: u16,
    rules: Rules,
    edge: Edge,
    users: Users,
    rooms: Rooms,
    admin: AdminRequests,
    broadcasts: Broadcasts,
    rebuilding: Rebuilding,
    waits: Waits,
    /// The highest version, epoch and serial number of other homes and edges, until all their records are here.
    floors: (u64, u64, u32),
    timers: Wheel,
    /// When [`Node::due`] was called last.
    turned: Tick,
    /// Something was done since [`Node::rest`] was called.
    is_touched: bool,
    out: Outgoing,
}

impl Node {
    /// The share of worker `worker`; all workers of a server have the same `homes` and `rules`.
    #[must_use]
    pub fn new(worker: u16, homes: Homes, rules: Rules, now: Now) -> Node {
        Node {
            worker,
            edge: Edge::new(worker, homes, rules.restricted),
            users: Users::new(worker, homes, now, rules.restricted),
            rooms: Rooms::new(homes, now, &rules),
            rules,
            admin: AdminRequests::new(worker, homes),
            broadcasts: Broadcasts::new(),
            rebuilding: Rebuilding::new(homes.workers()),
            waits: Waits::default(),
            floors: (0, 0, 0),
            turned: now.tick,
            is_touched: true,
            timers: Wheel::new(now.tick),
            out: Outgoing::new(),
        }
    }

    /// Changes three rules: who has more connections, comes quicker or says more already is held to them from the next one
    /// on.
    pub fn set_limits(&mut self, connections_per_user: usize, commands_per_second: u32, data_bytes: usize) {
        let rules = &mut self.rules;
        (rules.connections_per_user, rules.commands_per_second, rules.data_bytes) =
            (connections_per_user, commands_per_second, data_bytes);
    }

    /// A client is there; `session` names it in effects. `welcome`: it speaks `rollcall.v1`. Without a user it is nobody, until
    /// [`Node::identify`]. Returns its slot, which the further calls about it take.
    pub fn open(&mut self, now: Now, session: SessionId, user: Option<Name>, welcome: bool) -> u32 {
        self.enter(now, session, Entry::Open(user), None, welcome)
    }

    /// As [`Node::open`], for who has a token or owes one, too. `state`: the client comes `Online`, `Away`, `Busy` or `Invisible`, from
    /// when it is somebody; without it, it goes on as the connection was whose place it takes, or is online.
    pub fn enter(
        &mut self,
        now: Now,
        session: SessionId,
        entry: Entry,
        state: Option<State>,
        welcome: bool,
    ) -> u32 {
        let slot = self.edge.open(session, (entry, state), welcome, turn!(self, now));
        self.dispatch(now);
        slot
    }

    /// Where names have their homes.
    #[must_use]
    pub const fn homes(&self) -> Homes {
        self.edge.homes()
    }

    /// A client is carried by something else from here on: that is its session in effects.
    pub fn carry(&mut self, slot: u32, session: SessionId) {
        self.edge.carry(slot, session);
    }

    /// The token of an [`Effect::Verify`] is good, and says this.
    pub fn authenticate(&mut self, now: Now, slot: u32, seq: i64, user: Name, grants: Arc<Grants>) {
        self.edge.authenticate(slot, seq, user, grants, turn!(self, now));
        self.dispatch(now);
    }

    /// The token of an [`Effect::Verify`] is not good. A client that has no other one is closed: with [`Ending::UnknownToken`] where
    /// the token may be good in a moment, else with [`Ending::BadToken`].
    ///
    /// [`Ending::UnknownToken`]: crate::presence::Ending::UnknownToken
    /// [`Ending::BadToken`]: crate::presence::Ending::BadToken
    pub fn refuse_token(&mut self, now: Now, slot: u32, seq: i64, why: CommandRefusal) {
        self.edge.refuse_token(slot, seq, why, turn!(self, now));
        self.dispatch(now);
    }

    /// A client says who it is. Says whether it is taken at its word: not where it is somebody already.
    pub fn identify(&mut self, now: Now, slot: u32, user: Name) -> bool {
        let taken = self.edge.identify(slot, user, Claim::NoToken, turn!(self, now));
        self.dispatch(now);
        taken
    }

    /// A client sends a command with its number, or a text that can't be read as one, in so many bytes.
    pub fn command(
        &mut self,
        now: Now,
        slot: u32,
        read: Result<(i64, Command<'_>), (i64, CommandRefusal)>,
        bytes: usize,
    ) {
        self.edge.command(slot, (read, bytes), turn!(self, now));
        self.dispatch(now);
    }

    /// A client asks for something that is not presence's to answer, which costs it as much as a command.
    ///
    /// # Errors
    /// It may not ask: it asks for too much, or is yet to show a token.
    pub fn may_ask(&mut self, now: Now, slot: u32) -> Result<(), CommandRefusal> {
        self.edge.may_ask(slot, turn!(self, now))
    }

    /// The burst that a connection may send at once, and the time in which it refills.
    #[must_use]
    pub fn burst(&self) -> Burst {
        Burst::of(&self.rules)
    }

    /// The credit of a client for sending now, as a part of [`Burst::most`].
    #[must_use]
    pub fn credit(&self, now: Now, slot: u32) -> u32 {
        self.edge.credit(now.tick, &self.rules, slot)
    }

    /// Gives a client that has just come other than a whole burst.
    pub fn set_credit(&mut self, slot: u32, credit: u32) {
        self.edge.set_credit(slot, credit);
    }

    /// Whether a client takes bytes as they are, and not as JSON.
    pub fn set_takes_bytes(&mut self, slot: u32, takes: bool) {
        self.edge.set_takes_bytes(slot, takes);
    }

    /// A client's page sends a heartbeat of its own.
    pub fn page_heartbeat(&mut self, now: Now, slot: u32) {
        self.edge.page_heartbeat(slot, turn!(self, now));
        self.dispatch(now);
    }

    /// A Ping to the client is unanswered for long, or something was heard of it after all.
    pub fn suspect(&mut self, now: Now, slot: u32, suspect: bool) {
        self.edge.suspect(slot, suspect, turn!(self, now));
        self.dispatch(now);
    }

    /// A client is gone. The reason given before ([`Effect::Close`]) wins over `reason`.
    pub fn closed(&mut self, now: Now, slot: u32, reason: Reason, seen_millis: u64) {
        self.edge.closed(slot, reason, seen_millis, turn!(self, now));
        self.dispatch(now);
    }

    /// A message from another worker.
    pub fn mail(&mut self, now: Now, message: Message) {
        self.handle(now, message);
        self.dispatch(now);
    }

    /// A question or an order from outside. Its [`Effect::Reply`] has the same `tag`, and comes within a second,
    /// if [`Node::due`] is called in time.
    pub fn ask(&mut self, now: Now, tag: u64, ask: AdminRequest) {
        let is_scarce = ask.grows() && self.edge.is_scarce();
        let scarce = if is_scarce { Err(CommandRefusal::Scarce) } else { Ok(()) };
        match self.rules.check(ask.data_bytes()).and(scarce) {
            Err(why) => self.out.effects.push(Effect::Reply { tag, reply: AdminReply::Refused(why) }),
            Ok(()) => self.admin.ask(tag, ask, turn!(self, now)),
        }
        self.dispatch(now);
    }

    /// A client has room for an answer of so many bytes, for which an [`Effect::Capacity`] asked.
    pub fn capacity(&mut self, now: Now, slot: u32, session: SessionId, bytes: u32) {
        self.edge.capacity(slot, session, bytes, turn!(self, now));
        self.dispatch(now);
    }

    /// Tells somebody from now on what the rooms here keep, who keeps it as well. For right after [`Node::new`].
    pub fn set_journal(&mut self, journal: Box<dyn Journal>) {
        self.rooms.set_journal(Some(journal));
    }

    /// The share of a broadcast ([`Effect::Spread`]) is queued for `to` clients; `without` had no room.
    pub fn spread(&mut self, now: Now, broadcast: u32, to: usize, without: usize) {
        self.broadcasts.spread(broadcast, to, without, turn!(self, now));
        self.dispatch(now);
    }

    /// The message of an [`Effect::Tell`] is queued for `to` clients, one or none; `without` had no room.
    pub fn told(&mut self, now: Now, reply_to: ReplyTo, to: usize, without: usize) {
        let answer = HomeAnswer::Told { to, without };
        self.out.post(reply_to.at.worker, Message::Answered { reply_to, answer });
        self.dispatch(now);
    }

    /// A message was not taken: who waits for its answer is told 503. Returns it where nobody does.
    pub fn refused(&mut self, now: Now, message: Message) -> Option<Message> {
        let message = self.refuse(now, message);
        self.dispatch(now);
        message
    }

    fn refuse(&mut self, now: Now, message: Message) -> Option<Message> {
        let Some(reply_to) = message.reply_to() else { return Some(message) };
        match reply_to.request {
            // The sender may be at another worker; a full mailbox counts as a full socket.
            _ if matches!(message, Message::Told { .. }) => {
                let answer = HomeAnswer::Told { to: 0, without: 1 };
                self.out.post(reply_to.at.worker, Message::Answered { reply_to, answer });
            }
            // A room's home has asked a user's home for an admin request of another worker.
            RequestRef::Admin { .. } if reply_to.at.worker != self.worker => {
                self.out.post(reply_to.at.worker, Message::Answered { reply_to, answer: HomeAnswer::Busy });
            }
            RequestRef::Admin { request, .. } => self.admin.refused(request, turn!(self, now)),
            _ => self.edge.refused(reply_to, &message, turn!(self, now)),
        }
        None
    }

    /// Does what is due: a share of a broadcast among it, once a call.
    pub fn due(&mut self, now: Now) {
        self.turned = now.tick;
        if self.rebuilding.is_due() || self.edge.is_announcing() {
            self.rebuild(now);
        }
        self.admin.due(turn!(self, now));
        self.broadcasts.go_on(&self.edge, turn!(self, now));
        self.rooms.erase_on(turn!(self, now));
        self.users.archive(now.tick);
        self.end_bans(now);
        self.give_up(now);
        self.edge.follow_clock(turn!(self, now));
        self.dispatch(now);
        while let Some((at, key)) = self.timers.pop_due(now.tick) {
            match Timer::of_key(key) {
                Timer::User { slot, serial } => self.users.grace_over(slot, serial, turn!(self, now)),
                Timer::Room { slot, serial } => self.rooms.due(slot, serial, turn!(self, now)),
                Timer::Count { slot, serial } => self.rooms.count_due(slot, serial, turn!(self, now)),
                Timer::Page { slot, serial } => {
                    self.edge.page_due(slot, serial, turn!(self, now));
                }
                Timer::Token { slot, serial } => self.edge.token_due(slot, serial, at, turn!(self, now)),
                Timer::History { slot, serial } => self.rooms.history_due(slot, serial, turn!(self, now)),
                Timer::Info { slot, serial } => self.users.info_due(slot, serial, at, turn!(self, now)),
            }
            self.dispatch(now);
        }
    }

    /// Does the next command that had to wait for answers, if one can be done by now; clients take turns. For after
    /// [`Node::due`], until it says that there was none or a turn's worth is done.
    pub fn resume(&mut self, now: Now) -> bool {
        let resumed = self.edge.resume(turn!(self, now));
        self.dispatch(now);
        resumed
    }

    /// When [`Node::due`] is to be called next.
    #[must_use]
    pub fn next_due(&self) -> Option<Tick> {
        let at_once = !self.broadcasts.is_empty() || self.edge.has_resumable();
        let at_once = at_once || self.rebuilding.is_due() || self.edge.is_announcing();
        let at_once = at_once.then_some(self.turned);
        let archive = self.users.archive_due();
        let clock = self.edge.clock_due();
        let erasure = self.rooms.erasure_due(self.turned);
        let due =
            [self.timers.next(), self.admin.next_due(), at_once, archive, clock, self.waits.due(), erasure];
        let due = due.into_iter().flatten().reduce(Tick::min);
        match self.bans_due() {
            None => due,
            Some(bans) => Some(due.map_or(bans, |due| due.min(bans))),
        }
    }

    /// Whether something was done since [`Node::rest`] was called: until then, and before [`Node::next_due`], [`Node::due`] and
    /// [`Node::resume`] have nothing to do.
    #[must_use]
    #[inline]
    pub const fn is_touched(&self) -> bool {
        self.is_touched
    }

    /// All is done that there was to do at `now`.
    pub const fn rest(&mut self, now: Now) {
        self.turned = now.tick;
        self.is_touched = false;
    }

    /// Takes what is to be done.
    pub fn effects(&mut self) -> Vec<Effect> {
        let effects = mem::take(&mut self.out.effects);
        self.out.spend(1, effects.iter().map(cost::of_effect).sum());
        effects
    }

    /// Takes what the calls since the last time have cost, in units of about a microsecond, the effects that were taken
    /// included.
    pub fn take_cost(&mut self) -> u32 {
        self.out.take_units()
    }

    /// Whether there is something to be done.
    #[must_use]
    pub fn has_effects(&self) -> bool {
        !self.out.effects.is_empty()
    }

    /// Handles what this worker posts to itself, hands out the rest, and files timers.
    fn dispatch(&mut self, now: Now) {
        self.is_touched = true;
        while let Some((to, mut message)) = self.out.posts.pop_front() {
            if self.rebuilding.holds_up(to, &message) {
                self.refuse(now, message);
            } else if to == self.worker {
                self.handle(now, message);
            } else {
                self.edge.posts(to, &mut message);
                self.out.effects.push(Effect::Post { to, message });
            }
        }
        for (at, timer) in self.out.timers.drain(..) {
            let at = self.timers.schedule(at, timer.key());
            match timer {
                Timer::Token { slot, .. } => self.edge.token_timed(slot, at),
                Timer::Info { slot, serial } => self.users.info_timed(slot, serial, at),
                _ => {}
            }
        }
    }
}
