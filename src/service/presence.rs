//! Presence as a service: connections become clients of a worker's [`Node`], what the node wants done is done, and messages
//! between nodes become mail between workers.

mod catching_up;
mod coming;
mod comings;
mod figures;
mod forms;
mod hooked;
mod hooks;
mod mail;
mod past;
mod query;
mod sending;
mod serving;
mod sessions;
mod slow_consumers;
mod whole;

use std::sync::Arc;
use std::time::Duration;

use crate::limits::{CLIENTS_MAX, RESUMED_UNITS_PER_TURN, VERIFY_UNITS};
use crate::presence::admin::{AdminReply, AdminRequest};
use crate::presence::{BanCount, CommandRefusal, Effect, Event, Homes, Node, Rules};
use crate::protocol::rollcall_v1;
use crate::reactor::{ConnId, Context, Shared, WorkerId};
use crate::service::authenticator::{Authenticator, BadToken};
use crate::service::legacy_heartbeats::LegacyHeartbeats;
use crate::service::live_limits::{LiveLimits, PresenceLimits};
use crate::service::presence::sessions::table::Sessions;
use crate::service::reserve::Reserves;
use crate::time::{Now, Tick};
use crate::wire::close::{Close, CloseCode};

pub use crate::protocol::rollcall_v1::SUBPROTOCOL;

pub use crate::presence::Message;
pub use crate::service::presence::coming::Coming;
pub(crate) use crate::service::presence::coming::FOREIGN_ORIGIN;
pub use crate::service::presence::hooks::Hooks;
pub use crate::service::presence::mail::PresenceMail;
pub use crate::service::presence::sessions::mail::SessionMail;
pub(crate) use crate::service::presence::sessions::mail::is_path as is_session_path;

/// The settings of presence, for all workers.
#[derive(Clone, Debug, Default)]
pub struct PresenceSettings {
    /// Grace, heartbeats, caps.
    pub rules: Rules,
    /// The caps that count since they were set here.
    pub live_limits: Arc<LiveLimits>,
    /// The texts and keys that count as a page's heartbeat.
    pub legacy_heartbeats: LegacyHeartbeats,
    /// Authenticates clients.
    pub authenticator: Authenticator,
    /// Rooms whose slow members lose the oldest messages: names, or prefixes with a `*` behind.
    pub drop_oldest: Vec<String>,
    /// Keeps names from being piled onto one worker; the same for all workers.
    pub secret: u128,
    /// The bursts that are left of users and addresses; the same for all workers.
    pub reserves: Arc<Reserves>,
    /// How many bans there are; the same for all workers.
    pub bans: BanCount,
    /// Ticks without a poll after which a client that polls is gone, where it doesn't say itself; `None`:
    /// [`POLL_GAP_TICKS`](crate::limits::POLL_GAP_TICKS).
    pub poll_gap: Option<u32>,
}

/// A client's number for the reactor: the node's slot, and what only this service needs to know.
#[derive(Clone, Copy, Debug)]
struct Tag(u32);

impl Tag {
    const VERSION_1: u32 = 1 << 23;
    const SPOKEN: u32 = 1 << 22;
    const SLOT: u32 = CLIENTS_MAX as u32 - 1;

    const fn slot(self) -> u32 {
        self.0 & Tag::SLOT
    }

    const fn is_version_1(self) -> bool {
        self.0 & Tag::VERSION_1 != 0
    }

    const fn has_spoken(self) -> bool {
        self.0 & Tag::SPOKEN != 0
    }
}

/// Presence on one worker, a [`Service`](crate::reactor::Service).
///
/// All workers of a server are given the same [`PresenceSettings`]. Make it by [`Presence::of`]; say whose pages may connect and
/// what the program has to say by [`Presence::for_origins`], [`Presence::speaking`] and [`Presence::with_hooks`]; then hand it to
/// [`Server::start`](crate::reactor::Server::start), by itself, [mounted](crate::reactor::Mount) beside others, or
/// [wrapped](crate::reactor::Wrapper). A wrapper that answers requests may call [`Presence::ask`] in one of them, and after each
/// [`Service::tick`](crate::reactor::Service::tick) takes what [`Presence::replies`] has.
#[derive(Debug)]
pub struct Presence {
    node: Node,
    settings: Arc<PresenceSettings>,
    retry_queue: mail::RetryQueue,
    /// Answers to [`Presence::ask`] that nobody has taken yet.
    replies: Vec<(u64, AdminReply)>,
    /// Origins that may connect, as a browser writes them; empty: any.
    origins: Vec<String>,
    /// Subprotocols that are accepted.
    subprotocols: Vec<String>,
    hooks: hooks::Hooked,
    /// The messages that wait for slow readers.
    slow_consumers: slow_consumers::SlowConsumers,
    /// Connections that have room again, and had too little of it for all that waits for them.
    writable: Vec<ConnId>,
    /// Clients that are to be told what was said before, and have no room for it.
    catching_up: catching_up::CatchingUp,
    /// When something is due, as of the last [`Service::tick`](crate::reactor::Service::tick) that found something to do; none, where messages or connections wait.
    rests_until: Option<Option<Tick>>,
    /// The last [`Service::tick`](crate::reactor::Service::tick) had nothing to do.
    has_rested: bool,
    /// The caps of that time.
    cap: Option<PresenceLimits>,
    clients_max: usize,
    /// How many workers there are.
    workers: usize,
    sessions: Sessions,
    /// Answers to `join` with `since`: where all was there, where the rest is to be asked for, where some is lost.
    recoveries: [u64; 3],
}

impl Presence {
    /// The presence of worker `worker` among `workers`.
    #[must_use]
    pub fn new(settings: Arc<PresenceSettings>, worker: WorkerId, workers: usize, now: Now) -> Presence {
        // If everybody has a token, tokens say who sees whom.
        let rules = Rules { restricted: settings.authenticator.is_closed(), ..settings.rules.clone() };
        let homes = Homes::new(u16::try_from(workers).unwrap_or(u16::MAX), settings.secret);
        let mut node = Node::new(worker.0, homes, rules, now);
        node.share_bans(&settings.bans);
        Presence {
            node,
            settings,
            retry_queue: mail::RetryQueue::new(workers),
            origins: Vec::new(),
            subprotocols: vec![SUBPROTOCOL.to_owned()],
            hooks: hooks::Hooked::default(),
            slow_consumers: slow_consumers::SlowConsumers::default(),
            writable: Vec::new(),
            catching_up: catching_up::CatchingUp::default(),
            rests_until: None,
            has_rested: false,
            cap: None,
            clients_max: CLIENTS_MAX,
            recoveries: [0; 3],
            replies: Vec::new(),
            workers,
            sessions: Sessions::new(worker, now.tick),
        }
    }

    /// [`Presence::new`] for a worker of a server that starts.
    #[must_use]
    pub fn of(settings: &Arc<PresenceSettings>, worker: WorkerId, shared: &Shared) -> Presence {
        Presence::new(Arc::clone(settings), worker, shared.workers().len(), shared.clock().now())
    }

    fn page_heartbeat(&mut self, cx: &mut Context<'_, PresenceMail>, conn: ConnId, slot: u32, answer: &str) {
        self.send_own(cx, conn, answer);
        self.node.page_heartbeat(cx.now(), slot);
    }

    /// A question or an order from outside; `tag` comes back with the reply.
    pub fn ask(&mut self, cx: &mut Context<'_, PresenceMail>, tag: u64, ask: AdminRequest) {
        self.node.ask(cx.now(), tag, ask);
        self.act(cx);
    }

    /// Whether replies have come.
    #[must_use]
    #[inline]
    pub const fn has_replies(&self) -> bool {
        !self.replies.is_empty()
    }

    /// Takes the replies that have come. After [`Service::tick`](crate::reactor::Service::tick), none is due that isn't here.
    pub fn replies(&mut self) -> Vec<(u64, AdminReply)> {
        std::mem::take(&mut self.replies)
    }

    /// Whether the last [`Service::tick`](crate::reactor::Service::tick) had nothing to do: then nobody came, went or changed either.
    #[must_use]
    #[inline]
    pub const fn has_rested(&self) -> bool {
        self.has_rested
    }

    /// Whether something has happened since the last turn, or is due by now. Most turns are for connections that say nothing to
    /// presence.
    #[inline]
    fn has_work(&self, now: Now, due: Option<Tick>) -> bool {
        self.node.is_touched()
            || !self.writable.is_empty()
            || self.catching_up.is_due()
            || due.is_some_and(|due| now.tick.has_reached(due))
            || self.sessions.has_work(now.tick)
            || self.settings.live_limits.get() != self.cap
    }

    fn work(&mut self, cx: &mut Context<'_, PresenceMail>) -> Option<Tick> {
        let now = cx.now();
        self.has_rested = false;
        self.cap = self.settings.live_limits.get();
        if let Some(cap) = self.cap {
            let (connections, data_bytes) = (cap.connections_per_user as usize, cap.data_bytes as usize);
            self.node.set_limits(connections, cap.commands_per_second, data_bytes);
        }
        self.post_retry_queue(cx);
        self.node.due(now);
        self.act(cx);
        self.resume(cx);
        if self.sessions.has_work(now.tick) {
            self.work_for_sessions(cx);
        }
        for conn in std::mem::take(&mut self.writable) {
            if cx.backlog(conn) == 0 {
                self.send_waiting(cx, conn);
            }
        }
        self.catch_up(cx);
        let waits = !self.writable.is_empty() || !self.retry_queue.is_empty() || self.catching_up.is_due();
        let retry = waits.then(|| now.tick.after(1));
        let due = [retry, self.node.next_due()].into_iter().flatten().reduce(Tick::min);
        self.rests_until = (!waits).then_some(due);
        self.node.rest(now);
        // What came of the work may be more of it for sessions.
        let sessions =
            if self.sessions.has_work(now.tick) { Some(now.tick.after(1)) } else { self.sessions.next_due() };
        [due, sessions].into_iter().flatten().reduce(Tick::min)
    }
    /// Does what the node wants done, and what comes of that. Charges for it, and returns how much that was.
    fn act(&mut self, cx: &mut Context<'_, PresenceMail>) -> u32 {
        while self.node.has_effects() {
            for effect in self.node.effects() {
                self.effect(cx, effect);
            }
        }
        let units = self.node.take_cost();
        cx.charge(units);
        units
    }

    /// Does commands that had to wait for answers, as many as a turn has time for.
    fn resume(&mut self, cx: &mut Context<'_, PresenceMail>) {
        let mut spent = 0;
        while spent < RESUMED_UNITS_PER_TURN && self.node.resume(cx.now()) {
            spent += self.act(cx).max(1);
        }
    }

    fn effect(&mut self, cx: &mut Context<'_, PresenceMail>, effect: Effect) {
        match effect {
            Effect::Send { session, event } if event.catches_up() => {
                let to = ConnId::from_bits(session);
                if self.sessions.is_empty() || !self.replays(cx, to, &event) {
                    self.send_past(cx, to, &rollcall_v1::encode(&event));
                }
            }
            Effect::Capacity { slot, session } => self.find_capacity(cx, ConnId::from_bits(session), slot),
            Effect::Send { session, event } => {
                self.count_recovery(&event);
                let (to, text) = (ConnId::from_bits(session), rollcall_v1::encode(&event));
                match event {
                    Event::Welcome { .. } => self.welcome(cx, to, text),
                    _ => self.send_own(cx, to, &text),
                }
            }
            Effect::Publish { sessions, event, conflation } => {
                self.publish(cx, sessions.into_iter().map(ConnId::from_bits), &event, &conflation);
            }
            Effect::Tell { session, event, reply_to } => {
                let conn = ConnId::from_bits(session);
                let (to, without) = self.send_told(cx, conn, self.form(cx, conn, &event));
                self.node.told(cx.now(), reply_to, to, without);
            }
            Effect::Close { session, why } => {
                let (code, reason) = rollcall_v1::closing(&why);
                self.part_with(cx, ConnId::from_bits(session), code, reason);
            }
            Effect::Spread { broadcast, sessions, event } => {
                let sessions = sessions.into_iter().map(ConnId::from_bits);
                let all = sessions.len();
                let without = self.send_all(cx, sessions, Presence::common_form(&event));
                self.node.spread(cx.now(), broadcast, all - without, without);
            }
            Effect::Reply { tag, reply } => self.replies.push((tag, reply)),
            Effect::Verify { slot, seq, token } => {
                // The least of it was charged with the command.
                let units = self.settings.authenticator.keys.as_ref().map_or(0, |keys| keys.units());
                cx.charge(units.saturating_sub(VERIFY_UNITS));
                self.verify(cx.now(), slot, seq, &token);
            }
            Effect::Post { to, message } => self.post(cx, to, message),
        }
    }

    fn verify(&mut self, now: Now, slot: u32, seq: i64, token: &str) {
        if self.settings.authenticator.keys.is_none() {
            return self.node.refuse_token(now, slot, seq, CommandRefusal::NoTokens);
        }
        match self.settings.authenticator.verify(now, token) {
            Ok((user, grants)) => self.node.authenticate(now, slot, seq, user, grants),
            Err(BadToken { status, reason }) => {
                let why = CommandRefusal::BadToken { pending: status == 503, words: reason.into() };
                self.node.refuse_token(now, slot, seq, why);
            }
        }
    }

    /// Closes a connection, and says so first to who understands it.
    fn part_with(&mut self, cx: &mut Context<'_, PresenceMail>, conn: ConnId, code: CloseCode, reason: &str) {
        if !self.sessions.is_empty() && self.part_with_session(cx, conn, (code, reason)) {
            return;
        }
        if cx.tag(conn).is_some_and(|tag| Tag(tag).is_version_1()) {
            let retry = (code == CloseCode::TRY_AGAIN).then(|| cx.retry_millis());
            // A client whose backlog is full learns from the Close.
            let _ = cx.send_text(conn, &rollcall_v1::goodbye(code.0, reason, retry));
        }
        cx.close(conn, &Close::new(code, reason));
    }
}

/// How long the heartbeat of `welcome` is, in milliseconds.
#[must_use]
pub fn heartbeat_millis(interval: Duration, timeout: Duration) -> (u64, u64) {
    let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    (millis(interval), millis(timeout))
}
