//! One connection: what the slab holds.
//!
//! ```text
//!           request answered, kept alive
//!            +--+
//!            v  |           Close sent                 Close received
//! accept -> Http -> Open ----------------> Closing -----------------+
//!            |       |  Close received: answered; end of stream     v
//!            |       +-----------------------------------------> Ending -- all written --> gone, or Lingering
//!            |          refused, or the last response               ^                          |
//!            +------------------------------------------------------+        end of stream, deadline -> gone
//! ```

use crate::limits::BACKLOG_BYTES_PAUSE;
use crate::reactor::arena::NONE;
use crate::reactor::outbox::Outbox;
use crate::reactor::request::held::Http;
use crate::reactor::shortage::Unwanted;
use crate::time::Tick;
use crate::wire::deflate::Agreement;
use crate::wire::session::Session;

/// Where a connection is in its life.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Life {
    /// Requests and responses.
    Http,
    /// Messages both ways.
    Open,
    /// A Close was sent: only the peer's Close is waited for.
    Closing,
    /// Nothing is said any more but what is queued.
    Ending,
    /// All is said, and the peer was told so; what it still sends is read and forgotten, since closing a socket with
    /// unread bytes would reset the connection and could take our last words with it.
    Lingering,
}

/// What the bytes are.
#[derive(Debug)]
pub(crate) enum Protocol {
    /// A request is half read or half answered, or (`None`) nothing is held.
    Http(Option<Box<Http>>),
    /// Frames.
    Frames(Session),
    /// Taken out while it is at work.
    Taken,
}

/// The heartbeat of an open connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Beat {
    /// The first Ping goes out at this tick, whatever is heard: a random point, so that connections that came together
    /// are not pinged together.
    First(Tick),
    /// The next Ping goes out when the connection has been silent for the interval.
    Quiet,
    /// A Ping waits for the socket.
    Queued,
    /// A Ping left at this tick, and nothing was heard since.
    Waiting(Tick),
}

/// A connection: what every idle one costs, so one cache line and not a byte more.
#[derive(Debug)]
pub(crate) struct Conn {
    pub(crate) protocol: Protocol,
    /// What the socket did not take; `Some` only while that is not empty.
    pub(crate) outbox: Option<Box<Outbox>>,
    pub(crate) generation: u32,
    /// The service's number for it.
    pub(crate) tag: u32,
    /// Bytes last arrived then.
    pub(crate) last_heard: Tick,
    /// The tick under which its one valid entry stands in the wheel.
    pub(crate) armed: Tick,
    /// `Http`: for the request, its answer or the next one. `Open`: for the drain, with `Drains`; for the last answers, with
    /// `Ended`. `Closing` to `Lingering`: for the end.
    pub(crate) deadline: Tick,
    /// The tick of `pulse`, where that has one.
    pulse_at: Tick,
    /// Its entry in the turn's arena.
    pub(crate) dirty: u32,
    /// Its address's place in the table of addresses; `NONE`: it isn't counted.
    pub(crate) origin: u32,
    /// How messages are compressed.
    pub(crate) deflate: Option<Agreement>,
    pub(crate) life: Life,
    pulse: Pulse,
    pub(crate) listener: u8,
    /// Who speaks.
    pub(crate) via: Via,
    /// Why an upgrade is refused.
    pub(crate) unwanted: Unwanted,
    pub(crate) flags: Flags,
}

const _: () = assert!(size_of::<Conn>() <= 64, "an idle connection is one cache line");
const _: () = assert!(size_of::<Option<Conn>>() == size_of::<Conn>(), "and the slab adds nothing to it");

/// A [`Beat`] without its tick, which would stand in four bytes of its own beside it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Pulse {
    First,
    Quiet,
    Queued,
    Waiting,
}

/// Who is at the other end.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Via {
    /// The client, or who can't be told from it.
    #[default]
    Client,
    /// A proxy whose word is taken for whom it speaks.
    Proxy,
    /// Such a proxy, which has yet to send its PROXY header.
    Preface,
}

/// What may be true of a connection beside its life.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum Flag {
    /// A Ping with our timestamp has not been answered.
    AwaitsPong = 1 << 0,
    /// It stands in the worker's list of connections with more to read.
    Listed = 1 << 1,
    /// It isn't read until its backlog is gone.
    Paused = 1 << 2,
    /// The peer's stream has ended, or nothing that it might still send matters.
    Ended = 1 << 3,
    /// It ends after the next write, whatever the socket takes of it.
    Cut = 1 << 4,
    /// `deadline` is its turn to go in a drain.
    Drains = 1 << 5,
    /// The service was told that it may be dead.
    Suspect = 1 << 6,
    /// A request of it has been answered.
    Served = 1 << 7,
}

/// Which [`Flag`]s are set.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Flags(u8);

impl Flags {
    pub(crate) const fn has(self, flag: Flag) -> bool {
        self.0 & flag as u8 != 0
    }

    pub(crate) const fn set(&mut self, flag: Flag) {
        self.0 |= flag as u8;
    }

    pub(crate) const fn clear(&mut self, flag: Flag) {
        self.0 &= !(flag as u8);
    }

    /// Clears one; says whether it was set.
    pub(crate) const fn take(&mut self, flag: Flag) -> bool {
        let was = self.has(flag);
        self.clear(flag);
        was
    }
}

impl Conn {
    /// A fresh connection that has to make its request before `deadline`.
    pub(crate) fn new(generation: u32, listener: u8, now: Tick, deadline: Tick) -> Conn {
        Conn {
            protocol: Protocol::Http(None),
            outbox: None,
            generation,
            tag: 0,
            last_heard: now,
            armed: now,
            deadline,
            pulse_at: now,
            dirty: NONE,
            origin: NONE,
            deflate: None,
            life: Life::Http,
            pulse: Pulse::Quiet,
            listener,
            via: Via::default(),
            unwanted: Unwanted::default(),
            flags: Flags::default(),
        }
    }

    /// Bytes arrived: that is life, whatever they are. Says whether it was under suspicion.
    pub(crate) fn heard(&mut self, now: Tick) -> bool {
        self.last_heard = now;
        if self.pulse == Pulse::Waiting {
            self.pulse = Pulse::Quiet;
        }
        let suspect = self.flags.has(Flag::Suspect);
        self.flags.clear(Flag::Suspect);
        suspect
    }

    /// Its heartbeat.
    pub(crate) const fn beat(&self) -> Beat {
        match self.pulse {
            Pulse::First => Beat::First(self.pulse_at),
            Pulse::Quiet => Beat::Quiet,
            Pulse::Queued => Beat::Queued,
            Pulse::Waiting => Beat::Waiting(self.pulse_at),
        }
    }

    pub(crate) const fn set_beat(&mut self, beat: Beat) {
        self.pulse = match beat {
            Beat::First(_) => Pulse::First,
            Beat::Quiet => Pulse::Quiet,
            Beat::Queued => Pulse::Queued,
            Beat::Waiting(_) => Pulse::Waiting,
        };
        if let Beat::First(at) | Beat::Waiting(at) = beat {
            self.pulse_at = at;
        }
    }

    /// Bytes that the socket did not take.
    pub(crate) fn backlog(&self) -> usize {
        self.outbox.as_ref().map_or(0, |outbox| outbox.len())
    }

    /// Whether something that was sent has not left.
    pub(crate) fn has_output(&self) -> bool {
        self.outbox.is_some() || self.dirty != NONE
    }

    /// Whether its requests are answered, and nothing is waited for but that its peer takes the answers.
    pub(crate) fn is_answered(&self) -> bool {
        let is_stuffed = match &self.protocol {
            Protocol::Http(http) => http.as_ref().is_some_and(|http| http.is_stuffed()),
            Protocol::Frames(_) | Protocol::Taken => false,
        };
        (is_stuffed || self.is_idle()) && self.flags.has(Flag::Served)
    }

    /// Whether no request of it is under way: half an empty line behind an answered one is none.
    pub(crate) fn is_idle(&self) -> bool {
        match &self.protocol {
            Protocol::Http(http) => http.as_ref().is_none_or(|http| http.is_idle()),
            Protocol::Frames(_) | Protocol::Taken => false,
        }
    }

    /// Whether so much waits for its peer to read that it isn't read itself.
    pub(crate) fn is_stuffed(&self) -> bool {
        self.backlog() >= BACKLOG_BYTES_PAUSE
    }

    /// Bytes of heap that belong to it.
    pub(crate) fn held_bytes(&self) -> usize {
        self.outbox.as_ref().map_or(0, |outbox| outbox.owned_bytes()) + self.half_read_bytes()
    }

    /// What of it stands here, and is no longer held without it: its backlog, what it shares with others included, and what is
    /// half read.
    pub(crate) fn burden(&self) -> usize {
        self.backlog() + self.half_read_bytes()
    }

    /// Whether it holds a request of which not all has come, and none that waits for its answer.
    pub(crate) fn has_half_request(&self) -> bool {
        matches!(&self.protocol, Protocol::Http(Some(http)) if !http.is_idle() && !http.is_waiting())
    }

    /// Bytes of a request or a message that is half read.
    pub(crate) fn half_read_bytes(&self) -> usize {
        match &self.protocol {
            Protocol::Http(http) => http.as_ref().map_or(0, |http| http.held_bytes()),
            Protocol::Frames(session) => session.held_bytes(),
            Protocol::Taken => 0,
        }
    }
}
