//! Deadlines that are due.

use crate::conn::deadline::Deadline;
use crate::conn::{Conn, Life};
use crate::reactor::config::HeartbeatMode;
use crate::reactor::context::Context;
use crate::reactor::counters::Cause;
use crate::reactor::ids::ConnId;
use crate::reactor::service::Service;
use crate::reactor::worker::Worker;
use crate::sys::net::Net;
use crate::time::{TICK_MICROS, Tick};
use crate::wire::close::{Close, CloseCode};

impl<N: Net, S: Service> Worker<N, S> {
    /// Fires what is due, a turn's share of it.
    pub(crate) fn deadlines(&mut self) {
        let now = self.core.now.tick;
        for _ in 0..self.budget.begin(now) {
            if !self.budget.has_time() {
                break;
            }
            let Some((tick, key)) = self.core.wheel.pop_due(now) else { return self.budget.end(false) };
            if self.fire(ConnId::from_bits(key), tick) {
                self.budget.acted();
            }
        }
        self.budget.end(true);
    }

    /// An entry of the wheel fires: it is dropped where it is not the connection's valid one, filed again where the
    /// deadline has moved on, and acted on otherwise. Says whether it was.
    fn fire(&mut self, id: ConnId, tick: Tick) -> bool {
        let now = self.core.now;
        let Some(conn) = self.core.get(id).filter(|conn| conn.is_armed(tick)) else { return false };
        let (at, what) = conn.next_deadline(&self.core.timing);
        let due = now.tick.has_reached(at);
        if due {
            let late = u64::from(now.tick.since(at)) * TICK_MICROS + now.micros % TICK_MICROS;
            self.core.counters().timer_lateness.record(late);
            self.act(id, what);
        }
        self.core.rearm(id);
        due
    }

    fn act(&mut self, id: ConnId, what: Deadline) {
        match what {
            Deadline::Request => self.request_due(id),
            Deadline::Ping => self.beat(id),
            Deadline::Suspect => self.suspect(id),
            Deadline::Pong | Deadline::Silence => self.presume_dead(id),
            Deadline::Progress => self.remove_slow(id),
            Deadline::Message => self.give_up_message(id),
            Deadline::Drain => self.say_goodbye(id),
            Deadline::End => self.end_due(id),
        }
    }

    fn beat(&mut self, id: ConnId) {
        self.core.deflate.rest(id);
        self.core.ping(id);
        self.service.beat(&mut Context::new(&mut self.core, &self.mailboxes), id);
        self.settle();
    }

    /// As for death, the socket is looked at first.
    fn suspect(&mut self, id: ConnId) {
        if self.read_late(id) {
            return;
        }
        if self.core.get_mut(id).is_some_and(Conn::suspect) {
            self.service.suspect(&mut Context::new(&mut self.core, &self.mailboxes), id, true);
            self.settle();
        }
    }

    /// What of the connection is still due, now that its socket was looked at.
    fn due(&self, id: ConnId) -> Option<Deadline> {
        self.core.get(id)?.due(&self.core.timing, self.core.now.tick)
    }

    /// The deadline has passed by our clock; but the server may be what was late, and the answer lie in the socket.
    fn presume_dead(&mut self, id: ConnId) {
        if self.read_late(id) {
            return;
        }
        if matches!(self.due(id), Some(Deadline::Pong | Deadline::Silence)) {
            self.declare_dead(id);
        }
    }

    /// The peer takes nothing of what is queued for it, unless the server is what was late and its socket has room by
    /// now. A Close would only queue behind.
    fn remove_slow(&mut self, id: ConnId) {
        self.on_writable(id);
        if self.due(id) != Some(Deadline::Progress) {
            return;
        }
        self.core.counters().close(CloseCode::TRY_AGAIN.0);
        self.remove(id, Cause::Slow);
    }

    /// A connection has been waited for long enough, unless its socket takes some of its last words by now: the kernel doesn't
    /// say so before it can take much.
    fn end_due(&mut self, id: ConnId) {
        self.on_writable(id);
        if self.due(id) != Some(Deadline::End) {
            return;
        }
        if self.core.get(id).is_some_and(Conn::is_open) {
            self.give_up_answers(id);
        } else {
            self.remove(id, Cause::Closed);
        }
    }

    /// Half a message has been waited for long enough, however steadily its bytes come; but the rest may lie in the socket.
    fn give_up_message(&mut self, id: ConnId) {
        if self.read_late(id) {
            return;
        }
        if self.due(id) != Some(Deadline::Message) {
            return;
        }
        let close = Close::new(CloseCode::TIMEOUT, "the message took too long");
        if self.core.leave_open(id, Life::Ending, &close) {
            self.tell_gone(id, Cause::Timeout);
            self.settle();
        }
    }

    fn say_goodbye(&mut self, id: ConnId) {
        let close = Close::new(CloseCode::GOING_AWAY, "server is going away");
        self.service.farewell(&mut Context::new(&mut self.core, &self.mailboxes), id, &close);
        self.core.close(id, &close, Cause::Drain);
        // With more of them than the window has time for, it ends later: nobody is cut off without a word.
        let answered = self.core.now.tick.after(self.core.timing.close + 1);
        self.drained_by = self.drained_by.map(|by| if by.is_before(answered) { answered } else { by });
        self.settle();
    }

    /// The first heartbeat of a connection that has just opened.
    pub(crate) fn first_beat(&mut self, id: ConnId) {
        let half = self.core.timing.interval / 2;
        let at = self.core.now.tick.after(half + self.core.random.below(half + 1));
        let at = self.core.timing.round.from(at);
        let mode = self.core.timing.mode;
        if let Some(conn) = self.core.get_mut(id) {
            conn.begin_heartbeat((mode != HeartbeatMode::Client).then_some(at));
        }
        self.core.arm(id);
    }
}
