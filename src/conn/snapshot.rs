//! A connection as plain data: at the end of any turn it can be taken out, written down, and gone on with elsewhere, by another clock
//! and in another place, and its peer can't tell.
//!
//! Left out is what its worker knows of it: its place and generation, its entry in the wheel, its share of the turn that is yet to
//! come, and where its address is counted.

use serde::{Deserialize, Serialize};

use crate::conn::flags::{Flag, Flags, PackedPingState};
use crate::conn::http::Http;
use crate::conn::origin::{PeerKind, RejectReason};
use crate::conn::outbox::{Outbox, snapshot};
use crate::conn::{Conn, Life, NONE, Protocol};
use crate::time::Tick;
use crate::wire::deflate::Agreement;
use crate::wire::session::{self, Role, Session};

/// A connection. Its times are in ticks from when it was taken.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ConnSnapshot {
    read: ReadSnapshot,
    outbox: Option<snapshot::OutboxSnapshot>,
    tag: u32,
    last_heard: i32,
    deadline: i32,
    ping_state: PackedPingState,
    ping_at: i32,
    deflate: Option<Agreement>,
    life: Life,
    listener: u8,
    peer_kind: PeerKind,
    reject_reason: RejectReason,
    flags: Flags,
}

/// As [`Protocol`].
#[derive(Clone, Debug, Serialize, Deserialize)]
enum ReadSnapshot {
    Http(Option<Http>),
    Frames(session::snapshot::SessionSnapshot),
    /// Nothing any more.
    Nothing,
}

impl Conn {
    /// The connection as plain data, with times relative to `now`. `None` where something that it was sent has yet to be written to
    /// its socket for the first time, or where records of its TLS wait.
    pub(crate) fn snapshot(&self, now: Tick) -> Option<ConnSnapshot> {
        if self.dirty != NONE {
            return None;
        }
        let outbox = match &self.outbox {
            Some(outbox) => Some(outbox.snapshot(now)?),
            None => None,
        };
        let mut flags = self.flags;
        flags.clear(Flag::Listed);
        Some(ConnSnapshot {
            read: match &self.protocol {
                Protocol::Http(http) => ReadSnapshot::Http(http.as_deref().cloned()),
                Protocol::Frames(session) => ReadSnapshot::Frames(session.snapshot(now)),
                Protocol::Taken => ReadSnapshot::Nothing,
            },
            outbox,
            tag: self.tag,
            last_heard: self.last_heard.from_now(now),
            deadline: self.deadline.from_now(now),
            ping_state: self.ping_state,
            ping_at: self.ping_at.from_now(now),
            deflate: self.deflate,
            life: self.life,
            listener: self.listener,
            peer_kind: self.peer_kind,
            reject_reason: self.reject_reason,
            flags,
        })
    }

    /// The connection that goes on from there, counted nowhere and with no entry in the wheel; `None` where none can.
    pub(crate) fn restore(snapshot: ConnSnapshot, generation: u32, now: Tick) -> Option<Conn> {
        let ConnSnapshot { read, outbox, life, mut flags, .. } = snapshot;
        let protocol = match (read, life) {
            (ReadSnapshot::Http(http), Life::Http | Life::Ending | Life::Lingering) => {
                if http.as_ref().is_some_and(|http| !http.is_sound()) {
                    return None;
                }
                Protocol::Http(http.map(Box::new))
            }
            (ReadSnapshot::Frames(session), Life::Open | Life::Closing | Life::Ending | Life::Lingering) => {
                Protocol::Frames(Session::restore(session, Role::Server, now)?)
            }
            (ReadSnapshot::Nothing, Life::Ending | Life::Lingering) => Protocol::Taken,
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
            ping_at: Tick::at(now, snapshot.ping_at),
            dirty: NONE,
            origin: NONE,
            deflate: snapshot.deflate,
            life,
            ping_state: snapshot.ping_state,
            listener: snapshot.listener,
            peer_kind: snapshot.peer_kind,
            reject_reason: snapshot.reject_reason,
            flags,
        })
    }
}
