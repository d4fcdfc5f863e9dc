//! A connection's frames: its session, which is taken out while it is at work, and what it may be read by.

use std::mem;

use crate::conn::flags::Flag;
use crate::conn::{Conn, Life, Protocol};
use crate::time::Tick;
use crate::wire::session::Session;

/// The kind of input that is half read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Half {
    /// A request.
    Request,
    /// Bytes behind a request that is not answered, or nothing.
    Behind,
    /// A message.
    Message,
}

impl Conn {
    /// Takes its session out, to hand frames to it; [`Conn::keep_session`] follows. `None` where it has no frames.
    #[inline]
    pub(crate) fn take_session(&mut self) -> Option<Session> {
        match mem::replace(&mut self.protocol, Protocol::Taken) {
            Protocol::Frames(session) => Some(session),
            other => {
                self.protocol = other;
                None
            }
        }
    }

    /// Puts its session back, where all that has come was read by `now`. Says whether half a message begins here, which has a
    /// deadline.
    #[inline]
    pub(crate) fn keep_session(&mut self, mut session: Session, now: Tick) -> bool {
        session.release();
        let begins = session.begun(now);
        self.protocol = Protocol::Frames(session);
        begins
    }

    /// As [`Session::spare_capacity`], of one whose frames are read.
    #[inline]
    pub(crate) fn message_room(&mut self, least: usize) -> Option<&mut Vec<u8>> {
        match &mut self.protocol {
            Protocol::Frames(session) if matches!(self.life, Life::Open | Life::Closing) => {
                session.spare_capacity(least)
            }
            _ => None,
        }
    }

    /// Whether it must not be read now: its peer doesn't read what it is sent, or requests that were read wait for its next
    /// share of a turn. It is listed then, or read on when its backlog has gone.
    #[inline]
    pub(crate) fn pauses(&mut self) -> bool {
        let is_full = match &self.protocol {
            // It is listed, and nobody else need remember it.
            Protocol::Http(Some(http)) if http.is_put_off() => return true,
            Protocol::Http(Some(http)) => http.is_full(),
            _ => false,
        };
        let pauses =
            is_full || matches!(self.life, Life::Http | Life::Open) && self.is_above_high_watermark();
        if pauses {
            self.flags.set(Flag::Paused);
        } else {
            self.flags.clear(Flag::Paused);
        }
        pauses
    }

    /// The kind of input that [`Conn::half_read_bytes`] counts.
    pub(crate) fn half(&self) -> Half {
        match &self.protocol {
            Protocol::Http(Some(http)) if !http.is_waiting() => Half::Request,
            Protocol::Http(_) => Half::Behind,
            Protocol::Frames(_) | Protocol::Taken => Half::Message,
        }
    }

    /// It is read no more: forgets what of it is half read.
    pub(crate) fn forget_half(&mut self) {
        self.protocol = Protocol::Taken;
    }
}
