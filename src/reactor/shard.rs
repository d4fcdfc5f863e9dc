//! A worker's state without its sockets and its service: what a [`Context`](crate::reactor::Context) works on.

use std::sync::Arc;

use crate::conn::timing::Timing;
use crate::conn::{Conn, Life};
use crate::limits::{ARENA_BYTES_CALL_MAX, FRAME_HEADER_BYTES_MAX};
use crate::reactor::arena::Arena;
use crate::reactor::config::Config;
use crate::reactor::connections::Connections;
use crate::reactor::counters::{Cause, Counters};
use crate::reactor::deflate::DeflateState;
use crate::reactor::half_read::held::HalfRead;
use crate::reactor::ids::{ConnId, WorkerId};
use crate::reactor::mail::Waiting;
use crate::reactor::pauses::Pauses;
use crate::reactor::peer_address::introduced::Introduced;
use crate::reactor::pending::left::Left;
use crate::reactor::random::Random;
use crate::reactor::refused::Refused;
use crate::reactor::request::asking::Asking;
use crate::reactor::shared::Shared;
use crate::reactor::terms::TermsTable;
use crate::reactor::timers::Timers;
use crate::reactor::tls::state::TlsState;
use crate::reactor::unserved::Unserved;
use crate::reactor::work::Work;
use crate::time::Now;
use crate::wire::close::Close;
use crate::wire::frame::{self, Opcode};
use crate::wire::shared::SharedFrame;

/// Why a message was not queued.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SendError {
    /// The connection's backlog is at its bound: its client is too slow. Close it, drop the message, or send it when
    /// [`Service::writable`](crate::reactor::Service::writable) is called: the caller's choice.
    Backlogged,
    /// This call has sent so much to all its connections together that no more fits. The client has done nothing wrong, and
    /// [`Service::writable`](crate::reactor::Service::writable) may not be called: try again in the next turn.
    TurnFull,
    /// The connection is gone, or a Close has been sent.
    Gone,
    /// A text that is not UTF-8: its receiver would have to end the connection (RFC 6455 §8.1).
    NotUtf8,
}

pub(crate) struct Shard {
    pub(crate) id: WorkerId,
    pub(crate) config: Config,
    pub(crate) timing: Timing,
    /// Changes of limits that `config` and `timing` have seen.
    limits_seen: u32,
    pub(crate) shared: Arc<Shared>,
    /// How much mail waits for each worker.
    pub(crate) mail: Arc<dyn Waiting>,
    pub(crate) now: Now,
    pub(crate) conns: Connections,
    /// Of connections over TLS.
    pub(crate) tls: Option<Box<TlsState>>,
    pub(crate) arena: Arena,
    pub(crate) random: Random,
    pub(crate) deflate: DeflateState,
    /// The cost of this turn's work.
    pub(crate) work: Work,
    /// Input that waits for its share of a turn.
    pub(crate) unserved: Unserved,
    /// Connections with much of a message that is not whole.
    pub(crate) half_read: HalfRead,
    pub(crate) left: Left,
    pub(crate) asking: Asking,
    pub(crate) introduced: Introduced,
    /// Workers that have mail and were not woken.
    pub(crate) to_wake: Vec<WorkerId>,
    /// Terms of single connections.
    pub(crate) terms: TermsTable,
    pub(crate) timers: Timers,
    pub(crate) pauses: Pauses,
    /// Connections that are told of at the next turn that they have room.
    pub(crate) refused: Refused,
}

impl Shard {
    pub(crate) fn new(
        id: WorkerId,
        config: &Config,
        shared: Arc<Shared>,
        mail: Arc<dyn Waiting>,
        now: Now,
        seed: u64,
    ) -> Shard {
        Shard {
            id,
            timing: config.timing(id),
            config: config.clone(),
            limits_seen: 0,
            shared,
            mail,
            now,
            conns: Connections::new(now.tick),
            tls: None,
            arena: Arena::default(),
            random: Random::new(seed),
            deflate: DeflateState::new(),
            work: Work::default(),
            unserved: Unserved::default(),
            half_read: HalfRead::default(),
            left: Left::default(),
            terms: TermsTable::default(),
            timers: Timers::new(now.tick),
            pauses: Pauses::default(),
            refused: Refused::default(),
            asking: Asking::default(),
            introduced: Introduced::default(),
            to_wake: Vec::new(),
        }
    }

    /// Takes over limits that were changed since the last turn.
    #[inline]
    pub(crate) fn follow_limits(&mut self) {
        if let Some(limits) = self.shared.live.since(&mut self.limits_seen) {
            limits.apply(&mut self.config);
            // How Pings come together goes by the connections that there are.
            self.timing = Timing { round: self.timing.round, ..self.config.timing(self.id) };
            self.terms.follow(self.timing, self.id, self.conns.len());
        }
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.shared.workers()[self.id.index()].counters
    }

    #[inline]
    pub(crate) fn get(&self, id: ConnId) -> Option<&Conn> {
        self.conns.get(id)
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, id: ConnId) -> Option<&mut Conn> {
        self.conns.get_mut(id)
    }

    /// Whether a connection that is there speaks TLS.
    #[inline]
    pub(crate) fn is_secure(&self, id: ConnId) -> bool {
        self.tls.as_ref().is_some_and(|tls_state| tls_state.has(id))
    }

    /// Keeps records that the connection's socket did not take. Returns how many bytes they are.
    pub(crate) fn hold(&mut self, id: ConnId) -> usize {
        let now = self.now.tick;
        let Some(tls_state) = &mut self.tls else { return 0 };
        let Some(conn) = self.conns.get_mut(id) else { return 0 };
        let records = tls_state.left(id);
        let len = records.len();
        if len > 0 {
            conn.begin_backlog(now).seal(records);
            tls_state.forget_left();
            self.counters().backlog_bytes.add(len as u64);
            self.arm(id);
        }
        len
    }

    /// Files the connection's next deadline where it is nearer than the one it is armed for.
    #[inline]
    pub(crate) fn arm(&mut self, id: ConnId) {
        self.conns.arm(id, &self.timing, &self.terms);
    }

    /// Files the connection's next deadline; it has no valid entry in the wheel.
    pub(crate) fn rearm(&mut self, id: ConnId) {
        self.conns.rearm(id, &self.timing, &self.terms);
    }

    /// The connection was not to be read: its next request, or the rest of it, is waited for from here on.
    pub(crate) fn excuse_request(&mut self, id: ConnId) {
        let by = self.now.tick.after(self.timing.handshake.max(self.timing.keep_alive));
        if self.get_mut(id).is_some_and(|conn| conn.excuse_request(by)) {
            self.arm(id);
        }
    }

    /// Whether a message of `len` bytes may be queued for an open connection; how much is queued with it.
    #[inline]
    pub(crate) fn backlog_with(&mut self, id: ConnId, len: usize) -> Result<usize, SendError> {
        self.backlog_within(id, len, 1)
    }

    /// As [`Shard::backlog_with`], where no more than one of so many `parts` of the connection's bound may be queued. The first message
    /// may be longer.
    #[inline]
    pub(crate) fn backlog_within(
        &mut self,
        id: ConnId,
        len: usize,
        parts: usize,
    ) -> Result<usize, SendError> {
        let found = self.find_room::<true>(id, len, parts);
        found.map_err(|error| self.refuse(id, error))
    }

    /// Bytes queued for a connection, those of this turn among them.
    pub(crate) fn queued(&self, id: ConnId) -> usize {
        let Some(conn) = self.get(id) else { return 0 };
        conn.backlog() + self.arena.dirty().get(conn.entry() as usize).map_or(0, |dirty| dirty.len)
    }

    /// The same for a connection that need not be open.
    #[inline]
    pub(crate) fn room_of(&mut self, id: ConnId, len: usize, parts: usize) -> Result<usize, SendError> {
        let found = self.find_room::<false>(id, len, parts);
        found.map_err(|error| self.refuse(id, error))
    }

    /// A message was refused. Where only this turn's output fills the backlog, no socket will say that there is room again.
    #[cold]
    fn refuse(&mut self, id: ConnId, error: SendError) -> SendError {
        if error == SendError::Backlogged && self.get(id).is_some_and(|conn| conn.backlog() == 0) {
            self.refused.note(id);
        }
        error
    }

    /// Reads only, so that those who send need not look at the connection anew behind it. `OPEN`: it has to be open.
    fn find_room<const OPEN: bool>(&self, id: ConnId, len: usize, parts: usize) -> Result<usize, SendError> {
        let conn = self.get(id).filter(|conn| !OPEN || conn.is_open()).ok_or(SendError::Gone)?;
        let turn = self.arena.dirty().get(conn.entry() as usize).map_or(0, |dirty| dirty.len);
        let queued = conn.backlog() + turn;
        if !self.arena.has_spare_capacity(len, self.config.max_call_bytes.min(ARENA_BYTES_CALL_MAX)) {
            return Err(SendError::TurnFull);
        }
        if queued > 0 {
            let most = self.terms.max_backlog_bytes(conn.tag(), &self.config) / parts;
            if queued + len + FRAME_HEADER_BYTES_MAX > most {
                return Err(SendError::Backlogged);
            }
        }
        Ok(queued + len)
    }

    /// Appends what `write` writes to the connection's output of this turn. `opaque`: it isn't frames.
    pub(crate) fn append(&mut self, id: ConnId, opaque: bool, write: impl FnOnce(&mut Vec<u8>)) {
        if let Some(entry) = self.entry(id) {
            self.arena.append(entry, opaque, write);
        }
    }

    /// Appends a frame that has a buffer of its own.
    pub(crate) fn append_own(&mut self, id: ConnId, frame: Vec<u8>) {
        if let Some(entry) = self.entry(id) {
            self.arena.append_own(entry, frame);
        }
    }

    /// Appends a shared frame.
    pub(crate) fn append_shared(&mut self, id: ConnId, frame: &SharedFrame) {
        if let Some(entry) = self.entry(id) {
            self.arena.append_shared(entry, frame);
        }
    }

    /// The connection's entry in the arena, made where it has none.
    fn entry(&mut self, id: ConnId) -> Option<u32> {
        let conn = self.conns.get_mut(id)?;
        Some(conn.entry_or(|| self.arena.enter(id)))
    }

    /// Answers a Ping. If the socket is full, it goes ahead of the queue, and only the latest of several is
    /// kept.
    pub(crate) fn pong(&mut self, id: ConnId, payload: &[u8]) {
        let Some(conn) = self.get_mut(id) else { return };
        let before = conn.backlog();
        if conn.queue_pong(payload) {
            let after = conn.backlog();
            let counters = self.counters();
            counters.backlog_bytes.add(after as u64);
            counters.backlog_bytes.sub(before as u64);
        } else {
            self.append(id, false, |out| frame::write(out, Opcode::Pong, payload, None));
        }
    }

    /// Sends a Ping that carries the time, ahead of what is queued.
    pub(crate) fn ping(&mut self, id: ConnId) {
        let payload = self.now.micros.to_be_bytes();
        let now = self.now.tick;
        let Some(conn) = self.get_mut(id) else { return };
        if conn.ping(payload, now) {
            self.counters().backlog_bytes.add(payload.len() as u64 + 2);
        } else {
            if let Some(entry) = self.entry(id) {
                self.arena.append(entry, false, |out| frame::write(out, Opcode::Ping, &payload, None));
                self.arena.mark_ping(entry);
            }
        }
        self.counters().pings_sent.add(1);
    }

    /// Sends a Close to an open connection and waits for the peer's. The service has yet to be told.
    pub(crate) fn close(&mut self, id: ConnId, close: &Close<'_>, cause: Cause) {
        if self.leave_open(id, Life::Closing, close) {
            self.left.end(id, cause);
        }
    }

    /// Queues a Close for an open connection and moves it to `life`; says whether it was open. No Close is waited for of one
    /// whose stream has ended.
    pub(crate) fn leave_open(&mut self, id: ConnId, life: Life, close: &Close<'_>) -> bool {
        let end = self.now.tick.after(self.timing.close);
        if !self.get_mut(id).is_some_and(|conn| conn.close(life, end)) {
            return false;
        }
        self.send_close(id, close);
        self.arm(id);
        true
    }

    /// Queues a Close, and counts it.
    pub(crate) fn send_close(&mut self, id: ConnId, close: &Close<'_>) {
        let (payload, len) = close.payload();
        self.append(id, false, |out| frame::write(out, Opcode::Close, &payload[..len], None));
        self.counters().close(close.code.map_or(1005, |code| code.0));
    }
}
