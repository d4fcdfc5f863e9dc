//! The sessions that a worker has: found by the name that a client says, or by what presence knows them by; and when each is due.

use std::collections::HashMap;

use ring::rand::{SecureRandom as _, SystemRandom};

use crate::limits::{CLIENTS_MAX, COMMENT_TICKS, SESSION_SECRET_BYTES, SHED_SESSION_BYTES_MIN};
use crate::presence::Name;
use crate::reactor::{ConnId, RequestId, SharedFrame, WorkerId};
use crate::service::presence::sessions::door::Door;
use crate::service::presence::sessions::mail::ReturnPath;
use crate::service::presence::sessions::opening::{Missed, Opening};
use crate::session::id::Secret;
use crate::session::{Polls, Posts, SessionKey};
use crate::slots::Slots;
use crate::time::Tick;
use crate::time::wheel::Wheel;

/// Set in the number of a session that has no connection of its own: no connection's place in its table is as high.
const NUMBERED: u64 = 1 << 31;

/// The sessions that a worker has, and the requests for any that have landed there.
#[derive(Debug)]
pub(crate) struct Sessions {
    pub(super) table: Slots<Session>,
    /// When each may be due: its place, and its serial number above it.
    pub(super) deadlines: Wheel,
    /// The worker, and what it veils places with.
    pub(super) worker: WorkerId,
    pub(super) veil: u32,
    pub(super) next_serial: u32,
    /// Requests that wait for their answers.
    pub(super) doors: HashMap<RequestId, Door>,
    /// Event streams whose heads are sent in this turn.
    pub(super) opening: Vec<(RequestId, Box<Opening>)>,
    /// Sessions with something for their poll.
    pub(super) news: Vec<ConnId>,
    /// Sessions of users that send heartbeats by request.
    pub(super) beats: HashMap<Name, ConnId>,
    /// WebSockets here that carry, or ask to carry, a session.
    pub(super) carried: HashMap<ConnId, Carried>,
    pub(super) streams: usize,
    pub(super) polls: usize,
    /// Those whose clients are gone, and which hold what waits until it is fetched.
    pub(super) over: usize,
    /// Whether the process is short of memory.
    pub(super) is_scarce: bool,
}

/// The slot in the tag of a WebSocket that carries, or asks to carry, a session of another worker: no client of this one has it.
#[expect(clippy::cast_possible_truncation, reason = "22 bits")]
pub(crate) const CARRIED: u32 = CLIENTS_MAX as u32 - 1;

/// How far a WebSocket has come with the session that it names.
#[derive(Clone, Copy, Debug)]
pub(super) enum Carried {
    /// It has yet to send `resume`.
    Names(SessionKey),
    /// The worker that has the session is asked.
    Asks,
    /// It carries the session that the worker knows by this number.
    Carries(WorkerId, ConnId),
}

/// A session.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) secret: Secret,
    pub(super) serial: u32,
    /// The slot of its client in the node.
    pub(super) client: u32,
    /// The tick of its entry in the wheel that counts.
    pub(super) armed: Tick,
    pub(super) carrier: Carrier,
    pub(super) posts: Option<Box<Posts<ReturnPath>>>,
    /// Its place among what is counted for its client's address.
    pub(super) counted: Option<u32>,
    /// The messages that its client has missed of the rooms that it comes back to.
    pub(super) missed: Option<Box<Missed>>,
}

/// Polls of a session: its events are frames, of which WebSockets get the same.
pub(super) type SessionPolls = Polls<SharedFrame, Name, ReturnPath>;

/// The carrier of a session.
#[derive(Debug)]
pub(super) enum Carrier {
    /// An event stream.
    Stream(ConnId),
    /// Polls.
    Polls(Box<SessionPolls>),
    /// Polls that are yet to fetch why it has ended. Its client is gone.
    Over(Box<SessionPolls>),
    /// A WebSocket of another worker.
    Away(WorkerId, ConnId),
}

impl Sessions {
    pub(crate) fn new(worker: WorkerId, now: Tick) -> Sessions {
        // Without randomness nothing is veiled, and no session begins either.
        let veil = random::<4>().map_or(0, u32::from_le_bytes);
        Sessions {
            table: Slots::default(),
            deadlines: Wheel::new(now),
            worker,
            veil,
            next_serial: 0,
            doors: HashMap::new(),
            opening: Vec::new(),
            news: Vec::new(),
            beats: HashMap::new(),
            carried: HashMap::new(),
            streams: 0,
            polls: 0,
            over: 0,
            is_scarce: false,
        }
    }

    /// Whether there is none, so that everybody is on a WebSocket.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// Whether some are on event streams.
    #[inline]
    pub(crate) fn has_streams(&self) -> bool {
        self.streams > 0
    }

    /// Whether something is to be done in this turn.
    #[inline]
    pub(crate) fn has_work(&self, now: Tick) -> bool {
        !self.is_idle()
            && (!self.opening.is_empty()
                || !self.news.is_empty()
                || self.deadlines.next().is_some_and(|due| now.has_reached(due)))
    }

    /// There is no session, and nothing is left to do for one: deadlines that are filed still are nobody's.
    #[inline]
    fn is_idle(&self) -> bool {
        self.table.is_empty() && self.opening.is_empty() && self.news.is_empty()
    }

    /// When something may be due.
    #[inline]
    pub(crate) fn next_due(&self) -> Option<Tick> {
        if self.is_idle() { None } else { self.deadlines.next() }
    }

    /// Begins a session whose client is yet to be known; `None` where there is no randomness for its name. Returns its place.
    pub(super) fn begin(&mut self, carrier: Carrier) -> Option<usize> {
        let secret = random::<SESSION_SECRET_BYTES>()?;
        self.next_serial = self.next_serial.wrapping_add(1);
        self.count(&carrier, true);
        let serial = self.next_serial;
        let session = Session {
            secret,
            serial,
            client: 0,
            armed: Tick::default(),
            carrier,
            posts: None,
            counted: None,
            missed: None,
        };
        Some(self.table.insert(session))
    }

    pub(super) fn count(&mut self, carrier: &Carrier, comes: bool) {
        let of = match carrier {
            Carrier::Stream(_) => &mut self.streams,
            Carrier::Polls(_) => &mut self.polls,
            Carrier::Over(_) => &mut self.over,
            Carrier::Away(..) => return,
        };
        *of = if comes { *of + 1 } else { *of - 1 };
    }

    /// Something else carries a session from here on; returns what has carried it.
    pub(super) fn carry(&mut self, place: usize, carrier: Carrier) -> Option<Carrier> {
        self.count(&carrier, true);
        let before = std::mem::replace(&mut self.table.get_mut(place)?.carrier, carrier);
        self.count(&before, false);
        Some(before)
    }

    /// The client of a session that polls is gone.
    pub(super) fn polls_over(&mut self, place: usize) {
        let Some(session) = self.table.get_mut(place) else { return };
        let before = std::mem::replace(&mut session.carrier, Carrier::Away(self.worker, numbered(0, 0)));
        session.carrier = match before {
            Carrier::Polls(polls) => {
                self.polls -= 1;
                self.over += 1;
                Carrier::Over(polls)
            }
            other => other,
        };
    }

    /// Ends a session: nothing is left of it.
    pub(super) fn end(&mut self, place: usize) -> Option<Session> {
        let session = self.table.try_remove(place)?;
        self.count(&session.carrier, false);
        Some(session)
    }

    /// The number of a session, or the connection of its stream: what presence knows its client by.
    pub(super) fn handle(&self, place: usize) -> Option<ConnId> {
        let session = self.table.get(place)?;
        Some(match session.carrier {
            Carrier::Stream(conn) => conn,
            _ => numbered(place, session.serial),
        })
    }

    /// The place of the session that presence knows by this number; `None`: it is a connection, or the session has ended.
    #[inline]
    pub(super) fn place_of(&self, handle: ConnId) -> Option<usize> {
        if is_connection(handle) {
            return None;
        }
        let bits = handle.to_bits();
        let place = usize::try_from(bits & (NUMBERED - 1)).ok()?;
        let is_it = |session: &&Session| u64::from(session.serial) == bits >> u32::BITS;
        self.table.get(place).filter(is_it).map(|_| place)
    }

    /// The place of the session that a client names.
    pub(super) fn find(&self, key: &SessionKey) -> Option<usize> {
        let place = key.place(self.veil) as usize;
        let is_it = |session: &&Session| key.worker == self.worker.0 && key.has(&session.secret);
        self.table.get(place).filter(is_it).map(|_| place)
    }

    /// The name of a session for its client.
    #[expect(clippy::cast_possible_truncation, reason = "places have fewer than 32 bits")]
    pub(super) fn key(&self, place: usize) -> Option<SessionKey> {
        let session = self.table.get(place)?;
        Some(SessionKey::new(self.worker.0, place as u32, session.secret, self.veil))
    }

    /// Files the session's next deadline, where it is nearer than the one that it is armed for.
    pub(super) fn arm(&mut self, place: usize, now: Tick, anew: bool) {
        let Some(session) = self.table.get_mut(place) else { return };
        let at = match &session.carrier {
            Carrier::Stream(_) => now.after(COMMENT_TICKS),
            Carrier::Polls(polls) | Carrier::Over(polls) => polls.next_due(),
            Carrier::Away(..) => return,
        };
        if anew || at.is_before(session.armed) {
            let key = u64::from(session.serial) << u32::BITS | place as u64;
            session.armed = self.deadlines.schedule(at, key);
        }
    }

    /// The place of a session that may be due.
    pub(super) fn pop_due(&mut self, now: Tick) -> Option<usize> {
        loop {
            let (tick, key) = self.deadlines.pop_due(now)?;
            let place = usize::try_from(key & u64::from(u32::MAX)).ok()?;
            let counts =
                |session: &Session| u64::from(session.serial) == key >> u32::BITS && session.armed == tick;
            if self.table.get(place).is_some_and(counts) {
                return Some(place);
            }
        }
    }

    /// Clients on event streams, and on polls.
    pub(crate) fn carriers(&self) -> [usize; 2] {
        [self.streams, self.polls]
    }

    /// Sessions, requests that wait for any, and WebSockets that carry those of others.
    pub(crate) fn counts(&self) -> [usize; 3] {
        [self.table.len(), self.doors.len(), self.carried.len()]
    }

    /// Gives back what a burst has left.
    pub(crate) fn shrink(&mut self) {
        self.table.shrink();
        self.deadlines.shrink();
        self.doors.shrink_to(2 * self.doors.len());
        self.beats.shrink_to(2 * self.beats.len());
    }

    /// The session for whose polls the most waits, where that is worth its end.
    pub(super) fn heaviest(&self) -> Option<usize> {
        let waits = |(place, session): (usize, &Session)| match &session.carrier {
            Carrier::Polls(polls) | Carrier::Over(polls) => Some((polls.queue().bytes(), place)),
            Carrier::Stream(_) | Carrier::Away(..) => None,
        };
        self.table
            .iter()
            .filter_map(waits)
            .max()
            .filter(|(bytes, _)| *bytes > SHED_SESSION_BYTES_MIN)
            .map(|(_, place)| place)
    }

    /// Bytes held beside what waits for polls.
    pub(crate) fn bytes(&self) -> usize {
        self.table.bytes()
            + (self.polls + self.over) * size_of::<SessionPolls>()
            + self.deadlines.bytes()
            + self.doors.capacity() * size_of::<(RequestId, Door)>()
    }
}

/// Whether presence knows a client by its connection.
#[inline]
pub(super) fn is_connection(handle: ConnId) -> bool {
    handle.to_bits() & NUMBERED == 0
}

pub(super) fn numbered(place: usize, serial: u32) -> ConnId {
    ConnId::from_bits(u64::from(serial) << u32::BITS | NUMBERED | place as u64)
}

fn random<const BYTES: usize>() -> Option<[u8; BYTES]> {
    let mut bytes = [0; BYTES];
    SystemRandom::new().fill(&mut bytes).ok()?;
    Some(bytes)
}
