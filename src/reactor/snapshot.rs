//! A connection as what another worker, or another process, goes on with: the machine itself, and what its worker keeps beside it.
//! Its binary form is a format's number in a byte, then postcard, as that of messages between presence's workers.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::conn::Conn;
use crate::conn::snapshot;
use crate::reactor::counters::Cause;
use crate::reactor::deflate;
use crate::reactor::terms::Terms;
use crate::time::Tick;

/// The first byte. Snapshots of another format are not read: a field that is added, taken away or moved makes another.
pub const FORMAT: u8 = 1;

/// A connection that has left its worker: all that is needed to go on with it, but for its socket.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Snapshot {
    pub(super) conn: snapshot::ConnSnapshot,
    /// The service's state, where the connection was open.
    pub(super) service: Option<Vec<u8>>,
    /// Input that was read and waits for its share of a turn.
    pub(super) unserved: Vec<u8>,
    /// The end of the peer's stream was read behind that.
    pub(super) has_ended: bool,
    pub(super) deflate: Option<deflate::DeflateSnapshot>,
    /// The client has ended its stream, and is still answered: what the connection has ended by then.
    pub(super) half_closed: Option<Cause>,
    /// Work, in units, that it has been served beyond its share.
    pub(super) debt: u32,
    /// The client that a PROXY header named.
    pub(super) introduced: Option<IpAddr>,
    /// The key that its address is counted under.
    pub(super) counted_as: Option<u64>,
    /// When its timer is due, in ticks from when it was taken.
    pub(super) timer: Option<i32>,
    /// The service does not want it to be read.
    pub(super) is_paused: bool,
    /// Its own heartbeats and limits.
    pub(super) terms: Terms,
}

/// Why bytes are no snapshot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum UnreadableSnapshot {
    /// They have another format, or none: this one.
    Format(Option<u8>),
    /// They break the format, go on behind the snapshot, or say what no connection can be.
    Malformed,
}

impl Snapshot {
    /// The snapshot's bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        postcard::to_extend(self, vec![FORMAT]).expect("a snapshot's lists have lengths, and a vector grows")
    }

    /// Reads a snapshot.
    ///
    /// # Errors
    /// The bytes are none, or none that a connection can go on from.
    pub fn from_bytes(bytes: &[u8]) -> Result<Snapshot, UnreadableSnapshot> {
        let Some((&FORMAT, snapshot)) = bytes.split_first() else {
            return Err(UnreadableSnapshot::Format(bytes.first().copied()));
        };
        match postcard::take_from_bytes::<Snapshot>(snapshot) {
            Ok((snapshot, [])) if snapshot.is_sound() => Ok(snapshot),
            _ => Err(UnreadableSnapshot::Malformed),
        }
    }

    fn is_sound(&self) -> bool {
        let conn = Conn::restore(self.conn.clone(), 0, Tick(0));
        conn.is_some_and(|conn| conn.is_open() == self.service.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fresh() -> Snapshot {
        Snapshot {
            conn: Conn::new(1, 2, Tick(100), Tick(600)).snapshot(Tick(350)).unwrap(),
            service: None,
            unserved: b"in".to_vec(),
            has_ended: true,
            deflate: None,
            half_closed: Some(Cause::Lost),
            debt: 300,
            introduced: Some([192, 0, 2, 1].into()),
            counted_as: Some(7),
            timer: Some(5),
            is_paused: true,
            terms: Terms { max_backlog_bytes: Some(300), ..Terms::default() },
        }
    }

    /// Pins the format. From the first release on: change it, and count [`FORMAT`] up.
    #[test]
    fn snapshots_are_the_bytes_that_other_builds_read() {
        let bytes = fresh().to_bytes();
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(
            hex,
            "0100000000f303f40301f3030000020000000002696e01000103ac020100c00002010107010a01000001ac02"
        );
        assert_eq!(Snapshot::from_bytes(&bytes).unwrap().to_bytes(), bytes);
    }

    #[test]
    fn what_is_no_snapshot_is_said_to_be_none() {
        let unreadable = |bytes: &[u8]| Snapshot::from_bytes(bytes).map(|_| ()).unwrap_err();
        let bytes = fresh().to_bytes();
        assert_eq!(unreadable(&[]), UnreadableSnapshot::Format(None));
        assert_eq!(
            unreadable(&[&[FORMAT + 1], &bytes[1..]].concat()),
            UnreadableSnapshot::Format(Some(FORMAT + 1))
        );
        for len in 1..bytes.len() {
            assert_eq!(unreadable(&bytes[..len]), UnreadableSnapshot::Malformed, "{len}");
        }
        assert_eq!(unreadable(&[&bytes[..], &[0]].concat()), UnreadableSnapshot::Malformed);
        let open = Snapshot { service: Some(Vec::new()), ..fresh() };
        assert_eq!(unreadable(&open.to_bytes()), UnreadableSnapshot::Malformed, "it has made no request yet");
    }
}
