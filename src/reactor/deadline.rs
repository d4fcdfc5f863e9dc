//! Deadlines: which one of a connection's is next, as a pure function of the connection.

use crate::limits::{ANSWER_TICKS_MAX, KEEP_ALIVE_TICKS, PINGS_PER_ROUND, ROUNDS_PER_INTERVAL_MIN};
use crate::reactor::config::{Config, HeartbeatMode};
use crate::reactor::conn::{Beat, Conn, Flag, Life, Protocol};
use crate::reactor::ids::WorkerId;
use crate::reactor::outbox::Outbox;
use crate::time::{Tick, ticks};

/// What is due.
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

/// The settings of [`Config`] that are durations, in ticks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timing {
    pub(crate) mode: HeartbeatMode,
    pub(crate) interval: u32,
    pub(crate) round: Round,
    pub(crate) timeout: u32,
    pub(crate) suspect: Option<u32>,
    pub(crate) client_silence: u32,
    pub(crate) handshake: u32,
    pub(crate) close: u32,
    pub(crate) drain: u32,
    pub(crate) message: u32,
    pub(crate) answer: u32,
    pub(crate) keep_alive: u32,
}

/// The ticks at which a worker sends Pings, a power of two apart. A Ping may leave somewhat after the interval, a death may
/// not be told late: so the first wait for company, and the worker, its peers and the system's scheduler wake once for all
/// of them. Where many are due in every tick they have company enough, and the round is one tick.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Round {
    /// Ticks from one to the next, less one.
    mask: u32,
    /// Where this worker's lie, so that workers take turns.
    phase: u32,
}

impl Round {
    /// The rounds of a worker with so many connections, each pinged once in `interval` ticks.
    pub(crate) fn of(interval: u32, worker: WorkerId, connections: usize) -> Round {
        let interval = interval.max(1);
        let longest = interval / ROUNDS_PER_INTERVAL_MIN;
        let full = u64::from(interval) * PINGS_PER_ROUND / connections.max(1) as u64;
        let length = 1 << u32::try_from(full).map_or(longest, |full| full.min(longest)).max(1).ilog2();
        Round { mask: length - 1, phase: u32::from(worker.0) % length }
    }

    /// The first round at `at` or later.
    pub(crate) fn from(self, at: Tick) -> Tick {
        at.after(self.phase.wrapping_sub(at.0) & self.mask)
    }
}

impl Timing {
    pub(crate) fn of(config: &Config, worker: WorkerId) -> Timing {
        let interval = ticks(config.heartbeat.interval);
        Timing {
            mode: config.heartbeat.mode,
            interval,
            round: Round::of(interval, worker, 0),
            timeout: ticks(config.heartbeat.timeout),
            suspect: config.heartbeat.suspect_after.map(ticks),
            client_silence: ticks(config.heartbeat.client_silence),
            handshake: ticks(config.handshake_timeout),
            close: ticks(config.close_timeout),
            drain: ticks(config.drain),
            message: ticks(config.message_timeout),
            answer: ANSWER_TICKS_MAX,
            keep_alive: KEEP_ALIVE_TICKS,
        }
    }
}

/// When the wheel has to come back to a connection: at its next deadline; or before, where what arrives can bring that
/// nearer, since receiving doesn't touch the wheel. An answer to a Ping makes the next one due after an interval, which may
/// be shorter than the time-out.
pub(crate) fn look_at(conn: &Conn, timing: &Timing) -> Tick {
    let (at, _) = next(conn, timing);
    match (timing.mode, conn.life, conn.beat()) {
        (HeartbeatMode::Server | HeartbeatMode::Both, Life::Open, Beat::Waiting(since)) => {
            at.min(since.after(timing.interval))
        }
        _ => at,
    }
}

/// The next deadline of a connection. Stale as soon as anything about the connection changes.
pub(crate) fn next(conn: &Conn, timing: &Timing) -> (Tick, Deadline) {
    let of_life = match conn.life {
        Life::Http => (conn.deadline, Deadline::Request),
        Life::Open => of_open(conn, timing),
        Life::Closing | Life::Ending | Life::Lingering => (conn.deadline, Deadline::End),
    };
    match &conn.outbox {
        Some(outbox) => with_backlog(conn, of_life, outbox, timing),
        None => of_life,
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
    let beat = match (timing.mode, conn.beat()) {
        (HeartbeatMode::Client, _) if conn.is_stuffed() => {
            (conn.last_heard.after(u32::MAX / 4), Deadline::Silence)
        }
        (HeartbeatMode::Client, _) => (conn.last_heard.after(timing.client_silence), Deadline::Silence),
        (_, Beat::First(at)) => (at, Deadline::Ping),
        (_, Beat::Quiet) => (timing.round.from(conn.last_heard.after(timing.interval)), Deadline::Ping),
        // It waits behind a backlog, which has a deadline of its own.
        (_, Beat::Queued) => (conn.last_heard.after(u32::MAX / 4), Deadline::Ping),
        // So has the backlog of a peer that isn't read because of it: its Pong may lie in the socket.
        (_, Beat::Waiting(since)) if conn.is_stuffed() => (since.after(u32::MAX / 4), Deadline::Pong),
        (_, Beat::Waiting(since)) => match timing.suspect.filter(|_| !conn.flags.has(Flag::Suspect)) {
            Some(suspect) if suspect < timing.timeout => (since.after(suspect), Deadline::Suspect),
            _ => (since.after(timing.timeout), Deadline::Pong),
        },
    };
    let beat = match &conn.protocol {
        // What isn't read because of a backlog, which has its own deadline, may be the rest.
        Protocol::Frames(session) if !conn.is_stuffed() => match session.half_since() {
            Some(since) => earlier(beat, (since.after(timing.message), Deadline::Message)),
            None => beat,
        },
        _ => beat,
    };
    if conn.flags.has(Flag::Drains) { earlier(beat, (conn.deadline, Deadline::Drain)) } else { beat }
}

fn earlier(a: (Tick, Deadline), b: (Tick, Deadline)) -> (Tick, Deadline) {
    if b.0.is_before(a.0) { b } else { a }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticks_of(interval: u32, connections: usize) -> u32 {
        Round::of(interval, WorkerId(0), connections).mask + 1
    }

    #[test]
    fn rounds_are_as_long_as_company_has_to_be_waited_for() {
        assert_eq!([0, 1, 19_000].map(|few| ticks_of(2_500, few)), [64; 3], "640 ms of 25 s");
        assert_eq!([40_000, 100_000, 500_000, usize::MAX].map(|many| ticks_of(2_500, many)), [32, 8, 2, 1]);
        assert_eq!([0, 1, 63, 64, 400].map(|short| ticks_of(short, 9)), [1, 1, 1, 2, 8]);
    }

    #[test]
    fn a_round_is_never_before_its_time_and_workers_take_turns() {
        for (worker, expected) in [(0, [0, 64, 64]), (5, [5, 5, 69]), (69, [5, 5, 69])] {
            let round = Round::of(2_500, WorkerId(worker), 0);
            assert_eq!([0, 3, 6].map(|at| round.from(Tick(at)).0), expected);
            let wraps = round.from(Tick(u32::MAX));
            assert_eq!(wraps.since(Tick(u32::MAX)), u32::from(worker) % 64 + 1);
        }
    }
}
