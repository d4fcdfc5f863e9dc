//! Deadlines: which one of a connection's is next, as a pure function of the connection.

use crate::conn::flags::{Flag, PingState};
use crate::conn::outbox::Outbox;
use crate::conn::timing::{HeartbeatMode, Timing};
use crate::conn::{Conn, Life, Protocol};
use crate::time::Tick;

/// A deadline of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Deadline {
    /// A request, its answer, or the next request on a connection that was kept.
    Request,
    /// A Ping.
    Ping,
    /// The answer to a Ping.
    Pong,
    /// The answer to a Ping, before the service is told that it is missing.
    Suspect,
    /// Anything at all, where the client does the heartbeats.
    Silence,
    /// The peer taking some of what is queued for it.
    Progress,
    /// The rest of a message that is half received.
    Message,
    /// Its turn in the drain.
    Drain,
    /// The end of a connection that is closing.
    End,
}

impl Conn {
    /// When the wheel has to come back to it: at its next deadline; or before, where what arrives can bring that nearer, since
    /// receiving doesn't touch the wheel. An answer to a Ping makes the next one due after an interval, which may be shorter
    /// than the time-out.
    pub(crate) fn look_at(&self, timing: &Timing) -> Tick {
        let (at, _) = self.next_deadline(timing);
        match (timing.mode, self.life, self.ping_state()) {
            (HeartbeatMode::Server | HeartbeatMode::Both, Life::Open, PingState::Waiting(since)) => {
                at.min(since.after(timing.interval))
            }
            _ => at,
        }
    }

    /// When the wheel has to come back to it, where that is before it does: [`Conn::arm`] follows.
    #[inline]
    pub(crate) fn comes_sooner(&self, timing: &Timing) -> Option<Tick> {
        let at = self.look_at(timing);
        at.is_before(self.armed).then_some(at)
    }

    /// Its one valid entry in the wheel stands under that tick from now on.
    #[inline]
    pub(crate) const fn arm(&mut self, at: Tick) {
        self.armed = at;
    }

    /// Whether its valid entry in the wheel stands under that tick.
    #[inline]
    pub(crate) fn is_armed(&self, at: Tick) -> bool {
        self.armed == at
    }

    /// Its next deadline. Stale as soon as anything about it changes.
    pub(crate) fn next_deadline(&self, timing: &Timing) -> (Tick, Deadline) {
        let of_life = match self.life {
            Life::Http => (self.deadline, Deadline::Request),
            Life::Open => of_open(self, timing),
            Life::Closing | Life::Ending | Life::Lingering => (self.deadline, Deadline::End),
        };
        match &self.outbox {
            Some(outbox) => with_backlog(self, of_life, outbox, timing),
            None => of_life,
        }
    }

    /// The deadline that is due by now, if any is.
    pub(crate) fn due(&self, timing: &Timing, now: Tick) -> Option<Deadline> {
        let (at, what) = self.next_deadline(timing);
        now.has_reached(at).then_some(what)
    }
}

/// One rule for all that is queued, plain or sealed: as long as the peer takes some of it in each time-out, and half of it in
/// two minutes, it gets it all. Behind a Close that time-out is the shorter one of the closing handshake.
fn with_backlog(
    conn: &Conn,
    of_life: (Tick, Deadline),
    outbox: &Outbox,
    timing: &Timing,
) -> (Tick, Deadline) {
    let slow = (outbox.progress().after(timing.timeout).min(outbox.halves_by()), Deadline::Progress);
    match conn.life {
        // The time until the next request begins behind the answers.
        Life::Http if conn.is_answered() => slow,
        Life::Ending | Life::Closing => {
            let patience = match conn.protocol {
                Protocol::Http(_) => timing.timeout.max(timing.close),
                Protocol::Frames(_) | Protocol::Taken => timing.close,
            };
            let stuck = outbox.progress().after(patience);
            let end = if of_life.0.is_before(stuck) { stuck } else { of_life.0 };
            earlier((end, Deadline::End), slow)
        }
        _ => earlier(of_life, slow),
    }
}

fn of_open(conn: &Conn, timing: &Timing) -> (Tick, Deadline) {
    if conn.flags.has(Flag::Ended) {
        // It is open for its last answers alone.
        return (conn.deadline, Deadline::End);
    }
    let ping_state = match (timing.mode, conn.ping_state()) {
        (HeartbeatMode::Client, _) if conn.is_above_high_watermark() => {
            (conn.last_heard.after(u32::MAX / 4), Deadline::Silence)
        }
        (HeartbeatMode::Client, _) => (conn.last_heard.after(timing.client_silence), Deadline::Silence),
        (_, PingState::First(at)) => (at, Deadline::Ping),
        (_, PingState::Quiet) => (timing.round.from(conn.last_heard.after(timing.interval)), Deadline::Ping),
        // It waits behind a backlog, which has a deadline of its own.
        (_, PingState::Queued) => (conn.last_heard.after(u32::MAX / 4), Deadline::Ping),
        // So has the backlog of a peer that isn't read because of it: its Pong may lie in the socket.
        (_, PingState::Waiting(since)) if conn.is_above_high_watermark() => {
            (since.after(u32::MAX / 4), Deadline::Pong)
        }
        (_, PingState::Waiting(since)) => match timing.suspect.filter(|_| !conn.flags.has(Flag::Suspect)) {
            Some(suspect) if suspect < timing.timeout => (since.after(suspect), Deadline::Suspect),
            _ => (since.after(timing.timeout), Deadline::Pong),
        },
    };
    let ping_state = match &conn.protocol {
        // The rest may be input that isn't read because of a backlog, which has its own deadline.
        Protocol::Frames(session) if !conn.is_above_high_watermark() => match session.half_since() {
            Some(since) => earlier(ping_state, (since.after(timing.message), Deadline::Message)),
            None => ping_state,
        },
        _ => ping_state,
    };
    if conn.flags.has(Flag::Drains) {
        earlier(ping_state, (conn.deadline, Deadline::Drain))
    } else {
        ping_state
    }
}

fn earlier(a: (Tick, Deadline), b: (Tick, Deadline)) -> (Tick, Deadline) {
    if b.0.is_before(a.0) { b } else { a }
}
