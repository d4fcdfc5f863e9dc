//! One connection: what the slab holds.
//!
//! ```text
//!           request answered, kept alive
//!            +--+
//!            v  |           Close sent                 Close received
//! accept -> Http -> Open ----------------> Closing -----------------+
//!            |       |  Close received: answered                    v
//!            |       +-----------------------------------------> Ending -- all written --> gone, or Lingering
//!            |          refused, or the last response               ^                          |
//!            +------------------------------------------------------+        end of stream, deadline -> gone
//! ```

use crate::limits::BACKLOG_BYTES_PAUSE;
use crate::reactor::admission::Unwanted;
use crate::reactor::arena::NONE;
use crate::reactor::outbox::Outbox;
use crate::reactor::request::Http;
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

/// A connection.
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
    /// `Http`: for the request, its answer or the next one. `Open`: for the drain, with `drains`. `Closing` to `Lingering`: for the end.
    pub(crate) deadline: Tick,
    pub(crate) beat: Beat,
    /// Its entry in the turn's arena.
    pub(crate) dirty: u32,
    /// Its address's place in the table of addresses; `NONE`: it isn't counted.
    pub(crate) origin: u32,
    /// How messages are compressed.
    pub(crate) deflate: Option<Agreement>,
    pub(crate) life: Life,
    pub(crate) listener: u8,
    pub(crate) flags: Flags,
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

/// What is true of a connection beside its life.
#[derive(Clone, Copy, Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts; their layout is what a bit set would be, times eight"
)]
pub(crate) struct Flags {
    /// Why an upgrade is refused.
    pub(crate) unwanted: Unwanted,
    /// Who speaks.
    pub(crate) via: Via,
    /// A Ping with our timestamp has not been answered.
    pub(crate) awaits_pong: bool,
    /// It stands in the worker's list of connections with more to read.
    pub(crate) listed: bool,
    /// It isn't read until its backlog is gone.
    pub(crate) paused: bool,
    /// The peer's stream has ended, or nothing that it might still send matters.
    pub(crate) ended: bool,
    /// It ends after the next write, whatever the socket takes of it.
    pub(crate) cut: bool,
    /// `deadline` is its turn to go in a drain.
    pub(crate) drains: bool,
    /// The service was told that it may be dead.
    pub(crate) suspect: bool,
    /// A request of it has been answered.
    pub(crate) served: bool,
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
            beat: Beat::Quiet,
            dirty: NONE,
            origin: NONE,
            deflate: None,
            life: Life::Http,
            listener,
            flags: Flags::default(),
        }
    }

    /// Bytes arrived: that is life, whatever they are. Says whether it was under suspicion.
    pub(crate) fn heard(&mut self, now: Tick) -> bool {
        self.last_heard = now;
        if matches!(self.beat, Beat::Waiting(_)) {
            self.beat = Beat::Quiet;
        }
        std::mem::take(&mut self.flags.suspect)
    }

    /// Bytes that the socket did not take.
    pub(crate) fn backlog(&self) -> usize {
        self.outbox.as_ref().map_or(0, |outbox| outbox.len())
    }

    /// Whether so much waits for its peer to read that it isn't read itself.
    pub(crate) fn is_stuffed(&self) -> bool {
        self.backlog() >= BACKLOG_BYTES_PAUSE
    }

    /// Bytes of heap that belong to it.
    pub(crate) fn held_bytes(&self) -> usize {
        let outbox = self.outbox.as_ref().map_or(0, |outbox| outbox.owned_bytes());
        outbox
            + match &self.protocol {
                Protocol::Http(http) => http.as_ref().map_or(0, |http| http.held_bytes()),
                Protocol::Frames(session) => session.held_bytes(),
                Protocol::Taken => 0,
            }
    }
}

const _: () =
    assert!(size_of::<Conn>() <= 80, "an idle connection is a slab entry, a socket and a wheel entry");
