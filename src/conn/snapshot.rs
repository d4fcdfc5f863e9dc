//! A connection as plain data: at the end of any turn it can be taken out, written down, and gone on with elsewhere, by another clock
//! and in another place, and its peer can't tell.
//!
//! Left out is what its worker knows of it: its place and generation, its entry in the wheel, its share of the turn that is yet to
//! come, and where its address is counted.

use serde::{Deserialize, Serialize};

use crate::conn::flags::{Flag, Flags, Pulse};
use crate::conn::http::Http;
use crate::conn::origin::{Unwanted, Via};
use crate::conn::outbox::{Outbox, snapshot};
use crate::conn::{Conn, Life, NONE, Protocol};
use crate::time::Tick;
use crate::wire::deflate::Agreement;
use crate::wire::session::{self, Role, Session};

/// A connection. Its times are in ticks from when it was taken.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Snapshot {
    read: Read,
    outbox: Option<snapshot::Snapshot>,
    tag: u32,
    last_heard: i32,
    deadline: i32,
    pulse: Pulse,
    pulse_at: i32,
    deflate: Option<Agreement>,
    life: Life,
    listener: u8,
    via: Via,
    unwanted: Unwanted,
    flags: Flags,
}

/// As [`Protocol`].
#[derive(Clone, Debug, Serialize, Deserialize)]
enum Read {
    Http(Option<Http>),
    Frames(session::snapshot::Snapshot),
    /// Nothing any more.
    Nothing,
}

impl Conn {
    /// What it is, told from `now`. `None` where something that it was sent has yet to be written to its socket for the first time,
    /// or where records of its TLS wait.
    pub(crate) fn snapshot(&self, now: Tick) -> Option<Snapshot> {
        if self.dirty != NONE {
            return None;
        }
        let outbox = match &self.outbox {
            Some(outbox) => Some(outbox.snapshot(now)?),
            None => None,
        };
        let mut flags = self.flags;
        flags.clear(Flag::Listed);
        Some(Snapshot {
            read: match &self.protocol {
                Protocol::Http(http) => Read::Http(http.as_deref().cloned()),
                Protocol::Frames(session) => Read::Frames(session.snapshot(now)),
                Protocol::Taken => Read::Nothing,
            },
            outbox,
            tag: self.tag,
            last_heard: self.last_heard.from_now(now),
            deadline: self.deadline.from_now(now),
            pulse: self.pulse,
            pulse_at: self.pulse_at.from_now(now),
            deflate: self.deflate,
            life: self.life,
            listener: self.listener,
            via: self.via,
            unwanted: self.unwanted,
            flags,
        })
    }

    /// The connection that goes on from there, counted nowhere and with no entry in the wheel; `None` where none can.
    pub(crate) fn restore(snapshot: Snapshot, generation: u32, now: Tick) -> Option<Conn> {
        let Snapshot { read, outbox, life, mut flags, .. } = snapshot;
        let protocol = match (read, life) {
            (Read::Http(http), Life::Http | Life::Ending | Life::Lingering) => {
                if http.as_ref().is_some_and(|http| !http.is_sound()) {
                    return None;
                }
                Protocol::Http(http.map(Box::new))
            }
            (Read::Frames(session), Life::Open | Life::Closing | Life::Ending | Life::Lingering) => {
                Protocol::Frames(Session::restore(session, Role::Server, now)?)
            }
            (Read::Nothing, Life::Ending | Life::Lingering) => Protocol::Taken,
            _ => return None,
        };
        let outbox = match outbox {
            Some(outbox) => Some(Box::new(Outbox::restore(outbox, now)?)),
            None => None,
        };
        flags.clear(Flag::Listed);
        Some(Conn {
            protocol,
            outbox,
            generation,
            tag: snapshot.tag,
            last_heard: Tick::at(now, snapshot.last_heard),
            armed: now,
            deadline: Tick::at(now, snapshot.deadline),
            pulse_at: Tick::at(now, snapshot.pulse_at),
            dirty: NONE,
            origin: NONE,
            deflate: snapshot.deflate,
            life,
            pulse: snapshot.pulse,
            listener: snapshot.listener,
            via: snapshot.via,
            unwanted: snapshot.unwanted,
            flags,
        })
    }
}
