//! Connections in a turn: those that are ready, each for its share, and those that want more of it, in turn.

use std::mem;

use crate::conn::flags::Flag;
use crate::limits::{
    CONNECTION_UNITS_PER_TURN, CROWD_UNITS, CROWDED_UNITS_PER_TURN, HEARD_PER_FLUSH, HEARD_UNITS_PER_TURN,
    OVERTIME_UNITS_PER_TURN,
};
use crate::reactor::counters::Deferred;
use crate::reactor::ids::ConnId;
use crate::reactor::service::Service;
use crate::reactor::work::parts;
use crate::reactor::worker::{Accepting, Worker};
use crate::sys::net::{Net, Ready};

/// The share of each of the first connections that a turn hears, and what they come to, in parts of a unit.
const FIRST: (u64, u64) = (parts(CONNECTION_UNITS_PER_TURN), parts(CROWD_UNITS));
/// The same for those behind them.
const CROWDED: (u64, u64) = (parts(CROWDED_UNITS_PER_TURN), parts(HEARD_UNITS_PER_TURN));

impl<N: Net, S: Service> Worker<N, S> {
    /// Hears those that are ready, goes on with those that had more to be served than their share, and takes in new ones.
    pub(crate) fn connections(&mut self) {
        // Who is listed in this turn has had its share of it.
        let waiting = self.unread.len();
        self.hear();
        // Those that asked for much wait until all have been heard.
        if self.ready.is_empty() {
            self.go_on(waiting);
        }
        self.handshakes();
        self.accept();
    }

    /// Hears those that are ready, each for its share.
    fn hear(&mut self) {
        let mut ready = mem::take(&mut self.ready);
        let (mut taken, mut heard, mut spent) = (0, 0_usize, 0);
        let (mut share, mut limit) = if self.crowded { CROWDED } else { FIRST };
        for event in &ready {
            if spent >= limit {
                if (share, limit) == CROWDED {
                    self.count_deferred(Deferred::Ready);
                    break;
                }
                (share, limit) = CROWDED;
            }
            taken += 1;
            if event.listener().is_some() {
                if self.accepting == Accepting::Idle {
                    self.accepting = Accepting::Waiting;
                }
            } else if event.token != Ready::BELL {
                self.core.work.begin_with(share);
                self.on_ready(*event);
                spent += self.served(ConnId::from_bits(event.token));
                heard += 1;
                if heard.is_multiple_of(HEARD_PER_FLUSH) {
                    self.flush_answers(&mut heard);
                }
            }
        }
        ready.drain(..taken);
        self.crowded = !ready.is_empty();
        self.ready = ready;
    }

    /// Goes on with the first `waiting` of those that have more to be served than their share, in turn.
    fn go_on(&mut self, waiting: usize) {
        let mut spent = 0;
        for _ in 0..waiting {
            if spent >= parts(OVERTIME_UNITS_PER_TURN) {
                return self.count_deferred(Deferred::Overtime);
            }
            let Some(id) = self.unread.pop_front() else { break };
            let Some(conn) = self.core.get_mut(id) else { continue };
            conn.unlist();
            if self.core.work.makes_up(id) {
                self.list(id);
                continue;
            }
            self.core.work.begin();
            self.resume(id);
            spent += self.served(id);
        }
    }

    /// A connection has been served: returns what it took, in parts of a unit. One that took far more than its share comes in the
    /// next turns behind all that took less.
    pub(crate) fn served(&mut self, id: ConnId) -> u64 {
        if self.core.work.is_owed() && self.core.get(id).is_some() {
            self.core.work.lend(id);
            self.list(id);
        }
        self.core.work.spent()
    }

    /// Counts that work waits for the next turn.
    pub(crate) fn count_deferred(&self, kind: Deferred) {
        self.core.counters().deferred[kind as usize].add(1);
    }

    /// Lets answers leave before the end of the turn, so that of many clients the first need not wait for the last: where no
    /// more of them were sent something since the last time than were heard. What many are sent waits for company.
    fn flush_answers(&mut self, heard: &mut usize) {
        if self.core.arena.dirty().len() <= *heard {
            *heard = 0;
            self.ring();
            self.flush();
            self.settle();
        }
    }

    fn on_ready(&mut self, event: Ready) {
        let id = ConnId::from_bits(event.token);
        // An event for a connection that died earlier in this batch finds another generation in its place.
        let Some(conn) = self.core.get(id) else { return };
        // It has more than its share to read, and goes on with it behind all events.
        let listed = conn.has(Flag::Listed);
        if event.writable {
            self.on_writable(id);
        }
        if (event.readable || event.read_closed) && !listed {
            self.read(id, event.read_closed);
        }
    }
}
