//! One connection as a machine: what the slab holds of it, and all that can become of it. It knows no socket, no worker and no
//! clock: what happened goes in by a method, and what follows from it comes out.
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
//!
//! | file | subject |
//! |---|---|
//! | this one | its state, and the ways from one to the next |
//! | `flags`, `heartbeat` | the small words of that state; Pings, Pongs and suspicion |
//! | `deadline` | which of its deadlines is next |
//! | `requests`, `http` | its requests, and what it holds of them |
//! | `frames` | its frames: the session while it is at work, and what it is read by |
//! | `peer`, `origin` | for whom it is |
//! | `output`, [`outbox`] | what it was sent in this turn, and what its socket did not take |
//! | `snapshot` | all of it as plain data, for another worker or process to go on with |

pub(crate) mod deadline;
pub(crate) mod flags;
pub(crate) mod frames;
mod heartbeat;
pub(crate) mod http;
pub(crate) mod origin;
pub mod outbox;
mod output;
mod peer;
pub(crate) mod requests;
pub(crate) mod snapshot;
pub(crate) mod timing;
#[cfg(test)]
mod walk;

use serde::{Deserialize, Serialize};

use crate::conn::flags::{Flag, Flags, PackedPingState};
use crate::conn::http::Http;
use crate::conn::origin::{PeerKind, RejectReason};
use crate::conn::outbox::Outbox;
use crate::conn::timing::Timing;
use crate::time::Tick;
use crate::wire::deflate::Agreement;
use crate::wire::session::{Role, Session};

/// No place in a table.
pub(crate) const NONE: u32 = u32::MAX;

/// The phase of a connection's life.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
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

/// The protocol that the bytes belong to.
#[derive(Debug)]
enum Protocol {
    /// A request is half read or half answered, or (`None`) nothing is held.
    Http(Option<Box<Http>>),
    /// Frames.
    Frames(Session),
    /// Taken out while it is at work.
    Taken,
}

/// A connection: what every idle one costs, so one cache line and not a byte more.
#[derive(Debug)]
pub(crate) struct Conn {
    protocol: Protocol,
    /// Output that the socket did not take; `Some` only while that is not empty.
    outbox: Option<Box<Outbox>>,
    generation: u32,
    /// The service's number for it.
    tag: u32,
    /// Bytes last arrived then.
    last_heard: Tick,
    /// The tick under which its one valid entry stands in the wheel.
    armed: Tick,
    /// `Http`: for the request, its answer or the next one. `Open`: for the drain, with `Drains`; for the last answers, with
    /// `Ended`. `Closing` to `Lingering`: for the end.
    deadline: Tick,
    /// The tick of `ping_state`, where that has one.
    ping_at: Tick,
    /// Its entry in the turn's arena.
    dirty: u32,
    /// Its address's place in the table of addresses; `NONE`: it isn't counted.
    origin: u32,
    /// How messages are compressed.
    deflate: Option<Agreement>,
    life: Life,
    ping_state: PackedPingState,
    listener: u8,
    /// The kind of peer.
    peer_kind: PeerKind,
    /// Why an upgrade is refused.
    reject_reason: RejectReason,
    flags: Flags,
}

const _: () = assert!(size_of::<Conn>() <= 64, "an idle connection is one cache line");
const _: () = assert!(size_of::<Option<Conn>>() == size_of::<Conn>(), "and the slab adds nothing to it");

/// The consequence of the end of a peer's stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum AtEnd {
    /// Its requests are still answered.
    Answers,
    /// Queued output still leaves.
    Writes,
    /// Nothing: it is gone.
    Gone,
}

/// The consequence of a write.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Written {
    Nothing,
    /// It was paused, and is to be read again.
    ReadOn,
    /// The last word has left, and the peer is to be told that nothing follows.
    Last,
    /// It has come to its end.
    Gone,
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
            ping_at: now,
            dirty: NONE,
            origin: NONE,
            deflate: None,
            life: Life::Http,
            ping_state: PackedPingState::Quiet,
            listener,
            peer_kind: PeerKind::default(),
            reject_reason: RejectReason::default(),
            flags: Flags::default(),
        }
    }

    /// Whether it is the connection of that generation, and not a later one in its place.
    #[inline]
    pub(crate) const fn is_of(&self, generation: u32) -> bool {
        self.generation == generation
    }

    /// The number that tells it from earlier connections in its slot.
    pub(crate) const fn generation(&self) -> u32 {
        self.generation
    }

    /// The listener that it came in on.
    pub(crate) const fn listener(&self) -> u8 {
        self.listener
    }

    /// The service's number for it.
    #[inline]
    pub(crate) const fn tag(&self) -> u32 {
        self.tag
    }

    /// The service gives it another number.
    pub(crate) const fn rename(&mut self, tag: u32) {
        self.tag = tag;
    }

    /// How messages are compressed, where they are.
    #[inline]
    pub(crate) const fn agreement(&self) -> Option<Agreement> {
        self.deflate
    }

    /// The phase of its life.
    #[inline]
    pub(crate) const fn life(&self) -> Life {
        self.life
    }

    /// Whether it is a WebSocket with messages both ways.
    #[inline]
    pub(crate) fn is_open(&self) -> bool {
        self.life == Life::Open
    }

    /// Whether frames are read of it.
    #[inline]
    pub(crate) const fn reads_frames(&self) -> bool {
        matches!(self.life, Life::Open | Life::Closing)
    }

    /// Whether a [`Flag`] is set.
    #[inline]
    pub(crate) const fn has(&self, flag: Flag) -> bool {
        self.flags.has(flag)
    }

    /// It has to wait for its turn to be served more. Says whether it didn't wait already.
    #[inline]
    pub(crate) const fn list(&mut self) -> bool {
        !self.flags.has(Flag::Listed) && {
            self.flags.set(Flag::Listed);
            true
        }
    }

    /// Its turn has come.
    #[inline]
    pub(crate) const fn unlist(&mut self) {
        self.flags.clear(Flag::Listed);
    }

    /// A request of it has been answered. If it is kept for the next request, that is waited for until `by`; else it
    /// ends.
    pub(crate) fn answered(&mut self, keeps: bool, by: Tick) {
        self.flags.set(Flag::Served);
        if keeps {
            self.deadline = by;
        } else {
            self.end_by(by);
        }
    }

    /// A request that has begun, or the answer to one, is waited for until then.
    pub(crate) const fn await_http(&mut self, by: Tick) {
        self.deadline = by;
    }

    /// Whether it has not made its first request in time.
    pub(crate) fn is_late(&self, now: Tick) -> bool {
        !self.flags.has(Flag::Served) && now.has_reached(self.deadline)
    }

    /// Whether it had ended its stream while a request before an upgrade was waited for: what it said before is yet to be
    /// served, and then the end counts once more.
    pub(crate) const fn take_end(&mut self) -> bool {
        self.flags.take(Flag::Ended)
    }

    /// It is a WebSocket from now on.
    pub(crate) fn open(&mut self, tag: u32, deflate: Option<Agreement>) {
        self.life = Life::Open;
        self.tag = tag;
        self.deflate = deflate;
        self.protocol = Protocol::Frames(Session::new(Role::Server));
    }

    /// A Close of ours is being sent to an open connection: it is `then` from now on, until `by` at most. No Close is waited
    /// for of one whose stream has ended. Says whether it was open.
    pub(crate) fn close(&mut self, then: Life, by: Tick) -> bool {
        if self.life != Life::Open {
            return false;
        }
        self.life = if self.flags.has(Flag::Ended) { Life::Ending } else { then };
        self.deadline = by;
        true
    }

    /// Nothing is said any more but what is queued, until `by` at most.
    pub(crate) const fn end_by(&mut self, by: Tick) {
        self.life = Life::Ending;
        self.deadline = by;
    }

    /// The peer's Close has come, and ours is queued or has left. Says whether nothing is left to write.
    pub(crate) fn close_received(&mut self) -> bool {
        self.flags.set(Flag::Ended);
        self.give_up_close()
    }

    /// In the closing handshake the peer went wrong: its Close is not waited for. Says whether nothing is left to write.
    pub(crate) fn give_up_close(&mut self) -> bool {
        self.life = Life::Ending;
        !self.has_output()
    }

    /// Nothing that the peer might still send matters.
    pub(crate) const fn stop_listening(&mut self) {
        self.flags.set(Flag::Ended);
    }

    /// The peer's stream has ended, of one that isn't open. Says what follows.
    pub(crate) fn end_of_stream(&mut self) -> AtEnd {
        self.flags.set(Flag::Ended);
        match self.life {
            Life::Http => AtEnd::Answers,
            // No Close will come that ours has to wait for.
            Life::Closing | Life::Ending if self.has_output() => {
                self.life = Life::Ending;
                AtEnd::Writes
            }
            _ => AtEnd::Gone,
        }
    }

    /// The peer has ended the stream of an open connection. Says whether that is news.
    pub(crate) const fn half_end(&mut self) -> bool {
        !self.flags.has(Flag::Ended) && {
            self.flags.set(Flag::Ended);
            true
        }
    }

    /// Such a one stays open for its last answers, until `by` at most. Nobody is left to answer a Ping, and its turn in a drain
    /// would come no sooner.
    pub(crate) const fn await_answers(&mut self, by: Tick) {
        self.ping_state = PackedPingState::Quiet;
        self.flags.clear(Flag::Drains);
        self.deadline = by;
    }

    /// The service is about to be told that it is gone. Says whether it was open.
    pub(crate) fn leave(&mut self) -> bool {
        let was_open = self.is_open();
        if was_open {
            self.life = Life::Lingering;
        }
        was_open
    }

    /// It ends after the next write, whatever the socket takes of it.
    pub(crate) const fn cut(&mut self) {
        self.flags.set(Flag::Cut);
    }

    /// The server goes away: an open connection has its turn at `turn`. One that is kept for a request that may never come goes
    /// once the last response has left, until `by` at most. Says whether it can go at once.
    pub(crate) fn drain(&mut self, turn: Tick, by: Tick) -> bool {
        match self.life {
            Life::Open if !self.flags.has(Flag::Ended) => {
                self.deadline = turn;
                self.flags.set(Flag::Drains);
            }
            Life::Http if self.is_idle() && self.flags.has(Flag::Served) => {
                if !self.has_output() {
                    return true;
                }
                self.end_by(by);
            }
            _ => {}
        }
        false
    }

    /// The socket has taken all that was queued: the next request, or the peer's Close, is waited for from here on.
    pub(crate) fn writable(&mut self, now: Tick, timing: &Timing) {
        match self.life {
            Life::Http if self.is_answered() => self.deadline = now.after(timing.keep_alive),
            Life::Closing => self.deadline = now.after(timing.close),
            _ => {}
        }
    }

    /// Something was written. Says what follows.
    #[inline]
    pub(crate) fn written(&self) -> Written {
        let is_last = self.life == Life::Ending && self.outbox.is_none();
        if self.flags.has(Flag::Cut) || is_last && self.flags.has(Flag::Ended) {
            Written::Gone
        } else if is_last {
            Written::Last
        } else if self.flags.has(Flag::Paused) && !self.is_above_high_watermark() {
            Written::ReadOn
        } else {
            Written::Nothing
        }
    }

    /// All is said, and the peer was told so: it is read until `by` at most.
    pub(crate) const fn linger(&mut self, by: Tick) {
        self.life = Life::Lingering;
        self.deadline = by;
    }

    /// Bytes of heap that belong to it.
    pub(crate) fn held_bytes(&self) -> usize {
        self.outbox.as_ref().map_or(0, |outbox| outbox.owned_bytes()) + self.half_read_bytes()
    }

    /// Bytes that would be freed with it: its backlog, frames shared with others included, and half-read input.
    pub(crate) fn burden(&self) -> usize {
        self.backlog() + self.half_read_bytes()
    }

    /// Bytes of a request or a message that is half read.
    #[inline]
    pub(crate) fn half_read_bytes(&self) -> usize {
        match &self.protocol {
            Protocol::Http(http) => http.as_ref().map_or(0, |http| http.held_bytes()),
            Protocol::Frames(session) => session.held_bytes(),
            Protocol::Taken => 0,
        }
    }
}
