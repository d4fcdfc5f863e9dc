//! The heartbeat of an open connection: when a Ping goes out and has left, and what is heard of the peer.

use crate::conn::flags::{Flag, PackedPingState, PingState};
use crate::conn::{Conn, Protocol};
use crate::time::Tick;

impl Conn {
    /// Bytes last arrived then.
    pub(crate) const fn last_heard(&self) -> Tick {
        self.last_heard
    }

    /// Bytes arrived: that is life, whatever they are. Says whether it was under suspicion.
    #[inline]
    pub(crate) fn heard(&mut self, now: Tick) -> bool {
        self.last_heard = now;
        if self.ping_state == PackedPingState::Waiting {
            self.ping_state = PackedPingState::Quiet;
        }
        let suspect = self.flags.has(Flag::Suspect);
        self.flags.clear(Flag::Suspect);
        suspect
    }

    /// Nothing could be heard of it, since it was not to be read: that is no silence, and its half message is not late. Says whether
    /// it was under suspicion.
    pub(crate) fn excuse(&mut self, now: Tick) -> bool {
        if let Protocol::Frames(session) = &mut self.protocol {
            session.wait_anew(now);
        }
        self.heard(now)
    }

    /// Its heartbeat.
    pub(crate) const fn ping_state(&self) -> PingState {
        match self.ping_state {
            PackedPingState::First => PingState::First(self.ping_at),
            PackedPingState::Quiet => PingState::Quiet,
            PackedPingState::Queued => PingState::Queued,
            PackedPingState::Waiting => PingState::Waiting(self.ping_at),
        }
    }

    /// The connection is open: the first Ping goes out at `first`, or none does.
    pub(crate) const fn begin_heartbeat(&mut self, first: Option<Tick>) {
        match first {
            Some(at) => (self.ping_state, self.ping_at) = (PackedPingState::First, at),
            None => self.ping_state = PackedPingState::Quiet,
        }
    }

    /// A Ping that carries `payload`, our timestamp, goes out: ahead of the backlog where there is one, which is said, else at the end
    /// of this turn, unless [`Conn::ping_waits`] says otherwise.
    pub(crate) fn ping(&mut self, payload: [u8; 8], now: Tick) -> bool {
        self.flags.set(Flag::AwaitsPong);
        if let Some(outbox) = &mut self.outbox {
            outbox.ping(payload);
            self.ping_state = PackedPingState::Queued;
            return true;
        }
        (self.ping_state, self.ping_at) = (PackedPingState::Waiting, now);
        false
    }

    /// The socket did not take the Ping, whose last byte leaves with the next `bytes` of the backlog: its time has not begun.
    pub(crate) fn ping_waits(&mut self, bytes: usize) {
        if let Some(outbox) = &mut self.outbox {
            outbox.expect_ping(bytes);
            self.ping_state = PackedPingState::Queued;
        }
    }

    /// The Ping that waited has left.
    pub(crate) fn ping_left(&mut self, now: Tick) {
        if self.ping_state == PackedPingState::Queued {
            (self.ping_state, self.ping_at) = (PackedPingState::Waiting, now);
        }
    }

    /// The answer to our Ping has come.
    pub(crate) const fn ponged(&mut self) {
        self.flags.clear(Flag::AwaitsPong);
    }

    /// The answer to our Ping is missing. Says whether it still is, which is then to be told.
    pub(crate) fn suspect(&mut self) -> bool {
        let is_missing = self.is_open() && self.ping_state == PackedPingState::Waiting;
        if is_missing {
            self.flags.set(Flag::Suspect);
        }
        is_missing
    }
}
